"""The lab's servers on other event loops, at other switch intervals, under other Pythons."""

import json
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from loadtest.compare import conditions
from loadtest.compare.candidates import LAB, OWN_COLOURS, Candidate, from_json
from loadtest.compare.conditions import COLOURS, Python, python, under
from loadtest.compare.plan import chosen

FREE = Python("3.14t", "python3.14t")


def named(*names: str) -> list[Candidate]:
    return [LAB[name] for name in names]


def test_each_with_a_loop_is_on_each() -> None:
    found = under(named("threaded", "asyncio", "protocol"), loops=["uvloop", "asyncio", "rloop"])
    assert [(each.name, each.options, each.label) for each in found] == [
        ("threaded", (), "threaded"),
        ("asyncio", ("--loop", "uvloop"), "asyncio on uvloop"),
        ("asyncio-stdlib", ("--loop", "asyncio"), "asyncio on stdlib"),
        ("asyncio-rloop", ("--loop", "rloop"), "asyncio on rloop"),
        ("protocol", ("--loop", "uvloop"), "protocol on uvloop"),
        ("protocol-stdlib", ("--loop", "asyncio"), "protocol on stdlib"),
        ("protocol-rloop", ("--loop", "rloop"), "protocol on rloop"),
    ]
    assert found[2] == LAB["asyncio-stdlib"]
    assert found[3].title == "asyncio on rloop"


def test_a_variant_named_with_its_loop_counts_once() -> None:
    found = under(named("asyncio", "asyncio-stdlib"), loops=["asyncio", "uvloop", "asyncio"])
    assert [each.name for each in found] == ["asyncio-stdlib", "asyncio"]


def test_threads_are_at_each_switch_interval() -> None:
    found = under(named("single", "threaded", "pool", "asyncio"), intervals=[0.005, 0.0005])
    assert [(each.name, each.options, each.label) for each in found] == [
        ("single", (), "single"),
        ("threaded", ("--switch-interval", "0.005"), "threaded"),
        ("threaded-0.5ms", ("--switch-interval", "0.0005"), "threaded, switch interval 0.5 ms"),
        ("pool", ("--switch-interval", "0.005"), "pool"),
        ("pool-0.5ms", ("--switch-interval", "0.0005"), "pool, switch interval 0.5 ms"),
        ("asyncio", ("--loop", "uvloop"), "asyncio on uvloop"),
    ]


def test_every_variant_is_under_each_python() -> None:
    found = under(named("single", "asyncio"), pythons=[Python("3.14", "python3.14"), FREE])
    assert [(each.name, each.python, each.label) for each in found] == [
        ("single-3.14", "python3.14", "single, Python 3.14"),
        ("single-3.14t", "python3.14t", "single, Python 3.14t"),
        ("asyncio-3.14", "python3.14", "asyncio on uvloop, Python 3.14"),
        ("asyncio-3.14t", "python3.14t", "asyncio on uvloop, Python 3.14t"),
    ]
    assert [each.alone for each in found] == [True, True, False, False]


def test_all_conditions_go_together() -> None:
    found = under(
        named("threaded", "asyncio"), loops=["rloop"], intervals=[0.0005, 0.005], pythons=[FREE, Python("b", "b")]
    )
    assert [each.name for each in found] == [
        *("threaded-0.5ms-3.14t", "threaded-0.5ms-b", "threaded-3.14t", "threaded-b"),
        *("asyncio-rloop-3.14t", "asyncio-rloop-b"),
    ]
    assert found[0].label == "threaded, switch interval 0.5 ms, Python 3.14t"
    assert len({each.label for each in found}) == len({each.colour for each in found}) == len(found)
    assert from_json(json.loads(json.dumps(found[0].as_json()))) == found[0]


def test_a_made_candidate_has_an_unused_colour() -> None:
    used = {*OWN_COLOURS, *(each.colour for each in LAB.values())}
    assert used.isdisjoint(COLOURS)
    assert len(set(COLOURS)) == len(COLOURS)
    [one] = under(named("threaded"), pythons=[FREE])
    assert one.colour in COLOURS


def test_without_conditions_candidates_stay_as_they_are() -> None:
    assert under(LAB.values()) == list(LAB.values())


def test_single_serves_one_under_any_python() -> None:
    """Of clients that stay it serves one, and so has one."""
    plan = chosen(1, under(named("single", "threaded"), pythons=[FREE]), scenarios=["rates"], rates=[1000.0])
    assert [(each.workload.clients, each.candidates) for each in plan.tasks] == [
        (1, ("single-3.14t",)),
        (50, ("threaded-3.14t",)),
    ]


@pytest.mark.parametrize("text", ["python3.14", "=python3.14", "3.14t=", "My Python=python3.14", "a b=c"])
def test_a_bad_python_is_told_in_a_line(text: str) -> None:
    with pytest.raises(ValueError, match="is not a Python: give NAME=PROGRAM") as caught:
        python(text)
    assert "\n" not in str(caught.value)


def test_two_pythons_of_one_name_are_refused() -> None:
    with pytest.raises(ValueError, match="two Pythons have the same name: a, a"):
        under(named("threaded"), pythons=[Python("a", "x"), Python("a", "y")])


def refusal(candidate: Candidate) -> str:
    with pytest.raises(ValueError) as caught:
        conditions.check([candidate])
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_a_python_with_what_servers_need_is_fine() -> None:
    conditions.check(under(named("threaded", "asyncio"), pythons=[Python("same", sys.executable)]))


def test_a_python_without_packages_is_told_how(tmp_path: Path) -> None:
    bare = tmp_path / "bare"
    bare.write_text(f'#!/bin/sh\nexec {sys.executable} -S "$@"\n')
    bare.chmod(0o755)
    said = refusal(replace(LAB["threaded"], python=str(bare)))
    assert said.startswith(
        f"{bare} lacks prometheus_client, which a server needs: {bare} -m pip install -r servers/requirements.lock"
    )


def test_a_missing_loop_is_told_how(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "rloop.py").write_text("raise ImportError")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    said = refusal(replace(LAB["asyncio"], options=("--loop", "rloop")))
    assert said.startswith(f"{sys.executable} lacks rloop, which a server needs: {sys.executable} -m pip install rloop")


@pytest.mark.parametrize(
    ("program", "said"),
    [
        ("no-such-python", "there is no program no-such-python: install that Python, or correct its path in --python"),
        ("./no/python", "there is no program ./no/python: install that Python"),
        ("false", "false can't serve (it ended with status 1): name Python 3.11 or newer in --python"),
    ],
)
def test_what_is_no_python_is_told(program: str, said: str) -> None:
    assert refusal(replace(LAB["threaded"], python=program)).startswith(said)
