"""Published claims beside what was measured of them."""

import re
from typing import Any

import pytest

from loadtest.compare.analysis.summary import summaries
from loadtest.compare.publish.known import CLAIMS, Known, Ours, table
from loadtest.compare.publish.published import Published
from loadtest.compare.publish.words import ENGLISH
from tests.loadtest.compare.results import comparison, several_runs, weighed


def rows(*results: dict[str, Any]) -> dict[str, str]:
    """Return the table's rows by their claims."""
    lines = table([Published(f"result {number}", each) for number, each in enumerate(results)], ENGLISH)
    return {line.split(" | ")[0].removeprefix("| "): line for line in list(lines)[2:] if line.startswith("|")}


def of_size(size: int, **costs: float) -> dict[str, Any]:
    """
    Make ten runs of each server with messages of so many bytes; costs: seconds of CPU for 100,000 requests.

    Those on uvloop differ by up to 10 % from run to run, so that a ratio has an interval.
    """
    runs = []
    for name, seconds in costs.items():
        spread = [1 + (place % 3 - 1) / (2000 if name.endswith("_stdlib") else 20) for place in range(10)]
        runs += several_runs(10, name.replace("_", "-"), server_cpu=[seconds * each for each in spread])
    for run in runs:
        run["workload"]["size"] = size
    return comparison(*runs)


def test_without_results_nothing_is_claimed() -> None:
    found = rows(comparison(*several_runs(3, "asyncio")))
    assert len(found) == len(CLAIMS)
    assert all(line.endswith("| not measured |") for line in found.values())


@pytest.mark.parametrize(
    ("uvloop", "answer"),
    [(4.0, "**reproduced** |"), (9.0, "**contradicted here**: the chart is of 2016"), (5.0, "**can't tell** |")],
)
def test_a_claim_is_held_against_the_interval(uvloop: float, answer: str) -> None:
    found = rows(of_size(1024, asyncio=uvloop, asyncio_stdlib=10.0))
    line = found["uvloop makes asyncio 2 to 4 times as fast: streams"]
    assert answer in line
    assert f"| {10 / uvloop:.3g} times (CPU per request of streams, 1,024 bytes: asyncio's loop / uvloop) [1] |" in line
    assert re.search(r"\] \| [\d.]+–[\d.]+ \| 10 \|", line)


def test_other_sizes_settle_nothing() -> None:
    found = rows(of_size(4096, asyncio=4.0, asyncio_stdlib=10.0))
    assert "not measured" in found["uvloop makes asyncio 2 to 4 times as fast: streams"]


def test_few_runs_settle_nothing() -> None:
    few = of_size(64, asyncio=9.0, protocol=8.0)
    few["runs"] = [run for run in few["runs"] if run["repeat"] <= 5]
    assert all("not measured" in line for line in rows(few).values())


def test_echoes_in_a_row_beside_a_neighbour() -> None:
    """The made runs' replies take 1 ms."""
    runs = several_runs(10, "threaded", "noisy-neighbour", 40)
    for run in runs:
        run["workload"]["rate"] = 200.0
    result = comparison(*runs)
    [summary] = summaries(result)
    assert summary["response_p50_us"].value == 1000
    [line] = [line for line in rows(result).values() if "bpo-7946" in line]
    assert "| 1,000 a second (ECHOs in a row" in line
    assert "**contradicted here**" in line


def test_a_thousand_threads_by_their_slope() -> None:
    record = weighed("threaded", 53.0)
    record["container_silent"]["total"] |= {"low": 52e3, "high": 54e3}
    result = comparison(*several_runs(3, "threaded"), memory=[record])
    line = rows(result)["1,000 threads take 1 GB"]
    assert "| 52–54 | 0 | **contradicted here**: that is address space" in line
    assert "| 53 MB (memory of 1,000 silent clients' threads" in line


def test_each_source_is_named_once() -> None:
    lines = list(table([Published("x", of_size(64, asyncio=9.0, protocol=8.0))], ENGLISH))
    assert [line for line in lines if line.startswith("\n[")] == [lines[-1]]
    assert "Machine: Imagined CPU, 2 cores, CPython 3.13.1." in lines[-1]


def test_the_answer_takes_the_whole_interval() -> None:
    claim = Known("it is fast", "somewhere", 2.0, 4.0, "times", "", "", lambda _: None)

    def answer(low: float, high: float) -> str:
        return claim.answer(Ours(Published("x", {}), (low + high) / 2, low, high, 10))

    assert [answer(2.5, 3.5), answer(1.5, 2.5), answer(1.0, 1.9), answer(4.1, 5.0)] == [
        *("reproduced", "can't tell", "contradicted here", "contradicted here")
    ]
