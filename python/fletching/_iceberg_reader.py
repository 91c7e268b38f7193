"""Reads an Iceberg table for fletchingd: `python -m fletching._iceberg_reader`, one run a question.

The question is one line of JSON on stdin. stdin stays open for as long as whoever asks lives.

    {"action": "snapshot", "metadata": "s3://b/warehouse/db/t", "table": "", "catalog": {},
     "properties": {"s3.endpoint": ...}}
    {"action": "rows", ..., "location": "s3://...metadata.json", "columns": ["id", "score"]}

`snapshot` answers one line on stdout, as every answer here in the form of a JSON body of Fletching:
{"columns": {"generation": [...], "location": [...], "text": [...]}}. `rows` answers one Arrow IPC
stream: these columns of the current snapshot of that metadata file, and no other. An error is the
last line of stderr, {"columns": {"code": [...], "message": [...]}}, and exit status 1.

What pyiceberg does not do it must refuse; see docs/decisions/0009-iceberg.md.
"""

import datetime
import json
import os
import re
import sys
import threading
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, BinaryIO, NoReturn

import pyarrow as pa
import pyarrow.fs

if TYPE_CHECKING:  # an extra: whoever runs this without it is told so
    from pyiceberg.io import FileIO
    from pyiceberg.schema import Schema
    from pyiceberg.table import FileScanTask
    from pyiceberg.table.metadata import TableMetadata

BATCH_BYTES_MAX = 32 << 20
VERSION = re.compile(r"(?:v(\d+)|(\d+)-[^/]+?)(?:\.gz)?\.metadata\.json(?:\.gz)?")
INSTALL = "pip install 'fletching[iceberg]'"


class Refused(Exception):
    """What is answered instead of rows."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


def main() -> int:
    line = sys.stdin.buffer.readline()
    # Nothing but answers may reach stdout, whatever a library prints.
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    threading.Thread(target=_end_with_parent, daemon=True).start()
    try:
        question = json.loads(line)
        if question["action"] == "snapshot":
            answers.write(_line(**describe(question)))
            answers.flush()
        else:
            write_rows(question, answers)
        answers.close()
        return 0
    except Exception as error:
        refused = explain(error)
        sys.stderr.buffer.write(b"\n" + _line(code=refused.code, message=str(refused)))
        sys.stderr.flush()
        return 1


def _end_with_parent() -> None:
    while os.read(0, 4096):
        pass
    os._exit(1)


def _line(**texts: str) -> bytes:
    return json.dumps({"columns": {name: [text] for name, text in texts.items()}}).encode() + b"\n"


def explain(error: Exception) -> Refused:
    """An exception of pyiceberg or Arrow as a code of ours and a sentence."""
    if isinstance(error, Refused):
        return error
    text = " ".join(str(error).split()) or type(error).__name__
    if isinstance(error, ImportError):
        missing = (error.name or "").split(".")[0]
        if missing == "pyiceberg":
            return Refused("unavailable", f"{sys.executable} has no pyiceberg: {INSTALL}")
        return Refused("unavailable", f"{sys.executable}: {text}; {INSTALL}")
    if isinstance(error, PermissionError):
        return Refused("unavailable", f"{text}; check the credentials and what they may read")
    if isinstance(error, OSError):
        return Refused("unavailable", text)
    name = type(error).__name__
    if name in ("NoSuchTableError", "NoSuchNamespaceError", "NoSuchIcebergTableError"):
        return Refused("not_found", text)
    if name == "ResolveError" or isinstance(error, pa.ArrowInvalid | pa.ArrowTypeError):
        return Refused("schema_mismatch", text)
    if isinstance(error, NotImplementedError):
        return Refused("unsupported", text)
    if isinstance(error, ValueError):
        return Refused("invalid_argument", text)
    return Refused("unavailable", f"{name}: {text}")


def open_files(question: dict[str, Any]) -> tuple["FileIO", str]:
    """Access to the table's files, and where its metadata file is now.

    Errors: Refused, whatever pyiceberg raises for a catalog.
    """
    from pyiceberg.catalog import load_catalog
    from pyiceberg.io.pyarrow import PyArrowFileIO

    properties = question["properties"]
    if question["catalog"]:
        catalog = dict(question["catalog"])
        name = catalog.pop("name", "default")
        table = load_catalog(name, **{**properties, **catalog}).load_table(question["table"])
        return table.io, table.metadata_location
    # Not the access that the table's own properties ask for: they come from outside.
    files = PyArrowFileIO(properties)
    return files, question.get("location") or find_metadata(files, question["metadata"])


def find_metadata(files: Any, location: str) -> str:
    """The current metadata file of a table without a catalog.

    version-hint.text says which. Without one it is the file of the highest version.
    Errors: Refused when there is none, or two of one version.
    """
    if location.endswith((".metadata.json", ".metadata.json.gz")):
        return location
    folder = location.rstrip("/") + "/metadata"
    hint = files.new_input(f"{folder}/version-hint.text")
    if hint.exists():
        with hint.open() as stream:
            named = stream.read().decode().strip()
        if named.endswith(".metadata.json"):
            return f"{folder}/{named}"
        return f"{folder}/{'v' if named.isdecimal() else ''}{named}.metadata.json"
    scheme, netloc, path = files.parse_location(folder)
    selector = pyarrow.fs.FileSelector(path, allow_not_found=True)
    versions: dict[int, list[str]] = {}
    for info in files.fs_by_scheme(scheme, netloc).get_file_info(selector):
        if found := VERSION.fullmatch(info.base_name):
            versions.setdefault(int(found[1] or found[2]), []).append(info.base_name)
    if not versions:
        raise Refused("not_found", f"{folder} holds no metadata.json of an Iceberg table")
    newest = versions[max(versions)]
    if len(newest) > 1:
        raise Refused(
            "invalid_argument",
            f"{folder} holds {len(newest)} files of its newest version ({', '.join(sorted(newest))}"
            "); which one counts only the catalog knows: set `table` and `catalog`",
        )
    return f"{folder}/{newest[0]}"


def load_metadata(files: "FileIO", location: str) -> "TableMetadata":
    from pyiceberg.serializers import FromInputFile

    return FromInputFile.table_metadata(files.new_input(location))


def describe(question: dict[str, Any]) -> dict[str, str]:
    """The current snapshot: its generation, its metadata file, and a text for the log."""
    files, location = open_files(question)
    metadata = load_metadata(files, location)
    snapshot = metadata.current_snapshot()
    if snapshot is None:
        raise Refused("not_found", f"{location}: the table has no snapshot yet")
    time = datetime.datetime.fromtimestamp(snapshot.timestamp_ms / 1000, datetime.UTC)
    moment = time.isoformat(timespec="milliseconds").replace("+00:00", "Z")
    return {
        "generation": f"{snapshot.snapshot_id}@{metadata.current_schema_id}",
        "location": location,
        "text": f"snapshot of {moment}, {location}",
    }


def write_rows(question: dict[str, Any], answers: BinaryIO) -> None:
    """One Arrow stream of the declared columns."""
    from pyiceberg.io.pyarrow import schema_to_pyarrow

    files, _ = open_files(question)
    metadata = load_metadata(files, question["location"])
    projected = select(metadata.schema(), question["columns"])
    types = schema_to_pyarrow(projected, include_field_ids=False)
    # Required columns too: whether a null may stand here is for the table's own checks.
    schema = pa.schema([pa.field(field.name, field.type) for field in types])
    with pa.ipc.new_stream(answers, schema) as writer:
        for batch in read_batches(files, metadata, projected):
            for piece in cut(batch.cast(schema)):
                writer.write_batch(piece)


def select(schema: "Schema", columns: list[str]) -> "Schema":
    names = [field.name for field in schema.fields]
    for name in columns:
        if name not in names:
            has = ", ".join(names)
            raise Refused("schema_mismatch", f"column '{name}' is missing; the table has {has}")
    projected = schema.select(*columns)
    if len(projected.fields) != len(columns):  # a name with a dot selects inside of a struct
        raise Refused("schema_mismatch", f"not every column of {columns} could be selected")
    return projected


def cut(batch: pa.RecordBatch) -> Iterator[pa.RecordBatch]:
    """Pieces small enough for whoever reads them under a budget."""
    row_bytes = max(1, batch.nbytes // max(1, batch.num_rows))
    step = max(1, BATCH_BYTES_MAX // row_bytes)
    for start in range(0, batch.num_rows, step):
        yield batch.slice(start, step)


def read_batches(
    files: "FileIO", metadata: "TableMetadata", projected: "Schema"
) -> Iterator[pa.RecordBatch]:
    """The rows of the current snapshot, file by file, deleted ones left out.

    The public calls of pyiceberg hold whole files, up to as many as there are threads; below them
    are the same steps, batch by batch. That is why its version is pinned.
    """
    from pyiceberg.expressions import AlwaysTrue
    from pyiceberg.io.pyarrow import ArrowScan, _read_all_delete_files

    tasks = plan(files, metadata)
    deletes = _read_all_delete_files(files, tasks)
    check_deletes(tasks, set(deletes))
    scan = ArrowScan(metadata, files, projected, AlwaysTrue())
    for task in sorted(tasks, key=lambda task: task.file.file_path):
        yield from scan._record_batches_from_scan_tasks_and_deletes([task], deletes)


def plan(files: "FileIO", metadata: "TableMetadata") -> list["FileScanTask"]:
    """Data files and what is deleted from each.

    Errors: Refused for equality deletes, which pyiceberg cannot apply, and for deletion vectors,
    of which it checks neither checksum nor whether one was replaced. Both say what helps.
    """
    from pyiceberg.manifest import DataFileContent, FileFormat
    from pyiceberg.table import DataScan

    try:
        tasks = list(DataScan(table_metadata=metadata, io=files).plan_files())
    except (ValueError, NotImplementedError) as error:
        if "equality delete" in str(error):
            _refuse_equality_deletes()
        raise
    for file in {file for task in tasks for file in task.delete_files}:
        if file.file_format == FileFormat.PUFFIN:
            raise Refused(
                "unsupported",
                "the snapshot has deletion vectors (format 3), which are not supported: have "
                "them applied by the engine that writes the table, or write with format 2",
            )
        if file.content != DataFileContent.POSITION_DELETES:
            _refuse_equality_deletes()
    return tasks


def _refuse_equality_deletes() -> NoReturn:
    raise Refused(
        "unsupported",
        "the snapshot has equality deletes, which are not supported: have them applied by the "
        "engine that writes the table (Spark: CALL system.rewrite_data_files with "
        "delete-file-threshold 1; Trino: OPTIMIZE), or let it write position deletes",
    )


def check_deletes(tasks: list["FileScanTask"], deleted: set[str]) -> None:
    """Positions are matched by the whole name of a file: another spelling of it is an error."""
    known = {task.file.file_path for task in tasks}
    names = {path.rpartition("/")[2]: path for path in known}
    for path in sorted(deleted - known):
        other = names.get(path.rpartition("/")[2])
        if other is not None:
            raise Refused(
                "unsupported",
                f"position deletes name the data file {other} as {path}, which is "
                "not the same text: rewrite the position deletes of the table",
            )


if __name__ == "__main__":
    code = main()
    sys.stdout.flush()
    os._exit(code)  # threads of pyiceberg that wait for a dead connection do not hold this up
