"""What a comparison at equal rates says first."""

from typing import Any

import pytest

from loadtest.compare.report import headline, markdown
from loadtest.compare.report.html import page
from tests.loadtest.compare.analysis.test_sustained import QUICK, SLOW, compared
from tests.loadtest.compare.results import one_run, swept, warning

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


def test_the_answer_names_rates_with_ranges() -> None:
    rows = [" ".join(row.cells) for row in headline.rows(three())]
    assert rows == [
        "single 1 2,000 1.00 1.00 100 1 of 1",
        "threaded 50 2,000 1.00 1.00 100 50 of 50",
        "asyncio on uvloop 50 3,000 (2,000 to 3,000) 1.00 1.00 100 50 of 50",
        "single 50 serves 1 of 50 - - - 1 of 50",
    ]
    assert headline.common(three()) == 2000


def test_the_answer_fits_a_small_terminal() -> None:
    noisy = three(warnings=[warning(name) for name in ("starved", "busy-machine", "rate", "stolen-time", "loop-lag")])
    lines = headline.text(noisy).splitlines()
    assert len(lines) <= 24
    assert max(map(len, lines)) <= 100
    assert lines[0] == "With 50 clients, single serves 1."
    assert "at 2,000 requests/s" in headline.text(three())
    assert "Warnings: starved, busy-machine, rate, stolen-time, loop-lag." in headline.text(noisy)


def test_the_answer_says_the_factor_or_why_not() -> None:
    assert headline.comparisons(three()) == [
        "With 50 clients, single serves 1.",
        "With 50 clients, asyncio on uvloop or threaded: can't tell (asyncio on uvloop sustained 1.00 to 1.50 times as"
        " much in 3 repeats).",
    ]
    apart = compared(*keeps("threaded", 1000), *keeps("asyncio", 3000))
    assert headline.comparisons(apart) == [
        "With 50 clients, asyncio on uvloop sustains 3.00 times the rate of threaded."
    ]
    open_ended = compared(*keeps("threaded", 2000), *keeps("asyncio", 4000))
    assert headline.comparisons(open_ended) == [
        "With 50 clients, asyncio on uvloop sustains at least 2.00 times the rate of threaded."
    ]


def test_a_bound_is_said_in_words() -> None:
    result = compared(*keeps("asyncio", 4000), *keeps("threaded", 0))
    assert [row.cells[2] for row in headline.rows(result)] == ["not even 1,000", "4,000 or more"]
    assert any(line.startswith('"Or more": no higher rate') for line in headline.notes(result))
    worse = [*keeps("asyncio", 4000), *keeps("asyncio", 4000, repeat=2), *keeps("asyncio", 2000, repeat=3)]
    [row] = headline.rows(compared(*worse))
    assert row.cells[2] == "4,000 or more (at worst 2,000)"
    [row] = headline.rows(compared(*keeps("asyncio", 2000), *keeps("asyncio", 0, repeat=2)))
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
    assert headline.common(result) == 2000
    rows = [" ".join(row.cells).split(maxsplit=1) for row in headline.rows(result)[4:]]
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


def test_a_flooded_rate_leaves_nobody_out() -> None:
    """Of clients that a server can't serve at a rate that it doesn't sustain nothing is said first."""
    runs = keeps("asyncio", 2000)
    runs[-1]["load"]["variants"]["asyncio"]["served"] = 40
    assert headline.comparisons(compared(*runs)) == []
