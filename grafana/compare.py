"""The dashboard "Compare": the variants side by side under the same load."""

from math import ceil

from grafana_foundation_sdk.builders import common as common_builders
from grafana_foundation_sdk.cog.builder import Builder
from grafana_foundation_sdk.models import common, dashboard

from grafana import colours, figures, links, texts, units
from grafana.fields import at_first_hidden, by_threshold, fixed_colour, prop, steps, transform, variant_words
from grafana.figures import Figure
from grafana.layout import Line, Section
from grafana.page import page
from grafana.panels import Series, buckets, chart, chart_of, grid, note
from grafana.status import status
from grafana.targets import letter, query_table
from servers.variants import VARIANTS, Variant

INTRODUCTION = """\
**Same requests, same load: only the concurrency model differs.** Read latency, memory and CPU per request beside
*clients served*: no latency includes a client that isn't served. In `conversation`, *one at a time* makes its clients
**wait** (accept queue, first reply); it isn't slow: one conversation follows another. **Don't trust** figures in an
amber band: the load generator had a warning then, which the tile at the top names.
"""

TABLE = ceil((28 + 36 * len(VARIANTS) + 58) / 38)
"""
Height of the table in units of Grafana's grid, 38 pixels: its header takes 28 pixels, each variant's row 36, the
panel's title, frame and gap 58.
"""

COLUMNS: tuple[tuple[str, Figure], ...] = (
    ("Replies /s", figures.THROUGHPUT),
    ("Served", figures.SERVED),
    ("Of clients", figures.CONNECTED),
    ("First p50", figures.FIRST_P50),
    ("Later p50", figures.LATER_P50),
    ("p95", figures.LATER_P95),
    ("p99", figures.LATER_P99),
    ("CPU/req.", figures.CPU_PER_REQUEST),
    ("Process", figures.PROCESS_MEMORY),
    ("Container", figures.CONTAINER_MEMORY),
    ("Per client", figures.MEMORY_PER_CLIENT),
    ("Failed /s", figures.FAILED),
)


def side_by_side() -> Builder[dashboard.Panel]:
    """Return the table of the last minute: one row for each variant; its colours are the charts' legend."""
    panel = grid(
        "The last minute, side by side",
        "Replies, failures and CPU: the last minute; latencies: exact over ten seconds, at the clients; the rest: now. "
        "A first reply counts from connect(), a later one from when it was due (or sent: choose above); clients not "
        "served are in neither. At a light load CPU per request includes an idle server's; memory per client needs 100 "
        "clients.",
        units.COUNT,
        "–",
    ).min_width(80)
    for index, (title, figure) in enumerate(COLUMNS):
        panel.with_target(query_table(figure.of_a_minute, letter(index)))
        unit = units.COUNT if "/s" in title else figure.unit
        narrow = [prop("custom.width", 66)] if len(title) < 7 else []
        panel.override_by_name(title, [prop("unit", unit), prop("custom.align", "right"), *narrow])
    panel.override_by_name(
        "Server",
        [
            prop("mappings", [variant_words()]),
            prop("custom.cellOptions", {"type": "color-background", "mode": "basic"}),
            prop("custom.width", 138),
            prop("links", [links.to_the_server("${__value.raw}")]),
        ],
    )
    panel.override_by_name(
        "Failed /s",
        [
            prop("custom.cellOptions", {"type": "color-text"}),
            prop("thresholds", steps("text", (1e-9, colours.ERROR)).build()),
            prop("color", {"mode": "thresholds"}),
        ],
    )
    names = {f"Value #{letter(index)}": title for index, (title, _) in enumerate(COLUMNS)}
    panel.with_transformation(transform("merge", {}))
    panel.with_transformation(
        transform(
            "organize",
            {
                "excludeByName": {"Time": True},
                "indexByName": {name: index for index, name in enumerate(["variant", *names])},
                "renameByName": {"variant": "Server", **names},
            },
        )
    )
    panel.with_transformation(transform("sortBy", {"fields": {}, "sort": [{"field": "Server"}]}))
    return panel


def served() -> Builder[dashboard.Panel]:
    """Return the chart of clients served and connected."""
    return chart(
        "Clients served of connected",
        f"Solid: served; dashed: connected. {texts.SERVED}",
        [
            Series(figures.SERVED.expr, "served"),
            Series(figures.CONNECTED.expr, "connected", dashed=True),
        ],
        unit=units.COUNT,
        empty=texts.NO_LOAD,
        bare=True,
    )


def first_reply() -> Builder[dashboard.Panel]:
    """Return the chart of the time to a first reply."""
    return chart(
        "First reply p50 (p99 dashed)",
        figures.FIRST_P50.text,
        [Series(figures.FIRST_P50.expr, "p50"), Series(figures.FIRST_P99.expr, "p99", dashed=True)],
        unit=units.SECONDS,
        log=True,
        empty=texts.NO_REPLY,
        bare=True,
    )


def memory() -> Builder[dashboard.Panel]:
    """Return the chart of the memory of process and container."""
    return chart(
        "Memory (container dashed)",
        "Solid: resident memory of the server's process, without the kernel's. Dashed: its container's, with the "
        "kernel's memory for it and socket buffers, without file cache. Without a container there is no dashed line.",
        [
            Series(figures.PROCESS_MEMORY.expr, "process"),
            Series(figures.CONTAINER_MEMORY.expr, "container", dashed=True),
        ],
        unit=units.BYTES,
        empty=texts.ONLY_LINUX,
        bare=True,
    )


def answer() -> list[Line]:
    """Return the lines seen without scrolling."""
    return [
        status(),
        Line(TABLE, [side_by_side()]),
        Line(
            5,
            [
                chart_of(figures.THROUGHPUT, bare=True),
                served(),
                first_reply(),
                chart_of(figures.CPU_PER_REQUEST, bare=True),
            ],
        ),
        Line(
            5,
            [
                *(chart_of(figure, bare=True) for figure in (figures.LATER_P50, figures.LATER_P95, figures.LATER_P99)),
                memory(),
                chart_of(figures.MEMORY_ABOVE_IDLE, bare=True),
            ],
            [4, 4, 4, 6, 6],
        ),
    ]


def waiting() -> list[Line]:
    """Return the charts of the accept queue, and of what the server sees."""
    queue = chart(
        figures.ACCEPT_QUEUE.title,
        texts.ACCEPT_QUEUE,
        [
            Series(figures.ACCEPT_QUEUE.expr),
            Series("min(tcplab_accept_queue_limit)", legend="limit"),
        ],
        unit=units.COUNT,
        empty=texts.ONLY_LINUX,
    ).override_by_name(
        "limit",
        [
            fixed_colour(colours.NEUTRAL),
            at_first_hidden(),
        ],
    )
    return [Line(8, [queue, chart_of(figures.CONNECTIONS), chart_of(figures.SERVICE_P99)])]


def distributions() -> list[Line]:
    """Return heatmaps of each variant's first and later replies."""

    def growth(metric: str, variant: Variant) -> str:
        return f'sum by (le) (increase({metric}_bucket{{variant="{variant.name}"}}[$__rate_interval]))'

    later = [
        buckets(
            f"Later replies: {variant.title}",
            texts.LATER_REPLIES,
            growth("tcplab_load_${series}_seconds", variant),
            variant.colour,
            texts.NO_LOAD,
        )
        for variant in VARIANTS
    ]
    first = [
        buckets(
            f"First reply: {variant.title}",
            texts.FIRST_REPLY,
            growth("tcplab_load_first_reply_seconds", variant),
            variant.colour,
            texts.NO_LOAD,
        )
        for variant in VARIANTS
    ]
    return [Line(10, first), Line(10, later)]


def cost() -> list[Line]:
    """Return the charts of CPU, threads and container memory."""
    parts = (
        ("anon", "the program's own", 0.0),
        ("kernel", "the kernel's", 0.45),
        ("sock", "socket buffers", 0.75),
    )

    def container(variant: Variant) -> Builder[dashboard.Panel]:
        panel = chart(
            f"Memory: {variant.title}",
            f"Stacked memory of the container. {texts.CONTAINER_MEMORY}",
            [
                Series(
                    f'max by (part) (tcplab_container_memory_bytes{{variant="{variant.name}",part="{part}"}})',
                    legend=title,
                )
                for part, title, _ in parts
            ],
            unit=units.BYTES,
            empty=texts.ONLY_A_CONTAINER,
        )
        panel.stacking(common_builders.StackingConfig().mode(common.StackingMode.NORMAL).group("A"))
        # Charts side by side share one scale while all fit into it.
        panel.fill_opacity(60).line_width(1).axis_soft_max(50e6)
        for _, title, lightness in parts:
            panel.override_by_name(title, [fixed_colour(colours.shade(variant.colour, lightness))])
        return panel

    return [
        Line(8, [chart_of(figures.CORES), chart_of(figures.THREADS)]),
        Line(8, [container(variant) for variant in VARIANTS]),
    ]


def errors() -> list[Line]:
    """Return the failures over time, and counts by kind, which show zeros."""
    failing = chart(
        "Failures /s",
        "Requests that timed out (30 s), came back wrong or were cut off, and failed attempts to connect, counted by "
        "the clients.",
        [
            Series(
                'sum by (variant) (rate(tcplab_load_requests_total{outcome!="verified"}[$__rate_interval]))\n'
                '+ sum by (variant) (rate(tcplab_load_connections_total{outcome!="connected"}[$__rate_interval]))'
            )
        ],
        unit=units.PER_SECOND,
        empty=texts.NO_LOAD,
    ).axis_soft_max(1)
    seen = _by_kind(
        "Failures counted by the clients",
        "Counts in the time shown, which Prometheus extrapolates: off by a few per cent, but zero is exact. closed, "
        "reset: the server ended the connection before it answered; corrupt: wrong bytes; refused: the server sent "
        "ERR, or none listened; no_port: the client's machine ran out of ports.",
        'sum by (variant, kind) (label_replace(increase(tcplab_load_requests_total{outcome!="verified"}'
        '[$__range]), "kind", "request $1", "outcome", "(.*)"))\n'
        'or sum by (variant, kind) (label_replace(increase(tcplab_load_connections_total{outcome!="connected"}'
        '[$__range]), "kind", "connect $1", "outcome", "(.*)"))',
        texts.NO_LOAD,
    )
    counted = _by_kind(
        "Errors counted by the servers",
        "Counts in the time shown. unknown, argument, overlong, unfinished: a client broke the protocol; idle, "
        "dripping, unread: a client passed a deadline. full, threads, descriptors: the server reached a limit.",
        "sum by (variant, kind) (increase(tcplab_errors_total[$__range]))",
        texts.NO_SERVER,
    )
    return [Line(14, [failing, seen, counted], [4, 10, 10])]


def _by_kind(title: str, description: str, expr: str, empty: str) -> Builder[dashboard.Panel]:
    panel = (
        grid(title, description, units.SHORT, empty)
        .with_target(query_table(expr, letter(0)))
        .decimals(0)
        .min_width(65)
        .thresholds(steps("text", (0.5, colours.ERROR)))
        .color_scheme(by_threshold())
        .with_transformation(
            transform(
                "groupingToMatrix",
                {"columnField": "variant", "rowField": "kind", "valueField": "Value", "emptyValue": "zero"},
            )
        )
        .with_transformation(
            transform(
                "organize",
                {
                    "indexByName": {
                        name: index for index, name in enumerate(["kind\\variant", *(v.name for v in VARIANTS)])
                    },
                    "renameByName": {"kind\\variant": "kind"},
                },
            )
        )
    )
    panel.override_by_name("kind", [prop("custom.width", 130)])
    for variant in VARIANTS:
        panel.override_by_name(
            variant.name,
            [
                prop("displayName", variant.title),
                prop("custom.align", "center"),
                prop("custom.wrapHeaderText", True),
                prop("custom.cellOptions", {"type": "color-text"}),
            ],
        )
    return panel


def build() -> dashboard.Dashboard:
    """Return the dashboard."""
    return page(
        "compare",
        [
            Section("", answer()),
            Section("Waiting", [Line(3, [note(INTRODUCTION)]), *waiting()]),
            Section("Latency distributions: first replies, then ${series:text} of later ones", distributions()),
            Section("CPU, threads and container memory", cost()),
            Section("Errors", errors()),
        ],
        shown=["series"],
    )
