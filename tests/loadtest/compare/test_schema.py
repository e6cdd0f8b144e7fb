"""Any result is drawn, or refused in a line that says where and what; never a traceback."""

import json
from collections.abc import Iterator
from copy import deepcopy
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from loadtest.__main__ import main
from loadtest.compare import schema
from loadtest.compare.analysis.measures import Ceiling
from loadtest.compare.candidates import Candidate
from loadtest.compare.measure.sampler import Usage
from loadtest.compare.plan import Workload
from loadtest.scenarios import Scenario
from tests.loadtest.compare.results import (
    ceiling,
    comparison,
    failed,
    one_run,
    several_runs,
    thorough,
    warning,
    weighed,
)

Path_ = tuple[str | int, ...]


def rich() -> dict[str, Any]:
    """Make a small result with every field that is read."""
    result = comparison(
        *several_runs(2, "asyncio", load_warnings=[[warning("stolen-time")], []]),
        one_run("threaded", "conversation", 30, errors={"timeout": 1}, histograms={"first_reply": {"900": 100}}),
        failed("threaded", "no luck"),
        ceiling=ceiling(90_000.0, warning("stolen-time")),
        memory=[weighed("asyncio", 9.0), weighed("threaded", 41.0)],
        warnings=[warning("not-pinned")],
        settings={"TCPLAB_BACKLOG": "64"},
    )
    result["plan"]["slo"] = "p99<50ms"
    return result


def places(value: Any, at: Path_ = ()) -> Iterator[Path_]:
    """Yield where everything in a document stands."""
    inside = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, each in inside:
        yield (*at, key)
        yield from places(each, (*at, key))


RESULT = rich()
PLACES = sorted(places(RESULT), key=str)
GONE = object()

ODD = st.one_of(
    st.sampled_from([None, [], {}, "", "x", 0, -1, 1, 2, True, False, 1.5, -0.5, 1e-320, 1e308, 10**30, 10**400]),
    st.sampled_from([GONE, float("nan"), float("inf"), float("-inf"), [[]], {"a": {}}, [None], {"name": None}]),
    st.sampled_from(["done", "not run", "saturate", "churn", "p99<50ms", "asyncio", "\ud800", "\x1b[2J", "<b>", "5"]),
    st.integers(),
    st.floats(),
    st.text(max_size=5),
)


def changed(result: dict[str, Any], place: Path_, value: Any) -> dict[str, Any]:
    """Return the result with another value at a place, where that is still there."""
    new = deepcopy(result)
    inside: Any = new
    for key in place[:-1]:
        try:
            inside = inside[key]
        except (KeyError, IndexError, TypeError):
            return new
    try:
        if value is GONE:
            del inside[place[-1]]
        else:
            inside[place[-1]] = value
    except (KeyError, IndexError, TypeError):
        pass
    return new


def drawn_or_refused(content: str | bytes, folder: Path, capsys: pytest.CaptureFixture[str]) -> tuple[int, str]:
    """Draw a report of it, and check status and output; return both."""
    file = folder / "compare.json"
    file.write_bytes(content if isinstance(content, bytes) else content.encode("utf-8", "surrogatepass"))
    status = main(["report", str(file)])
    said = capsys.readouterr()
    assert status in {0, 2}
    if status == 2:
        assert said.err.count("\n") == 1
        assert said.err.startswith(f"tcplab: {file}: ")
        assert said.out == ""
        assert sorted(each.name for each in folder.iterdir()) == ["compare.json"]
    else:
        assert said.err == ""
        for each in folder.iterdir():
            if each != file:
                each.unlink()
    return status, said.err.removeprefix(f"tcplab: {file}: ").strip()


def refused(result: Any, folder: Path, capsys: pytest.CaptureFixture[str]) -> str:
    """Return why it is refused."""
    status, why = drawn_or_refused(result if isinstance(result, str | bytes) else json.dumps(result), folder, capsys)
    assert status == 2
    return why


def test_what_the_lab_writes_is_taken(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for result in (rich(), thorough(10), comparison(failed("threaded", ""), complete=False, ended=None)):
        assert drawn_or_refused(json.dumps(result), tmp_path, capsys) == (0, "")


@settings(deadline=None, max_examples=200, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.tuples(st.sampled_from(PLACES), ODD), min_size=1, max_size=3))
def test_a_changed_result_is_drawn_or_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], changes: list[tuple[Path_, Any]]
) -> None:
    result = RESULT
    for place, value in changes:
        result = changed(result, place, value)
    drawn_or_refused(json.dumps(result), tmp_path, capsys)


@pytest.mark.slow
@pytest.mark.parametrize("value", [GONE, None, [], "x", -1], ids=["gone", "null", "list", "text", "number"])
def test_each_place_in_turn_is_drawn_or_refused(value: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for place in PLACES:
        drawn_or_refused(json.dumps(changed(RESULT, place, value)), tmp_path, capsys)


@pytest.mark.parametrize(
    ("place", "value", "why"),
    [
        (("runs", 2, "load", "window", "ended"), GONE, "runs[2].load.window.ended: it is missing"),
        (("runs", 2, "load", "window", "ended"), "soon", "runs[2].load.window.ended: it should be a valid number"),
        (("runs", 2, "load", "window", "ended"), 0, "runs[2].load.window: the window should end after it started"),
        (("runs", 0, "usage"), None, "runs[0]: load and usage should be there, for its status is done"),
        (("runs", 0, "workload", "clients"), 0, "runs[0].workload.clients: it should be greater than or equal to 1"),
        (("runs", 0, "workload", "clients"), True, "runs[0].workload.clients: it should be a valid integer"),
        (
            ("runs", 0, "workload", "scenario"),
            "unheard-of",
            "runs[0].workload.scenario: it should be a scenario that this version",
        ),
        (("runs", 0, "workload", "scenario"), "churn", "runs[0]: its load is of saturate, its workload of churn"),
        (("runs", 0, "status"), "well", "runs[0].status: it should be 'done', 'failed', 'interrupted' or 'not run'"),
        (("runs", 0, "number"), 2, "two runs have the number 2"),
        (("runs", 0, "candidate"), "stranger", "'stranger' is none of plan.candidates"),
        (("runs",), {}, "runs: it should be a valid list"),
        (("plan",), [], "plan: it should be a valid object"),
        (("plan", "slo"), "fast", "plan.slo: 'fast' is not an SLO; write it like p99<50ms"),
        (("plan", "candidates", 0, "colour"), "red", "plan.candidates[0].colour: it should match pattern"),
        (("plan", "candidates", 0, "name"), "", "plan.candidates[0].name: it should have at least 1 character"),
        (("plan", "candidates", 0, "name"), "asyncio", "plan: two candidates are called 'asyncio'"),
        (("plan", "candidates", 0, "options"), ["--loop"], "plan.candidates[0].options: --loop should have a value"),
        (
            ("plan", "candidates", 0, "options"),
            ["--loop", "--workers", "2"],
            "plan.candidates[0].options: --loop should",
        ),
        (("plan", "candidates", 0, "port"), 9001, "plan.candidates[0].port: it has no place there"),
        (("machine", "packages"), None, "machine.packages: it should be a valid object"),
        (("memory", 0, "silent", "low"), None, "memory[0].silent: low and high should both be there, or neither"),
        (("memory", 0, "spoken"), GONE, "memory[0]: spoken is missing"),
        (("ceiling", "requests_per_second"), 0, "ceiling.requests_per_second: it should be greater than 0"),
        (("ceiling", "cpu_us_per_request"), float("nan"), "ceiling.cpu_us_per_request: it should be a finite number"),
        (("ceiling", "cpu_us_per_request"), float("-inf"), "ceiling.cpu_us_per_request: it should be a finite number"),
        (("runs", 1, "usage", "stolen"), 10**400, "runs[1].usage.stolen: it should be a valid number"),
        (("runs", 1, "usage", "resident"), 10**400, "runs[1].usage.resident: it should be less than or equal to"),
    ],
)
def test_a_fault_is_said_with_its_place(
    place: Path_, value: Any, why: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert refused(changed(RESULT, place, value), tmp_path, capsys).startswith(why)


@pytest.mark.parametrize(
    ("content", "why"),
    [
        ("", "it is incomplete, or not JSON"),
        ("null", "it is not a comparison's result"),
        ("[]", "it is not a comparison's result"),
        ("5", "it is not a comparison's result"),
        ('"text"', "it is not a comparison's result"),
        ("{}", "it is not a comparison's result"),
        (
            '{"kind": "comparison", "schema": 99}',
            "it has schema 99, and this version of the lab reads 3; measure again",
        ),
        ('{"kind": "comparison", "schema": 2, "cells": []}', "it has schema 2, and this version of the lab reads 3;"),
        ('{"kind": "comparison", "schema": true}', "it has schema True, and"),
        ('{"kind": "comparison", "schema": 3}', "command: it is missing (and 11 more)"),
        ("[" * 100_000 + "]" * 100_000, "it is nested too deeply"),
        ('{"a":' * 100_000 + "1" + "}" * 100_000, "it is nested too deeply"),
        (b"\xff\xfe{}", "it is not text in UTF-8 (byte 0)"),
        (b'{"kind": "\xc3\x28"}', "it is not text in UTF-8 (byte 10)"),
        ("\ufeff{}", "it is incomplete, or not JSON"),
        ('{"kind": "comparison", "schema": 3, "schema": 3}', "it is incomplete, or not JSON ('schema' is twice in"),
        ('{"kind": {"a": [{"b": 1, "b": 2}]}}', "it is incomplete, or not JSON ('b' is twice in an object)"),
        ('{"kind": ' + "9" * 5000 + "}", "it is incomplete, or not JSON"),
        ('{"kind": "comparison"', "it is incomplete, or not JSON"),
    ],
)
def test_what_is_no_result_is_refused(
    content: str | bytes, why: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert refused(content, tmp_path, capsys).startswith(why)


@pytest.mark.parametrize("depth", [50, 500, 900])
def test_depth_where_nobody_looks_is_no_matter(depth: int, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    deep = f'{{"deep": {"[" * depth}{"]" * depth}, {json.dumps(RESULT)[1:]}'
    assert drawn_or_refused(deep, tmp_path, capsys) == (0, "")


def test_a_control_character_moves_no_cursor(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    result = changed(RESULT, ("runs", 0, "load", "variants"), {"\x1b[2J\nx": None})
    assert refused(result, tmp_path, capsys).startswith("runs[0].load.variants.\\x1b[2J x: it should be a valid object")


def test_a_result_of_before_is_taken(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """With what was counted and searched then, and without what has come since."""
    old = changed(RESULT, ("simplicity",), [{"candidate": "asyncio", "count": {"lines": 125}}])
    old = changed(old, ("capacity",), [{"candidate": "asyncio", "scenario": "conversation", "low": 4, "high": None}])
    del old["ceiling"], old["memory"]
    assert drawn_or_refused(json.dumps(old), tmp_path, capsys) == (0, "")


@pytest.mark.parametrize(
    ("model", "kind"),
    [
        (schema._Workload, Workload),
        (schema._Candidate, Candidate),
        (schema._Usage, Usage),
        (schema._Tuned, Scenario),
        (schema._Ceiling, Ceiling),
    ],
)
def test_a_whole_result_has_its_fields(model: Any, kind: Any) -> None:
    elsewhere = {"does", "loads"}  # of a scenario's row: Scenario.as_json
    assert list(model.model_fields) == [each.name for each in fields(kind) if each.name not in elsewhere]
