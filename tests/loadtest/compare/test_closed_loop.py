"""Where clients never pause a latency is clients / throughput: shown as that, and neither judged nor ranked."""

import re
from dataclasses import replace
from html import unescape
from pathlib import Path
from typing import Any

import pytest

from loadtest.__main__ import main
from loadtest.compare.analysis import slo_check
from loadtest.compare.analysis.measures import CLOSED_LOOP, LATENCIES, of_throughput
from loadtest.compare.analysis.pairwise import all_pairs, fair
from loadtest.compare.analysis.regression import differences
from loadtest.compare.analysis.significance import Answer
from loadtest.compare.analysis.summary import candidates, summaries
from loadtest.compare.measure import load
from loadtest.compare.report import besides_runs, markdown, ranking, table
from loadtest.compare.report.charts import selection
from loadtest.compare.report.charts.svg import inks
from loadtest.compare.report.html import page
from loadtest.compare.slo import parse
from loadtest.scenarios import SCENARIOS, Scenario
from tests.loadtest.compare import results
from tests.loadtest.compare.results import comparison, several_runs

CLOSED = ("saturate", "churn", "io-bound", "cpu-bound")
JUDGED_LATENCIES = {
    "response_p99_us",
    "response_p999_us",
    "first_p99_us",
    "service_p99_us",
    "response_p50_us",
    "first_p50_us",
}


def two_stubs(scenario: str = "saturate", clients: int = 50, **changes: Any) -> dict[str, Any]:
    """Make ten runs each of servers of 8 and 4 us, behind a generator that is at its limit of 100,000/s."""
    once: dict[str, Any] = {}
    if SCENARIOS[scenario].requests == 1:
        once["histograms"] = {"response": {}, "service": {}, "first_reply": {"500": 1_000_000}}
    else:
        once["histograms"] = {"response": {"500": 1_000_000}, "service": {"500": 1_000_000}, "first_reply": {}}
    both = [
        each
        for name, seconds in (("threaded", 8.0), ("asyncio", 4.0))
        for each in several_runs(
            10, name, scenario, clients, verified=1_000_000, server_cpu=seconds, generator_cpu=0.99, **once, **changes
        )
    ]
    return comparison(*both)


@pytest.mark.parametrize("scenario", ["saturate", "churn"])
@pytest.mark.parametrize("clients", [1, 50, 1000])
def test_a_generator_at_its_limit_makes_nothing_equivalent(scenario: str, clients: int) -> None:
    result = two_stubs(scenario, clients)
    every = summaries(result)
    told = {each.measure: each.significance.answer for each in all_pairs(every)}
    assert not JUDGED_LATENCIES & told.keys()
    assert told == {"requests_per_second": Answer.CANNOT_TELL, "cpu_us": Answer.DIFFERENT}
    [(_, found)] = ranking.headlines(every)
    assert found.measure == "cpu_us"
    for text in (table.text(result).partition("VERDICT")[2], markdown.text(result)):
        assert "p99" not in text
        assert "equivalent" not in text
    top = page.html(result).partition('id="answer"')[2].partition("</section>")[0]
    assert "p99" not in top
    assert "equivalent" not in top


@pytest.mark.parametrize("scenario", SCENARIOS.values(), ids=SCENARIOS)
def test_whether_clients_pause_follows_from_the_row(scenario: Scenario) -> None:
    closed = bool(of_throughput(scenario))
    assert closed == (scenario.name in CLOSED)
    assert bool(JUDGED_LATENCIES & set(fair(scenario))) != closed
    assert slo_check.applies_to(scenario) != closed


@pytest.mark.parametrize(
    ("changes", "closed"),
    [
        ({}, True),
        ({"think": 0.01}, False),
        ({"think": 0.01, "requests": 1}, True),  # who asks once has no time to think
        ({"away": 0.01, "requests": 1}, False),
        ({"requests": 5}, True),
        ({"requests": 5, "alone": False}, True),
        ({"paced": True}, False),
        ({"paced": True, "requests": 1}, False),
        ({"command": "WORK", "amount": 1000}, True),
        ({"size": 60_000}, True),
    ],
)
def test_any_scenario_without_pauses_is_a_closed_loop(changes: dict[str, Any], closed: bool) -> None:
    scenario = replace(SCENARIOS["saturate"], name="mine", **changes)
    assert bool(of_throughput(scenario)) == closed
    assert bool(JUDGED_LATENCIES & set(fair(scenario))) != closed


@pytest.mark.parametrize("scenario", CLOSED)
def test_with_a_rate_it_is_a_real_latency(scenario: str) -> None:
    result = two_stubs(scenario, tuned={"paced": True})
    assert {each.measure for each in all_pairs(summaries(result))} & JUDGED_LATENCIES
    assert CLOSED_LOOP not in table.text(result) + page.html(result)
    assert slo_check.applies_to(SCENARIOS[scenario].tuned(paced=True))


@pytest.mark.parametrize("scenario", CLOSED)
def test_where_it_is_shown_it_says_so(scenario: str) -> None:
    result = two_stubs(scenario)
    on_screen, html = " ".join(table.text(result).split()), page.html(result)
    column = "first reply" if SCENARIOS[scenario].requests == 1 else "response, service"
    for text in (on_screen, unescape(html)):
        assert "closed loop: clients / throughput, not the server's latency; neither judged nor ranked." in text
        assert re.search(rf"\((?:response, service, )?{column}.*?\) in {scenario}: closed loop", text)
    assert "(0.500)" in on_screen
    assert "(0.500)" in html
    assert " 0.500" not in on_screen


@pytest.mark.parametrize("scenario", CLOSED)
def test_a_closed_latency_is_not_drawn_but_explained(scenario: str) -> None:
    result = two_stubs(scenario)
    found = selection.of_measures(summaries(result), inks(candidates(result)))
    assert not {each.measure for each in found.drawn} & JUDGED_LATENCIES
    assert any(CLOSED_LOOP in line for line in found.left_out)
    assert "500 µs" not in page.picture(result)


def test_an_slo_has_no_basis_in_it() -> None:
    fast = load.read(results.load("asyncio", "saturate", 50))
    for text in ("p99<50ms", "p99<1us", "later p50<1s", "first p99<30s"):
        found = slo_check.check_run(parse(text), fast)
        assert (found.answer, found.why) == (slo_check.SloAnswer.CANNOT_TELL, CLOSED_LOOP)


def test_a_result_says_where_its_slo_is_unjudged() -> None:
    result = comparison(
        *several_runs(1, "asyncio"), *several_runs(1, "asyncio", "churn"), *several_runs(1, "asyncio", "crowd")
    )
    result["plan"]["slo"] = "p99<1us"
    assert slo_check.is_missed(result)
    assert besides_runs.slo_lines(result)[-1] == f"SLO p99<1us not judged in saturate, churn ({CLOSED_LOOP})"
    only = comparison(*several_runs(1, "asyncio"))
    only["plan"]["slo"] = "p99<1us"
    assert not slo_check.is_missed(only)


@pytest.mark.parametrize("scenarios", [("saturate",), ("churn", "cpu-bound"), ("io-bound",)])
def test_an_slo_no_scenario_keeps_is_refused(
    scenarios: tuple[str, ...], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    options = ["--scenarios", *scenarios, "--slo", "p99<50ms", "--output", str(tmp_path / "results")]
    assert main(["compare", *options]) == 2
    said = capsys.readouterr()
    assert (said.out, said.err.count("\n")) == ("", 1)
    assert f"--slo cannot be judged in {', '.join(scenarios)} ({CLOSED_LOOP}): choose a scenario in which" in said.err
    assert "conversation, rates, crowd, slow-client" in said.err
    assert not (tmp_path / "results").exists()


def test_two_results_say_nothing_of_it() -> None:
    found = differences(two_stubs(), two_stubs())
    assert {each.measure for each in found.found} == {"requests_per_second", "cpu_us"}


def test_no_latency_is_left_out_of_the_rule() -> None:
    assert of_throughput(SCENARIOS["churn"]) == set(LATENCIES) - {"longest_wait_us"}
    assert of_throughput(SCENARIOS["saturate"]) == {
        "response_p50_us",
        "response_p99_us",
        "response_p999_us",
        "service_p99_us",
    }
