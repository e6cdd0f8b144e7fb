"""A result from anywhere: it is drawn, or refused in a line that says where and what; never a traceback."""

import json
from collections.abc import Iterator
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from loadtest.__main__ import main
from tests.compare.results import ceiling, cell, cells, comparison, doubt, failed, searched, thorough, weighed

Path_ = tuple[str | int, ...]


def rich() -> dict[str, Any]:
    """Make a small result in which there is something of everything that is read."""
    result = comparison(
        *cells(2, "asyncio", load_doubts=[[doubt("starved")], []]),
        cell("threaded", "conversation", 30, errors={"timeout": 1}, histograms={"first_reply": {"900": 100}}),
        failed("threaded", "no luck"),
        ceiling=ceiling(90_000.0, doubt("stolen-time")),
        memory=[weighed("asyncio", 9.0), weighed("threaded", 41.0)],
        capacity=[searched("asyncio", 5000, None), searched("threaded", 4, 5)],
        doubts=[doubt("not-pinned")],
        settings={"TCPLAB_BACKLOG": "64"},
    )
    result["plan"]["target"] = "p99<50ms"
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
    """Draw a report of it; return the exit status and what was said of it, having checked both."""
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


@settings(deadline=None, max_examples=400, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.tuples(st.sampled_from(PLACES), ODD), min_size=1, max_size=3))
def test_a_changed_result_is_drawn_or_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], changes: list[tuple[Path_, Any]]
) -> None:
    result = RESULT
    for place, value in changes:
        result = changed(result, place, value)
    drawn_or_refused(json.dumps(result), tmp_path, capsys)


@pytest.mark.parametrize("value", [GONE, None, [], {}, "x", -1, True], ids=repr)
def test_each_place_in_turn_is_drawn_or_refused(value: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for place in PLACES:
        drawn_or_refused(json.dumps(changed(RESULT, place, value)), tmp_path, capsys)
