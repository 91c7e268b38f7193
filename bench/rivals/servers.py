"""Servers of a run: each in a folder of its own, on a free loopback port, kept on one core, and
ended by its pid whatever happens to the run, a kill -9 of it among that."""

import contextlib
import ctypes
import os
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

PR_SET_PDEATHSIG = 1
_libc = ctypes.CDLL(None, use_errno=True)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def _before_exec(cpus: set[int] | None) -> None:
    _libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    if cpus:
        os.sched_setaffinity(0, cpus)


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
            [str(word) for word in command],
            stdin=subprocess.DEVNULL,
            stdout=said if stdout is None else stdout,
            stderr=said,
            text=True,
            user=user,
            env={**os.environ, **(environment or {})},
            preexec_fn=lambda: _before_exec(cpus),
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
    raise RuntimeError(f"{server.args[0]} does not listen on port {port}: {said}")


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
