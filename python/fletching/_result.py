"""What a read gives back."""

from typing import Any

import numpy as np
import pyarrow as pa

from fletching._native import Answer


class ReadResult:
    """Values for the keys of one read, row i for key i. A key that is not there has nulls.

    Holds its own memory: it stays good when the table changes or the database is closed. Speaks the
    Arrow interface, so `pyarrow.record_batch(result)` and `polars.DataFrame(result)` work as well.
    """

    def __init__(self, answer: Answer) -> None:
        self._answer = answer
        self._batch: pa.RecordBatch | None = None
        self._found: np.ndarray | None = None

    def to_arrow(self) -> pa.RecordBatch:
        """The values as they are, without a copy."""
        if self._batch is None:
            self._batch = pa.record_batch(self._answer)
        return self._batch

    def to_pandas(self) -> Any:
        """A DataFrame. Nulls become what pandas makes of them: NaN, NaT or None."""
        return self.to_arrow().to_pandas()

    def to_numpy(self) -> dict[str, np.ndarray]:
        """One array per column. No copy for numbers without nulls; integers with nulls become
        float64 with NaN, because NumPy has no null."""
        batch = self.to_arrow()
        return {
            name: column.to_numpy(zero_copy_only=False)
            for name, column in zip(batch.schema.names, batch.columns, strict=True)
        }

    @property
    def found(self) -> np.ndarray:
        """Shape: [keys], bool. Tells a key that is not there from values that are null."""
        if self._found is None:
            bits = np.frombuffer(self._answer.found_bits, np.uint8)
            self._found = np.unpackbits(bits, count=len(self), bitorder="little").view(np.bool_)
        return self._found

    @property
    def found_count(self) -> int:
        return self._answer.found_count

    @property
    def version(self) -> int:
        """Number of the newest commit that this shows."""
        return self._answer.version

    def __len__(self) -> int:
        return self._answer.row_count

    def __arrow_c_array__(self, requested_schema: Any = None) -> Any:
        return self._answer.__arrow_c_array__(requested_schema)

    def __repr__(self) -> str:
        columns = ", ".join(self.to_arrow().schema.names)
        return f"ReadResult({self.found_count} of {len(self)} keys found; {columns})"
