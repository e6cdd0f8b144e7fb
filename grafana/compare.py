"""The dashboard "Compare": the variants side by side under the same load, and whether the figures can be believed."""

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
**Same requests, same load: only the way to serve many clients at once differs.** Read latency, memory and CPU per
request beside *clients served*: who isn't served is in no latency. In `conversation`, *one at a time* makes its clients
**wait** (the accept queue, the first reply); it isn't slow: one conversation follows another. **Don't trust**
what stands in an amber band: the load generator had a warning then, and the tile at the top says which.
"""

TABLE = ceil((28 + 36 * len(VARIANTS) + 58) / 38)
"""
Height of the table with a row for each variant, in units of Grafana's grid of 38 pixels: its header takes 28, a row 36,
the panel's title, frame and gap 58.
"""

COLUMNS: tuple[tuple[str, Figure], ...] = (
    ("Replies /s", figures.THROUGHPUT),
    ("Served", figures.SERVED),
    ("Of clients", figures.CONNECTED),
    ("First p50", figures.FIRST_P50),
    ("Then p50", figures.LATER_P50),
    ("p95", figures.LATER_P95),
    ("p99", figures.LATER_P99),
    ("CPU/req.", figures.CPU_PER_REQUEST),
    ("Process", figures.PROCESS_MEMORY),
    ("Container", figures.CONTAINER_MEMORY),
    ("Per client", figures.MEMORY_PER_CLIENT),
    ("Failed /s", figures.FAILED),
)


def side_by_side() -> Builder[dashboard.Panel]:
    """Return the table of the last minute: one row for each variant, whose colour it is a legend of."""
    panel = grid(
        "The last minute, side by side",
        "Replies, failures and CPU are over the last minute, latencies exact over the last ten seconds as the "
        "clients saw them, the rest is now. First: a connection's first reply, from the start of connect(), the "
        "wait in the accept queue included. Then: its later replies, from when they were due (or sent: choose "
        "above). A latency tells of those who were served: read it beside served and clients (connected). Memory of "
        "the process, of its container, and for each client (from 100 connected ones on). At a light load, CPU per "
        "request contains what an idle server uses. A server's name leads to everything that it exports.",
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
    """Return who has been served, of whom."""
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
    """Return how long a new client waits."""
    return chart(
        "First reply (p99 dashed)",
        f"{figures.FIRST_P50.text} Solid p50, dashed p99.",
        [Series(figures.FIRST_P50.expr, "p50"), Series(figures.FIRST_P99.expr, "p99", dashed=True)],
        unit=units.SECONDS,
        log=True,
        empty=texts.NO_REPLY,
        bare=True,
    )


def memory() -> Builder[dashboard.Panel]:
    """Return what the process weighs, and its container."""
    return chart(
        "Memory (container dashed)",
        f"Solid: the process. {texts.PROCESS_MEMORY} Dashed: its container. {texts.CONTAINER_MEMORY} "
        "Without a container there is no dashed line.",
        [
            Series(figures.PROCESS_MEMORY.expr, "process"),
            Series(figures.CONTAINER_MEMORY.expr, "container", dashed=True),
        ],
        unit=units.BYTES,
        empty=texts.ONLY_LINUX,
        bare=True,
    )


def answer() -> list[Line]:
    """Return what is seen without scrolling."""
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
    """Return who waits where, and what the server knows of it."""
    queue = chart(
        figures.ACCEPT_QUEUE.title,
        f"{texts.ACCEPT_QUEUE} The limit stands in the legend (a click draws it, too).",
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
    """Return a heatmap for each variant, of the first replies and of the later ones."""

    def growth(metric: str, variant: Variant) -> str:
        return f'sum by (le) (increase({metric}_bucket{{variant="{variant.name}"}}[$__rate_interval]))'

    later = [
        buckets(
            f"Then: {variant.title}",
            texts.LATER_REPLIES,
            growth("tcplab_load_${series}_seconds", variant),
            variant.colour,
            texts.NO_LOAD,
        )
        for variant in VARIANTS
    ]
    first = [
        buckets(
            f"First: {variant.title}",
            texts.FIRST_REPLY,
            growth("tcplab_load_first_reply_seconds", variant),
            variant.colour,
            texts.NO_LOAD,
        )
        for variant in VARIANTS
    ]
    return [Line(10, first), Line(10, later)]


def cost() -> list[Line]:
    """Return what the models cost besides what the answer shows."""
    parts = (
        ("anon", "the program's own", 0.0),
        ("kernel", "the kernel's", 0.45),
        ("sock", "socket buffers", 0.75),
    )

    def container(variant: Variant) -> Builder[dashboard.Panel]:
        panel = chart(
            f"Memory: {variant.title}",
            f"{texts.CONTAINER_MEMORY} Stacked: the program's own (anon: heap and stacks), the kernel's, socket "
            "buffers.",
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
        # The charts stand side by side: one scale while all fit into it.
        panel.fill_opacity(60).line_width(1).axis_soft_max(50e6)
        for _, title, lightness in parts:
            panel.override_by_name(title, [fixed_colour(colours.shade(variant.colour, lightness))])
        return panel

    return [
        Line(8, [chart_of(figures.CORES), chart_of(figures.THREADS)]),
        Line(8, [container(variant) for variant in VARIANTS]),
    ]


def errors() -> list[Line]:
    """Return what went wrong: over time, and by kind, where zero reads as zero."""
    failing = chart(
        "Failures",
        "Requests that timed out (30 s), came back wrong or were cut off, and connections that could not be made, each "
        "second, as the clients counted them.",
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
        "What the clients saw fail",
        "Counts in the time shown; Prometheus extrapolates them, so they may be off by a few per cent, but zero is "
        "zero. closed and reset: the server ended the connection before it answered. corrupt: a reply with wrong "
        "bytes. refused: the server said ERR, or nobody listened. no_port: the client's machine ran out of ports.",
        'sum by (variant, kind) (label_replace(increase(tcplab_load_requests_total{outcome!="verified"}'
        '[$__range]), "kind", "request $1", "outcome", "(.*)"))\n'
        'or sum by (variant, kind) (label_replace(increase(tcplab_load_connections_total{outcome!="connected"}'
        '[$__range]), "kind", "connect $1", "outcome", "(.*)"))',
        texts.NO_LOAD,
    )
    complained = _by_kind(
        "What the servers complained of",
        "Counts in the time shown, by the servers' own reckoning. unknown, argument, overlong, unfinished: a "
        "client broke the protocol. idle, dripping, unread: a client met a deadline. full, threads, descriptors: "
        "the server met a limit.",
        "sum by (variant, kind) (increase(tcplab_errors_total[$__range]))",
        texts.NO_SERVER,
    )
    return [Line(14, [failing, seen, complained], [4, 10, 10])]


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
            Section("Latency in full: first replies, then ${series:text}", distributions()),
            Section("Cost in full, and what the containers hold", cost()),
            Section("Errors", errors()),
        ],
        shown=["series"],
    )
