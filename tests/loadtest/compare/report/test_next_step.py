"""The last line of a comparison: the next step that fits what was found."""

from typing import Any

import pytest

from loadtest.compare.report import next_step
from tests.loadtest.compare.results import comparison, failed, measured_since, several_runs, swept, warning

QUICK = [100_000 + place * 100 for place in range(10)]
SLOW = [each // 2 for each in QUICK]
GOOD, BAD = 1_000, 30_000
"""Microseconds that a reply takes: within the objective of 20 ms, and beyond it."""


def pairs(ours: list[int], theirs: list[int], **changes: Any) -> dict[str, Any]:
    """Make a comparison of two servers; the numbers: requests of each run."""
    return comparison(
        *several_runs(len(ours), "asyncio", verified=ours), *several_runs(len(theirs), "threaded", verified=theirs),
        **changes,
    )  # fmt: skip


def default(asyncio: dict[float, int]) -> dict[str, Any]:
    """Make the default comparison: three sweeps of each; threaded sustains 2,000 requests/s. asyncio: times by rate."""
    runs = [
        run
        for repeat in (1, 2, 3)
        for name, replies in (("threaded", {2000.0: GOOD, 3000.0: BAD, 4000.0: BAD}), ("asyncio", asyncio))
        for run in swept(name, replies, repeat=repeat)
    ]
    found = comparison(*runs)
    found["plan"] |= {"name": "indicative", "slo": "p99<20ms"}
    return found


TWICE = {2000.0: GOOD, 3000.0: GOOD, 4000.0: BAD}
ALIKE = {2000.0: GOOD, 3000.0: BAD, 4000.0: BAD}
DISTURBED = several_runs(10, "threaded", verified=QUICK, load_warnings=[[warning("stolen-time")]] * 10)


@pytest.mark.parametrize(
    ("result", "line"),
    [
        (pairs(QUICK, SLOW, interrupted=True, complete=False), "measure again, to the end: this was interrupted"),
        (comparison(failed("asyncio", "it died"), complete=False), "see above what failed and why, correct it"),
        (comparison(*several_runs(10, "asyncio", verified=QUICK), *DISTURBED), "do it again (stolen-time, above)."),
        (pairs(QUICK, SLOW, warnings=[warning("not-pinned")]), "do it again (not-pinned, above)."),
        (measured_since(SLOW, QUICK), "look on the page at what is worse, find its cause"),
        (measured_since(QUICK, SLOW), "let every pull request be measured like this: loadtest/compare/gate.yml"),
        (measured_since(QUICK, QUICK), "let every pull request be measured like this: loadtest/compare/gate.yml"),
        (measured_since(QUICK[:3], QUICK[:3]), "for a verdict take 10 runs of each: --repeats 10"),
        (pairs(QUICK[:3], SLOW[:3]), "for a verdict take 10 runs of each: --repeats 10"),
        (pairs(QUICK, SLOW), "open the page, which has charts and the method"),
        (default(ALIKE), "so few sweeps can't tell them all apart, ten may: python -m loadtest compare --thorough"),
        (default(TWICE), "open the page; for a verdict python"),
    ],
)
def test_the_next_step_fits_the_result(result: dict[str, Any], line: str) -> None:
    said = next_step.text(result)
    assert said.startswith(f"Next: {line}")
    assert said.endswith(".")
    assert "\n" not in said


def test_what_cant_be_told_takes_more_runs() -> None:
    """Speeds that jump from run to run, but not in two groups, of which a warning would tell."""
    wide = [60_000, 150_000, 80_000, 110_000, 95_000, 70_000, 130_000, 88_000, 102_000, 120_000]
    more = "Next: what can't be told takes more runs of its load: --repeats"
    assert next_step.text(pairs(wide, QUICK)).startswith(f"{more} 20, or longer ones")
    assert next_step.text(pairs(wide * 2, QUICK * 2)).startswith(f"{more} 40, or longer ones")
