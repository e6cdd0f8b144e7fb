"""The dashboard "Capacity": the figures that compare the servers against the number of clients, as curves."""

from grafana_foundation_sdk.builders import trend
from grafana_foundation_sdk.models import common, dashboard, prometheus

from grafana import colours, figures, units
from grafana.fields import (
    DASHED,
    columns,
    fixed_colour,
    grouped,
    letter,
    matrix,
    prop,
    query,
    sort_by,
    transform,
    words,
)
from grafana.figures import MARKED, Figure, in_order, marked
from grafana.page import Line, page
from grafana.panels import lines, note, tooltip
from grafana.status import head
from servers.variants import VARIANTS, Variant

STEADY = "(variant:tcplab_steady_clients:max == on (variant) max by (variant) (tcplab_load_users))"
"""
A variant's number of clients, present only once it has been steady for as long as figures look back.

A rule's value is older than the figures of the same moment, by a scrape at most: once the clients change it is gone.
"""

CHOSEN = 'on () (max(tcplab_load_run_info{scenario="$scenario"}) == 1)'

INTRODUCTION = """\
A point: the **median** of all moments with so many clients, steady for 15 s, in the time chosen; the shade: least to
most. Dashed: a warning could move the figure (**≤** at most that, **?** in doubt). Locust's page sets other numbers.
"""


def _panel(title: str, description: str, unit: str, x: str, *, log: bool) -> trend.Panel:
    empty = "No number of clients has been steady for 15 s in this scenario and time"
    return (
        lines(trend.Panel(), title, description, unit, empty, log=log)
        .x_field(x)
        .show_points(common.VisibilityMode.ALWAYS)
        .point_size(8)
        .span_nulls(True)
        .tooltip(tooltip(common.SortOrder.NONE))
    )


def _axis(label: str, *edges: int) -> list[dashboard.DynamicConfigValue]:
    """Return how the logarithmic x-axis is drawn, without the numbers that its right edge would cut off."""
    return [
        prop("mappings", [words({str(edge): (" ", colours.NEUTRAL)}) for edge in edges]),
        prop("custom.scaleDistribution", {"type": "log", "log": 10}),
        prop("custom.axisLabel", label),
    ]


def curve(figure: Figure) -> trend.Panel:
    """Return a figure against the number of clients: a line of medians for each variant, between least and most."""
    panel = _panel(f"{figure.title}: {figure.better} is better", figure.text, figure.unit, "clients", log=figure.log)
    steady = f"(\n{marked(figure, figure.of_the_stage)}\n)\nand on (variant) {STEADY} and {CHOSEN}"
    panel.with_target(query(f"max({STEADY} and {CHOSEN})", "A", "clients"))
    panel.with_target(query(in_order(steady), "B", "{{mark}}{{variant}}"))
    has_clients = {"fieldName": "clients", "config": {"id": "isNotNull", "options": {}}}
    panel.with_transformation(transform("joinByField", {"byField": "Time", "mode": "outer"}))
    panel.with_transformation(transform("filterByValue", {"filters": [has_clients], "match": "all", "type": "include"}))
    panel.with_transformation(grouped(["clients"], [name for name, _, _ in MARKED], "median", "min", "max"))
    panel.with_transformation(sort_by("clients"))
    limits = [prop("unit", units.SHORT), prop("min", 1), prop("max", 10_000)]
    panel.override_by_name("clients", [*limits, *_axis("clients of each server", 10_000)])
    hidden = prop("custom.hideFrom", {"viz": False, "legend": True, "tooltip": True})
    for name, mark, variant in MARKED:
        panel.override_by_name(f"{name} (median)", _drawn(variant, mark))
        bare = [prop("custom.lineWidth", 0), prop("custom.showPoints", "never"), fixed_colour(variant.colour)]
        panel.override_by_name(f"{name} (min)", [*bare, hidden])
        shade = [prop("custom.fillBelowTo", f"{name} (min)"), prop("custom.fillOpacity", 15)]
        panel.override_by_name(f"{name} (max)", [*bare, *shade, hidden])
    return panel


def _drawn(variant: Variant, mark: str) -> list[dashboard.DynamicConfigValue]:
    """Return how a curve is drawn: the first, which is below, is the largest, so that equal ones show."""
    above = len(VARIANTS) - 1 - VARIANTS.index(variant)
    return [
        prop("displayName", f"{mark}{variant.title}"),
        fixed_colour(variant.colour),
        prop("custom.lineWidth", 2 + above),
        prop("custom.pointSize", 8 + 2.5 * above),
        *([DASHED] if mark else []),
    ]


def knee() -> trend.Panel:
    """Return the latency of later replies against the replies per second: where it bends, more load only waits."""
    figure = figures.LATER_P99
    throughput, latency = "Value #B (median)", "Value #C (median)"
    x = f"{throughput}\\curve"
    text = f"Where it bends upward is the limit. A point for each number of clients: the medians of both. {figure.text}"
    panel = _panel(f"{figure.title} by throughput", text, figure.unit, x, log=True)
    steady = f"{STEADY} and {CHOSEN}"
    compared = (f"{one.of_the_stage} and on (variant) {steady}" for one in (figures.THROUGHPUT, figure))
    for index, expr in enumerate((steady, *compared)):
        # What moves the throughput moves the p99 too, so that the three have the same mark.
        named = f'label_join(\n{marked(figure, expr)},\n"curve", "", "mark", "variant")'
        asked = query(f"max by (variant, curve) ({named})", letter(index))
        panel.with_target(asked.format(prometheus.PromQueryFormat.TABLE))
    panel.with_transformation(transform("merge", {}))
    panel.with_transformation(grouped(["curve", "Value #A"], ["Value #B", "Value #C"], "median"))
    panel.with_transformation(matrix("curve", throughput, latency, "null"))
    panel.with_transformation(sort_by(x))
    panel.with_transformation(columns(dict.fromkeys([x, *(name for name, _, _ in MARKED)], "")))
    axis = _axis("correct replies per second", 10_000, 100_000)
    panel.override_by_name(x, [prop("unit", units.SHORT), prop("decimals", 0), *axis])
    for name, mark, variant in MARKED:
        panel.override_by_name(name, _drawn(variant, mark))
    return panel


def build() -> dashboard.Dashboard:
    """Return the dashboard."""
    served = [curve(one) for one in (figures.THROUGHPUT, figures.SHARE_SERVED, figures.FIRST_WAIT)]
    cost = [curve(one) for one in (figures.MEMORY_ABOVE_IDLE, figures.CPU_PER_REQUEST)]
    shown = [*head(), Line(2, [note(INTRODUCTION)]), Line(10, served), Line(10, [*cost, knee()])]
    return page("capacity", {"": shown}, shown=["series", "scenario"])
