"""What the tiles, bars and words of the dashboards say in a state of the lab: their queries, tested like rules."""

from pathlib import Path

import pytest
import yaml

from tests.observability.queries import queries
from tests.observability.test_prometheus import FOLDER, run


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


def of(panel: str, *refs: str, dashboard: str = "compare.json") -> list[str]:
    """Return the queries of a panel."""
    return [q.promql() for q in queries() if q.dashboard == dashboard and q.panel == panel and q.ref in refs]


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
            [("late", "generator", "doubt", 1), ("slow", "run", "note", 1)],
            [('{warning="late"}', 2), ('{warning="and more, on Load generator"}', 1)],
            id="two",
        ),
        pytest.param(
            [("unserved", "server", "note", 1)], [('{warning="unserved",variant="single"}', 1)], id="a server's"
        ),
        pytest.param([], [('{warning="the load is not measured"}', 3)], id="no load"),
    ],
)
def test_the_tile_names_warnings_and_servers(
    warnings: list[tuple[str, str, str, int]], shown: list[tuple[str, float]], promtool: str, tmp_path: Path
) -> None:
    series = {'tcplab_load_running{job="load"}': "1x10"} if warnings else {}
    for name, about, degree, value in warnings:
        series |= warning(name, about, degree, "single", value)
        series |= warning(name, about, degree, "asyncio", value if about != "server" else 0)
    (tile,) = of("Run warnings", "A")
    answers(tile, series, shown, promtool, tmp_path)


def test_after_a_stop_no_panel_shows_its_warnings(promtool: str, tmp_path: Path) -> None:
    """The load keeps those of the last run."""
    series = {'tcplab_load_running{job="load"}': "0x10"} | warning("late", "generator", "doubt", "single", 1)
    (tile,) = of("Run warnings", "A")
    answers(tile, series, [('{warning="no run is on"}', 3)], promtool, tmp_path)
    (strip,) = of("Run warnings over the time shown (grey: a note, amber: a doubt)", "A")
    (lanes,) = of("Run warnings over time", "A", dashboard="load.json")
    for query in (strip, lanes):
        answers(query, series, [], promtool, tmp_path)
    (line,) = of("The result now", "B")
    answers(line, series, [('{server="No run is on"}', 0)], promtool, tmp_path)


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
    answers(f"round({line}, 0.01)", running(), [(said, 0.03)], promtool, tmp_path)
    answers(everybody, running(), [], promtool, tmp_path)
    dead = running() | {'up{job="servers",variant="asyncio"}': "1x8 0x2"}
    (down,) = of("The result now", "D")
    answers(line, dead, [], promtool, tmp_path)
    answers(everybody, dead, [], promtool, tmp_path)
    answers(down, dead, [('{variant="asyncio",server="asyncio on uvloop"}', 1)], promtool, tmp_path)
    served = running() | {'tcplab_load_recent_clients{job="load",variant="single",state="waiting"}': "0x10"}
    answers(line, served, [], promtool, tmp_path)
    answers(everybody, served, [('{server="Clients: every server serves all of them at once"}', 2)], promtool, tmp_path)


def test_the_line_has_the_clients_memory(promtool: str, tmp_path: Path) -> None:
    (memory,) = of("The result now", "C")
    said = '{single="–",threaded="–",asyncio="4.8 MB",protocol="–"}'
    answers(memory, running(), [(said, 1)], promtool, tmp_path)
    pool = {labels.replace('"asyncio"', '"pool"'): values for labels, values in running().items()}
    more = pool | running() | {'up{job="servers",variant="prefork"}': "1x10"}
    said = said.replace("}", ',pool=", thread pool 4.8 MB",prefork=", pre-fork, uvloop –"}')
    answers(memory, more, [(said, 1)], promtool, tmp_path)


def steady() -> dict[str, str]:
    """Return the series of two servers whose 30 clients have been steady for long, with the load's figures."""
    series = {
        'tcplab_load_running{job="load"}': "1x10",
        'tcplab_load_run_info{job="load",scenario="conversation"}': "1x10",
    }
    for name in ("single", "asyncio"):
        series |= {
            f'tcplab_load_users{{job="load",variant="{name}"}}': "30x10",
            f'tcplab_load_recent_rate{{job="load",variant="{name}",outcome="verified"}}': "100x10",
            f'tcplab_load_recent_seconds{{job="load",variant="{name}",series="response",q="0.99"}}': "0.005x10",
        }
    return series


KNEE = "Response time p99 by throughput"


@pytest.mark.parametrize(
    ("degree", "about", "mark"),
    [
        pytest.param("note", "generator", "≤ ", id="a note"),
        pytest.param("doubt", "generator", "? ", id="a doubt"),
        pytest.param("note", "server", "", id="a server's finding"),
    ],
)
def test_a_warning_marks_the_curves_it_moves(degree: str, about: str, mark: str, promtool: str, tmp_path: Path) -> None:
    """It moves p50 and p99: no mark in throughput's curve, nor in the other server's."""
    warned = steady() | warning("late", about, degree, "asyncio", 1)
    (throughput,) = of("Correct replies per second: more is better", "B", dashboard="capacity.json")
    unmarked = [(f'{{_order="{order}",variant="{name}"}}', 100.0) for order, name in ((0, "single"), (2, "asyncio"))]
    answers(throughput, warned, unmarked, promtool, tmp_path)
    for ref, value in (("A", 30.0), ("B", 100.0), ("C", 0.005)):
        (knee,) = of(KNEE, ref, dashboard="capacity.json")
        curves = [('{variant="single",curve="single"}', value), (f'{{variant="asyncio",curve="{mark}asyncio"}}', value)]
        answers(knee, warned, curves, promtool, tmp_path)
    moved = {labels.replace('"p50,p99"', '"p50,p99,rate"'): values for labels, values in warned.items()}
    label = f',mark="{mark}"' if mark else ""
    marked = [unmarked[0], (f'{{_order="2",variant="asyncio"{label}}}', 100.0)]
    answers(throughput, moved, marked, promtool, tmp_path)


def test_a_servers_death_is_drawn_once(promtool: str, tmp_path: Path) -> None:
    """Grafana leaves out annotations whose value is 0."""
    (death,) = of("annotation Servers go down", "A")
    series = {'up{job="servers",variant="single"}': "1x10 0x10", 'up{job="servers",variant="asyncio"}': "1x20"}
    seen = [f"{at}s" for at in range(20, 40, 2)]
    drawn = {"24s": [('{variant="single"}', 1.0)]}  # at once: two scrapes without an answer
    for at in seen:
        answers(death, series, drawn.get(at, []), promtool, tmp_path, at)
