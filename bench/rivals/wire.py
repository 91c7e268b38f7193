"""Runs wire_client, and flight_client: requests built beforehand, and the replies that are due."""

import json
import os
import struct
import subprocess
from collections.abc import Iterable
from pathlib import Path

from rivals import measure
from rivals.measure import Slice, WrongAnswerError

PROGRAMS = Path(
    os.environ.get("FLETCHING_BENCH_DIR", Path(__file__).parents[2] / "build" / "release" / "bench")
)


def program(name: str) -> Path:
    return PROGRAMS / name


def write_exchanges(path: Path, exchanges: Iterable[tuple[bytes, bytes]]) -> Path:
    with path.open("wb") as file:
        for request, reply in exchanges:
            file.write(struct.pack("<I", len(request)) + request)
            file.write(struct.pack("<I", len(reply)) + reply)
    return path


def client_command(
    exchanges: Path, address: list[str], *flags: str, client: str = "wire_client"
) -> list[str]:
    command = [str(program(client)), f"--exchanges={exchanges}", *address, *flags]
    if measure.CLIENT_CPUS:
        command.append(f"--cpu={min(measure.CLIENT_CPUS)}")
    return command


def read_result(output: str, error: str, status: int) -> dict:
    """The JSON line of wire_client. Errors: WrongAnswerError, RuntimeError."""
    if status != 0:
        kind = WrongAnswerError if "wrong answer" in error else RuntimeError
        raise kind(f"{error.strip()[-400:]}")
    return json.loads(output.splitlines()[-1])


def run(
    exchanges: Path, address: list[str], seconds: float, *flags: str, client: str = "wire_client"
) -> Slice:
    """One slice. address: --port=N or --unix=PATH, and --framing, --preamble where they differ."""
    flags = (f"--milliseconds={max(1, int(seconds * 1000))}", *flags)
    command = client_command(exchanges, address, *flags, client=client)
    done = subprocess.run(command, capture_output=True, text=True, errors="replace")
    result = read_result(done.stdout, done.stderr, done.returncode)
    return Slice(result["p50_us"], result["p90_us"], result["p99_us"], result["count"])
