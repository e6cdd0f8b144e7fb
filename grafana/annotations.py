"""Events drawn into every chart, all from Prometheus's series. Warnings are in a strip of their own (status.py)."""

from grafana_foundation_sdk.builders import dashboard as builders
from grafana_foundation_sdk.cog.builder import Builder
from grafana_foundation_sdk.models import dashboard

from grafana import colours
from grafana.fields import DATASOURCE


def _annotation(name: str, expr: str, title: str, colour: str = colours.NEUTRAL) -> builders.AnnotationQuery:
    query = builders.AnnotationQuery().name(name).datasource(DATASOURCE).enable(True).icon_color(colour)
    return query.expr(expr).title_format(title)


def _moment(name: str, expr: str, title: str) -> builders.AnnotationQuery:
    """Return the annotation of a moment in seconds; in milliseconds it is exact even with coarse steps."""
    return _annotation(name, f"1000 * {expr}", title).use_value_for_time(True)


def _changes(metric: str) -> str:
    # $__rate_interval exceeds a step by a scrape, so no change falls between two steps. Only the first step that sees a
    # change counts: Grafana draws one moment as a line, several as a band.
    window = f"{metric}[$__rate_interval]"
    return f"max(changes({window})) > 0 unless max(changes({window} offset $__interval)) > 0"


def every() -> list[Builder[dashboard.AnnotationQuery]]:
    """Return the annotations of every dashboard."""
    return [
        _moment("Runs begin", "max(tcplab_load_run_start_timestamp_seconds)", "A run begins"),
        _annotation("Runs end", f"{_changes('tcplab_load_running')} and max(tcplab_load_running) == 0", "A run ends"),
        # Off until it is asked for: in a tour that is a line every 30 s in each chart, and the curves show it.
        _annotation(
            "Clients", f"{_changes('tcplab_load_users')} and max(tcplab_load_running) == 1", "The clients change"
        ).enable(False),
        _annotation("Workers", _changes("tcplab_load_workers"), "The workers change"),
        _moment(
            "Servers start",
            'max by (variant) (process_start_time_seconds{job="servers"})',
            "The server {{variant}} starts",
        ),
        # The first step at which it is down. Grafana draws no annotation whose value is 0.
        _annotation(
            "Servers go down",
            "(variant:up:max4s == bool 0) == 1 unless (variant:up:max4s offset $__interval) == 0",
            "The server {{variant}} is down",
            colours.ERROR,
        ),
        _moment("The load starts", 'max(process_start_time_seconds{job="load"})', "The load's master starts"),
    ]
