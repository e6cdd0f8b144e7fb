"""A server's metrics for Prometheus, all read at the scrape."""

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
from servers.metrics.interpreter import InterpreterCollector
from servers.stats import SERVICE_BOUNDS, WAIT_BOUNDS, Total
from servers.wire import Command


class ServerCollector(Collector):
    """Reads a server's counters, listener and process at each scrape; gives them names, units and help texts."""

    def __init__(self, listener: Listener, pauses: GarbagePauses, container: Container | None) -> None:
        self._listener = listener
        self._pauses = pauses
        self._container = container
        listener.on_first = self._weigh

    def describe(self) -> Iterator[Metric]:
        """Announce nothing: what this machine does not report is left out, not exported as zero."""
        return iter(())

    def collect(self) -> Iterator[Metric]:
        """Yield every metric family."""
        total = self._listener.stats.total()
        yield from self._connections(total)
        yield from self._requests(total)
        with self._listener.reaping:
            yield from list(self._process())
        if self._container is not None:
            yield from _container(self._container)

    def _connections(self, total: Total) -> Iterator[Metric]:
        yield _gauge("connections_open", "Clients being served now.", total.open)
        yield _gauge(
            "connections_waiting",
            "Clients that the server has accepted and not yet begun to serve: they wait for a thread of a pool.",
            total.waiting,
        )
        yield _histogram(
            "connection_wait_seconds",
            "Time from a client's accept until the server began to serve it, without the time in the accept queue.",
            WAIT_BOUNDS,
            total.waits,
            total.waited,
        )
        yield _gauge(
            "connections_limit",
            "Clients that may be accepted at once; further ones are refused.",
            self._listener.limit,
        )
        queue = self._listener.queue()
        if queue is not None:
            yield _gauge(
                "accept_queue_connections",
                "Connections in the accept queue: the kernel has accepted them, the server has not. If a client gives "
                "up, its connection stays until the server accepts it.",
                queue.waiting,
            )
            yield _gauge(
                "accept_queue_limit",
                "Length of the accept queue; the kernel does not answer further clients, which try again after 1 s.",
                queue.limit,
            )

    def _requests(self, total: Total) -> Iterator[Metric]:
        yield _counters(
            "connections_ended",
            "Ended connections by outcome: quit (the client sent QUIT), closed or reset (by the client), idle, "
            "dripping or unread (past a deadline), overlong (a line over 64 KiB), shutdown, failed (a bug, or its "
            "worker died), refused.",
            "outcome",
            total.ended,
        )
        yield _counters(
            "requests",
            "Requests answered with OK, by command. Their rate is the server's throughput.",
            "command",
            {command.name.lower(): total.requests[command] for command in Command},
        )
        yield _counters(
            "errors",
            "Errors by kind. unknown, argument, overlong, unfinished: requests answered with ERR. idle, dripping, "
            "unread: passed deadlines. full, threads: refused clients. descriptors: accept failed. internal: a bug.",
            "kind",
            total.errors,
        )
        yield _histogram(
            "service_seconds",
            "Time from the start of a request's service until its reply was ready, including SLEEP's wait. It leaves "
            "out the time in the accept queue: see that, or the clients' latencies.",
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
            "CPU time of the server's processes in its own code (user) and in the kernel (system), to the microsecond. "
            "Divided by requests it is the cost of one, on any number of cores.",
            "mode",
            process.cpu_seconds(workers, self._listener.ended),
        )
        yield _gauge(
            "threads",
            "Python threads of the process, including those for signals, metrics and this scrape.",
            process.threads(workers),
        )
        yield _gauge(
            "usable_cores",
            "Cores that the server may use. Fewer than the machine's if it is kept apart from the load (make cpusets).",
            process.usable_cores(),
        )
        yield _gauge(
            "machine_cores", "Cores of the machine, also those that the server may not use.", process.machine_cores()
        )
        resident = self._memory()
        if resident is not None:
            yield _gauge(
                "resident_memory_bytes",
                "Memory of the process in RAM, without the kernel's socket buffers: for those see the container's. A "
                "page that several of its processes share counts once.",
                resident,
            )
            yield _gauge(
                "idle_memory_bytes",
                "Memory of the process in RAM before its first client. What exceeds it now is due to clients, even "
                "those that have left: the process returns little.",
                self._listener.stats.own.initial_bytes or resident,
            )
        yield _histogram(
            "gc_pause_seconds",
            "Pauses for Python's cyclic garbage collector, in which the server does nothing else.",
            PAUSE_BOUNDS,
            self._pauses.buckets,
            self._pauses.seconds,
        )

    def _weigh(self) -> None:
        """Record the idle memory; without a free descriptor to read it, the next scrape's value stands in."""
        with suppress(OSError):
            self._listener.stats.own.weighed(self._memory() or 0)

    def _memory(self) -> int | None:
        workers = self._listener.workers
        return process.shared_bytes(workers) if workers else process.resident_bytes()


def registry(collector: ServerCollector) -> CollectorRegistry:
    """Return a registry with the server's metrics and the standard ones of the process and Python."""
    every = CollectorRegistry()
    every.register(collector)
    every.register(InterpreterCollector())
    ProcessCollector(registry=every)
    PlatformCollector(registry=every)
    GCCollector(registry=every)
    return every


def _container(container: Container) -> Iterator[Metric]:
    yield _gauges(
        "container_memory_bytes",
        "Memory charged to the container, by part: anon (the program's own), kernel (thread stacks in the kernel, page "
        "tables, slabs), sock (socket buffers), file (page cache, charged to the container that read a file first: "
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
            "Time in which a CPU quota froze the container.",
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
    """Return a family with cumulative buckets. counts: not cumulative, one more than `bounds`."""
    edges = [*map(floatToGoString, bounds), "+Inf"]
    return HistogramMetricFamily(
        f"tcplab_{name}", text, buckets=list(zip(edges, accumulate(counts), strict=True)), sum_value=total
    )
