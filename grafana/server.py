"""The dashboard "Server in detail": one variant, everything that it exports, and what is easily misread in it."""

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
    """Return a chart of one figure in the variant's colour, and of what it is to be seen beside."""
    return chart(title, trap, [Series(expr), *others], unit=unit, empty=empty)


def gauge(metric: str) -> str:
    """Return the query of a gauge; `max` only drops the target's labels."""
    return f"max by (variant) ({metric}{{{CHOSEN}}})"


def rate(metric: str) -> str:
    """Return the query of a counter's growth each second."""
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
    """Return a chart of the parts of a figure, by a label. kinds: the values that the label has."""
    panel = chart(title, trap, [Series(expr, legend=f"{{{{{label}}}}}")], unit=unit, empty=empty)
    return coloured(panel, kinds, palette)


def rates(metric: str, label: str) -> str:
    """Return the query of a counter's growth each second, by a label."""
    return f"sum by ({label}) (rate({metric}{{{CHOSEN}}}[$__rate_interval]))"


def distribution(title: str, trap: str, metric: str) -> Heatmap:
    """Return the heatmap of a histogram."""
    expr = f"sum by (le) (increase({metric}_bucket{{{CHOSEN}}}[$__rate_interval]))"
    return buckets(title, trap, expr, colours.KINDS[0], texts.NO_SERVER)


def quantile(metric: str, fraction: str) -> str:
    """Return the query of a quantile of a histogram, within a bucket."""
    return f"histogram_quantile({fraction}, sum by (le, variant) (rate({metric}_bucket{{{CHOSEN}}}[$__rate_interval])))"


def limit(metric: str) -> Series:
    """Return a limit, to be seen beside what it limits."""
    return Series(f"max({metric}{{{CHOSEN}}})", legend="limit")


def head() -> Line:
    """Return what the server is: up, since when, on what."""
    up = (
        tile(
            "Is it up?", "Whether the server answers on its metrics port. It does so even while its clients wait.", "?"
        )
        .with_target(query_now(f'max by (variant) (up{{job="servers",{CHOSEN}}})', "A", "{{variant}}"))
        .text_mode(common.BigValueTextMode.VALUE_AND_NAME)
        .thresholds(steps(colours.NEUTRAL))
        .mappings([words({"1": ("up", colours.GOOD), "0": ("down", colours.ERROR)})])
    )
    since = (
        tile(
            "Up for",
            "Time since the server's process began (process_start_time_seconds). Its counters began then, too: what "
            "came before is in none of them.",
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
            "The interpreter that runs the server (python_info). Compare servers on the same one: event loops and the "
            "GIL differ from version to version.",
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
    """Return whom it serves, who waits, and how they leave."""
    served = one(
        "Connections open",
        f"tcplab_connections_open, tcplab_connections_limit. {texts.CONNECTIONS} The limit (10,000, or what the "
        "descriptors allow) stands in the legend; a click draws it. The one-at-a-time server serves one, whatever the "
        "limit says.",
        gauge("tcplab_connections_open"),
        units.COUNT,
        limit("tcplab_connections_limit"),
    )
    queue = one(
        "Waiting to be accepted",
        f"tcplab_accept_queue_connections, tcplab_accept_queue_limit. {texts.ACCEPT_QUEUE} A full queue hides further "
        "clients, who try again after a second. The limit stands in the legend; a click draws it.",
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
        "How connections end",
        "tcplab_connections_ended_total, each second. quit: the client said so; closed, reset: it left; idle, "
        "dripping, unread: a deadline; overlong: a line over 64 KiB; shutdown, failed (a bug), refused. A client "
        "that gave up in the accept queue is closed or reset much later, when its turn comes.",
        rates("tcplab_connections_ended_total", "outcome"),
        "outcome",
        units.PER_SECOND,
        kinds=OUTCOMES,
    )
    return [Line(8, [served, queue, ended])]


def requests() -> list[Line]:
    """Return what it is asked, how long it takes, and what goes wrong."""
    answered = parts(
        "Requests answered",
        "tcplab_requests_total, each second, by command: answered with OK. The client may have left before the reply: "
        "compare with what the clients counted as right replies. quit ends a conversation; clients don't count it.",
        rates("tcplab_requests_total", "command"),
        "command",
        units.REQUESTS_PER_SECOND,
        kinds=[command.name.lower() for command in Command],
    )
    errors = parts(
        "Errors",
        "tcplab_errors_total, each second. unknown, argument, overlong, unfinished: requests answered with ERR. "
        "idle, dripping, unread: a client met a deadline. full, threads: clients refused. descriptors: accept had "
        "to back off. internal: a bug. Not all of them are replies.",
        rates("tcplab_errors_total", "kind"),
        "kind",
        units.PER_SECOND,
        kinds=ERRORS,
        palette=colours.reds(len(ERRORS)),
    ).axis_soft_max(1)
    bytes_ = coloured(
        chart(
            "Bytes",
            "tcplab_received_bytes_total, tcplab_sent_bytes_total, each second: requests read and replies written. "
            "Payload alone, without TCP's headers; the reply to an ECHO is two bytes shorter than the request.",
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
    service = distribution("Service time", f"tcplab_service_seconds. {texts.SERVICE_TIME}", "tcplab_service_seconds")
    quantiles = chart(
        "Service time (p50, p99 dashed)",
        f"tcplab_service_seconds. {texts.SERVICE_TIME} {texts.WITHIN_A_BUCKET} Logarithmic axis.",
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
    """Return what it costs as a process."""
    cpu = parts(
        "CPU",
        "tcplab_cpu_seconds_total, by mode: in its own code (user), and in the kernel for it (system). Answering "
        f"Prometheus is in it. {texts.CORES}",
        rates("tcplab_cpu_seconds_total", "mode"),
        "mode",
        units.CORES,
        kinds=["user", "system"],
    )
    whole = one(
        "CPU, as the kernel's ticks count it",
        "process_cpu_seconds_total: the same CPU in steps of 10 ms, for tools that expect this name. Too coarse for "
        "CPU per request under a light load: take tcplab_cpu_seconds_total.",
        'sum by (variant) (rate(process_cpu_seconds_total{job="servers",variant="$variant"}[$__rate_interval]))',
        units.CORES,
    )
    threads = one("Threads", f"tcplab_threads. {texts.THREADS}", gauge("tcplab_threads"), units.COUNT)
    memory = one(
        "Process memory",
        "tcplab_resident_memory_bytes; dashed tcplab_idle_memory_bytes, what it was before the first client. "
        "What lies between is the clients' memory, but of all that there ever were: little goes back when they "
        f"leave. {texts.PROCESS_MEMORY}",
        gauge("tcplab_resident_memory_bytes"),
        units.BYTES,
        Series(gauge("tcplab_idle_memory_bytes"), "before its first client", dashed=True),
        empty=texts.ONLY_LINUX,
    )
    standard = coloured(
        chart(
            "Memory under its standard names",
            "process_resident_memory_bytes is the same as on the left. process_virtual_memory_bytes (hidden; a "
            "click in the legend draws it) is address space, not memory: 500 idle threads reserve 5 GB and use 10 "
            "MB. Never a cost.",
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
        "process_open_fds, process_max_fds. A client takes one. Out of them a server can't accept: it backs off, "
        "and counts an error (descriptors). The limit stands in the legend; a click draws it.",
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
    """Return what its container is charged with, and whether it is held back."""
    memory = parts(
        "Container memory",
        "tcplab_container_memory_bytes, by part: anon (the program's own), kernel (thread stacks in the kernel, "
        "page tables, slabs), sock (socket buffers), file. Leave file out of a comparison: page cache belongs to "
        "whoever touched a file first.",
        f"max by (part) (tcplab_container_memory_bytes{{{CHOSEN}}})",
        "part",
        units.BYTES,
        kinds=["anon", "kernel", "sock", "file"],
        empty=texts.ONLY_A_CONTAINER,
    )
    periods = one(
        "Periods in which a quota froze it",
        "tcplab_container_throttled_periods_total, each second. The lab sets no CPU quota; anything but zero makes the "
        "run's latencies the quota's. Threads are frozen first, for they take more than a core.",
        rate("tcplab_container_throttled_periods_total"),
        units.PER_SECOND,
        empty=texts.ONLY_A_CONTAINER,
    ).axis_soft_max(1)
    frozen = one(
        "Time for which a quota froze it",
        "tcplab_container_throttled_seconds_total, as a share of the time. It adds up over threads, so it may "
        "exceed the time that has passed; anything but zero makes the run's latencies the quota's.",
        rate("tcplab_container_throttled_seconds_total"),
        units.SHARE,
        empty=texts.ONLY_A_CONTAINER,
    ).axis_soft_max(1)
    return [Line(8, [memory, periods, frozen])]


def collector() -> list[Line]:
    """Return what Python's garbage collector does to it."""
    pauses = distribution(
        "Pauses for garbage collection",
        "tcplab_gc_pause_seconds. Everybody waits meanwhile, in every model. Few and short ones are no finding: the "
        "collector runs when objects are made, so a busy server has more of them.",
        "tcplab_gc_pause_seconds",
    )
    collections = parts(
        "Collections by generation",
        "python_gc_collections_total, each second. Generation 2 is the whole heap: its pauses are the long ones, "
        "and they grow with the number of clients that have objects.",
        rates("python_gc_collections_total", "generation"),
        "generation",
        units.PER_SECOND,
        kinds=GENERATIONS,
    ).axis_soft_max(1)
    objects = parts(
        "Objects collected",
        "python_gc_objects_collected_total, each second: objects in cycles that only the collector could free. Most "
        "objects are freed without it, and are not counted here.",
        rates("python_gc_objects_collected_total", "generation"),
        "generation",
        units.PER_SECOND,
        kinds=GENERATIONS,
    ).axis_soft_max(1)
    leaked = parts(
        "Objects that can't be collected",
        "python_gc_objects_uncollectable_total: garbage that stays. It has been zero since Python 3.4 but for faulty "
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
