"""The committed dashboards: written by their program, and consistent in every panel."""

import json
import re
import subprocess
import sys
from itertools import combinations
from typing import Any

import pytest
import yaml

from grafana import colours, status, write
from grafana.page import COLUMNS
from loadtest import run_checks, run_warnings
from loadtest.recording.counters import BREAKS, CONNECTIONS
from servers.stats import ERRORS
from servers.variants import VARIANTS
from tests.observability import catalogue
from tests.observability.promql import selectors
from tests.observability.queries import FOLDER, ROOT, Query, dashboards, panels, queries

QUERIES = queries()
NAMED = [query.name for query in QUERIES]
DASHBOARDS = dashboards()
PANELS = [(name, panel) for name, dashboard in DASHBOARDS.items() for panel in panels(dashboard)]
TITLES = [f"{name} {panel['title']}" for name, panel in PANELS]
SHOWING = [(name, panel) for name, panel in PANELS if panel["type"] != "text"]
CHARTS = [(name, panel) for name, panel in PANELS if panel["type"] == "timeseries"]
CURVES = [panel for _, panel in PANELS if panel["type"] == "trend"]
BARS = [panel for _, panel in PANELS if panel["type"] == "bargauge"]

SCREEN = 20
"""
Units of height seen without scrolling at 1440x900.

A unit is 38 pixels. Of the 900 pixels, two header bars take 80 (two because the menu is docked from 1,200 pixels on),
the line of variables, links and time 64.
"""

Panel = dict[str, Any]


def titled(found: list[tuple[str, Panel]]) -> list[str]:
    return [f"{name} {panel['title']}" for name, panel in found]


def overrides(panel: Panel) -> dict[str, dict[str, Any]]:
    """Return a panel's overrides: field -> property -> value."""
    return {
        override["matcher"]["options"]: {one["id"]: one["value"] for one in override["properties"]}
        for override in panel["fieldConfig"]["overrides"]
    }


def test_the_committed_files_are_what_the_program_writes() -> None:
    written = write.files()
    assert set(written) == set(FOLDER.glob("*.json"))
    for path, text in written.items():
        assert path.read_text(encoding="utf-8") == text, f"{path.name} is out of date: run make dashboards"


@pytest.mark.parametrize("name", DASHBOARDS)
def test_a_dashboard_opens_on_some_minutes_and_follows(name: str) -> None:
    dashboard = DASHBOARDS[name]
    assert f"{dashboard['uid']}.json" == name
    assert dashboard["schemaVersion"] == 42
    minutes = 5 if name == "compare.json" else 15
    assert dashboard["time"] == {"from": f"now-{minutes}m", "to": "now"}
    assert dashboard["refresh"] == "5s"
    assert dashboard["editable"] is False
    composed = yaml.safe_load((ROOT / "docker-compose.yml").read_text())["services"]["grafana"]["image"]
    assert {f"grafana/grafana:{panel['pluginVersion']}" for panel in panels(dashboard)} == {composed}
    assert dashboard["graphTooltip"] == 1, "the crosshair is shared"


# Queries


@pytest.mark.parametrize("query", QUERIES, ids=NAMED)
def test_quantiles_are_never_averaged(query: Query) -> None:
    averaging = (
        r"\b(avg|sum|stddev|quantile|\w+_over_time)\b(\s+(by|without)\s*\([^)]*\))?\s*\([^)]*tcplab_load_recent_seconds"
    )
    assert re.search(averaging, query.expr) is None
    if "histogram_quantile" in query.expr:
        assert re.search(r"sum by \(le, variant\) \(rate\(", query.expr)


@pytest.mark.parametrize("query", QUERIES, ids=NAMED)
def test_rates_widen_with_the_time_shown(query: Query) -> None:
    windows = re.findall(r"\[([^\]]*)\]", query.expr)
    assert all(window in {"$__rate_interval", "$__range"} for window in windows)


# Every panel


@pytest.mark.parametrize(("name", "panel"), SHOWING, ids=titled(SHOWING))
def test_every_panel_describes_itself_source_and_unit(name: str, panel: Panel) -> None:
    assert panel["title"]
    assert len(panel["description"]) > 60
    assert panel["fieldConfig"]["defaults"]["unit"]
    (source,) = yaml.safe_load((ROOT / "grafana/provisioning/datasources/prometheus.yml").read_text())["datasources"]
    for place in (panel, *panel["targets"]):
        assert place["datasource"] == {"type": "prometheus", "uid": source["uid"]}


@pytest.mark.parametrize(("name", "panel"), SHOWING, ids=titled(SHOWING))
def test_every_panel_says_when_it_has_no_data(name: str, panel: Panel) -> None:
    assert panel["fieldConfig"]["defaults"]["noValue"] not in {"", "No data"}


@pytest.mark.parametrize(("name", "panel"), CHARTS, ids=titled(CHARTS))
def test_every_chart_tells_all_lines_at_once(name: str, panel: Panel) -> None:
    assert panel["options"]["tooltip"]["mode"] == "multi"
    assert panel["options"]["tooltip"]["sort"] == "desc"


def logarithmic(panel: Panel) -> bool:
    kind = panel["fieldConfig"]["defaults"]["custom"].get("scaleDistribution", {}).get("type")
    return bool(kind == "log")


@pytest.mark.parametrize(
    "panel", [panel for _, panel in CHARTS] + CURVES, ids=titled(CHARTS) + [p["title"] for p in CURVES]
)
def test_every_axis_begins_at_zero_or_is_logarithmic(panel: Panel) -> None:
    assert logarithmic(panel) != (panel["fieldConfig"]["defaults"].get("min") == 0)
    if any("tcplab_load_recent_seconds" in target["expr"] for target in panel["targets"]):
        assert logarithmic(panel), "latencies span decades"


@pytest.mark.parametrize("name", DASHBOARDS)
def test_panels_have_their_own_numbers_and_never_overlap(name: str) -> None:
    every = DASHBOARDS[name]["panels"]
    assert len({panel["id"] for panel in every}) == len(every)
    for one, other in combinations((panel["gridPos"] for panel in every), 2):
        apart = (
            one["x"] + one["w"] <= other["x"]
            or other["x"] + other["w"] <= one["x"]
            or one["y"] + one["h"] <= other["y"]
            or other["y"] + other["h"] <= one["y"]
        )
        assert apart, f"{one} and {other} overlap"
    assert all(panel["gridPos"]["x"] + panel["gridPos"]["w"] <= COLUMNS for panel in every)


# Colours


def colours_of(part: Any) -> set[str]:
    """Return every colour in a part of a dashboard."""
    return set(re.findall(r"#[0-9a-fA-F]{6}\b|rgba?\([^)]*\)", json.dumps(part)))


REDS = {red for number in (1, len(BREAKS), len(CONNECTIONS) - 1, len(ERRORS)) for red in colours.reds(number)}


@pytest.mark.parametrize(("name", "panel"), PANELS, ids=TITLES)
def test_red_is_for_errors_alone(name: str, panel: Panel) -> None:
    about_errors = any(
        re.search(r'outcome!="|outcome="failed"|errors_total|broken_total|severity="error"|\bup:', target["expr"])
        for target in panel.get("targets", ())
    )
    assert not colours_of(panel) & REDS or about_errors
    # Grafana's own palettes contain reds and variants' colours.
    assert not re.search(r'palette-|continuous-|"(semi-dark-|dark-|light-)?(red|orange|green|blue)"', json.dumps(panel))


@pytest.mark.parametrize(("name", "panel"), CHARTS, ids=titled(CHARTS))
def test_a_line_that_nobody_has_coloured_is_neutral(name: str, panel: Panel) -> None:
    assert panel["fieldConfig"]["defaults"]["color"] == {"mode": "fixed", "fixedColor": colours.NEUTRAL}


def test_every_colour_is_a_variants_or_known() -> None:
    few = {value for value in vars(colours).values() if isinstance(value, str)} | {*colours.KINDS} | REDS
    own = {colours.shade(variant.colour, lightness) for variant in VARIANTS for lightness in (0.0, 0.45, 0.75)}
    own |= {variant.colour for variant in VARIANTS}
    assert {colour for dashboard in DASHBOARDS.values() for colour in colours_of(dashboard)} <= few | own


def test_no_colour_stands_for_two_things() -> None:
    told_apart = [
        *(variant.colour.lower() for variant in VARIANTS),
        *colours.KINDS,
        *REDS,
        colours.GOOD,
        colours.WARNING,
    ]
    assert len(set(told_apart)) == len(told_apart)


@pytest.mark.parametrize(("name", "panel"), CHARTS, ids=titled(CHARTS))
def test_a_variant_keeps_its_title_and_colour_everywhere(name: str, panel: Panel) -> None:
    for target in panel["targets"]:
        if "{{variant}}" not in target["legendFormat"]:
            continue
        for variant in VARIANTS:
            chosen = overrides(panel)[target["legendFormat"].replace("{{variant}}", variant.name)]
            assert chosen["color"] == {"mode": "fixed", "fixedColor": variant.colour}
            assert chosen["displayName"].startswith(variant.title)


def test_limits_are_drawn_only_where_figures_become_excluded() -> None:
    drawn = {
        panel["targets"][0]["expr"]: panel["fieldConfig"]["defaults"]["thresholds"]["steps"][-1]
        for _, panel in CHARTS
        if panel["fieldConfig"]["defaults"]["custom"].get("thresholdsStyle", {}).get("mode", "off") != "off"
    }
    limits = {
        "cpu_ratio": run_checks.BUSY,
        "busy_ratio": run_checks.BUSY,
        "starved_ratio": run_checks.STARVED,
        "stolen_ratio": run_checks.STOLEN,
        "lag_seconds": run_checks.LAGGING,
    }
    assert drawn == {
        f"max by (worker) (tcplab_load_worker_{metric})": {"value": limit, "color": colours.WARNING}
        for metric, limit in limits.items()
    }


# Variants


@pytest.mark.parametrize(("name", "panel"), CHARTS, ids=titled(CHARTS))
def test_series_come_in_the_tables_order(name: str, panel: Panel) -> None:
    for target in panel["targets"]:
        if "{{variant}}" in target["legendFormat"] and "$variant" not in target["expr"]:
            places = [f'"_order", "{index}", "variant", "{one.name}"' for index, one in enumerate(VARIANTS)]
            assert all(place in target["expr"] for place in places)


def test_every_comparing_query_has_every_variant() -> None:
    compared = [query for query in QUERIES if query.per == "variant"]
    assert len(compared) >= 50
    for query in compared:
        assert "variant" in query.expr, f"{query.name} drops the variants"
    for variant in VARIANTS:
        assert any(f'variant="{variant.name}"' in query.expr for query in QUERIES)


FIFTH = """
import json
import servers.variants as table
fifth = table.Variant(
    name="fifth", module="fifth", connection="streams", clients=None, port=9009, metrics_port=9109, colour="#123456",
    title="the fifth way", sentence="It is new."
)
table.VARIANTS, table.DEFAULT = (*table.VARIANTS, fifth), (*table.DEFAULT, fifth)
from grafana import write
print(json.dumps({path.name: json.loads(text) for path, text in write.files().items()}))
"""


@pytest.fixture(scope="module")
def with_a_fifth() -> dict[str, dict[str, Any]]:
    """Return the dashboards with a fifth row in the table of variants and no other change."""
    done = subprocess.run([sys.executable, "-c", FIFTH], capture_output=True, text=True, cwd=ROOT, check=True)
    written: dict[str, dict[str, Any]] = json.loads(done.stdout)
    return written


def test_a_fifth_variant_is_in_every_comparing_panel(with_a_fifth: dict[str, dict[str, Any]]) -> None:
    def told_of(panel: Panel, colour: str) -> bool:
        return colour in colours_of(panel)

    first = VARIANTS[0]
    compared = 0
    for name, dashboard in with_a_fifth.items():
        shown = list(panels(dashboard))
        for panel in shown:
            # A panel of one variant has a counterpart for the fifth; a panel of all includes the fifth.
            asked = json.dumps(panel.get("targets", [])).replace("\\", "")
            named = [variant.name for variant in VARIANTS if f'variant="{variant.name}"' in asked]
            if named == [first.name]:
                like = [
                    other
                    for other in shown
                    if other["title"] == panel["title"].replace(first.title, "the fifth way") and other is not panel
                ]
                assert len(like) == 1, f"{name}: nothing like {panel['title']} for the fifth"
                assert told_of(like[0], "#123456")
                assert 'variant="fifth"' in json.dumps(like[0]["targets"]).replace("\\", "")
                compared += 1
            elif len(named) > 1:
                assert 'variant="fifth"' in asked, f"{name}: {panel['title']} lacks the fifth"
                compared += 1
            elif told_of(panel, first.colour):
                assert told_of(panel, "#123456"), f"{name}: {panel['title']} lacks the fifth"
                assert "fifth" in json.dumps(panel)
                compared += 1
    assert compared >= 40


# Compare


def above_the_fold(dashboard: dict[str, Any]) -> list[Panel]:
    """Return the panels before the first heading."""
    every = dashboard["panels"]
    first = next(index for index, panel in enumerate(every) if panel["type"] == "row")
    return list(every[:first])


def test_the_answer_is_seen_without_scrolling(with_a_fifth: dict[str, dict[str, Any]]) -> None:
    def height(found: list[Panel]) -> int:
        return max(int(panel["gridPos"]["y"] + panel["gridPos"]["h"]) for panel in found)

    answer = above_the_fold(DASHBOARDS["compare.json"])
    assert height(answer) <= SCREEN
    assert height(above_the_fold(with_a_fifth["compare.json"])) <= SCREEN
    asked = " ".join(target["expr"] for panel in answer for target in panel["targets"])
    for part in (
        "tcplab_load_run_info",
        "tcplab_load_users",
        "tcplab_load_workers",
        "tcplab_load_warning",
        "ALERTS",
        'tcplab_load_recent_rate{outcome="verified"}',
        "variant:tcplab_load_served:ratio",
        "variant:tcplab_load_first_wait_seconds:max",
        'series="$series",q="0.99"',
        "variant:tcplab_memory_above_idle_bytes:avg10s",
        "variant:tcplab_cpu_seconds_per_request:ratio_rate10s",
    ):
        assert part in asked, part


def test_there_is_a_heatmap_of_each_variants_latencies() -> None:
    drawn = {
        (re.sub(r".*tcplab_load_(.*)_seconds_bucket.*", r"\1", panel["targets"][0]["expr"]), panel["title"]): panel
        for panel in panels(DASHBOARDS["compare.json"])
        if panel["type"] == "heatmap"
    }
    assert len(drawn) == 2 * len(VARIANTS)
    for variant in VARIANTS:
        for metric, title in (("${series}", "Later replies"), ("first_reply", "First reply")):
            panel = drawn[metric, f"{title}: {variant.title}"]
            (target,) = panel["targets"]
            assert target["format"] == "heatmap"
            assert f'variant="{variant.name}"' in target["expr"]
            assert panel["options"]["color"]["fill"] == variant.colour
            assert panel["options"]["calculate"] is False


def test_every_warning_has_its_words() -> None:
    for name in ("compare.json", "capacity.json", "load.json"):
        (tile,) = [panel for panel in panels(DASHBOARDS[name]) if panel["title"] == "Run warnings"]
        for warning, row in run_warnings.CHECKED.items():
            assert overrides(tile)[f"{warning} "] == {"displayName": f"{warning}: {row.short}"}
            for variant in VARIANTS:
                named = f"{variant.title}, {warning}: {row.short}"
                assert overrides(tile)[f"{warning} {variant.name}"] == {"displayName": named}


# Compare's race


def test_the_race_comes_first_in_order_of_importance() -> None:
    titles = [panel["title"] for panel in above_the_fold(DASHBOARDS["compare.json"]) if panel["type"] == "bargauge"]
    assert titles == [
        "Correct replies per second: more is better",
        "Clients served, of all: more is better",
        "A new client's wait: less is better",
        "${series:text} p99: less is better",
        "Memory above idle: less is better",
        "CPU per request: less is better",
    ]


@pytest.mark.parametrize("panel", BARS, ids=[panel["title"] for panel in BARS])
def test_bars_have_full_names_in_the_tables_order(panel: Panel) -> None:
    assert panel["options"]["orientation"] == "horizontal"
    assert panel["options"]["valueMode"] == "text", "a figure in the theme's own colour can be read"
    assert len(panel["targets"]) == len(VARIANTS)
    for variant, target in zip(VARIANTS, panel["targets"], strict=True):
        assert target["expr"].endswith(f'variant:up:max4s{{variant="{variant.name}"}}')
        for mark in ("", "≤ ", "? "):
            assert overrides(panel)[f"{mark}{variant.name}"]["displayName"] == f"{mark}{variant.title}"
            assert overrides(panel)[f"{mark}{variant.name}"]["color"]["fixedColor"] == variant.colour
    (meanings,) = panel["fieldConfig"]["defaults"]["mappings"]
    assert meanings["options"]["-1"] == {"text": "down", "color": colours.ERROR, "index": 0}


PANEL_HEAD, PADDING, LINE_HEIGHT = 32, 8, 1.2
"""Pixels of a panel's title and of a tile's padding, and a text's line height, in Grafana's stat panel."""


def test_tiles_have_room_for_their_lines() -> None:
    """The head's tiles have two lines at most (topk of one, and that there are more), the result too."""
    for name, dashboard in DASHBOARDS.items():
        for panel in panels(dashboard):
            size = panel.get("options", {}).get("text", {}).get("titleSize")
            if panel["type"] != "stat" or panel["options"]["textMode"] != "name" or size is None:
                continue
            lines = 2 if panel["options"]["orientation"] == "horizontal" else 1
            room = (panel["gridPos"]["h"] * 38 - 8 - PANEL_HEAD) / lines
            assert size * LINE_HEIGHT + 2 * PADDING <= room, f"{name} {panel['title']}"
            if "ALERTS" in panel["targets"][0]["expr"] or "tcplab_load_warning" in panel["targets"][0]["expr"]:
                assert panel["targets"][0]["expr"].startswith("topk(1, ")


def test_the_races_charts_are_tall_with_legends() -> None:
    every = DASHBOARDS["compare.json"]["panels"]
    fold = len(above_the_fold(DASHBOARDS["compare.json"]))
    charts = [panel for panel in every[fold:] if panel["type"] == "timeseries"][:6]
    assert [panel["options"]["legend"]["showLegend"] for panel in charts] == [True] * 6
    assert all(panel["gridPos"]["h"] * 38 - 8 >= 300 and panel["gridPos"]["w"] == 8 for panel in charts)


def test_a_rows_figures_have_one_window() -> None:
    (table,) = [panel for panel in panels(DASHBOARDS["compare.json"]) if panel["title"].startswith("Side by side")]
    of_ten_seconds = r"recent_|10s|served:ratio|first_wait|bytes_per_client|container_memory"
    for target in table["targets"]:
        assert re.search(of_ten_seconds, target["expr"]), target["expr"]
        assert "1m" not in target["expr"]


@pytest.mark.parametrize(("name", "panel"), PANELS, ids=TITLES)
def test_counts_have_separated_thousands(name: str, panel: Panel) -> None:
    if name != "load.json":  # no plain number, in any field
        assert '"none"' not in json.dumps(
            [panel.get("fieldConfig", {}).get("defaults", {}).get("unit"), *overrides(panel).values()]
            if "fieldConfig" in panel
            else []
        )


def test_no_annotation_is_drawn_for_a_warning() -> None:
    for dashboard in DASHBOARDS.values():
        assert not [one for one in dashboard["annotations"]["list"] if "warning" in json.dumps(one).lower()]
    for name in ("compare.json", "capacity.json"):
        strips = [panel for panel in panels(DASHBOARDS[name]) if panel["type"] == "state-timeline"]
        assert [panel["gridPos"] for panel in strips] == [{"x": 0, "y": 3, "w": 24, "h": 2}]


# Contrast (WCAG 2.2, 1.4.3 and 1.4.11), on the panels of Grafana's dark and light themes


def luminance(colour: str) -> float:
    channels = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    red, green, blue = (c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def contrast(one: str, other: str) -> float:
    darker, lighter = sorted((luminance(one), luminance(other)))
    return (lighter + 0.05) / (darker + 0.05)


DARK, LIGHT = "#181b1f", "#ffffff"


@pytest.mark.parametrize("name", DASHBOARDS)
def test_every_line_stands_out_in_both_themes(name: str) -> None:
    for colour in {one for one in colours_of(DASHBOARDS[name]) if one.startswith("#")}:
        assert contrast(colour, DARK) >= 3, colour
        assert contrast(colour, LIGHT) >= 3, colour


@pytest.mark.parametrize(("name", "panel"), PANELS, ids=TITLES)
def test_white_text_on_a_coloured_ground_is_legible(name: str, panel: Panel) -> None:
    options = panel.get("options", {})
    assert options.get("colorMode") != "value", "no colour has 4.5:1 as a text in both themes"
    grounds = colours_of(panel["fieldConfig"]) if options.get("colorMode") == "background_solid" else set()
    for field in overrides(panel).values() if "fieldConfig" in panel else ():
        if field.get("custom.cellOptions", {}).get("type") == "color-background":
            grounds |= colours_of(field)
    assert all(contrast(ground, "#ffffff") >= 4.5 for ground in grounds)


# Capacity


def test_capacity_is_six_tall_curves() -> None:
    assert len(CURVES) == 6
    assert all(panel["gridPos"]["h"] >= 10 and panel["gridPos"]["w"] == 8 for panel in CURVES)
    assert all(panel["options"]["legend"]["showLegend"] for panel in CURVES)
    assert [panel["title"].partition(":")[0] for panel in CURVES] == [
        "Correct replies per second",
        "Clients served, of all",
        "A new client's wait",
        "Memory above idle",
        "CPU per request",
        "${series",
    ]


@pytest.mark.parametrize("panel", CURVES, ids=[panel["title"] for panel in CURVES])
def test_curves_are_of_steady_clients_and_one_scenario(panel: Panel) -> None:
    now = "max by (variant) (tcplab_load_users)"  # a rule's value outlives the clients that it counted
    steady = f"on (variant) (variant:tcplab_steady_clients:max == on (variant) {now})"
    chosen = 'on () (max(tcplab_load_run_info{scenario="$scenario"}) == 1)'
    clients, *figures = (target["expr"] for target in panel["targets"])
    assert f"(variant:tcplab_steady_clients:max == on (variant) {now}) and" in clients
    assert chosen in clients
    for expr in figures:
        assert f"and {steady} and {chosen}" in expr


@pytest.mark.parametrize("panel", CURVES[:-1], ids=[panel["title"] for panel in CURVES[:-1]])
def test_a_point_is_the_median_and_extremes(panel: Panel) -> None:
    steps = {one["id"]: one["options"] for one in panel["transformations"]}
    assert [*steps] == ["joinByField", "filterByValue", "groupBy", "sortBy"]
    grouped = steps["groupBy"]["fields"]
    assert grouped.pop("clients")["operation"] == "groupby"
    for variant in VARIANTS:
        for mark in ("", "≤ ", "? "):
            name = f"{mark}{variant.name}"
            assert grouped[name]["aggregations"] == ["median", "min", "max"]
            field = overrides(panel)[f"{name} (median)"]
            assert field["color"] == {"mode": "fixed", "fixedColor": variant.colour}
            assert field["displayName"] == f"{mark}{variant.title}"
            assert ("custom.lineStyle" in field) == bool(mark)
            assert overrides(panel)[f"{name} (max)"]["custom.fillBelowTo"] == f"{name} (min)"
    medians = [overrides(panel)[f"{variant.name} (median)"] for variant in VARIANTS]
    for size in ("custom.lineWidth", "custom.pointSize"):
        found = [field[size] for field in medians]
        assert found == sorted({*found}, reverse=True), "equal curves lie on each other: the lower ones are larger"
    assert panel["options"]["xField"] == "clients"
    assert overrides(panel)["clients"]["custom.scaleDistribution"] == {"type": "log", "log": 10}


def test_the_knee_is_latency_against_throughput() -> None:
    panel = CURVES[-1]
    assert [one["id"] for one in panel["transformations"]] == [
        "merge",
        "groupBy",
        "groupingToMatrix",
        "sortBy",
        "organize",
    ]
    _, throughput, latency = (target["expr"] for target in panel["targets"])
    assert 'tcplab_load_recent_rate{outcome="verified"}' in throughput
    assert 'q="0.99"' in latency
    assert panel["options"]["xField"] == "Value #B (median)\\curve"
    for variant in VARIANTS:
        for mark in ("", "≤ ", "? "):
            field = overrides(panel)[f"{mark}{variant.name}"]
            assert field["color"] == {"mode": "fixed", "fixedColor": variant.colour}
            assert field["displayName"] == f"{mark}{variant.title}"
            assert ("custom.lineStyle" in field) == bool(mark)


# Server in detail


def test_server_in_detail_draws_no_charts_of_zeros() -> None:
    """What is zero in a healthy server is a number in a table."""
    shown = list(panels(DASHBOARDS["server.json"]))
    assert len(shown) <= 15
    zeros = r"errors_total|throttled|python_gc_"
    for panel in shown:
        if any(re.search(zeros, target["expr"]) for target in panel["targets"]):
            assert panel["type"] == "table", panel["title"]


@pytest.mark.parametrize("metric", sorted({re.sub("_(bucket|sum|count)$", "", name) for name in catalogue.servers()}))
def test_every_server_metric_is_shown_with_its_trap(metric: str) -> None:
    told = [
        panel
        for panel in panels(DASHBOARDS["server.json"])
        if any(
            metric == re.sub("_(bucket|sum|count)$", "", selector.metric)
            for target in panel["targets"]
            for selector in selectors(target["expr"])
        )
    ]
    assert told, f"{metric} is on no panel of Server in detail"
    assert any(metric in panel["description"] for panel in told), f"no panel says by name what {metric} is"
    for panel in told:
        assert all('variant="$variant"' in target["expr"] for target in panel["targets"])


def test_a_server_is_chosen_from_prometheuss_list() -> None:
    for name, dashboard in DASHBOARDS.items():
        variant, series, scenario = dashboard["templating"]["list"]
        assert (variant["name"], series["name"], scenario["name"]) == ("variant", "series", "scenario")
        assert scenario["query"] == "label_values(tcplab_load_run_info, scenario)"
        assert scenario["hide"] == (0 if name == "capacity.json" else 2)
        assert variant["query"] == 'label_values(up{job="servers"}, variant)'
        assert variant["current"]["value"] == "asyncio"
        assert [option["value"] for option in series["options"]] == ["response", "service"]
        shown, hidden = 0, 2
        assert variant["hide"] == (shown if name == "server.json" else hidden)
        assert series["hide"] == (shown if name in {"compare.json", "capacity.json"} else hidden)


# Load generator


def test_every_load_metric_is_on_a_panel() -> None:
    read = {selector.metric for query in QUERIES for selector in selectors(query.expr)}
    for rule in catalogue.rules():
        if "record" in rule and rule["record"] in read:
            read |= {selector.metric for selector in selectors(rule["expr"])}
    exported = {name for name in catalogue.load() if not name.endswith(("_sum", "_count"))}
    # Its exact quantiles are shown; and means, because a gauge of a moment jumps.
    elsewhere = {"tcplab_load_connect_seconds_bucket", "tcplab_load_clients_served"}
    assert exported - read <= elsewhere


# Links and annotations


@pytest.mark.parametrize("name", DASHBOARDS)
def test_links_keep_the_time_and_what_was_chosen(name: str) -> None:
    links = DASHBOARDS[name]["links"]
    others = {other["uid"] for other in DASHBOARDS.values()} - {DASHBOARDS[name]["uid"]}
    assert {link["url"] for link in links} == {f"/d/{uid}" for uid in others}
    for link in links:
        assert link["keepTime"] is True
        assert link["includeVars"] is True
        assert "placement" not in link, "in sight"


def test_a_line_leads_to_its_servers_detail() -> None:
    for name, panel in CHARTS:
        for target in panel["targets"]:
            if "{{variant}}" not in target["legendFormat"]:
                continue
            for variant in VARIANTS:
                field = target["legendFormat"].replace("{{variant}}", variant.name)
                (link,) = overrides(panel)[field]["links"]
                assert (
                    link["url"] == f"/d/server?var-variant={variant.name}&${{series:queryparam}}&${{__url_time_range}}"
                ), name


def test_annotations_come_from_prometheus_alike_everywhere() -> None:
    first, *others = (
        [one for one in dashboard["annotations"]["list"] if one["builtIn"] == 0] for dashboard in DASHBOARDS.values()
    )
    assert all(other == first for other in others)
    read = {one["name"]: {selector.metric for selector in selectors(one["expr"])} for one in first}
    assert read == {
        "Servers go down": {"variant:up:max4s"},
        "Runs begin": {"tcplab_load_run_start_timestamp_seconds"},
        "Runs end": {"tcplab_load_running"},
        "Clients": {"tcplab_load_users", "tcplab_load_running"},
        "Workers": {"tcplab_load_workers"},
        "Servers start": {"process_start_time_seconds"},
        "The load starts": {"process_start_time_seconds"},
    }
    for one in first:
        assert one["enable"] is (one["name"] != "Clients"), "a tour would draw a line every 30 s"
        assert one["datasource"] == {"type": "prometheus", "uid": "prometheus"}
        assert one["iconColor"] == (colours.ERROR if one["name"] == "Servers go down" else colours.NEUTRAL)
        assert bool(one.get("useValueForTime")) == ("1000 *" in one["expr"]), (
            "a value that is a time is in milliseconds"
        )


@pytest.mark.parametrize(("name", "panel"), PANELS, ids=TITLES)
def test_no_answer_is_no_good_news(name: str, panel: Panel) -> None:
    """Grafana gives a field without a value the thresholds' first colour."""
    steps = panel.get("fieldConfig", {}).get("defaults", {}).get("thresholds", {}).get("steps", [{}])
    assert steps[0].get("color") != colours.GOOD


def test_the_tile_has_words_for_every_alert() -> None:
    """GeneratorSaturated and RunWarnings are in the tile of warnings."""
    rules = yaml.safe_load((ROOT / "prometheus" / "rules" / "alerts.yml").read_text(encoding="utf-8"))
    alerts = {rule["alert"] for group in rules["groups"] for rule in group["rules"]}
    assert alerts - {"GeneratorSaturated", "RunWarnings"} == {*status.OF_A_SERVER, *status.OF_THE_LOAD}
    for dashboard in ("compare.json", "capacity.json", "load.json"):
        [tile] = [panel for panel in panels(DASHBOARDS[dashboard]) if panel["title"] == "Alerts"]
        shown = {name: field["displayName"] for name, field in overrides(tile).items()}
        assert shown["ClientsWait single"] == "one at a time: a client has waited for long"
        assert shown["LoadNotRunning "] == "no load is on"
