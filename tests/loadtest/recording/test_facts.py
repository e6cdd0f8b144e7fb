"""The facts about a run are the same while it is on and once it has ended, where both can tell them."""

from dataclasses import fields, replace

from loadtest import run_checks
from loadtest.pacing import Periodic
from loadtest.recording import facts
from loadtest.recording.facts import JOINED_SECONDS
from loadtest.run_checks import VariantFacts
from loadtest.scenarios import SCENARIOS
from loadtest.settings import Settings
from tests.support.load.aggregation import SETTINGS, Lab

ONLY_FINAL = {"asked", "stalled", "imbalance"}


def test_live_and_final_facts_agree() -> None:
    lab = Lab()
    client_stats = lab.client("one")
    lab.begin(5)
    lab.ask(client_stats, 0.25)
    client_stats.sent(lab.now, late=True)
    client_stats.failed("corrupt", lab.now)
    client_stats.broke("reset")
    client_stats.connecting(lab.now)
    client_stats.connect_failed("refused", lab.now)
    client_stats.sent(lab.now)
    lab.seconds += 1
    client_stats.failed("timeout", lab.now)
    lab.report()
    live = facts.live(lab.aggregator, SETTINGS, lab.seconds)
    lab.end()
    figures = lab.aggregator.figures
    assert figures is not None
    figures.users["asyncio"] = 1
    final = facts.final(figures, SETTINGS)
    one, other = live.variants["asyncio"], final.variants["asyncio"]
    for name in {field.name for field in fields(VariantFacts)} - ONLY_FINAL:
        assert getattr(one, name) == getattr(other, name), name
    assert (one.sent, one.verified, one.corrupt, one.timeouts, one.late) == (3, 1, 1, 1, 1)
    assert one.lost == {"refused": 1, "reset": 1}
    assert one.unconnected == {"refused": 1}
    assert (live.alone, live.stays, live.rate) == (final.alone, final.stays, final.rate)


def test_a_worker_counts_as_joined_for_a_while() -> None:
    lab = Lab()
    lab.client("one")
    lab.begin(5)
    figures = lab.aggregator.figures
    assert figures is not None
    figures.joined["two"] = lab.seconds
    assert facts.live(lab.aggregator, SETTINGS, lab.seconds + JOINED_SECONDS - 1).joined_workers == 1
    assert facts.live(lab.aggregator, SETTINGS, lab.seconds + JOINED_SECONDS).joined_workers == 0
    assert facts.final(figures, SETTINGS).joined_workers == 1


def test_facts_are_about_what_the_run_did() -> None:
    lab = Lab()
    client_stats = lab.client("one")
    lab.begin(5)
    client_stats.sent(lab.now, late=True)
    lab.seconds += 2
    client_stats.failed("corrupt", lab.now)
    client_stats.broke("corrupt")
    client_stats.broke("reset")
    client_stats.schedule = Periodic(lab.now, 10**9)
    lab.worker("one").lagged(7000)
    lab.end()
    figures = lab.aggregator.figures
    assert figures is not None
    alone = Settings(SCENARIOS["churn"], rate=5.0, arrivals="periodic", warmup=0.0, result=None)
    changing = {"asyncio": run_checks.Change(10, 20, 100, 50)}
    found = facts.final(figures, alone, changing)
    names = ("cpu_ratio", "busy_ratio", "starved_ratio", "stolen_ratio")
    ratios = {name: round(getattr(found, name), 9) for name in names}
    assert replace(found, **ratios) == run_checks.Facts(
        alone=True,
        rate=5.0,
        seconds=2.0,
        cpu_ratio=0.1,
        busy_ratio=0.5,
        starved_ratio=0.015,
        stolen_ratio=0.01,
        lag_p99=0.007,
        lost_workers=0,
        joined_workers=0,
        changing=changing,
        variants={
            "asyncio": run_checks.VariantFacts(
                users=2,
                connected=1,
                served=0,
                missing=1,
                sent=1,
                asked=1,
                late=1,
                unsent=1,
                corrupt=2,
                lost={"reset": 1},
            ),
        },
    )
