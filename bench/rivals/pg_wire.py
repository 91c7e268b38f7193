"""PostgreSQL's protocol 3.0, as much as a prepared read needs: messages built beforehand, and
replies taken apart to be checked."""

import socket
import struct

import numpy as np

TEXT, TEXTS, INT8, INT8S = 25, 1009, 20, 1016  # OIDs of types, and of arrays of them
COPY_HEAD = b"PGCOPY\n\xff\r\n\0" + bytes(8)
COPY_END = b"\xff\xff"


def message(kind: bytes, body: bytes) -> bytes:
    return kind + struct.pack(">i", len(body) + 4) + body


def startup(user: str) -> bytes:
    names = f"user\0{user}\0database\0postgres\0\0".encode()
    return struct.pack(">ii", len(names) + 8, 196608) + names


SYNC = message(b"S", b"")


def parse(sql: str, array_oid: int) -> bytes:
    """Prepares the statement `s` with one parameter."""
    body = b"s\0" + sql.encode() + b"\0" + struct.pack(">hi", 1, array_oid)
    return message(b"P", body) + SYNC


def execute(array: bytes) -> bytes:
    """Runs `s` with a binary array; all columns of the answer are binary."""
    body = b"\0s\0" + struct.pack(">hhhi", 1, 1, 1, len(array)) + array + struct.pack(">hh", 1, 1)
    return message(b"B", body) + message(b"E", b"\0" + bytes(4)) + SYNC


def array_of(keys: list) -> bytes:
    """A one-dimensional array of int8 or text."""
    if isinstance(keys[0], int):
        oid, values = INT8, [struct.pack(">q", key) for key in keys]
    else:
        oid, values = TEXT, [key.encode() for key in keys]
    head = struct.pack(">iiiii", 1, 0, oid, len(keys), 1)
    return head + b"".join(struct.pack(">i", len(value)) + value for value in values)


class Connection:
    """A bare connection, for asking once and keeping what came."""

    def __init__(self, path: str) -> None:
        self._socket = socket.socket(socket.AF_UNIX)
        self._socket.connect(path)
        self._file = self._socket.makefile("rb", buffering=1 << 20)

    def ask(self, request: bytes) -> bytes:
        """-> the bytes of the reply, up to the message that says "ready".

        Errors: RuntimeError with what the server says.
        """
        self._socket.sendall(request)
        reply = bytearray()
        while True:
            head = self._file.read(5)
            if len(head) < 5:
                raise RuntimeError("postgres closed the connection")
            body = self._file.read(struct.unpack(">i", head[1:])[0] - 4)
            reply += head + body
            if head[:1] == b"E":
                raise RuntimeError(f"postgres: {body!r}")
            if head[:1] == b"Z":
                return bytes(reply)

    def close(self) -> None:
        self._file.close()
        self._socket.close()


def rows(reply: bytes) -> list[list[bytes | None]]:
    """The values of each DataRow, as bytes."""
    out, at = [], 0
    while at < len(reply):
        kind, size = reply[at : at + 1], struct.unpack_from(">i", reply, at + 1)[0]
        if kind == b"D":
            count = struct.unpack_from(">h", reply, at + 5)[0]
            place, row = at + 7, []
            for _ in range(count):
                length = struct.unpack_from(">i", reply, place)[0]
                place += 4
                row.append(None if length < 0 else reply[place : place + length])
                place += max(0, length)
            out.append(row)
        at += 1 + size
    return out


def array_floats(values: list[bytes], columns: int) -> np.ndarray:
    """real[] values without nulls -> [rows, columns], float32."""
    data = np.frombuffer(b"".join(values), np.uint8).reshape(len(values), 20 + 8 * columns)
    items = np.ascontiguousarray(data[:, 20:]).view(">f4")
    return items[:, 1::2].astype(np.float32)
