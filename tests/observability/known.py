"""
The lab's own exporters, fed with known durations and served over HTTP as in the lab.

Every variant and histogram has its own distribution (log-normal, as latencies are), so that a query which confuses or
pools two fails. Two workers record half of the load's durations each.
"""

import threading
from bisect import bisect_left, bisect_right
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from fractions import Fraction
from functools import cache
from math import ceil, exp, log
from socketserver import BaseServer
from statistics import NormalDist
from wsgiref.simple_server import WSGIRequestHandler, make_server

from prometheus_client import REGISTRY

from loadtest.cluster import exporter
from loadtest.cluster.exporter import LoadCollector, Status
from loadtest.recording.aggregator import Aggregator
from loadtest.recording.client_stats import ClientStats
from loadtest.recording.recorder import Recorder
from loadtest.run_warnings import LoadWarning
from servers.connections.listener import Listener, listen
from servers.metrics.collector import ServerCollector, registry
from servers.metrics.gc_pauses import PAUSE_BOUNDS, GarbagePauses
from servers.metrics.server import MetricsServer
from servers.session import Deadlines
from servers.stats import SERVICE_BOUNDS, WAIT_BOUNDS, Stats
from servers.variants import VARIANTS
from servers.wire import Command

NUMBER = 1000
"""Durations in each distribution."""

CLIENTS = 7
NAMES = [variant.name for variant in VARIANTS]
SERIES = {"response": 150, "service": 60, "first_reply": 400, "connect": 25}
"""The load's series, with the first variant's medians in microseconds."""

HISTOGRAMS = {f"tcplab_load_{series}_seconds": tuple(bound / 1e6 for bound in exporter.BOUNDS) for series in SERIES}
HISTOGRAMS |= {
    "tcplab_connection_wait_seconds": WAIT_BOUNDS,
    "tcplab_service_seconds": SERVICE_BOUNDS,
    "tcplab_gc_pause_seconds": PAUSE_BOUNDS,
}
"""Every exported histogram, with its buckets' finite bounds in seconds."""


@dataclass(frozen=True)
class Distribution:
    """Durations in whole microseconds with three significant figures, in ascending order."""

    microseconds: list[int]

    def quantile(self, fraction: str) -> float:
        """Return, in seconds, the smallest duration that at least `fraction` of them don't exceed."""
        return self.microseconds[ceil(Fraction(fraction) * len(self.microseconds)) - 1] / 1e6

    def bucket(self, fraction: str, bounds: tuple[float, ...]) -> tuple[float, float]:
        """Return the quantile's bucket, as bounds in seconds."""
        edges = (0.0, *bounds)
        index = bisect_left(edges, self.quantile(fraction))
        return edges[index - 1], edges[index]

    def up_to(self, bound: float) -> float:
        """Return the share of durations up to `bound` seconds."""
        return bisect_right(self.microseconds, bound, key=lambda each: each / 1e6) / len(self.microseconds)


@cache
def log_normal(median: float) -> Distribution:
    """Return NUMBER durations of a log-normal distribution around `median` microseconds, p99 at ten times that."""
    normal = NormalDist(log(median), 1.0)
    points = (exp(normal.inv_cdf((index + 0.5) / NUMBER)) for index in range(NUMBER))
    return Distribution(sorted(int(float(f"{max(point, 1):.3g}")) for point in points))


def of_load(variant: str) -> dict[str, Distribution]:
    """Return a variant's distributions at the load, by series."""
    scale = 5 ** NAMES.index(variant)
    return {series: log_normal(median * scale) for series, median in SERIES.items()}


def of_server(variant: str) -> dict[str, Distribution]:
    """Return a server's distributions, by histogram."""
    scale = 4 ** NAMES.index(variant)
    medians = {"tcplab_connection_wait_seconds": 700, "tcplab_service_seconds": 11, "tcplab_gc_pause_seconds": 35}
    return {metric: log_normal(median * scale) for metric, median in medians.items()}


def truth(metric: str, variant: str) -> Distribution:
    """Return the distribution fed to a histogram."""
    return (
        of_server(variant).get(metric) or of_load(variant)[metric.removeprefix("tcplab_load_").removesuffix("_seconds")]
    )


@dataclass
class Load:
    """An aggregator and two workers with a clock set by hand, and given warnings."""

    aggregator: Aggregator = field(default_factory=lambda: Aggregator(NAMES))
    now: int = 100 * 10**9
    warnings: tuple[LoadWarning, ...] = ()

    def __post_init__(self) -> None:
        self.workers = [Recorder(lambda: self.now, lambda: 0.0) for _ in range(2)]
        self.clients = {(name, worker): self._clients(name, worker) for name in NAMES for worker in range(2)}

    def _clients(self, name: str, worker: int) -> list[ClientStats]:
        clients = [self.workers[worker].client(name) for _ in range(worker, CLIENTS, 2)]
        for client in clients:
            client.started()
        return clients

    def report(self) -> None:
        """Report to the aggregator what was recorded, all within its last seconds."""
        for index, worker in enumerate(self.workers):
            self.aggregator.take(str(index), worker.report(), now=0.0)

    def play(self) -> None:
        """Record every duration once, on its own connection; leave every client connected and served."""
        for name in NAMES:
            durations = of_load(name)
            for index, (connect, first, response, service) in enumerate(
                zip(
                    *(durations[series].microseconds for series in ("connect", "first_reply", "response", "service")),
                    strict=True,
                )
            ):
                clients = self.clients[name, index % 2]
                client = clients[index // 2 % len(clients)]
                if client.connected:
                    client.left()
                client.connecting(self.now)
                self._wait(connect)
                client.connected_at(self.now)
                client.sent(self.now)
                self._wait(first - connect)
                client.verified(self.now)
                client.due(self.now)
                self._wait(response - service)
                client.sent(self.now)
                self._wait(service)
                client.verified(self.now)

    def _wait(self, microseconds: int) -> None:
        self.now += microseconds * 1000

    def status(self) -> Status:
        """Return the status of a running run."""
        workers = {int(name): worker for name, worker in self.aggregator.workers.items()}
        return Status(started=1.0, scenario="conversation", rate=0.0, warnings=self.warnings, workers=workers)


@dataclass
class Exporters:
    """All exporters of the lab, at zero until `play`. ports: by their hosts in prometheus.yml."""

    load: Load
    servers: dict[str, tuple[Stats, GarbagePauses]]
    ports: dict[str, int]

    def play(self) -> None:
        """Feed every exporter its known durations."""
        self.load.play()
        self.load.report()
        for name, (stats, pauses) in self.servers.items():
            known = of_server(name)
            for microseconds in known["tcplab_connection_wait_seconds"].microseconds:
                stats.own.opened()
                counts = stats.own.enter(microseconds / 1e6)
            for microseconds in known["tcplab_service_seconds"].microseconds:
                counts.answered(Command.ECHO, microseconds / 1e6)
            for microseconds in known["tcplab_gc_pause_seconds"].microseconds:
                pauses.count(microseconds / 1e6)


class _Silent(WSGIRequestHandler):
    def log_message(self, *_: object) -> None:
        pass


@contextmanager
def exporters() -> Iterator[Exporters]:
    """Serve them on loopback."""
    load = Load()
    load.report()
    collector = LoadCollector(load.aggregator, load.status, lambda: 0.0)
    with ExitStack() as stack:
        served = {}
        ports = {}
        for name in NAMES:
            listening = stack.enter_context(listen("127.0.0.1", 0, 1))
            stats, pauses = served[name] = Stats(), GarbagePauses()
            listener = Listener(listening, 1, stats, Deadlines(idle=1.0, line=1.0, write=1.0))
            server = ServerCollector(listener, pauses, None)
            scraping = stack.enter_context(MetricsServer("127.0.0.1", 0, registry(server)))
            ports[name] = scraping.server_address[1]
            _serve(stack, scraping)
        application = exporter.application(collector)
        stack.callback(REGISTRY.unregister, collector)
        master = stack.enter_context(make_server("127.0.0.1", 0, application, handler_class=_Silent))
        ports["locust-master"] = master.server_port
        _serve(stack, master)
        yield Exporters(load, served, ports)


def _serve(stack: ExitStack, server: BaseServer) -> None:
    """Serve from a thread until the stack closes."""
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    stack.callback(thread.join)
    stack.callback(server.shutdown)
