"""The bars that concern rivals, each a ratio or a figure of this run, with its verdict."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from rivals.findings import Comparison, Findings
from rivals.measure import Ratio

SHAPES = ("200 keys x 40 columns", "1,000 keys x 100 columns", "1,000 keys x 5 floats + 3 texts")
SHAPE_NAMES = ("floats40", "floats100", "mixed")


@dataclass
class Bar:
    what: str
    allowed: str
    measured: str
    is_met: bool

    def __str__(self) -> str:
        return f"{self.what}: {self.measured}; bar {self.allowed}: {self.verdict}"

    @property
    def verdict(self) -> str:
        return "ok" if self.is_met else "MISSED"


def find(findings: Findings, rival: str, case: str, clock: str) -> Comparison | None:
    for one in findings.comparisons:
        wanted = one.rival == rival and one.case == case and one.clock == clock
        if wanted and one.stage != "settings":
            return one
    return None


def embedded(findings: Findings, store: str, **wanted: Any) -> dict[str, Any] | None:
    """The line of the C++ program for a store in the base case, but for what is said otherwise."""
    wanted = {"keys": 1000, "miss_ratio": 0, "distribution": "uniform"} | wanted
    for line in findings.embedded:
        if line["stage"] == "settings" or line["store"] != store:
            continue
        if all(line.get(name) == value for name, value in wanted.items()):
            return line
    return None


def at_least(what: str, ratio: Ratio | None, least: float) -> Iterator[Bar]:
    if ratio is not None:
        yield Bar(what, f"at least {least:g} x", str(ratio), ratio.median >= least)


def beside(findings: Findings, rival: str, case: str, clock: str, ours: str) -> Ratio | None:
    one = find(findings, rival, case, clock)
    return None if one is None else one.ratio(ours)


def python_bars(findings: Findings) -> Iterator[Bar]:
    def ratio(rival: str, clock: str, ours: str, case: str = "base") -> Ratio | None:
        return beside(findings, rival, case, clock, ours)

    yield from at_least(
        "HTTP, raw, beside Redis MGET", ratio("redis_blobs", "raw", "fletching_http"), 5
    )
    yield from at_least(
        "HTTP, raw, beside Redis hashes", ratio("redis_hash", "raw", "fletching_http"), 15
    )
    yield from at_least(
        "DoExchange, raw, beside Redis MGET", ratio("redis_blobs", "raw", "flight_exchange"), 2.5
    )
    yield from at_least(
        "Python to NumPy beside redis-py MGET", ratio("redis_blobs", "numpy", "fletching"), 12
    )
    yield from at_least(
        "Python to pandas over HTTP beside redis-py MGET",
        ratio("redis_blobs", "pandas", "fletching_http"),
        3,
    )
    for case in SHAPES:
        faster = ratio("redis_blobs", "raw", "fletching_http", case)
        yield from at_least(f"{case}, raw, beside Redis MGET", faster, 1)


def embedded_bars(findings: Findings) -> Iterator[Bar]:
    ours = embedded(findings, "fletching", shape="floats10", key_type="utf8")
    if ours is None:
        return
    for store, name, least in (("rocksdb", "RocksDB MultiGet", 5), ("lmdb", "LMDB", 2)):
        theirs = embedded(findings, store, shape="floats10", key_type="utf8")
        if theirs is not None:
            ratio = theirs["p50_us"] / ours["p50_us"]
            yield Bar(f"C++ beside {name}", f"at least {least} x", f"{ratio:.2f} x", ratio >= least)
    for shape in ("floats10", *SHAPE_NAMES):
        keys = 200 if shape == "floats40" else 1000
        mine = embedded(findings, "fletching", shape=shape, key_type="utf8", keys=keys)
        bare = embedded(findings, "bare_loop", shape=shape, key_type="utf8", keys=keys)
        if mine and bare:
            ratio = mine["p50_us"] / bare["p50_us"]
            what = f"C++, {shape}, beside the bare loop"
            yield Bar(what, "at most 1.25 x", f"{ratio:.2f} x", ratio <= 1.25)
    tail = ours["p99_us"] / ours["p50_us"]
    yield Bar("C++, p99 beside its p50", "at most 2 x", f"{tail:.2f} x", tail <= 2)
    one = embedded(findings, "fletching", shape="floats10", key_type="utf8", keys=1)
    if one is not None:
        yield Bar("C++, one key", "under 2 us", f"{one['p50_us']:.2f} us", one["p50_us"] < 2)
    bare = embedded(findings, "bare_loop", shape="floats10", key_type="utf8")
    for found in findings.comparisons:
        if bare and found.case == "base" and found.clock == "numpy":
            ratio = found.ours["fletching"].p50 / bare["p50_us"]
            what = "Python to NumPy beside the bare loop"
            yield Bar(what, "at most 2.5 x", f"{ratio:.2f} x", ratio <= 2.5)
            return


def open_loop_bars(findings: Findings) -> Iterator[Bar]:
    for rate in sorted({line["write_rows_per_s"] for line in findings.open_loop}):
        p99 = open_loop_p99(findings, rate)
        when = f" during {rate:,} rows/s of writes" if rate else ""
        ours, theirs = p99["fletching_http"], p99["redis_blobs"]
        yield Bar(
            f"p99 over HTTP, open loop at half of the peak{when}",
            "below Redis MGET's",
            f"{ours:,.0f} us beside {theirs:,.0f}",
            ours < theirs,
        )


def open_loop_p99(findings: Findings, write_rows_per_s: int) -> dict[str, float]:
    """The p99 of each door's quietest round."""
    out: dict[str, float] = {}
    for line in findings.open_loop:
        if line["write_rows_per_s"] == write_rows_per_s:
            out[line["name"]] = min(line["p99_us"], out.get(line["name"], float("inf")))
    return out


def footprint_bars(findings: Findings) -> Iterator[Bar]:
    for mark in findings.footprints:
        if mark.rival == "fletching":
            ratio = mark.disk_bytes / mark.raw_bytes
            what = "disk beside the raw bytes of keys and values"
            yield Bar(what, "at most 1.25 x", f"{ratio:.3f} x", ratio <= 1.25)
            private = mark.memory_bytes / mark.rows
            what = "private memory of the server, bytes a row"
            yield Bar(what, "at most 16", f"{private:.1f}", private <= 16)


def all_bars(findings: Findings) -> list[Bar]:
    parts = (embedded_bars, python_bars, open_loop_bars, footprint_bars)
    return [bar for part in parts for bar in part(findings)]
