"""Compares answers with the truth, value by value."""

import numpy as np
import pandas as pd
import pyarrow as pa


def differences(source: pd.DataFrame, answer: pa.Table | pa.RecordBatch) -> list[str]:
    """What differs between rows of the source and an answer in the same order; empty if nothing.

    Exact: a float differs if a bit does, and a null is not a NaN.
    """
    if len(source) != answer.num_rows:
        return [f"{answer.num_rows} rows where there should be {len(source)}"]
    found = []
    for name, column in zip(answer.schema.names, answer.columns, strict=True):
        wrong = np.flatnonzero(_differs(source[name], column))
        if len(wrong):
            row = int(wrong[0])
            found.append(
                f"column {name}: {len(wrong)} values differ; in row {row} it is "
                f"{column[row].as_py()!r}, should be {source[name].iloc[row]!r}"
            )
    return found


def value_count(answer: pa.Table | pa.RecordBatch) -> int:
    return answer.num_rows * answer.num_columns


def _differs(expected: pd.Series, column: pa.Array | pa.ChunkedArray) -> np.ndarray:
    if isinstance(column, pa.ChunkedArray):
        column = column.combine_chunks()
    should_be_null = expected.isna().to_numpy()
    is_null = column.is_null().to_numpy(zero_copy_only=False)
    wrong = should_be_null != is_null
    both = ~(should_be_null | is_null)
    want = expected[both]
    have = column.filter(pa.array(both)).to_pandas()
    if isinstance(want.dtype, pd.DatetimeTZDtype):
        want, have = want.dt.as_unit("us"), have.dt.as_unit("us")
    want, have = want.to_numpy(), have.to_numpy()
    if want.dtype == have.dtype == np.float64:
        want, have = want.view(np.int64), have.view(np.int64)
    wrong[both] |= want != have
    return wrong
