"""The committed dashboards: written by their program, and consistent in every panel."""

import json
import re
import subprocess
import sys
from itertools import combinations
from typing import Any

import pytest
import yaml

from grafana import colours, write
from grafana.layout import COLUMNS, SCREEN
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
POINTS = [panel for _, panel in PANELS if panel["type"] == "xychart"]

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
def test_a_dashboard_opens_on_fifteen_minutes_and_follows(name: str) -> None:
    dashboard = DASHBOARDS[name]
    assert f"{dashboard['uid']}.json" == name
    assert dashboard["schemaVersion"] == 42
    assert dashboard["time"] == {"from": "now-15m", "to": "now"}
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
    "panel", [panel for _, panel in CHARTS] + POINTS, ids=titled(CHARTS) + [p["title"] for p in POINTS]
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
        re.search(r'outcome!="|errors_total|broken_total|load_failed:|\bup\{', target["expr"])
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


def test_every_comparing_query_has_every_variant() -> None:
    compared = [query for query in QUERIES if query.per == "variant"]
    assert len(compared) >= 80
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
table.VARIANTS = (*table.VARIANTS, fifth)
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
            if f'variant="{first.name}"' in json.dumps(panel.get("targets", [])).replace("\\", ""):
                like = [
                    other
                    for other in shown
                    if other["title"] == panel["title"].replace(first.title, "the fifth way") and other is not panel
                ]
                assert len(like) == 1, f"{name}: nothing like {panel['title']} for the fifth"
                assert told_of(like[0], "#123456")
                assert 'variant="fifth"' in json.dumps(like[0]["targets"]).replace("\\", "")
                compared += 1
            elif told_of(panel, first.colour):
                assert told_of(panel, "#123456"), f"{name}: {panel['title']} lacks the fifth"
                assert "fifth" in json.dumps(panel)
                compared += 1
    assert compared >= 45


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
        'tcplab_load_requests_total{outcome="verified"}',
        "tcplab_load_clients_served",
        "tcplab_load_clients_connected",
        *(f'series="$series",q="{quantile}"' for quantile in ("0.5", "0.95", "0.99")),
        'series="first_reply"',
        "tcplab_resident_memory_bytes",
        "tcplab_container_memory_bytes",
        "tcplab_idle_memory_bytes",
        "variant:tcplab_memory_bytes_per_client:ratio",
        "tcplab_cpu_seconds_total",
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
            assert overrides(tile)[warning] == {"displayName": f"{warning}: {row.short}"}


# Capacity


@pytest.mark.parametrize("panel", POINTS, ids=[panel["title"] for panel in POINTS])
def test_points_show_steady_clients_and_mark_doubtful_runs(panel: Panel) -> None:
    clients, believed, warned = (target["expr"] for target in panel["targets"])
    assert len(POINTS) == 12
    assert [target["legendFormat"] for target in panel["targets"]] == [
        "{{variant}} clients",
        "{{variant}}",
        "{{variant}} with warnings",
    ]
    steady, warning = "variant:tcplab_steady_clients:max", "on () (max(tcplab_load_warning) == 1)"
    assert clients.startswith(f"max by (variant) ({steady})\nor ")
    assert f"\nand on (variant) {steady} unless {warning})\nor " in believed
    assert warned.endswith(f"\nand on (variant) {steady} and {warning}")
    assert panel["fieldConfig"]["defaults"]["custom"]["show"] == "points", "a line would invent what lies between"
    fields = overrides(panel)
    assert fields["/ clients$/"]["custom.scaleDistribution"] == {"type": "log", "log": 10}
    series = {one["name"]["fixed"]: one for one in panel["options"]["series"]}
    for variant in VARIANTS:
        for title, y in (
            (variant.title, variant.name),
            (f"{variant.title}, with warnings", f"{variant.name} with warnings"),
        ):
            assert series[title]["x"]["matcher"]["options"] == f"{variant.name} clients"
            assert series[title]["y"]["matcher"]["options"] == y
            assert fields[y]["color"] == {"mode": "fixed", "fixedColor": variant.colour}
        assert fields[f"{variant.name} with warnings"]["custom.fillOpacity"] == 0


# Server in detail


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
        variant, series = dashboard["templating"]["list"]
        assert (variant["name"], series["name"]) == ("variant", "series")
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
    connect = "tcplab_load_connect_seconds_bucket"  # its exact quantiles are shown
    assert exported - read <= {connect}


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
        "Warnings": {"tcplab_load_warning"},
        "Runs begin": {"tcplab_load_run_start_timestamp_seconds"},
        "Runs end": {"tcplab_load_running"},
        "Clients": {"tcplab_load_users", "tcplab_load_running"},
        "Workers": {"tcplab_load_workers"},
        "Servers start": {"process_start_time_seconds"},
        "The load starts": {"process_start_time_seconds"},
    }
    for one in first:
        assert one["enable"] is True
        assert one["datasource"] == {"type": "prometheus", "uid": "prometheus"}
        assert one["iconColor"] == (colours.WARNING if one["name"] == "Warnings" else colours.NEUTRAL)
        assert bool(one.get("useValueForTime")) == ("1000 *" in one["expr"]), (
            "a value that is a time is in milliseconds"
        )


@pytest.mark.parametrize(("name", "panel"), PANELS, ids=TITLES)
def test_no_answer_is_no_good_news(name: str, panel: Panel) -> None:
    """Grafana gives a field without a value the thresholds' first colour."""
    steps = panel.get("fieldConfig", {}).get("defaults", {}).get("thresholds", {}).get("steps", [{}])
    assert steps[0].get("color") != colours.GOOD
