"""
The master's side of the recording: adds up what the workers report, exactly, and knows each run's figures.

Two sums are kept. The totals go on for as long as the process lives: they are what Prometheus reads, and nothing
resets them. The figures are those of the phase now measured, and become the run's result.
"""

from collections import deque
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from loadtest.recording.counters import Counters, Effort, Gauges, Strain, strain, total, worst
from loadtest.recording.recorder import Part, unpack

RECENT: Final = 10
"""Seconds that the live figures look back."""

STALLED: Final = 3.0
"""Seconds between two looks (one is due each second) after which their reports may still be on the way."""

SETTLED: Final = 3.0
"""Seconds into a phase from which a worker that is heard for the first time has joined it on the way."""

SILENT: Final = 5.0
"""Seconds without a report (one is due each second) after which a worker no longer counts as present."""


@dataclass(slots=True)
class Worker:
    """
    One load process, as its reports show it.

    gauges: of its last report, by variant. heard: seconds (steady) of that. present: whether it is still there.
    closed: the phase that it has closed last. recent: its last RECENT stretches of effort. requests: how many of its
    requests have ended, however they did, in any phase.
    """

    gauges: dict[str, Gauges] = field(default_factory=dict)
    heard: float = 0.0
    present: bool = True
    closed: int | None = None
    recent: deque[Effort] = field(default_factory=lambda: deque(maxlen=RECENT))
    requests: int = 0

    def recent_effort(self) -> Effort:
        """Its effort over the last seconds."""
        return total(self.recent)


@dataclass(slots=True)
class Figures:
    """
    What one phase has brought.

    phase: its number. started, ended: unix seconds; ended is None while it runs. seconds: how long it was.
    counters: by variant. users: by variant, at the end. expected: the workers that were there when it began. efforts,
    counted: by worker; the latter: for how many seconds it has counted. loaded: by variant and worker, for how many of
    those it had clients. lost: the last gauges of workers that vanished, or did not report their end. joined: when
    (steady seconds) workers joined it on the way, for the first time or again. recent: by worker, its last stretches of
    effort. worst: the most that any of them bore in any of the RECENT seconds.
    """

    phase: int
    started: float
    ended: float | None = None
    seconds: float = 0.0
    counters: dict[str, Counters] = field(default_factory=dict)
    users: dict[str, int] = field(default_factory=dict)
    expected: set[str] = field(default_factory=set)
    efforts: dict[str, Effort] = field(default_factory=dict)
    counted: dict[str, float] = field(default_factory=dict)
    loaded: dict[str, dict[str, float]] = field(default_factory=dict)
    lost: dict[str, dict[str, Gauges]] = field(default_factory=dict)
    joined: dict[str, float] = field(default_factory=dict)
    recent: dict[str, deque[Effort]] = field(default_factory=dict)
    worst: Strain = field(default_factory=Strain)

    def takes(self, phase: int) -> bool:
        """Whether a report about `phase` counts here."""
        return self.ended is None and phase == self.phase

    def take(self, worker: str, part: Part) -> None:
        """Add a part of a worker's report, which is about this phase."""
        self.efforts.setdefault(worker, Effort()).add(part.effort)
        recent = self.recent.setdefault(worker, deque(maxlen=RECENT))
        recent.append(part.effort)
        if len(recent) == RECENT:
            self.worst = worst([self.worst, strain([total(recent)])])
        self.counted[worker] = self.counted.get(worker, 0.0) + part.seconds
        for variant, counters in part.counters.items():
            self.counters.setdefault(variant, Counters()).add(counters)
            if part.gauges[variant].users or counters.sent:
                loaded = self.loaded.setdefault(variant, {})
                loaded[worker] = loaded.get(worker, 0.0) + part.seconds

    def seconds_of(self, variant: str) -> float:
        """Return for how long a variant had clients: shapes may load one after another."""
        return min(self.seconds, max(self.loaded.get(variant, {}).values(), default=self.seconds))

    def strain(self) -> Strain:
        """Return what the load processes bore, over the whole phase."""
        return strain(self.efforts.values())

    def worst_strain(self) -> Strain:
        """Return the most that any of them bore, in any RECENT seconds; in a shorter phase, over all of it."""
        return worst([self.strain(), self.worst])


class Aggregator:
    """
    The sums over all workers. `now` is seconds of a steady clock throughout, `at` unix seconds.

    totals: by variant, for ever. workers: by their id. figures: the phase now measured, or the last one.
    """

    def __init__(self, variants: Collection[str]) -> None:
        """Count for these variants from zero; others are added as they are reported."""
        self.totals: dict[str, Counters] = {name: Counters() for name in variants}
        self.workers: dict[str, Worker] = {}
        self.figures: Figures | None = None
        self._recent: deque[tuple[float, str, float, dict[str, Counters]]] = deque()
        self._began = 0.0
        self._seen = 0.0

    def begin(self, phase: int, now: float, at: float) -> None:
        """Begin a phase: its figures start from nothing."""
        self._began = now
        for name in [name for name, worker in self.workers.items() if not worker.present]:
            self._write_off(self.workers.pop(name), self.totals)
        self.figures = Figures(phase, started=at, expected=set(self.workers))

    def take(self, name: str, report: Mapping[str, Any], now: float) -> None:
        """Add up a worker's report."""
        worker = self.workers.setdefault(name, Worker())
        worker.heard = now
        worker.present = True
        stretch = Effort()
        recent: dict[str, Counters] = {}
        for part in unpack(report):
            worker.gauges = part.gauges
            stretch.add(part.effort)
            figures = self.figures
            if figures is not None and figures.takes(part.phase):
                if name in figures.lost:
                    self._find(name, figures, now)
                if name not in figures.efforts and now - self._began > SETTLED:
                    figures.joined[name] = now
                figures.take(name, part)
                if part.closed:
                    worker.closed = part.phase
            for variant, counters in part.counters.items():
                self.totals.setdefault(variant, Counters()).add(counters)
                recent.setdefault(variant, Counters()).add(counters)
                worker.requests += sum(counters.outcomes.values())
        worker.recent.append(stretch)
        self._recent.append((now, name, stretch.seconds, recent))
        while self._recent[0][0] < now - RECENT:
            self._recent.popleft()

    def see(self, names: Collection[str], now: float) -> None:
        """Note which workers are there. One that vanished in the middle of a phase, without closing it, is lost."""
        stalled, self._seen = now - self._seen > STALLED, now  # then it is we who were silent
        for name, worker in self.workers.items():
            worker.present = name in names and ((stalled and worker.present) or now - worker.heard < SILENT)
            if not worker.present:
                self._lose(name, worker)

    def end(self, now: float, users: Mapping[str, int]) -> None:
        """End the phase, which had so many users by variant; a worker that has not closed it by now is lost."""
        figures = self.figures
        if figures is None or figures.ended is not None:
            return
        for name, worker in self.workers.items():
            self._lose(name, worker)
        figures.users = dict(users)
        # As long as the load processes counted: to end a run takes Locust some 40 ms more.
        whole = [] if figures.lost or figures.joined else figures.counted.values()
        figures.seconds = max(whole, default=now - self._began)
        figures.ended = figures.started + figures.seconds

    def running_seconds(self, now: float) -> float:
        """How long the phase has been running, or was."""
        if self.figures is None:
            return 0.0
        return now - self._began if self.figures.ended is None else self.figures.seconds

    def gauges(self) -> dict[str, Gauges]:
        """By variant, what is now, over the workers that are there."""
        sums = {name: Gauges(*[0] * len(Gauges._fields)) for name in self.totals}
        for worker in self.workers.values():
            if worker.present:
                for variant, gauges in worker.gauges.items():
                    sums[variant] = Gauges(*map(sum, zip(sums[variant], gauges, strict=True)))
        return sums

    def recent(self, now: float) -> dict[str, Counters]:
        """Return what was counted in the last seconds, by variant."""
        pooled: dict[str, Counters] = {}
        for at, _, _, by_variant in self._recent:
            if at >= now - RECENT:
                for variant, counters in by_variant.items():
                    pooled.setdefault(variant, Counters()).add(counters)
        return pooled

    def forget_recent(self) -> None:
        """Forget the last seconds, as a run begins: they belong to the run before."""
        self._recent.clear()

    def recent_seconds(self, now: float) -> float:
        """Return how many seconds `recent` is about; 0.0 unless the phase runs for longer than that."""
        if self.running_seconds(now) <= RECENT + 1:
            return 0.0
        spans: dict[str, float] = {}
        for at, name, seconds, _ in self._recent:
            if at >= now - RECENT:
                spans[name] = spans.get(name, 0.0) + seconds
        return max(spans.values(), default=0.0)

    def _lose(self, name: str, worker: Worker) -> None:
        figures = self.figures
        if figures is None or figures.ended is not None or name in figures.lost:
            return
        if worker.closed == figures.phase or not (name in figures.efforts or name in figures.expected):
            return
        # Of one that has not reported in this phase nothing is counted here that could be estimated on.
        figures.lost[name] = dict(worker.gauges) if name in figures.efforts else {}
        _estimate(figures, figures.lost[name], 1)

    @staticmethod
    def _find(name: str, figures: Figures, now: float) -> None:
        """Take back a worker that was given up: what it has open is no longer an estimate."""
        _estimate(figures, figures.lost.pop(name), -1)
        figures.joined[name] = now

    @staticmethod
    def _write_off(worker: Worker, totals: Mapping[str, Counters]) -> None:
        """Count what a worker that is gone for good had open as abandoned."""
        for variant, gauges in worker.gauges.items():
            totals[variant].abandoned += gauges.unanswered


def _estimate(figures: Figures, gauges: Mapping[str, Gauges], sign: int) -> None:
    """Count what a lost worker had open as unanswered; or take that back."""
    for variant, each in gauges.items():
        counters = figures.counters.setdefault(variant, Counters())
        counters.unanswered += sign * each.unanswered
        counters.unsent += sign * each.unsent
