"""
The kinds of panels; their callers say what they show, page.py places them.

A query's legend is `{{variant}}` or `{{variant}} <suffix>`: overrides turn both into the variant's title and colour,
for every row of servers/variants.py.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeVar

from grafana_foundation_sdk.builders import bargauge, heatmap, stat, statetimeline, table, text, timeseries, trend
from grafana_foundation_sdk.builders import common as builders
from grafana_foundation_sdk.models import common, dashboard, prometheus
from grafana_foundation_sdk.models.heatmap import HeatmapColorMode, HeatmapColorScale
from grafana_foundation_sdk.models.text import TextMode

from grafana import colours, fields, texts, units
from grafana.fields import letter, prop, query, query_now, words
from grafana.figures import ENOUGH, MARKED, RUNNING, SERVED, UP, Figure, in_order, marked
from servers.variants import VARIANTS

GAP = 6_000
"""Milliseconds without a sample that a line bridges: two missed scrapes; longer gaps stay visible."""

Kind = TypeVar(
    "Kind", bargauge.Panel, heatmap.Panel, stat.Panel, statetimeline.Panel, table.Panel, timeseries.Panel, trend.Panel
)
Lines = TypeVar("Lines", timeseries.Panel, trend.Panel)


def described(panel: Kind, title: str, description: str, unit: str, empty: str) -> Kind:
    """Give a panel what every kind has, and return it. empty: the text shown instead of "No data"."""
    return panel.title(title).description(description).datasource(fields.DATASOURCE).unit(unit).no_value(empty)


def lines(panel: Lines, title: str, description: str, unit: str, empty: str, *, log: bool) -> Lines:
    """Give a panel of lines what its kinds share. log: a logarithmic axis, for values that span decades."""
    described(panel, title, description, unit, empty).line_width(2).fill_opacity(0)
    panel.color_scheme(fields.UNNAMED).legend(_legend(shown=True))
    if log:
        return panel.scale_distribution(fields.LOGARITHMIC).mappings([fields.HUNDRED_SECONDS])
    return panel.min(0)


@dataclass(frozen=True, slots=True)
class Series:
    """
    One query of a chart.

    expr: PromQL that returns one series for each variant (or, with a `legend`, for something else).
    suffix: distinguishes this query's series from another's in the same chart, as in `one at a time, p99`.
    style: how the line is drawn, where two queries share a variant's colour: `fields.DASHED` or `DOTTED`.
    legend: a Grafana legend format, for series that are not the variants'.
    """

    expr: str
    suffix: str = ""
    style: dashboard.DynamicConfigValue | None = None
    legend: str = ""


def chart(
    title: str, description: str, unit: str, *series: Series, empty: str = texts.NO_LOAD, log: bool = False
) -> timeseries.Panel:
    """Return a chart over time."""
    panel = lines(timeseries.Panel(), title, description, unit, empty, log=log)
    panel.line_interpolation(common.LineInterpolation.LINEAR).show_points(common.VisibilityMode.NEVER)
    panel.span_nulls(GAP).tooltip(tooltip(common.SortOrder.DESCENDING))
    for index, one in enumerate(series):
        if one.legend:
            panel.with_target(query(one.expr, letter(index), one.legend))
            continue
        expr = one.expr if "$variant" in one.expr else in_order(one.expr)
        panel.with_target(query(expr, letter(index), f"{{{{variant}}}} {one.suffix}".strip()))
        for variant in VARIANTS:
            drawn = fields.drawn_as(variant, f"{variant.title}, {one.suffix}" if one.suffix else variant.title)
            if one.style:
                drawn += [one.style, prop("custom.lineWidth", 1)]
            panel.override_by_name(f"{variant.name} {one.suffix}".strip(), drawn)
    return panel


def chart_of(figure: Figure, *others: Series) -> timeseries.Panel:
    """Return the chart of a figure, with a line for each variant."""
    series = (Series(figure.expr), *others)
    return chart(figure.title, figure.text, figure.unit, *series, empty=figure.empty, log=figure.log)


def parts(
    title: str,
    description: str,
    unit: str,
    expr: str,
    label: str,
    *,
    kinds: Sequence[str],
    palette: Sequence[str] = colours.KINDS,
    empty: str = texts.NO_LOAD,
) -> timeseries.Panel:
    """Return a chart of a figure's parts by a label. kinds: the label's values."""
    panel = chart(title, description, unit, Series(expr, legend=f"{{{{{label}}}}}"), empty=empty)
    return fields.coloured(panel, kinds, palette)


DOWN, FEW, NONE = -1, -2, -3
"""Values that stand for words in bars and tables; all figures are positive."""


def standing_in(few: str = "– (serves too few)") -> dashboard.ValueMap:
    """Return the mapping of the values that stand for words. few: those for a server that serves too few clients."""
    # A bar would be drawn in the colour, as wide as the panel where all are words.
    return words({str(DOWN): ("down", colours.ERROR), str(FEW): (few, colours.NONE), str(NONE): ("–", colours.NONE)})


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
    """Return a figure as horizontal bars in the servers' colours; the servers' names stand left, or above high bars."""
    title = f"{figure.title}: {figure.better} is better"
    panel = (
        described(bargauge.Panel(), title, figure.text, figure.unit, figure.empty)
        .min(0)
        .color_scheme(fields.UNNAMED)
        .mappings([standing_in()])
        .reduce_options(LAST)
        .orientation(common.VizOrientation.HORIZONTAL)
        .display_mode(common.BarGaugeDisplayMode.GRADIENT)
        .value_mode(common.BarGaugeValueMode.TEXT)
        .name_placement(common.BarGaugeNamePlacement.AUTO)
        .show_unfilled(False)
        .sizing(common.BarGaugeSizing.AUTO)
        # Without a size for names: Grafana makes room for them only in one that it chooses.
        .text(builders.VizTextDisplayOptions().value_size(16))
    )
    if figure.unit == units.SHARE:
        panel.max(1)
    if figure.unit in {units.SHARE, units.COUNT}:
        panel.decimals(0)
    expr = of_every_variant(figure)
    for index, variant in enumerate(VARIANTS):  # a query for each, or they would be in alphabetical order
        only = f'({expr})\nand on (variant) {UP}{{variant="{variant.name}"}}'
        panel.with_target(query_now(only, letter(index), "{{mark}}{{variant}}"))
    for name, mark, variant in MARKED:
        panel.override_by_name(name, fields.drawn_as(variant, f"{mark}{variant.title}"))
    return panel


def buckets(
    title: str, description: str, metric: str, variant: str, colour: str, *, empty: str = texts.NO_LOAD
) -> heatmap.Panel:
    """Return a heatmap of a variant's histogram of seconds in shades of one colour."""
    description += " Darker cells hold more; two bands mean two kinds, of which a quantile shows only one."
    expr = f'sum by (le) (increase({metric}_bucket{{variant="{variant}"}}[$__rate_interval]))'
    return (
        described(heatmap.Panel(), title, description, units.SECONDS, empty)
        .with_target(query(expr, "A", "{{le}}").format(prometheus.PromQueryFormat.HEATMAP))
        .calculate(False)
        .color(
            heatmap.HeatmapColorOptions()
            .mode(HeatmapColorMode.OPACITY)
            .fill(colour)
            .scale(HeatmapColorScale.EXPONENTIAL)
            .exponent(0.5)
            .steps(64)
        )
        .filter_values(heatmap.FilterValueRange().le(1e-9))  # empty cells aren't drawn
        .y_axis(heatmap.YAxisConfig().unit(units.SECONDS))
        .rows_frame(heatmap.RowsHeatmapOptions().layout(common.HeatmapCellLayout.LE))
        .cell_values(heatmap.CellValues().unit(units.SHORT))
        .cell_gap(0)
        .exemplars_color(colours.NEUTRAL)  # there are none; the library's default is pink
        .hide_legend()
        .tooltip(heatmap.HeatmapTooltip().mode(common.TooltipDisplayMode.SINGLE).y_histogram(True))
    )


def timeline(title: str, description: str, expr: str, legend: str, none: str = "none") -> statetimeline.Panel:
    """Return a panel that shows when there were warnings. expr: 0 (none), 1 (a note) or 2 (a doubt)."""
    meanings = {"0": (none, colours.FAINT), "1": ("a note", colours.NEUTRAL), "2": ("a doubt", colours.WARNING)}
    return (
        described(statetimeline.Panel(), title, description, units.COUNT, texts.NO_LOAD)
        .with_target(query(expr, "A", legend))
        .mappings([words(meanings)])
        .show_value(common.VisibilityMode.NEVER)
        .merge_values(True)
        .row_height(0.6)
        .disable_pagination()
        .span_nulls(GAP)
        .fill_opacity(100)
        .line_width(0)
        .legend(_legend(shown=False))
        .tooltip(tooltip(common.SortOrder.DESCENDING))
    )


def tile(title: str, description: str, empty: str) -> stat.Panel:
    """Return a panel that shows one value, or a few words, on a coloured ground."""
    return (
        described(stat.Panel(), title, description, units.COUNT, empty)
        .reduce_options(LAST)
        .graph_mode(common.BigValueGraphMode.NONE)
        .color_mode(common.BigValueColorMode.BACKGROUND_SOLID)
        .color_scheme(fields.BY_THRESHOLD)
        .thresholds(fields.steps(colours.NEUTRAL))
        .justify_mode(common.BigValueJustifyMode.CENTER)
        .text_mode(common.BigValueTextMode.VALUE)
    )


def grid(title: str, description: str, unit: str, empty: str) -> table.Panel:
    """Return an empty table."""
    panel = described(table.Panel(), title, description, unit, empty)
    return panel.cell_height(common.TableCellHeight.SM).show_header(True)


def note(markdown: str) -> text.Panel:
    """Return a panel of plain text."""
    return text.Panel().title("").transparent(True).mode(TextMode.MARKDOWN).content(markdown)


LAST = builders.ReduceDataOptions().calcs(["lastNotNull"]).values(False)


def tooltip(order: common.SortOrder) -> builders.VizTooltipOptions:
    """Return the tooltip that tells all lines at once."""
    return builders.VizTooltipOptions().mode(common.TooltipDisplayMode.MULTI).sort(order)


def _legend(*, shown: bool) -> builders.VizLegendOptions:
    options = builders.VizLegendOptions().show_legend(shown).display_mode(common.LegendDisplayMode.LIST)
    return options.placement(common.LegendPlacement.BOTTOM)
