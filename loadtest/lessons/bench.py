"""Runs servers and their load for a lesson, as a comparison does: fresh ones for each run, a core each."""

import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, Final, TypeVar

from loadtest.compare.analysis.measures import LATENCIES, RunMeasures, measures_of_load
from loadtest.compare.analysis.summary import Summary, summarize
from loadtest.compare.candidates import Candidate
from loadtest.compare.measure import load, memory
from loadtest.compare.measure.cgroups import Group, NoGroupError
from loadtest.compare.measure.run import ROOT, Laboratory, Measured, Serving
from loadtest.compare.plan import Workload, under_load
from loadtest.lab.processes import Child, python_environment
from loadtest.lessons.result import Figure

MOST: Final = 60.0
"""Seconds that a lesson may measure: a further run of the same is not begun if it would take longer."""

OVERHEAD: Final = 1.7
"""Seconds to start and end a server and its load."""

_WEIGHING: Final = 5.0  # seconds for the memory of one server

_Found = TypeVar("_Found")


@dataclass(frozen=True, slots=True)
class Freeze:
    """Stop the server for `seconds`, `after` seconds into the load."""

    after: float
    seconds: float


class FreezingLaboratory(Laboratory):
    """Makes runs in which the server is stopped for a while, if `freeze` is set."""

    freeze: Freeze | None = None

    def start(self, candidate: Candidate, folder: Path, group: Group | NoGroupError | None = None) -> Serving:
        """Start a server, and what freezes it: a process of its own, because this one waits for the load's end."""
        serving = super().start(candidate, folder, group)
        if self.freeze and serving.child:
            seconds = (f"{self.freeze.after:g}", f"{self.freeze.seconds:g}")
            command = (sys.executable, "-m", "loadtest.lessons.freezer", str(serving.child.pid), *seconds)
            freezer = Child("freezer", command, folder, cwd=ROOT, env=python_environment(), cores=self.cores.rest)
            self.children.add(freezer)
        return serving


class Bench:
    """
    Measures for one lesson. Every method raises RunFailedError, with a reason to show, if that's impossible.

    begin: told what is measured next (a server's name, the run's number, of how many, seconds passed so far). done:
    told what was found, in the lesson's unit; None for nothing.
    """

    def __init__(
        self,
        laboratory: FreezingLaboratory,
        begin: Callable[[str, int, int, float], None],
        done: Callable[[float | None], None],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.laboratory = laboratory
        self._begin = begin
        self._done = done
        self._clock = clock
        self._began = clock()

    @property
    def passed(self) -> float:
        """Seconds since the lesson began to measure."""
        return self._clock() - self._began

    def runs(
        self,
        figure: Figure,
        candidate: Candidate,
        workload: Workload,
        times: int,
        *,
        name: str = "",
        freeze: Freeze | None = None,
    ) -> Summary:
        """Return the runs of a server under a load. figure: what to show after each; name: in place of the server's."""
        self.laboratory.freeze = freeze
        seconds = under_load([workload]) + OVERHEAD

        def put() -> RunMeasures:
            [run] = self.put(candidate, [workload])
            return run

        return summarize(candidate, self.repeat(name or candidate.name, times, seconds, put, figure.of_run))

    def put(self, candidate: Candidate, workloads: Sequence[Workload]) -> list[RunMeasures]:
        """Return a fresh server's runs under loads that differ by their rate alone, one after another."""
        measured = self.laboratory.put(candidate, workloads)
        return [_measures(candidate, *each) for each in zip(workloads, measured, strict=True)]

    def repeat(
        self,
        name: str,
        times: int,
        seconds: float,
        measure: Callable[[], _Found],
        told: Callable[[_Found], float | None],
    ) -> list[_Found]:
        """Return what `measure` finds each time, in so many seconds; told: what to show of it, in the lesson's unit."""
        every: list[_Found] = []
        for number in range(1, times + 1):
            if number > 1 and self.passed + seconds > MOST:
                break
            self._begin(name, number, times, self.passed)
            every.append(measure())
            self._done(told(every[-1]))
        return every

    @contextmanager
    def server(self, candidate: Candidate) -> Iterator[Serving]:
        """Start a server without a load, for a context."""
        with tempfile.TemporaryDirectory(dir=self.laboratory.folder) as folder:
            try:
                yield self.laboratory.start(candidate, Path(folder))
            finally:
                self.laboratory.children.end()

    @contextmanager
    def on_all_cores(self, candidate: Candidate, servers: int) -> Iterator[list[str]]:
        """Start so many servers, which may use every core, for a load of the lesson's own; their addresses."""
        cores = self.laboratory.cores
        self.laboratory.cores = replace(cores, server=cores.server | cores.rest)
        try:
            with ExitStack() as stack:
                yield [stack.enter_context(self.server(candidate)).address for _ in range(servers)]
        finally:
            self.laboratory.cores = cores

    def weigh(self, candidate: Candidate, clients: int, times: int) -> list[memory.MemoryRun]:
        """Return readings of fresh servers' memory; it shows each one's memory per silent client, in kB."""

        def kilobytes(run: memory.MemoryRun) -> float | None:
            priced = memory.price([run])
            value = priced.container_silent.get("total", priced.silent).value
            return None if value is None else value / 1000

        weigh = partial(self.laboratory.weigh, candidate, clients)
        return self.repeat(candidate.name, times, _WEIGHING, weigh, kilobytes)


def _measures(candidate: Candidate, workload: Workload, measured: Measured) -> RunMeasures:
    """
    Return a run's measures, with its latencies in any case.

    A comparison has none where the load was some milliseconds late. A lesson's are a hint even then: see Row.spoilt.
    """
    found = load.read(measured.load)
    strict = measures_of_load(candidate.name, workload, found, measured.usage)
    unwarned = measures_of_load(candidate.name, workload, replace(found, warnings=()), measured.usage)
    latencies: dict[str, Any] = {name: getattr(unwarned, name) for name in LATENCIES}
    return replace(strict, **latencies)
