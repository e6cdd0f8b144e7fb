"""
The master's side of the recording: adds up the workers' reports exactly.

It keeps two sums. Prometheus reads the totals, which nothing resets while the process lives. The figures belong to the
current phase, and become the run's result.
"""

from collections import deque
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple

from loadtest.recording.counters import Counters, Effort, Gauges, Strain, strain, total, worst
from loadtest.recording.histogram import Histogram
from loadtest.recording.recorder import Part, unpack

RECENT: Final = 10
"""Seconds that the live figures look back."""

STALLED: Final = 3.0
"""Seconds between two calls of `note_present` (one is due each second) after which reports may still be queued."""

SETTLED: Final = 3.0
"""Seconds into a phase after which a worker's first report means that it joined during the phase."""

SILENT: Final = 5.0
"""Seconds without a report (one is due each second) after which a worker no longer counts as present."""


@dataclass(slots=True)
class Worker:
    """
    One load process, as its reports show it.

    gauges: of its last report, by variant. heard: when that came (steady seconds). closed: the last phase that it has
    closed. recent: its last RECENT efforts. requests: how many have ended, in any way and phase.
    """

    gauges: dict[str, Gauges] = field(default_factory=dict)
    heard: float = 0.0
    present: bool = True
    closed: int | None = None
    recent: deque[Effort] = field(default_factory=lambda: deque(maxlen=RECENT))
    requests: int = 0

    def recent_effort(self) -> Effort:
        """Return its effort over the last seconds."""
        return total(self.recent)


class Heard(NamedTuple):
    """
    What one report added. at: when it came (steady seconds). seconds: its length. counters, gauges: by variant.

    stage: numbers the stages, in which no worker's number of clients changes; a report of a change is of the old one.
    """

    at: float
    worker: str
    seconds: float
    counters: dict[str, Counters]
    gauges: dict[str, Gauges]
    stage: int


@dataclass(slots=True)
class Recent:
    """
    One variant's last RECENT seconds, or less if its stage is younger.

    verified, failed: requests per second; a failed connect is a failure too. waiting, connected, users: mean numbers of
    clients; waiting: connected without a reply on the connection, or stuck in connecting.
    """

    counters: Counters = field(default_factory=Counters)
    verified: float = 0.0
    failed: float = 0.0
    waiting: float = 0.0
    connected: float = 0.0
    users: float = 0.0


@dataclass(slots=True)
class Figures:
    """
    Everything counted in one phase.

    started, ended: unix seconds; ended is None while it runs. seconds: its length. counters: by variant. users: by
    variant, at the end. expected: the workers present when it began. efforts: by worker. counted: by worker, seconds of
    counting. loaded: by variant and worker, those of them with clients. neighbours: by variant, of its clients that do
    something else, of lost workers as far as reported. lost: the last gauges of workers that vanished,
    or did not report their end. joined: when (steady seconds) a worker joined it, for the first time or again. recent:
    by worker, its last efforts. worst: the highest strain of any worker in any RECENT seconds.
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
    neighbours: dict[str, Counters] = field(default_factory=dict)
    lost: dict[str, dict[str, Gauges]] = field(default_factory=dict)
    joined: dict[str, float] = field(default_factory=dict)
    recent: dict[str, deque[Effort]] = field(default_factory=dict)
    worst: Strain = field(default_factory=Strain)

    def takes(self, phase: int) -> bool:
        """Whether a report for `phase` counts here."""
        return self.ended is None and phase == self.phase

    def take(self, worker: str, part: Part) -> None:
        """Add the part of a worker's report for this phase."""
        self.efforts.setdefault(worker, Effort()).add(part.effort)
        recent = self.recent.setdefault(worker, deque(maxlen=RECENT))
        recent.append(part.effort)
        if len(recent) == RECENT:
            self.worst = worst([self.worst, strain([total(recent)])])
        self.counted[worker] = self.counted.get(worker, 0.0) + part.seconds
        for variant, counters in part.neighbours.items():
            self.neighbours.setdefault(variant, Counters()).add(counters)
        for variant, counters in part.counters.items():
            self.counters.setdefault(variant, Counters()).add(counters)
            if part.gauges[variant].users or counters.sent:
                loaded = self.loaded.setdefault(variant, {})
                loaded[worker] = loaded.get(worker, 0.0) + part.seconds

    def seconds_of(self, variant: str) -> float:
        """Return how long a variant had clients: shapes may load one after another."""
        return min(self.seconds, max(self.loaded.get(variant, {}).values(), default=self.seconds))

    def counted_seconds(self) -> float:
        """Return the seconds that the workers' reports cover, on average."""
        return sum(self.counted.values()) / len(self.counted) if self.counted else 0.0

    def responses(self) -> dict[str, Histogram]:
        """Return a copy of the response times reported so far, by variant."""
        return {name: dict(each.histograms["response"]) for name, each in self.counters.items()}

    def strain(self) -> Strain:
        """Return the highest strain of a load process over the whole phase."""
        return strain(self.efforts.values())

    def worst_strain(self) -> Strain:
        """Return the highest strain of a load process in any RECENT seconds, or in a shorter phase over all of it."""
        return worst([self.strain(), self.worst])


class Aggregator:
    """
    The sums over all workers. `now`: seconds of a steady clock; `at`: unix seconds.

    totals: by variant, never reset. workers: by id. figures: of the current phase, or the last one.
    """

    def __init__(self, variants: Collection[str]) -> None:
        """Start these variants at zero; reports may add others."""
        self.totals: dict[str, Counters] = {name: Counters() for name in variants}
        self.workers: dict[str, Worker] = {}
        self.figures: Figures | None = None
        self._recent: deque[Heard] = deque()
        self._stage = 0
        self._stage_began = 0.0
        self._began = 0.0
        self._checked = 0.0

    def begin(self, phase: int, now: float, at: float) -> None:
        """Begin a phase with new figures."""
        self._began = now
        for name in [name for name, worker in self.workers.items() if not worker.present]:
            self._write_off(self.workers.pop(name), self.totals)
        self.figures = Figures(phase, started=at, expected=set(self.workers))

    def take(self, name: str, report: Mapping[str, Any], now: float) -> None:
        """Add a worker's report."""
        is_new = name not in self.workers
        worker = self.workers.setdefault(name, Worker())
        worker.heard = now
        worker.present = True
        stretch = Effort()
        recent: dict[str, Counters] = {}
        stage, users = self._stage, _users(worker)
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
        if not is_new and users != _users(worker):
            self._stage += 1
            self._stage_began = now
        self._recent.append(Heard(now, name, stretch.seconds, recent, worker.gauges, stage))
        while self._recent[0].at < now - RECENT:
            self._recent.popleft()

    def note_present(self, names: Collection[str], now: float) -> None:
        """Note which workers are present. One that vanished without closing the phase is lost."""
        stalled, self._checked = now - self._checked > STALLED, now  # if stalled, the master itself paused
        for name, worker in self.workers.items():
            worker.present = name in names and ((stalled and worker.present) or now - worker.heard < SILENT)
            if not worker.present:
                self._lose(name, worker)

    def end(self, now: float, users: Mapping[str, int]) -> None:
        """End the phase; users: by variant. A worker that has not closed it is lost."""
        figures = self.figures
        if figures is None or figures.ended is not None:
            return
        for name, worker in self.workers.items():
            self._lose(name, worker)
        figures.users = dict(users)
        # The seconds that the load processes counted: Locust takes some 40 ms more to end a run.
        whole = [] if figures.lost or figures.joined else figures.counted.values()
        figures.seconds = max(whole, default=now - self._began)
        figures.ended = figures.started + figures.seconds

    def running_seconds(self, now: float) -> float:
        """Return how long the phase has run, or ran."""
        if self.figures is None:
            return 0.0
        return now - self._began if self.figures.ended is None else self.figures.seconds

    def gauges(self) -> dict[str, Gauges]:
        """Return the current gauges by variant, summed over the present workers."""
        sums = {name: Gauges(*[0] * len(Gauges._fields)) for name in self.totals}
        for worker in self.workers.values():
            if worker.present:
                for variant, gauges in worker.gauges.items():
                    sums[variant] = sums[variant].plus(gauges)
        return sums

    def recent(self, now: float) -> dict[str, Counters]:
        """Return the counters of the last seconds, by variant."""
        pooled: dict[str, Counters] = {}
        for heard in self._recent:
            if heard.at >= now - RECENT:
                for variant, counters in heard.counters.items():
                    pooled.setdefault(variant, Counters()).add(counters)
        return pooled

    def stage(self, now: float) -> tuple[float, dict[str, Recent]]:
        """Return how long the present stage has lasted (seconds), and its last seconds by variant."""
        reports = [one for one in self._recent if one.at >= now - RECENT and one.stage == self._stage]
        seconds: dict[str, float] = {}
        for one in reports:
            seconds[one.worker] = seconds.get(one.worker, 0.0) + one.seconds
        found: dict[str, Recent] = {}
        for one in reports:
            covered = seconds[one.worker]
            for variant, counters in one.counters.items():
                recent = found.setdefault(variant, Recent())
                recent.counters.add(counters)
                if covered:
                    failed = sum(counters.errors.values()) + sum(counters.connections.values())
                    recent.verified += counters.verified / covered
                    recent.failed += (failed - counters.connections["connected"]) / covered
            for variant, gauges in one.gauges.items():
                recent = found.setdefault(variant, Recent())
                if covered:
                    share = one.seconds / covered
                    recent.waiting += (gauges.connected - gauges.served + gauges.pending) * share
                    recent.connected += gauges.connected * share
                    recent.users += gauges.users * share
        return now - self._stage_began, found

    def forget_recent(self) -> None:
        """Forget the last seconds, as a run begins: they belong to the run before."""
        self._recent.clear()

    def recent_seconds(self, now: float) -> float:
        """Return how many seconds `recent` covers; 0.0 until the phase has run for longer than RECENT."""
        if self.running_seconds(now) <= RECENT + 1:
            return 0.0
        spans: dict[str, float] = {}
        for heard in self._recent:
            if heard.at >= now - RECENT:
                spans[heard.worker] = spans.get(heard.worker, 0.0) + heard.seconds
        return max(spans.values(), default=0.0)

    def _lose(self, name: str, worker: Worker) -> None:
        figures = self.figures
        if figures is None or figures.ended is not None or name in figures.lost:
            return
        if worker.closed == figures.phase or not (name in figures.efforts or name in figures.expected):
            return
        # A worker without a report in this phase has no counts here to extrapolate.
        figures.lost[name] = dict(worker.gauges) if name in figures.efforts else {}
        _estimate(figures, figures.lost[name], 1)

    @staticmethod
    def _find(name: str, figures: Figures, now: float) -> None:
        """Take a lost worker back, and remove the estimate of its open requests."""
        _estimate(figures, figures.lost.pop(name), -1)
        figures.joined[name] = now

    @staticmethod
    def _write_off(worker: Worker, totals: Mapping[str, Counters]) -> None:
        """Count the open requests of a worker that won't come back as abandoned."""
        for variant, gauges in worker.gauges.items():
            totals[variant].abandoned += gauges.unanswered


def _users(worker: Worker) -> dict[str, int]:
    """Return a worker's clients by variant; {} before its first report."""
    return {variant: gauges.users for variant, gauges in worker.gauges.items()}


def _estimate(figures: Figures, gauges: Mapping[str, Gauges], sign: int) -> None:
    """Count a lost worker's open requests as unanswered (sign 1), or undo that (sign -1)."""
    for variant, each in gauges.items():
        counters = figures.counters.setdefault(variant, Counters())
        counters.unanswered += sign * each.unanswered
        counters.unsent += sign * each.unsent
