"""Timing in turns: who is compared takes a slice of each round, so that a noisy second falls on all
of them; and the check of every answer of a pass before any of it counts."""

import os
import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from rivals.data import KeySets

CALLS_MAX = 2000  # in one slice
CHECK_SETS_MIN = 2
CHECK_SLICES = 2  # how long the checked pass may take


class WrongAnswerError(Exception):
    """An answer that the formula contradicts: nothing of that run counts."""


@dataclass
class Slice:
    """One turn of one participant: percentiles in microseconds, and how many calls it made."""

    p50: float
    p90: float
    p99: float
    count: int


@dataclass
class Participant:
    """Who is measured: call(i) answers key set i, check(answer, i) raises WrongAnswerError.

    slice: takes over the timing, for clients that are programs of their own and check by
        themselves: slice(seconds) -> Slice.
    cpus: where this process runs meanwhile; None = anywhere.
    close: called when all turns are over.
    """

    name: str
    call: Callable[[int], Any] | None = None
    check: Callable[[Any, int], None] | None = None
    slice: Callable[[float], Slice] | None = None
    cpus: set[int] | None = None
    close: Callable[[], None] | None = None
    slices: list[Slice] = field(default_factory=list)


def percentile(ordered: Sequence[float], part: float) -> float:
    """As the yardsticks count it: the sample at `part` of the way from the first to the last."""
    return ordered[int(part * (len(ordered) - 1))]


def summarise(micros: list[float]) -> Slice:
    ordered = sorted(micros)
    p50, p90, p99 = (percentile(ordered, part) for part in (0.5, 0.9, 0.99))
    return Slice(p50, p90, p99, len(ordered))


def run_on(cpus: set[int] | None) -> None:
    """Moves this thread; threads that others keep in this process stay where they are."""
    os.sched_setaffinity(0, cpus or ALL_CPUS)


ALL_CPUS = os.sched_getaffinity(0)
CPUS = sorted(ALL_CPUS)
# A core for the server and one for the client, where there are two.
SERVER_CPUS = {CPUS[0]} if len(CPUS) > 1 else None
CLIENT_CPUS = {CPUS[1]} if len(CPUS) > 1 else None


def check_pass(participant: Participant, sets: int, seconds: float) -> None:
    """Every key set once, or as many as the seconds allow, each answer compared whole."""
    if participant.call is None:
        return
    end = time.monotonic() + seconds
    for index in range(sets):
        participant.check(participant.call(index), index)
        if index + 1 >= CHECK_SETS_MIN and time.monotonic() > end:
            return


def time_slice(participant: Participant, sets: int, seconds: float) -> Slice:
    """Calls one after another for so long; the last answer is checked too."""
    if participant.slice is not None:
        return participant.slice(seconds)
    micros: list[float] = []
    end = time.monotonic() + seconds
    first = sum(s.count for s in participant.slices)  # go on where the last turn stopped
    answer, index = None, 0
    while len(micros) < CALLS_MAX and (len(micros) < 3 or time.monotonic() < end):
        index = (first + len(micros)) % sets
        start = time.perf_counter_ns()
        answer = participant.call(index)
        micros.append((time.perf_counter_ns() - start) / 1000)
    participant.check(answer, index)
    return summarise(micros)


def take_turns(
    participants: list[Participant], sets: int, rounds: int, seconds: float
) -> dict[str, "Result"]:
    """Checks everyone, then `rounds` rounds in which each has `seconds`. -> results by name.

    Errors: WrongAnswerError, of the first who answers wrongly.
    """
    try:
        for participant in participants:
            run_on(participant.cpus)
            check_pass(participant, sets, CHECK_SLICES * seconds)
        for _ in range(rounds):
            for participant in participants:
                run_on(participant.cpus)
                participant.slices.append(time_slice(participant, sets, seconds))
    finally:
        run_on(None)
        for participant in participants:
            if participant.close is not None:
                participant.close()
    return {p.name: Result.of(p.slices) for p in participants}


@dataclass
class Result:
    """What one participant took in one case, in microseconds. p50 is that of its quietest round;
    p90 and p99 are the median of the rounds' own."""

    p50: float
    p90: float
    p99: float
    rounds: list[float]
    count: int

    @classmethod
    def of(cls, slices: list[Slice]) -> "Result":
        rounds = [s.p50 for s in slices]
        p90 = statistics.median(s.p90 for s in slices)
        p99 = statistics.median(s.p99 for s in slices)
        return cls(min(rounds), p90, p99, rounds, sum(s.count for s in slices))


@dataclass
class Ratio:
    """How many times as long `other` took as `ours`, round by round: median and range."""

    median: float
    least: float
    most: float

    @classmethod
    def of(cls, other: Result, ours: Result) -> "Ratio":
        ratios = [a / b for a, b in zip(other.rounds, ours.rounds, strict=True)]
        return cls(statistics.median(ratios), min(ratios), max(ratios))

    def __str__(self) -> str:
        return f"{self.median:.3g} x ({self.least:.3g} to {self.most:.3g})"


class Checks:
    """Compares answers with the formula."""

    def __init__(self, sets: KeySets) -> None:
        self._sets = sets

    def expected(self, index: int) -> np.ndarray:
        return self._sets.expected_floats(index)

    def matrix(self, answer: np.ndarray, index: int) -> None:
        """answer: [keys, columns read], NaN where a key is not there."""
        expected = self.expected(index)
        if answer.shape != expected.shape or not np.array_equal(answer, expected, equal_nan=True):
            raise WrongAnswerError(self._difference(answer, expected, index))

    def frame(self, answer: Any, index: int) -> None:
        """answer: a DataFrame with the columns read; other columns do not matter."""
        shape = self._sets.case.table.shape
        names = shape.read_names[: len(shape.read_floats)]
        self.matrix(answer[names].to_numpy(np.float32), index)
        for column in range(shape.text_count):
            values = answer[f"t{column}"].to_list()
            wanted = self._sets.expected_texts(index, column)
            got = [value if isinstance(value, str) else None for value in values]
            if got != wanted:
                raise WrongAnswerError(f"column t{column} of key set {index} differs")

    def _difference(self, answer: np.ndarray, expected: np.ndarray, index: int) -> str:
        if answer.shape != expected.shape:
            return f"key set {index}: shape {answer.shape} where {expected.shape} was due"
        same = (answer == expected) | (np.isnan(answer) & np.isnan(expected))
        row, column = np.argwhere(~same)[0]
        key = self._sets.keys[index][row]
        return (
            f"key set {index}, key {key!r} at {row}, column {column}: "
            f"{answer[row, column]} where {expected[row, column]} was due"
        )
