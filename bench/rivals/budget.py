"""Keeps a run within its seconds: slices get shorter, tables smaller, and at last parts are left
out, rather than that the run takes longer."""

import time
from collections.abc import Sequence

from rivals.cases import Stage
from rivals.data import Table
from rivals.rival import Rival

SLICE_SECONDS_MAX = 0.25
SLICE_SECONDS_MIN = 0.01
PARTICIPANTS = 4  # in a comparison, at most
START_SECONDS = 2  # of a server, about
LEARN = 0.3  # how much the newest session says about the next


class Budget:
    """Seconds until `end`, of which `reserve` are for what comes after the sessions.

    Learns while the run goes on: how fast each rival loads, and what a comparison takes besides its
    slices (requests built, answers checked, the last call of a slow rival).
    """

    def __init__(self, seconds: float, reserve: float, rounds: int) -> None:
        self.end = time.monotonic() + seconds
        self.reserve, self.rounds = reserve, rounds
        self.overhead_seconds = 0.7  # of a comparison
        self._load_rates: dict[str, float] = {}  # rows of ten columns a second
        self._our_rate = 200_000.0  # the same of our own tables, with every row read once

    @property
    def free(self) -> float:
        return self.end - self.reserve - time.monotonic()

    def load_seconds(self, rival: Rival, table: Table) -> float:
        rate = self._load_rates.get(rival.name, rival.load_rows_per_s)
        return table.rows * width(table) / rate + START_SECONDS

    def learn_load(self, rival: Rival, table: Table, seconds: float) -> None:
        self._load_rates[rival.name] = table.rows * width(table) / max(seconds, 1e-3)

    def learn_ours(self, table: Table, seconds: float) -> None:
        self._our_rate = table.rows * width(table) / max(seconds, 1e-3)

    def learn(self, comparisons: int, seconds: float, slice_seconds: float) -> None:
        """`seconds` is what a session took without its load."""
        if comparisons:
            planned = comparisons * PARTICIPANTS * self.rounds * slice_seconds
            more = max(0.0, seconds - planned) / comparisons
            self.overhead_seconds += LEARN * (more - self.overhead_seconds)

    def slice_seconds(self, left: Sequence[tuple[Stage, Rival]], ours: set[Table]) -> float:
        """How long each may take in a round, if all that is left is to be done; `ours` are the
        tables that we have loaded."""
        comparisons = sum(len(stage.cases) * len(stage.clocks) for stage, _ in left)
        loads = sum(self.load_seconds(rival, stage.table) for stage, rival in left)
        missing = {stage.table for stage, _ in left} - ours
        loads += sum(table.rows * width(table) / self._our_rate for table in missing)
        free = self.free - loads - comparisons * self.overhead_seconds
        seconds = free / max(1, comparisons * PARTICIPANTS * (self.rounds + 1))
        return min(SLICE_SECONDS_MAX, max(SLICE_SECONDS_MIN, seconds))

    def rows(self, rival: Rival, table: Table, seconds: float) -> int:
        """As many of the rows as the rival can hold, and load in the seconds."""
        most = rival.rows_max(table.shape)
        for share in (1, 2, 5, 10, 20, 50, 100):
            fewer = Table(table.rows // share, table.shape, table.key_type)
            if fewer.rows <= most and self.load_seconds(rival, fewer) <= max(seconds, 3):
                return fewer.rows
        return table.rows // 1000


def width(table: Table) -> float:
    return max(1, len(table.shape.names) / 10)
