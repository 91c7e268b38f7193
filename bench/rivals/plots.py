"""Three plots, each as PNG and SVG: latency by number of keys, ratios, and cost."""

from pathlib import Path
from typing import Any

from rivals.all import RIVALS
from rivals.bars import find
from rivals.cost import places
from rivals.findings import Findings

OURS_COLOUR, THEIRS_COLOUR = "#c0392b", "#7f8c8d"


def draw(findings: Findings, args: Any, folder: Path) -> list[Path]:
    """Errors: ImportError without matplotlib. -> the files written."""
    import matplotlib

    matplotlib.use("Agg")
    matplotlib.rcParams["svg.hashsalt"] = "fletching"  # the same picture, the same bytes
    folder.mkdir(parents=True, exist_ok=True)
    figures = {
        "rivals_keys": latency_by_keys(findings),
        "rivals_ratios": ratios(findings),
        "rivals_cost": costs(findings, args),
    }
    files = []
    for name, figure in figures.items():
        if figure is None:
            continue
        figure.tight_layout()
        for kind in ("png", "svg"):
            path = folder / f"{name}.{kind}"
            figure.savefig(path, dpi=110, metadata={"Date": None} if kind == "svg" else None)
            files.append(path)
    return files


def latency_by_keys(findings: Findings) -> Any:
    """Python to a matrix, both axes logarithmic."""
    from matplotlib.figure import Figure

    lines: dict[str, dict[int, float]] = {}
    for one in findings.comparisons:
        by_keys = one.case == "base" or one.case.endswith((" key", " keys"))
        if one.stage != "base" or one.clock != "numpy" or not by_keys:
            continue
        lines.setdefault(one.rival, {})[one.keys] = one.theirs.p50
        for name, result in one.ours.items():
            mine = lines.setdefault(name, {})
            mine[one.keys] = min(result.p50, mine.get(one.keys, float("inf")))
    if not lines:
        return None
    figure = Figure(figsize=(8, 5))
    axes = figure.subplots()
    for name in sorted(lines, key=lambda name: not name.startswith("fletching")):
        ours = name.startswith("fletching")
        keys = sorted(lines[name])
        axes.loglog(
            keys,
            [lines[name][count] for count in keys],
            marker="o",
            label=name,
            linewidth=2.5 if ours else 1.2,
            color=OURS_COLOUR if ours else None,
            linestyle="--" if name == "fletching_http" else "-",
        )
    axes.set_xlabel("keys in one request")
    axes.set_ylabel("p50, us")
    axes.set_title("Python, list of keys to NumPy matrix, 10 float32 columns")
    axes.grid(True, which="both", alpha=0.2)
    axes.legend(fontsize=8)
    return figure


def ratios(findings: Findings) -> Any:
    """How many times as long each rival takes in the base case, with the range of the rounds."""
    from matplotlib.figure import Figure

    shown = (("raw", "fletching_http"), ("numpy", "fletching"), ("pandas", "fletching"))
    found = {
        rival.name: [find(findings, rival.name, "base", clock) for clock, _ in shown]
        for rival in RIVALS
    }
    names = [name for name, ones in found.items() if any(ones)]
    if not names:
        return None
    figure = Figure(figsize=(8, 2 + 0.7 * len(names)))
    axes = figure.subplots()
    for place, (clock, ours) in enumerate(shown):
        at, widths, low, high = [], [], [], []
        for line, name in enumerate(names):
            one = found[name][place]
            if one is None:
                continue
            ratio = one.ratio(ours)
            at.append(line + 0.27 * (place - 1))
            widths.append(ratio.median)
            low.append(ratio.median - ratio.least)
            high.append(ratio.most - ratio.median)
        label = f"{clock} beside {ours}"
        axes.barh(at, widths, 0.25, xerr=[low, high], label=label, error_kw={"elinewidth": 0.8})
    axes.set_yticks(range(len(names)), names)
    axes.invert_yaxis()
    axes.set_xscale("log")
    axes.axvline(1, color=OURS_COLOUR)
    axes.set_xlabel("1,000 keys: times as long as Fletching (1 = as fast)")
    axes.legend(fontsize=8, loc="lower right", bbox_to_anchor=(1, 1.01), ncols=3)
    return figure


def costs(findings: Findings, args: Any) -> Any:
    from matplotlib.figure import Figure

    shown = places(findings)
    if not shown:
        return None
    figure = Figure(figsize=(8, 1.5 + 0.4 * len(shown)))
    axes = figure.subplots()
    colours = [OURS_COLOUR if p.name.startswith("fletching") else THEIRS_COLOUR for p in shown]
    axes.barh([p.name for p in shown], [p.price(args) for p in shown], color=colours)
    axes.invert_yaxis()
    axes.set_xlabel("USD a month for a million rows, at the assumed prices")
    return figure
