"""The script: what a client does, without I/O. The scenarios: what may be set."""

import subprocess
import sys
from collections import Counter
from dataclasses import fields
from pathlib import Path
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loadtest.scenarios import DEFAULT, MAX_SIZE, MIN_SIZE, SCENARIOS, Scenario
from loadtest.script import Connect, Leave, Pause, Send, Step, play
from servers import wire


def steps(scenario: Scenario, number: int, *, who: bytes = b"me", fail_at: int | None = None) -> list[Step]:
    """Return the first `number` steps; the driver says that step `fail_at` (from 0) has failed."""
    script = play(scenario, who, Random(1))
    found = [next(script)]
    while len(found) < number:
        found.append(script.send(len(found) - 1 != fail_at))
    return found


def kinds(found: list[Step]) -> list[str]:
    return [type(step).__name__ for step in found]


def test_a_conversation_is_five_requests_with_pauses_then_leaving() -> None:
    found = steps(SCENARIOS["conversation"], 25)
    one = ["Connect", *["Send", "Pause"] * 4, "Send", "Leave", "Pause"]
    assert kinds(found) == (one * 3)[:25]
    assert [step.last for step in found[:12] if isinstance(step, Send)] == [False] * 4 + [True]


def test_a_saturating_client_stays_and_never_pauses() -> None:
    found = steps(SCENARIOS["saturate"], 200)
    assert kinds(found) == ["Connect"] + ["Send"] * 199
    assert not any(step.last for step in found if isinstance(step, Send))


def test_a_request_and_its_reply_are_what_the_wire_says() -> None:
    _, request, *_ = steps(SCENARIOS["saturate"], 2)
    assert isinstance(request, Send)
    assert request.request == b"ECHO me.1." + b"x" * 59 + b"\n"
    assert request.reply == b"OK me.1." + b"x" * 59 + b"\n"
    assert len(request.request) == len("ECHO ") + 64 + 1


@pytest.mark.parametrize(
    ("command", "amount", "begins"), [("SLEEP", 20, b"SLEEP 20 me.1."), ("WORK", 9, b"WORK 9 me.1.")]
)
def test_other_commands_carry_their_amount(command: str, amount: int, begins: bytes) -> None:
    scenario = Scenario("x", "x", "x", requests=1, command=command, amount=amount)  # type: ignore[arg-type]
    _, request, *_ = steps(scenario, 2)
    assert isinstance(request, Send)
    assert request.request.startswith(begins)
    assert request.reply.startswith(b"OK me.1.")
    command_asked, amount_asked, tail = wire.parse(request.request.removesuffix(b"\n"))
    assert (command_asked.name, amount_asked) == (command, amount)
    assert wire.ok(tail) == request.reply


@pytest.mark.parametrize("fail_at", [0, 1, 5])
def test_after_a_failure_it_leaves_and_stays_away_briefly_then_goes_on(fail_at: int) -> None:
    for scenario in SCENARIOS.values():
        found = steps(scenario, fail_at + 4, fail_at=fail_at)
        if isinstance(found[fail_at], Pause):
            continue  # a pause never fails
        leave, pause, again = found[fail_at + 1 :]
        assert isinstance(leave, Leave)
        assert isinstance(pause, Pause)
        assert 0.5 <= pause.seconds <= 1.5
        assert isinstance(again, Connect)


@given(st.integers(MIN_SIZE, 300), st.sampled_from(sorted(SCENARIOS)), st.integers(1, 6))
def test_no_two_messages_are_alike(size: int, name: str, clients: int) -> None:
    scenario = SCENARIOS[name].tuned(size=size)
    texts = Counter(
        step.request
        for number in range(clients)
        for step in steps(scenario, 60, who=b"%024d" % number)
        if isinstance(step, Send)
    )
    assert max(texts.values()) == 1
    assert {len(text) for text in texts} == {len("ECHO \n") + size}


@pytest.mark.parametrize("who", [b"x" * 25, b"a.b"])
def test_a_client_whose_name_could_clash_is_refused(who: bytes) -> None:
    with pytest.raises(ValueError, match="dot"):
        next(play(SCENARIOS[DEFAULT], who, Random()))


@given(st.integers(0, 2**32))
def test_pauses_are_drawn_from_the_scenarios_range(seed: int) -> None:
    script = play(SCENARIOS["conversation"], b"me", Random(seed))
    step: Step = next(script)
    pauses = []
    for _ in range(11):
        step = script.send(True)
        if isinstance(step, Pause):
            pauses.append(step.seconds)
    *thoughts, away = pauses
    assert len(thoughts) == 4
    assert all(0.05 <= thought <= 0.15 for thought in thoughts)
    assert 0.5 <= away <= 1.5


def test_every_scenario_says_what_it_shows_and_what_may_be_compared() -> None:
    assert DEFAULT in SCENARIOS
    for name, scenario in SCENARIOS.items():
        assert scenario.name == name
        assert scenario.sentence.endswith("?")
        assert scenario.compare.endswith(".")


def test_tuning_changes_what_it_is_told_to_and_nothing_else() -> None:
    base = SCENARIOS["conversation"]
    tuned = base.tuned(think=0.5, size=1000)
    differing = {field.name for field in fields(base) if getattr(base, field.name) != getattr(tuned, field.name)}
    assert differing == {"think", "size"}
    assert (tuned.think, tuned.size) == (0.5, 1000)
    assert base.tuned() == base


@pytest.mark.parametrize("wrong", [{"think": -1.0}, {"think": 9999.0}, {"size": MIN_SIZE - 1}, {"size": MAX_SIZE + 1}])
def test_a_setting_out_of_range_is_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(ValueError, match="choose from"):
        SCENARIOS[DEFAULT].tuned(**wrong)  # type: ignore[arg-type]


def test_the_largest_message_fits_the_wire_with_any_command() -> None:
    scenario = Scenario("x", "x", "x", requests=1, command="WORK", amount=wire.MAX_WORK_ROUNDS, size=MAX_SIZE)
    _, request, *_ = steps(scenario, 2, who=b"x" * 24)
    assert isinstance(request, Send)
    assert len(request.request) <= wire.MAX_LINE


def test_what_needs_no_locust_does_not_import_it() -> None:
    """Importing Locust patches the whole process; tests and the comparison use these modules without it."""
    modules = ("scenarios", "script", "recorder", "ledger", "belief", "result", "exporter", "settings")
    lines = [*(f"import loadtest.{module}" for module in modules), "import sys", "assert 'gevent' not in sys.modules"]
    subprocess.run([sys.executable, "-c", "; ".join(lines)], cwd=Path(__file__).parents[2], check=True)
