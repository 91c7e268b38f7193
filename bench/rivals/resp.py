"""RESP, the protocol of Redis and Valkey: commands and replies as bytes, one at a time or, with
NumPy, hundreds of thousands at once."""

import numpy as np

# Bytes that every row shares; or a matrix [rows, bytes]; or a matrix and how many bytes of each
# row of it count [rows].
Piece = bytes | np.ndarray | tuple[np.ndarray, np.ndarray]

NIL = b"$-1\r\n"
DIGITS = np.array([list(b"%-4d" % number) for number in range(10_000)], np.uint8)


def bulk(value: bytes) -> bytes:
    return b"$%d\r\n%b\r\n" % (len(value), value)


def command(*words: bytes) -> bytes:
    return b"*%d\r\n%b" % (len(words), b"".join(map(bulk, words)))


def array(values: list[bytes | None]) -> bytes:
    """A reply of bulk strings; None is a value that is not there."""
    return b"*%d\r\n%b" % (len(values), b"".join(NIL if v is None else bulk(v) for v in values))


def assemble(count: int, pieces: list[Piece]) -> bytes:
    """The pieces side by side, row after row."""
    matrices, lengths = [], []
    for piece in pieces:
        if isinstance(piece, bytes):
            one = np.frombuffer(piece, np.uint8)
            matrices.append(np.broadcast_to(one, (count, len(one))))
            lengths.append(None)
        elif isinstance(piece, tuple):
            matrices.append(piece[0])
            lengths.append(piece[1])
        else:
            matrices.append(piece)
            lengths.append(None)
    whole = np.concatenate(matrices, axis=1)
    if all(length is None for length in lengths):
        return whole.tobytes()
    kept = np.ones(whole.shape, bool)
    at = 0
    for matrix, length in zip(matrices, lengths, strict=True):
        width = matrix.shape[1]
        if length is not None:
            kept[:, at : at + width] = np.arange(width) < length[:, None]
        at += width
    return whole[kept].tobytes()


def only(piece: Piece, rows: np.ndarray) -> Piece:
    """The piece where `rows` is true, nothing elsewhere."""
    if isinstance(piece, tuple):
        return piece[0], np.where(rows, piece[1], 0)
    matrix = piece
    if isinstance(piece, bytes):
        one = np.frombuffer(piece, np.uint8)
        matrix = np.broadcast_to(one, (len(rows), len(one)))
    return matrix, np.where(rows, matrix.shape[1], 0)


def decimal(numbers: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Numbers below 10,000 in decimal, without leading zeros, as a piece."""
    lengths = 1 + (numbers >= 10) + (numbers >= 100) + (numbers >= 1000)
    return DIGITS[numbers], lengths.astype(np.int64)


def bulk_pieces(value: Piece, sizes: np.ndarray | int) -> list[Piece]:
    """A bulk string of each row; sizes: bytes of each row's value, or of all."""
    if isinstance(sizes, int):
        return [b"$%d\r\n" % sizes, value, b"\r\n"]
    return [b"$", decimal(sizes), b"\r\n", value, b"\r\n"]
