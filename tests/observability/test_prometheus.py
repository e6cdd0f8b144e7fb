"""Prometheus's configuration: a target for each variant; promtool accepts it and the rules."""

import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from servers.variants import DEFAULT, VARIANTS, Variant
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


@pytest.mark.parametrize("variant", DEFAULT, ids=lambda variant: variant.name)
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
    assert sorted(named) == sorted(variant.name for variant in DEFAULT)


def test_one_of_a_profile_is_scraped_once_up(config: dict[str, Any]) -> None:
    """A target whose name doesn't resolve is no target: `up` of a server that nobody started would be 0."""
    servers = job(config, "servers")
    assert servers["dns_sd_configs"] == [
        {"names": [f"{each.name}."], "type": "A", "port": each.metrics_port, "refresh_interval": "5s"}
        for each in VARIANTS
        if each.profile
    ]


@pytest.mark.parametrize(
    ("found", "labels"),
    [
        ({"__meta_dns_name": "pool.", "__address__": "172.18.0.9:9106"}, {"variant": "pool", "instance": "pool:9106"}),
        ({"__meta_dns_name": "pool", "__address__": "172.18.0.9:9106"}, {"variant": "pool", "instance": "pool:9106"}),
        ({"__address__": "single:9101", "variant": "single"}, {"variant": "single"}),
    ],
)
def test_a_found_target_has_the_labels_of_others(
    found: dict[str, str], labels: dict[str, str], config: dict[str, Any]
) -> None:
    relabelled = dict(found)
    for rule in job(config, "servers")["relabel_configs"]:
        source = ";".join(relabelled.get(name, "") for name in rule["source_labels"])
        if match := re.fullmatch(rule["regex"], source):  # as Prometheus does, anchored
            relabelled[rule["target_label"]] = match.expand(rule.get("replacement", "$1").replace("$", "\\"))
    assert {name: value for name, value in relabelled.items() if not name.startswith("__")} == labels


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


# The words of the dashboards' tiles come from queries, which are tested like rules.


def answered(title: str, series: dict[str, str], expected: list[float], promtool: str, folder: Path) -> None:
    """Assert what a tile of Load generator shows, with these series (name and labels: values)."""
    (tile,) = {query.promql() for query in queries() if query.panel == title}
    samples = [{"labels": "{}", "value": value} for value in expected]
    test = {
        "interval": "5s",
        "input_series": [{"series": name, "values": values} for name, values in series.items()],
        "promql_expr_test": [{"expr": tile, "eval_time": "15s", "exp_samples": samples}],
    }
    file = folder / "answer.test.yml"
    file.write_text(yaml.safe_dump({"evaluation_interval": "5s", "tests": [test]}), encoding="utf-8")
    run(promtool, "test", "rules", str(file))


@pytest.mark.parametrize(
    ("workers", "answer"),
    [
        pytest.param([(0.3, 0.4, 0.0, 0.001), (0.2, 0.3, 0.0, 0.001)], 0, id="time to spare"),
        pytest.param([(0.3, 0.4, 0.0, 0.001), (0.91, 0.4, 0.0, 0.001)], 1, id="one at its limit"),
        pytest.param([(0.5, 0.9, 0.0, 0.001), (0.3, 0.4, 0.0, 0.001)], 1, id="one always busy"),
        pytest.param([(0.5, 0.6, 0.01, 0.007)], 1, id="late"),
        pytest.param([(0.5, 0.95, 0.03, 0.007), (0.3, 0.4, 0.0, 0.001)], 2, id="no core to be had"),
        pytest.param([], None, id="no load"),
    ],
)
@pytest.mark.parametrize("running", [True, False])
def test_the_generators_figures_say_whether_workers_help(
    workers: list[tuple[float, ...]], answer: float | None, running: bool, promtool: str, tmp_path: Path
) -> None:
    """Of each worker: CPU, busy and starved ratios, and lag."""
    names = ("cpu_ratio", "busy_ratio", "starved_ratio", "lag_seconds")
    series = {
        f'tcplab_load_worker_{name}{{job="load",worker="{number}"}}': f"{value}x6"
        for number, worker in enumerate(workers)
        for name, value in zip(names, worker, strict=True)
    }
    series['tcplab_load_running{job="load"}'] = f"{int(running)}x6"
    answered("Would more workers help?", series, [answer] if running and answer is not None else [], promtool, tmp_path)


@pytest.mark.parametrize(
    ("warning", "running", "answer"),
    [
        pytest.param({}, 1, 0, id="no warning"),
        pytest.param({"about": "generator", "degree": "note"}, 1, 1, id="a note"),
        pytest.param({"about": "generator", "degree": "doubt"}, 1, 2, id="a doubt"),
        pytest.param({"about": "server", "degree": "doubt"}, 1, 0, id="the server's"),
        pytest.param({}, 0, None, id="no run"),
    ],
)
def test_the_generators_warnings_say_whether_it_limits(
    warning: dict[str, str], running: int, answer: float | None, promtool: str, tmp_path: Path
) -> None:
    series = {'tcplab_load_running{job="load"}': f"{running}x6"}
    for about in ("generator", "server"):
        for degree in ("note", "doubt"):
            labels = f'about="{about}",degree="{degree}",warning="x",variant="single"'
            value = int({"about": about, "degree": degree} == warning)
            series[f'tcplab_load_warning{{job="load",{labels}}}'] = f"{value}x6"
    answered("Is the generator the bottleneck?", series, [] if answer is None else [answer], promtool, tmp_path)
