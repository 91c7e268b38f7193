"""Schemas as users of Murr write them, and as tables of ours."""

from dataclasses import asdict, dataclass, field
from enum import StrEnum
from typing import Any

from fletching._native import Column, TableInfo


class DType(StrEnum):
    """Types by name. Any other type of ours is written as text: dtype="list<float32>"."""

    UTF8 = "utf8"
    BOOL = "bool"
    INT8 = "int8"
    INT16 = "int16"
    INT32 = "int32"
    INT64 = "int64"
    UINT8 = "uint8"
    UINT16 = "uint16"
    UINT32 = "uint32"
    UINT64 = "uint64"
    FLOAT32 = "float32"
    FLOAT64 = "float64"


@dataclass(kw_only=True)
class ColumnSchema:
    """One column. `key` and `strict` are those of Murr's newer generation."""

    dtype: DType | str
    nullable: bool = True
    key: bool = False
    strict: bool | None = None

    def __post_init__(self) -> None:
        names = {dtype.value for dtype in DType}
        if not isinstance(self.dtype, DType) and self.dtype in names:
            self.dtype = DType(self.dtype)

    @property
    def dtype_name(self) -> str:
        """The type as text."""
        return self.dtype.value if isinstance(self.dtype, DType) else self.dtype


@dataclass(kw_only=True)
class TableSchema:
    """A table's columns by name, and its key: one name, several, or marked at the columns."""

    columns: dict[str, ColumnSchema] = field(default_factory=dict)
    key: str | list[str] | None = None

    def __post_init__(self) -> None:
        self.columns = {
            name: column if isinstance(column, ColumnSchema) else ColumnSchema(**column)
            for name, column in self.columns.items()
        }

    @property
    def key_columns(self) -> list[str]:
        """Names of the key columns."""
        if self.key is not None:
            return [self.key] if isinstance(self.key, str) else list(self.key)
        return [name for name, column in self.columns.items() if column.key]

    def model_dump(self) -> dict[str, Any]:
        """As plain values, as pydantic's method of that name."""
        return asdict(self)

    @classmethod
    def model_validate(cls, values: dict[str, Any]) -> "TableSchema":
        """From plain values, as pydantic's method of that name."""
        return cls(**values)


def columns_of(schema: TableSchema) -> list[Column]:
    """For a new table. Columns of the older form round float64 into float32, as its README says."""
    is_older = schema.key is not None
    keys = schema.key_columns
    made = []
    for name, column in schema.columns.items():
        strict = not is_older if column.strict is None else column.strict
        nullable = column.nullable and name not in keys
        made.append(Column(name, column.dtype_name, nullable=nullable, strict=strict))
    return made


def schema_of(table: TableInfo) -> TableSchema:
    """The older form where it can say all there is, else the newer one."""
    is_older = len(table.key) == 1 and all(
        column.dtype == "utf8" for column in table.columns if column.name in table.key
    )
    columns = {}
    for column in table.columns:
        if is_older:
            columns[column.name] = ColumnSchema(dtype=column.dtype, nullable=column.nullable)
        else:
            columns[column.name] = ColumnSchema(
                dtype=column.dtype,
                nullable=column.nullable,
                key=column.name in table.key,
                strict=column.strict,
            )
    return TableSchema(columns=columns, key=table.key[0] if is_older else None)
