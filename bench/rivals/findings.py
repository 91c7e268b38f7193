"""What a run has found: the stuff of which report, bars, cost and plots are made."""

import sys
from dataclasses import dataclass, field
from typing import Any

from rivals.measure import Ratio, Result


@dataclass
class Comparison:
    """One rival in one case by one clock, and our own in the same turns."""

    stage: str
    rival: str
    setting: str
    case: str
    rows: int
    keys: int
    clock: str
    theirs: Result
    ours: dict[str, Result]

    def ratio(self, name: str) -> Ratio | None:
        return Ratio.of(self.theirs, self.ours[name]) if name in self.ours else None


@dataclass
class Footprint:
    """Bytes that a loaded table takes in a rival, at the rows of the base case."""

    rival: str
    rows: int
    memory_bytes: int
    disk_bytes: int
    load_seconds: float
    raw_bytes: int  # keys and values, and nothing else


@dataclass
class Findings:
    """All that a run has found; what report and plots are made of."""

    rows: int
    comparisons: list[Comparison] = field(default_factory=list)
    best_settings: dict[str, str] = field(default_factory=dict)
    footprints: list[Footprint] = field(default_factory=list)
    embedded: list[dict[str, Any]] = field(default_factory=list)
    open_loop: list[dict[str, Any]] = field(default_factory=list)
    skipped: dict[str, str] = field(default_factory=dict)  # rival or part: why
    failures: list[str] = field(default_factory=list)


def say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)
