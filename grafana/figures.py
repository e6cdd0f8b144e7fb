"""
The figures that compare the variants: title, unit, text and queries, once for all dashboards.

A query returns one series for each variant, by the label `variant`.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from grafana import texts, units
from servers.variants import VARIANTS

SERVED = "variant:tcplab_load_served:ratio"

ENOUGH = 0.75
"""Share of its clients that a server must serve, or its latencies and memory say little."""

UP = "variant:up:max4s"
RUNNING = "max(tcplab_load_running) == 1"

BOUND, DOUBT = "≤ ", "? "
MARKED = [(f"{mark}{variant.name}", mark, variant) for variant in VARIANTS for mark in ("", BOUND, DOUBT)]
"""
Each name that a server has in a figure, its mark and the variant.

The mark stands before the name if a warning can move the figure.
"""


@dataclass(frozen=True, slots=True)
class Figure:
    """
    One figure of each variant.

    expr: PromQL for a chart over time. now: over the last ten seconds of the stage, for bars, tables and charts against
    the number of clients; without it `expr` is used. log: whether the axis is logarithmic. empty: the text shown
    without data. moved: its name in the label `moves` of the load's warnings. better: whether more or less is.
    of_all: whether it says anything of a server that leaves most of its clients waiting.
    """

    title: str
    text: str
    unit: str
    expr: str
    now: str = ""
    log: bool = False
    empty: str = texts.NO_SERVER
    moved: str = ""
    better: Literal["more", "less"] = "less"
    of_all: bool = True

    @property
    def of_the_stage(self) -> str:
        """The query for bars, tables and charts against the number of clients."""
        return self.now or self.expr


def marked(figure: Figure, expr: str) -> str:
    """
    Return a query whose series have the label `mark` while a warning can move the figure: a bound, or in doubt.

    What a server does itself is a finding; it casts a doubt only on what is no result at all.
    """
    if not figure.moved:
        return expr

    def when(warned: str, mark: str) -> str:
        moves = f'{warned},moves=~"(.*,)?{figure.moved}(,.*)?"'
        warned = f"on (variant) (max by (variant) (tcplab_load_warning{{{moves}}}) == 1)"
        return f'label_replace(({expr}) and {warned}, "mark", "{mark}", "", "")'

    doubt, note = when('degree="doubt"', DOUBT), when('about!="server",degree="note"', BOUND)
    return f"{doubt}\nor on (variant) {note}\nor on (variant) ({expr})"


def labelled(expr: str, label: str, values: Sequence[object]) -> str:
    """Return a query whose series have one more label. values: the variants', in their order."""
    for variant, value in zip(VARIANTS, values, strict=True):
        expr = f'label_replace({expr}, "{label}", "{value}", "variant", "{variant.name}")'
    return expr


def in_order(expr: str) -> str:
    """
    Return a query over time whose series come in the order of servers/variants.py.

    Prometheus sorts them by their labels; `_order` is the first.
    """
    return labelled(expr, "_order", range(len(VARIANTS)))


def recent(series: str, quantile: str) -> str:
    """Return the query of an exact quantile over the last ten seconds; `max` only drops the target's labels."""
    return f'max by (variant) (tcplab_load_recent_seconds{{series="{series}",q="{quantile}"}})'


def _later(quantile: str, percent: str, trap: str, moved: str = "p99") -> Figure:
    return Figure(
        f"${{series:text}} {percent}",
        f"{trap} {texts.LATER_REPLIES} {texts.EXACT}",
        units.SECONDS,
        recent("$series", quantile),
        log=True,
        empty=texts.NO_REPLY,
        moved=moved,
        of_all=False,
    )


def _clients(title: str, metric: str) -> Figure:
    return Figure(title, texts.SERVED, units.COUNT, f"max by (variant) ({metric})", empty=texts.NO_LOAD)


LATER_P50 = _later("0.5", "p50", "Half of the replies took longer than this.", moved="p50")
LATER_P95 = _later("0.95", "p95", "One reply in twenty took longer than this.")
LATER_P99 = _later("0.99", "p99", "One reply in a hundred took longer; at a low rate that is a handful of samples.")
WAITING = _clients("Clients waiting for a first reply", 'tcplab_load_recent_clients{state="waiting"}')
CONNECTED = _clients("Clients connected", "tcplab_load_clients_connected")
ASKED = _clients("Clients asked for", 'tcplab_load_recent_clients{state="asked"}')
FIRST_WAIT = Figure(
    "A new client's wait",
    f"{texts.FIRST_REPLY} The median of ten seconds; if over a quarter of the clients still waits, the age of the "
    "oldest that does, if that is more.",
    units.SECONDS,
    "max by (variant) (variant:tcplab_load_first_wait_seconds:max)",
    log=True,
    empty=texts.NO_REPLY,
    moved="first",
)
THROUGHPUT = Figure(
    "Correct replies per second",
    "Replies that were correct byte for byte, counted by the clients. In `conversation`, one at a time serves one "
    "conversation after another: its clients wait, it isn't slow. Compare top speeds in `saturate` only, one variant "
    "after another, and one at a time with one client.",
    units.COUNT,
    'sum by (variant) (rate(tcplab_load_requests_total{outcome="verified"}[$__rate_interval]))',
    now='max by (variant) (tcplab_load_recent_rate{outcome="verified"})',
    empty=texts.NO_LOAD,
    moved="rate",
    better="more",
)
FAILED = Figure(
    "Failures per second",
    "Requests that timed out (30 s), came back wrong or were cut off, and attempts to connect that failed, counted by "
    "the clients. None is left out.",
    units.PER_SECOND,
    'max by (variant) (tcplab_load_recent_rate{outcome="failed"})',
    empty=texts.NO_LOAD,
)
SHARE_SERVED = Figure(
    "Clients served, of all",
    texts.SERVED,
    units.SHARE,
    f"max by (variant) ({SERVED})",
    empty=texts.NO_LOAD,
    moved="served",
    better="more",
)
_SCRAPES = "sum by (variant) (rate(tcplab_scrape_cpu_seconds_total[$__rate_interval]))"
CPU_PER_REQUEST = Figure(
    "CPU per request",
    "CPU time (user and system) of the server's process divided by its requests without QUIT, valid on any number of "
    "cores. What answering Prometheus costs is taken off; there is no figure below 20 requests per second. At a light "
    "load a request costs more than in `saturate`, because the server wakes up for each.",
    units.SECONDS,
    f"clamp_min(sum by (variant) (rate(tcplab_cpu_seconds_total[$__rate_interval])) - {_SCRAPES}, 0)\n"
    '/ (sum by (variant) (rate(tcplab_requests_total{command!="quit"}[$__rate_interval])) >= 20)',
    # The rates of ten seconds are the stage's alone once it is older than that, by a report and a scrape.
    now="max by (variant) (variant:tcplab_cpu_seconds_per_request:ratio_rate10s)\n"
    "and on () (max(tcplab_load_stage_seconds) >= 12)",
    empty="Fewer than 20 requests per second",
    moved="cpu",
)
PROCESS_MEMORY = Figure(
    "Process memory",
    "Resident memory of the server's process, without the kernel's socket buffers and other kernel memory: see the "
    "container's. Virtual size is not shown, because a thread reserves megabytes that it never uses.",
    units.BYTES,
    "max by (variant) (tcplab_resident_memory_bytes)",
    empty=texts.ONLY_LINUX,
)
CONTAINER_MEMORY = Figure(
    "Container memory",
    "The program's own memory, the kernel's for it (thread stacks, page tables, sockets) and socket buffers. File "
    "cache is left out: it is charged to the container that read a file first.",
    units.BYTES,
    'sum by (variant) (tcplab_container_memory_bytes{part!="file"})',
    empty=texts.ONLY_A_CONTAINER,
)
MEMORY_ABOVE_IDLE = Figure(
    "Memory above idle",
    "Memory of the server's process beyond what it had before its first client. It is due to all clients so far: it "
    "includes one-off costs of the first and memory that others left behind. Restart the server to measure fewer.",
    units.BYTES,
    "clamp_min(max by (variant) (tcplab_resident_memory_bytes - tcplab_idle_memory_bytes), 0)",
    now="max by (variant) (variant:tcplab_memory_above_idle_bytes:avg10s)",
    empty=texts.ONLY_LINUX,
    moved="memory",
    of_all=False,
)
MEMORY_PER_CLIENT = Figure(
    "Memory per client",
    "Memory above idle divided by the clients connected now, from 100 on: with fewer, one-off costs would count as a "
    "client's. Memory left behind by earlier clients makes fewer ones look expensive. For the exact slope, run "
    "python -m loadtest compare --memory.",
    units.BYTES,
    "max by (variant) (variant:tcplab_memory_bytes_per_client:ratio)",
    empty="Fewer than 100 clients are connected",
    of_all=False,
)
ACCEPT_QUEUE = Figure(
    "Connections in the accept queue",
    "Connections that the kernel has accepted and the server has not (TCP_INFO of the listening socket). Clients that "
    "gave up stay until the server reaches them. Beyond the limit clients are not counted, and need a second or more "
    "to connect.",
    units.COUNT,
    "max by (variant) (tcplab_accept_queue_connections)",
    empty=texts.ONLY_LINUX,
)
CONNECTIONS = Figure(
    "Connections open",
    "Connections that the server serves now, by its own count. Those in its accept queue, or accepted and not yet "
    "served, are not included: one at a time has one.",
    units.COUNT,
    "max by (variant) (tcplab_connections_open)",
)
CORES = Figure(
    "Cores in use",
    "CPU seconds per second of the server's process: 1 is one busy core. Python's lock (GIL) lets one thread run at a "
    "time, so even the threaded server stays little above 1.",
    units.CORES,
    "sum by (variant) (rate(tcplab_cpu_seconds_total[$__rate_interval]))",
)
THREADS = Figure(
    "Threads",
    "Python threads of the server's process, including those for signals, metrics and a scrape: compare the growth, "
    "not the number.",
    units.COUNT,
    "max by (variant) (tcplab_threads)",
)
SERVICE_P99 = Figure(
    "Service time p99, at the server",
    f"{texts.SERVICE_TIME} {texts.WITHIN_A_BUCKET}",
    units.SECONDS,
    "histogram_quantile(0.99, sum by (le, variant) (rate(tcplab_service_seconds_bucket[$__rate_interval])))",
    log=True,
    empty="No request served",
)
