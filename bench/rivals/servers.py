"""Servers of a run: each in a folder of its own, on a free loopback port, kept on one core, and
ended by its pid whatever happens to the run, a kill -9 of it among that."""

import contextlib
import os
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

from rivals import measure


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def _wrapped(command: list, cpus: set[int] | None, user: str | None) -> list[str]:
    """By programs that become the server: code between fork and exec may hang beside threads."""
    words = ["setpriv", "--pdeathsig", "KILL"]
    if user is not None:
        words += ["--reuid", user, "--regid", user, "--clear-groups"]
    where = ",".join(map(str, sorted(cpus or measure.ALL_CPUS)))
    return [*words, "--", "taskset", "-c", where, *map(str, command)]


@contextlib.contextmanager
def process(
    command: list[str],
    *,
    cpus: set[int] | None = None,
    user: str | None = None,
    stop: signal.Signals = signal.SIGTERM,
    environment: dict[str, str] | None = None,
    log: Path | None = None,
    stdout: int | None = None,
) -> Iterator[subprocess.Popen]:
    """A server that lives as long as the `with`.

    log: file for what it says; without one that is dropped.
    """
    with open(log or os.devnull, "wb") as said:
        server = subprocess.Popen(
            _wrapped(command, cpus, user),
            stdin=subprocess.DEVNULL,
            stdout=said if stdout is None else stdout,
            stderr=said,
            text=True,
            env={**os.environ, **(environment or {})},
        )
    try:
        yield server
    finally:
        server.send_signal(stop)
        try:
            server.wait(20)
        except subprocess.TimeoutExpired:
            server.kill()
            server.wait()
        if server.stdout is not None:
            server.stdout.close()


def wait_for_port(server: subprocess.Popen, port: int, log: Path, seconds: float = 30) -> None:
    """Errors: RuntimeError with the end of the log when the server ends or does not listen."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if server.poll() is not None:
            break
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
            return
        time.sleep(0.02)
    said = log.read_text(errors="replace")[-500:] if log.exists() else "no log"
    raise RuntimeError(f"{server.args} does not listen on port {port}: {said}")


def resident_bytes(pid: int) -> int:
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) * 1024
    return 0


def pss_bytes(pid: int, name: str = "") -> int:
    """Proportional share of memory; of mappings whose file has `name` in its path, if given."""
    total, counts = 0, not name
    for line in Path(f"/proc/{pid}/smaps").read_text().splitlines():
        if "-" in line.split(" ", 1)[0]:
            counts = name in line
        elif counts and line.startswith("Pss:"):
            total += int(line.split()[1]) * 1024
    return total


def private_bytes(pid: int) -> int:
    """Memory of one process alone that no file backs."""
    total = 0
    for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
        if line.startswith("Anonymous:"):
            total += int(line.split()[1]) * 1024
    return total


def folder_bytes(path: Path) -> int:
    """Bytes that the files of a folder take on its disk."""
    return sum(f.stat().st_blocks * 512 for f in path.rglob("*") if f.is_file())


def family_pss_bytes(pid: int) -> int:
    """Memory of a process and its children, what they share counted once."""
    total = 0
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit():
            continue
        with contextlib.suppress(OSError):
            parent = int((entry / "stat").read_text().rpartition(")")[2].split()[1])
            if int(entry.name) == pid or parent == pid:
                total += pss_bytes(int(entry.name))
    return total
