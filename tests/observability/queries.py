"""
Every query of the committed dashboards, for tests here and against a real Prometheus (tests/e2e).

`Query.per` is "variant" (one or more series for each variant), "one variant" (the query names it), or "lab" (about the
load, its workers or its warnings).
"""

import json
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Any

from servers.variants import VARIANTS, Variant

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "grafana" / "dashboards"
SCRAPE_SECONDS = 2


@dataclass(frozen=True, slots=True)
class Query:
    """
    One query of a panel, with its PromQL as committed.

    panel, expr: with the dashboard's variables filled in; there is one Query for each of their values.
    """

    dashboard: str
    panel: str
    ref: str
    expr: str
    instant: bool

    @property
    def name(self) -> str:
        """A readable name, unique in its panel except for variables' values."""
        return f"{self.dashboard.removesuffix('.json')}: {self.panel} {self.ref}"

    @property
    def per(self) -> str:
        """The kind of the query's series: see the module's docstring."""
        if re.search(r'variant="', self.expr):
            return "one variant"
        if "ALERTS" in self.expr or re.match(r"\(*(max|min|sum|count|topk|bottomk)\(", self.expr):
            return "lab"  # nothing may be wrong, or the outermost aggregation leaves no variant
        return "variant" if re.search(r"by \([\w, ]*\bvariant\b|^\(?variant:", self.expr) else "lab"

    @property
    def may_be_empty(self) -> str:
        """Why the query may return nothing, or no number, in a healthy lab; empty if it must return some."""
        if self.panel.startswith("annotation "):
            return "it marks what has happened, and nothing need have"
        if self.panel == "The result now" and self.ref in {"A", "B", "D"}:
            return "one of the three is so: a server leaves clients waiting, none does, one is down"
        return ""

    def promql(self, *, rate_interval: str = "8s", shown: str = "15m") -> str:
        """Return the query with Grafana's variables filled in; Grafana's rate interval is four scrape intervals."""
        filled = self.expr.replace("$__rate_interval", rate_interval).replace("$__range", shown)
        return filled.replace("$__interval", f"{SCRAPE_SECONDS}s")


def dashboards() -> dict[str, dict[str, Any]]:
    """Return every committed dashboard by file name."""
    return {path.name: json.loads(path.read_text(encoding="utf-8")) for path in sorted(FOLDER.glob("*.json"))}


def panels(dashboard: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Yield every panel of a dashboard but its rows' headings."""
    for panel in dashboard["panels"]:
        yield from panels(panel) if panel.get("panels") else ()
        if panel["type"] != "row":
            yield panel


def queries(running: Iterable[Variant] = VARIANTS) -> list[Query]:
    """Return every query of every committed dashboard, also its annotations'; without those about other servers."""
    names = {variant.name for variant in running}
    every = (query for name, dashboard in dashboards().items() for query in _queries(name, dashboard))
    return [query for query in every if names.issuperset(re.findall(r'variant="(\w+)"', query.expr))]


def _queries(name: str, dashboard: dict[str, Any]) -> Iterator[Query]:
    choices = _choices(dashboard)
    for panel in panels(dashboard):
        for target in panel.get("targets", []):
            texts = {
                (_filled(panel["title"], chosen), _filled(target["expr"], chosen))
                for chosen in (dict(zip(choices, one, strict=True)) for one in product(*choices.values()))
            }
            for title, expr in sorted(texts):
                yield Query(name, title, target["refId"], expr, bool(target.get("instant")))
    for one in dashboard["annotations"]["list"]:
        if "expr" in one:
            yield Query(name, f"annotation {one['name']}", "A", one["expr"], instant=False)


def _choices(dashboard: dict[str, Any]) -> dict[str, list[tuple[str, str]]]:
    """Return the values that each variable of a dashboard can have, with their texts."""
    found = {}
    for variable in dashboard["templating"]["list"]:
        listed = [(option["text"], option["value"]) for option in variable.get("options") or ()]
        # The dashboard asks Prometheus for the variants, which come from their table, and for the scenarios.
        asked = [(variant.name, variant.name) for variant in VARIANTS]
        if variable["name"] == "scenario":
            asked = [(variable["current"]["text"], variable["current"]["value"])]
        found[variable["name"]] = listed or asked
    return found


def _filled(text: str, chosen: dict[str, tuple[str, str]]) -> str:
    for name, (shown, value) in chosen.items():
        text = text.replace(f"${{{name}:text}}", shown).replace(f"${{{name}:raw}}", value)
        text = text.replace(f"${{{name}}}", value).replace(f"${name}", value)
    return text
