"""What became better or worse from one result to another."""

import json
import re
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest

from loadtest.__main__ import main
from loadtest.compare.analysis.regression import differences
from loadtest.compare.report.differences import answer, text
from tests.loadtest.compare.results import comparison, one_run

SLOWER = [8_000 + 20 * number for number in range(10)]
FASTER = [10_000 + 20 * number for number in range(10)]


def runs(rates: list[int], **changes: Any) -> dict[str, Any]:
    """Make a comparison with a run for each of these rates."""
    some = [one_run("asyncio", repeat=number, verified=10 * rate) for number, rate in enumerate(rates, 1)]
    return comparison(*some, **changes)


def told(before: dict[str, Any], after: dict[str, Any]) -> dict[str, list[str]]:
    found = differences(before, after).found
    return {name: [each.measure for each in found if answer(each) == name] for name in ("worse", "better")}


def test_fewer_requests_are_worse_and_more_are_better() -> None:
    # The server's processor time is the same, so that a request costs more where there were fewer.
    assert told(runs(FASTER), runs(SLOWER)) == {"worse": ["requests_per_second", "cpu_us"], "better": []}
    assert told(runs(SLOWER), runs(FASTER)) == {"worse": [], "better": ["requests_per_second", "cpu_us"]}
    said = text(differences(runs(FASTER), runs(SLOWER)))
    assert (
        "seems worse: asyncio on uvloop, saturate, 50 clients: requests/s 0.80 times what it was (99 % interval 0.7"
        in said
    )
    assert said.isascii()


def test_the_same_is_neither() -> None:
    assert told(runs(FASTER), runs(FASTER)) == {"worse": [], "better": []}
    assert "seems alike: asyncio on uvloop, saturate, 50 clients: requests/s 1.00 times what it was" in text(
        differences(runs(FASTER), runs(FASTER))
    )


def test_a_few_runs_make_nothing_worse() -> None:
    found = differences(runs(FASTER[:3]), runs(SLOWER[:3]))
    assert {answer(each) for each in found.found} == {"too few runs"}
    assert "too few runs: asyncio on uvloop, saturate, 50 clients: requests/s 0.80 times what it was" in text(found)


def test_what_only_one_has_measured_is_named() -> None:
    found = differences(runs(FASTER), comparison(one_run("threaded", clients=7)))
    assert found.found == ()
    assert found.only_before == ("asyncio on uvloop, saturate, 50 clients",)
    assert found.only_after == ("threaded, saturate, 7 clients",)


@pytest.mark.parametrize(("before", "after"), [(FASTER, SLOWER), (SLOWER, FASTER), (FASTER, FASTER)])
def test_two_sessions_are_indicative_and_no_exit_status(
    before: list[int], after: list[int], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name, rates in (("before", before), ("after", after)):
        (tmp_path / f"{name}.json").write_text(json.dumps(runs(rates)))
    assert main(["compare", str(tmp_path / "before.json"), str(tmp_path / "after.json")]) == 0
    said = capsys.readouterr()
    first, *rest = said.out.splitlines()
    assert said.err == ""
    assert first.startswith("Indicative only: two sessions")
    assert "run both interleaved in one session: python -m loadtest compare --against REVISION" in first
    assert rest
    assert all(each.startswith(("seems ", "cannot tell", "too few runs")) for each in rest)


@pytest.mark.parametrize("bad", ["", "{}", "[" * 100_000, "\udcff"])
def test_a_bad_file_is_an_error_still(bad: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    good, other = tmp_path / "good.json", tmp_path / "other.json"
    good.write_text(json.dumps(runs(FASTER)))
    other.write_bytes(bad.encode("utf-8", "surrogateescape"))
    for both in ((good, other), (other, good)):
        assert main(["compare", *map(str, both)]) == 2
        said = capsys.readouterr()
        assert (said.out, said.err.count("\n")) == ("", 1)
        assert said.err.startswith(f"tcplab: {other}: ")


def test_the_help_says_that_two_results_decide_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["compare", "--help"])
    told = " ".join(capsys.readouterr().out.split())
    assert "Two results: 0 whatever differs between them" in told
    assert "That is indicative" in told
    assert "result became worse" not in told


def test_an_open_interval_is_said_as_one() -> None:
    bounded = [{**each, "load": deepcopy(each["load"])} for each in runs(SLOWER)["runs"]]
    for each in bounded[:4]:
        each["load"]["generator"]["busy_ratio"] = 0.95
    said = text(differences(runs(SLOWER), comparison(*bounded)))
    assert re.search(r"requests/s >=1\.0\d times what it was \(99 % interval >= 0\.9\d\); the generator, not the", said)
    back = text(differences(comparison(*bounded), runs(SLOWER)))
    assert re.search(r"requests/s <=1\.0\d times what it was \(99 % interval <= 1\.0\d\)", back)


def test_another_machine_is_said() -> None:
    other = runs(FASTER)
    other["machine"] = {**other["machine"], "cpu": "a faster one"}
    assert "Not the same circumstances: the processor differs: " in text(differences(runs(FASTER), other))
    assert differences(runs(FASTER), runs(FASTER)).elsewhere == ()
