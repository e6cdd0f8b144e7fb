"""A comparison while it runs, and its result."""

import os
import random
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from loadtest import run_warnings
from loadtest.compare import cores, hot_path, schema, store
from loadtest.compare.analysis import measures
from loadtest.compare.analysis.measures import CLOSED_LOOP
from loadtest.compare.analysis.stopping_rule import MOST_RUNS, further
from loadtest.compare.analysis.summary import summaries
from loadtest.compare.candidates import Candidate
from loadtest.compare.escaping import visible_lines
from loadtest.compare.measure import load, machine, memory
from loadtest.compare.measure.run import ROOT, Laboratory, Measured, RunFailedError
from loadtest.compare.plan import MIN_RUNS, REACH, Plan, Run, Workload, amount, not_run, processes, runs_of, under_load
from loadtest.compare.report import headline, table
from loadtest.lab.processes import InterruptedByUserError, say

_OVERHEAD: Final = 1.7  # seconds to start and end server and generator: an estimate until runs have been measured
_BAR: Final = 20
_MEMORY_SECONDS: Final = 5.0  # for one process, an estimate
_REACHING_CLIENTS: Final = 50  # enough that a server always has a request to answer

MEMORY_CLIENTS: Final = 1000
"""Clients in a measurement of memory per client."""


def begun(plan: Plan, pinned: machine.Cores, about: Mapping[str, object], command: Sequence[str]) -> dict[str, Any]:
    """Return the result of a comparison that begins now."""
    return {
        "schema": schema.SCHEMA,
        "kind": "comparison",
        "command": list(command),
        "started": _now(),
        "resumed": [],
        "ended": None,
        "complete": False,
        "interrupted": False,
        "plan": plan.as_json(),
        "machine": dict(about),
        "commit": machine.commit(ROOT),
        "code": hot_path.hashes(ROOT),
        "settings": machine.settings(os.environ),
        "pinned": {"server": sorted(pinned.server), "generator": sorted(pinned.generator)},
        "warnings": [pinned.warning._asdict()] if pinned.warning else [],
        "ceiling": None,
        "reached": [],
        "runs": [not_run(run) for run in plan.runs()],
        "memory": [],
    }


class Comparison:
    """The runs of a plan, one after another. result: JSON-ready, saved after each run."""

    def __init__(self, plan: Plan, folder: Path, result: dict[str, Any]) -> None:
        """Begin the plan, or go on with it. result: from `begun`, or from `resume.resumed`."""
        self.plan = plan
        # Which rates it will be changes neither how many runs there are, nor how long they take.
        self._runs = plan.at(1.0).runs() if plan.waits_for_rates else runs_of(result["runs"])
        self._candidates = {candidate.name: candidate for candidate in plan.candidates}
        self.folder = folder
        self._took: list[float] = []  # seconds beyond warm-up and window, for each run
        self.result = result

    @property
    def seconds(self) -> float:
        """The estimated duration."""
        weighed = sum(1 if each.address else memory.PROCESSES for each in self._unweighed)
        ceiling = [self.plan.ceiling] if self.plan.ceiling and not self.result["ceiling"] else []
        reaching = [self._unlimited] * len(self.plan.reaching) if self.plan.waits_for_rates else []
        single = sum(self._left_of([each]) for each in (*ceiling, *reaching))
        return _MEMORY_SECONDS * weighed + single + self._left(self._due)

    @property
    def repeat_seconds(self) -> float:
        """The estimated duration of a repeat, of which an interruption loses one at most."""
        return self._left(run for run in self._runs if run.repeat == 1)

    @property
    def _due(self) -> list[Run]:
        """The runs that are still to be made."""
        records = self.result["runs"] if not self.plan.waits_for_rates else map(not_run, self._runs)
        return [run for run, each in zip(self._runs, records, strict=True) if each["status"] == "not run"]

    @property
    def _unweighed(self) -> list[Candidate]:
        """Those whose memory is still to be measured: that it starts, or that already run and export it."""
        known = {each["candidate"] for each in self.result["memory"]}
        some = [each for each in self.plan.candidates if each.metrics or not each.address]
        return [each for each in some if self.plan.memory and each.name not in known]

    @property
    def further_seconds(self) -> float:
        """The estimated additional duration at most, if runs differ too much for a verdict."""
        freely = (task for task in self.plan.tasks if not task.rates and not task.shares)
        tasks = [task for task in freely if MIN_RUNS <= task.repeats < MOST_RUNS]
        return sum(self._left_of([task.workload]) * len(task.candidates) * (MOST_RUNS - task.repeats) for task in tasks)

    def run(self, laboratory: Laboratory) -> None:
        """Measure the ceiling, the runs and memory, as planned; record what fails, and continue."""
        self._keep()
        try:
            for candidate in self._unweighed:
                if candidate.address:  # before any load: clients would reuse memory from it
                    self._weigh(laboratory, candidate, 1)
            if self.plan.ceiling and not self.result["ceiling"]:
                self._find_ceiling(laboratory, self.plan.ceiling)
            if self.plan.waits_for_rates:
                self._find_rates(laboratory)
            for runs in processes(self._due):
                self._measure(laboratory, runs)
            self._go_on(laboratory)
            for candidate in self._unweighed:
                self._weigh(laboratory, candidate, memory.PROCESSES)
            self.result["complete"] = not self.failed
        except InterruptedByUserError:
            self.result["interrupted"] = True
            say("interrupted")
        self.result["ended"] = _now()
        self._keep()

    def _find_ceiling(self, laboratory: Laboratory, workload: Workload) -> None:
        self._announce(0, _words("sink", [workload]), self._left_of([workload]) + self._left(self._due))
        try:
            measured = laboratory.put_on_null_server(workload)
            found = measures.ceiling(workload, load.read(measured.load), measured.usage)
        except RunFailedError as error:
            warning = run_warnings.warning("no-ceiling", f"the generator's ceiling could not be measured: {error}")
            self.result["warnings"].append(warning._asdict())
            say(f"FAILED: {error}")
        else:
            self.result["ceiling"] = found.as_json()
            say(
                f"{table.number(found.requests_per_second)} req/s,"
                f" {table.number(found.cpu_us_per_request)} us of the generator's CPU for each"
            )
        self._keep()

    @property
    def _unlimited(self) -> Workload:
        """The load that shows what a server reaches."""
        [workload, *_] = (task.workload for task in self.plan.tasks if task.shares)
        return replace(workload, clients=max(_REACHING_CLIENTS, workload.clients), rate=REACH)

    def _find_rates(self, laboratory: Laboratory) -> None:
        """Measure what concurrent candidates reach, and make rates of the plan's shares of the least."""
        left = self._left(self._due)
        for name in self.plan.reaching:
            candidate = self._candidates[name]
            self._announce(0, f"{candidate.label}, what it reaches", left + self._left_of([self._unlimited]))
            try:
                [measured] = _put(laboratory, candidate, [self._unlimited])
            except RunFailedError as error:
                say(f"FAILED: {visible_lines(str(error))}")
                continue
            found = load.read(measured.load)
            reached = found.verified / found.seconds
            self.result["reached"].append({"candidate": name, "requests_per_second": reached})
            say(f"{table.number(reached)} req/s")
        rates = [each["requests_per_second"] for each in self.result["reached"] if each["requests_per_second"]]
        if rates:
            self.plan = self.plan.at(min(rates))
        else:
            self.plan = replace(self.plan, tasks=tuple(task for task in self.plan.tasks if not task.shares))
            detail = "no server reached anything, so that there are no rates to compare them at"
            self.result["warnings"].append(run_warnings.warning("no-rates", detail)._asdict())
        self._runs = self.plan.runs()
        self.result["plan"] = self.plan.as_json()
        self.result["runs"] = [not_run(run) for run in self._runs]
        self._keep()

    def _measure(self, laboratory: Laboratory, runs: Sequence[Run]) -> None:
        """Measure the runs of one process: a run, or those of a sweep."""
        candidate = self._candidates[runs[0].candidate]
        records = [self.result["runs"][run.number - 1] for run in runs]
        workloads = [run.workload for run in runs]
        self._announce(runs[0].number, _words(candidate.label, workloads), self._left(self._due))
        try:
            measured = _put(laboratory, candidate, workloads)
        except RunFailedError as error:
            for record in records:
                record.update(status="failed", reason=str(error))
            say(f"FAILED: {visible_lines(str(error))}")
        except InterruptedByUserError:
            for record in records:
                record.update(status="interrupted")
            raise
        else:
            shown = []
            for record, each in zip(records, measured, strict=True):
                record.update(
                    status="done",
                    load=each.load,
                    usage=each.usage.as_json(),
                    took=round(each.took, 3),
                    interpreter=each.interpreter,
                    calibration=list(each.calibration),
                )
                shown.append(measures.measures_of(record, measures.ceiling_of(self.result), candidate.cores or 1))
                record["latency"] = CLOSED_LOOP if measures.of_throughput(shown[-1].scenario) else ""
            self._took.append(measured[0].took - under_load(workloads))
            say(table.brief(shown[0]) if len(shown) == 1 else headline.brief(self.result, runs[0].process))
        self._keep()

    def _go_on(self, laboratory: Laboratory) -> None:
        """Add the further runs that a verdict needs (analysis/stopping_rule.py)."""
        chance = random.Random(self.plan.seed)
        while rounds := further(summaries(self.result)):
            first = len(self._runs)
            for some in (each for due in rounds for each in chance.sample(due, len(due))):
                process = len(self._runs) + 1
                self._runs += tuple(
                    Run(number, each.candidate.name, each.workload, each.attempts + 1, process)
                    for number, each in enumerate(some, process)
                )
            self.result["runs"] += map(not_run, self._runs[first:])
            for runs in processes(self._runs[first:]):
                self._measure(laboratory, runs)

    def _weigh(self, laboratory: Laboratory, candidate: Candidate, processes: int) -> None:
        """Measure memory per client, in fresh processes, or in the one that already runs."""
        many = f"{processes} process{'es' if processes > 1 else ''}"
        say(f"memory: {candidate.label}, up to {MEMORY_CLIENTS:,} clients, {many} ... ", end="")
        record: dict[str, Any] = {"candidate": candidate.name, "problem": "", "runs": []}
        self.result["memory"].append(record)
        runs = []
        try:
            for _ in range(processes):
                runs.append(laboratory.weigh(candidate, MEMORY_CLIENTS))
                record["runs"] = [run.as_json() for run in runs]
        except RunFailedError as error:
            record["problem"] = str(error)
        if runs:
            record.update(memory.price(runs).as_json())
        if runs and candidate.address:
            alone = "one process, which ran already: no interval"
            record["note"] = f"{record['note']}; {alone}" if record["note"] else alone
        sizes = {name: record[name]["value"] for name in ("silent", "spoken") if not record["problem"]}
        said = ", ".join(f"{name} {value / 1e3:.1f} kB" for name, value in sizes.items() if value)
        say(f"FAILED: {record['problem']}" if record["problem"] else said or record["note"] or record["silent"]["why"])
        self._keep()

    def _announce(self, number: int, about: str, left: float) -> None:
        total = max(1, len(self._runs))
        bar = ("#" * (_BAR * max(0, number - 1) // total)).ljust(_BAR, ".")
        say(f"[{number:2}/{total} {bar}] {about:36} {rough_duration(left):>10} left ... ", end="")

    def _left(self, runs: Iterable[Run]) -> float:
        """Return how long the runs will take."""
        return sum(self._left_of([run.workload for run in some]) for some in processes(runs))

    def _left_of(self, workloads: Sequence[Workload]) -> float:
        """Return how long one process will take that plays these."""
        overhead = sum(self._took) / len(self._took) if self._took else _OVERHEAD
        return under_load(workloads) + overhead

    @property
    def failed(self) -> bool:
        """Whether any measurement failed."""
        runs = any(run["status"] == "failed" for run in self.result["runs"])
        ceiling = self.plan.ceiling is not None and self.result["ceiling"] is None
        rates = any(each["name"] == "no-rates" for each in self.result["warnings"])
        return runs or ceiling or rates or any(each["problem"] for each in self.result["memory"])

    def _keep(self) -> None:
        store.write_json(self.folder / store.RESULT, self.result)


def _put(laboratory: Laboratory, candidate: Candidate, workloads: Sequence[Workload]) -> list[Measured]:
    """Put workloads on a server, on as many of the servers' cores as it may use."""
    if not candidate.cores:
        return laboratory.put(candidate, workloads)
    whole = laboratory.cores
    laboratory.cores = cores.of(candidate, whole)
    try:
        return laboratory.put(candidate, workloads)
    finally:
        laboratory.cores = whole


def _words(name: str, workloads: Sequence[Workload]) -> str:
    """Return the measurements of one process in words."""
    first, rates = workloads[0], f", {len(workloads)} rates" if len(workloads) > 1 else ""
    return f"{name}, {first.scenario}, {amount(replace(first, rate=None) if rates else first)}{rates}"


def rough_duration(seconds: float) -> str:
    """Return "85 s" or "12 min"."""
    return f"{seconds:.0f} s" if seconds < 120 else f"{seconds / 60:.0f} min"


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")
