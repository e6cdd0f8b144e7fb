"""A whole dashboard: where its panels stand, and what all share (time, links, variables, annotations)."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate, pairwise
from typing import Final

from grafana_foundation_sdk.builders import dashboard as builders
from grafana_foundation_sdk.cog.builder import Builder
from grafana_foundation_sdk.models import dashboard

from grafana import annotations
from grafana.fields import DATASOURCE

Panel = Builder[dashboard.Panel]

GRAFANA: Final = "12.4.9"
"""The Grafana version of the panels: without it, Grafana would migrate their options as an old version's."""

COLUMNS: Final = 24
"""Of Grafana's grid. A unit of height is 38 pixels with its gap of 8 (GRID_CELL_HEIGHT and GRID_CELL_VMARGIN)."""

PAGES = (
    ("compare", "Compare", "The variants side by side, over time"),
    ("capacity", "Capacity", "The same figures against the number of clients"),
    ("load", "Load generator", "The load generator and its own limits"),
    ("server", "Server in detail", "Everything that one server exports"),
)
"""Every dashboard: uid, title, purpose."""

SERIES = {"Response time": "response", "Service time": "service"}
"""Latency, counted from when the request was due, or from when it was sent."""


@dataclass(frozen=True, slots=True)
class Line:
    """Panels side by side. height: in units of the grid. widths: in columns; without them all are equal."""

    height: int
    panels: Sequence[Panel]
    widths: Sequence[int] = ()

    def edges(self) -> list[int]:
        """Return the columns at which panels begin and end."""
        if self.widths:
            return [0, *accumulate(self.widths)]
        return [round(COLUMNS * index / len(self.panels)) for index in range(len(self.panels) + 1)]


def page(
    uid: str, sections: Mapping[str, Sequence[Line]], shown: Sequence[str] = (), minutes: int = 15
) -> dashboard.Dashboard:
    """
    Return a dashboard in Grafana's classic model.

    sections: lines one below the other, by their heading; "": without one.
    shown: the variables to choose from on this page. The others are hidden but present, because a link passes on only
    the variables of its own page. minutes: how far back it looks at first.
    """
    [(title, purpose)] = [(title, purpose) for page, title, purpose in PAGES if page == uid]
    built = (
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
        .links([_link(*other) for other in PAGES if other[0] != uid])
        .variables(_variables(shown))
        .build()
    )
    built.panels = _placed(sections)
    for link in built.links or ():
        link.placement = None  # type: ignore[assignment]  # visible; the library's default puts it in a menu
    return built


def _placed(sections: Mapping[str, Sequence[Line]]) -> list[dashboard.Panel | dashboard.RowPanel]:
    """Return the sections' panels, placed and numbered."""
    placed: list[dashboard.Panel | dashboard.RowPanel] = []
    y = 0
    for title, lines in sections.items():
        if title:
            placed.append(builders.Row(title).grid_pos(dashboard.GridPos(h=1, w=COLUMNS, x=0, y=y)).build())
            y += 1
        for line in lines:
            for builder, (left, right) in zip(line.panels, pairwise(line.edges()), strict=True):
                built = builder.build()
                built.plugin_version = GRAFANA
                built.grid_pos = dashboard.GridPos(h=line.height, w=right - left, x=left, y=y)
                placed.append(built)
            y += line.height
    for number, panel in enumerate(placed, start=1):
        panel.id_val = number
    return placed


def _link(uid: str, title: str, purpose: str) -> builders.DashboardLink:
    """Return a link to a dashboard, which keeps the time and the chosen variables."""
    return (
        builders.DashboardLink(title)
        .type(dashboard.DashboardLinkType.LINK)
        .url(f"/d/{uid}")
        .tooltip(purpose)
        .icon("dashboard")
        .keep_time(True)
        .include_vars(True)
    )


def _queried(name: str, query: str, default: str) -> builders.QueryVariable:
    """Return a variable whose values Prometheus has."""
    chosen = dashboard.VariableOption(text=default, value=default)
    return builders.QueryVariable(name).datasource(DATASOURCE).query(query).allow_custom_value(False).current(chosen)


def _variables(shown: Sequence[str]) -> list[Builder[dashboard.VariableModel]]:
    options = [
        dashboard.VariableOption(selected=not index, text=text, value=value)
        for index, (text, value) in enumerate(SERIES.items())
    ]
    variables: list[Builder[dashboard.VariableModel]] = [
        _queried("variant", 'label_values(up{job="servers"}, variant)', "asyncio")
        .label("Server")
        .description("The server whose metrics are shown.")
        .refresh(dashboard.VariableRefresh.ON_DASHBOARD_LOAD),
        builders.CustomVariable("series")
        .label("Latency")
        .description(
            "Response time counts from when a request was due, service time from when it was sent. They differ in the "
            "open model (a rate), or when the generator is late."
        )
        .values(", ".join(f"{text} : {value}" for text, value in SERIES.items()))
        .options(options)
        .allow_custom_value(False)
        .current(options[0]),
        _queried("scenario", "label_values(tcplab_load_run_info, scenario)", "conversation")
        .label("Scenario")
        .description("The scenario whose stages are drawn: figures of two scenarios are no curve.")
        .refresh(dashboard.VariableRefresh.ON_TIME_RANGE_CHANGED),
    ]
    for model in (variable.build() for variable in variables):
        hidden = model.name not in shown
        model.hide = dashboard.VariableHide.HIDE_VARIABLE if hidden else dashboard.VariableHide.DONT_HIDE
    return variables
