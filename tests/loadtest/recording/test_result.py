"""A run's result: the JSON, and the lines for the terminal."""

import json
from pathlib import Path

import pytest

from loadtest import run_warnings
from loadtest.pacing import Periodic
from loadtest.recording import facts, result
from loadtest.scenarios import SCENARIOS
from loadtest.settings import Settings
from tests.support.load.aggregation import SETTINGS, Lab


def test_the_result_is_schema_2_and_whole(tmp_path: Path) -> None:
    lab = Lab()
    client_stats, waiting = lab.client("one"), lab.client("one", "single")
    lab.begin(5)
    lab.ask(client_stats, 0.25)
    lab.ask(client_stats, 0.003)
    waiting.sent(lab.now)
    lab.seconds += 0.5
    lab.end()
    figures = lab.aggregator.figures
    assert figures is not None
    warnings = run_warnings.check(facts.final(figures, SETTINGS))
    path = tmp_path / "result.json"
    path.write_text("older")
    result.write(path, result.document([result.Window(figures, SETTINGS, warnings, 0.75)]))
    found = json.loads(path.read_text())
    assert [entry.name for entry in tmp_path.iterdir()] == ["result.json"]
    assert found["schema"] == 2
    assert found["scenario"]["name"] == "conversation"
    assert found["window"] == {"started": 1100.0, "ended": pytest.approx(1100.753), "seconds": pytest.approx(0.753)}
    assert (found["warmup_seconds"], found["settled_seconds"]) == (1.5, 0.75)
    assert (found["model"], found["target_rate"]) == ("closed", None)
    assert found["generator"] == {
        "workers": 1,
        "cpu_ratio": pytest.approx(0.1),
        "busy_ratio": pytest.approx(0.5),
        "starved_ratio": pytest.approx(0.015),
        "stolen_ratio": pytest.approx(0.01),
        "lag_p99_seconds": 0.0,
        "conntrack_ratio": 0.0,
        "worst_10s": {
            "cpu_ratio": pytest.approx(0.1),
            "busy_ratio": pytest.approx(0.5),
            "starved_ratio": pytest.approx(0.015),
            "stolen_ratio": pytest.approx(0.01),
            "lag_p99": 0.0,
            "conntrack_ratio": 0.0,
        },
        "lost_workers": 0,
        "joined_workers": 0,
    }
    assert [warning["name"] for warning in found["warnings"]] == ["unserved", "nothing-answered"]
    assert found["variants"]["single"]["fairness"] == {
        "jain": None,
        "longest_wait_seconds": 0.753,
        "longest_wait_at_least": True,
    }
    assert found["variants"]["asyncio"] == {
        "seconds": pytest.approx(0.753),
        "users": 2,
        "connected": 1,
        "served": 1,
        "fairness": {"jain": 1.0, "longest_wait_seconds": 0.25, "longest_wait_at_least": False},
        "sent": 2,
        "verified": 2,
        "unanswered": 0,
        "errors": {"timeout": 0, "corrupt": 0, "closed": 0, "reset": 0, "refused": 0},
        "connections": {"connected": 0, "refused": 0, "timeout": 0, "reset": 0, "no_port": 0, "failed": 0},
        "breaks": {"corrupt": 0, "closed": 0, "reset": 0},
        "late_sends": 0,
        "send_delay": {},
        "unsent": 0,
        "histograms": {"response": {"3000": 1}, "service": {"3000": 1}, "connect": {}, "first_reply": {"250000": 1}},
        "censored": {"response": {}, "service": {}, "connect": {}, "first_reply": {}},
        "neighbour": None,
    }
    assert found["variants"]["single"]["unanswered"] == 1
    assert found["variants"]["single"]["censored"]["first_reply"] == {"753000": 1}
    table = list(result.lines([result.Window(figures, SETTINGS, warnings)]))
    assert table[1].split() == (
        ["asyncio", "1", "of", "1", "1.000", "250", "2.7", "0", "0", "0", "3", "3", "3", "250", "250"]
    )
    assert table[2].split()[:6] == ["single", "0", "of", "1", "-", ">=753"]
    assert table[2].split()[-2:] == [">=753", ">=753"]
    assert table[3].startswith("warning unserved: ")


def test_an_open_result_has_rate_asked_and_unsent() -> None:
    lab = Lab()
    client_stats = lab.client("one")
    lab.begin(5)
    lab.ask(client_stats, 0.25)
    client_stats.schedule = Periodic(lab.now, 10**9)
    lab.report()
    lab.seconds += 2.5
    client_stats.due(client_stats.schedule.take())
    client_stats.sent(lab.now)
    lab.seconds += 0.5
    client_stats.verified(lab.now)
    client_stats.broke("corrupt")
    lab.end()
    figures = lab.aggregator.figures
    assert figures is not None
    chosen = Settings(
        SCENARIOS["conversation"].tuned(paced=True), rate=2.0, arrivals="periodic", warmup=0.0, result=None
    )
    warnings = run_warnings.check(facts.final(figures, chosen))
    assert [warning.name for warning in warnings] == ["rate", "corrupt"]
    document = result.document([result.Window(figures, chosen, warnings)])
    assert (document["model"], document["target_rate"], document["scenario"]["paced"]) == ("open", 2.0, True)
    variant = document["variants"]["asyncio"]
    assert (variant["sent"], variant["unsent"], variant["unanswered"]) == (2, 3, 0)
    assert variant["breaks"] == {"corrupt": 1, "closed": 0, "reset": 0}
    assert variant["histograms"]["response"] == {"3000000": 1}
    assert variant["histograms"]["service"] == {"500000": 1}
    assert variant["censored"]["response"] == {"0": 1, "1000000": 1, "2000000": 1}
    _, line, *_ = result.lines([result.Window(figures, SETTINGS, warnings)])
    assert line.split()[-5:-2] == [">=1000", ">=3000", "500"]


def test_a_write_that_fails_leaves_the_older_result(tmp_path: Path) -> None:
    path = tmp_path / "result.json"
    path.write_text("older")
    with pytest.raises(TypeError):
        result.write(path, {"not": object()})
    assert path.read_text() == "older"
