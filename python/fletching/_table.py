"""One table of a database, for looking at it: `db["docs"]`."""

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.compute as pc

from fletching._errors import InvalidArgumentError
from fletching._native import TableInfo
from fletching._result import ReadResult

if TYPE_CHECKING:
    from fletching._store import Store


class Table:
    """A name and the database it is in; holds nothing, so it never goes stale."""

    def __init__(self, store: "Store", name: str) -> None:
        self._store = store
        self.name = name
        """As the database knows it."""

    @property
    def info(self) -> TableInfo:
        """Key, columns, bytes on disk, version."""
        return self._store.table(self.name)

    @property
    def schema(self) -> pa.Schema:
        """The columns as pyarrow sees them."""
        return self._store.schema(self.name)

    @property
    def count(self) -> int:
        """Rows that a scan would give. Reads the key columns of all of them; `info.row_count` is an
        upper bound that costs nothing."""
        return sum(batch.num_rows for batch in self._store.scan(self.name, self.info.key[:1]))

    def read(self, keys: Any, columns: Sequence[str] | None = None, **options: Any) -> ReadResult:
        """As `Store.read`."""
        return self._store.read(self.name, keys, columns, **options)

    def head(self, row_count: int = 10) -> pa.Table:
        """Some rows, in no particular order. Key columns come first."""
        return self._store.scan(self.name, limit=row_count).read_all()

    def scan(
        self, columns: Sequence[str] | None = None, filter: pc.Expression | None = None
    ) -> pa.RecordBatchReader:
        """All rows as they stand now, in no particular order, batch by batch.

        filter: an expression over any columns, as `pyarrow.compute.field("score") > 0.5`; it need
            not name columns that are wanted.
        """
        if filter is None:
            return self._store.scan(self.name, columns)
        if not isinstance(filter, pc.Expression):
            raise InvalidArgumentError(
                "filter is a pyarrow.compute expression, as pc.field('score') > 0.5, not "
                f"{type(filter).__name__}"
            )
        wanted = self._store.scan(self.name, columns, limit=0).schema
        rows = self._store.scan(self.name, self.schema.names)

        def kept() -> Iterator[pa.RecordBatch]:
            for batch in rows:
                yield batch.filter(filter).select(wanted.names)

        return pa.RecordBatchReader.from_batches(wanted, kept())

    def __len__(self) -> int:
        return self.count

    def __repr__(self) -> str:
        return f"Table({self.info!r})"

    def _repr_html_(self) -> str:
        return f"<p>{_escaped(repr(self.info))}</p>" + self.head(5).to_pandas()._repr_html_()


def _escaped(text: str) -> str:
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
