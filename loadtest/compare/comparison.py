"""A comparison while it runs, and the result that it fills."""

import os
import random
from collections.abc import Sequence
from dataclasses import asdict, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from loadtest.compare import schema, store
from loadtest.compare.analysis import capacity, measures
from loadtest.compare.analysis.measures import CLOSED_LOOP
from loadtest.compare.analysis.stopping_rule import MOST_RUNS, further
from loadtest.compare.analysis.summary import entries
from loadtest.compare.candidates import Subject
from loadtest.compare.escaping import visible_lines
from loadtest.compare.measure import load, machine, memory
from loadtest.compare.measure.load import Load
from loadtest.compare.measure.run import ROOT, CellFailedError, Laboratory
from loadtest.compare.plan import MIN_RUNS, Case, Cell, Plan, clients
from loadtest.compare.report import table
from loadtest.compare.slo import parse
from loadtest.lab.processes import InterruptedByUserError, say
from loadtest.run_warnings import Doubt

_OVERHEAD: Final = 1.7  # seconds to start and end server and generator: a first guess, until cells have been measured
_BAR: Final = 20
_MEMORY_SECONDS: Final = 5.0  # for one process; a first guess likewise
_PROBES: Final = 14  # of a search, as a rule

MEMORY_CLIENTS: Final = 1000
"""Clients up to which memory per client is measured."""

LIMITS: Final = capacity.Limits()
"""How far a search for the capacity goes."""


class Comparison:
    """
    The runs of a plan, one after another.

    result: ready for JSON; it is written again after each run, so that what was measured is never lost.
    """

    def __init__(
        self, plan: Plan, folder: Path, cores: machine.Cores, about: dict[str, object], command: Sequence[str]
    ) -> None:
        self._plan = plan
        self._cells = plan.cells()
        self._subjects = {subject.name: subject for subject in plan.subjects}
        self._folder = folder
        self._took: list[float] = []  # seconds beyond warm-up and window, for each cell
        self.result: dict[str, Any] = {
            "schema": schema.SCHEMA,
            "kind": "comparison",
            "command": list(command),
            "started": _now().isoformat(timespec="seconds"),
            "ended": None,
            "complete": False,
            "interrupted": False,
            "plan": plan.as_json(),
            "machine": about,
            "commit": machine.commit(ROOT),
            "settings": {name: value for name, value in sorted(os.environ.items()) if name.startswith("TCPLAB_")},
            "pinned": {"server": sorted(cores.server), "generator": sorted(cores.generator)},
            "doubts": [cores.doubt._asdict()] if cores.doubt else [],
            "ceiling": None,
            "cells": [_not_run(cell) for cell in self._cells],
            "memory": [],
            "capacity": [],
        }

    @property
    def _started(self) -> list[Subject]:
        """The subjects that are started here, as often as it takes."""
        return [subject for subject in self._plan.subjects if not subject.address]

    @property
    def _telling(self) -> list[Subject]:
        """The subjects that run already, and tell of their memory."""
        return [subject for subject in self._plan.subjects if subject.metrics]

    @property
    def seconds(self) -> float:
        """About how long all of it takes, from its beginning."""
        processes = memory.RUNS * len(self._started) + len(self._telling)
        memory_seconds = _MEMORY_SECONDS * processes if self._plan.memory else 0.0
        probes = [self._plan.capacity] * (_PROBES * len(self._plan.searched)) if self._plan.capacity else []
        ceiling = [self._plan.ceiling] if self._plan.ceiling else []
        return memory_seconds + self._left([*ceiling, *probes, *(cell.case for cell in self._cells)])

    @property
    def further_seconds(self) -> float:
        """About how much longer it takes at most, where runs are too far apart for a verdict."""
        tasks = [task for task in self._plan.tasks if MIN_RUNS <= task.repeats < MOST_RUNS]
        return self._left([task.case for task in tasks for _ in task.subjects for _ in range(MOST_RUNS - task.repeats)])

    def run(self, laboratory: Laboratory) -> None:
        """
        Measure the ceiling, if it is wanted, cell after cell, memory and capacity.

        What fails is marked, and the others go on.
        """
        self._keep()
        try:
            if self._plan.memory:  # before any load: what that made such a server take is there to be taken again
                for subject in self._telling:
                    self._weigh(laboratory, subject, 1)
            if self._plan.ceiling:
                self._find_ceiling(laboratory, self._plan.ceiling)
            for cell, record in zip(self._cells, self.result["cells"], strict=True):
                self._measure(laboratory, self._subjects[cell.subject], cell, record)
            self._go_on(laboratory)
            if self._plan.memory:
                for subject in self._started:
                    self._weigh(laboratory, subject, memory.RUNS)
            if self._plan.capacity:
                for name in self._plan.searched:
                    self._search(laboratory, self._subjects[name], self._plan.capacity)
            self.result["complete"] = not self.failed
        except InterruptedByUserError:
            self.result["interrupted"] = True
            say("interrupted")
        self.result["ended"] = _now().isoformat(timespec="seconds")
        self._keep()

    def _find_ceiling(self, laboratory: Laboratory, case: Case) -> None:
        self._announce(0, what("sink", case), [case, *(cell.case for cell in self._cells)])
        try:
            measured = laboratory.put_on_sink(case)
            found = measures.ceiling(case, load.read(measured.load), measured.usage)
        except CellFailedError as error:
            doubt = Doubt(
                "no-ceiling",
                f"the generator's ceiling could not be measured: {error}",
                "do it again without what failed there; trust a top speed less",
            )
            self.result["doubts"].append(doubt._asdict())
            say(f"FAILED: {error}")
        else:
            self.result["ceiling"] = found.as_json()
            say(
                f"{table.number(found.requests_per_second)} req/s,"
                f" {table.number(found.cpu_us_per_request)} us of the generator's CPU for each"
            )
        self._keep()

    def _measure(self, laboratory: Laboratory, subject: Subject, cell: Cell, record: dict[str, Any]) -> None:
        coming = [each.case for each in self._cells[cell.number - 1 :]]
        self._announce(cell.number, what(subject.label, cell.case), coming)
        try:
            measured = laboratory.put(subject, cell.case)
        except CellFailedError as error:
            record.update(status="failed", reason=str(error))
            say(f"FAILED: {visible_lines(str(error))}")
        except InterruptedByUserError:
            record.update(status="interrupted")
            raise
        else:
            record.update(
                status="done", load=measured.load, usage=measured.usage.as_json(), took=round(measured.took, 3)
            )
            self._took.append(measured.took - cell.case.warmup - cell.case.seconds)
            row = measures.row(record, measures.ceiling_of(self.result))
            record["latency"] = CLOSED_LOOP if measures.of_throughput(row.scenario) else ""
            say(table.brief(row))
        self._keep()

    def _go_on(self, laboratory: Laboratory) -> None:
        """Run again, at the end, what a verdict takes more runs of than were planned (analysis/stopping_rule.py)."""
        chance = random.Random(self._plan.seed)
        while rounds := further(entries(self.result)):
            due = [each for load in rounds for each in chance.sample(load, len(load))]
            first = len(self._cells) + 1
            cells = [
                Cell(number, each.subject.name, each.case, each.attempts + 1) for number, each in enumerate(due, first)
            ]
            self._cells = (*self._cells, *cells)
            self.result["cells"] += [_not_run(cell) for cell in cells]
            for cell in cells:
                self._measure(laboratory, self._subjects[cell.subject], cell, self.result["cells"][cell.number - 1])

    def _weigh(self, laboratory: Laboratory, subject: Subject, processes: int) -> None:
        """Measure memory per client, in fresh processes; or in the one that runs already, if that is fresh."""
        many = f"{processes} process{'es' if processes > 1 else ''}"
        say(f"memory: {subject.label}, up to {MEMORY_CLIENTS:,} clients, {many} ... ", end="")
        record: dict[str, Any] = {"subject": subject.name, "problem": "", "runs": []}
        self.result["memory"].append(record)
        runs = []
        try:
            for _ in range(processes):
                runs.append(laboratory.weigh(subject, MEMORY_CLIENTS))
                record["runs"] = [run.as_json() for run in runs]
        except CellFailedError as error:
            record["problem"] = str(error)
        if runs:
            record.update(memory.price(runs).as_json())
        if runs and subject.address:
            alone = "one process, which ran already: no interval"
            record["note"] = f"{record['note']}; {alone}" if record["note"] else alone
        say(f"FAILED: {record['problem']}" if record["problem"] else _bytes(record))
        self._keep()

    def _search(self, laboratory: Laboratory, subject: Subject, case: Case) -> None:
        """Search the most clients within the target."""
        target, probes = parse(self._plan.target), list[capacity.Probe]()
        record: dict[str, Any] = {"subject": subject.name, "scenario": case.scenario, "target": str(target)}
        self.result["capacity"].append(record)
        say(f"capacity: {subject.label}, {case.scenario}, {target}: ", end="")

        def probe(clients: int) -> Load:
            say(f"{clients:,}", end="")
            asked = replace(case, clients=clients)
            measured = laboratory.put(subject, asked)
            found = load.read(measured.load)
            shown = measures.figures(subject.name, asked, found, measured.usage)
            common = tuple(Doubt(**each) for each in self.result["doubts"])
            return replace(found, doubts=(*shown.doubts, *common))

        def tell(each: capacity.Probe) -> None:
            probes.append(each)
            say(f" {each.answer}, ", end="")
            self._conclude(record, capacity.conclude(probes, LIMITS))

        self._conclude(record, capacity.find_capacity(probe, target, LIMITS, tell))
        say(f"so {capacity.in_words(record)}{' (' + record['why'] + ')' if record['why'] else ''}")

    def _conclude(self, record: dict[str, Any], found: capacity.Bracket) -> None:
        record.update(found.as_json())
        self._keep()

    def _announce(self, number: int, about: str, coming: Sequence[Case]) -> None:
        total = len(self._cells)
        done = _BAR * max(0, number - 1) // total
        bar = f"{'#' * done}{'.' * (_BAR - done)}"
        say(f"[{number:2}/{total} {bar}] {about:36} {duration(self._left(coming)):>10} left ... ", end="")

    def _left(self, coming: Sequence[Case]) -> float:
        overhead = sum(self._took) / len(self._took) if self._took else _OVERHEAD
        return sum(case.warmup + case.seconds + overhead for case in coming)

    @property
    def failed(self) -> int:
        """How many measurements failed."""
        failed = [cell["status"] == "failed" for cell in self.result["cells"]]
        failed.append(self._plan.ceiling is not None and self.result["ceiling"] is None)
        failed += [bool(each["problem"]) for each in self.result["memory"]]
        return sum(failed)

    def _keep(self) -> None:
        store.write_json(self._folder / store.RESULT, self.result)


def _not_run(cell: Cell) -> dict[str, Any]:
    return {**asdict(cell), "status": "not run", "reason": ""}


def _bytes(record: dict[str, Any]) -> str:
    """Return bytes a client in a few words, for while the comparison runs."""
    parts = [f"{name} {record[name]['value'] / 1e3:.1f} kB" for name in ("silent", "spoken") if record[name]["value"]]
    total = record["container_silent"].get("total")
    if total and total["value"]:
        parts.append(f"silent with the kernel's part {total['value'] / 1e3:.1f} kB")
    return ", ".join(parts) or record["note"] or record["silent"]["why"]


def what(name: str, case: Case) -> str:
    """Return a measurement in words."""
    return f"{name}, {case.scenario}, {clients(case.clients)}"


def duration(seconds: float) -> str:
    """Return "85 s" or "12 min"."""
    return f"{seconds:.0f} s" if seconds < 120 else f"{seconds / 60:.0f} min"


def _now() -> datetime:
    return datetime.now(UTC)
