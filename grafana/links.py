"""Links between dashboards, which keep the time and the chosen variables."""

from grafana_foundation_sdk.builders import dashboard as builders
from grafana_foundation_sdk.cog.builder import Builder
from grafana_foundation_sdk.models import dashboard

PAGES = (
    ("compare", "Compare", "The variants side by side, over time"),
    ("capacity", "Capacity", "The same figures against the number of clients"),
    ("load", "Load generator", "The load generator and its own limits"),
    ("server", "Server in detail", "Everything that one server exports"),
)
"""Every dashboard: uid, title, purpose."""


def to_the_others(uid: str) -> list[Builder[dashboard.DashboardLink]]:
    """Return a dashboard's links to the others."""
    return [
        builders.DashboardLink(title)
        .type(dashboard.DashboardLinkType.LINK)
        .url(f"/d/{other}")
        .tooltip(purpose)
        .icon("dashboard")
        .keep_time(True)
        .include_vars(True)
        for other, title, purpose in PAGES
        if other != uid
    ]


def to_the_server(variant: str) -> dict[str, object]:
    """Return a series' link to its server's details. variant: its name, or a Grafana variable."""
    return {
        "title": "This server in detail",
        "url": f"/d/server?var-variant={variant}&${{series:queryparam}}&${{__url_time_range}}",
    }
