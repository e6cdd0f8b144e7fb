"""The load's /metrics: a Prometheus collector that reads a ledger when it is scraped."""

from bisect import bisect_left
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import accumulate
from typing import Any, Final

from prometheus_client import REGISTRY, Metric, make_wsgi_app
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily
from prometheus_client.registry import Collector

from loadtest.belief import DOUBTS, Doubt
from loadtest.ledger import Ledger
from loadtest.recorder import Histogram, Tally, quantile

BOUNDS: Final = (
    *(round(step * scale) for scale in (1, 10, 100, 1000, 10_000, 100_000) for step in (20, 30, 50, 70, 100, 150)),
    20_000_000,
    30_000_000,
    60_000_000,
)
"""Upper bounds of the histograms' buckets in microseconds: 20 us to 60 s, which is twice the reply timeout."""

QUANTILES: Final = (0.5, 0.95, 0.99, 0.999)

_SECONDS: Final = (
    ("tcplab_load_response_seconds", "response", "From when a request was due to its reply's last byte, for the"
     " replies after a connection's first one"),
    ("tcplab_load_service_seconds", "service", "From when a request was sent to its reply's last byte, for the replies"
     " after a connection's first one; it forgets the time a request had to wait to be sent"),
    ("tcplab_load_first_reply_seconds", "first_reply", "From the start of connect() to a connection's first reply: what"
     " a new client waits until it is served"),
    ("tcplab_load_connect_seconds", "connect", "From the start of connect() to the open connection; the kernel answers"
     " it, even for a server that has no time"),
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Status:
    """
    What the collector can't read from the ledger.

    running: a run is on. doubts: those there are now. workers: (index, cpu ratio, lag p99 in seconds) of each present.
    """

    running: bool
    doubts: Iterable[Doubt]
    workers: Iterable[tuple[int, float, float]]


class LoadCollector(Collector):
    """Turns a ledger into metrics. Every variant and every known doubt is there from the start, at zero."""

    def __init__(self, ledger: Ledger, status: Callable[[], Status], clock: Callable[[], float]) -> None:
        """Read `ledger` and `status()` at each scrape; `clock` is the ledger's steady clock in seconds."""
        self._ledger = ledger
        self._status = status
        self._clock = clock

    def collect(self) -> Iterator[Metric]:
        """Yield the metrics."""
        totals = self._ledger.totals
        yield from self._counters(totals)
        yield from _histograms(totals)
        yield self._recent()
        yield from self._gauges()
        yield from self._about_the_run()

    def _counters(self, totals: dict[str, Tally]) -> Iterator[Metric]:
        def plain(name: str, text: str, value: Callable[[Tally], int]) -> Metric:
            family = CounterMetricFamily(name, text, labels=["variant"])
            for variant, tally in totals.items():
                family.add_metric([variant], value(tally))
            return family

        def by_outcome(name: str, text: str, value: Callable[[Tally], dict[str, int]]) -> Metric:
            family = CounterMetricFamily(name, text, labels=["variant", "outcome"])
            for variant, tally in totals.items():
                for outcome, number in value(tally).items():
                    family.add_metric([variant, outcome], number)
            return family

        yield plain("tcplab_load_sent", "Requests that the load has sent", lambda tally: tally.sent)
        yield by_outcome(
            "tcplab_load_requests",
            "Requests that have ended: verified (the reply was right to the last byte), timeout, corrupt (other bytes),"
            " closed or reset (the connection ended first), refused (the server answered ERR)",
            lambda tally: tally.outcomes,
        )
        yield plain(
            "tcplab_load_abandoned",
            "Requests whose client was stopped (end of a run, fewer users, users moved to another worker) before"
            " the reply came: neither answered nor failed",
            lambda tally: tally.abandoned,
        )
        yield by_outcome(
            "tcplab_load_connections",
            "Attempts to connect by how they ended: connected, refused, timeout, reset, no_port (this machine has no"
            " local port left), failed (anything else, such as an unknown name)",
            lambda tally: tally.connections,
        )
        yield plain(
            "tcplab_load_late_sends",
            "Requests that left more than 5 ms after their time: the generator's own delay",
            lambda tally: tally.late_sends,
        )

    def _recent(self) -> Metric:
        family = GaugeMetricFamily(
            "tcplab_load_recent_seconds",
            "Exact quantiles over the last 10 s and all workers, to three significant figures; absent without samples",
            labels=["variant", "series", "quantile"],
        )
        for variant, series, histogram in self._ledger.recent(self._clock()):
            for fraction in QUANTILES:
                found = quantile(histogram, fraction)
                if found is not None:
                    family.add_metric([variant, series, str(fraction)], found.microseconds / 1e6)
        return family

    def _gauges(self) -> Iterator[Metric]:
        rows = (
            ("tcplab_load_unanswered", "Requests sent and not yet answered", "unanswered"),
            ("tcplab_load_clients_connected", "Clients that have a connection now, served or not", "connected"),
            (
                "tcplab_load_clients_served",
                "Of the clients connected now, those that have had a right reply on this connection",
                "served",
            ),
            ("tcplab_load_users", "Users (clients, connected or away) that the load runs", "users"),
        )
        gauges = self._ledger.gauges()
        for name, text, attribute in rows:
            family = GaugeMetricFamily(name, text, labels=["variant"])
            for variant, values in gauges.items():
                family.add_metric([variant], getattr(values, attribute))
            yield family

    def _about_the_run(self) -> Iterator[Metric]:
        status = self._status()
        workers = list(status.workers)
        yield GaugeMetricFamily("tcplab_load_workers", "Load processes that report", value=len(workers))
        cpu = GaugeMetricFamily(
            "tcplab_load_worker_cpu_ratio",
            "Share of one core that a load process used over the last 10 s; from 0.9 its figures are doubtful",
            labels=["worker"],
        )
        lag = GaugeMetricFamily(
            "tcplab_load_worker_lag_seconds",
            "How late a load process's own loop woke up (p99, last 10 s); about 1 ms is the timer's grain",
            labels=["worker"],
        )
        for index, cpu_ratio, lag_p99 in workers:
            cpu.add_metric([str(index)], cpu_ratio)
            lag.add_metric([str(index)], lag_p99)
        yield cpu
        yield lag
        yield GaugeMetricFamily("tcplab_load_running", "1 while a run is on", value=status.running)
        doubt = GaugeMetricFamily(
            "tcplab_load_doubt",
            "1 while there is this reason not to believe the figures; loadtest/README.md has the remedies",
            labels=["doubt"],
        )
        present = {found.name for found in status.doubts}
        for name in DOUBTS:
            doubt.add_metric([name], name in present)
        yield doubt


def _histograms(totals: dict[str, Tally]) -> Iterator[Metric]:
    for name, series, text in _SECONDS:
        family = HistogramMetricFamily(name, text, labels=["variant"])
        for variant, tally in totals.items():
            buckets, total = cumulative(tally.histograms[series])
            family.add_metric([variant], buckets, total)
        yield family


def cumulative(histogram: Histogram) -> tuple[list[tuple[str, float]], float]:
    """Return Prometheus's buckets, [(upper bound in seconds, count up to it)], and the sum in seconds."""
    counts = [0] * (len(BOUNDS) + 1)
    total = 0
    for microseconds, number in histogram.items():
        counts[bisect_left(BOUNDS, microseconds)] += number
        total += microseconds * number
    names = [*(str(bound / 1e6) for bound in BOUNDS), "+Inf"]
    return list(zip(names, map(float, accumulate(counts)), strict=True)), total / 1e6


def application(collector: Collector) -> Callable[..., Any]:
    """Return a WSGI application that serves /metrics, with the standard process and Python metrics too."""
    REGISTRY.register(collector)
    return make_wsgi_app(REGISTRY)
