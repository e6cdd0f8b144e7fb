"""A server's metrics for Prometheus, all read at the scrape."""

import platform
import sys
import sysconfig
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from functools import partial
from itertools import accumulate
from typing import Final

from prometheus_client import CollectorRegistry, GCCollector, PlatformCollector, ProcessCollector
from prometheus_client.core import CounterMetricFamily as Counter
from prometheus_client.core import GaugeMetricFamily as Gauge
from prometheus_client.core import HistogramMetricFamily as Histogram
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector
from prometheus_client.utils import floatToGoString

from servers.connections.listener import Listener
from servers.metrics import process
from servers.metrics.cgroup import Container
from servers.metrics.gc_pauses import PAUSE_BOUNDS, GarbagePauses
from servers.stats import SERVICE_BOUNDS, WAIT_BOUNDS, Total
from servers.wire import Command
from servers.workers.supervisor import Workers

BUILD: Final = "free-threaded" if sysconfig.get_config_var("Py_GIL_DISABLED") else "gil"


class ServerCollector(Collector):
    """
    Reads a server's counters, listener and process at each scrape; gives them names, units and help texts.

    What this machine does not report is left out, not exported as zero.
    """

    def __init__(self, listener: Listener, pauses: GarbagePauses, container: Container | None) -> None:
        self._listener = listener
        self._pauses = pauses
        self._container = container
        listener.on_first = self._weigh

    def collect(self) -> Iterator[Metric]:
        """Yield every metric family."""
        total = self._listener.stats.total()
        yield from self._connections(total)
        yield from self._requests(total)
        with self._listener.reaping:
            yield from list(self._process())
        yield from _interpreter()
        if self._container is not None:
            yield from _container(self._container)

    def _connections(self, total: Total) -> Iterator[Metric]:
        yield Gauge("tcplab_connections_open", "Clients being served now.", total.open)
        yield Gauge(
            "tcplab_connections_waiting",
            "Clients that the server has accepted and not begun to serve: they wait for a thread or the event loop.",
            total.waiting,
        )
        yield _histogram(
            "tcplab_connection_wait_seconds",
            "Time from a client's accept until the server began to serve it, without the time in the accept queue.",
            WAIT_BOUNDS,
            total.waits,
            total.waited,
        )
        yield Gauge(
            "tcplab_connections_limit",
            "Clients that may be accepted at once; further ones are refused.",
            self._listener.limit,
        )
        queue = self._listener.queue()
        if queue is not None:
            yield Gauge(
                "tcplab_accept_queue_connections",
                "Connections in the accept queue: the kernel has accepted them, the server has not. If a client gives "
                "up, its connection stays until the server accepts it.",
                queue.waiting,
            )
            yield Gauge(
                "tcplab_accept_queue_limit",
                "Length of the accept queue; the kernel does not answer further clients, which try again after 1 s.",
                queue.limit,
            )

    def _requests(self, total: Total) -> Iterator[Metric]:
        yield _counters(
            "tcplab_connections_ended",
            "Ended connections by outcome: quit (the client sent QUIT), closed or reset (by the client), idle, "
            "dripping or unread (past a deadline), overlong (a line over 64 KiB), shutdown, failed (a bug, or its "
            "worker died), refused.",
            outcome=total.ended,
        )
        yield _counters(
            "tcplab_requests",
            "Requests answered with OK, by command. Their rate is the server's throughput.",
            command={command.name.lower(): total.requests[command] for command in Command},
        )
        yield _counters(
            "tcplab_errors",
            "Errors by kind. unknown, argument, overlong, unfinished: requests answered with ERR. idle, dripping, "
            "unread: passed deadlines. full, threads: refused clients. descriptors: accept failed. internal: a bug.",
            kind=total.errors,
        )
        yield _histogram(
            "tcplab_service_seconds",
            "Time from the start of a request's service until its reply was ready, including SLEEP's wait. It leaves "
            "out the time in the accept queue: see that, or the clients' latencies.",
            SERVICE_BOUNDS,
            total.buckets,
            total.seconds,
        )
        yield Counter("tcplab_received_bytes", "Bytes of requests read.", total.received)
        yield Counter("tcplab_sent_bytes", "Bytes of replies written.", total.sent)

    def _process(self) -> Iterator[Metric]:
        workers = self._listener.workers
        yield _counters(
            "tcplab_cpu_seconds",
            "CPU time of the server's processes in its own code (user) and in the kernel (system), to the microsecond. "
            "Divided by requests it is the cost of one, on any number of cores.",
            mode=process.cpu_seconds(workers, self._listener.ended),
        )
        yield Gauge(
            "tcplab_threads",
            "Python threads of the process, including those for signals, metrics and this scrape.",
            process.threads(workers),
        )
        yield Gauge(
            "tcplab_usable_cores",
            "Cores that the server may use. Fewer than the machine's if it is kept apart from the load (make cpusets).",
            process.usable_cores(),
        )
        yield Gauge(
            "tcplab_machine_cores",
            "Cores of the machine, also those that the server may not use.",
            process.machine_cores(),
        )
        resident = process.memory(workers)
        if resident is not None:
            yield Gauge(
                "tcplab_resident_memory_bytes",
                "Memory of the process in RAM, without the kernel's socket buffers: for those see the container's. A "
                "page that several of its processes share counts once.",
                resident,
            )
            yield Gauge(
                "tcplab_idle_memory_bytes",
                "Memory of the process in RAM before its first client. What exceeds it now is due to clients, even "
                "those that have left: the process returns little.",
                self._listener.stats.own.initial_bytes or resident,
            )
        yield _histogram(
            "tcplab_gc_pause_seconds",
            "Pauses for Python's cyclic garbage collector, in which the server does nothing else.",
            PAUSE_BOUNDS,
            self._pauses.buckets,
            self._pauses.seconds,
        )

    def _weigh(self) -> None:
        """Record the idle memory; without a free descriptor to read it, the next scrape's value stands in."""
        with suppress(OSError):
            self._listener.stats.own.weighed(process.memory(self._listener.workers) or 0)


class WorkersCollector(Collector):
    """Exports what each worker of a pre-fork server does, so that imbalance is seen."""

    def __init__(self, workers: Workers) -> None:
        self._workers = workers

    def collect(self) -> Iterator[Metric]:
        """Yield every metric family. A worker's successor counts on under its number."""
        stats = self._workers.stats
        totals = [stats.total(block) for block in stats.blocks[1:]]
        yield _gauges(
            "tcplab_worker_connections_open",
            "Clients that each worker serves now.",
            worker=_numbered(total.open for total in totals),
        )
        yield _counters(
            "tcplab_worker_connections_ended",
            "Connections of each worker that have ended, those included that it has refused.",
            worker=_numbered(sum(total.ended.values()) for total in totals),
        )
        yield _counters(
            "tcplab_worker_requests",
            "Requests that each worker has answered with OK.",
            worker=_numbered(sum(total.requests) for total in totals),
        )
        yield _counters(
            "tcplab_worker_restarts",
            "How often each worker has died and was started again.",
            worker=_numbered(self._workers.restarts),
        )


def _numbered(values: Iterable[int]) -> dict[str, int]:
    return {str(number): value for number, value in enumerate(values, 1)}


def registry(collector: ServerCollector) -> CollectorRegistry:
    """Return a registry with the server's metrics and the standard ones of the process and Python."""
    every = CollectorRegistry()
    every.register(collector)
    ProcessCollector(registry=every)
    PlatformCollector(registry=every)
    GCCollector(registry=every)
    return every


def _interpreter() -> Iterator[Metric]:
    about = Gauge(
        "tcplab_interpreter_info",
        "The Python that serves: implementation, version, and build (gil or free-threaded). Always 1.",
        labels=["implementation", "version", "build"],
    )
    about.add_metric([platform.python_implementation(), platform.python_version(), BUILD], 1)
    yield about
    gil_is_on = getattr(sys, "_is_gil_enabled", lambda: True)  # Pythons before 3.13 always have one
    yield Gauge(
        "tcplab_gil_enabled",
        "1 if one thread at a time runs Python (the GIL is on). In a free-threaded build an extension module that "
        "is not made for it turns it on.",
        gil_is_on(),
    )
    yield Gauge(
        "tcplab_switch_interval_seconds",
        "How long a thread may keep the GIL while others wait for it (--switch-interval).",
        sys.getswitchinterval(),
    )


def _container(container: Container) -> Iterator[Metric]:
    yield _gauges(
        "tcplab_container_memory_bytes",
        "Memory charged to the container, by part: anon (the program's own), kernel (thread stacks in the kernel, page "
        "tables, slabs), sock (socket buffers), file (page cache, charged to the container that read a file first: "
        "leave it out of a comparison).",
        part=container.memory(),
    )
    throttled = container.throttled()
    if throttled is not None:
        yield Counter(
            "tcplab_container_throttled_periods",
            "Periods in which a CPU quota froze the container.",
            throttled.periods,
        )
        yield Counter(
            "tcplab_container_throttled_seconds",
            "Time in which a CPU quota froze the container.",
            throttled.seconds,
        )


def _by_label(kind: type[Counter | Gauge], name: str, text: str, /, **values: Mapping[str, float]) -> Metric:
    """Return a family with one label, the keyword. values: by the label's."""
    [(label, by_value)] = values.items()
    family = kind(name, text, labels=[label])
    for value_of_label, value in by_value.items():
        family.add_metric([value_of_label], value)
    return family


_counters = partial(_by_label, Counter)
_gauges = partial(_by_label, Gauge)


def _histogram(name: str, text: str, bounds: Sequence[float], counts: Sequence[int], total: float) -> Metric:
    """Return a family with cumulative buckets. counts: not cumulative, one more than `bounds`."""
    edges = [*map(floatToGoString, bounds), "+Inf"]
    return Histogram(name, text, buckets=list(zip(edges, accumulate(counts), strict=True)), sum_value=total)
