"""
What every panel of the lab has in common: one data source, one colour per variant, units, legends, tooltips.

A query's legend is either `{{variant}}`, or `{{variant}} <suffix>`: the overrides made here turn both into the
variant's title and colour, for every row of servers/variants.py.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil

from grafana_foundation_sdk.builders import common as common_builders
from grafana_foundation_sdk.builders import dashboard as dashboard_builders
from grafana_foundation_sdk.builders import prometheus as prometheus_builders
from grafana_foundation_sdk.builders import stat, table, text, timeseries
from grafana_foundation_sdk.models import common, dashboard, prometheus
from grafana_foundation_sdk.models.text import TextMode

from servers.variants import VARIANTS, Variant

DATASOURCE = common.DataSourceRef(type_val="prometheus", uid="prometheus")  # provisioning/datasources/prometheus.yml
GOOD, DOUBTFUL, BAD, NEUTRAL = "#2e9e5b", "#d9a514", "#d63c3c", "#8e8e99"
FAINT = "rgba(46, 158, 91, 0.25)"  # good, where a whole wall of it would drown what is bad


TALL = ceil((24 * (len(VARIANTS) + 1) / 0.35 + 56) / 38)
"""
Height of a chart whose legend is a table with a row for each variant, in units of Grafana's grid.

Grafana gives a legend at the bottom 35 % of what is below the title, and hides what does not fit into that. A row takes
24 pixels, the header of the table as well, and title and frame take 56.
"""


@dataclass(frozen=True, slots=True)
class Place:
    """Where a panel stands on the grid of 24 columns; a unit of height is some 38 pixels."""

    x: int
    y: int
    width: int
    height: int

    def position(self) -> dashboard.GridPos:
        """Return the place as Grafana's model has it."""
        return dashboard.GridPos(h=self.height, w=self.width, x=self.x, y=self.y)


@dataclass(frozen=True, slots=True)
class Series:
    """
    One query of a chart.

    expr: PromQL that returns one series for each variant (or, with a legend of its own, for something else).
    suffix: what tells this query's series from another's in the same chart, as in `one at a time, p99`.
    dashed: how the line is drawn, where two queries share a variant's colour.
    legend: set where the series are not the variants'; a Grafana legend format.
    """

    expr: str
    suffix: str = ""
    dashed: bool = False
    legend: str = ""

    def name_of(self, variant: Variant) -> str:
        """Return the name that the query gives to a variant's series."""
        return f"{variant.name} {self.suffix}".strip()

    def title_of(self, variant: Variant) -> str:
        """Return what the legend says of a variant's series."""
        return f"{variant.title}, {self.suffix}" if self.suffix else variant.title


def query(expr: str, ref: str, legend: str) -> prometheus_builders.Dataquery:
    """Return a query over the time shown, in steps of a scrape interval or more."""
    return (
        prometheus_builders.Dataquery()
        .datasource(DATASOURCE)
        .editor_mode(prometheus.QueryEditorMode.CODE)
        .ref_id(ref)
        .expr(expr)
        .legend_format(legend)
        .range()
    )


def query_now(expr: str, ref: str, legend: str = "__auto") -> prometheus_builders.Dataquery:
    """Return a query of the last instant shown."""
    return query(expr, ref, legend).instant().format(prometheus.PromQueryFormat.TIME_SERIES)


def query_table(expr: str, ref: str) -> prometheus_builders.Dataquery:
    """Return a query of the last instant shown, labels as columns."""
    return query(expr, ref, "__auto").instant().format(prometheus.PromQueryFormat.TABLE)


def prop(name: str, value: object) -> dashboard.DynamicConfigValue:
    """Return one property of a field override."""
    return dashboard.DynamicConfigValue(id_val=name, value=value)


def fixed_colour(colour: str) -> dashboard.DynamicConfigValue:
    """Return the override that draws a field in one colour."""
    return prop("color", {"mode": "fixed", "fixedColor": colour})


def steps(first: str, *others: tuple[float, str]) -> dashboard_builders.ThresholdsConfig:
    """Return thresholds: the first colour, and from each value on the next."""
    return (
        dashboard_builders.ThresholdsConfig()
        .mode(dashboard.ThresholdsMode.ABSOLUTE)
        .steps(
            [dashboard.Threshold(color=first), *(dashboard.Threshold(value=at, color=colour) for at, colour in others)]
        )
    )


def words(meanings: dict[str, tuple[str, str]]) -> dashboard.ValueMap:
    """Return a mapping from values to what is shown for them: value -> (text, colour)."""
    return dashboard.ValueMap(
        options={
            value: dashboard.ValueMappingResult(text=shown, color=colour, index=index)
            for index, (value, (shown, colour)) in enumerate(meanings.items())
        }
    )


def variant_words() -> dashboard.ValueMap:
    """Return the mapping from variants' names to their titles and colours."""
    return words({variant.name: (variant.title, variant.colour) for variant in VARIANTS})


def chart(
    title: str,
    description: str,
    place: Place,
    series: Sequence[Series],
    *,
    unit: str,
    log: bool = False,
    from_zero: bool = True,
    calcs: Sequence[str] = ("lastNotNull",),
    absent: str = "",
) -> timeseries.Panel:
    """
    Return a chart over time.

    log: a logarithmic axis (base 10), for latencies; such an axis has no zero.
    absent: what is shown in place of "No data", where having none is an answer.
    """
    panel = (
        timeseries.Panel()
        .title(title)
        .description(description)
        .datasource(DATASOURCE)
        .grid_pos(place.position())
        .unit(unit)
        .line_width(2)
        .fill_opacity(0)
        .line_interpolation(common.LineInterpolation.LINEAR)
        .show_points(common.VisibilityMode.NEVER)
        # A scrape or two may be missed; a longer silence is shown as a gap, not bridged.
        .span_nulls(15_000)
        .color_scheme(dashboard_builders.FieldColor().mode(dashboard.FieldColorModeId.PALETTE_CLASSIC))
        .legend(
            common_builders.VizLegendOptions()
            .show_legend(True)
            .display_mode(common.LegendDisplayMode.TABLE if calcs else common.LegendDisplayMode.LIST)
            .placement(common.LegendPlacement.BOTTOM)
            .calcs(list(calcs))
        )
        .tooltip(
            common_builders.VizTooltipOptions().mode(common.TooltipDisplayMode.MULTI).sort(common.SortOrder.DESCENDING)
        )
    )
    if log:
        panel.scale_distribution(common_builders.ScaleDistributionConfig().type(common.ScaleDistribution.LOG).log(10))
    elif from_zero:
        panel.min(0)
    if absent:
        panel.no_value(absent)
    for index, one in enumerate(series):
        legend = one.legend or f"{{{{variant}}}} {one.suffix}".strip()
        panel.with_target(query(one.expr, chr(ord("A") + index), legend))
        if one.legend:
            continue
        for variant in VARIANTS:
            properties = [prop("displayName", one.title_of(variant)), fixed_colour(variant.colour)]
            if one.dashed:
                properties += [
                    prop("custom.lineStyle", {"fill": "dash", "dash": [6, 6]}),
                    prop("custom.lineWidth", 1),
                ]
            panel.override_by_name(one.name_of(variant), properties)
    return panel


def tile(title: str, description: str, place: Place) -> stat.Panel:
    """Return a panel that shows one value, or a few words, on a coloured ground."""
    return (
        stat.Panel()
        .title(title)
        .description(description)
        .datasource(DATASOURCE)
        .grid_pos(place.position())
        .reduce_options(common_builders.ReduceDataOptions().calcs(["lastNotNull"]).values(False))
        .graph_mode(common.BigValueGraphMode.NONE)
        .color_mode(common.BigValueColorMode.BACKGROUND_SOLID)
        .justify_mode(common.BigValueJustifyMode.CENTER)
        .text_mode(common.BigValueTextMode.VALUE)
    )


def grid(title: str, description: str, place: Place) -> table.Panel:
    """Return an empty table."""
    return (
        table.Panel()
        .title(title)
        .description(description)
        .datasource(DATASOURCE)
        .grid_pos(place.position())
        .cell_height(common.TableCellHeight.SM)
        .show_header(True)
    )


def note(markdown: str, place: Place) -> text.Panel:
    """Return a panel of plain text."""
    return text.Panel().title("").transparent(True).grid_pos(place.position()).mode(TextMode.MARKDOWN).content(markdown)


def shade(colour: str, lightness: float) -> str:
    """Return `colour` (#rrggbb) mixed with white: 0 is the colour itself, 1 is white."""
    channels = (int(colour[at : at + 2], 16) for at in (1, 3, 5))
    return "#" + "".join(f"{round(channel + (255 - channel) * lightness):02x}" for channel in channels)


def threshold_line(panel: timeseries.Panel, limit: float) -> timeseries.Panel:
    """Return the chart with a dashed line at the limit past which it's bad."""
    return panel.thresholds(steps("transparent", (limit, BAD))).thresholds_style(
        common_builders.GraphThresholdsStyleConfig().mode(common.GraphThresholdsStyleMode.DASHED)
    )


def transform(name: str, options: dict[str, object]) -> dashboard.DataTransformerConfig:
    """Return one step of what Grafana does to the data before it draws them."""
    return dashboard.DataTransformerConfig(id_val=name, options=options)
