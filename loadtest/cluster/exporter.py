"""The load's /metrics: a Prometheus collector that reads an aggregator at each scrape."""

from bisect import bisect_left
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import accumulate
from typing import Any, Final

from prometheus_client import REGISTRY, Metric, make_wsgi_app
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, InfoMetricFamily
from prometheus_client.registry import Collector

from loadtest.recording.aggregator import Aggregator, Worker
from loadtest.recording.counters import Counters
from loadtest.recording.histogram import Histogram, quantile
from loadtest.run_warnings import CHECKED, FIGURES, LoadWarning

BOUNDS: Final = (
    *(round(step * scale) for scale in (1, 10, 100, 1000, 10_000, 100_000) for step in (20, 30, 50, 70, 100, 150)),
    20_000_000,
    30_000_000,
    60_000_000,
)
"""Upper bounds of the histograms' buckets in microseconds: 20 us to 60 s, which is twice the reply timeout."""

QUANTILES: Final = (0.5, 0.95, 0.99, 0.999)

_Rows = tuple[tuple[str, str, str], ...]
"""Names of metrics, the attributes that they show, and what they say."""

_COUNTERS: Final[_Rows] = (
    ("tcplab_load_sent", "sent", "Requests that the load has sent"),
    ("tcplab_load_abandoned", "abandoned", "Requests whose client was stopped (end of a run, fewer users, users moved"
     " to another worker) before the reply came: neither answered nor failed"),
    ("tcplab_load_late_sends", "late_sends", "Requests that left more than 5 ms after their time: the generator's own"
     " delay"),
)  # fmt: skip

_BY_OUTCOME: Final[_Rows] = (
    ("tcplab_load_requests", "outcomes", "Requests that have ended: verified (the reply was right to the last byte),"
     " timeout, corrupt (other bytes), closed or reset (the connection ended first), refused (the server answered"
     " ERR)"),
    ("tcplab_load_connections", "connections", "Attempts to connect by how they ended: connected, refused (no server"
     " listened, or its name or host has gone), timeout, reset, no_port (this machine has no free local port), failed"
     " (anything else, such as an unknown name)"),
    ("tcplab_load_connections_broken", "breaks", "Connections that broke while no request was open on them: corrupt"
     " (unrequested bytes), closed, reset"),
)  # fmt: skip

_SECONDS: Final[_Rows] = (
    ("tcplab_load_response_seconds", "response", "From when a request was due to its reply's last byte, for the"
     " replies after a connection's first one"),
    ("tcplab_load_service_seconds", "service", "From when a request was sent to its reply's last byte, for the replies"
     " after a connection's first one; without the time that a request had to wait to be sent"),
    ("tcplab_load_first_reply_seconds", "first_reply", "From the start of connect() (open model: from when it was due)"
     " to a connection's first reply: what a new client waits until it is served"),
    ("tcplab_load_connect_seconds", "connect", "From the start of connect() to the open connection; the kernel answers"
     " it, even if the server is busy"),
)  # fmt: skip

_GAUGES: Final[_Rows] = (
    ("tcplab_load_unanswered", "unanswered", "Requests sent and not yet answered"),
    ("tcplab_load_unsent", "unsent", "Requests that are due by the schedule and not yet sent (open model)"),
    ("tcplab_load_clients_connected", "connected", "Clients that have a connection now, served or not"),
    ("tcplab_load_clients_served", "served", "Of the clients connected now, those that got a right reply on this"
     " connection"),
    ("tcplab_load_users", "users", "Users (clients, connected or away) that the load runs"),
)  # fmt: skip

_OF_A_WORKER: Final[_Rows] = (
    ("tcplab_load_worker_cpu_ratio", "cpu_ratio", "Share of one core that a load process used over the last 10 s; from"
     " 0.9 its figures are excluded"),
    ("tcplab_load_worker_busy_ratio", "busy_ratio", "Share of the last 10 s in which a load process's event loop never"
     " waited: it worked, or was kept from its core; from 0.9 its figures are excluded"),
    ("tcplab_load_worker_starved_ratio", "starved_ratio", "Share of the last 10 s in which a load process waited for a"
     " core that others used; from 0.02 it shows in the latencies"),
    ("tcplab_load_worker_stolen_ratio", "stolen_ratio", "Share of one core that a load process's virtual machine did"
     " not get from its host over the last 10 s"),
    ("tcplab_load_worker_lag_seconds", "lag_p99", "How late a load process's own loop woke up (p99, last 10 s): its own"
     " share of the latencies"),
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Status:
    """
    What the collector can't read from the aggregator.

    started: the current run's start (unix seconds); None without a run. rate: requests per second asked for, 0 in the
    closed model. workers: those present, by an index that is never used twice.
    """

    started: float | None
    scenario: str
    rate: float
    warnings: Iterable[LoadWarning]
    workers: Mapping[int, Worker]


class LoadCollector(Collector):
    """Turns an aggregator into metrics. Every variant and every known warning starts at zero."""

    def __init__(self, aggregator: Aggregator, status: Callable[[], Status], clock: Callable[[], float]) -> None:
        """Read `aggregator` and `status()` at each scrape; clock: the aggregator's, in seconds."""
        self._aggregator = aggregator
        self._status = status
        self._clock = clock

    def collect(self) -> Iterator[Metric]:
        """Yield the metrics."""
        totals = self._aggregator.totals
        yield from _attributes(CounterMetricFamily, _COUNTERS, "variant", totals)
        for name, attribute, text in _BY_OUTCOME:
            outcomes = CounterMetricFamily(name, text, labels=["variant", "outcome"])
            for variant, counters in totals.items():
                for outcome, number in getattr(counters, attribute).items():
                    outcomes.add_metric([variant, outcome], number)
            yield outcomes
        yield from _histograms(totals)
        yield from self._recent()
        gauges = self._aggregator.gauges()
        yield from _attributes(GaugeMetricFamily, _GAUGES, "variant", gauges)
        oldest = GaugeMetricFamily(
            "tcplab_load_oldest_wait_seconds",
            "How long the client has waited that waits longest now for its connection's first reply; 0 if none waits",
            labels=["variant"],
        )
        for variant, values in gauges.items():
            oldest.add_metric([variant], values.oldest / 1e6)
        yield oldest
        status = self._status()
        yield from _about_workers(status)
        yield from _about_the_run(status)
        yield _warnings(status.warnings, totals)

    def _recent(self) -> Iterator[Metric]:
        quantiles = GaugeMetricFamily(
            "tcplab_load_recent_seconds",
            "Exact quantiles over the stage's last 10 s and all workers, to three significant figures; absent without"
            " samples. A stage begins when the number of clients changes",
            labels=["variant", "series", "q"],
        )
        rates = GaugeMetricFamily(
            "tcplab_load_recent_rate",
            "Requests per second over the stage's last 10 s: verified, or failed, failed connects included",
            labels=["variant", "outcome"],
        )
        clients = GaugeMetricFamily(
            "tcplab_load_recent_clients",
            "Mean number of clients over the stage's last 10 s: waiting (connected without a reply on that connection,"
            " or connecting for over a second), connected, asked (Locust's users)",
            labels=["variant", "state"],
        )
        age, stage = self._aggregator.stage(self._clock())
        for variant, recent in stage.items():
            for series, histogram in recent.counters.histograms.items():
                for fraction in QUANTILES:
                    if found := quantile(histogram, fraction):
                        quantiles.add_metric([variant, series, str(fraction)], found.microseconds / 1e6)
            rates.add_metric([variant, "verified"], recent.verified)
            rates.add_metric([variant, "failed"], recent.failed)
            clients.add_metric([variant, "waiting"], recent.waiting)
            clients.add_metric([variant, "connected"], recent.connected)
            clients.add_metric([variant, "asked"], recent.users)
        yield from (quantiles, rates, clients)
        yield GaugeMetricFamily("tcplab_load_stage_seconds", "How long the number of clients has not changed", age)


def _attributes(
    kind: type[CounterMetricFamily | GaugeMetricFamily], rows: _Rows, label: str, values: Mapping[str, object]
) -> Iterator[Metric]:
    for name, attribute, text in rows:
        family = kind(name, text, labels=[label])
        for key, value in values.items():
            family.add_metric([key], getattr(value, attribute))
        yield family


def _about_workers(status: Status) -> Iterator[Metric]:
    yield GaugeMetricFamily("tcplab_load_workers", "Load processes that report", value=len(status.workers))
    requests = CounterMetricFamily(
        "tcplab_load_worker_requests",
        "Requests of a load process that have ended, in any way; the series ends with the process",
        labels=["worker"],
    )
    for index, worker in status.workers.items():
        requests.add_metric([str(index)], worker.requests)
    yield requests
    efforts = {str(index): worker.recent_effort() for index, worker in status.workers.items()}
    yield from _attributes(GaugeMetricFamily, _OF_A_WORKER, "worker", efforts)


def _about_the_run(status: Status) -> Iterator[Metric]:
    yield GaugeMetricFamily("tcplab_load_running", "1 while a run is on", value=status.started is not None)
    began = GaugeMetricFamily(
        "tcplab_load_run_start_timestamp_seconds",
        "When the current run began, in seconds since 1970; absent without one. It distinguishes two runs between two"
        " scrapes",
        labels=[],
    )
    run = InfoMetricFamily("tcplab_load_run", "The current run's scenario", labels=[])
    if status.started is not None:
        began.add_metric([], status.started)
        run.add_metric([], {"scenario": status.scenario})
    yield began
    yield run
    yield GaugeMetricFamily(
        "tcplab_load_target_rate",
        "Requests per second that fall due in total, whether or not the servers keep up; 0 in the closed model",
        value=status.rate,
    )


def _warnings(found: Iterable[LoadWarning], variants: Iterable[str]) -> Metric:
    family = GaugeMetricFamily(
        "tcplab_load_warning",
        "1 while this reason not to trust a variant's figures holds; about: the generator, the server, or the run;"
        " degree: note (the figures it moves are bounds) or doubt (they say nothing); moves: which figures"
        " (loadtest/README.md says what to do)",
        labels=["warning", "about", "degree", "moves", "variant"],
    )
    present = {(each.name, each.degree, variant) for each in found for variant in each.variants}
    for name, row in CHECKED.items():
        for level in row.levels:
            moves = ",".join(figure for figure in FIGURES if figure in level.moves)
            for variant in variants:
                is_on = (name, level.degree, variant) in present
                family.add_metric([name, row.about, level.degree, moves, variant], is_on)
    return family


def _histograms(totals: dict[str, Counters]) -> Iterator[Metric]:
    for name, series, text in _SECONDS:
        family = HistogramMetricFamily(name, text, labels=["variant"])
        for variant, counters in totals.items():
            buckets, total = cumulative(counters.histograms[series])
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
    """Return a WSGI application for GET /metrics, with the standard process and Python metrics."""
    REGISTRY.register(collector)
    serve = make_wsgi_app(REGISTRY)

    def answer(environ: dict[str, Any], start_response: Callable[..., Any]) -> Any:  # noqa: ANN401 - as WSGI has it
        if environ["REQUEST_METHOD"] == "GET":
            return serve(environ, start_response)
        start_response("405 Method Not Allowed", [("Allow", "GET"), ("Content-Length", "0")])
        return []

    return answer
