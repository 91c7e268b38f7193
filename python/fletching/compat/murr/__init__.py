"""The Python surface of Murr, over Fletching.

`from fletching.compat.murr import ...` takes the place of `from murr import ...`, and
`fletching.compat.murr.sync` and `.aio` that of `murr.sync` and `murr.aio`. What is raised is what
Murr's client raises: FileNotFoundError for a table that is not there, ValueError for one that is
there already, RuntimeError for all else, with Fletching's words.

Beyond it: every type that Fletching stores, keys of several columns, keys of other types, whole
tables of many batches, wider numbers and strings cast as the README of Murr expects.
"""

from fletching.compat.murr._calls import Answer
from fletching.compat.murr._schema import ColumnSchema, DType, TableSchema
from fletching.compat.murr.aio import MurrClientAsync
from fletching.compat.murr.sync import Client, Murr, MurrClientSync

__all__ = [
    "Answer",
    "Client",
    "ColumnSchema",
    "DType",
    "Murr",
    "MurrClientAsync",
    "MurrClientSync",
    "TableSchema",
]
