"""SLOs: what their texts mean, and which runs meet them."""

from typing import Any, get_args

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from loadtest.compare.analysis.slo_check import SloAnswer, SloCheck, check_run, series_in
from loadtest.compare.measure import load
from loadtest.compare.measure.load import Load
from loadtest.compare.slo import LONGEST_US, Series, Slo, exact_duration, parse
from loadtest.recording.histogram import Bounds
from loadtest.run_warnings import RUN_WARNINGS, ForSlo
from loadtest.scenarios import SCENARIOS
from tests.loadtest.compare import results

MET, MISSED, CANNOT_TELL = SloAnswer.MET, SloAnswer.MISSED, SloAnswer.CANNOT_TELL

slos = st.builds(
    Slo,
    st.sampled_from(get_args(Series)),
    st.integers(1, 1_000_000).map(lambda millionths: millionths / 1_000_000),
    st.integers(1, LONGEST_US),
)


def run(scenario: str = "crowd", clients: int = 50, **changes: Any) -> Load:
    """Return a run of results.load's kind: replies in 1 ms, every 200th in 3 ms."""
    return load.read(results.load("asyncio", scenario, clients, **changes))


def warning(name: str) -> dict[str, Any]:
    return {"load_warnings": [{"name": name, "detail": "it was so", "hint": "r"}]}


def answer(text: str, found: Load) -> tuple[SloAnswer, str]:
    checked = check_run(parse(text), found)
    return checked.answer, checked.why


def meaning(*kinds: ForSlo) -> list[str]:
    """Return the warnings that mean this for an SLO."""
    return sorted(name for name, row in RUN_WARNINGS.items() if row.effect.slo in kinds)


@pytest.mark.parametrize(
    ("text", "slo"),
    [
        ("p99<50ms", Slo("", 0.99, 50_000)),
        ("p50<1ms", Slo("", 0.5, 1_000)),
        ("p99.9<2s", Slo("", 0.999, 2_000_000)),
        ("first p99<100ms", Slo("first", 0.99, 100_000)),
        ("later p99 < 1.5ms", Slo("later", 0.99, 1_500)),
        (" p100 <800us ", Slo("", 1.0, 800)),
        ("p99<30s", Slo("", 0.99, 30_000_000)),
        ("p99<0.000001s", Slo("", 0.99, 1)),
    ],
)
def test_what_a_text_means(text: str, slo: Slo) -> None:
    assert parse(text) == slo


@pytest.mark.parametrize(
    "text",
    [
        *("", "50ms", "p99", "p99<", "p99<50", "p99<50m", "p99>50ms", "p99<=50ms", "99<50ms", "p<50ms"),
        *("last p99<50ms", "firstp99<50ms", "p99<-1ms", "p99<5e1ms", "p99<٥ms", "p99<50ms p50<1ms", "p99<50ms\n\nx"),
        *("p0<50ms", "p101<50ms", "p99.99999<50ms"),
        *("p99<0ms", "p99<31s", "p99<1.0005ms", "p99<0.5us", "p99<" + "9" * 5000 + "s"),
    ],
)
def test_a_bad_text_is_one_line(text: str) -> None:
    with pytest.raises(ValueError, match=r"is not an SLO") as caught:
        parse(text)
    assert "\n" not in str(caught.value)


def test_a_bad_text_is_told_what_to_do() -> None:
    with pytest.raises(
        ValueError, match=r"'fast' is not an SLO; write it like p99<50ms, p50<800us, or first p99.9<2s$"
    ):
        parse("fast")
    with pytest.raises(ValueError, match="whole microseconds, from 1us to 30s"):
        parse("p99<0.5us")


@settings(deadline=None)
@given(slos)
def test_an_slo_and_its_text_are_the_same(slo: Slo) -> None:
    assert parse(str(slo)) == slo


@pytest.mark.parametrize("text", ["p99<50ms", "first p99.9<2s", "later p50<1.5ms", "p100<999us", "p99<63.4ms"])
def test_a_text_comes_back_as_it_was(text: str) -> None:
    assert str(parse(text)) == text


@pytest.mark.parametrize(
    ("microseconds", "text"), [(0, "0us"), (999, "999us"), (1000, "1ms"), (100_000, "100ms"), (20_000_000, "20s")]
)
def test_durations(microseconds: int, text: str) -> None:
    assert exact_duration(microseconds) == text


@pytest.mark.parametrize(
    ("scenario", "default", "later"),
    [
        ("conversation", ("first_reply", "response"), ("response",)),
        ("slow-client", ("first_reply", "response"), ("response",)),
        ("saturate", ("response",), ("response",)),
        ("crowd", ("response",), ("response",)),
        ("churn", ("first_reply",), ("first_reply",)),
        ("io-bound", ("first_reply",), ("first_reply",)),
        ("cpu-bound", ("first_reply",), ("first_reply",)),
    ],
)
def test_which_replies_an_slo_is_about(scenario: str, default: tuple[str, ...], later: tuple[str, ...]) -> None:
    assert series_in(SCENARIOS[scenario], "") == default
    assert series_in(SCENARIOS[scenario], "later") == later
    assert series_in(SCENARIOS[scenario], "first") == ("first_reply",)


def test_the_quantile_decides() -> None:
    """99.5 % of the replies took 1 ms, the others 3 ms."""
    assert check_run(parse("p99<1.01ms"), run()) == SloCheck(MET, Bounds(1000, 1000, 100_000))
    assert check_run(parse("p99.9<3ms"), run()) == SloCheck(
        MISSED, Bounds(3000, 3000, 100_000), "p99.9 of later replies 3ms"
    )
    assert answer("p99<1ms", run())[0] is MISSED  # below, not at


def test_in_conversation_first_and_later_replies_both_count() -> None:
    waited = run("conversation", histograms={"response": {"200": 900}, "first_reply": {"200": 980, "10000000": 20}})
    assert answer("p99<50ms", waited) == (MISSED, "p99 of the first reply 10s")
    assert answer("first p99<50ms", waited) == (MISSED, "p99 of the first reply 10s")
    assert answer("later p99<50ms", waited) == (MET, "")
    slow = run("conversation", histograms={"response": {"80000": 900}, "first_reply": {"200": 980}})
    assert answer("p99<50ms", slow) == (MISSED, "p99 of later replies 80ms")
    assert answer("first p99<50ms", slow) == (MET, "")


def test_the_quantile_further_from_the_slo_decides() -> None:
    both = run("conversation", histograms={"response": {"90000": 900}, "first_reply": {"80000": 980}})
    assert answer("p99<50ms", both) == (MISSED, "p99 of later replies 90ms")
    histograms = {"response": {"200": 400}, "first_reply": {"40000": 98}}
    unsure = run("conversation", histograms=histograms, censored={"response": {"10000": 40}})
    assert answer("p99<50ms", unsure)[0] is CANNOT_TELL
    assert answer("first p99<50ms", unsure)[0] is MET


def test_one_request_clients_are_judged_by_first_replies() -> None:
    found = run("churn", tuned={"paced": True}, histograms={"response": {}, "first_reply": {"700": 500}})
    assert check_run(parse("p99<1ms"), found) == SloCheck(MET, Bounds(700, 700, 500))
    assert answer("p99<700us", found)[0] is MISSED


def test_what_was_unanswered_may_have_been_too_late() -> None:
    young = run(censored={"response": {"10000": 3000}})
    assert check_run(parse("p99<50ms"), young) == SloCheck(
        CANNOT_TELL,
        Bounds(10_000, None, 103_000),
        "p99 of later replies >=10ms: what was unanswered in the end may be beyond it; measure longer",
    )
    assert answer("p90<50ms", young) == (MET, "")
    between = run(histograms={"response": {"1000": 990, "60000": 20}}, censored={"response": {"10": 10}})
    assert check_run(parse("p98<50ms"), between).bounds == Bounds(1000, 60_000, 1020)
    assert answer("p98<50ms", between)[0] is CANNOT_TELL
    assert answer("p98<61ms", between)[0] is MET
    old = run(censored={"response": {"2000000": 3000}})
    assert answer("p99<50ms", old) == (MISSED, "p99 of later replies >=2s")


@pytest.mark.parametrize(
    ("replies", "found"),
    [
        ({"1000": 499}, (MET, "later replies 1ms, the slowest of 499, where a p99 takes 500")),
        ({"1000": 500}, (MET, "")),
        (
            {"1000": 498, "60000": 1},
            (CANNOT_TELL, "later replies 60ms, the slowest of 499, where a p99 takes 500; measure longer"),
        ),
        ({"1000": 499, "60000": 1}, (MET, "")),
        ({"60000": 120}, (MISSED, "p99 of later replies (of 120, where a p99 takes 500) 60ms")),
    ],
)
def test_a_p99_of_few_replies_says_so(replies: dict[str, int], found: tuple[SloAnswer, str]) -> None:
    assert answer("p99<50ms", run(histograms={"response": replies})) == found


def test_other_quantiles_take_other_numbers() -> None:
    few = run(histograms={"response": {"1000": 4_999}})
    assert answer("p99.9<50ms", few) == (MET, "later replies 1ms, the slowest of 4,999, where a p99.9 takes 5,000")
    assert answer("p99.9<50ms", run(histograms={"response": {"1000": 5_000}})) == (MET, "")
    assert answer("p50<50ms", run(histograms={"response": {"1000": 3}})) == (MET, "")


def test_without_replies_it_cannot_be_told() -> None:
    silent = run("crowd", histograms={"response": {}})
    assert check_run(parse("p99<50ms"), silent) == SloCheck(
        CANNOT_TELL, None, "no p99 of later replies: there were none within the window; measure longer"
    )


def test_first_replies_in_the_warmup_are_not_quick() -> None:
    assert answer("first p99<50ms", run())[0] is CANNOT_TELL
    known = run(histograms={"response": {}, "first_reply": {"700": 50}})
    few = "the first reply 700us, the slowest of 50, where a p99 takes 500"
    assert answer("first p99<50ms", known) == (MET, few)
    again = run(histograms={"response": {}, "first_reply": {"700": 60}})  # ten have come back
    assert check_run(parse("first p99<50ms"), again).bounds == Bounds(700, 700, 60)
    late = run(censored={"first_reply": {"60000": 1}})
    assert answer("first p99<50ms", late) == (MISSED, "p99 of the first reply (of 50, where a p99 takes 500) >=60ms")


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"served": 49}, "served 49 of 50 connected clients"),
        ({"errors": {"timeout": 1, "reset": 0}}, "requests that timed out: 1"),
        ({"errors": {"corrupt": 2, "refused": 1200}}, "failed requests: 2 corrupt, 1,200 refused"),
        ({"connections": {"connected": 50, "timeout": 3}}, "connects that timed out: 3"),
        ({"connections": {"connected": 50, "refused": 7}}, "failed connects: 7 refused"),
        ({"breaks": {"closed": 1}}, "broken connections: 1 closed"),
        ({"connected": 49, "served": 49, "censored": {"connect": {"2000000": 1}}}, "clients that waited to be conn"),
    ],
)
def test_failures_and_unserved_clients_are_always_misses(changes: dict[str, Any], why: str) -> None:
    found = check_run(parse("p99<50ms"), run(**changes))
    assert found.answer is MISSED
    assert found.why.startswith(why)
    assert found.bounds == Bounds(1000, 1000, 100_000)


def test_a_client_that_just_connects_is_no_miss() -> None:
    assert answer("p99<50ms", run(censored={"connect": {"49999": 1}})) == (MET, "")
    assert answer("p99<50ms", run(censored={"connect": {"50000": 1}}))[0] is MISSED


@pytest.mark.parametrize("name", meaning(ForSlo.SLOWER))
def test_slowness_excuses_a_miss_and_keeps_a_success(name: str) -> None:
    assert answer("p99<50ms", run(**warning(name))) == (MET, "")
    assert answer("p99<1ms", run(**warning(name))) == (
        CANNOT_TELL,
        f"p99 of later replies 1ms; but it was so ({name})",
    )
    assert answer("p99<50ms", run(served=49, **warning(name)))[0] is CANNOT_TELL
    assert answer("p99<50ms", run(errors={"timeout": 1}, **warning(name)))[0] is CANNOT_TELL


@pytest.mark.parametrize(
    "changes", [{"errors": {"corrupt": 1}}, {"breaks": {"reset": 1}}, {"connections": {"refused": 1}}]
)
def test_a_slow_generator_excuses_only_its_own_effects(changes: dict[str, Any]) -> None:
    assert answer("p99<50ms", run(**changes, **warning("stolen-time")))[0] is MISSED


@pytest.mark.parametrize("name", meaning(ForSlo.LIGHTER))
def test_a_light_load_can_only_be_missed(name: str) -> None:
    assert answer("p99<50ms", run(**warning(name))) == (CANNOT_TELL, f"it was so ({name})")
    assert answer("p99<1ms", run(**warning(name))) == (MISSED, "p99 of later replies 1ms")


def test_clients_that_did_not_come_were_no_load() -> None:
    few = run(connected=40, served=40)
    assert answer("p99<50ms", few) == (
        CANNOT_TELL,
        "40 of 50 clients connected within the window; measure longer",
    )
    assert answer("p99<1ms", few)[0] is MISSED


@pytest.mark.parametrize("name", [*meaning(ForSlo.VOID), "of-next-year"])
def test_a_run_not_asked_for_says_nothing(name: str) -> None:
    for text in ("p99<50ms", "p99<1ms"):
        assert answer(text, run(**warning(name))) == (CANNOT_TELL, f"it was so ({name})")
    assert answer("p99<50ms", run(errors={"corrupt": 1}, **warning(name)))[0] is CANNOT_TELL


@pytest.mark.parametrize("kind", ["no_port", "failed"])
def test_our_own_failed_connects_are_not_the_servers(kind: str) -> None:
    assert answer("p99<50ms", run(connections={"connected": 50, kind: 9})) == (
        CANNOT_TELL,
        f"connects that failed on the load's own machine: 9 {kind}",
    )


@pytest.mark.parametrize("name", meaning(ForSlo.COUNTED, ForSlo.UNTOUCHED))
def test_warnings_about_the_server_are_counted_instead(name: str) -> None:
    assert answer("p99<50ms", run(**warning(name))) == (MET, "")


def test_clients_left_waiting_are_always_a_miss() -> None:
    assert meaning(ForSlo.MISSED) == ["stalled-clients"]
    assert answer("p99<50ms", run(**warning("stalled-clients"))) == (MISSED, "it was so (stalled-clients)")


def test_what_a_warning_means_for_an_slo() -> None:
    """Literal, so that a row that changes by mistake is seen."""
    assert meaning(ForSlo.SLOWER) == [
        *(
            "all-at-once",
            "busy-machine",
            "generator-cpu",
            "generator-limited",
            "loop-lag",
            "machine-changed",
            "not-pinned",
            "not-settled",
        ),
        *("shared-core", "starved", "stolen-time"),
    ]
    assert meaning(ForSlo.LIGHTER) == ["not-connected", "rate"]
    assert meaning(ForSlo.COUNTED) == [
        *("corrupt", "disconnected", "nothing-answered", "timeouts", "unconnected", "unserved"),
    ]
    assert meaning(ForSlo.UNTOUCHED) == ["busy-core", "no-ceiling", "no-rates", "sink-limited", "two-modes"]


@pytest.mark.parametrize(("delay", "expected"), [(900, MISSED), (1100, CANNOT_TELL)])
def test_a_miss_by_the_generators_delay_is_none(delay: int, expected: SloAnswer) -> None:
    """p99 is 51 ms, of 50 that it may be."""
    histograms = {"response": {"51000": 1000}, "service": {"51000": 1000}}
    spoilt = run(tuned={"paced": True}, histograms=histograms, send_delay={str(delay): 100})
    assert answer("p99<50ms", spoilt)[0] is expected
