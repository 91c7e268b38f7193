"""Files into a table: which ones, how to read them, and how far along that is."""

import glob
import os
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TextIO

import pyarrow as pa
import pyarrow.dataset

from fletching._errors import InvalidArgumentError, NotFoundError, SchemaMismatchError

# What a file's name ends with, and what PyArrow calls its format.
FORMATS = {
    ".parquet": "parquet",
    ".pq": "parquet",
    ".csv": "csv",
    ".arrow": "ipc",
    ".feather": "ipc",
    ".ipc": "ipc",
}


def find_files(source: str | os.PathLike[str]) -> list[str]:
    """source: a file, a folder (all files in it and below that we can read) or a glob. By name."""
    text = os.fspath(source)
    path = Path(text)
    if path.is_file():
        return [text]
    if path.is_dir():
        found = [p for p in path.rglob("*") if p.suffix in FORMATS and not _is_hidden(p, path)]
        files = sorted(str(p) for p in found if p.is_file())
    else:
        files = sorted(f for f in glob.glob(text, recursive=True) if os.path.isfile(f))
    if not files:
        raise NotFoundError(
            f"no file matches '{text}'; give a file, a folder or a glob of Parquet, CSV or Arrow"
        )
    return files


def _is_hidden(path: Path, folder: Path) -> bool:
    """_SUCCESS, .crc files and temporary folders of whoever wrote them."""
    return any(part.startswith(("_", ".")) for part in path.relative_to(folder).parts)


def open_files(files: list[str]) -> tuple[pa.RecordBatchReader, int | None]:
    """Rows of all files, one after the other in this order, and how many, where that is known
    without reading them. Files are read a batch at a time."""
    formats = {FORMATS.get(Path(file).suffix) for file in files}
    if None in formats:
        unknown = next(file for file in files if Path(file).suffix not in FORMATS)
        known = ", ".join(FORMATS)
        raise InvalidArgumentError(f"'{unknown}' ends with none of {known}")
    if len(formats) > 1:
        raise InvalidArgumentError("the files are of several formats; load one format at a time")
    (file_format,) = formats
    try:
        rows = pyarrow.dataset.dataset(files, format=file_format)
        for fragment in rows.get_fragments():
            _check_columns(fragment, rows.schema)
        count = rows.count_rows() if file_format != "csv" else None
    except (pa.ArrowInvalid, OSError) as error:
        raise InvalidArgumentError(str(error)) from error
    return pa.RecordBatchReader.from_batches(rows.schema, _batches(rows)), count


def _batches(rows: pyarrow.dataset.Dataset) -> Iterator[pa.RecordBatch]:
    for fragment in rows.get_fragments():
        try:
            yield from fragment.scanner(schema=rows.schema, batch_readahead=4).to_reader()
        except (pa.ArrowException, OSError) as error:
            raise InvalidArgumentError(f"{fragment.path}: {error}") from error


def _check_columns(fragment: Any, schema: pa.Schema) -> None:
    """A column that a file lacks would read as nulls, and one that only it has not at all."""
    names = set(fragment.physical_schema.names)
    for name in schema.names:
        if name not in names:
            raise SchemaMismatchError(f"{fragment.path} lacks column '{name}', which others have")
    for name in names:
        if name not in schema.names:
            raise SchemaMismatchError(f"{fragment.path} has column '{name}', which others lack")


class Progress:
    """One line that says how many rows, how fast, and how long it may still take."""

    def __init__(self, total: int | None, out: TextIO | None = None) -> None:
        self.total = total
        self._out = out or sys.stderr
        self._started = time.monotonic()
        self._done = 0
        self._next = 0.0
        # A terminal's line is written over; a log gets a line now and then.
        self._is_terminal = self._out.isatty()

    def begin(self, done: int) -> None:
        """Rows that an earlier run has done count as done, but not as fast."""
        self._done = done
        self._started = time.monotonic()

    def __call__(self, row_count: int) -> None:
        now = time.monotonic()
        if now >= self._next:
            self._next = now + (0.2 if self._is_terminal else 10.0)
            self._write(self.line(row_count, now - self._started))

    def end(self, row_count: int) -> None:
        self._write(self.line(row_count, time.monotonic() - self._started))
        if self._is_terminal:
            self._out.write("\n")

    def line(self, row_count: int, seconds: float) -> str:
        rate = (row_count - self._done) / seconds if seconds > 0 else 0.0
        text = f"{row_count:,} rows, {rate:,.0f} rows/s"
        if self.total and 0 < row_count < self.total:
            left = (self.total - row_count) / rate if rate else 0.0
            return f"{100 * row_count // self.total:3d} %  {text}, {_duration(left)} left"
        return f"{text}, {_duration(seconds)}"

    def _write(self, line: str) -> None:
        self._out.write(f"\r{line}\033[K" if self._is_terminal else line + "\n")
        self._out.flush()


def _duration(seconds: float) -> str:
    if seconds < 60:
        return f"{seconds:.0f} s"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes:02d} min" if hours else f"{minutes} min {rest:02d} s"


def reporter(progress: bool | Callable[[int], None], total: int | None) -> Any:
    """What is called with the rows so far: the caller's own function, a line on stderr, nothing."""
    if progress is True:
        return Progress(total)
    return progress or None
