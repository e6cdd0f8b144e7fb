"""Doubts: a row for each, on both sides of its threshold."""

import pytest

from loadtest.belief import DOUBTS, Facts, VariantFacts, doubts

GOOD = VariantFacts(users=30, connected=30, served=30)


@pytest.mark.parametrize(
    ("facts", "expected"),
    [
        (Facts(), []),
        (Facts(cpu_ratio=0.899, lag_p99=0.005, variants={"single": GOOD, "asyncio": GOOD}), []),
        (Facts(cpu_ratio=0.90), ["generator-cpu"]),
        (Facts(lag_p99=0.00501), ["loop-lag"]),
        (Facts(alone=True, variants={"asyncio": GOOD}), []),
        (Facts(alone=True, variants={"asyncio": GOOD, "single": VariantFacts()}), []),
        (Facts(alone=True, variants={"asyncio": GOOD, "single": GOOD}), ["all-at-once"]),
        (Facts(alone=False, variants={"asyncio": GOOD, "single": GOOD}), []),
        (Facts(lost_workers=1), ["worker-lost"]),
        (Facts(variants={"asyncio": VariantFacts(imbalance=1)}), ["conservation"]),
        (Facts(variants={"asyncio": VariantFacts(imbalance=-1)}), ["conservation"]),
        (Facts(variants={"single": VariantFacts(users=9, connected=9, served=8)}), ["unserved"]),
        (Facts(variants={"single": VariantFacts(users=9, connected=0, served=0)}), []),
        (Facts(cpu_ratio=1, lag_p99=1, lost_workers=2), ["generator-cpu", "loop-lag", "worker-lost"]),
    ],
)
def test_which_facts_give_rise_to_which_doubts(facts: Facts, expected: list[str]) -> None:
    assert [doubt.name for doubt in doubts(facts)] == expected


def test_a_doubt_says_what_was_seen_and_what_to_do() -> None:
    [doubt] = doubts(
        Facts(variants={"threaded": VariantFacts(users=1000, connected=1000, served=385), "asyncio": GOOD})
    )
    assert doubt.detail == "some clients never had a reply: threaded served 385 of 1000"
    assert doubt.remedy == DOUBTS["unserved"].remedy
    assert all(row.remedy for row in DOUBTS.values())
