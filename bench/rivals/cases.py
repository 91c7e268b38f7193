"""Which cases are measured: a base case with all rivals, and one axis varied at a time."""

from dataclasses import dataclass

from rivals.data import SHAPES, Case, Table

CLOCKS = {
    "raw": "time to last byte, requests built beforehand",
    "numpy": "Python, list of keys to matrix",
    "pandas": "Python, list of keys to DataFrame",
}


@dataclass(frozen=True)
class Stage:
    """A table to load, and what is asked of it in one session of each rival."""

    name: str
    table: Table
    cases: tuple[Case, ...]
    clocks: tuple[str, ...] = tuple(CLOCKS)


def small_rows(rows: int) -> int:
    """Rows of the tables on which settings are tried and shapes compared."""
    return max(rows // 10, 2_000)


def wide_rows(rows: int) -> int:
    """Rows of 500 columns: 2 kB each, in every rival at once with its copies."""
    return max(min(rows // 50, 1_000_000), 1_000)


def tuning_stage(rows: int) -> Stage:
    """One request on which every setting is tried: that of the base case, on the small table."""
    table = Table(small_rows(rows), SHAPES["floats10"])
    case = Case(f"{size_text(table.rows)} rows", table)
    return Stage("settings", table, (case,), ("raw", "numpy"))


def base_stage(rows: int) -> Stage:
    table = Table(rows, SHAPES["floats10"])
    cases = [Case("base", table)]
    cases.append(Case("1 key", table, 1))
    cases += [Case(f"{keys:,} keys", table, keys) for keys in (10, 100, 10_000)]
    cases.append(Case("Zipf", table, distribution="zipf"))
    cases.append(Case("10 % missing", table, miss_ratio=0.1))
    cases.append(Case("98 % missing", table, miss_ratio=0.98))
    return Stage("base", table, tuple(cases))


def shape_stages(rows: int) -> list[Stage]:
    small, wide = small_rows(rows), wide_rows(rows)

    def stage(case: Case) -> Stage:
        return Stage(case.name, case.table, (case,))

    return [
        stage(Case("200 keys x 40 columns", Table(small, SHAPES["floats40"]), 200)),
        stage(Case("1,000 keys x 100 columns", Table(small, SHAPES["floats100"]))),
        stage(Case("1,000 keys x 5 floats + 3 texts", Table(small, SHAPES["mixed"]))),
        stage(Case("int64 keys", Table(small, SHAPES["floats10"], "int64"))),
        stage(Case("10 of 500 columns", Table(wide, SHAPES["floats10of500"]))),
    ]


def size_text(rows: int) -> str:
    """1000000 -> "1 M", 20000 -> "20 k"."""
    for unit, name in ((1_000_000, " M"), (1_000, " k")):
        if rows >= unit:
            return f"{rows / unit:.3g}{name}"
    return str(rows)
