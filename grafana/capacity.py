"""The dashboard "Capacity": the figures that compare the servers against the number of clients, as curves."""

from grafana_foundation_sdk.builders import common as common_builders
from grafana_foundation_sdk.builders import trend as builders
from grafana_foundation_sdk.cog.builder import Builder
from grafana_foundation_sdk.models import common, dashboard

from grafana import colours, figures, texts, units
from grafana.fields import all_in, edge, fixed_colour, hundred_seconds, logarithmic, prop, transform
from grafana.figures import MARKS, Figure, in_order, marked
from grafana.layout import Line, Section
from grafana.page import page
from grafana.panels import note, without_legend
from grafana.status import head
from grafana.targets import DATASOURCE, letter, query, query_table_over_time
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

THROUGHPUT_AT = "Value #B (median)"


def _steady(figure: Figure) -> str:
    """Return the query of a figure at moments that belong to one number of clients of the scenario."""
    return f"(\n{marked(figure, figure.of_the_stage)}\n)\nand on (variant) {STEADY} and {CHOSEN}"


def _panel(title: str, description: str, unit: str, x: str, *, log: bool) -> builders.Panel:
    panel = (
        builders.Panel()
        .title(title)
        .description(description)
        .datasource(DATASOURCE)
        .unit(unit)
        .no_value(texts.NOTHING_STEADY)
        .x_field(x)
        .line_width(2)
        .fill_opacity(0)
        .show_points(common.VisibilityMode.ALWAYS)
        .point_size(8)
        .span_nulls(True)
        .color_scheme(all_in(colours.NEUTRAL))
        .legend(without_legend().show_legend(True))
        .tooltip(common_builders.VizTooltipOptions().mode(common.TooltipDisplayMode.MULTI).sort(common.SortOrder.NONE))
    )
    if log:
        return panel.scale_distribution(logarithmic()).mappings([hundred_seconds()])
    return panel.min(0)


def curve(figure: Figure) -> Builder[dashboard.Panel]:
    """Return a figure against the number of clients: a line of medians for each variant, between least and most."""
    panel = _panel(f"{figure.title}: {figure.better} is better", figure.text, figure.unit, "clients", log=figure.log)
    panel.with_target(query(f"max({STEADY} and {CHOSEN})", letter(0), "clients"))
    panel.with_target(query(in_order(_steady(figure)), letter(1), "{{mark}}{{variant}}"))
    fields = [f"{mark}{variant.name}" for variant in VARIANTS for mark in MARKS]
    aggregated = {"operation": "aggregate", "aggregations": ["median", "min", "max"]}
    panel.with_transformation(transform("joinByField", {"byField": "Time", "mode": "outer"}))
    panel.with_transformation(
        transform(
            "filterByValue",
            {
                "filters": [{"fieldName": "clients", "config": {"id": "isNotNull", "options": {}}}],
                "match": "all",
                "type": "include",
            },
        )
    )
    panel.with_transformation(
        transform(
            "groupBy",
            {
                "fields": {
                    "clients": {"operation": "groupby", "aggregations": []},
                    **dict.fromkeys(fields, aggregated),
                }
            },
        )
    )
    panel.with_transformation(transform("sortBy", {"fields": {}, "sort": [{"field": "clients"}]}))
    panel.override_by_name(
        "clients",
        [
            prop("unit", units.SHORT),
            prop("min", 1),
            prop("max", 10_000),
            prop("mappings", [edge(10_000)]),  # not the figure's
            prop("custom.scaleDistribution", {"type": "log", "log": 10}),
            prop("custom.axisLabel", "clients of each server"),
        ],
    )
    hidden = prop("custom.hideFrom", {"viz": False, "legend": True, "tooltip": True})
    for variant in VARIANTS:
        for mark in MARKS:
            name = f"{mark}{variant.name}"
            panel.override_by_name(
                f"{name} (median)",
                _drawn(variant, mark),
            )
            bare = [prop("custom.lineWidth", 0), prop("custom.showPoints", "never"), fixed_colour(variant.colour)]
            panel.override_by_name(f"{name} (min)", [*bare, hidden])
            panel.override_by_name(
                f"{name} (max)",
                [*bare, prop("custom.fillBelowTo", f"{name} (min)"), prop("custom.fillOpacity", 15), hidden],
            )
    return panel


def _drawn(variant: Variant, mark: str) -> list[dashboard.DynamicConfigValue]:
    """Return how a curve is drawn: the first, which is below, is the largest, so that equal ones show."""
    above = len(VARIANTS) - 1 - VARIANTS.index(variant)
    return [
        prop("displayName", f"{mark}{variant.title}"),
        fixed_colour(variant.colour),
        prop("custom.lineWidth", 2 + above),
        prop("custom.pointSize", 8 + 2.5 * above),
        *_dashed(mark),
    ]


def _dashed(mark: str) -> list[dashboard.DynamicConfigValue]:
    return [prop("custom.lineStyle", {"fill": "dash", "dash": [6, 6]})] if mark else []


def knee() -> Builder[dashboard.Panel]:
    """Return the latency of later replies against the replies per second: where it bends, more load only waits."""
    figure = figures.LATER_P99
    panel = _panel(
        f"{figure.title} by throughput",
        f"Where it bends upward is the limit. A point for each number of clients: the medians of both. {figure.text}",
        figure.unit,
        f"{THROUGHPUT_AT}\\curve",
        log=True,
    )
    for index, expr in enumerate(
        (
            f"{STEADY} and {CHOSEN}",
            f"{figures.THROUGHPUT.of_the_stage} and on (variant) {STEADY} and {CHOSEN}",
            f"{figure.of_the_stage} and on (variant) {STEADY} and {CHOSEN}",
        )
    ):
        # What moves the throughput moves the p99 too, so that the three have the same mark.
        named = f'label_join(\n{marked(figure, expr)},\n"curve", "", "mark", "variant")'
        panel.with_target(query_table_over_time(f"max by (variant, curve) ({named})", letter(index)))
    median = {"operation": "aggregate", "aggregations": ["median"]}
    key = {"operation": "groupby", "aggregations": []}
    panel.with_transformation(transform("merge", {}))
    panel.with_transformation(
        transform("groupBy", {"fields": {"curve": key, "Value #A": key, "Value #B": median, "Value #C": median}})
    )
    panel.with_transformation(
        transform(
            "groupingToMatrix",
            {
                "columnField": "curve",
                "rowField": THROUGHPUT_AT,
                "valueField": "Value #C (median)",
                "emptyValue": "null",
            },
        )
    )
    panel.with_transformation(transform("sortBy", {"fields": {}, "sort": [{"field": f"{THROUGHPUT_AT}\\curve"}]}))
    order = [f"{THROUGHPUT_AT}\\curve", *(f"{mark}{variant.name}" for variant in VARIANTS for mark in MARKS)]
    panel.with_transformation(transform("organize", {"indexByName": {name: index for index, name in enumerate(order)}}))
    panel.override_by_name(
        f"{THROUGHPUT_AT}\\curve",
        [
            prop("unit", units.SHORT),
            prop("decimals", 0),
            prop("mappings", [edge(10_000), edge(100_000)]),
            prop("custom.scaleDistribution", {"type": "log", "log": 10}),
            prop("custom.axisLabel", "correct replies per second"),
        ],
    )
    for variant in VARIANTS:
        for mark in MARKS:
            panel.override_by_name(
                f"{mark}{variant.name}",
                _drawn(variant, mark),
            )
    return panel


def build() -> dashboard.Dashboard:
    """Return the dashboard."""
    rows = (
        (figures.THROUGHPUT, figures.SHARE_SERVED, figures.FIRST_WAIT),
        (figures.MEMORY_ABOVE_IDLE, figures.CPU_PER_REQUEST),
    )
    return page(
        "capacity",
        [
            Section(
                "",
                [
                    *head(),
                    Line(2, [note(INTRODUCTION)]),
                    Line(10, [curve(one) for one in rows[0]]),
                    Line(10, [*(curve(one) for one in rows[1]), knee()]),
                ],
            )
        ],
        shown=["series", "scenario"],
    )
