"""
The figures that compare the variants: title, unit, text and queries, once for all dashboards.

A query returns one series for each variant, by the label `variant`.
"""

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
MARKS = ("", BOUND, DOUBT)
"""What stands before a server's name if a warning can move its figure."""


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

    def warned(self, matchers: str) -> str:
        """Return the condition that a warning can move the figure of a variant."""
        moves = f'{matchers},moves=~"(.*,)?{self.moved}(,.*)?"'
        return f"on (variant) (max by (variant) (tcplab_load_warning{{{moves}}}) == 1)"


def marked(figure: Figure, expr: str) -> str:
    """
    Return a query whose series have the label `mark` while a warning can move the figure: a bound, or in doubt.

    What a server does itself is a finding; it casts a doubt only on what is no result at all.
    """
    if not figure.moved:
        return expr
    doubt, note = figure.warned('degree="doubt"'), figure.warned('about!="server",degree="note"')
    return (
        f'label_replace(({expr}) and {doubt}, "mark", "{DOUBT}", "", "")\n'
        f'or on (variant) label_replace(({expr}) and {note}, "mark", "{BOUND}", "", "")\nor on (variant) ({expr})'
    )


def in_order(expr: str) -> str:
    """
    Return a query over time whose series come in the order of servers/variants.py.

    Prometheus sorts them by their labels; `_order` is the first.
    """
    for index, variant in enumerate(VARIANTS):
        expr = f'label_replace({expr}, "_order", "{index}", "variant", "{variant.name}")'
    return expr


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


LATER_P50 = _later("0.5", "p50", "Half of the replies took longer than this.", moved="p50")
LATER_P95 = _later("0.95", "p95", "One reply in twenty took longer than this.")
LATER_P99 = _later("0.99", "p99", "One reply in a hundred took longer; at a low rate that is a handful of samples.")
FIRST_P99 = Figure(
    "First reply p99",
    f"{texts.FIRST_REPLY} {texts.EXACT}",
    units.SECONDS,
    recent("first_reply", "0.99"),
    log=True,
    empty=texts.NO_REPLY,
    moved="p99",
)
FIRST_WAIT = Figure(
    "A new client's wait",
    f"{texts.FIRST_REPLY} {texts.FIRST_WAIT}",
    units.SECONDS,
    "max by (variant) (variant:tcplab_load_first_wait_seconds:max)",
    log=True,
    empty=texts.NO_REPLY,
    moved="first",
)
THROUGHPUT = Figure(
    "Correct replies per second",
    texts.THROUGHPUT,
    units.COUNT,
    'sum by (variant) (rate(tcplab_load_requests_total{outcome="verified"}[$__rate_interval]))',
    now='max by (variant) (tcplab_load_recent_rate{outcome="verified"})',
    empty=texts.NO_LOAD,
    moved="rate",
    better="more",
)
FAILED = Figure(
    "Failures per second",
    texts.FAILED,
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
WAITING = Figure(
    "Clients waiting for a first reply",
    texts.SERVED,
    units.COUNT,
    'max by (variant) (tcplab_load_recent_clients{state="waiting"})',
    empty=texts.NO_LOAD,
)
CONNECTED = Figure(
    "Clients connected",
    texts.SERVED,
    units.COUNT,
    "max by (variant) (tcplab_load_clients_connected)",
    empty=texts.NO_LOAD,
)
ASKED = Figure(
    "Clients asked for",
    texts.SERVED,
    units.COUNT,
    'max by (variant) (tcplab_load_recent_clients{state="asked"})',
    empty=texts.NO_LOAD,
)
_SCRAPES = "sum by (variant) (rate(tcplab_scrape_cpu_seconds_total[$__rate_interval]))"
CPU_PER_REQUEST = Figure(
    "CPU per request",
    texts.CPU_PER_REQUEST,
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
    texts.PROCESS_MEMORY,
    units.BYTES,
    "max by (variant) (tcplab_resident_memory_bytes)",
    empty=texts.ONLY_LINUX,
)
CONTAINER_MEMORY = Figure(
    "Container memory",
    texts.CONTAINER_MEMORY,
    units.BYTES,
    'sum by (variant) (tcplab_container_memory_bytes{part!="file"})',
    empty=texts.ONLY_A_CONTAINER,
)
MEMORY_ABOVE_IDLE = Figure(
    "Memory above idle",
    texts.MEMORY_ABOVE_IDLE,
    units.BYTES,
    "clamp_min(max by (variant) (tcplab_resident_memory_bytes - tcplab_idle_memory_bytes), 0)",
    now="max by (variant) (variant:tcplab_memory_above_idle_bytes:avg10s)",
    empty=texts.ONLY_LINUX,
    moved="memory",
    of_all=False,
)
MEMORY_PER_CLIENT = Figure(
    "Memory per client",
    texts.MEMORY_PER_CLIENT,
    units.BYTES,
    "max by (variant) (variant:tcplab_memory_bytes_per_client:ratio)",
    empty=texts.TOO_FEW,
    of_all=False,
)
ACCEPT_QUEUE = Figure(
    "Connections in the accept queue",
    texts.ACCEPT_QUEUE,
    units.COUNT,
    "max by (variant) (tcplab_accept_queue_connections)",
    empty=texts.ONLY_LINUX,
)
CONNECTIONS = Figure(
    "Connections open",
    texts.CONNECTIONS,
    units.COUNT,
    "max by (variant) (tcplab_connections_open)",
)
CORES = Figure(
    "Cores in use",
    texts.CORES,
    units.CORES,
    "sum by (variant) (rate(tcplab_cpu_seconds_total[$__rate_interval]))",
)
THREADS = Figure("Threads", texts.THREADS, units.COUNT, "max by (variant) (tcplab_threads)")
SERVICE_P99 = Figure(
    "Service time p99, at the server",
    f"{texts.SERVICE_TIME} {texts.WITHIN_A_BUCKET}",
    units.SECONDS,
    "histogram_quantile(0.99, sum by (le, variant) (rate(tcplab_service_seconds_bucket[$__rate_interval])))",
    log=True,
    empty="No request served",
)
