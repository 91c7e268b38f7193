"""A loopback HTTP proxy that does to S3 traffic what networks do.

Every request is forwarded on a connection of its own. Before that, the first planned fault that
fits the request is taken from the list and applied:

    proxy.plan("GET", r"/key$", reset_after=1000)
    proxy.plan("PUT", times=5, answer=503)
"""

import asyncio
import re
import socket
import struct
import threading
from collections.abc import Callable
from dataclasses import dataclass, field

import pytest

HEAD_END = b"\r\n\r\n"
PIECE = 64 * 1024


@dataclass
class Fault:
    method: str
    target: str
    times: int = 1  # how many requests it is for
    skip: int = 0  # how many that fit go unharmed before
    delay_s: float = 0
    hang: bool = False  # no answer, the connection stays
    answer: int | None = None  # a status of our own; the server never hears of it
    answer_code: str = "SlowDown"
    lose_request_after: int | None = None  # reset after so many bytes of the request's body
    lose_answer: bool = False  # the server does it, the client sees a reset
    reset_after: int | None = None  # bytes of the answer's body, then a reset
    cut_after: int | None = None  # bytes of the answer's body, then an orderly end
    hang_after: int | None = None  # bytes of the answer's body, then nothing
    rewrite: Callable[[bytes], bytes] | None = None  # of the answer's head
    corrupt_length: int = 0  # added to Content-Length
    before: Callable[[], None] | None = None  # called before the request is forwarded


@dataclass
class Seen:
    method: str
    target: str
    headers: dict[str, str]
    body_bytes: int
    faults: list[str] = field(default_factory=list)


class FaultProxy:
    def __init__(self, upstream_port: int):
        self.upstream_port = upstream_port
        self.faults: list[Fault] = []
        self.seen: list[Seen] = []
        self.lock = threading.Lock()
        self.loop = asyncio.new_event_loop()
        started = threading.Event()
        self.thread = threading.Thread(target=self._serve, args=(started,), daemon=True)
        self.thread.start()
        assert started.wait(10)

    @property
    def endpoint(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def plan(self, method: str = ".*", target: str = "", **what) -> Fault:
        fault = Fault(method, target, **what)
        with self.lock:
            self.faults.append(fault)
        return fault

    def clear(self) -> list[Seen]:
        """Forgets plans and requests; answers with the requests."""
        with self.lock:
            seen, self.seen, self.faults = self.seen, [], []
        return seen

    def stop(self) -> None:
        self.loop.call_soon_threadsafe(self.loop.stop)
        self.thread.join(10)

    def _serve(self, started: threading.Event) -> None:
        asyncio.set_event_loop(self.loop)
        server = self.loop.run_until_complete(
            asyncio.start_server(self._connection, "127.0.0.1", 0, limit=1 << 20)
        )
        self.port = server.sockets[0].getsockname()[1]
        started.set()
        self.loop.run_forever()
        server.close()
        for task in asyncio.all_tasks(self.loop):
            task.cancel()
        self.loop.run_until_complete(asyncio.sleep(0))
        self.loop.close()

    def _take(self, seen: Seen) -> Fault | None:
        with self.lock:
            self.seen.append(seen)
            for fault in self.faults:
                if not re.fullmatch(fault.method, seen.method):
                    continue
                if fault.times <= 0 or not re.search(fault.target, seen.target):
                    continue
                if fault.skip > 0:
                    fault.skip -= 1
                    continue
                fault.times -= 1
                return fault
        return None

    async def _connection(self, reader, writer) -> None:
        try:
            while await self._exchange(reader, writer):
                pass
        except (OSError, asyncio.IncompleteReadError, asyncio.CancelledError):
            pass
        finally:
            writer.close()

    async def _exchange(self, reader, writer) -> bool:
        """One request; False when the connection is to be closed."""
        head = await reader.readuntil(HEAD_END)
        lines = head.decode("latin-1").split("\r\n")
        method, target, _ = lines[0].split(" ", 2)
        pairs = (line.split(":", 1) for line in lines[1:] if ":" in line)
        headers = {name.strip().lower(): value.strip() for name, value in pairs}
        body_bytes = int(headers.get("content-length", 0))
        fault = self._take(Seen(method, target, headers, body_bytes)) or Fault("", "")
        if fault.lose_request_after is not None:
            await reader.readexactly(min(fault.lose_request_after, body_bytes))
            return reset(writer)
        body = await reader.readexactly(body_bytes)
        if fault.delay_s:
            await asyncio.sleep(fault.delay_s)
        if fault.hang:
            await asyncio.sleep(3600)
        if fault.before is not None:
            await asyncio.to_thread(fault.before)
        if fault.answer is not None:
            words = f"<Error><Code>{fault.answer_code}</Code><Message>planned</Message></Error>"
            text = f"HTTP/1.1 {fault.answer} Planned\r\nContent-Length: {len(words)}\r\n\r\n"
            writer.write((text + ("" if method == "HEAD" else words)).encode())
            await writer.drain()
            return True
        return await self._forward(head, body, fault, writer)

    async def _forward(self, head: bytes, body: bytes, fault: Fault, writer) -> bool:
        try:
            up_reader, up_writer = await asyncio.open_connection(
                "127.0.0.1", self.upstream_port, limit=1 << 20
            )
        except OSError:
            return reset(writer)
        try:
            up_writer.write(head[:-2] + b"Connection: close" + HEAD_END + body)
            await up_writer.drain()
            answer = await up_reader.readuntil(HEAD_END)
            if fault.lose_answer:
                await up_reader.read()
                return reset(writer)
            if fault.corrupt_length:
                answer = re.sub(
                    rb"(?i)(content-length: )(\d+)",
                    lambda m: m[1] + str(int(m[2]) + fault.corrupt_length).encode(),
                    answer,
                )
            if fault.rewrite is not None:
                answer = fault.rewrite(answer)
            writer.write(answer)
            limits = (fault.reset_after, fault.cut_after, fault.hang_after)
            left = next((limit for limit in limits if limit is not None), None)
            while left is None or left > 0:
                piece = await up_reader.read(PIECE if left is None else min(left, PIECE))
                if not piece:
                    break
                left = None if left is None else left - len(piece)
                writer.write(piece)
                await writer.drain()
            if fault.hang_after is not None:
                await asyncio.sleep(3600)
            if fault.reset_after is not None:
                await asyncio.sleep(0.05)  # or the reset overtakes what was written
                return reset(writer)
            return False
        except asyncio.IncompleteReadError:  # the server went away
            return reset(writer)
        finally:
            up_writer.close()


def reset(writer) -> bool:
    raw: socket.socket = writer.get_extra_info("socket")
    raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()
    return False


@pytest.fixture
def proxy(s3_server):
    """One before the server that tests share."""
    running = FaultProxy(s3_server.port)
    yield running
    running.stop()
