"""The parts of a panel: its queries, what is done to their data, and how its fields are drawn."""

from collections.abc import Mapping, Sequence
from itertools import cycle

from grafana_foundation_sdk.builders import common as common_builders
from grafana_foundation_sdk.builders import dashboard as builders
from grafana_foundation_sdk.builders import prometheus as queries
from grafana_foundation_sdk.builders import timeseries
from grafana_foundation_sdk.models import common, dashboard, prometheus

from grafana import colours
from servers.variants import Variant

DATASOURCE = common.DataSourceRef(type_val="prometheus", uid="prometheus")  # provisioning/datasources/prometheus.yml


def query(expr: str, ref: str, legend: str = "__auto") -> queries.Dataquery:
    """Return a query over the time shown, in steps of a scrape interval or more."""
    return (
        queries.Dataquery()
        .datasource(DATASOURCE)
        .editor_mode(prometheus.QueryEditorMode.CODE)
        .ref_id(ref)
        .expr(expr)
        .legend_format(legend)
        .range()
    )


def query_now(expr: str, ref: str, legend: str = "__auto") -> queries.Dataquery:
    """Return a query at the last instant shown."""
    return query(expr, ref, legend).instant().format(prometheus.PromQueryFormat.TIME_SERIES)


def query_table(expr: str, ref: str) -> queries.Dataquery:
    """Return a query at the last instant shown, with labels as columns."""
    return query(expr, ref).instant().format(prometheus.PromQueryFormat.TABLE)


def letter(index: int) -> str:
    """Return the name of a panel's query: A, B, C, ..."""
    return chr(ord("A") + index)


def transform(name: str, options: dict[str, object]) -> dashboard.DataTransformerConfig:
    """Return one transformation of the data before they are drawn."""
    return dashboard.DataTransformerConfig(id_val=name, options=options)


def sort_by(field: str) -> dashboard.DataTransformerConfig:
    """Return the transformation that sorts the rows."""
    return transform("sortBy", {"fields": {}, "sort": [{"field": field}]})


def columns(titles: Mapping[str, str], *left_out: str) -> dashboard.DataTransformerConfig:
    """Return the transformation that puts columns in this order. titles: by name; "" keeps the name."""
    options: dict[str, object] = {"excludeByName": dict.fromkeys(left_out, True)} if left_out else {}
    options["indexByName"] = {name: index for index, name in enumerate(titles)}
    if renamed := {name: title for name, title in titles.items() if title}:
        options["renameByName"] = renamed
    return transform("organize", options)


def matrix(column: str, row: str, value: str, empty: str) -> dashboard.DataTransformerConfig:
    """Return the transformation to a table with a column for each value of a field. empty: `null` or `zero`."""
    return transform(
        "groupingToMatrix", {"columnField": column, "rowField": row, "valueField": value, "emptyValue": empty}
    )


def grouped(by: Sequence[str], fields: Sequence[str], *calculations: str) -> dashboard.DataTransformerConfig:
    """Return the transformation to a row for each value of the fields `by`, with calculations of the others."""
    key = {"operation": "groupby", "aggregations": []}
    aggregated = {"operation": "aggregate", "aggregations": calculations}
    return transform("groupBy", {"fields": {**dict.fromkeys(by, key), **dict.fromkeys(fields, aggregated)}})


def prop(name: str, value: object) -> dashboard.DynamicConfigValue:
    """Return one property of a field override."""
    return dashboard.DynamicConfigValue(id_val=name, value=value)


DASHED = prop("custom.lineStyle", {"fill": "dash", "dash": [6, 6]})
DOTTED = prop("custom.lineStyle", {"fill": "dot", "dash": [0, 5]})


def fixed_colour(colour: str) -> dashboard.DynamicConfigValue:
    """Return the override that draws a field in one colour."""
    return prop("color", {"mode": "fixed", "fixedColor": colour})


def link_to(server: str) -> dashboard.DynamicConfigValue:
    """Return the override that links a field to a server's details. server: its name, or a Grafana variable."""
    url = f"/d/server?var-variant={server}&${{series:queryparam}}&${{__url_time_range}}"
    return prop("links", [{"title": "This server in detail", "url": url}])


def drawn_as(variant: Variant, title: str) -> list[dashboard.DynamicConfigValue]:
    """Return the overrides of a variant's field: its title, colour and link."""
    return [prop("displayName", title), fixed_colour(variant.colour), link_to(variant.name)]


def coloured(panel: timeseries.Panel, names: Sequence[str], palette: Sequence[str]) -> timeseries.Panel:
    """Colour the chart's fields by the palette, and return it."""
    for name, colour in zip(names, cycle(palette), strict=False):
        panel.override_by_name(name, [fixed_colour(colour)])
    return panel


UNNAMED = builders.FieldColor().mode(dashboard.FieldColorModeId.FIXED).fixed_color(colours.NEUTRAL)
"""The colour scheme in which fields without an override are neutral."""

BY_THRESHOLD = builders.FieldColor().mode(dashboard.FieldColorModeId.THRESHOLDS)

LOGARITHMIC = common_builders.ScaleDistributionConfig().type(common.ScaleDistribution.LOG).log(10)
"""An axis of powers of ten, which has no zero."""


def steps(first: str, *others: tuple[float, str]) -> builders.ThresholdsConfig:
    """Return thresholds: the first colour, then one from each value on."""
    thresholds = [dashboard.Threshold(value=at, color=colour) for at, colour in others]
    return (
        builders.ThresholdsConfig()
        .mode(dashboard.ThresholdsMode.ABSOLUTE)
        .steps([dashboard.Threshold(color=first), *thresholds])
    )


def words(meanings: dict[str, tuple[str, str]]) -> dashboard.ValueMap:
    """Return a mapping of values to what is shown instead: value -> (text, colour)."""
    return dashboard.ValueMap(
        options={
            value: dashboard.ValueMappingResult(text=shown, color=colour, index=index)
            for index, (value, (shown, colour)) in enumerate(meanings.items())
        }
    )


HUNDRED_SECONDS = words({"70": ("70 s", colours.NEUTRAL), "100": ("100 s", colours.NEUTRAL)})
"""Shown on a logarithmic axis instead of `1.17 mins` and `1.67 mins`."""
