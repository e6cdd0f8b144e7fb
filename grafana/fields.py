"""How a panel's fields are drawn: overrides, thresholds, words for values, transformations."""

from collections.abc import Sequence
from itertools import cycle

from grafana_foundation_sdk.builders import common as common_builders
from grafana_foundation_sdk.builders import dashboard as builders
from grafana_foundation_sdk.builders import timeseries
from grafana_foundation_sdk.models import common, dashboard

from grafana import colours
from servers.variants import VARIANTS


def prop(name: str, value: object) -> dashboard.DynamicConfigValue:
    """Return one property of a field override."""
    return dashboard.DynamicConfigValue(id_val=name, value=value)


def fixed_colour(colour: str) -> dashboard.DynamicConfigValue:
    """Return the override that draws a field in one colour."""
    return prop("color", {"mode": "fixed", "fixedColor": colour})


def all_in(colour: str) -> builders.FieldColor:
    """Return the colour scheme in which fields without an override have this colour."""
    return builders.FieldColor().mode(dashboard.FieldColorModeId.FIXED).fixed_color(colour)


def by_threshold() -> builders.FieldColor:
    """Return the colour scheme by thresholds."""
    return builders.FieldColor().mode(dashboard.FieldColorModeId.THRESHOLDS)


def steps(first: str, *others: tuple[float, str]) -> builders.ThresholdsConfig:
    """Return thresholds: the first colour, then one from each value on."""
    return (
        builders.ThresholdsConfig()
        .mode(dashboard.ThresholdsMode.ABSOLUTE)
        .steps(
            [dashboard.Threshold(color=first), *(dashboard.Threshold(value=at, color=colour) for at, colour in others)]
        )
    )


def coloured(panel: timeseries.Panel, names: Sequence[str], palette: Sequence[str]) -> timeseries.Panel:
    """Colour the chart's fields by the palette, and return it."""
    for name, colour in zip(names, cycle(palette), strict=False):
        panel.override_by_name(name, [fixed_colour(colour)])
    return panel


def at_first_hidden() -> dashboard.DynamicConfigValue:
    """Return the override that hides a line of another scale until it is clicked in the legend."""
    return prop("custom.hideFrom", {"viz": True, "legend": False, "tooltip": False})


def threshold_line(panel: timeseries.Panel, limit: float) -> timeseries.Panel:
    """Draw a dashed line at the limit beyond which a run gets a warning; return the chart."""
    return panel.thresholds(steps(colours.NONE, (limit, colours.WARNING))).thresholds_style(
        common_builders.GraphThresholdsStyleConfig().mode(common.GraphThresholdsStyleMode.DASHED)
    )


def words(meanings: dict[str, tuple[str, str]]) -> dashboard.ValueMap:
    """Return a mapping of values to what is shown instead: value -> (text, colour)."""
    return dashboard.ValueMap(
        options={
            value: dashboard.ValueMappingResult(text=shown, color=colour, index=index)
            for index, (value, (shown, colour)) in enumerate(meanings.items())
        }
    )


def hundred_seconds() -> dashboard.ValueMap:
    """Return the mapping that shows `70 s` and `100 s` on a logarithmic axis instead of `1.17 mins` and `1.67 mins`."""
    return words({"70": ("70 s", colours.NEUTRAL), "100": ("100 s", colours.NEUTRAL)})


def edge(number: int) -> dashboard.ValueMap:
    """Return the mapping that leaves out an axis's last number, which would be cut off at the chart's right edge."""
    return words({str(number): (" ", colours.NEUTRAL)})


def variant_words() -> dashboard.ValueMap:
    """Return the mapping of variants' names to their titles and colours."""
    return words({variant.name: (variant.title, variant.colour) for variant in VARIANTS})


def logarithmic() -> common_builders.ScaleDistributionConfig:
    """Return an axis of powers of ten, which has no zero."""
    return common_builders.ScaleDistributionConfig().type(common.ScaleDistribution.LOG).log(10)


def transform(name: str, options: dict[str, object]) -> dashboard.DataTransformerConfig:
    """Return one transformation of the data before they are drawn."""
    return dashboard.DataTransformerConfig(id_val=name, options=options)
