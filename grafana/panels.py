"""
The kinds of panels; their callers say what they show, layout.py places them.

A query's legend is `{{variant}}` or `{{variant}} <suffix>`: overrides turn both into the variant's title and colour,
for every row of servers/variants.py.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from grafana_foundation_sdk.builders import bargauge, stat, statetimeline, table, text, timeseries
from grafana_foundation_sdk.builders import common as common_builders
from grafana_foundation_sdk.builders import heatmap as heatmap_builders
from grafana_foundation_sdk.models import common, dashboard, heatmap
from grafana_foundation_sdk.models.text import TextMode

from grafana import colours, links, texts, units
from grafana.fields import all_in, by_threshold, fixed_colour, hundred_seconds, logarithmic, prop, words
from grafana.figures import ENOUGH, MARKS, RUNNING, SERVED, UP, Figure, in_order, marked
from grafana.targets import DATASOURCE, letter, query, query_buckets, query_now
from servers.variants import VARIANTS, Variant

GAP = 6_000
"""Milliseconds without a sample that a line bridges: two missed scrapes; longer gaps stay visible."""


@dataclass(frozen=True, slots=True)
class Series:
    """
    One query of a chart.

    expr: PromQL that returns one series for each variant (or, with a `legend`, for something else).
    suffix: distinguishes this query's series from another's in the same chart, as in `one at a time, p99`.
    dashed: how the line is drawn, where two queries share a variant's colour.
    legend: a Grafana legend format, for series that are not the variants'.
    """

    expr: str
    suffix: str = ""
    dashed: bool = False
    legend: str = ""

    @property
    def legend_format(self) -> str:
        """The format of the series' names in Grafana."""
        return self.legend or f"{{{{variant}}}} {self.suffix}".strip()

    def name_of(self, variant: Variant) -> str:
        """Return the name of a variant's series in the query's result."""
        return f"{variant.name} {self.suffix}".strip()

    def title_of(self, variant: Variant) -> str:
        """Return a variant's legend."""
        return f"{variant.title}, {self.suffix}" if self.suffix else variant.title


def chart(
    title: str,
    description: str,
    series: Sequence[Series],
    *,
    unit: str,
    empty: str,
    log: bool = False,
    bare: bool = False,
) -> timeseries.Panel:
    """
    Return a chart over time.

    empty: the text shown instead of "No data". log: a logarithmic axis, without zero, for values that span decades.
    bare: without a legend, where a neighbouring panel has it.
    """
    panel = (
        timeseries.Panel()
        .title(title)
        .description(description)
        .datasource(DATASOURCE)
        .unit(unit)
        .no_value(empty)
        .line_width(2)
        .fill_opacity(0)
        .line_interpolation(common.LineInterpolation.LINEAR)
        .show_points(common.VisibilityMode.NEVER)
        .span_nulls(GAP)
        .color_scheme(all_in(colours.NEUTRAL))
        .legend(without_legend() if bare else without_legend().show_legend(True))
        .tooltip(_tooltip())
    )
    if log:
        panel.scale_distribution(logarithmic()).mappings([hundred_seconds()])
    else:
        panel.min(0)
    for index, one in enumerate(series):
        of_one = one.legend or "$variant" in one.expr
        panel.with_target(query(one.expr if of_one else in_order(one.expr), letter(index), one.legend_format))
        if one.legend:
            continue
        for variant in VARIANTS:
            properties = [
                prop("displayName", one.title_of(variant)),
                fixed_colour(variant.colour),
                prop("links", [links.to_the_server(variant.name)]),
            ]
            if one.dashed:
                properties += [
                    prop("custom.lineStyle", {"fill": "dash", "dash": [6, 6]}),
                    prop("custom.lineWidth", 1),
                ]
            panel.override_by_name(one.name_of(variant), properties)
    return panel


def chart_of(figure: Figure, *, bare: bool = False) -> timeseries.Panel:
    """Return the chart of a figure, with a line for each variant."""
    return chart(
        figure.title,
        figure.text,
        [Series(figure.expr)],
        unit=figure.unit,
        empty=figure.empty,
        log=figure.log,
        bare=bare,
    )


DOWN, FEW, NONE = -1, -2, -3
"""Values that stand for words in bars and tables; all figures are positive."""


def standing_in(few: str = "– (serves too few)") -> dashboard.ValueMap:
    """Return the mapping of the values that stand for words. few: those for a server that serves too few clients."""
    # A bar would be drawn in the colour, as wide as the panel where all are words.
    return words(
        {
            str(DOWN): ("down", colours.ERROR),
            str(FEW): (few, colours.NONE),
            str(NONE): ("–", colours.NONE),
        }
    )


def of_every_variant(figure: Figure) -> str:
    """
    Return the query of a figure's last ten seconds with a value for every variant.

    A server that is down says so; while no run is on, or there is no figure, there is a dash; so there is for a figure
    that looks good because most clients wait.
    """
    value = f"({marked(figure, figure.of_the_stage)})\nand on () ({RUNNING})"
    few = "" if figure.of_all else f"or on (variant) {FEW} * (({SERVED} < bool {ENOUGH}) == 1)\n"
    return f"{DOWN} * ({UP} == bool 0) < 0\n{few}or on (variant) ({value})\nor on (variant) {NONE} * ({UP} >= bool 0)"


def bars(figure: Figure) -> bargauge.Panel:
    """Return a figure as horizontal bars in the servers' colours, with the servers' full names above them."""
    panel = (
        bargauge.Panel()
        .title(f"{figure.title}: {figure.better} is better")
        .description(figure.text)
        .datasource(DATASOURCE)
        .unit(figure.unit)
        .no_value(figure.empty)
        .min(0)
        .color_scheme(all_in(colours.NEUTRAL))
        .mappings([standing_in()])
        .reduce_options(common_builders.ReduceDataOptions().calcs(["lastNotNull"]).values(False))
        .orientation(common.VizOrientation.HORIZONTAL)
        .display_mode(common.BarGaugeDisplayMode.GRADIENT)
        .value_mode(common.BarGaugeValueMode.TEXT)
        .name_placement(common.BarGaugeNamePlacement.TOP)
        .show_unfilled(False)
        .sizing(common.BarGaugeSizing.AUTO)
        .text(common_builders.VizTextDisplayOptions().title_size(14).value_size(16))
    )
    if figure.unit == units.SHARE:
        panel.max(1).decimals(0)
    if figure.unit == units.COUNT:
        panel.decimals(0)
    expr = of_every_variant(figure)
    for index, variant in enumerate(VARIANTS):  # a query for each, or they would be in alphabetical order
        only = f'({expr})\nand on (variant) {UP}{{variant="{variant.name}"}}'
        panel.with_target(query_now(only, letter(index), "{{mark}}{{variant}}"))
        for mark in MARKS:
            panel.override_by_name(
                f"{mark}{variant.name}",
                [
                    prop("displayName", f"{mark}{variant.title}"),
                    fixed_colour(variant.colour),
                    prop("links", [links.to_the_server(variant.name)]),
                ],
            )
    return panel


def buckets(title: str, description: str, expr: str, colour: str, empty: str) -> heatmap_builders.Panel:
    """Return a heatmap of a histogram of seconds in shades of one colour. expr: the buckets' growth by `le`."""
    return (
        heatmap_builders.Panel()
        .title(title)
        .description(f"{description} {texts.BUCKETS}")
        .datasource(DATASOURCE)
        .unit(units.SECONDS)
        .no_value(empty)
        .with_target(query_buckets(expr, letter(0)))
        .calculate(False)
        .color(
            heatmap_builders.HeatmapColorOptions()
            .mode(heatmap.HeatmapColorMode.OPACITY)
            .fill(colour)
            .scale(heatmap.HeatmapColorScale.EXPONENTIAL)
            .exponent(0.5)
            .steps(64)
        )
        .filter_values(heatmap_builders.FilterValueRange().le(1e-9))  # empty cells aren't drawn
        .y_axis(heatmap_builders.YAxisConfig().unit(units.SECONDS))
        .rows_frame(heatmap_builders.RowsHeatmapOptions().layout(common.HeatmapCellLayout.LE))
        .cell_values(heatmap_builders.CellValues().unit(units.SHORT))
        .cell_gap(0)
        .exemplars_color(colours.NEUTRAL)  # there are none; the library's default is pink
        .hide_legend()
        .tooltip(heatmap_builders.HeatmapTooltip().mode(common.TooltipDisplayMode.SINGLE).y_histogram(True))
    )


def timeline(title: str, description: str, expr: str, legend: str, empty: str) -> statetimeline.Panel:
    """Return a panel that shows when each state held."""
    return (
        statetimeline.Panel()
        .title(title)
        .description(description)
        .datasource(DATASOURCE)
        .unit(units.COUNT)
        .no_value(empty)
        .with_target(query(expr, letter(0), legend))
        .show_value(common.VisibilityMode.NEVER)
        .merge_values(True)
        .row_height(0.6)
        .disable_pagination()
        .span_nulls(GAP)
        .fill_opacity(100)
        .line_width(0)
        .legend(without_legend())
        .tooltip(_tooltip())
    )


def tile(title: str, description: str, empty: str) -> stat.Panel:
    """Return a panel that shows one value, or a few words, on a coloured ground."""
    return (
        stat.Panel()
        .title(title)
        .description(description)
        .datasource(DATASOURCE)
        .unit(units.COUNT)
        .no_value(empty)
        .reduce_options(common_builders.ReduceDataOptions().calcs(["lastNotNull"]).values(False))
        .graph_mode(common.BigValueGraphMode.NONE)
        .color_mode(common.BigValueColorMode.BACKGROUND_SOLID)
        .color_scheme(by_threshold())
        .justify_mode(common.BigValueJustifyMode.CENTER)
        .text_mode(common.BigValueTextMode.VALUE)
    )


def grid(title: str, description: str, unit: str, empty: str) -> table.Panel:
    """Return an empty table."""
    return (
        table.Panel()
        .title(title)
        .description(description)
        .datasource(DATASOURCE)
        .unit(unit)
        .no_value(empty)
        .cell_height(common.TableCellHeight.SM)
        .show_header(True)
    )


def note(markdown: str) -> text.Panel:
    """Return a panel of plain text."""
    return text.Panel().title("").transparent(True).mode(TextMode.MARKDOWN).content(markdown)


def without_legend() -> common_builders.VizLegendOptions:
    """Return the options that hide a chart's legend."""
    return (
        common_builders.VizLegendOptions()
        .show_legend(False)
        .display_mode(common.LegendDisplayMode.LIST)
        .placement(common.LegendPlacement.BOTTOM)
    )


def _tooltip() -> common_builders.VizTooltipOptions:
    return common_builders.VizTooltipOptions().mode(common.TooltipDisplayMode.MULTI).sort(common.SortOrder.DESCENDING)
