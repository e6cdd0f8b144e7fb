"""
Records what happens to every request, answered or not, in integer microseconds.

A load process has one `Recorder`. It creates a `ClientStats` for each client; a ClientConnection, or a TcpClient, calls
that with times in nanoseconds of one steady clock. Once a second `Recorder.report()` returns the counts since the last
report, as plain dicts and lists (for msgpack), and aggregator.py adds them up.

Four series, each a histogram {microseconds: count}:
- connect: from the start of connect() to the open connection.
- first_reply: from the start of connect() (with a schedule: from when the request was due) to the connection's first
  reply. Never pooled with those after it.
- response: later replies, from when the request was due.
- service: later replies, from when the request was sent. In the closed model a request is due when its client wants to
  send, so that response and service are equal; with a schedule they differ.

A request (or connect) that times out is in its histograms at the time it waited. One whose client stops, or that is
open when the window ends, is counted separately as censored, at its age: it takes longer than that. So is one that fell
due on a schedule and could not be sent, because its client waited for a reply.

Conservation: sent + carried = sum(outcomes) + abandoned + unanswered. `carried` requests were open when the phase
began, and count where they end. Requests that were never sent (`unsent`) are not part of it.

At a hundred thousand requests a second there are some 7 us for each, so durations go into lists, and a thousand at a
time into histograms.
"""

import time
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final, NamedTuple

from loadtest.recording.client_stats import OUTSIDE, ClientStats, VariantStats
from loadtest.recording.counters import Counters, Effort, Gauges
from loadtest.recording.histogram import Histogram, count_progression

LAG_INTERVAL: Final = 20_000_000
"""Nanoseconds between two measurements of how late a load process's loop is."""


class Recorder:
    """
    Everything that one load process counts.

    phase: the current one; counts belong to the phase in which they are made. clock: nanoseconds. waited: returns the
    nanoseconds that the process's event loop has waited for work; None without a loop.
    """

    def __init__(
        self,
        clock: Callable[[], int] = time.perf_counter_ns,
        processor: Callable[[], float] = time.process_time,
        starved: Callable[[], float] = lambda: 0.0,
        stolen: Callable[[], float] = lambda: 0.0,
        conntrack: Callable[[], float] = lambda: 0.0,
    ) -> None:
        """
        clock: a steady clock in nanoseconds. The others but conntrack count seconds.

        processor: processor time used. starved: time waited for a core. stolen: processor time that the machine's host
        has kept back, over all cores. conntrack: the share of the connection-tracking table in use.
        """
        self.clock = clock
        self._processor = processor
        self._starved = starved
        self._stolen = stolen
        self._conntrack = conntrack
        self._variants: dict[str, VariantStats] = {}
        self._neighbours: dict[str, VariantStats] = {}
        self._lag: Histogram = {}
        self._from: tuple[int, float, float, float, int | None] = (clock(), processor(), starved(), stolen(), None)
        self._counts_from = clock()
        self._ended: list[dict[str, Any]] = []
        self.phase = OUTSIDE
        self.waited: Callable[[], int] | None = None

    def variant_stats(self, variant: str) -> VariantStats:
        """Return the stats of `variant`."""
        return self._variants.setdefault(variant, VariantStats())

    def client(self, variant: str) -> ClientStats:
        """Return the stats of a new client of `variant`."""
        return ClientStats(self, self.variant_stats(variant))

    def neighbour(self, variant: str) -> ClientStats:
        """Return the stats of a client of `variant` that does something else than the others: it counts apart."""
        return ClientStats(self, self._neighbours.setdefault(variant, VariantStats()))

    @property
    def _every(self) -> tuple[VariantStats, ...]:
        return (*self._variants.values(), *self._neighbours.values())

    def retune(self, interval: int, *, anew: bool = False) -> None:
        """Change the interval (nanoseconds) of every client's schedule; anew: without what is due and not sent."""
        now = self.clock()
        for variant_stats in self._variants.values():
            for client_stats in variant_stats.clients:
                if client_stats.schedule is not None:
                    change = client_stats.schedule.restart if anew else client_stats.schedule.retune
                    change(interval, now)
                    if client_stats.retuned is not None:
                        client_stats.retuned()

    def renew(self) -> None:
        """Count this process's effort from now on; in a forked process, without its parent's."""
        self._from = self.clock(), self._processor(), self._starved(), self._stolen(), None
        self._counts_from = self.clock()
        self._lag = {}

    def lagged(self, microseconds: int) -> None:
        """
        Record by how much the process's loop was late.

        A long lag counts once for each measurement that it prevented, or it would be underrepresented.
        """
        interval = LAG_INTERVAL // 1000
        times, rest = divmod(max(0, microseconds), interval)
        count_progression(self._lag, rest * 1000, LAG_INTERVAL, times + 1)

    def begin(self, phase: int) -> None:
        """Begin a phase, if it does not run already; open requests are carried into it."""
        if phase == self.phase:
            return
        self._end(closed=False)
        self.phase = phase
        for variant_stats in self._every:
            for client_stats in variant_stats.clients:
                variant_stats.counters.carried += client_stats.sent_at > 0
                if client_stats.connected:
                    client_stats.count_connected()

    def close(self, now: int | None = None) -> None:
        """
        End the phase, if one runs: open requests are unanswered.

        now: when the event loop last looked (nanoseconds). Requests that fell due after that don't count, because the
        end of the run itself kept the loop busy.
        """
        if self.phase == OUTSIDE:
            return
        now = now or self.clock()
        for variant_stats in self._every:
            for client_stats in variant_stats.clients:
                variant_stats.counters.unanswered += client_stats.enter_age(variant_stats.counters, now)
                variant_stats.counters.clients_served += client_stats.connected and client_stats.is_content(
                    self.phase, now
                )
        self._end(closed=True, now=now)
        self.phase = OUTSIDE

    def report(self) -> dict[str, Any]:
        """
        Return and reset the counts since the last report.

        {"parts": [{"phase", "seconds", "closed", "counters": {variant: ...}, "neighbours": {variant: ...},
        "effort": [...], "gauges": {...}}]}: a part for each phase since then, in order. The last part's gauges are
        current.
        """
        self._end(closed=False)
        parts, self._ended = self._ended, []
        return {"parts": parts}

    def responses(self) -> dict[str, Histogram]:
        """Return the current phase's response times since the last report, by variant."""
        for variant_stats in self._variants.values():
            variant_stats.settle()
        return {name: each.counters.histograms["response"] for name, each in self._variants.items()}

    def _end(self, *, closed: bool, now: int | None = None) -> None:
        """Keep the counts for the next report, and start new ones."""
        for variant_stats in self._every:
            variant_stats.settle()
            for client_stats in variant_stats.clients:
                client_stats.square()
        since = self._counts_from
        now = max(now or self.clock(), since)  # the event loop may have looked last before the phase began
        self._counts_from = now
        self._ended.append(
            {
                "phase": self.phase,
                "seconds": (now - since) / 1e9,
                "closed": closed,
                "counters": {name: each.counters.to_wire() for name, each in self._variants.items()},
                "neighbours": {name: each.counters.to_wire() for name, each in self._neighbours.items()},
                "gauges": {
                    name: list(variant_stats.gauges(self.phase, now)) for name, variant_stats in self._variants.items()
                },
                "effort": self._effort(),
            }
        )
        for variant_stats in self._every:
            variant_stats.counters = Counters()

    def _effort(self) -> list[Any]:
        """Return the Effort since the last call, as a list of its fields."""
        now = self.clock()
        then, processor, starved, stolen, waited = self._from
        now_waited = self.waited() if self.waited else None
        self._from = now, self._processor(), self._starved(), self._stolen(), now_waited
        seconds = (now - then) / 1e9
        # An event loop that did not run yet was not busy.
        busy = 0.0 if waited is None or now_waited is None else max(0.0, seconds - (now_waited - waited) / 1e9)
        lag, self._lag = self._lag, {}
        _, processor_now, starved_now, stolen_now, _ = self._from
        return [
            processor_now - processor,
            seconds,
            busy,
            max(0.0, starved_now - starved),
            max(0.0, stolen_now - stolen),
            lag,
            self._conntrack(),
        ]


class Part(NamedTuple):
    """One part of a report (see Recorder.report)."""

    phase: int
    seconds: float
    closed: bool
    counters: dict[str, Counters]
    neighbours: dict[str, Counters]
    gauges: dict[str, Gauges]
    effort: Effort


def unpack(report: Mapping[str, Any]) -> Iterable[Part]:
    """Yield the parts of a report."""
    for part in report["parts"]:
        yield Part(
            phase=part["phase"],
            seconds=part["seconds"],
            closed=part["closed"],
            counters={name: Counters.from_wire(counters) for name, counters in part["counters"].items()},
            neighbours={name: Counters.from_wire(counters) for name, counters in part["neighbours"].items()},
            gauges={name: Gauges(*gauges) for name, gauges in part["gauges"].items()},
            effort=Effort(*part["effort"]),
        )
