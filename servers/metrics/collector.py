"""What a server exports to Prometheus. Everything is read when it is scraped; nothing is done for it before."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from itertools import accumulate

from prometheus_client import CollectorRegistry, GCCollector, PlatformCollector, ProcessCollector
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector
from prometheus_client.utils import floatToGoString

from servers.connections.listener import Listener
from servers.metrics import process
from servers.metrics.cgroup import Container
from servers.metrics.gc_pauses import PAUSE_BOUNDS, GarbagePauses
from servers.stats import SERVICE_BOUNDS, Total
from servers.wire import Command


class ServerCollector(Collector):
    """Reads a server's counters, listener and process at each scrape, and gives them names, units and help texts."""

    def __init__(self, listener: Listener, pauses: GarbagePauses, container: Container | None) -> None:
        self._listener = listener
        self._pauses = pauses
        self._container = container
        listener.on_first = self._weigh

    def describe(self) -> Iterator[Metric]:
        """Name nothing in advance: what the machine cannot tell is left out, not exported as zero."""
        return iter(())

    def collect(self) -> Iterator[Metric]:
        """Yield every metric family, once a scrape."""
        total = self._listener.stats.total()
        yield from self._connections(total)
        yield from self._requests(total)
        yield from self._process()
        if self._container is not None:
            yield from _container(self._container)

    def _connections(self, total: Total) -> Iterator[Metric]:
        yield _gauge("connections_open", "Clients being served now.", total.open)
        yield _gauge(
            "connections_limit",
            "Clients that may be served at once; further ones are refused.",
            self._listener.limit,
        )
        queue = self._listener.queue()
        if queue is not None:
            yield _gauge(
                "accept_queue_connections",
                "Connections in the accept queue: the kernel has accepted them, the server has not. Those whose client "
                "gave up stay in it until the server gets to them.",
                queue.waiting,
            )
            yield _gauge(
                "accept_queue_limit",
                "Connections that the accept queue takes; what exceeds it goes unanswered and tries again after 1 s.",
                queue.limit,
            )

    def _requests(self, total: Total) -> Iterator[Metric]:
        yield _counters(
            "connections_ended",
            "Connections that have ended, by how: quit (the client said so), closed or reset by it, idle, dripping or "
            "unread (past a deadline), overlong (a line over 64 KiB), shutdown, failed (a bug), refused.",
            "outcome",
            total.ended,
        )
        yield _counters(
            "requests",
            "Requests answered with OK. Rate of this is the server's throughput.",
            "command",
            {command.name.lower(): total.requests[command] for command in Command},
        )
        yield _counters(
            "errors",
            "What went wrong, by kind. The first four are requests answered with ERR; full and threads are clients "
            "refused; descriptors means that accept had to back off.",
            "kind",
            total.errors,
        )
        yield _histogram(
            "service_seconds",
            "Time from when a request was taken up until its reply was ready, SLEEP's wait included. A server that is "
            "blocked knows nothing of the clients in its accept queue, so look at that too, or ask the clients.",
            SERVICE_BOUNDS,
            total.buckets,
            total.seconds,
        )
        yield _counter("received_bytes", "Bytes of requests read.", total.received)
        yield _counter("sent_bytes", "Bytes of replies written.", total.sent)

    def _process(self) -> Iterator[Metric]:
        workers = self._listener.workers
        yield _counters(
            "cpu_seconds",
            "CPU time that the server's process has used, in its own code (user) and in the kernel for it (system), to "
            "the microsecond. Divided by requests it is the cost of one, which holds on any number of cores.",
            "mode",
            process.cpu_seconds(workers),
        )
        yield _gauge(
            "threads",
            "Python threads of the process, those for signals, for the metrics and for this scrape included.",
            process.threads(workers),
        )
        resident = [process.resident_bytes(each) for each in (None, *workers)]
        if None not in resident:
            yield _gauge(
                "resident_memory_bytes",
                "Memory of the process that is in RAM. The kernel's socket buffers are not in it: see the container's.",
                sum(each or 0 for each in resident),
            )
            initial = [block.initial_bytes for block in self._listener.stats.blocks]
            yield _gauge(
                "idle_memory_bytes",
                "Memory that the process had in RAM before its first client: what is more now is the clients', those "
                "included that have left, for little of it goes back.",
                sum(first or now or 0 for first, now in zip(initial, resident, strict=False)),
            )
        yield _histogram(
            "gc_pause_seconds",
            "Pauses of Python's cyclic garbage collector, during which the server does nothing else.",
            PAUSE_BOUNDS,
            self._pauses.buckets,
            self._pauses.seconds,
        )

    def _weigh(self) -> None:
        """Note what the process weighs; without a descriptor to read it by, the next scrape has to do."""
        with suppress(OSError):
            self._listener.stats.own.weighed(process.resident_bytes() or 0)


def registry(collector: ServerCollector) -> CollectorRegistry:
    """Return a registry with the server's metrics and the standard ones of the process and of Python."""
    every = CollectorRegistry()
    every.register(collector)
    ProcessCollector(registry=every)
    PlatformCollector(registry=every)
    GCCollector(registry=every)
    return every


def _container(container: Container) -> Iterator[Metric]:
    yield _gauges(
        "container_memory_bytes",
        "Memory charged to the container, by part: anon (the program's own), kernel (thread stacks in the kernel, page "
        "tables, slabs), sock (socket buffers), file (page cache, which belongs to whoever touched a file first: "
        "leave it out of a comparison).",
        "part",
        container.memory(),
    )
    throttled = container.throttled()
    if throttled is not None:
        yield _counter(
            "container_throttled_periods",
            "Periods in which a CPU quota froze the container.",
            throttled.periods,
        )
        yield _counter(
            "container_throttled_seconds",
            "Time for which a CPU quota has frozen the container.",
            throttled.seconds,
        )


def _gauge(name: str, text: str, value: float) -> Metric:
    return GaugeMetricFamily(f"tcplab_{name}", text, value=value)


def _gauges(name: str, text: str, label: str, values: Mapping[str, float]) -> Metric:
    family = GaugeMetricFamily(f"tcplab_{name}", text, labels=[label])
    for value_of_label, value in values.items():
        family.add_metric([value_of_label], value)
    return family


def _counter(name: str, text: str, value: float) -> Metric:
    return CounterMetricFamily(f"tcplab_{name}", text, value=value)


def _counters(name: str, text: str, label: str, values: Mapping[str, float]) -> Metric:
    family = CounterMetricFamily(f"tcplab_{name}", text, labels=[label])
    for value_of_label, value in values.items():
        family.add_metric([value_of_label], value)
    return family


def _histogram(name: str, text: str, bounds: Sequence[float], counts: Sequence[int], total: float) -> Metric:
    """Make Prometheus's cumulative buckets of `counts`, one more than there are `bounds`."""
    edges = [*map(floatToGoString, bounds), "+Inf"]
    return HistogramMetricFamily(
        f"tcplab_{name}", text, buckets=list(zip(edges, accumulate(counts), strict=True)), sum_value=total
    )
