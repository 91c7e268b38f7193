"""`fletching sql`: ask in SQL, once or at a prompt."""

import argparse
import contextlib
import csv
import json
import os
import sys
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa

import fletching

EXAMPLES = """\
  fletching sql features "SELECT carrier, avg(dep_delay) d FROM flights GROUP BY 1 ORDER BY d"
  fletching sql http://127.0.0.1:8080 "SELECT * FROM docs WHERE id = \\$id" --param id=d1
  fletching sql features "FROM docs" --format csv > docs.csv
  fletching sql features                  # a prompt; .help says what it knows
  fletching sql features < questions.sql  # statements that end in ;

At the prompt a statement ends with ; and may have several lines."""

HELP = """\
.tables          the tables and how many rows they have
.schema TABLE    its columns
.timer           times on or off
.quit            leaves, as Ctrl-D does
Anything else is SQL and ends with ;  Ctrl-C drops what was typed."""

FORMATS = ("table", "csv", "json", "arrow")
SHOWN_ROWS = 100
"""Of an answer that is printed as a table, if --rows does not say."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("path", help="the data folder, or the URL of a server")
    parser.add_argument("statement", nargs="?", help="one SELECT; a prompt if not given")
    parser.add_argument(
        "--param",
        action="append",
        default=[],
        metavar="NAME=VALUE",
        help="what $NAME stands for; a number, true, false or null is one, all else is text",
    )
    parser.add_argument("--format", choices=FORMATS, default="table", help="default: table")
    parser.add_argument(
        "--rows",
        type=int,
        help=f"how many at the most (default: {SHOWN_ROWS} as a table, else all)",
    )
    parser.add_argument("--timeout", type=float, metavar="SECONDS", help="default: 60")


def run(options: argparse.Namespace) -> int:
    parameters = dict(_parameter(text) for text in options.param)
    timeout_ms = None if options.timeout is None else max(1, round(options.timeout * 1000))
    with _open(options.path) as db:
        session = Session(db, options.format, options.rows, timeout_ms)
        if options.statement is not None:
            session.ask(options.statement, parameters)
            return 0
        if parameters:
            raise fletching.InvalidArgumentError("--param is for a statement of the command line")
        if sys.stdin.isatty():
            return _prompt(session)
        for statement in _statements(sys.stdin):
            session.ask(statement)
    return 0


def _open(path: str) -> Any:
    if "://" in path:
        return fletching.connect(path)
    if not os.path.isdir(os.path.join(path, "tables")):
        raise fletching.NotFoundError(f"'{path}' is no data folder")
    return fletching.open(path, "r")


def _parameter(text: str) -> tuple[str, Any]:
    name, is_given, value = text.partition("=")
    if not is_given or not name:
        raise fletching.InvalidArgumentError(f"--param is NAME=VALUE, not '{text}'")
    with contextlib.suppress(ValueError):
        parsed = json.loads(value)
        if parsed is None or isinstance(parsed, bool | int | float | str):
            return name, parsed
    return name, value


def _statements(lines: Iterable[str]) -> Iterator[str]:
    """Texts that end with ; at the end of a line; what stands behind the last one too."""
    text = ""
    for line in lines:
        text += line
        if text.rstrip().endswith(";"):
            yield text.rstrip().rstrip(";")
            text = ""
    if text.strip():
        yield text


class Session:
    """Statements of one person, and how they are answered."""

    def __init__(self, db: Any, form: str, rows: int | None, timeout_ms: int | None) -> None:
        self._db, self._form, self._timeout_ms = db, form, timeout_ms
        self._rows = SHOWN_ROWS if rows is None and form == "table" else rows
        self.is_timed = False

    def ask(self, statement: str, parameters: dict[str, Any] | None = None) -> None:
        began = time.monotonic()
        result = self._db.sql(statement, parameters, timeout_ms=self._timeout_ms)
        batches = self._limited(iter(result))
        if self._form == "table":
            self._print_table(result.schema, batches)
        elif self._form == "arrow":
            with pa.ipc.new_stream(sys.stdout.buffer, result.schema) as stream:
                for batch in batches:
                    stream.write_batch(batch)
        else:
            self._print_rows(result.schema, batches)
        if self.is_timed:
            print(f"{(time.monotonic() - began) * 1000:,.1f} ms", file=sys.stderr)

    def command(self, line: str) -> bool:
        """-> whether there is more to come"""
        word, _, rest = line.strip().partition(" ")
        if word in (".quit", ".exit"):
            return False
        if word == ".tables":
            for table in self._db.tables():
                print(f"{table.name}  {table.row_count:,} rows")
        elif word == ".schema" and rest:
            info = self._db.table(rest.strip())
            for column in info.columns:
                print(f"{column.name} {column.dtype}{' key' if column.name in info.key else ''}")
        elif word == ".timer":
            self.is_timed = not self.is_timed
            print(f"timer {'on' if self.is_timed else 'off'}")
        else:
            print(HELP)
        return True

    def _limited(self, batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        left = self._rows
        for batch in batches:
            if left is None:
                yield batch
                continue
            yield batch.slice(0, left)
            left -= min(left, batch.num_rows)
            if left == 0:
                return

    def _print_table(self, schema: pa.Schema, batches: Iterator[pa.RecordBatch]) -> None:
        table = pa.Table.from_batches(batches, schema)
        if table.num_rows == 0:
            print(f"no rows of {', '.join(schema.names)}")
            return
        print(table.to_pandas().to_string(index=False))
        if table.num_rows == self._rows:
            print(f"({self._rows} rows; there may be more: --rows)", file=sys.stderr)

    def _print_rows(self, schema: pa.Schema, batches: Iterator[pa.RecordBatch]) -> None:
        lines = csv.writer(sys.stdout, lineterminator="\n")
        if self._form == "csv":
            lines.writerow(schema.names)
        for batch in batches:
            for row in batch.to_pylist():
                if self._form == "csv":
                    lines.writerow(row.values())
                else:
                    print(json.dumps(row, default=str))


def _prompt(session: Session) -> int:
    history = _load_history()
    print("SQL over your tables; a statement ends with ;  .help for more, .quit to leave")
    text = ""
    try:
        while True:
            try:
                line = input("   ...> " if text else "fletching> ")
                if not text and line.startswith("."):
                    if not session.command(line):
                        return 0
                    continue
                text = f"{text}\n{line}" if text else line
                if not text.rstrip().endswith(";"):
                    text = text if text.strip() else ""
                    continue
                statement, text = text.rstrip().rstrip(";"), ""
                session.ask(statement)
            except KeyboardInterrupt:
                print()
                text = ""
            except fletching.FletchingError as error:
                print(f"error: {error}", file=sys.stderr)
            except EOFError:
                print()
                return 0
    finally:
        if history is not None:
            _save_history(history)


def _load_history() -> Path | None:
    try:
        import readline
    except ImportError:  # a Python without it: lines are typed as they come
        return None
    state = Path(os.environ.get("XDG_STATE_HOME") or Path.home() / ".local/state")
    history = state / "fletching" / "sql_history"
    with contextlib.suppress(OSError):
        readline.read_history_file(history)
    return history


def _save_history(history: Path) -> None:
    import readline

    with contextlib.suppress(OSError):
        history.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        readline.set_history_length(1000)
        readline.write_history_file(history)
        history.chmod(0o600)
