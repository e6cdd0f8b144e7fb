"""Runs servers and their load for a lesson, as a comparison does: fresh ones for each run, a core each."""

import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Final, TypeVar

from loadtest.compare.analysis.measures import RunMeasures, measures_of_load
from loadtest.compare.candidates import Candidate
from loadtest.compare.measure import load, memory
from loadtest.compare.measure.cgroups import Group, NoGroupError
from loadtest.compare.measure.run import ROOT, Laboratory, Measured, Serving
from loadtest.compare.plan import Workload, under_load
from loadtest.lab.processes import Child, python_environment
from loadtest.lessons.result import Figure
from loadtest.run_warnings import TakesOut, takes_out

MOST: Final = 60.0
"""Seconds that a lesson may measure: a further run of the same is not begun if it would take longer."""

OVERHEAD: Final = 1.7
"""Seconds to start and end a server and its load."""

_WEIGHING: Final = 5.0  # seconds for the memory of one server

_Found = TypeVar("_Found")


class FreezingLaboratory(Laboratory):
    """Makes runs in which the server is stopped. freeze: how many seconds into the load, and for how many."""

    freeze: tuple[float, float] | None = None

    def start(self, candidate: Candidate, folder: Path, group: Group | NoGroupError | None = None) -> Serving:
        """Start a server, and what freezes it: a process of its own, because this one waits for the load's end."""
        serving = super().start(candidate, folder, group)
        if self.freeze and serving.child:
            command = (sys.executable, "-m", "loadtest.lessons.freezer", str(serving.child.pid), *map(str, self.freeze))
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

    def runs(
        self,
        figure: Figure,
        candidate: Candidate,
        workload: Workload,
        times: int,
        *,
        name: str = "",
        freeze: tuple[float, float] | None = None,
    ) -> list[RunMeasures]:
        """Return the runs of a server under a load. figure: what to show after each; name: in place of the server's."""
        self.laboratory.freeze = freeze

        def put() -> RunMeasures:
            [run] = self.put(candidate, [workload])
            return run

        return self.repeat(name or candidate.name, times, under_load([workload]) + OVERHEAD, put, figure.of_run)

    def put(self, candidate: Candidate, workloads: Sequence[Workload]) -> list[RunMeasures]:
        """Return a fresh server's runs under loads that differ by their rate alone, one after another."""
        measured = self.laboratory.put(candidate, workloads)
        return [_measures(candidate.name, *each) for each in zip(workloads, measured, strict=True)]

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
            passed = self._clock() - self._began
            if number > 1 and passed + seconds > MOST:
                break
            self._begin(name, number, times, passed)
            every.append(measure())
            self._done(told(every[-1]))
        return every

    @contextmanager
    def servers(self, candidate: Candidate, number: int) -> Iterator[list[str]]:
        """Start so many servers, which may use every core, for a load of the lesson's own; their addresses."""
        laboratory, cores = self.laboratory, self.laboratory.cores
        laboratory.cores = replace(cores, server=cores.server | cores.rest)
        try:
            folders = (Path(tempfile.mkdtemp(dir=laboratory.folder)) for _ in range(number))
            yield [laboratory.start(candidate, folder).address for folder in folders]
        finally:
            laboratory.children.end()
            laboratory.cores = cores

    def weigh(self, candidate: Candidate, clients: int, times: int) -> list[memory.MemoryRun]:
        """Return readings of fresh servers' memory; it shows each one's memory per silent client, in kB."""

        def kilobytes(run: memory.MemoryRun) -> float | None:
            priced = memory.price([run])
            value = priced.container_silent.get("total", priced.silent).value
            return None if value is None else value / 1000

        weigh = partial(self.laboratory.weigh, candidate, clients)
        return self.repeat(candidate.name, times, _WEIGHING, weigh, kilobytes)


def _measures(name: str, workload: Workload, measured: Measured) -> RunMeasures:
    """
    Return a run's measures, with its latencies in any case.

    A comparison has none where the load was some milliseconds late. A lesson's are a hint even then: see Row.spoilt.
    """
    found = load.read(measured.load).about(name)
    late = [each for each in found.warnings if takes_out(each.name) is TakesOut.LATENCIES]
    others = tuple(each for each in found.warnings if each not in late)
    run = measures_of_load(name, workload, replace(found, warnings=others), measured.usage)
    return replace(run, warnings=(*late, *run.warnings))
