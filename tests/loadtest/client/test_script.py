"""The script: what a client does, without I/O. The scenarios: what may be set."""

import re
import subprocess
import sys
from collections import Counter
from dataclasses import fields, replace
from pathlib import Path
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loadtest.client.script import Pause, Script, Send, SlowClient, Step, Turn, play
from loadtest.scenarios import DEFAULT, MAX_SIZE, MIN_SIZE, SCENARIOS, Scenario
from servers import wire


def copied(step: Step) -> Step:
    """Return the step as it is now: a script yields one Send again and again."""
    return replace(step) if isinstance(step, Send) else step


def drive(script: Script, number: int) -> list[Step]:
    """Return the first `number` steps of a new script; all succeed."""
    return [copied(next(script)), *(copied(script.send(True)) for _ in range(number - 1))]


def steps(
    scenario: Scenario,
    number: int,
    *,
    name: bytes = b"me",
    fail_at: int | None = None,
    slow_client: SlowClient | None = None,
) -> list[Step]:
    """Return the first `number` steps; the connection says that step `fail_at` (from 0) has failed."""
    script = play(scenario, name, Random(1), slow_client or SlowClient())
    found = [copied(next(script))]
    while len(found) < number:
        found.append(copied(script.send(len(found) - 1 != fail_at)))
    return found


def kinds(found: list[Step]) -> list[str]:
    return [type(step).__name__ for step in found]


def test_a_conversation_is_five_requests_pauses_then_leaving() -> None:
    found = steps(SCENARIOS["conversation"], 25)
    one = ["Connect", *["Send", "Pause"] * 4, "Send", "Leave", "Pause"]
    assert kinds(found) == (one * 3)[:25]
    assert [step.last for step in found[:12] if isinstance(step, Send)] == [False] * 4 + [True]


def test_a_saturating_client_stays_and_never_pauses() -> None:
    found = steps(SCENARIOS["saturate"], 200)
    assert kinds(found) == ["Connect"] + ["Send"] * 199
    assert not any(step.last for step in found if isinstance(step, Send))


@pytest.mark.parametrize(
    ("name", "one", "lasts"),
    [
        ("conversation", ["Connect", *["Send", "Pause"] * 4, "Send", "Leave", "Pause"], [False] * 4 + [True]),
        ("saturate", ["Connect", *["Send"] * 50], [False] * 50),
        ("rates", ["Turn", "Connect", "Send", *["Turn", "Send"] * 50], [False] * 51),
        ("churn", ["Connect", "Send", "Leave"], [True]),
        ("crowd", ["Connect", *["Send", "Pause"] * 50], [False] * 50),
        ("slow-client", ["Connect", "Send", "Send", "Leave", "Pause"], [False, True]),
        ("io-bound", ["Connect", "Send", "Leave"], [True]),
        ("cpu-bound", ["Connect", "Send", "Leave"], [True]),
        ("noisy-neighbour", ["Turn", "Connect", "Send", *["Turn", "Send"] * 50], [False] * 51),
        ("database", ["Turn", "Connect", "Send", "Leave"], [True]),
    ],
)
def test_each_scenario_has_its_steps_over_and_over(name: str, one: list[str], lasts: list[bool]) -> None:
    again = 1 if SCENARIOS[name].requests is None else 3
    found = steps(SCENARIOS[name], len(one) * again)
    assert kinds(found) == one * again
    assert [step.last for step in found if isinstance(step, Send)] == lasts * again


def test_every_scenarios_steps_are_tested() -> None:
    closed = {"conversation", "saturate", "churn", "crowd", "slow-client", "io-bound", "cpu-bound"}
    assert set(SCENARIOS) == closed | {"rates", "noisy-neighbour", "database"}


def test_a_script_repeats_the_same_send() -> None:
    script = play(SCENARIOS["saturate"], b"me", Random(1), SlowClient())
    next(script)
    one = script.send(True)
    assert isinstance(one, Send)
    before = one.request
    assert script.send(True) is one
    assert one.request != before


def test_the_crowd_asks_every_20_s_or_so() -> None:
    pauses = [step.seconds for step in steps(SCENARIOS["crowd"], 400) if isinstance(step, Pause)]
    assert all(10 <= seconds <= 30 for seconds in pauses)
    assert min(pauses) < 12 < 28 < max(pauses)  # drawn from the whole range


def test_a_database_answers_mostly_soon_sometimes_late() -> None:
    asked = [step.request for step in steps(SCENARIOS["database"], 40_000) if isinstance(step, Send)]
    waits = sorted(int(re.match(rb"SLEEP (\d+) me", each)[1]) for each in asked)  # type: ignore[index]
    assert waits[len(waits) // 2] == 5
    assert waits[len(waits) * 99 // 100] == pytest.approx(80, rel=0.15)
    assert waits[0] >= 0
    assert len(set(waits)) > 50


def test_no_drawn_amount_is_too_large() -> None:
    wild = replace(SCENARIOS["database"], amount=5_000, amount_p99=2_000_000)
    asked = [step.request for step in steps(wild, 2_000) if isinstance(step, Send)]
    assert max(int(each.split()[1]) for each in asked) == wire.MAX_SLEEP_MS


def test_the_neighbour_computes_without_pause() -> None:
    neighbour = SCENARIOS["noisy-neighbour"].neighbour
    assert neighbour is not None
    found = steps(neighbour, 20)
    assert kinds(found) == ["Connect", *["Send"] * 19]
    assert all(step.request.startswith(b"WORK 1000000 me.") for step in found if isinstance(step, Send))


@pytest.mark.parametrize(("name", "begins"), [("io-bound", b"SLEEP 50 me.1."), ("cpu-bound", b"WORK 50000 me.1.")])
def test_bound_scenarios_ask_for_waiting_and_for_work(name: str, begins: bytes) -> None:
    _, request, *_ = steps(SCENARIOS[name], 2)
    assert isinstance(request, Send)
    assert request.request.startswith(begins)
    assert len(request.request) == len(begins) - len(b"me.1.") + 64 + 1
    assert re.fullmatch(rb"OK me\.1\.[0-9a-f]{8}x{51}\n", request.reply)


def test_request_and_reply_are_what_the_wire_says() -> None:
    _, request, *_ = steps(SCENARIOS["saturate"], 2)
    assert isinstance(request, Send)
    assert re.fullmatch(rb"ECHO me\.1\.[0-9a-f]{8}x{51}\n", request.request)
    assert request.reply == b"OK" + request.request[4:]
    assert len(request.request) == len("ECHO ") + 64 + 1


@pytest.mark.parametrize(
    ("command", "amount", "begins"), [("SLEEP", 20, b"SLEEP 20 me.1."), ("WORK", 9, b"WORK 9 me.1.")]
)
def test_other_commands_carry_their_amount(command: str, amount: int, begins: bytes) -> None:
    scenario = Scenario("x", "x", "x", "x", requests=1, command=command, amount=amount)  # type: ignore[arg-type]
    _, request, *_ = steps(scenario, 2)
    assert isinstance(request, Send)
    assert request.request.startswith(begins)
    assert request.reply.startswith(b"OK me.1.")
    command_asked, amount_asked, tail = wire.parse(request.request.removesuffix(b"\n"))
    assert (command_asked.name, amount_asked) == (command, amount)
    assert wire.ok(tail) == request.reply


def place_of(found: list[Step], kind: str) -> int:
    """Return where the last step of a kind is, of those before the client first leaves."""
    names = kinds(found)
    before = names[: names.index("Leave")] if "Leave" in names else names
    return len(before) - 1 - before[::-1].index(kind)


@pytest.mark.parametrize(
    ("name", "kind"),
    [(name, kind) for name, each in SCENARIOS.items() for kind in ("Connect", "Send") if not each.paced]
    + [("conversation", "Pause"), ("crowd", "Pause")],
)
def test_after_a_failure_it_leaves_and_returns(name: str, kind: str) -> None:
    """A Pause fails if the connection is lost meanwhile."""
    scenario = SCENARIOS[name]
    fail_at = place_of(steps(scenario, 12), kind)
    found = steps(scenario, fail_at + 4, fail_at=fail_at)
    assert kinds(found)[fail_at:] == [kind, "Leave", "Pause", "Connect"]
    pause = found[fail_at + 2]
    assert isinstance(pause, Pause)
    assert 0.5 <= pause.seconds <= 1.5


def test_a_longer_absence_replaces_the_setback() -> None:
    scenario = replace(SCENARIOS["conversation"], away=8.0)
    pause = steps(scenario, 3, fail_at=0)[2]
    assert isinstance(pause, Pause)
    assert 4 <= pause.seconds <= 12


def test_nothing_can_fail_while_it_is_away() -> None:
    found = steps(SCENARIOS["conversation"], 14, fail_at=11)
    assert kinds(found)[10:] == ["Leave", "Pause", "Connect", "Send"]


# The open model


@pytest.mark.parametrize(
    ("name", "one"),
    [
        ("conversation", ["Turn", "Connect", "Send", *["Turn", "Send"] * 4, "Leave"]),
        ("saturate", ["Turn", "Connect", "Send", *["Turn", "Send"] * 50]),
        ("churn", ["Turn", "Connect", "Send", "Leave"]),
        ("crowd", ["Turn", "Connect", "Send", *["Turn", "Send"] * 50]),
        ("slow-client", ["Turn", "Connect", "Send", "Turn", "Send", "Leave"]),
        ("io-bound", ["Turn", "Connect", "Send", "Leave"]),
        ("cpu-bound", ["Turn", "Connect", "Send", "Leave"]),
    ],
)
def test_a_paced_client_waits_its_turn_without_pauses(name: str, one: list[str]) -> None:
    again = 1 if SCENARIOS[name].requests is None else 3
    assert kinds(steps(SCENARIOS[name].tuned(paced=True), len(one) * again)) == one * again


@pytest.mark.parametrize("kind", ["Connect", "Send", "Turn"])
@pytest.mark.parametrize("name", ["conversation", "slow-client", "saturate"])
def test_a_paced_client_goes_on_after_a_failure(name: str, kind: str) -> None:
    """A Turn fails if the connection is lost meanwhile; the same request is due after it."""
    scenario = SCENARIOS[name].tuned(paced=True)
    fail_at = place_of(steps(scenario, 12), kind)
    assert fail_at > 0
    found = steps(scenario, fail_at + 5, fail_at=fail_at)
    assert kinds(found)[fail_at:] == [kind, "Leave", "Turn", "Connect", "Send"]


def test_no_serial_is_skipped_by_a_lost_connection() -> None:
    found = steps(SCENARIOS["conversation"].tuned(paced=True), 8, fail_at=3)
    asked = [step.request[:10] for step in found if isinstance(step, Send)]
    assert isinstance(found[3], Turn)
    assert asked == [b"ECHO me.1.", b"ECHO me.2."]


def test_the_open_model_has_no_think_time() -> None:
    with pytest.raises(ValueError, match="choose one"):
        SCENARIOS[DEFAULT].tuned(think=0.0, paced=True)
    tuned = SCENARIOS[DEFAULT].tuned(paced=True)
    assert replace(tuned, paced=False) == SCENARIOS[DEFAULT]


# Which client stalls

SLOW = SCENARIOS["slow-client"]


def stalls(found: list[Step]) -> list[float]:
    return [step.stall for step in found if isinstance(step, Send)]


@pytest.mark.parametrize("paced", [False, True])
def test_the_first_client_stalls_in_its_second_request(paced: bool) -> None:
    slow_client = SlowClient()
    scenario = SLOW.tuned(paced=paced)
    scripts = [play(scenario, name, Random(1), slow_client) for name in (b"one", b"two", b"three")]
    found = [drive(script, 12) for script in scripts]
    assert stalls(found[0])[:4] == [0, 2, 0, 2]
    assert stalls(found[1])[:4] == stalls(found[2])[:4] == [0, 0, 0, 0]


def test_each_slow_client_stalls_for_itself() -> None:
    assert stalls(steps(SLOW, 3, name=b"one", slow_client=SlowClient())) == [0, 2]
    assert stalls(steps(SLOW, 3, name=b"two", slow_client=SlowClient())) == [0, 2]


def test_the_next_client_takes_over_the_stall() -> None:
    slow_client = SlowClient()
    slow, other = (play(SLOW, name, Random(1), slow_client) for name in (b"one", b"two"))
    next(slow)
    next(other)
    other.close()  # it was not the one
    third = play(SLOW, b"three", Random(1), slow_client)
    assert stalls(drive(third, 3)) == [0, 0]
    slow.close()
    fourth = play(SLOW, b"four", Random(1), slow_client)
    assert stalls(drive(fourth, 3)) == [0, 2]


@pytest.mark.parametrize("paced", [False, True])
def test_the_first_client_back_takes_over_the_stall(paced: bool) -> None:
    slow_client = SlowClient()
    scenario = SLOW.tuned(paced=paced)
    slow, one, other = (play(scenario, name, Random(1), slow_client) for name in (b"slow", b"one", b"other"))
    visit = len(["Connect", "Send", "Send", "Leave"]) + (2 if paced else 1)  # two turns, or a pause
    for script in (slow, one, other):
        assert kinds(drive(script, 2 if paced else 1))[-1] == "Connect"
    slow.close()
    found = [[copied(script.send(True)) for _ in range(3 * visit)] for script in (other, one)]
    assert stalls(found[0]) == [0, 0, 0, 2, 0, 2]  # not in the current visit, which began before
    assert stalls(found[1]) == [0, 0, 0, 0, 0, 0]


class Asked(SlowClient):
    """It counts how often it was asked."""

    def __init__(self) -> None:
        super().__init__()
        self.times = 0

    def stalls(self, name: bytes) -> bool:
        self.times += 1
        return super().stalls(name)


@pytest.mark.parametrize("fail_at", [None, 0, 1, 2])
def test_it_is_asked_once_each_visit(fail_at: int | None) -> None:
    slow_client = Asked()
    found = steps(SLOW, 21, fail_at=fail_at, slow_client=slow_client)
    assert slow_client.times == kinds(found).count("Connect") > 3
    assert slow_client.stalls(b"me")  # the chosen one stays chosen while it is away
    assert not slow_client.stalls(b"another")


def test_a_script_closed_unstarted_never_stalls() -> None:
    slow_client = SlowClient()
    slow = play(SLOW, b"one", Random(1), slow_client)
    play(SLOW, b"two", Random(1), slow_client).close()
    assert stalls(drive(slow, 3)) == [0, 2]


def test_other_scenarios_have_no_client_that_stalls() -> None:
    for name, scenario in SCENARIOS.items():
        if name != "slow-client":
            slow_client = SlowClient()
            script = play(scenario, b"one", Random(1), slow_client)
            found = drive(script, 12)
            assert set(stalls(found)) == {0.0}
            assert slow_client.stalls(b"two")
            script.close()
            assert not slow_client.stalls(b"three")


# Messages


@given(st.integers(MIN_SIZE, 300), st.sampled_from(sorted(SCENARIOS)), st.integers(1, 6))
def test_no_two_messages_are_alike(size: int, name: str, clients: int) -> None:
    scenario = SCENARIOS[name].tuned(size=size)
    texts = Counter(
        step.request
        for number in range(clients)
        for step in steps(scenario, 60, name=b"%016d" % number)
        if isinstance(step, Send)
    )
    assert max(texts.values()) == 1
    commands = {scenario.command + (f" {scenario.amount}" if scenario.amount else "")}
    if scenario.share < 1:
        commands.add("ECHO")
    if not scenario.amount_p99:  # else a command is as long as its amount
        assert {len(text) for text in texts} == {len(f"{command} \n") + size for command in commands}


@pytest.mark.parametrize("name", sorted(SCENARIOS))
def test_a_reply_cannot_be_guessed_from_earlier_ones(name: str) -> None:
    """Two equal clients have no nonce in common, and none repeats its own."""
    nonces = [
        step.reply.split(b".", 2)[2][:8]
        for _ in range(2)
        for step in steps(SCENARIOS[name].tuned(size=MIN_SIZE), 3000)
        if isinstance(step, Send)
    ]
    assert len(nonces) > 1000
    assert all(re.fullmatch(rb"[0-9a-f]{8}", nonce) for nonce in nonces)
    assert len(set(nonces)) >= len(nonces) - 2  # of 2^32, which may repeat by chance
    assert len({nonce[:1] for nonce in nonces}) == 16


@given(st.integers(0, 2**32), st.sampled_from([0.1, 0.5, 0.9]))
def test_a_share_of_requests_asks_for_work(seed: int, share: float) -> None:
    scenario = replace(SCENARIOS["saturate"], command="WORK", amount=70, share=share)
    script = play(scenario, b"me", Random(seed), SlowClient())
    asked = [step for step in drive(script, 2001) if isinstance(step, Send)]
    found = Counter(bytes(re.fullmatch(rb"(WORK 70|ECHO) (me\..*\n)", step.request)[1]) for step in asked)  # type: ignore[index]
    assert found.total() == 2000
    assert abs(found[b"WORK 70"] - 2000 * share) <= 5 * (2000 * share * (1 - share)) ** 0.5
    assert all(step.request.endswith(step.reply.removeprefix(b"OK ")) for step in asked)


def test_the_verdicts_requests_are_echo_and_work() -> None:
    asked = [step.request for step in steps(SCENARIOS["rates"], 4001) if isinstance(step, Send)]
    found = Counter(request.split(b" me.", 1)[0] for request in asked)
    assert set(found) == {b"ECHO", b"WORK 2400"}
    assert 0.45 <= found[b"ECHO"] / len(asked) <= 0.55


@pytest.mark.parametrize("name", [b"x" * 17, b"a.b"])
def test_a_client_whose_name_could_clash_is_refused(name: bytes) -> None:
    with pytest.raises(ValueError, match="dot"):
        next(play(SCENARIOS[DEFAULT], name, Random(), SlowClient()))


@given(st.integers(0, 2**32))
def test_pauses_are_drawn_from_the_scenarios_range(seed: int) -> None:
    script = play(SCENARIOS["conversation"], b"me", Random(seed), SlowClient())
    step: Step = next(script)
    pauses = []
    for _ in range(11):
        step = script.send(True)
        if isinstance(step, Pause):
            pauses.append(step.seconds)
    *thoughts, away = pauses
    assert len(thoughts) == 4
    assert all(0.0075 <= thought <= 0.0225 for thought in thoughts)
    assert 0.5 <= away <= 1.5


def test_every_scenario_says_what_it_shows() -> None:
    assert DEFAULT in SCENARIOS
    for name, scenario in SCENARIOS.items():
        assert scenario.name == name
        assert scenario.sentence.endswith("?")
        assert scenario.does.partition(" ")[0] in {"connects,", "stays,"}
        assert scenario.compare
        assert not scenario.compare.endswith(".")


def test_tuning_changes_only_what_it_names() -> None:
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


def test_the_largest_message_fits_every_command() -> None:
    scenario = Scenario("x", "x", "x", "x", requests=1, command="WORK", amount=wire.MAX_WORK_ROUNDS, size=MAX_SIZE)
    _, request, *_ = steps(scenario, 2, name=b"x" * 16)
    assert isinstance(request, Send)
    assert len(request.request) <= wire.MAX_LINE


def test_what_needs_no_locust_does_not_import_it() -> None:
    """Importing Locust patches the whole process; tests and the comparison use these modules without it."""
    modules = (
        "scenarios", "shapes", "run_warnings", "run_checks", "settings", "pacing", "host_names",
        "client.script", "client.outcomes",
        "recording.recorder", "recording.aggregator", "recording.facts", "recording.result", "cluster.exporter",
        "cluster.compatibility", "cluster.web_guard",
    )  # fmt: skip
    lines = [*(f"import loadtest.{module}" for module in modules), "import sys", "assert 'gevent' not in sys.modules"]
    subprocess.run([sys.executable, "-c", "; ".join(lines)], cwd=Path(__file__).parents[3], check=True)
