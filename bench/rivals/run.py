"""Drives a run: sessions of rivals beside our own tables, in turns, within a budget of seconds."""

import contextlib
import gc
import math
import os
import shutil
import time
import traceback
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from rivals import cases
from rivals.budget import SLICE_SECONDS_MIN, Budget
from rivals.cases import Stage
from rivals.data import Case, Table
from rivals.findings import Comparison, Findings, Footprint, say
from rivals.fletching_host import FletchingHost
from rivals.measure import Checks, Participant, take_turns
from rivals.rival import Rival, Session, Setting
from rivals.servers import folder_bytes

HOSTS_MAX = 2  # tables of ours that stay on the disk at once


class Run:
    def __init__(self, args: Any, work: Path, daemon: Path) -> None:
        self.args, self.work, self.daemon = args, work, daemon
        self.findings = Findings(args.rows)
        self.rounds = 1 if args.smoke else args.rounds
        # The reserve: C++ calls, open loop, plots.
        self.budget = Budget(args.budget_s, 0.15 * args.budget_s, self.rounds)
        self._hosts: dict[Table, tuple[FletchingHost, contextlib.ExitStack]] = {}

    def close(self) -> None:
        for table in list(self._hosts):
            self._drop_host(table)

    # -- our own tables ---------------------------------------------------------------------------

    def host(self, table: Table) -> FletchingHost:
        """A table of ours, loaded and served; the oldest goes when there are too many."""
        if table not in self._hosts:
            while len(self._hosts) >= HOSTS_MAX:
                self._drop_host(next(iter(self._hosts)))
            folder = self.work / f"fletching-{table.rows}-{table.shape.name}-{table.key_type}"
            host = FletchingHost(table, folder, self.work, self.daemon)
            say(
                f"  loading {cases.size_text(table.rows)} rows of {table.shape.name} into Fletching"
            )
            stack = contextlib.ExitStack()
            stack.callback(shutil.rmtree, folder, ignore_errors=True)
            start = time.monotonic()
            host.load()
            stack.enter_context(host.serve())
            host.warm()
            self.budget.learn_ours(table, time.monotonic() - start)
            self._hosts[table] = (host, stack)
        return self._hosts[table][0]

    def _drop_host(self, table: Table) -> None:
        self._hosts.pop(table)[1].close()

    # -- sessions ---------------------------------------------------------------------------------

    @contextlib.contextmanager
    def session(self, rival: Rival, setting: Setting, table: Table) -> Iterator[Session]:
        folder = self.work / rival.name
        folder.mkdir()
        os.chmod(folder, 0o777)  # a server may run as another user
        try:
            with rival.open(setting, table, folder) as session:
                self.budget.learn_load(rival, table, session.load_seconds)
                session.disk_bytes = session.disk_bytes or folder_bytes(folder)
                yield session
        finally:
            shutil.rmtree(folder, ignore_errors=True)
            gc.collect()

    def fit(self, rival: Rival, stage: Stage) -> Stage:
        """The stage with as many rows as the rival can take, now."""
        share = 3 if stage.name == "base" else 6
        rows = self.budget.rows(rival, stage.table, self.budget.free / share)
        if rows == stage.table.rows or self.args.smoke:
            return stage
        table = Table(rows, stage.table.shape, stage.table.key_type)
        moved = (Case(c.name, table, c.keys, c.distribution, c.miss_ratio) for c in stage.cases)
        return Stage(stage.name, table, tuple(moved), stage.clocks)

    def compare(self, stage: Stage, rival: Rival, setting: Setting, seconds: float) -> list:
        """A session of one rival: every case of the stage by every clock that it knows."""
        host = self.host(stage.table)
        found = []
        with self.session(rival, setting, stage.table) as session:
            start = time.monotonic()
            if stage.name == "base":
                self.note_footprint(rival.name, stage.table, session)
                if not any(mark.rival == "fletching" for mark in self.findings.footprints):
                    self.note_footprint("fletching", stage.table, host)
            for case in stage.cases:
                if found and self.budget.free < 0 and not self.args.smoke:
                    why = "no time left"
                    self.findings.skipped[f"{rival.name}, {stage.name}, {case.name}"] = why
                    break
                sets = case.draw(self.args.seed, self.args.smoke)
                for clock in stage.clocks:
                    theirs = participant(rival.name, session, clock, sets)
                    if theirs is None:
                        continue
                    if stage.table.shape.text_count and clock == "numpy":
                        continue
                    ours = host.participants(clock, sets, stage.name != "settings")
                    turns = [*ours, theirs]
                    results = take_turns(turns, len(sets), self.rounds, seconds)
                    mine = {name: r for name, r in results.items() if name != rival.name}
                    found.append(
                        Comparison(
                            stage.name,
                            rival.name,
                            setting.name,
                            case.name,
                            stage.table.rows,
                            case.keys,
                            clock,
                            results[rival.name],
                            mine,
                        )
                    )
            self.budget.learn(len(found), time.monotonic() - start, seconds)
            say(f"  {rival.name} [{setting.name}] {one_line(found)}")
            if stage.name == "base" and rival.name == "redis_blobs" and self.args.open_loop:
                from rivals.open_loop import open_loops

                self.findings.open_loop += open_loops(host, session, self.args)
        return found

    def note_footprint(self, name: str, table: Table, loaded: Any) -> None:
        memory, disk, seconds = loaded.memory_bytes, loaded.disk_bytes, loaded.load_seconds
        mark = Footprint(name, table.rows, memory, disk, seconds, table.raw_bytes)
        self.findings.footprints.append(mark)

    # -- the plan ---------------------------------------------------------------------------------

    def all(self, rivals: list[Rival]) -> None:
        """Settings first, then the base case of all rivals, then the other tables."""
        tuning = cases.tuning_stage(self.args.rows)
        later = [cases.base_stage(self.args.rows), *cases.shape_stages(self.args.rows)]
        if self.args.cases:
            wanted = self.args.cases.split(",")
            later = [stage for stage in later if any(w in stage.name for w in wanted)]
        jobs: list[tuple[Stage, Rival, Setting | None]]
        jobs = [(tuning, rival, setting) for rival in rivals for setting in rival.settings]
        jobs += [(stage, rival, None) for stage in later for rival in rivals]
        for at, (stage, rival, setting) in enumerate(jobs):
            free = self.budget.free
            if free < 3 and not self.args.smoke:
                self.findings.skipped[f"{rival.name}, {stage.name}"] = "no time left"
                continue
            if setting is None:
                if rival.name not in self.findings.best_settings:
                    continue
                setting = rival.setting(self.findings.best_settings[rival.name])
            left = [(s, r) for s, r, _ in jobs[at:]]
            seconds = self.budget.slice_seconds(left, set(self._hosts))
            if self.args.smoke:
                seconds = SLICE_SECONDS_MIN
            stage = self.fit(rival, stage)
            say(f"[{at + 1}/{len(jobs)}, {free:.0f} s left] {stage.name}: {rival.title}")
            self.guarded(stage, rival, setting, seconds)

    def guarded(self, stage: Stage, rival: Rival, setting: Setting, seconds: float) -> None:
        """A rival that fails does not end the run, but its failure does not go unseen either."""
        try:
            found = self.compare(stage, rival, setting, seconds)
        except Exception as error:
            where = f"{rival.name} [{setting.name}], {stage.name}"
            self.findings.failures.append(f"{where}: {type(error).__name__}: {error}")
            say(f"  FAILED: {self.findings.failures[-1]}")
            if self.args.debug:
                traceback.print_exc()
            return
        self.findings.comparisons += found
        if stage.name == "settings":
            self.choose(rival.name)

    def choose(self, rival: str) -> None:
        """The setting that is fastest beside ours, over the clocks."""
        speeds: dict[str, list[float]] = {}
        for found in self.findings.comparisons:
            if found.rival == rival and found.stage == "settings":
                ours = next(iter(found.ours))
                speeds.setdefault(found.setting, []).append(math.log(found.ratio(ours).median))
        best = min(speeds, key=lambda name: sum(speeds[name]) / len(speeds[name]))
        self.findings.best_settings[rival] = best


def participant(name: str, session: Session, clock: str, sets: Any) -> Participant | None:
    checks = Checks(sets)
    if clock == "raw":
        raw = session.raw
        return raw and Participant(name, slice=lambda seconds: raw(sets, seconds))
    if clock == "numpy":
        read, check = session.matrix, checks.matrix
    else:
        read, check = session.frame, checks.frame
    if read is None:
        return None
    return Participant(name, lambda index: read(sets.keys[index]), check, cpus=session.cpus)


def one_line(found: list[Comparison]) -> str:
    """The first case, by clock, for whoever watches."""
    parts = []
    for one in found:
        if one.case != found[0].case:
            break
        ours = next(iter(one.ours))
        ratio = one.ratio(ours).median
        parts.append(f"{one.clock} {one.theirs.p50:,.0f} us = {ratio:.3g} x {ours}")
    return "; ".join(parts)
