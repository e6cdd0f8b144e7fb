"""The head of every dashboard: scenario, load, run warnings and alerts now, and the warnings over time."""

from grafana_foundation_sdk.builders import stat
from grafana_foundation_sdk.builders.common import VizTextDisplayOptions
from grafana_foundation_sdk.models import common

from grafana import colours, texts
from grafana.fields import prop, query_now, steps
from grafana.figures import RUNNING
from grafana.page import Line
from grafana.panels import tile, timeline
from loadtest.run_warnings import CHECKED
from servers.variants import VARIANTS

SCENARIO_NOW = """\
max by (scenario) (tcplab_load_run_info)
or label_replace(max(tcplab_load_running) == 0, "scenario", "no run is on", "", "")
or label_replace(0 * absent(tcplab_load_running), "scenario", "the load is not measured", "", "")"""

_WARNING = "tcplab_load_warning"
_FOUND = f"""\
((2 * max by (warning) ({_WARNING}{{about!="server",degree="doubt"}}) > 0)
  or (max by (warning) ({_WARNING}{{about!="server",degree="note"}}) > 0)
  or (2 * max by (warning, variant) ({_WARNING}{{about="server",degree="doubt"}}) > 0)
  or (max by (warning, variant) ({_WARNING}{{about="server",degree="note"}}) > 0)) and on () {RUNNING}"""

# 1: a note, 2: a doubt. One about a server has its name. Two lines fit into the tile.
WARNINGS_NOW = f"""\
topk(1, {_FOUND})
or label_replace((count({_FOUND}) > 1) * 0 + 1, "warning", "and more, on Load generator", "", "")
or label_replace(max({_WARNING}) == 0 and {RUNNING}, "warning", "none", "", "")
or label_replace(3 + max(tcplab_load_running) == 3, "warning", "no run is on", "", "")
or label_replace(3 * absent({_WARNING}), "warning", "the load is not measured", "", "")"""

# That a server leaves clients waiting is no fault of the run.
WARNINGS_THEN = f"""\
(2 * max({_WARNING}{{degree="doubt"}}) > 0
  or max({_WARNING}{{about!="server",degree="note"}}) > 0
  or 0 * max({_WARNING})) and {RUNNING}"""

_ALERTS = 'ALERTS{alertstate="firing",alertname!~"RunWarnings|GeneratorSaturated"'

# A server that is down or fails is in red; the rest in amber. Two lines fit into the tile.
ALERTS_NOW = f"""\
topk(1, 2 * max by (alertname, variant) ({_ALERTS},severity="error"}})
  or max by (alertname, variant) ({_ALERTS},severity!="error"}}))
or label_replace((count({_ALERTS}}}) > 1) * 0 + 1, "alertname", "and more, on Prometheus's /alerts", "", "")
or label_replace(0 * absent({_ALERTS}}}), "alertname", "none", "", "")"""


OF_A_SERVER = {
    "ServerDown": "down",
    "RequestsFail": "requests fail",
    "ClientsNotServed": "most clients wait",
    "ClientsWait": "a client has waited for long",
    "AcceptQueueFull": "its accept queue is full",
    "ContainerThrottled": "a CPU quota throttles it",
}
OF_THE_LOAD = {"LoadUnreachable": "the load doesn't answer", "LoadNotRunning": "no load is on"}
"""The tile's words for an alert (prometheus/rules/alerts.yml): the name that a server has on the page stands before."""


def status() -> Line:
    """Return the tiles."""
    scenario = (
        tile(
            "Scenario",
            "The running scenario, that is what each client does; loadtest/README.md says how to read it. Start "
            "another on Locust's page, port 8089.",
            texts.NO_LOAD,
        )
        .with_target(query_now(SCENARIO_NOW, "A", "{{scenario}}"))
        .text_mode(common.BigValueTextMode.NAME)
        .text(VizTextDisplayOptions().title_size(20).value_size(20))
    )
    size = (
        tile(
            "Load",
            "Clients of each server (Locust's users, connected or away), and the processes that run them.",
            texts.NO_LOAD,
        )
        .with_target(query_now("max(tcplab_load_users)", "A", "clients each"))
        .with_target(query_now("max(tcplab_load_workers)", "B", "workers"))
        .text_mode(common.BigValueTextMode.VALUE_AND_NAME)
        .text(VizTextDisplayOptions().title_size(12).value_size(24))
    )
    warnings = _worst(
        "Run warnings",
        "The load generator's warnings; loadtest/README.md says what to do. Grey: a note, with which a figure that "
        "it can move is a bound, marked ≤. Amber: a doubt, marked ?. A warning about one server has its name and "
        "marks only that. The strip below shows when.",
        WARNINGS_NOW,
        "{{warning}} {{variant}}",
        texts.NO_LOAD,
    ).thresholds(steps(colours.NEUTRAL, (2, colours.WARNING), (3, colours.NEUTRAL)))  # "none" draws no eye to itself
    for name, row in CHECKED.items():
        warnings.override_by_name(f"{name} ", [prop("displayName", f"{name}: {row.short}")])
        _name_servers(warnings, name, f", {name}: {row.short}")
    alerts = _worst(
        "Alerts",
        "The worst of Prometheus's alerts that fire now (prometheus/rules/alerts.yml): a server down, no load, "
        "failing requests or connects, clients that wait, a full accept queue, a CPU quota that throttles a "
        "server. All of them are on Prometheus's page /alerts.",
        ALERTS_NOW,
        "{{alertname}} {{variant}}",
        texts.NO_SERVER,
    ).thresholds(steps(colours.NEUTRAL, (1, colours.WARNING), (2, colours.ERROR)))
    for name, short in OF_A_SERVER.items():
        _name_servers(alerts, name, f": {short}")
    for name, short in OF_THE_LOAD.items():
        alerts.override_by_name(f"{name} ", [prop("displayName", short)])
    return Line(3, [scenario, size, warnings, alerts], [5, 4, 8, 7])


def _worst(title: str, description: str, expr: str, legend: str, empty: str) -> stat.Panel:
    """Return a tile of two lines."""
    return (
        tile(title, description, empty)
        .with_target(query_now(expr, "A", legend))
        .text_mode(common.BigValueTextMode.NAME)
        .text(VizTextDisplayOptions().title_size(13).value_size(13))
        .orientation(common.VizOrientation.HORIZONTAL)
    )


def _name_servers(panel: stat.Panel, name: str, what: str) -> None:
    """Show a warning or an alert about one server by that server's title."""
    for variant in VARIANTS:
        panel.override_by_name(f"{name} {variant.name}", [prop("displayName", f"{variant.title}{what}")])


def head() -> list[Line]:
    """Return the tiles, and the strip of warnings over time below them."""
    strip = timeline(
        "Run warnings over the time shown (grey: a note, amber: a doubt)",
        "Grey: a note, some figures are bounds. Amber: a doubt, what is measured meanwhile may be the generator's "
        "limit. A server that leaves clients waiting is not among them: that is a finding.",
        WARNINGS_THEN,
        "warnings",
    ).row_height(0.9)
    for field in ("Time", "warnings"):
        strip.override_by_name(field, [prop("custom.axisPlacement", "hidden")])
    return [status(), Line(2, [strip])]
