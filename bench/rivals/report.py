"""The results as JSON and as the part of docs/performance.md between its two markers."""

import json
import os
import platform
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from typing import Any

from rivals import cases
from rivals.all import RIVALS
from rivals.bars import all_bars, find
from rivals.cost import cost_table
from rivals.findings import Comparison, Findings

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "performance.md"
BEGIN, END = "<!-- rivals -->", "<!-- /rivals -->"
KEYS_PLOT = [
    "![latency by number of keys](plots/rivals_keys.svg)",
    "![ratios](plots/rivals_ratios.svg)",
]
COST_PLOT = ["![cost](plots/rivals_cost.svg)"]
OURS = {
    "fletching": "Fletching in the process",
    "fletching_http": "Fletching over HTTP",
    "flight_get": "Fletching, Flight DoGet",
    "flight_exchange": "Fletching, Flight DoExchange",
}
TITLES = {rival.name: rival.title for rival in RIVALS}


def write_json(findings: Findings, path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    bars = [asdict(bar) | {"verdict": bar.verdict} for bar in all_bars(findings)]
    path.write_text(json.dumps(asdict(findings) | {"bars": bars}, indent=1) + "\n")


def machine() -> str:
    model = "unknown CPU"
    with suppress(OSError):
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                model = line.partition(":")[2].strip()
                break
    return f"{os.cpu_count()} x {model}, Linux {platform.release().partition('-')[0]}"


def micros(value: float) -> str:
    return f"{value:,.1f}" if value < 100 else f"{value:,.0f}"


def row(cells: list[str]) -> str:
    return "| " + " | ".join(cells) + " |"


def ours_best(findings: Findings, name: str, clock: str, case: str = "base") -> Any:
    """Our own result of the quietest session, of those with the full number of rows."""
    found = [
        one
        for one in findings.comparisons
        if one.case == case and one.clock == clock and name in one.ours
    ]
    rows = case_rows(findings, case)
    results = [one.ours[name] for one in found if one.rows == rows]
    return min(results, key=lambda result: result.p50, default=None)


def case_rows(findings: Findings, case: str) -> int:
    """Rows of a case; a rival that could not hold or load as many has fewer."""
    return max((one.rows for one in findings.comparisons if one.case == case), default=0)


def base_table(findings: Findings) -> list[str]:
    if not findings.comparisons:
        return []
    lines = [
        "| | raw: p50 us (p99) | x HTTP | NumPy: p50 us (p99) | x in process | x HTTP |"
        " pandas: p50 us (p99) | x in process | x HTTP |",
        "|---|---|---|---|---|---|---|---|---|",
    ]

    def figure(result: Any) -> str:
        return "" if result is None else f"{micros(result.p50)} ({micros(result.p99)})"

    for name, title in OURS.items():
        figures = [figure(ours_best(findings, name, clock)) for clock in cases.CLOCKS]
        if any(figures):
            raw, numpy, pandas = (f"**{text}**" if text else "" for text in figures)
            lines.append(row([title, raw, "", numpy, "", "", pandas, "", ""]))
    for rival in RIVALS:
        found = {clock: find(findings, rival.name, "base", clock) for clock in cases.CLOCKS}
        if not any(found.values()):
            continue
        setting = next(one.setting for one in found.values() if one)
        rows = next(one.rows for one in found.values() if one)
        size = "" if rows == findings.rows else f", {cases.size_text(rows)} rows"
        cells = [f"{rival.title} (`{setting}`{size})"]
        for clock, names in (
            ("raw", ("fletching_http",)),
            ("numpy", ("fletching", "fletching_http")),
            ("pandas", ("fletching", "fletching_http")),
        ):
            one = found[clock]
            cells.append(figure(one and one.theirs))
            cells += [str(one.ratio(name)) if one else "" for name in names]
        lines.append(row(cells))
    return lines


def axis_table(findings: Findings, clock: str, ours: str, title: str) -> list[str]:
    """Ratios, a line a case and a column a rival."""
    rivals = [rival for rival in RIVALS if find(findings, rival.name, "base", clock) is not None]
    names = dict.fromkeys(one.case for one in findings.comparisons if one.stage != "settings")
    small = [one.case for one in findings.comparisons if one.stage == "settings"][:1]
    lines = [
        row([title, f"ours, us ({OURS[ours]})", *(rival.title for rival in rivals)]),
        "|---|---|" + "---|" * len(rivals),
    ]
    for case in [*names, *small]:
        best = ours_best(findings, ours, clock, case)
        if best is None:
            continue
        rows = case_rows(findings, case)
        is_said = rows == findings.rows or case in small
        cells = [case if is_said else f"{case}, {cases.size_text(rows)} rows", micros(best.p50)]
        for rival in rivals:
            one = settled(findings, rival.name, case, clock)
            if one is None or ours not in one.ours:
                cells.append("")
                continue
            fewer = "" if one.rows == rows else f", {cases.size_text(one.rows)} rows"
            cells.append(f"{one.ratio(ours)}{fewer}")
        lines.append(row(cells))
    return lines


def settled(findings: Findings, rival: str, case: str, clock: str) -> Comparison | None:
    """The comparison under the setting that counts, also where settings were tried."""
    best = findings.best_settings.get(rival)
    for one in findings.comparisons:
        if (one.rival, one.case, one.clock, one.setting) == (rival, case, clock, best):
            return one
    return None


def settings_table(findings: Findings) -> list[str]:
    lines = ["| setting | why | raw | NumPy | pandas |", "|---|---|---|---|---|"]
    for rival in RIVALS:
        for setting in rival.settings:
            tried = {
                one.clock: one
                for one in findings.comparisons
                if (one.stage, one.rival, one.setting) == ("settings", rival.name, setting.name)
            }
            if not tried:
                continue
            mark = "**" if findings.best_settings.get(rival.name) == setting.name else ""
            cells = [f"{mark}{rival.name} `{setting.name}`{mark}", setting.why]
            for clock in cases.CLOCKS:
                cells.append(micros(tried[clock].theirs.p50) if clock in tried else "")
            lines.append(row(cells))
    return lines


def embedded_table(findings: Findings) -> list[str]:
    if not findings.embedded:
        return []
    lines = [
        "| C++ call | keys | distribution, missing | store (setting) | p50 us | rounds | p99 |"
        " x ours |",
        "|---|---|---|---|---|---|---|---|",
    ]
    same = ("stage", "shape", "rows", "keys", "key_type", "distribution", "miss_ratio")
    ours = {
        tuple(line[name] for name in same): line["p50_us"]
        for line in findings.embedded
        if line["store"] == "fletching"
    }
    for line in findings.embedded:
        mine = ours.get(tuple(line[name] for name in same))
        ratio = "" if mine is None else f"{line['p50_us'] / mine:.2f} x"
        case = f"{cases.size_text(line['rows'])} x {line['shape']}, {line['key_type']}"
        spread = f"{micros(line['p50_min_us'])} to {micros(line['p50_max_us'])}"
        share = f"{line['distribution']}, {line['miss_ratio'] * 100:g} %"
        store = f"{line['store']} (`{line['setting']}`)"
        figures = [micros(line["p50_us"]), spread, micros(line["p99_us"]), ratio]
        lines.append(row([case, f"{line['keys']:,}", share, store, *figures]))
    return lines


def open_loop_table(findings: Findings) -> list[str]:
    lines = [
        "| open loop, 1,000 keys | due a second | p50 us | p90 | p99, each round |",
        "|---|---|---|---|---|",
    ]
    for rate in sorted({line["write_rows_per_s"] for line in findings.open_loop}):
        for name in ("fletching_http", "redis_blobs"):
            rounds = [
                line
                for line in findings.open_loop
                if (line["name"], line["write_rows_per_s"]) == (name, rate)
            ]
            best = min(rounds, key=lambda line: line["p99_us"])
            title = OURS.get(name) or TITLES[name]
            when = f", {rate:,} rows/s written" if rate else ""
            tails = ", ".join(micros(line["p99_us"]) for line in rounds)
            figures = [f"{best['due_per_s']:,}", micros(best["p50_us"]), micros(best["p90_us"])]
            lines.append(row([f"{title}{when}", *figures, tails]))
    return lines if findings.open_loop else []


def bars_table(findings: Findings) -> list[str]:
    lines = ["| bar | allowed | measured | |", "|---|---|---|---|"]
    for bar in all_bars(findings):
        verdict = bar.verdict if bar.is_met else "missed"
        lines.append(row([bar.what, bar.allowed, bar.measured, verdict]))
    return lines


def markdown(findings: Findings, args: Any, command: str) -> str:
    """Everything between the markers."""
    size = cases.size_text(findings.rows)
    small = cases.size_text(cases.small_rows(findings.rows))
    parts = [
        [
            f"`{command}`, {machine()}. Base case: {size} rows x 10 float32, utf8 keys, 1,000"
            " uniformly random keys.",
            "p50 of the quietest round; ratios are theirs / ours, the median of the rounds and"
            " their range. A rival's fastest",
            "setting counts. Servers have a core and their clients another.",
        ],
        *section("", base_table(findings), KEYS_PLOT),
        *section("#### Bars beside rivals", bars_table(findings)),
        *section("#### C++ calls", embedded_table(findings)),
        *section(
            "#### One axis at a time",
            axis_table(findings, "numpy", "fletching", "Python to NumPy"),
            axis_table(findings, "pandas", "fletching_http", "Python to pandas"),
            axis_table(findings, "raw", "fletching_http", "raw, to the last byte"),
        ),
        *section("#### Open loop", open_loop_table(findings)),
        *section("#### What a million rows cost", cost_table(findings, args), COST_PLOT),
        *section(f"#### Settings tried, on {small} rows, p50 us", settings_table(findings)),
        [f"- Not measured: {name}: {why}." for name, why in findings.skipped.items()],
    ]
    return "\n\n".join("\n".join(part) for part in parts if part)


def section(title: str, *parts: list[str]) -> list[list[str]]:
    """The title and its parts; nothing at all where no table has a line."""
    tables = [part for part in parts if len(part) > 2 or not part[:1] or part[0][0] != "|"]
    if not any(len(part) > 2 for part in tables):
        return []
    return [[title] if title else [], *tables]


def write_page(text: str, page: Path = PAGE) -> None:
    """Puts `text` between the markers. Errors: SystemExit when the page has none."""
    old = page.read_text()
    if old.count(BEGIN) != 1 or old.count(END) != 1:
        raise SystemExit(f"error: {page} needs the lines {BEGIN} and {END}, once each")
    head, rest = old.split(BEGIN)
    page.write_text(f"{head}{BEGIN}\n{text}\n{END}{rest.split(END)[1]}")
