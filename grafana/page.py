"""The parts that all dashboards share: time, links, variables and annotations."""

from collections.abc import Sequence

from grafana_foundation_sdk.builders import dashboard as builders
from grafana_foundation_sdk.models import dashboard

from grafana import annotations, links
from grafana.layout import Section, lay_out
from grafana.targets import DATASOURCE

SERIES = {"Response time": "response", "Service time": "service"}
"""Latency, counted from when the request was due, or from when it was sent."""

DEFAULT_VARIANT = "asyncio"
DEFAULT_SCENARIO = "conversation"


def page(uid: str, sections: Sequence[Section], shown: Sequence[str], minutes: int = 15) -> dashboard.Dashboard:
    """
    Return a dashboard in Grafana's classic model.

    shown: the variables to choose from on this page. The others are hidden but present, because a link passes on only
    the variables of its own page. minutes: how far back it looks at first.
    """
    (title, purpose) = next((title, purpose) for page, title, purpose in links.PAGES if page == uid)
    builder = (
        builders.Dashboard(title)
        .uid(uid)
        .description(f"{purpose}.")
        .tags(["tcp-concurrency-lab"])
        .time(f"now-{minutes}m", "now")
        .refresh("5s")
        .timezone("browser")
        .tooltip(dashboard.DashboardCursorSync.CROSSHAIR)
        .readonly()
        .timepicker(builders.TimePicker().refresh_intervals(["2s", "5s", "10s", "30s", "1m", "5m"]))
        .annotations(annotations.every())
        .links(links.to_the_others(uid))
        .variables(
            [_variant(_hide("variant", shown)), _series(_hide("series", shown)), _scenario(_hide("scenario", shown))]
        )
    )
    built = builder.build()
    built.panels = lay_out(sections)
    for link in built.links or ():
        link.placement = None  # type: ignore[assignment]  # visible; the library's default puts it in a menu
    return built


def _hide(name: str, shown: Sequence[str]) -> dashboard.VariableHide:
    return dashboard.VariableHide.DONT_HIDE if name in shown else dashboard.VariableHide.HIDE_VARIABLE


def _variant(hide: dashboard.VariableHide) -> builders.QueryVariable:
    return (
        builders.QueryVariable("variant")
        .label("Server")
        .description("The server whose metrics are shown.")
        .hide(hide)
        .datasource(DATASOURCE)
        .query('label_values(up{job="servers"}, variant)')
        .refresh(dashboard.VariableRefresh.ON_DASHBOARD_LOAD)
        .allow_custom_value(False)
        .current(dashboard.VariableOption(text=DEFAULT_VARIANT, value=DEFAULT_VARIANT))
    )


def _series(hide: dashboard.VariableHide) -> builders.CustomVariable:
    options = [
        dashboard.VariableOption(selected=not index, text=text, value=value)
        for index, (text, value) in enumerate(SERIES.items())
    ]
    return (
        builders.CustomVariable("series")
        .label("Latency")
        .description(
            "Response time counts from when a request was due, service time from when it was sent. They differ in the "
            "open model (a rate), or when the generator is late."
        )
        .hide(hide)
        .values(", ".join(f"{text} : {value}" for text, value in SERIES.items()))
        .options(options)
        .allow_custom_value(False)
        .current(options[0])
    )


def _scenario(hide: dashboard.VariableHide) -> builders.QueryVariable:
    return (
        builders.QueryVariable("scenario")
        .label("Scenario")
        .description("The scenario whose stages are drawn: figures of two scenarios are no curve.")
        .hide(hide)
        .datasource(DATASOURCE)
        .query("label_values(tcplab_load_run_info, scenario)")
        .refresh(dashboard.VariableRefresh.ON_TIME_RANGE_CHANGED)
        .allow_custom_value(False)
        .current(dashboard.VariableOption(text=DEFAULT_SCENARIO, value=DEFAULT_SCENARIO))
    )
