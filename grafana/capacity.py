"""The dashboard "Capacity": Compare's figures against the number of clients."""

from grafana_foundation_sdk.builders import common as common_builders
from grafana_foundation_sdk.builders import xychart as builders
from grafana_foundation_sdk.cog.builder import Builder
from grafana_foundation_sdk.models import common, dashboard, xychart

from grafana import colours, figures, texts, units
from grafana.fields import all_in, fixed_colour, hundred_seconds, logarithmic, prop, transform
from grafana.figures import Figure
from grafana.layout import Line, Section
from grafana.page import page
from grafana.panels import legend, note, without_legend
from grafana.status import status
from grafana.targets import DATASOURCE, letter, query
from servers.variants import VARIANTS

STEADY = "variant:tcplab_steady_clients:max"
"""A variant's number of clients, present only once it has been steady for as long as figures look back."""

WARNED = "on () (max(tcplab_load_warning) == 1)"

NOWHERE = 'max by (variant) (up{job="servers"}) * 0 - Inf'
"""A value at which no point is drawn: if a variant has no field, Grafana shows "Err" instead of an empty chart."""

INTRODUCTION = f"""\
{legend()} &nbsp; Each point: ten seconds of a number of clients steady for 15 s. Hollow: with warnings.<br>
Ignore differences smaller than the points' spread. For more numbers: `TCPLAB_SHAPE=tour docker compose up`, or
Locust's page; show a time that holds them all.
"""


def points(figure: Figure) -> Builder[dashboard.Panel]:
    """Return a chart of a figure against the number of clients, with a cloud of points for each variant."""
    y = f"{figure.of_ten_seconds}\nand on (variant) {STEADY}"
    panel = (
        builders.Panel()
        .title(figure.title)
        .description(figure.text)
        .datasource(DATASOURCE)
        .unit(figure.unit)
        .no_value(texts.NOTHING_STEADY)
        .show(xychart.XYShowMode.POINTS)
        .point_size(builders.XychartFieldConfigPointSize().fixed(6))
        .point_shape(xychart.PointShape.CIRCLE)
        .point_stroke_width(1)
        .fill_opacity(60)
        .color_scheme(all_in(colours.NEUTRAL))
        .mapping(xychart.SeriesMapping.MANUAL)
        .legend(without_legend())
        .tooltip(common_builders.VizTooltipOptions().mode(common.TooltipDisplayMode.SINGLE))
        # `max` drops the recorded name: if one series of a variant has a name and one has none, no legend matches.
        .with_target(query(f"max by (variant) ({STEADY})\nor {NOWHERE}", letter(0), "{{variant}} clients"))
        .with_target(query(f"max by (variant) ({y} unless {WARNED})\nor {NOWHERE}", letter(1), "{{variant}}"))
        .with_target(query(f"{y} and {WARNED}", letter(2), "{{variant}} with warnings"))
        .with_transformation(transform("joinByField", {"byField": "Time", "mode": "outer"}))
        .override_by_regexp(
            "/ clients$/",
            [
                prop("unit", units.SHORT),
                prop("min", 1),
                prop("mappings", []),  # not the figure's
                prop("custom.scaleDistribution", {"type": "log", "log": 10}),
                prop("custom.axisLabel", "clients"),
            ],
        )
    )
    if figure.log:
        panel.scale_distribution(logarithmic()).mappings([hundred_seconds()])
    else:
        panel.min(0)
    series: list[Builder[xychart.XYSeriesConfig]] = []
    for variant in VARIANTS:
        x = f"{variant.name} clients"
        warned = f"{variant.name} with warnings"
        panel.override_by_name(variant.name, [fixed_colour(variant.colour)])
        panel.override_by_name(
            warned,
            [
                fixed_colour(variant.colour),
                prop("custom.fillOpacity", 0),
                prop("custom.hideFrom", {"viz": False, "legend": True, "tooltip": False}),
            ],
        )
        series += [_series(variant.title, x, variant.name), _series(f"{variant.title}, with warnings", x, warned)]
    return panel.series(series)


def _series(title: str, x: str, y: str) -> builders.XYSeriesConfig:
    def named(name: str) -> builders.MatcherConfig:
        return builders.MatcherConfig().id("byName").options(name)

    frame = builders.MatcherConfig().id("byIndex").options(0)  # the join leaves one frame
    return (
        builders.XYSeriesConfig()
        .name(builders.XychartXYSeriesConfigName().fixed(title))
        .frame(builders.XychartXYSeriesConfigFrame().matcher(frame))
        .x(builders.XychartXYSeriesConfigX().matcher(named(x)))
        .y(builders.XychartXYSeriesConfigY().matcher(named(y)))
    )


def build() -> dashboard.Dashboard:
    """Return the dashboard."""
    rows = (
        (figures.THROUGHPUT, figures.SHARE_SERVED, figures.FIRST_P50, figures.FIRST_P99),
        (figures.LATER_P50, figures.LATER_P95, figures.LATER_P99, figures.CPU_PER_REQUEST),
        (figures.PROCESS_MEMORY, figures.CONTAINER_MEMORY, figures.MEMORY_PER_CLIENT, figures.FAILED),
    )
    return page(
        "capacity",
        [
            Section(
                "", [status(), Line(2, [note(INTRODUCTION)]), *(Line(5, [points(one) for one in row]) for row in rows)]
            )
        ],
        shown=["series"],
    )
