"""The committed dashboards: written by their program, and every panel fit to be compared by."""

import re
from itertools import combinations
from typing import Any

import pytest
import yaml

from grafana import write
from servers.variants import VARIANTS
from tests.observability.queries import FOLDER, ROOT, Query, dashboards, panels, queries

QUERIES = queries()
NAMED = [f"{one.panel} {one.ref}" for one in QUERIES]
PANELS = [(name, panel) for name, dashboard in dashboards().items() for panel in panels(dashboard)]
CHARTS = [panel for _, panel in PANELS if panel["type"] == "timeseries"]
TITLES = [panel["title"] for panel in CHARTS]


def test_the_committed_files_are_what_the_program_writes() -> None:
    written = write.files()
    assert set(written) == set(FOLDER.glob("*.json"))
    for path, text in written.items():
        assert path.read_text(encoding="utf-8") == text, f"{path.name} is out of date: run make dashboards"


def test_compare_opens_on_the_last_quarter_of_an_hour_and_follows() -> None:
    compare = dashboards()["compare.json"]
    assert compare["uid"] == "compare"
    assert compare["schemaVersion"] == 42
    assert compare["time"] == {"from": "now-15m", "to": "now"}
    assert compare["refresh"] == "5s"


@pytest.mark.parametrize("query", QUERIES, ids=NAMED)
def test_quantiles_are_never_averaged(query: Query) -> None:
    averaging = re.search(r"\b(avg|sum|avg_over_time|stddev)\b[^()]*\([^)]*tcplab_load_recent_seconds", query.expr)
    assert averaging is None
    if "histogram_quantile" in query.expr:
        assert re.search(r"sum by \(le, variant\) \(rate\(", query.expr)


@pytest.mark.parametrize("query", QUERIES, ids=NAMED)
def test_rates_widen_with_the_time_shown(query: Query) -> None:
    windows = re.findall(r"\[([^\]]*)\]", query.expr)
    assert all(window in {"$__rate_interval", "$__range"} for window in windows)


@pytest.mark.parametrize(("name", "panel"), PANELS, ids=[f"{panel['id']} {panel['title']}" for _, panel in PANELS])
def test_every_panel_says_what_it_shows_and_whence(name: str, panel: dict[str, Any]) -> None:
    if panel["type"] == "text":
        return
    assert panel["title"]
    assert len(panel["description"]) > 60
    (source,) = yaml.safe_load((ROOT / "grafana/provisioning/datasources/prometheus.yml").read_text())["datasources"]
    for place in (panel, *panel["targets"]):
        assert place["datasource"] == {"type": "prometheus", "uid": source["uid"]}


@pytest.mark.parametrize("panel", CHARTS, ids=TITLES)
def test_every_chart_has_a_unit_and_tells_all_lines_at_once(panel: dict[str, Any]) -> None:
    assert panel["fieldConfig"]["defaults"]["unit"]
    assert panel["options"]["tooltip"]["mode"] == "multi"
    assert panel["options"]["tooltip"]["sort"] == "desc"


@pytest.mark.parametrize("panel", CHARTS, ids=TITLES)
def test_every_axis_begins_at_zero_or_is_logarithmic(panel: dict[str, Any]) -> None:
    defaults = panel["fieldConfig"]["defaults"]
    logarithmic = defaults["custom"].get("scaleDistribution", {}).get("type") == "log"
    assert logarithmic != (defaults.get("min") == 0)
    if any("tcplab_load_recent_seconds" in target["expr"] for target in panel["targets"]):
        assert logarithmic, "latencies span decades"


@pytest.mark.parametrize("panel", CHARTS, ids=TITLES)
def test_a_variant_has_its_title_and_its_colour_in_every_chart(panel: dict[str, Any]) -> None:
    overrides = {
        override["matcher"]["options"]: {one["id"]: one["value"] for one in override["properties"]}
        for override in panel["fieldConfig"]["overrides"]
    }
    for target in panel["targets"]:
        if "{{variant}}" not in target["legendFormat"]:
            continue
        for variant in VARIANTS:
            chosen = overrides[target["legendFormat"].replace("{{variant}}", variant.name)]
            assert chosen["color"] == {"mode": "fixed", "fixedColor": variant.colour}
            assert chosen["displayName"].startswith(variant.title)


@pytest.mark.parametrize("name", dashboards())
def test_panels_have_numbers_of_their_own_and_do_not_overlap(name: str) -> None:
    every = dashboards()[name]["panels"]
    assert len({panel["id"] for panel in every}) == len(every)
    for one, other in combinations((panel["gridPos"] for panel in every), 2):
        apart = (
            one["x"] + one["w"] <= other["x"]
            or other["x"] + other["w"] <= one["x"]
            or one["y"] + one["h"] <= other["y"]
            or other["y"] + other["h"] <= one["y"]
        )
        assert apart, f"{one} and {other} overlap"
    assert all(panel["gridPos"]["x"] + panel["gridPos"]["w"] <= 24 for panel in every)


def test_every_variant_is_told_of_by_every_query_that_compares() -> None:
    compared = [query for query in QUERIES if query.per == "variant"]
    assert len(compared) >= 25
    for query in compared:
        assert "variant" in query.expr, f"{query.panel} {query.ref} drops the variants"
    for variant in VARIANTS:
        assert any(f'variant="{variant.name}"' in query.expr for query in QUERIES)
