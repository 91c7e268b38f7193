"""Iceberg tables that pyiceberg wrote, and delete files, which it does not write: those are added
to manifests by its own writer classes."""

import time
import uuid
from collections.abc import Callable

import pyarrow as pa
import pyarrow.parquet as pq
from pyiceberg.catalog.sql import SqlCatalog
from pyiceberg.io.pyarrow import PyArrowFileIO
from pyiceberg.manifest import (
    DataFile,
    DataFileContent,
    ManifestContent,
    ManifestEntry,
    ManifestEntryStatus,
    ManifestWriterV2,
    write_manifest_list,
)
from pyiceberg.table import Table
from pyiceberg.table.snapshots import Operation, Snapshot, Summary
from pyiceberg.table.update import (
    AddSnapshotUpdate,
    AssertRefSnapshotId,
    SetSnapshotRefUpdate,
)
from pyiceberg.typedef import Record
from s3_gateway import BUCKET, Gateway

PATH_ID, POSITION_ID = 2147483546, 2147483545  # reserved by the specification
SCHEMA = pa.schema([("id", pa.string()), ("score", pa.float32())])


def rows(scores: dict[str, float]) -> pa.Table:
    return pa.table({"id": list(scores), "score": list(scores.values())}, schema=SCHEMA)


class Files(PyArrowFileIO):
    """Writes into the folder that is the gateway's bucket: it refuses Arrow's uploads in parts, and
    what Arrow asks on a connection after an upload. Whoever is tested reads through S3."""

    @staticmethod
    def parse_location(location: str, properties: dict[str, str] | None = None) -> tuple:
        if location.startswith("s3://"):
            return "file", "", f"{properties['tests.folder']}/{location[len('s3://') :]}"
        return PyArrowFileIO.parse_location(location)


class Warehouse:
    """A catalog in SQLite over a folder or a bucket."""

    def __init__(self, folder, gateway: Gateway | None = None):
        self.gateway = gateway
        self.properties = {"type": "sql", "uri": f"sqlite:///{folder}/catalog.db"}
        if gateway is None:
            warehouse = f"file://{folder}/warehouse"
        else:
            warehouse = f"s3://{BUCKET}/{uuid.uuid4().hex}"
            self.properties |= {"s3.endpoint": gateway.endpoint, "s3.region": gateway.region}
        self.properties["warehouse"] = warehouse
        files = {"py-io-impl": f"{Files.__module__}.{Files.__name__}"}
        files["tests.folder"] = str(gateway.folder if gateway else "")
        self.catalog = SqlCatalog("tests", **self.properties, **files)
        self.catalog.create_namespace("db")

    def create(self, name: str = "docs", schema: pa.Schema = SCHEMA, **options) -> Table:
        return self.catalog.create_table(f"db.{name}", schema=schema, **options)


def write_file(table: Table, content: pa.Table, ids: dict[str, int]) -> str:
    """A Parquet file in the table's folder, its columns with these field ids."""
    fields = [
        pa.field(field.name, field.type, metadata={b"PARQUET:field_id": str(ids[field.name])})
        for field in content.schema
    ]
    location = f"{table.location()}/data/{uuid.uuid4().hex}.parquet"
    with table.io.new_output(location).create() as sink:
        pq.write_table(content.cast(pa.schema(fields)), sink)
    return location


def position_deletes(table: Table, places: list[tuple[str, int]]) -> DataFile:
    """places: data file and row in it."""
    content = pa.table(
        {
            "file_path": [path for path, _ in places],
            "pos": pa.array([position for _, position in places], pa.int64()),
        }
    )
    location = write_file(table, content, {"file_path": PATH_ID, "pos": POSITION_ID})
    return delete_file(table, location, DataFileContent.POSITION_DELETES, len(places))


def equality_deletes(table: Table, ids: list[str]) -> DataFile:
    """Every row with one of these ids."""
    field = table.schema().find_field("id").field_id
    location = write_file(table, pa.table({"id": ids}), {"id": field})
    return delete_file(table, location, DataFileContent.EQUALITY_DELETES, len(ids), [field])


def delete_file(
    table: Table,
    location: str,
    content: DataFileContent,
    count: int,
    equality_ids: list[int] | None = None,
    file_format: str = "PARQUET",
) -> DataFile:
    made = DataFile.from_args(
        content=content,
        file_path=location,
        file_format=file_format,
        partition=Record(),
        record_count=count,
        file_size_in_bytes=1000,
        equality_ids=equality_ids,
    )
    made.spec_id = table.spec().spec_id
    return made


class DeleteManifestWriter(ManifestWriterV2):
    """pyiceberg's own writer, for the kind of manifest that it has no use for."""

    def content(self) -> ManifestContent:
        return ManifestContent.DELETES

    @property
    def _meta(self) -> dict[str, str]:
        return {**super()._meta, "content": "deletes"}


def commit_deletes(table: Table, deletes: list[DataFile]) -> None:
    """A snapshot with the data of the one before and these delete files."""
    before = table.current_snapshot()
    sequence = table.metadata.last_sequence_number + 1
    snapshot_id = table.metadata.new_snapshot_id()
    output = table.io.new_output(f"{table.location()}/metadata/{uuid.uuid4().hex}-m0.avro")
    with DeleteManifestWriter(table.spec(), table.schema(), output, snapshot_id, "null") as writer:
        for each in deletes:
            writer.add(
                ManifestEntry.from_args(
                    status=ManifestEntryStatus.ADDED, snapshot_id=snapshot_id, data_file=each
                )
            )
    manifests = [*before.manifests(table.io), writer.to_manifest_file()]
    location = f"{table.location()}/metadata/snap-{snapshot_id}.avro"
    output = table.io.new_output(location)
    with write_manifest_list(
        2, output, snapshot_id, before.snapshot_id, sequence, "null"
    ) as listing:
        listing.add_manifests(manifests)
    snapshot = Snapshot(
        snapshot_id=snapshot_id,
        parent_snapshot_id=before.snapshot_id,
        sequence_number=sequence,
        timestamp_ms=int(time.time() * 1000) + 1,
        manifest_list=location,
        summary=Summary(Operation.DELETE),
        schema_id=table.metadata.current_schema_id,
    )
    show = SetSnapshotRefUpdate(ref_name="main", type="branch", snapshot_id=snapshot_id)
    transaction = table.transaction()
    transaction._apply(
        (AddSnapshotUpdate(snapshot=snapshot), show),
        (AssertRefSnapshotId(ref="main", snapshot_id=before.snapshot_id),),
    )
    transaction.commit_transaction()
    table.refresh()


def data_files(table: Table) -> list[str]:
    return sorted(task.file.file_path for task in table.scan().plan_files())


def change_schema(table: Table, change: Callable) -> None:
    with table.update_schema(allow_incompatible_changes=True) as update:
        change(update)
