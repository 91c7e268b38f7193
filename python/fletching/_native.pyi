"""The engine, for fletching's own use; import fletching instead."""

from collections.abc import Callable, Sequence
from typing import Annotated

from numpy.typing import NDArray

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
    def columns(self) -> list[Column]:
        """Every column, in the order of the schema."""

    @property
    def key(self) -> list[str]:
        """Names of the columns that identify a row."""

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
    def found_count(self) -> int: ...
    @property
    def found_bits(self) -> bytes:
        """Bit i = key i was found; lowest bit first."""

    @property
    def version(self) -> int: ...
    def write_matrix(
        self,
        out: Annotated[NDArray, dict(shape=(None, None), device="cpu")],
        fill: float | None = None,
    ) -> None:
        """
        Columns as a matrix of [rows, columns] into `out`, writable and row-major.
        """

    def __arrow_c_array__(self, requested_schema: object | None = None) -> object: ...

class RowStream:
    """Rows of a scan, to be taken once."""

    def __arrow_c_stream__(self, requested_schema: object | None = None) -> object: ...

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

class Engine:
    """Tables in one folder."""

    def __init__(self, path: str, mode: str) -> None: ...
    def close(self) -> None: ...
    def create_table(
        self, name: str, columns: Sequence[Column], key: Sequence[str], event_time: str, ttl_ms: int
    ) -> None: ...
    def drop_table(self, name: str) -> None: ...
    def get_table(self, name: str) -> TableInfo: ...
    def list_tables(self) -> list[TableInfo]: ...
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
    def scan(
        self, table: str, columns: Sequence[str] | None = None, limit_rows: int = -1
    ) -> RowStream: ...
    def add_column(self, table: str, column: Column) -> None: ...
    def widen_column(self, table: str, column: Column) -> None: ...
    def compact(self, table: str) -> None: ...
    def flush(self, table: str) -> None: ...
    @staticmethod
    def verify(path: str) -> VerifyReport: ...

def error_table() -> list:
    """
    (code, HTTP status, name of the Python exception) of every error, for tests.
    """
