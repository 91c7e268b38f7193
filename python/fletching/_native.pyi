"""The engine, for fletching's own use; import fletching instead."""

from collections.abc import Callable, Sequence

def begin_exit() -> None:
    """What the exit handler calls."""

class Column:
    """
    One column of a table. dtype: text ("utf8", "float32", "list<float32>") or a pyarrow type.
    """

    def __init__(
        self, name: str, dtype: object, nullable: bool = True, strict: bool = True
    ) -> None: ...
    @property
    def name(self) -> str:
        """Unique in its table."""

    @property
    def dtype(self) -> str:
        """The type as text, as create_table takes it."""

    @property
    def nullable(self) -> bool:
        """Whether values may be null; keys never are."""

    @property
    def strict(self) -> bool:
        """False lets float64 be written to a float32 column, rounded."""

    def __repr__(self) -> str: ...

class Generation:
    """What a table was loaded from as a whole."""

    @property
    def name(self) -> str:
        """
        Partition and fingerprint; empty: rows that were written, after a rollback.
        """

    @property
    def loaded_time_us(self) -> int:
        """When, in microseconds since the epoch, UTC."""

    @property
    def previous(self) -> str | None:
        """Name of what a rollback would bring; None if nothing is kept."""

    @property
    def rejected(self) -> str:
        """The one that was rolled back last; empty = none."""

class TableInfo:
    """What a table is and how large."""

    @property
    def name(self) -> str:
        """Unique in its folder."""

    @property
    def row_count(self) -> int:
        """
        Rows kept: an upper bound while replaced and deleted ones wait for compaction.
        """

    @property
    def disk_bytes(self) -> int:
        """Size of its files, in bytes."""

    @property
    def segment_count(self) -> int:
        """Files that a read may have to look into."""

    @property
    def version(self) -> int:
        """Number of the newest commit."""

    @property
    def generation(self) -> Generation | None:
        """Of a table that is loaded as a whole, and takes no writes; else None."""

    @property
    def columns(self) -> list[Column]:
        """Every column, in the order of the schema."""

    @property
    def key(self) -> list[str]:
        """Names of the columns that identify a row."""

    @property
    def value_names(self) -> list[str]:
        """
        Names of all other columns, in the order of the schema: what a read gives by itself.
        """

    @property
    def event_time(self) -> str:
        """
        The column whose newest value of a key wins; empty if the last write does.
        """

    @property
    def ttl_ms(self) -> int:
        """Milliseconds after which a row reads as missing; 0 = never."""

    @property
    def damage(self) -> tuple[str, str] | None:
        """(code, message) where its files are damaged, else None."""

    def __arrow_c_schema__(self) -> object: ...
    def __repr__(self) -> str: ...

class Answer:
    """Rows of a read, in the order of the keys."""

    @property
    def row_count(self) -> int: ...
    @property
    def column_count(self) -> int: ...
    @property
    def column_names(self) -> list[str]: ...
    @property
    def only_dtype(self) -> str | None:
        """
        Name of the dtype that every column has in pandas, if it is one of a matrix.
        """

    def plain_arrays(self) -> dict:
        """
        Columns of numbers without nulls as NumPy arrays over the same memory, by name.
        """

    @property
    def found_count(self) -> int: ...
    @property
    def found_bits(self) -> bytes:
        """Bit i = key i was found; lowest bit first."""

    @property
    def version(self) -> int: ...
    def write_matrix(self, out: object, fill: float | None = None) -> None:
        """
        Columns as a matrix of [rows, columns] into `out`, a writable array or tensor.
        """

    def __arrow_c_array__(self, requested_schema: object | None = None) -> object: ...

def write_matrix(batch: object, out: object, fill: float | None = None) -> None:
    """The same for a batch of the Arrow interface."""

class VerifyReport:
    """What a check of every byte has found."""

    @property
    def file_count(self) -> int:
        """Files read."""

    @property
    def checked_bytes(self) -> int:
        """Bytes held against their checksums."""

    @property
    def damage(self) -> list[str]:
        """One line for each damaged place: file, offset, what is wrong."""

    @property
    def orphans(self) -> list[str]:
        """
        Files that belong to no table: harmless, gone when a writer opens the folder.
        """

class SnapshotReport:
    """What a snapshot is made of."""

    @property
    def table_count(self) -> int:
        """Tables copied."""

    @property
    def linked_bytes(self) -> int:
        """In files that are shared with the original."""

    @property
    def copied_bytes(self) -> int:
        """In files of its own."""

    @property
    def left_out(self) -> list[str]:
        """Damaged tables, by name."""

class RowBatch:
    """One batch of a scan."""

    def __arrow_c_array__(self, requested_schema: object | None = None) -> object: ...

class RowStream:
    """Rows of a scan, to be taken once."""

    def __arrow_c_schema__(self) -> object: ...
    def next_batch(self) -> RowBatch | None: ...

class InspectLine:
    """One thing that stands in a file."""

    @property
    def depth(self) -> int:
        """Lines of a part follow it, one deeper."""

    @property
    def name(self) -> str:
        """Of a field, a part or a file."""

    @property
    def offset_bytes(self) -> int:
        """Where it begins in the file."""

    @property
    def size_bytes(self) -> int:
        """How long it is."""

    @property
    def type(self) -> str:
        """ "u64", "text", "SegmentFooter"."""

    @property
    def value(self) -> str:
        """What stands there; may be empty."""

    @property
    def problem(self) -> str:
        """What is wrong; empty = nothing."""

class MemoryUsage:
    """How segments are kept under a memory budget, in bytes of their files."""

    @property
    def budget_bytes(self) -> int:
        """0: there is none; all else is 0 then."""

    @property
    def index_bytes(self) -> int:
        """Key indexes, and all else that is no row: in memory."""

    @property
    def mapped_row_bytes(self) -> int:
        """Rows of segments that are kept in memory whole."""

    @property
    def cold_row_bytes(self) -> int:
        """Rows of segments that are read from the disk."""

    @property
    def row_cache_bytes(self) -> int:
        """Memory for such rows of these as are used."""

class Engine:
    """Tables in one folder."""

    def __init__(self, path: str, mode: str, memory_budget_bytes: int = 0) -> None: ...
    def close(self) -> None: ...
    def create_table(
        self, name: str, columns: Sequence[Column], key: Sequence[str], event_time: str, ttl_ms: int
    ) -> None: ...
    def drop_table(self, name: str) -> None: ...
    def get_table(self, name: str) -> TableInfo: ...
    def list_tables(self) -> list[TableInfo]: ...
    def memory_usage(self) -> MemoryUsage: ...
    def write(
        self, table: str, source: object, patch: bool, progress: Callable | None = None
    ) -> tuple[int, int]:
        """
        progress: called now and then with the rows taken so far. -> (rows given, commit number)
        """

    def delete(
        self, table: str, keys: list, event_time_us: int | None = None
    ) -> tuple[int, int]: ...
    def read(
        self, table: str, keys: list, columns: Sequence[str] | None = None, hits_only: bool = False
    ) -> Answer: ...
    def read_many(self, reads: Sequence[tuple]) -> list[Answer]:
        """reads: of (table, keys, columns, hits_only)."""

    def read_into(
        self, table: str, keys: list, columns: Sequence[str], out: object, fill: float | None = None
    ) -> None:
        """Into `out`, a writable array or tensor of shape [keys, columns]."""

    def abandon(self) -> None:
        """After a fork, in the child: forget this engine."""

    def scan(
        self, table: str, columns: Sequence[str] | None = None, limit_rows: int = -1
    ) -> RowStream: ...
    def sql(self, query: str, parameters: list, timeout_ms: int, rows_max: int) -> RowStream:
        """parameters: of (name, value); 0: the default time, any number of rows."""

    def add_column(self, table: str, column: Column) -> None: ...
    def widen_column(self, table: str, column: Column) -> None: ...
    def compact(self, table: str) -> None: ...
    def roll_back(self, table: str) -> None: ...
    def flush(self, table: str) -> None: ...
    def snapshot(self, dir: str, verify: bool) -> SnapshotReport: ...
    @staticmethod
    def inspect(path: str, show_all: bool) -> list[InspectLine]: ...
    @staticmethod
    def verify(path: str) -> VerifyReport: ...

class KeyArray:
    """Keys of one column."""

    def __len__(self) -> int: ...
    def __arrow_c_array__(self, requested_schema: object | None = None) -> object: ...

def text_array(values: list) -> KeyArray | None:
    """A list of str as one utf8 array; None if it holds anything else."""

class Call:
    """A request to a server and its answer."""

    def run(self) -> None:
        """Waits until it is done."""

    def advance(self) -> str:
        """
        Goes on without waiting. -> "done", or what to wait for: "read" or "write".
        """

    @property
    def began(self) -> bool:
        """Whether a byte of the request has left."""

    @property
    def safe_to_repeat(self) -> bool: ...
    def restart(self) -> None:
        """After an error, if it had not begun: run it again."""

    @property
    def descriptor(self) -> int: ...
    @property
    def timeout_seconds(self) -> float: ...
    def raise_timed_out(self) -> None: ...
    def text(self) -> bytes: ...
    def written(self) -> tuple[int, int]:
        """-> (rows given, commit number)"""

    def rows(self) -> RowStream:
        """Of a scan; once."""

    def answer(self, key_count: int, hits_only: bool) -> Answer: ...
    @property
    def body_range(self) -> tuple[int, int]:
        """(address, bytes) of the received body."""

class Remote:
    """A server, and connections to it."""

    def __init__(
        self,
        host: str,
        port: int,
        connect_timeout_ms: int,
        timeout_ms: int,
        idle_connections_max: int,
        api_key: str = "",
        tls_ca: str | None = None,
    ) -> None:
        """
        tls_ca: file of trusted certificates, "" for the system's; None for plain text.
        """

    @property
    def where(self) -> str: ...
    def start(
        self,
        method: str,
        target: str,
        body: bytes | None = None,
        content_type: str = "",
        safe_to_repeat: bool = True,
    ) -> Call: ...
    def start_fetch(
        self, target: str, names: Sequence[str], keys: list, columns: Sequence[str] | None = None
    ) -> Call: ...
    def start_delete(
        self, target: str, names: Sequence[str], keys: list, event_time_us: int | None = None
    ) -> Call: ...
    def start_write(self, target: str, source: object, progress: Callable | None = None) -> Call:
        """
        progress: called now and then with the rows taken so far; may raise to end it.
        """

    def start_scan(self, target: str) -> Call: ...
    def start_sql(self, target: str, body: bytes) -> Call: ...

def read_table_info(json: bytes) -> TableInfo: ...
def error_table() -> list:
    """
    (code, HTTP status, name of the Python exception) of every error, for tests.
    """
