"""
The figures that compare the variants: title, unit, text and queries, once for all dashboards.

A query returns one series for each variant, by the label `variant`.
"""

from dataclasses import dataclass

from grafana import texts, units


@dataclass(frozen=True, slots=True)
class Figure:
    """
    One figure of each variant.

    expr: PromQL for a chart over time. minute: over the last minute, for tables. steady: over the last ten seconds, for
    charts against the number of clients. Without them `expr` is used.
    log: whether the axis is logarithmic. empty: the text shown without data.
    """

    title: str
    text: str
    unit: str
    expr: str
    minute: str = ""
    steady: str = ""
    log: bool = False
    empty: str = texts.NO_SERVER

    @property
    def of_a_minute(self) -> str:
        """The query for tables."""
        return self.minute or self.expr

    @property
    def of_ten_seconds(self) -> str:
        """The query for charts against the number of clients."""
        return self.steady or self.expr


def recent(series: str, quantile: str) -> str:
    """Return the query of an exact quantile over the last ten seconds; `max` only drops the target's labels."""
    return f'max by (variant) (tcplab_load_recent_seconds{{series="{series}",q="{quantile}"}})'


def _later(quantile: str, percent: str, trap: str) -> Figure:
    return Figure(
        f"${{series:text}} {percent}",
        f"{trap} {texts.LATER_REPLIES} {texts.EXACT}",
        units.SECONDS,
        recent("$series", quantile),
        log=True,
        empty=texts.NO_REPLY,
    )


def _first(quantile: str, percent: str) -> Figure:
    return Figure(
        f"First reply {percent}",
        f"{texts.FIRST_REPLY} {texts.EXACT}",
        units.SECONDS,
        recent("first_reply", quantile),
        log=True,
        empty=texts.NO_REPLY,
    )


LATER_P50 = _later("0.5", "p50", "Half of the replies took longer than this.")
LATER_P95 = _later("0.95", "p95", "One reply in twenty took longer than this.")
LATER_P99 = _later("0.99", "p99", "One reply in a hundred took longer; at a low rate that is a handful of samples.")
FIRST_P50 = _first("0.5", "p50")
FIRST_P99 = _first("0.99", "p99")

THROUGHPUT = Figure(
    "Right replies per second",
    texts.THROUGHPUT,
    units.REQUESTS_PER_SECOND,
    'sum by (variant) (rate(tcplab_load_requests_total{outcome="verified"}[$__rate_interval]))',
    minute="max by (variant) (variant:tcplab_load_verified:rate1m)",
    steady="variant:tcplab_load_verified:rate10s",
    empty=texts.NO_LOAD,
)
FAILED = Figure(
    "Requests that fail per second",
    texts.FAILED,
    units.PER_SECOND,
    'sum by (variant) (rate(tcplab_load_requests_total{outcome!="verified"}[$__rate_interval]))',
    minute="max by (variant) (variant:tcplab_load_failed:rate1m)",
    steady="variant:tcplab_load_failed:rate10s",
    empty=texts.NO_LOAD,
)
SERVED = Figure(
    "Clients served",
    texts.SERVED,
    units.COUNT,
    "max by (variant) (tcplab_load_clients_served)",
    empty=texts.NO_LOAD,
)
CONNECTED = Figure(
    "Clients connected",
    texts.SERVED,
    units.COUNT,
    "max by (variant) (tcplab_load_clients_connected)",
    empty=texts.NO_LOAD,
)
SHARE_SERVED = Figure(
    "Share of clients served",
    texts.SERVED,
    units.SHARE,
    "max by (variant) (tcplab_load_clients_served) / (max by (variant) (tcplab_load_clients_connected) > 0)",
    empty=texts.NO_LOAD,
)
CPU_PER_REQUEST = Figure(
    "CPU per request",
    texts.CPU_PER_REQUEST,
    units.SECONDS,
    "sum by (variant) (rate(tcplab_cpu_seconds_total[$__rate_interval]))\n"
    '/ (sum by (variant) (rate(tcplab_requests_total{command!="quit"}[$__rate_interval])) > 0)',
    minute="max by (variant) (variant:tcplab_cpu_seconds_per_request:ratio_rate1m)",
    steady="variant:tcplab_cpu_seconds_per_request:ratio_rate10s",
    empty="No request served",
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
    empty=texts.ONLY_LINUX,
)
MEMORY_PER_CLIENT = Figure(
    "Memory per client",
    texts.MEMORY_PER_CLIENT,
    units.BYTES,
    "max by (variant) (variant:tcplab_memory_bytes_per_client:ratio)",
    empty=texts.TOO_FEW,
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
