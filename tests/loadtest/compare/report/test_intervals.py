"""What became of a server since an earlier revision, as a line and a chart of text."""

from typing import Any

import pytest

from loadtest.compare.analysis.pairwise import Pair
from loadtest.compare.analysis.regression import of_revisions
from loadtest.compare.analysis.significance import Answer, Significance
from loadtest.compare.analysis.summary import summaries
from loadtest.compare.report import differences, markdown
from tests.loadtest.compare.results import measured_since, warning

QUICK = [100_000 + place * 100 for place in range(10)]
SLOW = [each // 2 for each in QUICK]
RUNS = (10, 10)
[OURS, THEIRS] = summaries(measured_since(QUICK, QUICK))


def pair(measure: str, answer: Answer, ratio: float | None, low: float | None, high: float | None) -> Pair:
    return Pair(measure, OURS, THEIRS, Significance(answer, ratio, low, high, RUNS), "")


def drawn(*pairs: Pair) -> list[str]:
    """Return the rows of a chart, without its head, its load and its legend."""
    return differences.chart(pairs)[2:-1]


@pytest.mark.parametrize(
    ("some", "line"),
    [
        ([(Answer.DIFFERENT, 1.2)], "Worse: CPU per request."),
        ([(Answer.DIFFERENT, 0.8)], "Better: CPU per request."),
        ([(Answer.EQUIVALENT, 1.0)], "Equivalent: CPU per request."),
        ([(Answer.INDICATIVE, None)], "Too few runs: CPU per request."),
        ([], "Nothing could be measured."),
    ],
)
def test_the_verdict_is_one_line(some: list[tuple[Answer, float | None]], line: str) -> None:
    assert differences.headline([pair("cpu_us", answer, ratio, None, None) for answer, ratio in some]) == line


def test_the_worst_measure_comes_first() -> None:
    untold = pair("requests_per_second", Answer.CANNOT_TELL, 1.0, 0.9, 1.1)
    worse = pair("cpu_us", Answer.DIFFERENT, 1.2, 1.1, 1.3)
    assert differences.headline([untold, worse]) == "Worse: CPU per request. Can't tell: requests/s."


def test_a_chart_has_an_axis_and_a_legend() -> None:
    head, load, row, legend = differences.chart([pair("cpu_us", Answer.EQUIVALENT, 1.0, 0.98, 1.02)])
    assert head == f"{'':19}0.80                1                1.25  times what it was"
    assert load == "asyncio, saturate, 50 clients"
    assert row == f"  CPU per request  {'':16}: [-o-] :{'':16}  1.00 (0.98 to 1.02)     equivalent"
    assert legend == "o: the ratio; [ ]: its 99 % interval; |: equal, and : within 5%; less is better"
    assert row.index("-o-") + 1 == head.index(" 1 ") + 1


@pytest.mark.parametrize(
    ("ratio", "low", "high", "axis", "figures"),
    [
        (1.1, 1.05, 1.2, "                :   |   [----o------]    ", "1.10 (1.05 to 1.20)"),
        (1.5, 1.4, 1.6, "                   :|:        [-o-]      ", "1.50 (1.40 to 1.60)"),
        (0.5, 0.4, 0.6, "       [--o--]     :|:                   ", "0.50 (0.40 to 0.60)"),
        (1.1, 1.05, None, "                :   |   [----o---------->", "1.10 (1.05 to ..)"),
        (20.0, 15.0, 30.0, "                    |                   >", "20.00 (15.00 to 30.00)"),
        (1.1, None, None, "                :   |   :    o           ", "1.10"),
    ],
)
def test_an_interval_is_drawn_to_scale(
    ratio: float, low: float | None, high: float | None, axis: str, figures: str
) -> None:
    [row] = drawn(pair("cpu_us", Answer.DIFFERENT, ratio, low, high))
    assert row[19:60] == axis
    assert row[62:].split("  ")[0] == figures


def test_twice_and_half_are_equally_far() -> None:
    half, twice = drawn(
        pair("cpu_us", Answer.DIFFERENT, 0.5, None, None), pair("cpu_us", Answer.DIFFERENT, 2.0, None, None)
    )
    middle = half.index("|")
    assert middle - half.index("o") == twice.index("o") - middle == 20


def since(now: list[int], **changes: Any) -> str:
    return markdown.text(measured_since(now, QUICK, **changes))


def test_the_markdown_begins_with_the_verdict() -> None:
    told = since(SLOW)
    assert told.splitlines()[2] == "**Worse: requests/s, CPU per request.**"
    assert told.index("times what it was") < told.index("| server |")
    assert "\n      requests/s " in told
    assert "Better" not in told


def test_the_markdown_says_why_nothing_is_told() -> None:
    told = since(QUICK, load_warnings=[[warning("stolen-time")]] * 10)
    assert told.splitlines()[2] == "**Too few runs: requests/s, CPU per request.**"
    assert "0 and 0 valid runs, where a verdict takes 10 of each; every run is excluded: stolen-time" in told
    assert since(QUICK, served=1).splitlines()[2] == "**Nothing could be measured.**"
    assert of_revisions(measured_since(QUICK, QUICK, served=1)) == ()
