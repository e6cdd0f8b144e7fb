"""Warnings: a row for each, on both sides of its threshold."""

import pytest

from loadtest.run_checks import Change, Facts, VariantFacts
from loadtest.run_warnings import FIGURES, RUN_WARNINGS, check

GOOD = VariantFacts(users=30, connected=30, served=30)

FASTER, SLOWER = {"asyncio": Change(100, 100, 900, 800)}, {"asyncio": Change(100, 100, 800, 900)}


def requests(*, sent: int = 0, late: int = 0, unsent: int = 0, corrupt: int = 0) -> dict[str, VariantFacts]:
    return {"asyncio": VariantFacts(sent=sent, late=late, unsent=unsent, corrupt=corrupt)}


@pytest.mark.parametrize(
    ("facts", "expected"),
    [
        (Facts(), []),
        (Facts(cpu_ratio=0.899, busy_ratio=0.899, lag_p99=0.005, variants={"single": GOOD, "asyncio": GOOD}), []),
        (Facts(cpu_ratio=0.90), ["generator-cpu"]),
        (Facts(busy_ratio=0.90), ["generator-cpu"]),
        (Facts(cpu_ratio=0.95, busy_ratio=0.95), ["generator-cpu"]),
        (Facts(starved_ratio=0.02), []),
        (Facts(starved_ratio=0.0201), ["starved"]),
        (Facts(lag_p99=0.00501), ["loop-lag"]),
        (Facts(variants=requests(sent=1000, late=20)), []),
        (Facts(variants=requests(sent=1000, late=21)), ["late-sends"]),
        (Facts(variants=requests(sent=10, late=1)), ["late-sends"]),
        (Facts(variants={**requests(sent=100, late=3), "single": VariantFacts(sent=100)}), []),  # of all variants
        (Facts(rate=100, seconds=10, variants=requests(sent=980, unsent=20)), []),
        (Facts(rate=100, seconds=10, variants=requests(sent=979, unsent=21)), ["rate"]),
        (Facts(rate=100, seconds=10, variants=requests(sent=979)), []),  # 98 % but for one: the last may not be due yet
        (Facts(rate=100, seconds=10, variants=requests(sent=978)), ["rate"]),
        (Facts(rate=100, seconds=10, variants=requests(sent=1021)), []),  # 102 % and one
        (Facts(rate=100, seconds=10, variants=requests(sent=1022)), ["rate"]),
        (Facts(rate=100, seconds=10, variants=requests(sent=2000, unsent=1000)), ["rate"]),
        (Facts(rate=100, seconds=10, variants={"asyncio": VariantFacts(users=100, sent=1036)}), []),  # by chance
        (Facts(rate=100, seconds=10, variants={"asyncio": VariantFacts(users=100, sent=1037)}), ["rate"]),
        (Facts(rate=100, seconds=100, poisson=True, variants=requests(sent=10_501)), []),  # 2 %, 300 by chance, one
        (Facts(rate=100, seconds=100, poisson=True, variants=requests(sent=10_502)), ["rate"]),
        (Facts(rate=100, seconds=100, poisson=True, variants=requests(sent=9_499)), []),
        (Facts(rate=100, seconds=100, poisson=True, variants=requests(sent=9_498)), ["rate"]),
        (Facts(rate=10_000, seconds=100, poisson=True, variants=requests(sent=976_000)), ["rate"]),  # 2.4 %
        (Facts(rate=100, seconds=100, poisson=True, variants=requests(sent=9_700, unsent=300)), ["rate"]),
        (Facts(rate=100, poisson=True, variants=requests(sent=97, unsent=3)), ["rate"]),
        (Facts(rate=100, variants=requests(sent=2000)), []),  # live, as below
        (Facts(rate=100, seconds=10, variants={**requests(sent=490), "single": VariantFacts(sent=490)}), []),
        (Facts(rate=100, seconds=10), ["rate"]),
        (Facts(rate=0.1, seconds=10), []),
        (Facts(rate=100, variants=requests(sent=1)), []),  # live: how many were asked for isn't known
        (Facts(rate=100, variants=requests(sent=97, unsent=3)), ["rate"]),
        (Facts(rate=0, seconds=10, variants=requests(sent=1, unsent=99)), []),  # the closed model asks for no rate
        (Facts(stolen_ratio=0.02), []),
        (Facts(stolen_ratio=0.0201), ["stolen-time"]),
        (Facts(variants=requests(sent=10**6, corrupt=1)), ["corrupt"]),
        (Facts(alone=True, variants={"asyncio": GOOD}), []),
        (Facts(alone=True, variants={"asyncio": GOOD, "single": VariantFacts()}), []),
        (Facts(alone=True, variants={"asyncio": GOOD, "single": GOOD}), ["all-at-once"]),
        (Facts(alone=False, variants={"asyncio": GOOD, "single": GOOD}), []),
        (Facts(lost_workers=1), ["worker-lost"]),
        (Facts(joined_workers=1), ["worker-joined"]),
        (Facts(variants={"asyncio": VariantFacts(imbalance=1)}), ["conservation"]),
        (Facts(variants={"asyncio": VariantFacts(imbalance=-1)}), ["conservation"]),
        (Facts(variants={"single": VariantFacts(users=9, connected=9, served=8)}), ["unserved"]),
        (Facts(variants={"single": VariantFacts(users=9, connected=0, served=0)}), []),
        (Facts(variants={"single": VariantFacts(missing=9)}), []),  # they were away all the time
        (Facts(variants={"single": VariantFacts(unconnected={"refused": 9})}), []),  # all have come in at last
        (Facts(variants={"single": VariantFacts(missing=1, unconnected={"refused": 9})}), ["unconnected"]),
        (Facts(variants={"single": VariantFacts(lost={"refused": 1})}), ["disconnected"]),
        (Facts(variants={"single": VariantFacts(lost={"closed": 1})}), ["disconnected"]),
        (Facts(variants={"single": VariantFacts(unconnected={"no_port": 1})}), ["local-limit"]),
        (Facts(variants={"single": VariantFacts(unconnected={"failed": 1})}), ["local-limit"]),
        (Facts(variants={"single": VariantFacts(missing=20, pending=20)}), ["unconnected"]),
        (Facts(variants={"single": VariantFacts(users=9, connected=9, served=9, pending=1)}), ["unconnected"]),
        (Facts(variants={"single": VariantFacts(timeouts=1)}), ["timeouts"]),
        (Facts(stays=True, variants={"single": VariantFacts(connected=9, served=1, timeouts=8)}), ["unserved"]),
        (Facts(stays=True, variants={"single": VariantFacts(connected=1, served=1, timeouts=1)}), ["timeouts"]),
        (Facts(stays=True, variants={"single": VariantFacts(connected=9, timeouts=9)}), ["unserved", "timeouts"]),
        (Facts(variants={"single": VariantFacts(connected=9, served=1, timeouts=8)}), ["unserved", "timeouts"]),
        (Facts(variants={"single": VariantFacts(stalled=1)}), ["stalled-clients"]),
        (Facts(variants={"single": VariantFacts(asked=1)}), ["nothing-answered"]),
        (Facts(variants={"single": VariantFacts(asked=9, verified=1)}), []),
        (Facts(changing=FASTER), ["not-settled"]),
        (Facts(changing=SLOWER), ["not-settled"]),
        (Facts(rate=100, seconds=10, variants=requests(sent=1000), changing=FASTER), ["not-settled"]),
        (Facts(rate=100, seconds=10, variants=requests(sent=1000), changing=SLOWER), []),  # a queue that grows
        (Facts(rate=100, seconds=10, variants=requests(sent=900, unsent=100), changing=FASTER), ["rate"]),
        (Facts(conntrack_ratio=0.899), []),
        (Facts(conntrack_ratio=0.90), ["conntrack"]),
        (Facts(cpu_ratio=1, lag_p99=1, lost_workers=2), ["generator-cpu", "loop-lag", "worker-lost"]),
    ],
)
def test_which_facts_give_rise_to_which_warnings(facts: Facts, expected: list[str]) -> None:
    assert [warning.name for warning in check(facts)] == expected


@pytest.mark.parametrize(
    ("facts", "detail"),
    [
        (
            Facts(cpu_ratio=0.93, busy_ratio=0.97),
            "a load process used 93% of a core: a top speed is the generator's, not the server's",
        ),
        (
            Facts(cpu_ratio=0.61, busy_ratio=0.97),
            "a load process was busy 97% of the time and got 61% of a core: a top speed is the generator's, not"
            " the server's",
        ),
        (
            Facts(changing={"asyncio": Change(1000, 1234.5, 900, 812.5)}),
            "the figures still changed when the window began: asyncio (from 1,000 to 1,234 replies/s, the median from"
            " 0.9 to 0.812 ms)",
        ),
        (Facts(lag_p99=0.0234), "a load process woke up 23.4 ms late (p99): latencies include its own delay"),
        (
            Facts(lag_p99=0.0123),
            "a load process woke up 12.3 ms late (p99): medians and high quantiles are upper bounds",
        ),
        (
            Facts(starved_ratio=0.03),
            "a load process waited for a core 3% of the time (others used it, or a quota was used up): medians and high"
            " quantiles are upper bounds",
        ),
        (
            Facts(variants={**requests(sent=60, late=4), "single": VariantFacts(sent=40, late=1)}),
            "the generator sent 5 of 100 requests over 5 ms late",
        ),
        (
            Facts(rate=50, seconds=2, variants={**requests(sent=60, unsent=9), "single": VariantFacts(unsent=31)}),
            "40 of 100 requests that fell due were not sent: their clients waited for replies, or had no"
            " connection",
        ),
        (
            Facts(rate=50, seconds=2, variants=requests(sent=60, unsent=1)),
            "61 requests fell due instead of 100: clients were missing, or starting",
        ),
        (
            Facts(rate=50, seconds=2, variants={**requests(sent=60, unsent=9), "single": VariantFacts(sent=61)}),
            "121 requests were sent instead of 100: the servers had more to do than was asked for",
        ),
        (
            Facts(starved_ratio=0.27, cpu_ratio=0.3),
            "a load process waited for a core 27% of the time (others used it, or a quota was used up): latencies"
            " include that, and a top speed may be the generator's",
        ),
        (Facts(stolen_ratio=0.04), "the host of the load's machine kept back 4% of a core"),
        (
            Facts(variants={"threaded": VariantFacts(corrupt=1), "single": GOOD, **requests(corrupt=3)}),
            "wrong bytes came in place of the replies: threaded (1), asyncio (3)",
        ),
        (
            Facts(variants={"single": VariantFacts(lost={"refused": 9, "reset": 2}), "asyncio": GOOD}),
            "a server ended its clients' connections, or did not run: single (9 refused, 2 reset): it crashed,"
            " restarted, or closes by itself, which is not the same as slow",
        ),
        (
            Facts(
                variants={
                    "single": VariantFacts(missing=3, unconnected={"refused": 9, "timeout": 2}),
                    "threaded": VariantFacts(unconnected={"reset": 4}),
                    "asyncio": GOOD,
                }
            ),
            "some clients never had a connection: single 3; connects failed: single (9 refused, 2 timeout); threaded"
            " (4 reset)",
        ),
        (
            Facts(variants={"single": VariantFacts(unconnected={"refused": 9, "no_port": 2}), "asyncio": GOOD}),
            "the load's own machine could not connect: single (2 no_port)",
        ),
        (
            Facts(variants={"single": VariantFacts(users=20, missing=20, pending=20), "asyncio": GOOD}),
            "some clients never had a connection: single 20; connects had no answer at the end: single 20",
        ),
        (
            Facts(variants={"single": VariantFacts(pending=2, unconnected={"timeout": 4})}),
            "connects had no answer at the end: single 2",
        ),
        (
            Facts(variants={"single": VariantFacts(timeouts=3), "threaded": GOOD, "asyncio": VariantFacts(timeouts=1)}),
            "requests had no reply within the time allowed: single (3), asyncio (1)",
        ),
        (
            Facts(variants={"threaded": VariantFacts(connected=50, served=50, stalled=25), "asyncio": GOOD}),
            "clients waited at the end for far longer than the others' replies took: threaded 25 of 50: a server that"
            " stops answering some clients has more time for the rest",
        ),
        (
            Facts(variants={"threaded": VariantFacts(users=20, asked=1), "asyncio": GOOD}),
            "no request got a right reply: threaded (0 of 20 clients served)",
        ),
        (
            Facts(conntrack_ratio=0.97),
            "the connection-tracking table of a load process's machine was 97% full: when it is full the kernel"
            " drops packets, so that connects get no answer and replies are lost",
        ),
        (
            Facts(joined_workers=2),
            "2 load process(es) joined during the run, or came back: clients were moved",
        ),
        (
            Facts(variants={"threaded": VariantFacts(users=1000, connected=1000, served=385), "asyncio": GOOD}),
            "some clients never had a reply: threaded served 385 of 1000",
        ),
    ],
)  # fmt: skip
def test_a_warning_says_what_happened_and_a_hint(facts: Facts, detail: str) -> None:
    [warning] = check(facts)
    assert warning.detail == detail
    assert warning.hint == RUN_WARNINGS[warning.name].hint


OF_SOME = "rate,served,first,p50,p99"
ONE_WAITS = {"single": VariantFacts(users=9, connected=9, served=1, timeouts=2), "asyncio": GOOD}


@pytest.mark.parametrize(
    ("facts", "expected"),
    [
        (Facts(starved_ratio=0.05, variants=ONE_WAITS), ("starved", "note", "p50,p99", "asyncio,single")),
        (Facts(starved_ratio=0.051, variants=ONE_WAITS), ("starved", "doubt", "rate,first,p50,p99", "asyncio,single")),
        (Facts(lag_p99=0.02, variants=ONE_WAITS), ("loop-lag", "note", "p50,p99", "asyncio,single")),
        (Facts(lag_p99=0.021, variants=ONE_WAITS), ("loop-lag", "doubt", "rate,first,p50,p99", "asyncio,single")),
        (Facts(variants=ONE_WAITS), ("unserved", "note", "rate,first,p50,p99", "single")),
        (Facts(variants=ONE_WAITS), ("timeouts", "doubt", "rate,served,first,p50,p99,cpu,memory", "single")),
        (Facts(lost_workers=1, variants=ONE_WAITS), ("worker-lost", "doubt", OF_SOME, "asyncio,single")),
    ],
)  # fmt: skip
def test_a_warning_says_what_it_moves_and_whose(facts: Facts, expected: tuple[str, ...]) -> None:
    name = expected[0]
    [found] = [each for each in check(facts) if each.name == name]
    [moves] = [level.moves for level in RUN_WARNINGS[name].levels if level.degree is found.degree]
    said = ",".join(figure for figure in FIGURES if figure in moves)
    assert (name, found.degree, said, ",".join(sorted(found.variants))) == expected


def test_every_warning_has_a_hint() -> None:
    assert [name for name, row in RUN_WARNINGS.items() if not row.hint] == []
