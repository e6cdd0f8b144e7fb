"""The panels' queries: one data source, over the time shown or at its last instant."""

from grafana_foundation_sdk.builders import prometheus as builders
from grafana_foundation_sdk.models import common, prometheus

DATASOURCE = common.DataSourceRef(type_val="prometheus", uid="prometheus")  # provisioning/datasources/prometheus.yml


def query(expr: str, ref: str, legend: str) -> builders.Dataquery:
    """Return a query over the time shown, in steps of a scrape interval or more."""
    return (
        builders.Dataquery()
        .datasource(DATASOURCE)
        .editor_mode(prometheus.QueryEditorMode.CODE)
        .ref_id(ref)
        .expr(expr)
        .legend_format(legend)
        .range()
    )


def query_now(expr: str, ref: str, legend: str = "__auto") -> builders.Dataquery:
    """Return a query at the last instant shown."""
    return query(expr, ref, legend).instant().format(prometheus.PromQueryFormat.TIME_SERIES)


def query_table(expr: str, ref: str) -> builders.Dataquery:
    """Return a query at the last instant shown, with labels as columns."""
    return query(expr, ref, "__auto").instant().format(prometheus.PromQueryFormat.TABLE)


def query_table_over_time(expr: str, ref: str) -> builders.Dataquery:
    """Return a query over the time shown, with labels as columns and a row for each moment."""
    return query(expr, ref, "__auto").format(prometheus.PromQueryFormat.TABLE)


def query_buckets(expr: str, ref: str) -> builders.Dataquery:
    """Return a query of a histogram's buckets over the time shown, for a heatmap."""
    return query(expr, ref, "{{le}}").format(prometheus.PromQueryFormat.HEATMAP)


def letter(index: int) -> str:
    """Return the name of a panel's query: A, B, C, ..."""
    return chr(ord("A") + index)
