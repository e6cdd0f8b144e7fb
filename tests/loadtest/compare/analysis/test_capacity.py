"""The search for a capacity: its logic against simulated servers, and all of it against a real one."""

import json
import math
from collections.abc import Callable, Iterator
from dataclasses import replace
from itertools import count
from pathlib import Path
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from loadtest.compare.analysis.capacity import Bracket, Limits, Probe, conclude, find_capacity, propose
from loadtest.compare.analysis.slo_check import SloAnswer
from loadtest.compare.candidates import LAB, Candidate
from loadtest.compare.measure import load, machine
from loadtest.compare.measure.load import Load
from loadtest.compare.measure.run import Laboratory, RunFailedError
from loadtest.compare.plan import Workload
from loadtest.compare.slo import parse
from loadtest.lab.processes import Children, Interrupt, InterruptedByUserError
from loadtest.recording.histogram import Bounds
from tests.loadtest.compare import results
from tests.support.stubs.limited import LIMIT

MET, MISSED, CANNOT_TELL = SloAnswer.MET, SloAnswer.MISSED, SloAnswer.CANNOT_TELL

limits = st.builds(
    lambda start, more, ratio: Limits(start, start + more, ratio, budget=1000),
    st.integers(1, 300),
    st.integers(0, 6000),
    st.floats(1.01, 3),
)


def search(oracle: Callable[[int], SloAnswer], within: Limits) -> Bracket:
    """Ask the oracle until the search ends; fail if it asks too often, or for a forbidden number."""
    probes: list[Probe] = []
    while (clients := propose(probes, within)) is not None:
        assert 1 <= clients <= within.most
        assert len(probes) < within.budget
        answer = oracle(clients)
        probes.append(Probe(clients, answer, why="" if answer is MET else f"reason at {clients}"))
    return conclude(probes, within)


def up_to(threshold: int, otherwise: SloAnswer = MISSED) -> Callable[[int], SloAnswer]:
    return lambda clients: MET if clients <= threshold else otherwise


def tried(bracket: Bracket) -> list[int]:
    return [probe.clients for probe in bracket.probes]


def test_it_doubles_halves_and_tries_ends_twice() -> None:
    found = search(up_to(200), Limits(start=50, most=5000))
    assert tried(found) == [50, 100, 200, 400, 400, 283, 283, 238, 238, 200]
    assert (found.low, found.high, found.why, found.contradictions) == (200, 238, "", ())


@settings(deadline=None)
@given(st.integers(0, 7000), limits)
def test_a_bracket_holds_the_threshold_and_is_close(threshold: int, within: Limits) -> None:
    found = search(up_to(threshold), within)
    assert found.contradictions == ()
    assert found.low <= threshold
    if found.high is None:
        assert found.low == within.most
        assert found.why.startswith("no more than ")
    else:
        assert threshold < found.high
        assert found.high <= max(found.low * within.ratio, found.low + 1)
        assert found.why == ""


@settings(deadline=None)
@given(st.integers(0, 7000), limits)
def test_the_number_of_tries_is_bounded(threshold: int, within: Limits) -> None:
    doublings = math.ceil(math.log2(within.most / within.start)) + 1
    # Each halving of the bracket takes the root of high / low, or nearly where numbers are small.
    halvings = math.log2(math.log(max(2, within.start)) / math.log(within.ratio) + 1) + 8
    assert len(search(up_to(threshold), within).probes) <= doublings + 2 * halvings + 1


def test_usual_searches_take_few_tries() -> None:
    took = {threshold: len(search(up_to(threshold), Limits()).probes) for threshold in (0, 1, 9, 100, 900, 4999, 5000)}
    assert took == {0: 8, 1: 8, 9: 8, 100: 9, 900: 11, 4999: 12, 5000: 11}


@settings(deadline=None)
@given(st.randoms(use_true_random=False), limits, st.lists(st.sampled_from(list(SloAnswer)), min_size=1, unique=True))
def test_it_ends_whatever_is_answered(chance: Random, within: Limits, answers: list[SloAnswer]) -> None:
    found = search(lambda _: chance.choice(answers), replace(within, budget=200))
    assert len(found.probes) < 200
    answered = {n: [probe.answer for probe in found.probes if probe.clients == n] for n in tried(found)}
    assert all(len(each) <= 3 for each in answered.values())
    assert found.low == 0 or answered[found.low].count(MET) >= 2
    assert found.high is None or (found.low < found.high and answered[found.high].count(MISSED) >= 2)


@settings(deadline=None)
@given(st.integers(1, 5000), st.randoms(use_true_random=False))
def test_one_disturbed_try_at_each_number_changes_nothing(threshold: int, chance: Random) -> None:
    """Neither a chance miss within the SLO nor a chance success beyond it repeats."""
    disturbed: dict[int, int] = {}
    asked: dict[int, Iterator[int]] = {}

    def oracle(clients: int) -> SloAnswer:
        turn = next(asked.setdefault(clients, count()))
        if clients <= threshold and turn == disturbed.setdefault(clients, chance.randrange(3)):
            return MISSED
        return MET if clients <= threshold else MISSED

    found = search(oracle, Limits(budget=1000))
    assert found.low <= threshold < (found.high or math.inf)
    assert found.why in ("", "no more than 5,000 clients were tried")


def test_answers_that_contradict_each_other_are_said() -> None:
    answers = {100: [MET, MISSED, MET], 200: [MISSED, MISSED]}
    found = search(lambda clients: answers[clients].pop(0), Limits(start=100, ratio=2))
    assert (found.low, found.high) == (100, 200)
    assert found.contradictions == ("at 100 clients it was met, then missed, then met",)


def test_a_lucky_low_end_is_given_up() -> None:
    answers = {50: [MET, MET], 100: [MET, MISSED, MISSED], 200: [MISSED, MISSED], 71: [MISSED, MISSED]}
    found = search(lambda clients: answers[clients].pop(0), Limits(start=50, ratio=2))
    assert tried(found) == [50, 100, 200, 200, 100, 100, 50]
    assert (found.low, found.high) == (50, 100)
    assert found.contradictions == ("at 100 clients it was met, then missed, then missed",)


def test_a_server_quick_again_later_is_reported() -> None:
    probes = [
        Probe(each, answer) for each, answer in ((400, MET), (400, MET), (200, MISSED), (200, MISSED), (150, MET))
    ]
    found = conclude(probes, Limits())
    assert (found.low, found.high) == (150, 200)
    assert found.contradictions == ("400 clients were within the SLO, and 200 were not",)


@settings(deadline=None)
@given(st.integers(0, 4999), limits)
def test_an_unclear_end_leaves_the_bracket_open(threshold: int, within: Limits) -> None:
    found = search(up_to(threshold, CANNOT_TELL), within)
    assert found.high is None
    assert found.low <= threshold
    if threshold < within.most:
        end = min(probe.clients for probe in found.probes if probe.answer is CANNOT_TELL)
        assert end <= max(found.low * within.ratio, found.low + 1)
        assert found.why == f"at {end:,} client{'' if end == 1 else 's'} it cannot be told: reason at {end}"


def test_an_unclear_number_keeps_the_bracket_wide() -> None:
    def oracle(clients: int) -> SloAnswer:
        return MET if clients < 120 else CANNOT_TELL if clients < 190 else MISSED

    found = search(oracle, Limits(start=100, most=200))
    assert (found.low, found.high) == (119, 200)
    assert found.why == "at 141 clients it cannot be told: reason at 141"


def test_one_run_that_cannot_tell_is_repeated() -> None:
    answers = {100: [CANNOT_TELL, MET, MET], 200: [MISSED, CANNOT_TELL, MISSED]}
    found = search(lambda clients: answers[clients].pop(0), Limits(start=100, ratio=2))
    assert (found.low, found.high, found.why) == (100, 200, "")


def test_three_different_answers_give_the_unclear_runs_reason() -> None:
    answers = {100: [MET, MET], 200: [MISSED, CANNOT_TELL, MET]}
    found = search(lambda clients: answers[clients].pop(0), Limits(start=100, ratio=2))
    assert (found.low, found.high) == (100, None)
    assert found.why == "at 200 clients it cannot be told: reason at 200"
    assert found.contradictions == ("at 200 clients it was missed, then cannot tell, then met",)


def test_an_interrupted_search_says_what_it_had() -> None:
    within = Limits(start=50, budget=4)
    found = search(up_to(200), within)
    assert (found.low, found.high) == (200, None)  # one miss alone does not count
    assert found.why == "the search was ended after 4 tries"
    assert conclude(found.probes[:2], Limits(start=50)).why == "the search was ended after 2 tries"
    nothing = conclude([], Limits())
    assert (nothing.low, nothing.high, nothing.why) == (0, None, "the search was ended after 0 tries")


def test_a_contradicted_low_end_does_not_count() -> None:
    probes = [Probe(100, MET), Probe(200, MET), Probe(400, MISSED), Probe(400, MISSED), Probe(200, MISSED)]
    found = conclude(probes, Limits(start=100))
    assert (found.low, found.high) == (100, 400)


def test_a_search_resumes_from_what_was_kept() -> None:
    whole = search(up_to(200), Limits(start=50))
    kept = json.loads(json.dumps(whole.as_json()))["probes"]
    probes = [Probe.from_json(each) for each in kept]
    assert tuple(probes) == whole.probes
    assert propose(probes[:5], Limits(start=50)) == whole.probes[5].clients
    bounded = Probe(5, MISSED, Bounds(60_000, None, 100), "p99 of later replies >=60ms")
    assert Probe.from_json(json.loads(json.dumps(Bracket(0, 5, "", (), (bounded,)).as_json()))["probes"][0]) == bounded


def test_a_search_goes_on_above_an_unclear_number() -> None:
    probes = [Probe(50, CANNOT_TELL), Probe(50, CANNOT_TELL), Probe(100, MET)]
    assert propose(probes, Limits(start=100)) == 200


@pytest.mark.parametrize(
    "bad", [{"start": 0}, {"start": 6000}, {"ratio": 1.0}, {"budget": 0}], ids=lambda bad: next(iter(bad))
)
def test_limits_that_leave_nothing_to_search(bad: dict[str, int]) -> None:
    with pytest.raises(ValueError, match="is no search"):
        Limits(**bad)


def imagined(clients: int) -> Load:
    """Return a run in which every reply took as many microseconds as there were clients."""
    durations = {"response": {str(clients): 1000}}
    return load.read(results.load("asyncio", "crowd", clients, histograms=durations))


def test_runs_are_judged_and_told() -> None:
    told: list[Probe] = []
    found = find_capacity(imagined, parse("p99<200us"), Limits(start=150, ratio=1.4), told.append)
    assert (found.low, found.high) == (178, 212)
    assert told == list(found.probes)
    assert told[1] == Probe(300, MISSED, Bounds(300, 300, 1000), "p99 of later replies 300us")


def test_a_run_that_fails_cannot_tell() -> None:
    def probe(clients: int) -> Load:
        if clients > 100:
            raise RunFailedError("the server ended by itself")
        return imagined(clients)

    found = find_capacity(probe, parse("p99<200us"), Limits(start=100), lambda _: None)
    assert (found.low, found.high) == (100, None)
    assert found.why == "at 119 clients it cannot be told: the run failed: the server ended by itself"


def test_what_was_tried_before_an_interruption_is_kept() -> None:
    def probe(clients: int) -> Load:
        if clients > 100:
            raise InterruptedByUserError
        return imagined(clients)

    told: list[Probe] = []
    with pytest.raises(InterruptedByUserError):
        find_capacity(probe, parse("p99<200us"), Limits(start=50), told.append)
    assert conclude(told, Limits(start=50)).low == 100


class StubLaboratory(Laboratory):
    """Locust itself against the limited stub; its clients stay and ask about four times a second."""

    def server_command(self, candidate: Candidate) -> list[str]:
        usual = super().server_command(candidate)
        return [*usual[:2], "tests.support.stubs.limited"]


@pytest.mark.measures
def test_a_stub_slow_past_200_has_that_capacity(tmp_path: Path) -> None:
    with Children() as children, Interrupt(children) as interrupt:
        cores = machine.share_out(machine.usable_cores())
        laboratory = StubLaboratory(tmp_path, cores, children, interrupt)

        def probe(clients: int) -> Load:
            workload = Workload("crowd", clients, warmup=1, seconds=2, think=0.25)
            [measured] = laboratory.put(LAB["asyncio"], [workload])
            found = load.read(measured.load)
            # That the machine has other work does not matter here: it adds no 0.2 s, and makes no 0.4 s shorter.
            return replace(found, warnings=())

        found = find_capacity(probe, parse("p90<200ms"), Limits(start=128), lambda _: None)
    assert found.low <= LIMIT < (found.high or 0), found
    assert (found.high or 0) <= 1.25 * found.low, found
    assert found.why == "", found
