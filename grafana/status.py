"""The tiles at the head of a dashboard: scenario, load, run warnings, alerts."""

from grafana_foundation_sdk.builders import common as common_builders
from grafana_foundation_sdk.models import common

from grafana import colours, texts
from grafana.fields import prop, steps
from grafana.layout import Line
from grafana.panels import tile
from grafana.targets import query_now
from loadtest.run_warnings import CHECKED

HEIGHT = 3

SCENARIO_NOW = """\
max by (scenario) (tcplab_load_run_info)
or label_replace(max(tcplab_load_running) == 0, "scenario", "no run is on", "", "")
or label_replace(0 * absent(tcplab_load_running), "scenario", "the load is not measured", "", "")"""

WARNINGS_NOW = """\
max by (warning) (tcplab_load_warning) == 1
or label_replace(max(tcplab_load_warning) == 0, "warning", "no warnings", "", "")
or label_replace(2 * absent(tcplab_load_warning), "warning", "the load is not measured", "", "")"""

_ALERTS = 'ALERTS{alertstate="firing",alertname!~"RunWarnings|GeneratorSaturated"}'

ALERTS_NOW = f"""\
max by (alertname, variant) ({_ALERTS})
or label_replace(0 * absent({_ALERTS}), "alertname", "nothing", "", "")"""


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
        .thresholds(steps(colours.NEUTRAL))
    )
    size = (
        tile(
            "Clients and workers",
            "Clients of all servers together (Locust's users, connected or away), and the processes that run them.",
            texts.NO_LOAD,
        )
        .with_target(query_now("sum(tcplab_load_users)", "A", "clients"))
        .with_target(query_now("max(tcplab_load_workers)", "B", "workers"))
        .text_mode(common.BigValueTextMode.VALUE_AND_NAME)
        .text(common_builders.VizTextDisplayOptions().title_size(12).value_size(24))
        .thresholds(steps(colours.NEUTRAL))
    )
    warnings = (
        tile(
            "Run warnings",
            "The load generator's warnings about its own run; loadtest/README.md says what to do. With a warning, a "
            "figure may show the generator's limit, not the server's. Amber bands in the charts show when.",
            texts.NO_LOAD,
        )
        .with_target(query_now(WARNINGS_NOW, "A", "{{warning}}"))
        .text_mode(common.BigValueTextMode.NAME)
        .text(common_builders.VizTextDisplayOptions().title_size(13).value_size(13))
        .orientation(common.VizOrientation.HORIZONTAL)
        .thresholds(steps(colours.NEUTRAL, (0, colours.GOOD), (1, colours.WARNING), (2, colours.NEUTRAL)))
    )
    for name, row in CHECKED.items():
        warnings.override_by_name(name, [prop("displayName", f"{name}: {row.short}")])
    alerts = (
        tile(
            "Alerts",
            "Prometheus's alerts that fire now (prometheus/rules/alerts.yml): a server down, no load, failing requests "
            "or connects, a full accept queue, a CPU quota that throttles a server.",
            texts.NO_SERVER,
        )
        .with_target(query_now(ALERTS_NOW, "A", "{{alertname}} {{variant}}"))
        .text_mode(common.BigValueTextMode.NAME)
        .orientation(common.VizOrientation.HORIZONTAL)
        .thresholds(steps(colours.NEUTRAL, (0, colours.GOOD), (1, colours.WARNING)))
    )
    return Line(HEIGHT, [scenario, size, warnings, alerts], [5, 5, 8, 6])
