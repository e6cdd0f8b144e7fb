"""The live warnings: when they come and go, how strong they are, and whose figures they are about."""

from collections.abc import Iterable

import pytest

from loadtest.recording.live_warnings import LiveWarnings
from loadtest.run_checks import Facts, VariantFacts

SERVED = VariantFacts(users=30, connected=30, served=30)
WAITING = VariantFacts(users=30, connected=30, served=1)
BOTH = {"single": SERVED, "asyncio": SERVED}


def starved(ratio: float) -> Facts:
    return Facts(starved_ratio=ratio, variants=BOTH)


def shown(every_second: Iterable[Facts]) -> list[dict[str, str]]:
    """Return the degrees of the warnings by name, after each second."""
    live, found = LiveWarnings(), []
    for second, facts in enumerate(every_second):
        live.look(facts, float(second))
        found.append({each.name: str(each.degree) for each in live.warnings()})
    return found


NOTE, DOUBT = {"starved": "note"}, {"starved": "doubt"}


@pytest.mark.parametrize(
    ("ratios", "expected"),
    [
        ([0.019] * 20, [{}] * 20),
        ([0.03, 0.03, 0.03, 0.03], [{}, {}, {}, NOTE]),
        ([0.03, 0.03, 0.019, 0.03, 0.03, 0.03], [{}] * 6),
        ([0.03, 0.03, 0.03, *[0.016] * 20], [{}, {}, {}, *[{}] * 20]),
        ([*[0.03] * 4, *[0.016] * 20], [{}, {}, {}, *[NOTE] * 21]),
        ([*[0.03] * 4, *[0.014] * 12], [{}, {}, {}, NOTE, *[NOTE] * 10, {}, {}]),
        ([*[0.03] * 4, *[0.014] * 9, 0.016, *[0.014] * 10], [{}, {}, {}, *[NOTE] * 21]),
        ([*[0.06] * 4, *[0.04] * 5], [{}, {}, {}, *[DOUBT] * 6]),
        ([*[0.06] * 4, *[0.03] * 12], [{}, {}, {}, DOUBT, *[DOUBT] * 10, NOTE, NOTE]),
    ],
    ids=["below", "comes", "a dip", "too short", "between", "goes", "back again", "eased a little", "weaker"],
)
def test_a_warning_comes_and_goes_late(ratios: list[float], expected: list[dict[str, str]]) -> None:
    assert shown(map(starved, ratios)) == expected


def test_an_event_is_on_at_once() -> None:
    gone = Facts(variants={"single": VariantFacts(users=30, lost={"closed": 1}), "asyncio": SERVED})
    assert shown([gone, *[Facts(variants=BOTH)] * 12]) == [*[{"disconnected": "doubt"}] * 11, {}, {}]


def test_only_the_server_that_is_concerned_is_named() -> None:
    live = LiveWarnings()
    for second in range(5):
        live.look(Facts(starved_ratio=0.03, variants={"single": WAITING, "asyncio": SERVED}), float(second))
    assert {each.name: each.variants for each in live.warnings()} == {
        "starved": ("single", "asyncio"),
        "unserved": ("single",),
    }
    assert [each.detail for each in live.warnings() if each.name == "unserved"] == [
        "some clients never had a reply: single served 1 of 30"
    ]


def test_a_new_run_begins_without_warnings() -> None:
    live = LiveWarnings()
    for second in range(5):
        live.look(starved(0.03), float(second))
    live.forget()
    assert live.warnings() == []
