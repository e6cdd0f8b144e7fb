"""The dashboard "Compare": the variants side by side under the same load."""

from math import ceil

from grafana_foundation_sdk.builders import table
from grafana_foundation_sdk.builders.common import VizTextDisplayOptions
from grafana_foundation_sdk.models import common, dashboard

from grafana import colours, fields, figures, texts, units
from grafana.fields import fixed_colour, letter, prop, query_now, query_table, steps, words
from grafana.figures import ENOUGH, RUNNING, SERVED, UP, in_order, labelled
from grafana.page import Line, page
from grafana.panels import DOWN, Series, bars, buckets, chart, chart_of, grid, note, of_every_variant, standing_in, tile
from grafana.status import head
from servers.variants import DEFAULT, VARIANTS, Variant

INTRODUCTION = """\
**Same requests, same load: only the concurrency model differs.** Read latency, memory and CPU per request beside
*clients served*: no latency includes a client that isn't served. In `conversation`, *one at a time* makes its clients
**wait** (accept queue, first reply); it isn't slow: one conversation follows another. Before a name, a warning can move
this figure of this server, **≤**: it is at most that, **?**: it is in doubt. The tile at the top names the warning.
"""

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

COLUMNS = {
    "Replies /s": figures.THROUGHPUT,
    "Waiting": figures.WAITING,
    "Of clients": figures.ASKED,
    "New waits": figures.FIRST_WAIT,
    "Later p50": figures.LATER_P50,
    "p95": figures.LATER_P95,
    "p99": figures.LATER_P99,
    "CPU/req.": figures.CPU_PER_REQUEST,
    "Above idle": figures.MEMORY_ABOVE_IDLE,
    "Container": figures.CONTAINER_MEMORY,
    "Per client": figures.MEMORY_PER_CLIENT,
    "Failed /s": figures.FAILED,
}


TITLES = [variant.title for variant in VARIANTS]


def _number(label: str, expr: str) -> str:
    """Return the query of each variant's value as a label, which a line of words can contain."""
    return f'count_values by (variant) ("{label}", {expr})'


_RUNNING = f"on () ({RUNNING})"

WHO_WAITS = f"""\
bottomk(1, {labelled(_number("waiting", f"round({figures.WAITING.of_the_stage})"), "server", TITLES)}
* on (variant) group_left (asked) {_number("asked", f"round({figures.ASKED.of_the_stage})")}
* on (variant) group_left (wait) {_number("wait", f"round({figures.FIRST_WAIT.of_the_stage}, 0.1)")}
* on (variant) group_left () ({SERVED} < {ENOUGH}) and on (variant) ({UP} == 1) and {_RUNNING})
unless on () (min({UP}) == 0)"""

WHO_IS_DOWN = f"topk(1, {labelled(f'({UP} == bool 0) == 1', 'server', TITLES)})"

NOBODY_WAITS = f"""\
label_replace(
  count({SERVED} >= {ENOUGH} and on (variant) ({UP} == 1)) == count({UP}),
  "server", "Clients: every server serves all of them at once", "", "")
and {_RUNNING}"""

NO_RUN = 'label_replace(max(tcplab_load_running) == 0, "server", "No run is on", "", "")'


def _megabytes(variant: Variant) -> str:
    """
    Return the query of a variant's memory as a label named after it; a dash if it says nothing.

    A variant that the lab runs only on request has its title in the label, or no label if it isn't there.
    """
    shown = f'variant="{variant.name}"'
    before = f", {variant.title} " if variant.profile else ""
    there = f"group({UP}{{{shown}}})" if variant.profile else "vector(1)"
    memory = f"variant:tcplab_memory_above_idle_bytes:avg10s{{{shown}}} and on (variant) ({SERVED} >= {ENOUGH})"
    memory = f"({memory} and on (variant) ({UP} == 1))"
    return (
        f'(label_replace(count_values("{variant.name}", round({memory} / 1e6, 0.1)), '
        f'"{variant.name}", "{before}$1 MB", "{variant.name}", "(.*)") '
        f'or on () label_replace({there}, "{variant.name}", "{before}–", "", "") or on () vector(1))'
    )


_FIRST, *_OTHERS = VARIANTS
MEMORY = _megabytes(_FIRST)
MEMORY += "".join(f"\n* on () group_left ({one.name}) {_megabytes(one)}" for one in _OTHERS)
MEMORY += f" and {_RUNNING}"


def answer() -> list[Line]:
    """Return the lines seen without scrolling."""
    waits = "Clients: {{server}} leaves {{waiting}} of {{asked}} waiting; a new one waits {{wait}} s"
    memory = ", ".join(f"{variant.title} {{{{{variant.name}}}}}" for variant in DEFAULT)
    memory += "".join(f"{{{{{variant.name}}}}}" for variant in VARIANTS if variant not in DEFAULT)
    result = (
        tile(
            "The result now",
            "The same figures as below in words: who leaves clients waiting, and what memory all clients so far have "
            "cost. Of the last ten seconds of this stage, that is since the number of clients changed. A dash: the "
            "server serves less than three quarters of its clients, or is down.",
            "No run is on, or the number of clients has just changed",
        )
        .with_target(query_now(WHO_WAITS, "A", waits))
        .with_target(query_now(f"{NOBODY_WAITS}\nor {NO_RUN}", "B", "{{server}}"))
        .with_target(query_now(WHO_IS_DOWN, "D", "Down: {{server}}"))
        .with_target(query_now(MEMORY, "C", f"Memory: {memory}"))
        .text_mode(common.BigValueTextMode.NAME)
        .text(VizTextDisplayOptions().value_size(17))
        .orientation(common.VizOrientation.HORIZONTAL)
        .color_mode(common.BigValueColorMode.NONE)
        .thresholds(steps("text"))
    )
    race = [bars(one) for one in RACE]
    return [*head(), Line(3, [result]), Line(6, race[:3]), Line(6, race[3:])]


def over_time() -> list[Line]:
    """Return the race over time: tall charts with legends."""
    served = chart(
        "Clients waiting for a first reply",
        f"Dashed: the clients asked for. {texts.SERVED}",
        units.COUNT,
        Series(figures.WAITING.expr),
        Series("max(max by (variant) (tcplab_load_users))", legend="asked of each server"),
    )
    served.override_by_name("asked of each server", [fixed_colour(colours.NEUTRAL), fields.DASHED])
    return [
        Line(9, [chart_of(figures.THROUGHPUT), served, chart_of(figures.FIRST_WAIT)]),
        Line(9, [chart_of(figure) for figure in RACE[3:]]),
    ]


def side_by_side() -> table.Panel:
    """Return the table: one row for each variant, all of one window."""
    panel = grid(
        "Side by side: the last ten seconds of this stage",
        "Every figure is of the same ten seconds. A first reply counts from connect(), a later one from when it was "
        "due (or sent: choose above). Clients that wait are in no latency of later replies. Memory per client needs "
        "100 connected clients.",
        units.COUNT,
        "–",
    ).min_width(80)
    for index, (title, figure) in enumerate(COLUMNS.items()):
        expr = of_every_variant(figure)
        if not index:  # a field of its own, for the order and the colour
            expr = in_order(f"({expr})")
        panel.with_target(query_table(f"max by (variant{'' if index else ', _order'}) ({expr})", letter(index)))
        drawn = [prop("unit", figure.unit)]
        if figure.unit == units.COUNT:
            drawn.append(prop("decimals", 0))
        drawn.append(prop("custom.align", "right"))
        if len(title) < 6:
            drawn.append(prop("custom.width", 66))
        panel.override_by_name(title, [*drawn, prop("mappings", [standing_in("–")])])
    dots = words({str(index): ("●", variant.colour) for index, variant in enumerate(VARIANTS)})
    text = prop("custom.cellOptions", {"type": "color-text"})
    panel.override_by_name("●", [prop("mappings", [dots]), text, prop("custom.width", 32)])
    names = words({variant.name: (variant.title, variant.colour) for variant in VARIANTS})
    link = fields.link_to("${__value.raw}")
    panel.override_by_name("Server", [prop("mappings", [names]), prop("custom.width", 150), link])
    red = {
        "Replies /s": steps(colours.ERROR, (DOWN + 0.5, colours.NONE)),
        "Failed /s": steps(colours.NONE, (1e-9, colours.ERROR)),
    }
    ground = prop("custom.cellOptions", {"type": "color-background", "mode": "basic"})
    for title, thresholds in red.items():
        coloured = [prop("thresholds", thresholds.build()), prop("color", {"mode": "thresholds"})]
        panel.override_by_name(title, [ground, *coloured])
    values = {f"Value #{letter(index)}": title for index, title in enumerate(COLUMNS)}
    panel.with_transformation(fields.transform("merge", {}))
    panel.with_transformation(fields.columns({"_order": "●", "variant": "Server", **values}, "Time"))
    return panel.with_transformation(fields.sort_by("●"))


def waiting() -> Line:
    """Return the charts of the accept queue, and of what the server sees."""
    limit = Series("min(tcplab_accept_queue_limit)", legend="limit")
    until_clicked = prop("custom.hideFrom", {"viz": True, "legend": False, "tooltip": False})  # has another scale
    queue = chart_of(figures.ACCEPT_QUEUE, limit).description(f"{figures.ACCEPT_QUEUE.text} (Click it in the legend.)")
    queue.override_by_name("limit", [fixed_colour(colours.NEUTRAL), until_clicked])
    return Line(8, [queue, chart_of(figures.CONNECTIONS), chart_of(figures.SERVICE_P99)])


def latencies(title: str, text: str, metric: str) -> list[Line]:
    """Return a heatmap of each variant's replies, at most four in a line: a narrow one would cut the title."""
    maps = [buckets(f"{title}: {one.title}", text, metric, one.name, one.colour) for one in VARIANTS]
    across = ceil(len(maps) / ceil(len(maps) / 4))
    return [Line(10, maps[first : first + across]) for first in range(0, len(maps), across)]


def errors() -> Line:
    """Return the failures over time, and counts by kind, which show zeros."""
    failing = chart(
        "Failures per second",
        "Requests that timed out (30 s), came back wrong or were cut off, and failed attempts to connect, counted by "
        "the clients.",
        units.PER_SECOND,
        Series(
            'sum by (variant) (rate(tcplab_load_requests_total{outcome!="verified"}[$__rate_interval]))\n'
            '+ sum by (variant) (rate(tcplab_load_connections_total{outcome!="connected"}[$__rate_interval]))'
        ),
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
    return Line(14, [failing, seen, counted], [4, 10, 10])


def _by_kind(title: str, description: str, expr: str, empty: str) -> table.Panel:
    panel = (
        grid(title, description, units.SHORT, empty)
        .with_target(query_table(expr, "A"))
        .decimals(0)
        .min_width(65)
        .thresholds(steps("text", (0.5, colours.ERROR)))
        .color_scheme(fields.BY_THRESHOLD)
        .with_transformation(fields.matrix("variant", "kind", "Value", "zero"))
        .with_transformation(fields.columns({"kind\\variant": "kind"} | {variant.name: "" for variant in VARIANTS}))
        .override_by_name("kind", [prop("custom.width", 130)])
    )
    drawn = [
        prop("custom.align", "center"),
        prop("custom.wrapHeaderText", True),
        prop("custom.cellOptions", {"type": "color-text"}),
    ]
    for variant in VARIANTS:
        panel.override_by_name(variant.name, [prop("displayName", variant.title), *drawn])
    return panel


def build() -> dashboard.Dashboard:
    """Return the dashboard."""
    cost = (figures.CORES, figures.THREADS, figures.PROCESS_MEMORY, figures.CONTAINER_MEMORY)
    return page(
        "compare",
        {
            "": answer(),
            "Over time": over_time(),
            "Side by side": [Line(3, [note(INTRODUCTION)]), Line(TABLE, [side_by_side()])],
            "Waiting": [waiting()],
            "Latency distributions: first replies, then ${series:text} of later ones": [
                *latencies("First reply", texts.FIRST_REPLY, "tcplab_load_first_reply_seconds"),
                *latencies("Later replies", texts.LATER_REPLIES, "tcplab_load_${series}_seconds"),
            ],
            "CPU, threads and memory": [Line(9, [chart_of(figure) for figure in cost])],
            "Errors": [errors()],
        },
        shown=["series"],
        minutes=5,
    )
