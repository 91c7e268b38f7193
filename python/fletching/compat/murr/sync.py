"""`murr.sync` over Fletching."""

import json
import os
import signal
import subprocess
import tempfile
import weakref
from typing import Any

import fletching._cli as cli
from fletching._client import Client as RemoteStore
from fletching._database import Database
from fletching._errors import UnavailableError
from fletching.compat.murr._calls import Calls


class MurrLocalSync(Calls):
    """Tables in this process; made by `Murr.start_local`."""

    def __init__(self, store: Any, close: Any) -> None:
        super().__init__(store)
        self._close = close

    def close(self) -> None:
        """Closes it, and ends its server if it has one. Happens by itself at the end."""
        self._close()

    def __enter__(self) -> "MurrLocalSync":
        return self

    def __exit__(self, *error: object) -> None:
        self.close()


class MurrClientSync(Calls):
    """Tables of a server."""

    def __init__(self, endpoint: str) -> None:
        self._remote = RemoteStore(endpoint)
        super().__init__(self._remote)

    def close(self) -> None:
        """Closes the connections."""
        self._remote.close()

    def __enter__(self) -> "MurrClientSync":
        return self

    def __exit__(self, *error: object) -> None:
        self.close()


class Client(MurrClientSync):
    """`Client(url).get(table, keys, columns)`, whose answer has `to_numpy` and `to_torch`."""


class Murr:
    """Where users begin."""

    @classmethod
    def start_local(
        cls, cache_dir: str | os.PathLike[str], http_port: int | None = None
    ) -> MurrLocalSync:
        """Tables in a folder. With a port (0: any free one), they are served over HTTP as well: by
        a fletchingd of its own, which ends with this."""
        if http_port is None:
            database = Database(cache_dir)
            return MurrLocalSync(database, database.close)
        server, address = start_server(cache_dir, http_port)
        local = MurrLocalSync(RemoteStore(address), lambda: None)
        local._close = weakref.finalize(local, end_server, server, os.getpid())
        local.address = f"http://{address}"
        return local

    @classmethod
    def connect(cls, endpoint: str) -> MurrClientSync:
        """Tables of a server: "http://127.0.0.1:8080"."""
        return MurrClientSync(endpoint)


def start_server(folder: str | os.PathLike[str], port: int) -> tuple["subprocess.Popen[str]", str]:
    """-> a fletchingd over the folder, and its "host:port"."""
    program = cli.find_server()
    if program is None:
        raise UnavailableError("fletchingd is not here; build it or set FLETCHINGD")
    # A file: a pipe that nobody reads would stop the server one day. And a session of its own:
    # Ctrl-C is for the program that started it.
    with tempfile.TemporaryFile("w+") as log:
        server = subprocess.Popen(
            [
                *(program, "--data-dir", os.fspath(folder)),
                *("--http", f"127.0.0.1:{port}", "--flight", "off"),
            ],
            stdout=subprocess.PIPE,
            stderr=log,
            text=True,
            start_new_session=True,
        )
        assert server.stdout is not None
        line = server.stdout.readline()
        if not line:
            log.seek(0)
            raise RuntimeError(f"fletchingd did not start: {log.read().strip()}")
    return server, json.loads(line)["http"]


def end_server(server: "subprocess.Popen[str]", owner: int) -> None:
    if os.getpid() != owner:
        return  # a child of a fork; the parent ends it
    server.send_signal(signal.SIGTERM)
    try:
        server.communicate(timeout=10)
    except subprocess.TimeoutExpired:
        server.kill()
        server.wait()
