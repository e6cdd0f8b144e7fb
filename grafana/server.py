"""The dashboard "Server in detail": everything that one variant exports, and how it is easily misread."""

from collections.abc import Sequence

from grafana_foundation_sdk.builders import table, timeseries
from grafana_foundation_sdk.models import common, dashboard

from grafana import colours, figures, texts, units
from grafana.fields import DASHED, DOTTED, coloured, columns, query_now, query_table, words
from grafana.page import Line, page
from grafana.panels import Series, buckets, chart, grid, parts, tile
from servers.stats import OUTCOMES
from servers.wire import Command

CHOSEN = 'variant="$variant"'


def gauge(metric: str) -> str:
    """Return the query of a gauge; `max` only drops the target's labels."""
    return f"max by (variant) ({metric}{{{CHOSEN}}})"


def rates(metric: str, label: str) -> str:
    """Return the query of a counter's rate per second by a label."""
    return f"sum by ({label}) (rate({metric}{{{CHOSEN}}}[$__rate_interval]))"


def quantile(metric: str, fraction: str) -> str:
    """Return the query of a histogram's quantile, estimated within a bucket."""
    return f"histogram_quantile({fraction}, sum by (le, variant) (rate({metric}_bucket{{{CHOSEN}}}[$__rate_interval])))"


def quantiles(title: str, metric: str, text: str, empty: str) -> timeseries.Panel:
    """Return a chart of a histogram's p50 and p99. text: what it is of."""
    return chart(
        f"{title} p50 (p99 dashed)",
        f"{metric}: {text} {texts.WITHIN_A_BUCKET}",
        units.SECONDS,
        Series(quantile(metric, "0.5"), "p50"),
        Series(quantile(metric, "0.99"), "p99", style=DASHED),
        empty=empty,
        log=True,
    )


def head() -> Line:
    """Return the tiles: up, uptime, Python."""
    up = (
        tile(
            "Up",
            "Whether the server answers on its metrics port (up); down once two scrapes have failed. It answers even "
            "while its clients wait.",
            "?",
        )
        .with_target(query_now(f"variant:up:max4s{{{CHOSEN}}}", "A", "{{variant}}"))
        .text_mode(common.BigValueTextMode.VALUE_AND_NAME)
        .mappings([words({"1": ("up", colours.GOOD), "0": ("down", colours.ERROR)})])
    )
    started = f'max by (variant) (process_start_time_seconds{{job="servers",{CHOSEN}}})'
    since = (
        tile(
            "Uptime",
            "Time since the server's process started (process_start_time_seconds). Its counters started at zero then.",
            texts.NO_SERVER,
        )
        .unit("s")
        .with_target(query_now(f"time() - {started}", "A"))
    )
    info = f'max by (implementation, version) (python_info{{job="servers",{CHOSEN}}})'
    python = (
        tile(
            "Python",
            "The server's interpreter (python_info). Compare servers on the same one: event loops and the GIL differ "
            "between versions.",
            texts.NO_SERVER,
        )
        .with_target(query_now(info, "A", "{{implementation}} {{version}}"))
        .text_mode(common.BigValueTextMode.NAME)
    )
    return Line(3, [up, since, python])


def connections() -> Line:
    """Return the charts of connections open, waiting and ended, and of requests."""
    served = chart(
        "Connections: open, and waiting",
        "tcplab_connections_open (solid), tcplab_connections_waiting (dashed: accepted, and not served yet) and "
        "tcplab_accept_queue_connections (dotted). Their limits, "
        "tcplab_connections_limit and tcplab_accept_queue_limit, are in the table of numbers below. "
        f"{figures.CONNECTIONS.text} {figures.ACCEPT_QUEUE.text}",
        units.COUNT,
        Series(gauge("tcplab_connections_open")),
        Series(gauge("tcplab_connections_waiting"), "accepted, not served yet", style=DASHED),
        Series(gauge("tcplab_accept_queue_connections"), "in the accept queue", style=DOTTED),
        empty=texts.NO_SERVER,
    )
    ended = parts(
        "Connections ended per second",
        "tcplab_connections_ended_total. quit: the client sent QUIT; closed, reset: it left; idle, dripping, unread: "
        "it passed a deadline; overlong: a line over 64 KiB; shutdown; failed: a bug, or its worker died; refused. A "
        "client that gave up in the accept queue ends much later, when its turn comes. What never happens has no line.",
        units.PER_SECOND,
        f"{rates('tcplab_connections_ended_total', 'outcome')} > 0",
        "outcome",
        kinds=OUTCOMES,
        empty="No connection has ended",
    )
    answered = parts(
        "Requests answered per second",
        "tcplab_requests_total by command: requests answered with OK. The client may have left before the reply: "
        "compare with the clients' correct replies, which don't count quit.",
        units.REQUESTS_PER_SECOND,
        f"{rates('tcplab_requests_total', 'command')} > 0",
        "command",
        kinds=[command.name.lower() for command in Command],
        empty="No request served",
    )
    return Line(9, [served, ended, answered])


def service() -> Line:
    """Return the charts of service time."""
    heatmap = buckets(
        "Service time",
        f"tcplab_service_seconds: {texts.SERVICE_TIME}",
        "tcplab_service_seconds",
        "$variant",
        colours.KINDS[0],
        empty=texts.NO_SERVER,
    )
    service_time = quantiles("Service time", "tcplab_service_seconds", texts.SERVICE_TIME, "No request served")
    waits = quantiles(
        "Accept to service",
        "tcplab_connection_wait_seconds",
        "what a client waited from its accept until it was served: for a thread to start, the event loop's turn, or a "
        "free thread of the pool. The accept queue comes before.",
        "No client served",
    )
    pauses = buckets(
        "Garbage collection pauses",
        "tcplab_gc_pause_seconds: all clients wait meanwhile, in every model. A few short ones are normal, and a busy "
        "server, which makes more objects, has more.",
        "tcplab_gc_pause_seconds",
        "$variant",
        colours.KINDS[0],
        empty=texts.NO_SERVER,
    )
    return Line(11, [heatmap, service_time, waits, pauses])


def cost() -> Line:
    """Return the charts of CPU and memory."""
    scrapes = f"sum(rate(tcplab_scrape_cpu_seconds_total{{{CHOSEN}}}[$__rate_interval]))"
    cpu = chart(
        "CPU, cores in use",
        "tcplab_cpu_seconds_total by mode, user (its own code) and system (the kernel); contained in them, what "
        f"answering Prometheus costs (tcplab_scrape_cpu_seconds_total). {figures.CORES.text}",
        units.CORES,
        Series(rates("tcplab_cpu_seconds_total", "mode"), legend="{{mode}}"),
        Series(scrapes, legend="for scrapes"),
        empty=texts.NO_SERVER,
    )
    memory = chart(
        "Process memory",
        "tcplab_resident_memory_bytes; dashed: tcplab_idle_memory_bytes, from before the first client. The difference "
        "is due to all clients so far, because little is returned when they leave. The kernel's socket buffers are "
        "not included: see the container's.",
        units.BYTES,
        Series(gauge("tcplab_resident_memory_bytes")),
        Series(gauge("tcplab_idle_memory_bytes"), "before its first client", style=DASHED),
        empty=texts.ONLY_LINUX,
    )
    container = parts(
        "Container memory",
        "tcplab_container_memory_bytes by part: anon (the program's own), kernel (thread stacks in the kernel, page "
        "tables, slabs), sock (socket buffers), file. Leave file out of a comparison: page cache is charged to the "
        "container that read a file first.",
        units.BYTES,
        f"max by (part) (tcplab_container_memory_bytes{{{CHOSEN}}})",
        "part",
        kinds=["anon", "kernel", "sock", "file"],
        empty=texts.ONLY_A_CONTAINER,
    )
    return Line(9, [coloured(cpu, ["user", "system", "for scrapes"], colours.KINDS), memory, container])


NUMBERS = (
    ("threads", f"max(tcplab_threads{{{CHOSEN}}})"),
    ("limit of connections", f"max(tcplab_connections_limit{{{CHOSEN}}})"),
    ("limit of the accept queue", f"max(tcplab_accept_queue_limit{{{CHOSEN}}})"),
    ("open descriptors", f'max(process_open_fds{{job="servers",{CHOSEN}}})'),
    ("limit of descriptors", f'max(process_max_fds{{job="servers",{CHOSEN}}})'),
    ("bytes received per second", f"sum(rate(tcplab_received_bytes_total{{{CHOSEN}}}[$__rate_interval]))"),
    ("bytes sent per second", f"sum(rate(tcplab_sent_bytes_total{{{CHOSEN}}}[$__rate_interval]))"),
    ("resident bytes, standard metric", f'max(process_resident_memory_bytes{{job="servers",{CHOSEN}}})'),
    ("cores that it may use", f"max(tcplab_usable_cores{{{CHOSEN}}})"),
    ("cores of the machine", f"max(tcplab_machine_cores{{{CHOSEN}}})"),
    ("GIL, 1 if it is on", f"max(tcplab_gil_enabled{{{CHOSEN}}})"),
    ("switch interval, us", f"1e6 * max(tcplab_switch_interval_seconds{{{CHOSEN}}})"),
    ("virtual bytes", f'max(process_virtual_memory_bytes{{job="servers",{CHOSEN}}})'),
    (
        "CPU, standard metric, ms per second",
        f'1000 * sum(rate(process_cpu_seconds_total{{job="servers",{CHOSEN}}}[$__rate_interval]))',
    ),
)
"""Name and query of what needs no chart."""

COUNTS = (
    ("error", "kind", "tcplab_errors_total"),
    ("restarts of worker", "worker", "tcplab_worker_restarts_total"),
    ("connections ended by worker", "worker", "tcplab_worker_connections_ended_total"),
    ("throttled periods", "", "tcplab_container_throttled_periods_total"),
    ("throttled seconds", "", "tcplab_container_throttled_seconds_total"),
    ("garbage collections of generation", "generation", "python_gc_collections_total"),
    ("objects collected of generation", "generation", "python_gc_objects_collected_total"),
    ("uncollectable objects of generation", "generation", "python_gc_objects_uncollectable_total"),
)
"""Name, label and counter of what is zero, or says nothing over time, in a healthy server."""


def numbers() -> Line:
    """Return the tables: what is the same for long, and what is zero if all is well."""
    now = [_named(f"({expr})", name) for name, expr in NUMBERS]
    now += [
        _named(f"tcplab_interpreter_info{{{CHOSEN}}}", "build: $1", "build"),
        _named(f"sum by (worker) (tcplab_worker_connections_open{{{CHOSEN}}})", "connections of worker $1", "worker"),
        _named(rates("tcplab_worker_requests_total", "worker"), "requests per second of worker $1", "worker"),
    ]
    counted = []
    for name, label, counter in COUNTS:
        growth = f"(increase({counter}{{{CHOSEN}}}[$__range]))"
        counted.append(
            _named(f"sum by ({label}) {growth}", f"{name} $1", label) if label else _named(f"sum{growth}", name)
        )
    numbers = _table(
        "Numbers now",
        "tcplab_threads: compare its growth, not the number. tcplab_connections_limit and tcplab_accept_queue_limit: "
        "beyond them clients are refused, or wait unseen. process_open_fds, process_max_fds: a client takes one "
        "descriptor. tcplab_received_bytes_total, tcplab_sent_bytes_total: without TCP's headers. "
        "process_resident_memory_bytes is the same as tcplab_resident_memory_bytes. process_virtual_memory_bytes is "
        "address space, never a cost. process_cpu_seconds_total has steps of 10 ms, too coarse for CPU per request. "
        "tcplab_usable_cores below tcplab_machine_cores: it is kept apart from the load (make cpusets). "
        "tcplab_worker_connections_open, tcplab_worker_requests_total: a pre-fork server's workers, which get uneven "
        "parts. tcplab_gil_enabled: an extension may turn the GIL on again. tcplab_switch_interval_seconds means "
        "nothing without it. tcplab_interpreter_info: whether Python was built with it.",
        now,
    )
    counts = _table(
        "Counts in the time shown",
        "Prometheus extrapolates: off by a few per cent, but zero is exact. tcplab_errors_total by kind: unknown, "
        "argument, overlong, unfinished (answered with ERR); idle, dripping, unread (past a deadline); full, threads "
        "(refused); descriptors (accept backed off); internal (a bug). tcplab_container_throttled_periods_total, "
        "tcplab_container_throttled_seconds_total: above zero, latencies show a CPU quota. "
        "tcplab_worker_restarts_total: workers of a pre-fork server that died. "
        "tcplab_worker_connections_ended_total: each one's part. python_gc_collections_total: generation 2 is the "
        "whole heap. python_gc_objects_collected_total: objects in cycles. python_gc_objects_uncollectable_total: a "
        "rise is a leak.",
        counted,
    )
    return Line(13, [numbers, counts])


def _named(expr: str, name: str, label: str = "") -> str:
    """Return the query with a name in the label `what`; in it, $1 is the value of the other label."""
    value = "(.*)" if label else ""
    return f'label_replace({expr}, "what", "{name}", "{label}", "{value}")'


def _table(title: str, trap: str, queries: Sequence[str]) -> table.Panel:
    expr = "max by (what) ({})".format("\nor ".join(queries))
    return (
        grid(title, trap, units.COUNT, texts.NO_SERVER)
        .with_target(query_table(expr, "A"))
        .decimals(0)
        .with_transformation(columns({"what": "What", "Value": "Number"}, "Time"))
    )


def build() -> dashboard.Dashboard:
    """Return the dashboard."""
    sections = {
        "": [head(), connections()],
        "Time": [service()],
        "Cost": [cost()],
        "Numbers": [numbers()],
    }
    return page("server", sections, shown=["variant"])
