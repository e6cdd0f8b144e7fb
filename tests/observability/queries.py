"""
Every query of the committed dashboards, for tests here and for those that ask a real Prometheus (tests/e2e).

A query's place in the comparison is told by `per`: "variant" (one series, or more, for each variant), "one variant"
(the panel is about the variant named in the query), or "lab" (about the load, its workers or its doubts).
"""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "grafana" / "dashboards"
SCRAPE_SECONDS = 2


@dataclass(frozen=True, slots=True)
class Query:
    """One query: where it stands, its PromQL as committed, and how it is asked."""

    dashboard: str
    panel: str
    ref: str
    expr: str
    instant: bool

    @property
    def per(self) -> str:
        """Tell what the query's series are: see the module's text."""
        if re.search(r'variant="', self.expr):
            return "one variant"
        if re.match(r"(min|max|sum)\(", self.expr) or "by (worker)" in self.expr or "by (doubt)" in self.expr:
            return "lab"
        return "lab" if "ALERTS" in self.expr else "variant"

    def promql(self, *, rate_interval: str = "8s", shown: str = "15m") -> str:
        """Return the query with Grafana's variables filled in; four scrape intervals are what Grafana would take."""
        return self.expr.replace("$__rate_interval", rate_interval).replace("$__range", shown)


def dashboards() -> dict[str, dict[str, Any]]:
    """Return every committed dashboard by file name."""
    return {path.name: json.loads(path.read_text(encoding="utf-8")) for path in sorted(FOLDER.glob("*.json"))}


def panels(dashboard: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Yield every panel of a dashboard but its rows' headings."""
    for panel in dashboard["panels"]:
        yield from panels(panel) if panel.get("panels") else ()
        if panel["type"] != "row":
            yield panel


def queries() -> list[Query]:
    """Return every query of every committed dashboard, those of its annotations included."""
    found = []
    for name, dashboard in dashboards().items():
        for panel in panels(dashboard):
            found += [
                Query(name, panel["title"], target["refId"], target["expr"], bool(target.get("instant")))
                for target in panel.get("targets", [])
            ]
        found += [
            Query(name, f"annotation {one['name']}", "A", one["expr"], instant=False)
            for one in dashboard["annotations"]["list"]
            if "expr" in one
        ]
    return found
