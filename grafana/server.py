"""The dashboard "Server in detail": everything that one variant exports, and how it is easily misread."""

from collections.abc import Sequence

from grafana_foundation_sdk.builders import timeseries
from grafana_foundation_sdk.builders.heatmap import Panel as Heatmap
from grafana_foundation_sdk.models import common, dashboard

from grafana import colours, texts, units
from grafana.fields import at_first_hidden, coloured, fixed_colour, steps, words
from grafana.layout import Line, Section
from grafana.page import page
from grafana.panels import Series, buckets, chart, tile
from grafana.targets import query_now
from servers.stats import ERRORS, OUTCOMES
from servers.wire import Command

CHOSEN = 'variant="$variant"'
GENERATIONS = ("0", "1", "2")


def one(title: str, trap: str, expr: str, unit: str, *others: Series, empty: str = texts.NO_SERVER) -> timeseries.Panel:
    """Return a chart of one figure in the variant's colour, and of others to compare it with."""
    return chart(title, trap, [Series(expr), *others], unit=unit, empty=empty)


def gauge(metric: str) -> str:
    """Return the query of a gauge; `max` only drops the target's labels."""
    return f"max by (variant) ({metric}{{{CHOSEN}}})"


def rate(metric: str) -> str:
    """Return the query of a counter's rate per second."""
    return f"sum by (variant) (rate({metric}{{{CHOSEN}}}[$__rate_interval]))"


def parts(
    title: str,
    trap: str,
    expr: str,
    label: str,
    unit: str,
    *,
    kinds: Sequence[str],
    palette: Sequence[str] = colours.KINDS,
    empty: str = texts.NO_SERVER,
) -> timeseries.Panel:
    """Return a chart of a figure's parts by a label. kinds: the label's values."""
    panel = chart(title, trap, [Series(expr, legend=f"{{{{{label}}}}}")], unit=unit, empty=empty)
    return coloured(panel, kinds, palette)


def rates(metric: str, label: str) -> str:
    """Return the query of a counter's rate per second by a label."""
    return f"sum by ({label}) (rate({metric}{{{CHOSEN}}}[$__rate_interval]))"


def distribution(title: str, trap: str, metric: str) -> Heatmap:
    """Return the heatmap of a histogram."""
    expr = f"sum by (le) (increase({metric}_bucket{{{CHOSEN}}}[$__rate_interval]))"
    return buckets(title, trap, expr, colours.KINDS[0], texts.NO_SERVER)


def quantile(metric: str, fraction: str) -> str:
    """Return the query of a histogram's quantile, estimated within a bucket."""
    return f"histogram_quantile({fraction}, sum by (le, variant) (rate({metric}_bucket{{{CHOSEN}}}[$__rate_interval])))"


def limit(metric: str) -> Series:
    """Return the series of a limit."""
    return Series(f"max({metric}{{{CHOSEN}}})", legend="limit")


def head() -> Line:
    """Return the tiles: up, uptime, Python."""
    up = (
        tile("Up", "Whether the server answers on its metrics port. It does so even while its clients wait.", "?")
        .with_target(query_now(f'max by (variant) (up{{job="servers",{CHOSEN}}})', "A", "{{variant}}"))
        .text_mode(common.BigValueTextMode.VALUE_AND_NAME)
        .thresholds(steps(colours.NEUTRAL))
        .mappings([words({"1": ("up", colours.GOOD), "0": ("down", colours.ERROR)})])
    )
    since = (
        tile(
            "Uptime",
            "Time since the server's process started (process_start_time_seconds). Its counters started at zero then.",
            texts.NO_SERVER,
        )
        .unit("s")
        .with_target(
            query_now(f'time() - max by (variant) (process_start_time_seconds{{job="servers",{CHOSEN}}})', "A")
        )
        .thresholds(steps(colours.NEUTRAL))
    )
    python = (
        tile(
            "Python",
            "The server's interpreter (python_info). Compare servers on the same one: event loops and the GIL differ "
            "between versions.",
            texts.NO_SERVER,
        )
        .with_target(
            query_now(
                f'max by (implementation, version) (python_info{{job="servers",{CHOSEN}}})',
                "A",
                "{{implementation}} {{version}}",
            )
        )
        .text_mode(common.BigValueTextMode.NAME)
        .thresholds(steps(colours.NEUTRAL))
    )
    return Line(3, [up, since, python])


def connections() -> list[Line]:
    """Return the charts of connections open, waiting and ended."""
    served = one(
        "Connections open",
        "tcplab_connections_open; tcplab_connections_limit (click it in the legend) is 10,000, or what the descriptors "
        f"allow. {texts.CONNECTIONS}",
        gauge("tcplab_connections_open"),
        units.COUNT,
        limit("tcplab_connections_limit"),
    )
    queue = one(
        "Connections in the accept queue",
        f"tcplab_accept_queue_connections, tcplab_accept_queue_limit: {texts.ACCEPT_QUEUE}",
        gauge("tcplab_accept_queue_connections"),
        units.COUNT,
        limit("tcplab_accept_queue_limit"),
        empty=texts.ONLY_LINUX,
    )
    for panel in (served, queue):
        panel.override_by_name(
            "limit",
            [
                fixed_colour(colours.NEUTRAL),
                at_first_hidden(),
            ],
        )
    ended = parts(
        "Connections ended per second",
        "tcplab_connections_ended_total. quit: the client sent QUIT; closed, reset: it left; idle, dripping, unread: "
        "it passed a deadline; overlong: a line over 64 KiB; shutdown; failed: a bug; refused. A client that gave up "
        "in the accept queue ends much later, when its turn comes.",
        rates("tcplab_connections_ended_total", "outcome"),
        "outcome",
        units.PER_SECOND,
        kinds=OUTCOMES,
    )
    return [Line(8, [served, queue, ended])]


def requests() -> list[Line]:
    """Return the charts of requests, errors, bytes and service time."""
    answered = parts(
        "Requests answered per second",
        "tcplab_requests_total by command: requests answered with OK. The client may have left before the reply: "
        "compare with the clients' right replies, which don't count quit.",
        rates("tcplab_requests_total", "command"),
        "command",
        units.REQUESTS_PER_SECOND,
        kinds=[command.name.lower() for command in Command],
    )
    errors = parts(
        "Errors per second",
        "tcplab_errors_total; not all are replies. unknown, argument, overlong, unfinished: requests answered with "
        "ERR; idle, dripping, unread: a client passed a deadline; full, threads: a client was refused; descriptors: "
        "accept had to back off; internal: a bug.",
        rates("tcplab_errors_total", "kind"),
        "kind",
        units.PER_SECOND,
        kinds=ERRORS,
        palette=colours.reds(len(ERRORS)),
    ).axis_soft_max(1)
    bytes_ = coloured(
        chart(
            "Bytes per second",
            "tcplab_received_bytes_total and tcplab_sent_bytes_total: requests and replies without TCP's headers. The "
            "reply to an ECHO is two bytes shorter than the request.",
            [
                Series(f"sum(rate(tcplab_received_bytes_total{{{CHOSEN}}}[$__rate_interval]))", legend="received"),
                Series(f"sum(rate(tcplab_sent_bytes_total{{{CHOSEN}}}[$__rate_interval]))", legend="sent"),
            ],
            unit=units.BYTES_PER_SECOND,
            empty=texts.NO_SERVER,
        ),
        ["received", "sent"],
        colours.KINDS,
    )
    service = distribution("Service time", f"tcplab_service_seconds: {texts.SERVICE_TIME}", "tcplab_service_seconds")
    quantiles = chart(
        "Service time p50 (p99 dashed)",
        f"tcplab_service_seconds: {texts.SERVICE_TIME} {texts.WITHIN_A_BUCKET}",
        [
            Series(quantile("tcplab_service_seconds", "0.5"), "p50"),
            Series(quantile("tcplab_service_seconds", "0.99"), "p99", dashed=True),
        ],
        unit=units.SECONDS,
        log=True,
        empty="No request served",
    )
    return [Line(8, [answered, errors, bytes_]), Line(8, [service, quantiles])]


def process() -> list[Line]:
    """Return the charts of the process's CPU, threads, memory and descriptors."""
    cpu = parts(
        "CPU, cores in use",
        "tcplab_cpu_seconds_total by mode, user (its own code) and system (the kernel), answering Prometheus included. "
        f"{texts.CORES}",
        rates("tcplab_cpu_seconds_total", "mode"),
        "mode",
        units.CORES,
        kinds=["user", "system"],
    )
    whole = one(
        "CPU in the standard metric, cores in use",
        "process_cpu_seconds_total: the same CPU in steps of 10 ms, for tools that expect this name. Too coarse for "
        "CPU per request at a light load: use tcplab_cpu_seconds_total.",
        'sum by (variant) (rate(process_cpu_seconds_total{job="servers",variant="$variant"}[$__rate_interval]))',
        units.CORES,
    )
    threads = one("Threads", f"tcplab_threads: {texts.THREADS}", gauge("tcplab_threads"), units.COUNT)
    memory = one(
        "Process memory",
        "tcplab_resident_memory_bytes; dashed: tcplab_idle_memory_bytes, from before the first client. The difference "
        "is due to all clients so far, because little is returned when they leave. The kernel's socket buffers are "
        "not included: see the container's.",
        gauge("tcplab_resident_memory_bytes"),
        units.BYTES,
        Series(gauge("tcplab_idle_memory_bytes"), "before its first client", dashed=True),
        empty=texts.ONLY_LINUX,
    )
    standard = coloured(
        chart(
            "Process memory in the standard metrics",
            "process_resident_memory_bytes is the same as on the left. process_virtual_memory_bytes (click it in the "
            "legend) is address space, never a cost: 500 idle threads reserve 5 GB and use 10 MB.",
            [
                Series(f'max(process_resident_memory_bytes{{job="servers",{CHOSEN}}})', legend="resident"),
                Series(f'max(process_virtual_memory_bytes{{job="servers",{CHOSEN}}})', legend="virtual"),
            ],
            unit=units.BYTES,
            empty=texts.ONLY_LINUX,
        ),
        ["resident", "virtual"],
        colours.KINDS,
    )
    standard.override_by_name("virtual", [at_first_hidden()])
    descriptors = one(
        "Open descriptors",
        "process_open_fds, and process_max_fds as the limit (click it in the legend). A client takes one. With none "
        "left the server can't accept: it backs off, and counts an error (descriptors).",
        'max by (variant) (process_open_fds{job="servers",variant="$variant"})',
        units.COUNT,
        Series(f'max(process_max_fds{{job="servers",{CHOSEN}}})', legend="limit"),
        empty=texts.ONLY_LINUX,
    ).override_by_name(
        "limit",
        [fixed_colour(colours.NEUTRAL), at_first_hidden()],
    )
    return [Line(8, [cpu, whole, threads]), Line(8, [memory, standard, descriptors])]


def container() -> list[Line]:
    """Return the charts of the container's memory and CPU quota."""
    memory = parts(
        "Container memory",
        "tcplab_container_memory_bytes by part: anon (the program's own), kernel (thread stacks in the kernel, page "
        "tables, slabs), sock (socket buffers), file. Leave file out of a comparison: page cache is charged to the "
        "container that read a file first.",
        f"max by (part) (tcplab_container_memory_bytes{{{CHOSEN}}})",
        "part",
        units.BYTES,
        kinds=["anon", "kernel", "sock", "file"],
        empty=texts.ONLY_A_CONTAINER,
    )
    periods = one(
        "Throttled by a CPU quota, periods per second",
        "tcplab_container_throttled_periods_total. The lab sets no CPU quota: above zero, latencies show the quota, "
        "not the server. It hits threads first, because they use more than a core.",
        rate("tcplab_container_throttled_periods_total"),
        units.PER_SECOND,
        empty=texts.ONLY_A_CONTAINER,
    ).axis_soft_max(1)
    throttled = one(
        "Throttled by a CPU quota, share of time",
        "tcplab_container_throttled_seconds_total, summed over threads, so it may exceed 100 %. Above zero, latencies "
        "show the quota, not the server.",
        rate("tcplab_container_throttled_seconds_total"),
        units.SHARE,
        empty=texts.ONLY_A_CONTAINER,
    ).axis_soft_max(1)
    return [Line(8, [memory, periods, throttled])]


def collector() -> list[Line]:
    """Return the charts of Python's garbage collector."""
    pauses = distribution(
        "Garbage collection pauses",
        "tcplab_gc_pause_seconds: all clients wait meanwhile, in every model. A few short ones are normal, and a busy "
        "server, which makes more objects, has more.",
        "tcplab_gc_pause_seconds",
    )
    collections = parts(
        "Garbage collections per second, by generation",
        "python_gc_collections_total. Generation 2 is the whole heap: its pauses are the long ones, and grow with the "
        "number of clients that have objects.",
        rates("python_gc_collections_total", "generation"),
        "generation",
        units.PER_SECOND,
        kinds=GENERATIONS,
    ).axis_soft_max(1)
    objects = parts(
        "Objects collected per second",
        "python_gc_objects_collected_total: objects in cycles, which only the collector can free. Most objects are "
        "freed without it and not counted here.",
        rates("python_gc_objects_collected_total", "generation"),
        "generation",
        units.PER_SECOND,
        kinds=GENERATIONS,
    ).axis_soft_max(1)
    leaked = parts(
        "Uncollectable objects",
        "python_gc_objects_uncollectable_total: garbage that stays. Since Python 3.4 it is zero except for faulty "
        "extension modules; a rise is a leak.",
        f'sum by (generation) (python_gc_objects_uncollectable_total{{job="servers",{CHOSEN}}})',
        "generation",
        units.COUNT,
        kinds=GENERATIONS,
    ).axis_soft_max(1)
    return [Line(8, [pauses, collections]), Line(8, [objects, leaked])]


def build() -> dashboard.Dashboard:
    """Return the dashboard."""
    return page(
        "server",
        [
            Section("", [head(), *connections()]),
            Section("Requests", requests()),
            Section("The process", process()),
            Section("The container", container()),
            Section("Garbage collection", collector()),
        ],
        shown=["variant"],
    )
