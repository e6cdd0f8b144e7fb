"""Prometheus's configuration: a target for each variant; promtool accepts it and the rules."""

import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from servers.variants import VARIANTS, Variant
from tests.observability.queries import ROOT, SCRAPE_SECONDS, queries

FOLDER = ROOT / "prometheus"
RULES = sorted(map(str, (FOLDER / "rules").glob("*.yml")))
RULE_TESTS = sorted(map(str, (FOLDER / "tests").glob("*.test.yml")))


@pytest.fixture(scope="module")
def config() -> dict[str, Any]:
    loaded: dict[str, Any] = yaml.safe_load((FOLDER / "prometheus.yml").read_text(encoding="utf-8"))
    return loaded


def job(config: dict[str, Any], name: str) -> dict[str, Any]:
    return next(one for one in config["scrape_configs"] if one["job_name"] == name)


@pytest.mark.parametrize("variant", VARIANTS, ids=lambda variant: variant.name)
def test_every_variant_is_scraped(variant: Variant, config: dict[str, Any]) -> None:
    targets = {
        target: group.get("labels", {})
        for group in job(config, "servers")["static_configs"]
        for target in group["targets"]
    }
    wanted = f"{variant.name}:{variant.metrics_port}"
    assert wanted in targets, f"prometheus/prometheus.yml has no target {wanted} for the variant {variant.name}"
    assert targets[wanted] == {"variant": variant.name}


def test_nothing_else_is_scraped_as_a_server(config: dict[str, Any]) -> None:
    named = [group["labels"]["variant"] for group in job(config, "servers")["static_configs"]]
    assert sorted(named) == sorted(variant.name for variant in VARIANTS)


def test_the_load_keeps_its_own_labels(config: dict[str, Any]) -> None:
    load = job(config, "load")
    assert load["honor_labels"] is True
    assert load["static_configs"] == [{"targets": ["locust-master:9104"]}]


def test_scraped_as_often_as_grafana_believes(config: dict[str, Any]) -> None:
    every = ("scrape_interval", "scrape_timeout", "evaluation_interval")
    assert {config["global"][name] for name in every} == {f"{SCRAPE_SECONDS}s"}
    provisioned = ROOT / "grafana" / "provisioning" / "datasources" / "prometheus.yml"
    (source,) = yaml.safe_load(provisioned.read_text(encoding="utf-8"))["datasources"]
    assert source["jsonData"]["timeInterval"] == f"{SCRAPE_SECONDS}s"
    assert source["editable"] is False


def test_retention_is_bounded_in_time_and_in_size() -> None:
    composition = yaml.safe_load((ROOT / "docker-compose.yml").read_text(encoding="utf-8"))
    flags = dict(flag.split("=", 1) for flag in composition["services"]["prometheus"]["command"])
    assert flags["--storage.tsdb.retention.time"] == "7d"
    assert flags["--storage.tsdb.retention.size"] == "1GB"


# Prometheus's own tool (conftest.py).


def run(*command: str) -> None:
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_promtool_accepts_the_configuration(promtool: str) -> None:
    run(promtool, "check", "config", str(FOLDER / "prometheus.yml"))


def test_promtool_accepts_the_rules(promtool: str) -> None:
    run(promtool, "check", "rules", *RULES)


def test_the_rules_do_what_their_tests_say(promtool: str) -> None:
    assert RULE_TESTS
    run(promtool, "test", "rules", *RULE_TESTS)


def test_promtool_accepts_every_query_of_the_dashboards(promtool: str, tmp_path: Path) -> None:
    rules = [{"record": f"query:{number}", "expr": query.promql()} for number, query in enumerate(queries())]
    file = tmp_path / "queries.yml"
    file.write_text(yaml.safe_dump({"groups": [{"name": "queries", "rules": rules}]}), encoding="utf-8")
    run(promtool, "check", "rules", str(file))


# The words and figures of the dashboards' tiles and bars come from queries, which are tested like rules.


def answers(
    query: str, series: dict[str, str], expected: list[tuple[str, float]], promtool: str, folder: Path, at: str = "20s"
) -> None:
    """Assert what a query returns at a moment, with these series (name and labels: values every two seconds)."""
    test = {
        "interval": "2s",
        "input_series": [{"series": name, "values": values} for name, values in series.items()],
        "promql_expr_test": [
            {
                "expr": query,
                "eval_time": at,
                "exp_samples": [{"labels": labels, "value": value} for labels, value in expected],
            }
        ],
    }
    file = folder / "query.test.yml"
    rules = [str(FOLDER / "rules" / "recorded.yml")]
    content = {"rule_files": rules, "evaluation_interval": "2s", "tests": [test]}
    file.write_text(yaml.safe_dump(content), encoding="utf-8")
    run(promtool, "test", "rules", str(file))


def of(panel: str, *refs: str) -> list[str]:
    """Return the queries of a panel of Compare."""
    return [q.promql() for q in queries() if q.dashboard == "compare.json" and q.panel == panel and q.ref in refs]


def warning(name: str, about: str, degree: str, variant: str, value: int) -> dict[str, str]:
    labels = f'warning="{name}",about="{about}",degree="{degree}",moves="p50,p99",variant="{variant}"'
    return {f'tcplab_load_warning{{job="load",{labels}}}': f"{value}x10"}


@pytest.mark.parametrize(
    ("warnings", "shown"),
    [
        pytest.param([("slow", "run", "doubt", 0)], [('{warning="none"}', 0)], id="none"),
        pytest.param([("late", "generator", "note", 1)], [('{warning="late"}', 1)], id="a note"),
        pytest.param([("late", "generator", "doubt", 1)], [('{warning="late"}', 2)], id="a doubt"),
        pytest.param(
            [("unserved", "server", "note", 1)], [('{warning="unserved",variant="single"}', 1)], id="a server's"
        ),
        pytest.param([], [('{warning="the load is not measured"}', 3)], id="no load"),
    ],
)
def test_the_tile_names_warnings_and_servers(
    warnings: list[tuple[str, str, str, int]], shown: list[tuple[str, float]], promtool: str, tmp_path: Path
) -> None:
    series: dict[str, str] = {}
    for name, about, degree, value in warnings:
        series |= warning(name, about, degree, "single", value)
        series |= warning(name, about, degree, "asyncio", value if about != "server" else 0)
    (tile,) = of("Run warnings", "A")
    answers(tile, series, shown, promtool, tmp_path)


def running(**values: str) -> dict[str, str]:
    """Return the series of a run with two servers, of which `single` leaves 29 of 30 clients waiting."""
    series = {'tcplab_load_running{job="load"}': "1x10"}
    for name, waiting, oldest in (("single", "29", "10.64"), ("asyncio", "0", "0")):
        series |= {
            f'up{{job="servers",variant="{name}"}}': "1x10",
            f'tcplab_load_recent_clients{{job="load",variant="{name}",state="asked"}}': "30x10",
            f'tcplab_load_recent_clients{{job="load",variant="{name}",state="waiting"}}': f"{waiting}x10",
            f'tcplab_load_recent_seconds{{job="load",variant="{name}",series="response",q="0.99"}}': "0.005x10",
            f'tcplab_load_recent_seconds{{job="load",variant="{name}",series="first_reply",q="0.5"}}': "0.002x10",
            f'tcplab_load_oldest_wait_seconds{{job="load",variant="{name}"}}': f"{oldest}x10",
            f'tcplab_resident_memory_bytes{{job="servers",variant="{name}"}}': "34800000x10",
            f'tcplab_idle_memory_bytes{{job="servers",variant="{name}"}}': "30000000x10",
        }
    return series | values


def bars(title: str, promtool: str, folder: Path, series: dict[str, str], single: float, asyncio: float) -> None:
    """Assert what two servers' bars show."""
    one, other = of(title, "A", "C")
    answers(one, series, [('{variant="single"}', single)], promtool, folder)
    answers(other, series, [('{variant="asyncio"}', asyncio)], promtool, folder)


NEEDS_MOST = ("Response time p99: less is better", 0.005), ("Memory above idle: less is better", 4.8e6)


@pytest.mark.parametrize(("title", "value"), NEEDS_MOST, ids=["p99", "memory"])
def test_who_serves_too_few_looks_good_nowhere(title: str, value: float, promtool: str, tmp_path: Path) -> None:
    bars(title, promtool, tmp_path, running(), -2, value)


@pytest.mark.parametrize(("title", "value"), NEEDS_MOST, ids=["p99", "memory"])
def test_a_dead_servers_bar_says_down(title: str, value: float, promtool: str, tmp_path: Path) -> None:
    dead = running() | {'up{job="servers",variant="single"}': "1x8 0x2"}  # the last two scrapes
    bars(title, promtool, tmp_path, dead, -1, value)


def test_after_a_stop_no_bar_shows_a_figure(promtool: str, tmp_path: Path) -> None:
    stopped = running() | {'tcplab_load_running{job="load"}': "1x8 0x2"}
    bars("A new client's wait: less is better", promtool, tmp_path, stopped, -3, -3)


def test_a_new_clients_wait_is_the_oldests_age(promtool: str, tmp_path: Path) -> None:
    bars("A new client's wait: less is better", promtool, tmp_path, running(), 10.64, 0.002)


def test_a_warning_marks_its_figure_and_server_alone(promtool: str, tmp_path: Path) -> None:
    title = "Response time p99: less is better"
    noted = running() | warning("late", "generator", "note", "asyncio", 1)
    (one,) = of(title, "C")
    answers(one, noted, [('{variant="asyncio",mark="≤ "}', 0.005)], promtool, tmp_path)
    (unmoved,) = of("A new client's wait: less is better", "C")
    answers(unmoved, noted, [('{variant="asyncio"}', 0.002)], promtool, tmp_path)
    other = running() | warning("late", "generator", "note", "single", 1)
    answers(one, other, [('{variant="asyncio"}', 0.005)], promtool, tmp_path)


def test_the_line_says_who_leaves_clients_waiting(promtool: str, tmp_path: Path) -> None:
    line, everybody = of("The result now", "A", "B")
    said = '{variant="single",server="one at a time",waiting="29",asked="30",wait="10.6"}'
    answers(line, running(), [(said, 1)], promtool, tmp_path)
    answers(everybody, running(), [], promtool, tmp_path)
    served = running() | {'tcplab_load_recent_clients{job="load",variant="single",state="waiting"}': "0x10"}
    answers(line, served, [], promtool, tmp_path)
    answers(everybody, served, [('{server="Every server serves all its clients"}', 2)], promtool, tmp_path)


def test_the_line_has_the_clients_memory(promtool: str, tmp_path: Path) -> None:
    (memory,) = of("The result now", "C")
    said = '{single="–",threaded="–",asyncio="4.8",protocol="–"}'
    answers(memory, running(), [(said, 1)], promtool, tmp_path)
