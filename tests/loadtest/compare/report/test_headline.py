"""What a comparison at equal rates says first."""

import re
from collections.abc import Callable
from typing import Any
from unittest.mock import Mock

import pytest

from loadtest.compare.analysis.sustained import sustained
from loadtest.compare.report import headline, markdown
from loadtest.compare.report.headline import Headline
from loadtest.compare.report.html import page
from tests.loadtest.compare.analysis.test_sustained import QUICK, SLOW, compared
from tests.loadtest.compare.results import comparison, one_run, swept, thorough, warning, weighed

RATES = (1000.0, 2000.0, 3000.0, 4000.0)


def keeps(candidate: str, most: float, clients: int = 50, repeat: int = 1, **changes: Any) -> list[dict[str, Any]]:
    """Make a sweep in which the SLO was kept up to this rate."""
    replies = {rate: QUICK if rate <= most else SLOW for rate in RATES}
    return swept(candidate, replies, clients=clients, repeat=repeat, **changes)


def three(**changes: Any) -> dict[str, Any]:
    """Make the comparison that `make compare` makes."""
    left_out = swept("single", {1000.0: QUICK}, served=1, verified=20_000)
    runs = [*keeps("threaded", 2000), *keeps("asyncio", 3000), *keeps("single", 2000, clients=1), *left_out]
    for repeat in (2, 3):
        runs += [*keeps("threaded", 2000, repeat=repeat), *keeps("asyncio", 1000 * repeat, repeat=repeat)]
    return {**compared(*runs), **changes}


def many() -> dict[str, Any]:
    """Make the same, and thousands of clients at its lowest rate; and memory, and a top speed."""
    runs = three()["runs"]
    for clients in (1000, 5000):
        for name in ("threaded", "asyncio"):
            runs += swept(name, {1000.0: 2 * clients}, clients=clients, served=clients, connected=clients)
    found = compared(*runs, one_run("asyncio"), one_run("threaded"))
    found["memory"] = [weighed("threaded", 41.0)]
    return found


def test_the_answer_names_rates_with_ranges() -> None:
    rows = [" ".join(row.cells) for row in Headline.of(three()).rows()]
    assert rows == [
        "single 1 2,000 1.00 1.00 100 1 of 1",
        "threaded 50 2,000 1.00 1.00 100 50 of 50",
        "asyncio on uvloop 50 3,000 (2,000 to 3,000) 1.00 1.00 100 50 of 50",
        "single 50 serves 1 of 50 - - - 1 of 50",
    ]
    assert Headline.of(three()).rate == 2000


def test_the_answer_fits_a_small_terminal() -> None:
    noisy = three(warnings=[warning(name) for name in ("starved", "busy-machine", "rate", "stolen-time", "loop-lag")])
    lines = headline.text(noisy).splitlines()
    assert len(lines) <= 24
    assert max(map(len, lines)) <= 100
    assert lines[0] == "With 50 clients, single serves 1."
    assert "at 2,000 requests/s" in headline.text(three())
    assert "Warnings: starved, busy-machine, rate, stolen-time, loop-lag." in headline.text(noisy)


def test_the_answer_says_the_factor_or_why_not() -> None:
    assert Headline.of(three()).comparisons() == [
        "With 50 clients, single serves 1.",
        "With 50 clients, asyncio on uvloop or threaded: can't tell (asyncio on uvloop sustained 1.00 to 1.50 times as"
        " much in 3 repeats).",
    ]
    apart = compared(*keeps("threaded", 1000), *keeps("asyncio", 3000))
    assert Headline.of(apart).comparisons() == [
        "With 50 clients, asyncio on uvloop sustains 3.00 times the rate of threaded."
    ]
    open_ended = compared(*keeps("threaded", 2000), *keeps("asyncio", 4000))
    assert Headline.of(open_ended).comparisons() == [
        "With 50 clients, asyncio on uvloop sustains at least 2.00 times the rate of threaded."
    ]


def test_a_bound_is_said_in_words() -> None:
    result = compared(*keeps("asyncio", 4000), *keeps("threaded", 0))
    assert [row.cells[2] for row in Headline.of(result).rows()] == ["not even 1,000", "4,000 or more"]
    assert any(line.startswith('"Or more": no higher rate') for line in Headline.of(result).notes())
    worse = [*keeps("asyncio", 4000), *keeps("asyncio", 4000, repeat=2), *keeps("asyncio", 2000, repeat=3)]
    [row] = Headline.of(compared(*worse)).rows()
    assert row.cells[2] == "4,000 or more (at worst 2,000)"
    [row] = Headline.of(compared(*keeps("asyncio", 2000), *keeps("asyncio", 0, repeat=2))).rows()
    assert row.cells[2] == "2,000 in 1 of 2 sweeps only"


@pytest.mark.parametrize(("most", "said"), [(2000, "sustains 2,000/s, not 3,000/s"), (4000, "sustains 4,000/s")])
def test_a_sweeps_progress_line_says_what_it_found(most: float, said: str) -> None:
    result = compared(*keeps("threaded", 0), *keeps("asyncio", most))
    assert headline.brief(result, 5) == said
    assert headline.brief(result, 1) == "sustains none of the rates, not 1,000/s"


def apart(rate: float, *counts: int) -> list[dict[str, Any]]:
    """Make runs at one rate with so many clients."""
    names = ("threaded", "asyncio")
    return [run for count in counts for name in names for run in swept(name, {rate: QUICK}, clients=count)]


def test_no_column_mixes_rates() -> None:
    """Few and many clients at a rate of their own stand under it, and each cell says it elsewhere."""
    result = three()
    result = compared(*result["runs"], *apart(1500.0, 50, 1000), *apart(1000.0, 1))
    assert Headline.of(result).rate == 2000
    rows = [" ".join(row.cells).split(maxsplit=1) for row in Headline.of(result).rows()[4:]]
    there = "1.00 at 1,500/s 1.00 at 1,500/s 100 at 1,500/s"
    assert rows == [
        ["threaded", f"50  {there} 50 of 50 at 1,500/s"],
        ["asyncio", f"on uvloop 50  {there} 50 of 50 at 1,500/s"],
        ["threaded", f"1,000  {there} 1000 of 1000 at 1,500/s"],
        ["asyncio", f"on uvloop 1,000  {there} 1000 of 1000 at 1,500/s"],
    ]
    lines = headline.text(result).splitlines()
    [own] = [place for place, line in enumerate(lines) if line.endswith("at 1,500 requests/s:")]
    assert [line.split() for line in lines[own + 1 : own + 3]] == [
        ["threaded", "50", "1.00", "1.00", "100", "50", "of", "50"],
        ["asyncio", "on", "uvloop", "50", "1.00", "1.00", "100", "50", "of", "50"],
    ]
    assert lines[own - 1].split()[:4] == ["single", "50", "serves", "1"]
    assert len(lines) <= 24
    assert max(map(len, lines)) <= 100


def test_other_comparisons_have_no_headline() -> None:
    assert headline.text(compared(one_run("asyncio", "conversation"))) == ""


def test_a_picture_has_the_curves_first() -> None:
    """Response and CPU against the rate, each candidate with its own number of clients."""
    pictured = page.picture(three())
    assert pictured.index("Response, p99") < pictured.index("CPU of the server")
    assert pictured.count("rates, 50 clients (single: 1): ") == 3
    assert "requests/s</text>" in pictured
    assert pictured.count("p99&lt;20ms") == 1, "the objective is drawn where response times are"
    shown = page.html(three())
    assert shown.index("the highest rate tried with p99&lt;20ms") < shown.index("<h2>All figures</h2>")
    assert "<td>3,000 (2,000 to 3,000)</td>" in shown
    table = markdown.text(three())
    assert "| asyncio on uvloop | 50 | 3,000 (2,000 to 3,000) |" in table
    assert "- With 50 clients, single serves 1." in table


def test_many_clients_stand_together_at_one_rate() -> None:
    found = Headline.of(many())
    assert [" ".join(row.cells) for row in found.many_rows()] == [
        "single 1 1.00 1.00 100 1 of 1",
        "single 50 - - - 1 of 50",
        "threaded 50 1.00 1.00 100 50 of 50",
        "asyncio on uvloop 50 1.00 1.00 100 50 of 50",
        "threaded 1,000 2.00 2.00 100 1000 of 1000",
        "asyncio on uvloop 1,000 2.00 2.00 100 1000 of 1000",
        "threaded 5,000 10.0 10.0 100 5000 of 5000",
        "asyncio on uvloop 5,000 10.0 10.0 100 5000 of 5000",
    ]
    answer = page.html(many()).partition('id="answer"')[2].partition("</section>")[0]
    assert "<td>serves 1 of 50</td>" in answer
    assert "<td>1,000</td>" not in answer, "no column there mixes rates"
    assert "rates at 1,000/s: later replies" in page.picture(many())
    assert Headline.of(three()).many_rows() == [], "a server that serves one client has no second number"


def test_the_pages_parts_stand_in_order() -> None:
    shown = page.html(many())
    titles = re.findall("<h2[^>]*>([^<]*)</h2>", shown)
    assert titles[:5] == [
        "What was seen (no verdict)",
        "Against the rate",
        "Many clients at one rate: 1,000/s",
        "Memory",
        "Appendix: top speed",
    ]
    assert "saturate, 50 clients<br>" in shown.partition("Appendix: top speed")[2]
    claimed = page.html({**many(), "memory": thorough()["memory"], "plan": {**many()["plan"], "name": "thorough"}})
    places = [claimed.index(f"<h2>{title}") for title in ("Memory", "What textbooks say", "Appendix: top speed")]
    assert places == sorted(places)
    assert "<h2>Top speed</h2>" in page.html(comparison(one_run("asyncio")))


def test_the_curve_says_what_a_rate_costs() -> None:
    runs = three()["runs"]
    for run in runs:
        run["usage"].update(turns=50_000, waited=0.5)
    shown = page.picture(compared(*runs))
    for title in ("CPU of the server, µs per request", "Context switches per request", "Ready without a core"):
        assert title in shown


@pytest.mark.parametrize("report", [headline.text, page.html, markdown.text])
def test_a_report_computes_sustained_rates_once(
    report: Callable[[dict[str, Any]], str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of a thorough comparison they take seconds each time."""
    counted = Mock(side_effect=sustained)
    monkeypatch.setattr(headline, "sustained", counted)
    assert "asyncio on uvloop" in report(three())
    assert counted.call_count == 1


def test_a_flooded_rate_leaves_nobody_out() -> None:
    """Of clients that a server can't serve at a rate that it doesn't sustain nothing is said first."""
    runs = keeps("asyncio", 2000)
    runs[-1]["load"]["variants"]["asyncio"]["served"] = 40
    assert Headline.of(compared(*runs)).comparisons() == []


def test_a_rates_p99_of_few_replies_is_marked() -> None:
    runs = [run for repeat in (1, 2) for run in swept("asyncio", {50.0: 1_000, 100.0: 1_000}, repeat=repeat)]
    for run in runs:
        run["load"]["variants"]["asyncio"]["histograms"]["response"] = {"1000": 300}
    said = " ".join(headline.text(comparison(*runs, plan={**comparison(*runs)["plan"], "slo": "p99<20ms"})).split())
    assert " 1.00* " in said
    assert "*: no p99 but the slowest of fewer than 500 replies" in said
