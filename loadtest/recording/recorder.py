"""
What happened to every request, answered or not, in integer microseconds.

A load process keeps one `Recorder`. It hands out a `ClientStats` for each client; a ClientConnection, or a TcpClient,
tells it what happens, with the time in nanoseconds of one steady clock. Once a second `Recorder.report()` gives away
what has been counted since the last report, as plain dicts and lists (they travel in msgpack), and aggregator.py adds
it up.

Four series, each a histogram {microseconds: count}:
- connect: from the start of connect() to the open connection.
- first_reply: from the start of connect() (or from when the request was due, if a schedule says so) to the first reply
  of the connection. Never pooled with those after it.
- response: later replies, from when the request was due.
- service: later replies, from when the request was sent. A closed client is due when it wants to send, so that in
  the closed model response and service are alike; they part when requests fall due on a schedule.

A request (or connect) that times out is in its histograms at the time it had waited. One whose client is stopped,
or that is still open when the window ends, is kept apart as censored, at its age: all that is known is that it takes
longer than that. So is one that fell due on a schedule and could not be sent: its client still waited for a reply.

Conservation: sent + carried = sum(outcomes) + abandoned + unanswered. `carried` are the requests that were open when
the phase began; they are counted where they end. What was never sent (`unsent`) stands beside that, not in it.

A hundred thousand requests a second leave some 7 us for each: durations are put into lists, and turned into histograms
by the thousand.
"""

import time
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final, NamedTuple

from loadtest.recording.client_stats import OUTSIDE, ClientStats, VariantStats
from loadtest.recording.counters import Counters, Effort, Gauges
from loadtest.recording.histogram import Histogram, count_progression

LAG_INTERVAL: Final = 20_000_000
"""Nanoseconds between two looks of a load process at how late its own loop is."""


class Recorder:
    """
    Everything one load process counts.

    phase: the number of the phase that now runs; counts belong to the phase in which they are made. clock: nanoseconds.
    waited: returns for how many nanoseconds the process's event loop has waited for something to do; None without one.
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
        Take a steady clock in nanoseconds, and three in seconds.

        processor: of the processor time used. starved: of the time waited for a core. stolen: of what the machine's
        host has kept back, over all cores. conntrack: returns the share of the connection-tracking table in use.
        """
        self.clock = clock
        self._processor = processor
        self._starved = starved
        self._stolen = stolen
        self._conntrack = conntrack
        self._variants: dict[str, VariantStats] = {}
        self._lag: Histogram = {}
        self._from: tuple[int, float, float, float, int | None] = (clock(), processor(), starved(), stolen(), None)
        self._counts_from = clock()
        self._ended: list[dict[str, Any]] = []
        self.phase = OUTSIDE
        self.waited: Callable[[], int] | None = None

    def variant_stats(self, variant: str) -> VariantStats:
        """Return the variant_stats of `variant`."""
        return self._variants.setdefault(variant, VariantStats())

    def client(self, variant: str) -> ClientStats:
        """Return the client_stats of a new client of `variant`."""
        return ClientStats(self, self.variant_stats(variant))

    def retune(self, interval: int) -> None:
        """Let the requests of every client that has a schedule fall due at another interval (nanoseconds)."""
        now = self.clock()
        for variant_stats in self._variants.values():
            for client_stats in variant_stats.clients:
                if client_stats.schedule is not None:
                    client_stats.schedule.retune(interval, now)
                    if client_stats.retuned is not None:
                        client_stats.retuned()

    def renew(self) -> None:
        """Count this process's own effort from here: in a forked one, nothing of its parent's is its own."""
        self._from = self.clock(), self._processor(), self._starved(), self._stolen(), None
        self._counts_from = self.clock()
        self._lag = {}

    def lagged(self, microseconds: int) -> None:
        """
        Note by how much the process's own loop was late.

        A long lag counts as all the looks that there would have been meanwhile, or it would hide itself by being long.
        """
        interval = LAG_INTERVAL // 1000
        times, rest = divmod(max(0, microseconds), interval)
        count_progression(self._lag, rest * 1000, LAG_INTERVAL, times + 1)

    def begin(self, phase: int) -> None:
        """Begin a phase. Requests now open are carried into it; nothing happens if it runs already."""
        if phase == self.phase:
            return
        self._end(closed=False)
        self.phase = phase
        for variant_stats in self._variants.values():
            for client_stats in variant_stats.clients:
                variant_stats.counters.carried += client_stats.sent_at > 0
                if client_stats.connected:
                    client_stats.count_connected()

    def close(self, now: int | None = None) -> None:
        """
        End the phase: what is open now is unanswered. Nothing happens outside of phases.

        now: when the event loop last looked (nanoseconds). What fell due while it was kept from looking, by the end of
        the run itself, tells nothing.
        """
        if self.phase == OUTSIDE:
            return
        now = now or self.clock()
        for variant_stats in self._variants.values():
            for client_stats in variant_stats.clients:
                variant_stats.counters.unanswered += client_stats.enter_age(variant_stats.counters, now)
                variant_stats.counters.clients_served += client_stats.connected and client_stats.is_content(
                    self.phase, now
                )
        self._end(closed=True, now=now)
        self.phase = OUTSIDE

    def report(self) -> dict[str, Any]:
        """
        Give away what was counted since the last report.

        {"parts": [{"phase", "seconds", "closed", "counters": {variant: ...}, "effort": [...], "gauges": {...}}]}:
        a part for each phase that there was in the meantime, in order. The last part's gauges are those of now.
        """
        self._end(closed=False)
        parts, self._ended = self._ended, []
        return {"parts": parts}

    def _end(self, *, closed: bool, now: int | None = None) -> None:
        """Put the counts aside for the next report, and begin to count anew."""
        for variant_stats in self._variants.values():
            variant_stats.settle()
            for client_stats in variant_stats.clients:
                client_stats.square()
        now = now or self.clock()
        since, self._counts_from = self._counts_from, now
        self._ended.append(
            {
                "phase": self.phase,
                "seconds": (now - since) / 1e9,
                "closed": closed,
                "counters": {name: variant_stats.counters.to_wire() for name, variant_stats in self._variants.items()},
                "gauges": {
                    name: list(variant_stats.gauges(self.phase, now)) for name, variant_stats in self._variants.items()
                },
                "effort": self._effort(),
            }
        )
        for variant_stats in self._variants.values():
            variant_stats.counters = Counters()

    def _effort(self) -> list[Any]:
        """Return the Effort since it was last asked for, as a list of its fields."""
        now = self.clock()
        then, processor, starved, stolen, waited = self._from
        now_waited = self.waited() if self.waited else None
        self._from = now, self._processor(), self._starved(), self._stolen(), now_waited
        seconds = (now - then) / 1e9
        # Before it ran, the event loop was not busy.
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
    """One part of a report, unpacked: see Recorder.report."""

    phase: int
    seconds: float
    closed: bool
    counters: dict[str, Counters]
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
            gauges={name: Gauges(*gauges) for name, gauges in part["gauges"].items()},
            effort=Effort(*part["effort"]),
        )
