"""The dashboard "Compare": the variants side by side under the same load."""

from functools import reduce
from math import ceil

from grafana_foundation_sdk.builders import common as common_builders
from grafana_foundation_sdk.cog.builder import Builder
from grafana_foundation_sdk.models import common, dashboard

from grafana import colours, figures, links, texts, units
from grafana.fields import at_first_hidden, by_threshold, fixed_colour, prop, steps, transform, variant_words, words
from grafana.figures import ENOUGH, RUNNING, SERVED, UP, Figure, in_order
from grafana.layout import Line, Section
from grafana.page import page
from grafana.panels import DOWN, Series, bars, buckets, chart, chart_of, grid, note, of_every_variant, standing_in, tile
from grafana.status import head
from grafana.targets import letter, query_now, query_table
from servers.variants import VARIANTS, Variant

INTRODUCTION = """\
**Same requests, same load: only the concurrency model differs.** Read latency, memory and CPU per request beside
*clients served*: no latency includes a client that isn't served. In `conversation`, *one at a time* makes its clients
**wait** (accept queue, first reply); it isn't slow: one conversation follows another. Before a name, a warning can move
this figure of this server, **≤**: it is at most that, **?**: it is in doubt. The tile at the top names the warning.
"""

ALWAYS = [variant for variant in VARIANTS if not variant.profile]
"""Those that a sentence can name: one of a profile needn't run."""

TABLE = ceil((28 + 36 * len(VARIANTS) + 58) / 38)
"""
Height of the table in units of Grafana's grid, 38 pixels: its header takes 28 pixels, each variant's row 36, the
panel's title, frame and gap 58.
"""

RACE = (
    figures.THROUGHPUT,
    figures.SHARE_SERVED,
    figures.FIRST_WAIT,
    figures.LATER_P99,
    figures.MEMORY_ABOVE_IDLE,
    figures.CPU_PER_REQUEST,
)
"""What decides, the most important first."""

COLUMNS: tuple[tuple[str, Figure], ...] = (
    ("Replies /s", figures.THROUGHPUT),
    ("Waiting", figures.WAITING),
    ("Of clients", figures.ASKED),
    ("New waits", figures.FIRST_WAIT),
    ("Later p50", figures.LATER_P50),
    ("p95", figures.LATER_P95),
    ("p99", figures.LATER_P99),
    ("CPU/req.", figures.CPU_PER_REQUEST),
    ("Above idle", figures.MEMORY_ABOVE_IDLE),
    ("Container", figures.CONTAINER_MEMORY),
    ("Per client", figures.MEMORY_PER_CLIENT),
    ("Failed /s", figures.FAILED),
)


def _titled(expr: str) -> str:
    """Return the query with the variants' titles in the label `server`."""
    return reduce(
        lambda inner, variant: f'label_replace({inner}, "server", "{variant.title}", "variant", "{variant.name}")',
        VARIANTS,
        expr,
    )


def _number(label: str, expr: str) -> str:
    """Return the query of each variant's value as a label, which a line of words can contain."""
    return f'count_values by (variant) ("{label}", {expr})'


_RUNNING = f"on () ({RUNNING})"

WHO_WAITS = f"""\
bottomk(1, {_titled(_number("waiting", f"round({figures.WAITING.of_the_stage})"))}
* on (variant) group_left (asked) {_number("asked", f"round({figures.ASKED.of_the_stage})")}
* on (variant) group_left (wait) {_number("wait", f"round({figures.FIRST_WAIT.of_the_stage}, 0.1)")}
* on (variant) group_left () ({SERVED} < {ENOUGH}) and on (variant) ({UP} == 1) and {_RUNNING})
unless on () (min({UP}) == 0)"""

WHO_IS_DOWN = f"topk(1, {_titled(f'({UP} == bool 0) == 1')})"

NOBODY_WAITS = f"""\
label_replace(
  count({SERVED} >= {ENOUGH} and on (variant) ({UP} == 1)) == count({UP}),
  "server", "Clients: every server serves all of them at once", "", "")
and {_RUNNING}"""

NO_RUN = 'label_replace(max(tcplab_load_running) == 0, "server", "No run is on", "", "")'


def _megabytes(variant: Variant) -> str:
    """Return the query of a variant's memory as a label named after it; a dash if it says nothing."""
    shown = f'variant="{variant.name}"'
    memory = f"variant:tcplab_memory_above_idle_bytes:avg10s{{{shown}}} and on (variant) ({SERVED} >= {ENOUGH})"
    memory = f"({memory} and on (variant) ({UP} == 1))"
    return (
        f'(label_replace(count_values("{variant.name}", round({memory} / 1e6, 0.1)), '
        f'"{variant.name}", "$1 MB", "{variant.name}", "(.*)") '
        f'or on () label_replace(vector(1), "{variant.name}", "–", "", ""))'
    )


MEMORY = (
    reduce(
        lambda left, right: f"{left}\n* on () group_left ({right.name}) {_megabytes(right)}",
        ALWAYS[1:],
        _megabytes(ALWAYS[0]),
    )
    + f" and {_RUNNING}"
)


def result() -> Builder[dashboard.Panel]:
    """Return the result in words, with figures of the last ten seconds."""
    memory = ", ".join(f"{variant.title} {{{{{variant.name}}}}}" for variant in ALWAYS)
    return (
        tile(
            "The result now",
            "The same figures as below in words: who leaves clients waiting, and what memory all clients so far have "
            "cost. Of the last ten seconds of this stage, that is since the number of clients changed. A dash: the "
            "server serves less than three quarters of its clients, or is down.",
            "No run is on, or the number of clients has just changed",
        )
        .with_target(
            query_now(
                WHO_WAITS,
                "A",
                "Clients: {{server}} leaves {{waiting}} of {{asked}} waiting; a new one waits {{wait}} s",
            )
        )
        .with_target(query_now(f"{NOBODY_WAITS}\nor {NO_RUN}", "B", "{{server}}"))
        .with_target(query_now(WHO_IS_DOWN, "D", "Down: {{server}}"))
        .with_target(query_now(MEMORY, "C", f"Memory: {memory}"))
        .text_mode(common.BigValueTextMode.NAME)
        .text(common_builders.VizTextDisplayOptions().title_size(17))
        .orientation(common.VizOrientation.HORIZONTAL)
        .color_mode(common.BigValueColorMode.NONE)
        .thresholds(steps("text"))
    )


def side_by_side() -> Builder[dashboard.Panel]:
    """Return the table: one row for each variant, all of one window."""
    panel = grid(
        "Side by side: the last ten seconds of this stage",
        "Every figure is of the same ten seconds. A first reply counts from connect(), a later one from when it was "
        "due (or sent: choose above). Clients that wait are in no latency of later replies. Memory per client needs "
        "100 connected clients.",
        units.COUNT,
        "–",
    ).min_width(80)
    for index, (title, figure) in enumerate(COLUMNS):
        expr = of_every_variant(figure)
        if not index:  # a field of its own, for the order and the colour
            expr = in_order(f"({expr})")
        panel.with_target(query_table(f"max by (variant{'' if index else ', _order'}) ({expr})", letter(index)))
        decimals = [prop("decimals", 0)] if figure.unit == units.COUNT else []
        narrow = [prop("custom.width", 66)] if len(title) < 6 else []
        panel.override_by_name(
            title,
            [
                prop("unit", figure.unit),
                *decimals,
                prop("custom.align", "right"),
                *narrow,
                prop("mappings", [standing_in("–")]),
            ],
        )
    panel.override_by_name(
        "●",
        [
            prop("mappings", [words({str(index): ("●", variant.colour) for index, variant in enumerate(VARIANTS)})]),
            prop("custom.cellOptions", {"type": "color-text"}),
            prop("custom.width", 32),
        ],
    )
    panel.override_by_name(
        "Server",
        [
            prop("mappings", [variant_words()]),
            prop("custom.width", 150),
            prop("links", [links.to_the_server("${__value.raw}")]),
        ],
    )
    panel.override_by_name(
        "Replies /s",
        [
            prop("custom.cellOptions", {"type": "color-background", "mode": "basic"}),
            prop("thresholds", steps(colours.ERROR, (DOWN + 0.5, colours.NONE)).build()),
            prop("color", {"mode": "thresholds"}),
        ],
    )
    panel.override_by_name(
        "Failed /s",
        [
            prop("custom.cellOptions", {"type": "color-background", "mode": "basic"}),
            prop("thresholds", steps(colours.NONE, (1e-9, colours.ERROR)).build()),
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
                "indexByName": {name: index for index, name in enumerate(["_order", "variant", *names])},
                "renameByName": {"_order": "●", "variant": "Server", **names},
            },
        )
    )
    panel.with_transformation(transform("sortBy", {"fields": {}, "sort": [{"field": "●"}]}))
    return panel


def over_time() -> list[Line]:
    """Return the race over time: tall charts with legends."""
    served = chart(
        "Clients waiting for a first reply",
        f"Dashed: the clients asked for. {texts.SERVED}",
        [
            Series(figures.WAITING.expr),
            Series("max(max by (variant) (tcplab_load_users))", legend="asked of each server"),
        ],
        unit=units.COUNT,
        empty=texts.NO_LOAD,
    )
    served.override_by_name(
        "asked of each server",
        [fixed_colour(colours.NEUTRAL), prop("custom.lineStyle", {"fill": "dash", "dash": [6, 6]})],
    )
    return [
        Line(9, [chart_of(figures.THROUGHPUT), served, chart_of(figures.FIRST_WAIT)]),
        Line(9, [chart_of(figure) for figure in RACE[3:]]),
    ]


def answer() -> list[Line]:
    """Return the lines seen without scrolling."""
    return [
        *head(),
        Line(3, [result()]),
        Line(6, [bars(one) for one in RACE[:3]]),
        Line(6, [bars(one) for one in RACE[3:]]),
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
    """Return the charts of CPU, threads and memory."""
    return [
        Line(
            9,
            [
                chart_of(figures.CORES),
                chart_of(figures.THREADS),
                chart_of(figures.PROCESS_MEMORY),
                chart_of(figures.CONTAINER_MEMORY),
            ],
        )
    ]


def errors() -> list[Line]:
    """Return the failures over time, and counts by kind, which show zeros."""
    failing = chart(
        "Failures per second",
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
            Section("Over time", over_time()),
            Section("Side by side", [Line(3, [note(INTRODUCTION)]), Line(TABLE, [side_by_side()])]),
            Section("Waiting", waiting()),
            Section("Latency distributions: first replies, then ${series:text} of later ones", distributions()),
            Section("CPU, threads and memory", cost()),
            Section("Errors", errors()),
        ],
        shown=["series"],
        minutes=5,
    )
