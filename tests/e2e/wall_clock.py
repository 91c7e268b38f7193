"""A wall clock that a test moves under a running server. The steady clock goes on.

libfaketime stands between the program and the system. It reads what to add from a file, each time
it is asked, so the time of a program that runs can be changed.
"""

import os
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from pathlib import Path

import pytest
from conftest import Server
from pull_node import until


def library() -> Path:
    found = sorted(Path("/usr/lib").glob("*/faketime/libfaketimeMT.so.1"))
    if not found:
        pytest.fail("libfaketime is not here: tools/setup.sh dev installs it")
    return found[0]


class WallClock:
    """`env` is for the servers that it moves; all of them have the same time."""

    def __init__(self, folder: Path):
        self.path = folder / "clock"
        self.set(0)
        self.env = {
            "LD_PRELOAD": str(library()),
            "FAKETIME_TIMESTAMP_FILE": str(self.path),
            "FAKETIME_NO_CACHE": "1",
            "FAKETIME_DONT_FAKE_MONOTONIC": "1",
            "NO_FAKE_STAT": "1",  # times of files are those of who wrote them
        }

    def set(self, seconds: int, *servers: Server) -> None:
        """So many seconds from the real time; returns when the servers have seen it."""
        beside = self.path.with_suffix(".new")
        beside.write_text(f"{seconds:+d}\n")
        os.replace(beside, self.path)  # it may be read at any moment
        for server in servers:
            until(lambda s=server: abs(ahead_s(s) - seconds) < 60, lambda s=server: ahead_s(s))


def ahead_s(server: Server) -> float:
    """By how many seconds the server's wall clock is ahead of this process's."""
    shown = parsedate_to_datetime(server.get("/health").headers["date"])
    return (shown - datetime.now(UTC)).total_seconds()


@pytest.fixture
def clock(tmp_path) -> WallClock:
    return WallClock(tmp_path)
