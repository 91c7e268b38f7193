"""The command `fletching`: load files, look at tables, check them, run the server."""

import argparse
import json
import os
import shutil
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa

import fletching
from fletching import _bench, _cli_load, _cli_sql, _completion, _keygen

EPILOG = """\
examples:
  fletching load features docs 'exports/*.parquet' --key doc_id
  fletching load features users redis://localhost --layout hash --match 'user:*'
  fletching tables features
  fletching head features docs
  fletching get features docs a b c --columns score,clicks
  fletching sql features "SELECT count(*) FROM docs WHERE clicks > 10"
  fletching snapshot features /backup/monday
  fletching serve --data-dir features

`fletching COMMAND --help` has more of them.

Exit status: 0 all is well, 1 damage, a difference or a key that is not there, 2 an error that
stderr names, 130 Ctrl-C.
"""

# Commands for which a folder that is not there is a mistake, not one to be made.
MUST_EXIST = ("tables", "head", "get", "compact", "snapshot", "restore", "verify")

# At the end of each command's help.
EXAMPLES = {
    "load": _cli_load.EXAMPLES,
    "tables": "  fletching tables features\n  fletching tables features --json | jq '.[].name'",
    "head": "  fletching head features docs -n 3\n  fletching head features docs --json",
    "get": "  fletching get features docs a b c --columns score,clicks\n"
    "  fletching get features weather JFK,2013-01-01T05:00:00Z      # a key of two columns",
    "sql": _cli_sql.EXAMPLES,
    "compact": "  fletching compact features docs",
    "rollback": "  fletching rollback http://127.0.0.1:8080 docs    # of a server that runs\n"
    "  fletching rollback /var/lib/fletching docs",
    "promote": "  fletching promote --data-dir /var/lib/fletching --remote s3://features/prod",
    "snapshot": "  fletching snapshot features /backup/monday",
    "restore": "  fletching restore /backup/monday features",
    "inspect": "  fletching inspect features\n"
    "  fletching inspect features/tables/00000001/00000000000000000003.flman --json",
    "verify": "  fletching verify features && echo sound",
    "keygen": _keygen.EXAMPLES,
    "bench": _bench.EXAMPLES,
    "completion": _completion.EXAMPLES,
}


def main(arguments: Sequence[str] | None = None) -> int:
    given = list(sys.argv[1:] if arguments is None else arguments)
    if given[:1] == ["serve"]:  # all that follows is fletchingd's, --help too
        return serve(given[1:])
    options = _parser().parse_args(given)
    try:
        if options.command in MUST_EXIST:
            _check_folder(options.path)
        return options.run(options)
    except fletching.FletchingError as error:
        print(f"fletching: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt as stop:
        left = str(stop) or "nothing was written in part"
        print(f"\nfletching: interrupted; {left}", file=sys.stderr)
        return 130
    except BrokenPipeError:  # head, less: whoever reads has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="fletching",
        description=__doc__,
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"fletching {fletching.__version__}")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")

    def bare(name: str, run: Callable[[Any], int], text: str) -> argparse.ArgumentParser:
        added = commands.add_parser(
            name,
            help=text,
            description=f"{text[0].upper()}{text[1:]}.",
            epilog=f"examples:\n{EXAMPLES[name]}\n" if name in EXAMPLES else None,
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )
        added.set_defaults(run=run)
        return added

    def command(name: str, run: Callable[[Any], int], text: str) -> argparse.ArgumentParser:
        added = bare(name, run, text)
        added.add_argument("path", help="the data folder")
        added.add_argument("--json", action="store_true", help="answer in JSON, for programs")
        return added

    _cli_load.add_arguments(command("load", _cli_load.run, "put files or a Redis into a table"))
    command("tables", _tables, "list tables: rows, bytes, key")

    head = command("head", _head, "show some rows of a table, in no particular order")
    head.add_argument("table")
    head.add_argument("-n", "--rows", type=int, default=10, help="how many (default: 10)")

    get = command("get", _get, "show the rows of keys")
    get.add_argument("table")
    get.add_argument("key", nargs="+", help="a key; parts of a composite key with commas")
    get.add_argument("--columns", help="those wanted, with commas; all if not said")

    _cli_sql.add_arguments(bare("sql", _cli_sql.run, "ask in SQL, once or at a prompt"))

    compact = command("compact", _compact, "merge the files of a table into one")
    compact.add_argument("table")

    rollback = bare("rollback", _rollback, "show what a table held before its last load")
    rollback.add_argument("path", help="the data folder, or the URL of the server that has it open")
    rollback.add_argument("table")
    rollback.add_argument("--json", action="store_true", help="answer in JSON, for programs")

    promote = bare("promote", _promote, "make a folder the one that writes to a remote")
    promote.add_argument("--data-dir", required=True, help="empty, or a replica's that is stopped")
    promote.add_argument("--remote", required=True, help="s3://bucket/prefix")
    promote.add_argument("--remote-endpoint", default="", help="of an S3 that is not Amazon's")
    promote.add_argument("--remote-region", default="", help="of the bucket")

    snapshot = command("snapshot", _snapshot, "copy all tables into a folder of their own")
    snapshot.add_argument("target", help="a new or an empty folder")
    snapshot.add_argument("--verify", action="store_true", help="check every byte first")

    restore = command("restore", _restore, "copy a snapshot into a folder, every byte checked")
    restore.add_argument("target", help="a new or an empty folder")
    restore.add_argument("--no-verify", action="store_true", help="restore what opens, unchecked")

    inspect = command("inspect", _inspect, "show what stands in a file, or in a folder's files")
    inspect.add_argument("--all", action="store_true", help="every entry of long tables")

    command("verify", _verify, "check every checksum of every file in a folder")
    _keygen.add_arguments(bare("keygen", _keygen.run, "make a key for a server that asks for keys"))
    _bench.add_arguments(bare("bench", _bench.run, "measure loads and reads on this machine"))

    def completion(options: argparse.Namespace) -> int:
        sys.stdout.write(_completion.script(parser, options.shell))
        return 0

    _completion.add_arguments(bare("completion", completion, "print a completion script"))
    commands.add_parser("serve", help="run fletchingd; what follows goes to it", add_help=False)
    return parser


def serve(arguments: Sequence[str] | None = None) -> int:
    """Becomes fletchingd."""
    program = find_server()
    if program is None:
        print("fletching: fletchingd is not here; build it or set FLETCHINGD", file=sys.stderr)
        return 1
    rest = sys.argv[1:] if arguments is None else arguments
    os.environ.setdefault("FLETCHING_PYTHON", sys.executable)  # runs what it needs of Python
    return os.execv(program, [program, *rest])


def find_server() -> str | None:
    """The server that FLETCHINGD names, the one inside this package, or one on the PATH."""
    package = Path(fletching.__file__).parent
    bundled = package / "bin" / "fletchingd"
    return os.environ.get("FLETCHINGD") or (
        str(bundled) if bundled.exists() else shutil.which("fletchingd")
    )


def _check_folder(path: str) -> None:
    if not os.path.isdir(path):
        raise fletching.NotFoundError(f"data folder '{path}' does not exist")
    if not os.path.exists(os.path.join(path, "tables")):
        raise fletching.NotFoundError(
            f"'{path}' is no data folder: it has no folder 'tables'. Is it one above or below?"
        )


def _tables(options: argparse.Namespace) -> int:
    with fletching.open(options.path, "r") as db:
        tables = db.tables()
    if options.json:
        print(json.dumps([_table_json(table) for table in tables]))
        return 0
    width = max([len(table.name) for table in tables], default=5)
    print(f"{'table':{width}}  {'rows':>14}  {'MiB':>10}  columns  key")
    for table in tables:
        if table.damage is not None:
            print(f"{table.name:{width}}  damaged: {table.damage[1]}")
            continue
        print(
            f"{table.name:{width}}  {table.row_count:14,}  {table.disk_bytes / 2**20:10,.1f}  "
            f"{len(table.columns):7}  {', '.join(table.key)}"
        )
    return 1 if any(table.damage for table in tables) else 0


def _table_json(table: fletching.TableInfo) -> dict[str, Any]:
    if table.damage is not None:
        return {"name": table.name, "damage": table.damage[1]}
    return {
        "name": table.name,
        "row_count": table.row_count,
        "disk_bytes": table.disk_bytes,
        "version": table.version,
        "key": table.key,
        "columns": {column.name: column.dtype for column in table.columns},
    }


def _head(options: argparse.Namespace) -> int:
    with fletching.open(options.path, "r") as db:
        _print_rows(db[options.table].head(options.rows), options.json)
    return 0


def _get(options: argparse.Namespace) -> int:
    with fletching.open(options.path, "r") as db:
        table = db[options.table]
        names = table.info.key
        parts = [text.split(",") if len(names) > 1 else [text] for text in options.key]
        for text, part in zip(options.key, parts, strict=True):
            if len(part) != len(names):
                wanted = ",".join(names)
                raise fletching.InvalidArgumentError(f"key '{text}' is not of the form {wanted}")
        keys = {
            name: _typed([part[at] for part in parts], table.schema.field(name))
            for at, name in enumerate(names)
        }
        columns = options.columns.split(",") if options.columns else None
        result = table.read(keys, columns, missing="drop")
        found = result.found
    shown = pa.table({name: values.filter(pa.array(found)) for name, values in keys.items()})
    for name, column in zip(result.to_arrow().schema.names, result.to_arrow().columns, strict=True):
        shown = shown.append_column(name, column)
    _print_rows(shown, options.json)
    for text, is_found in zip(options.key, found, strict=True):
        if not is_found:
            print(f"fletching: no key '{text}'", file=sys.stderr)
    return 0 if found.all() else 1


def _typed(values: list[str], field: pa.Field) -> pa.Array:
    """Text of the command line as the key's type: numbers and ISO times are parsed."""
    try:
        return pa.array(values).cast(field.type)
    except pa.ArrowException as error:
        raise fletching.InvalidArgumentError(f"key column '{field.name}': {error}") from None


def _print_rows(rows: pa.Table, as_json: bool) -> None:
    if as_json:
        for row in rows.to_pylist():
            print(json.dumps(row, default=str))
    else:
        print(rows.to_pandas().to_string(index=False))


def _compact(options: argparse.Namespace) -> int:
    with fletching.open(options.path, "w") as db:
        before = db.table(options.table).disk_bytes
        db.compact(options.table)
        after = db.table(options.table).disk_bytes
    if options.json:
        print(json.dumps({"bytes_before": before, "bytes_after": after}))
    else:
        print(f"{before / 2**20:,.1f} MiB before, {after / 2**20:,.1f} MiB after")
    return 0


def _rollback(options: argparse.Namespace) -> int:
    is_server = "://" in options.path
    if not is_server:
        _check_folder(options.path)
    db: fletching.Client | fletching.Database
    db = fletching.connect(options.path) if is_server else fletching.open(options.path, "w")
    with db:
        db.rollback(options.table)
        generation = db.table(options.table).generation
    name = generation.name if generation is not None else ""
    if options.json:
        print(json.dumps({"generation": name}))
    else:
        print(f"{options.table} shows {name or 'what was written before it was loaded'}")
    return 0


def _promote(options: argparse.Namespace) -> int:
    flags = ["--promote", "--data-dir", options.data_dir, "--remote", options.remote]
    for name in ("remote_endpoint", "remote_region"):
        if value := getattr(options, name):
            flags += [f"--{name.replace('_', '-')}", value]
    return serve(flags)


def _snapshot(options: argparse.Namespace) -> int:
    with fletching.open(options.path, "r") as db:
        return _print_snapshot(db.snapshot(options.target, verify=options.verify), options)


def _restore(options: argparse.Namespace) -> int:
    report = fletching.restore(options.path, options.target, verify=not options.no_verify)
    return _print_snapshot(report, options)


def _print_snapshot(report: fletching.SnapshotReport, options: argparse.Namespace) -> int:
    if options.json:
        names = ("table_count", "linked_bytes", "copied_bytes", "left_out")
        print(json.dumps({name: getattr(report, name) for name in names}))
    else:
        for name in report.left_out:
            print(f"left out: table '{name}' is damaged", file=sys.stderr)
        print(
            f"{report.table_count} tables in {options.target}, {report.linked_bytes / 2**20:,.1f} "
            f"MiB linked, {report.copied_bytes / 2**20:,.1f} MiB copied"
        )
    return 1 if report.left_out else 0


def _inspect(options: argparse.Namespace) -> int:
    lines = fletching.inspect(options.path, options.all)
    if options.json:
        print(json.dumps(_inspect_json(lines)))
    else:
        is_folder = lines[0].type == "folder"
        if not is_folder:
            print(f"{'offset':>12} {'size':>10}")
        for line in lines:
            print(_inspect_text(line, is_folder))
    return 1 if any(line.problem for line in lines) else 0


def _inspect_text(line: fletching.InspectLine, is_folder: bool) -> str:
    text = "  " * line.depth + line.name
    if is_folder:
        text = f"{text}  {line.size_bytes:,} bytes" if line.type == "file" else text
    else:
        text = f"{line.offset_bytes:12} {line.size_bytes:10}  {text}"
        text = f"{text} ({line.type})" if line.type else text
    text = f"{text}  {line.value}" if line.value else text
    return f"{text}  <-- {line.problem}" if line.problem else text


def _inspect_json(lines: list[fletching.InspectLine]) -> dict[str, Any]:
    """Each line with the lines below it as its `parts`."""
    open_parts: list[dict[str, Any]] = []
    for line in lines:
        part: dict[str, Any] = {"name": line.name}
        if line.type not in ("folder", "file"):
            part["offset_bytes"] = line.offset_bytes
        part["size_bytes"] = line.size_bytes
        part |= {
            name: getattr(line, name)
            for name in ("type", "value", "problem")
            if getattr(line, name)
        }
        del open_parts[line.depth :]
        if open_parts:
            open_parts[-1].setdefault("parts", []).append(part)
        open_parts.append(part)
    return open_parts[0]


def _verify(options: argparse.Namespace) -> int:
    report = fletching.verify(options.path)
    if options.json:
        print(
            json.dumps(
                {
                    "files": report.file_count,
                    "bytes": report.checked_bytes,
                    "damage": report.damage,
                    "orphans": report.orphans,
                }
            )
        )
        return 1 if report.damage else 0
    for line in report.damage:
        print(f"damaged: {line}")
    for line in report.orphans:
        print(f"orphan:  {line}  (harmless; removed when a writer opens the folder)")
    mebibytes = report.checked_bytes / 2**20
    verdict = f"{len(report.damage)} damaged" if report.damage else "all as written"
    print(f"{report.file_count} files, {mebibytes:.1f} MiB checked: {verdict}")
    return 1 if report.damage else 0
