"""
The checks of a run: pure functions over measured facts, each with its threshold.

A check returns its finding in words, or None; the table in run_warnings.py names it.
"""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Final, NamedTuple

BUSY: Final = 0.90
"""Share of a core from which a load process may be the limit."""

LAGGING: Final = 0.005
"""Seconds of loop lag (p99) from which latencies may include the generator's own delay."""

VERY_LAGGING: Final = 0.020
"""
Seconds of loop lag (p99) from which more than later replies and high quantiles may change. With bursts of 8 to 15 ms of
other work on the load's core, which made it lag by 6 to 15 ms, a p50 of 0.08 ms read 0.084 at most, a p99 of 0.43 ms
0.90, a first reply's p99 of 0.75 ms 8.6, and the rate was within 4 %.
"""

STARVED: Final = 0.02
"""
Share of the time that a load process waits for a core, from which its figures change: at 3 % (one other process on its
core) a p99 of 0.5 ms read 2.7 ms; with a core of its own it was 0.2 % at most. The server's CPU per request holds: in
the published comparisons, between a server's runs under one load, it has no trend with this share, from 1 to 5 %.
"""

VERY_STARVED: Final = 0.05
"""
The share from which more than later replies and high quantiles change. Measured in `conversation`, with 120 and 1,200
clients of a server that always had its core, and bursts of 0.3 to 4 ms of other work on the load's: up to 5 %, a p50 of
0.065 ms read 0.077 at most, a p99 of 0.14 ms 0.41 (of 0.16 ms 0.47), a new client's usual wait of 0.25 ms 0.28, and the
rate was within 2 %. At 6 %, the p50 read 0.089 and the wait 0.32 ms.
"""

STOLEN: Final = 0.02
"""Share of a core from which stolen time changes a figure by more than two runs usually differ."""

OWN_FAILURES: Final = frozenset({"no_port", "failed"})
"""Failed connects with a cause on the load's own machine: no local port, no descriptor, an unknown address."""

NEARLY_FULL: Final = 0.90
"""Share of the connection-tracking table in use from which it may have been full: it is read only once a second."""

ON_TIME: Final = 0.98
"""
The least share of due requests that are sent, and of sent requests that are on time. The same tolerance holds for
requests beyond those asked for.
"""

_BOUNDS: Final = "medians and high quantiles are upper bounds"


class Change(NamedTuple):
    """How a variant's replies per second, and their median response time (us), changed within the warm-up's end."""

    rate_before: float
    rate_after: float
    median_before: float
    median_after: float


@dataclass(frozen=True, slots=True)
class VariantFacts:
    """
    What happened to one variant: users, different clients connected and served, and requests.

    missing: clients that never had a connection. pending: those whose connect had no answer for over a second at the
    end. unconnected: failed connects by kind (counters.CONNECTIONS). imbalance: sent - verified - errors - unanswered.
    asked: requests and connects in total. verified: right replies. timeouts: requests. stalled: clients that wait
    longer than the others' replies explain (stalls.py). late: requests that the generator sent late. unsent: due but
    not sent. corrupt: wrong replies, and unrequested bytes. lost: connections that the server closed or reset, with or
    without an open request, and refused connects.
    """

    users: int = 0
    connected: int = 0
    served: int = 0
    missing: int = 0
    pending: int = 0
    unconnected: Mapping[str, int] = field(default_factory=dict)
    imbalance: int = 0
    sent: int = 0
    asked: int = 0
    verified: int = 0
    timeouts: int = 0
    stalled: int = 0
    late: int = 0
    unsent: int = 0
    corrupt: int = 0
    lost: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Facts:
    """
    What was measured about a run; each load figure is the worst of all load processes.

    alone: the scenario loads the variants one after another. stays: its clients never leave. rate: requests per second
    asked for in total; 0 in the closed model. poisson: they fall due at random. seconds: its length. cpu_ratio: cores
    used. busy_ratio: share of the time in which the process worked, or was kept from its core. starved_ratio: share of
    the time in which it waited for a core. stolen_ratio: cores that the host kept back. lag_p99: seconds.
    conntrack_ratio: share of the connection-tracking table in use. lost_workers, joined_workers: load processes that
    vanished, or joined, during the run. changing: the variants whose figures had not settled when the window began.
    """

    alone: bool = False
    stays: bool = False
    rate: float = 0.0
    poisson: bool = False
    seconds: float = 0.0
    cpu_ratio: float = 0.0
    busy_ratio: float = 0.0
    starved_ratio: float = 0.0
    stolen_ratio: float = 0.0
    lag_p99: float = 0.0
    conntrack_ratio: float = 0.0
    lost_workers: int = 0
    joined_workers: int = 0
    variants: Mapping[str, VariantFacts] = field(default_factory=dict)
    changing: Mapping[str, Change] = field(default_factory=dict)


def generator_cpu(facts: Facts) -> str | None:
    """Find a load process at the limit of its core."""
    if facts.cpu_ratio >= BUSY:
        did = f"used {facts.cpu_ratio:.0%} of a core"
    elif facts.busy_ratio >= BUSY:
        did = f"was busy {facts.busy_ratio:.0%} of the time and got {facts.cpu_ratio:.0%} of a core"
    else:
        return None
    return f"a load process {did}: a top speed is the generator's, not the server's"


def starved(facts: Facts, *, slightly: bool = False) -> str | None:
    """Find a load process that waited for a core: often, or slightly."""
    if facts.starved_ratio <= (STARVED if slightly else VERY_STARVED):
        return None
    often = "latencies include that, and a top speed may be the generator's"
    waited = f"a load process waited for a core {facts.starved_ratio:.0%} of the time"
    return f"{waited} (others used it, or a quota was used up): {_BOUNDS if slightly else often}"


def loop_lag(facts: Facts, *, slightly: bool = False) -> str | None:
    """Find an event loop that woke up late: by much, or slightly."""
    if facts.lag_p99 <= (LAGGING if slightly else VERY_LAGGING):
        return None
    effect = _BOUNDS if slightly else "latencies include its own delay"
    return f"a load process woke up {facts.lag_p99 * 1000:.1f} ms late (p99): {effect}"


def late_sends(facts: Facts) -> str | None:
    """Find requests that the generator sent late."""
    late, sent = _total(facts, "late"), _total(facts, "sent")
    return f"the generator sent {late} of {sent} requests over 5 ms late" if late > (1 - ON_TIME) * sent else None


def rate(facts: Facts) -> str | None:
    """Find a rate that was missed or exceeded."""
    sent, unsent = _total(facts, "sent"), _total(facts, "unsent")
    due, asked, more = sent + unsent, facts.rate * facts.seconds, _chance(facts)
    fewer = more if facts.poisson else 0.0
    if asked and sent > (2 - ON_TIME) * asked + 1 + more:
        return f"{sent} requests were sent instead of {asked:.0f}: the servers had more to do than was asked for"
    if facts.rate and sent < ON_TIME * due:
        of_due = f"{unsent} of {due} requests that fell due"
        return f"{of_due} were not sent: their clients waited for replies, or had no connection"
    if facts.rate and due < ON_TIME * asked - 1 - fewer:
        return f"{due} requests fell due instead of {asked:.0f}: clients were missing, or starting"
    return None


def _total(facts: Facts, name: str) -> int:
    return sum(getattr(each, name) for each in facts.variants.values())


def _chance(facts: Facts) -> float:
    """Return how many requests more fall due by chance: three deviations."""
    if facts.poisson:
        return 3 * math.sqrt(facts.rate * facts.seconds)
    return 1.5 * math.sqrt(_total(facts, "users"))  # a client begins anywhere in its interval


def not_settled(facts: Facts) -> str | None:
    """
    Find figures that still changed when the window began.

    Not response times that rise with requests due at a rate: that is a queue at a server that can't keep up, or hardly,
    and the figures show it.
    """
    if rate(facts) is not None:
        return None
    some = [
        f"{name} (from {each.rate_before:,.0f} to {each.rate_after:,.0f} replies/s, the median from"
        f" {each.median_before / 1000:.3g} to {each.median_after / 1000:.3g} ms)"
        for name, each in facts.changing.items()
        if not facts.rate or each.median_after < each.median_before
    ]
    return f"the figures still changed when the window began: {', '.join(some)}" if some else None


def stolen_time(facts: Facts) -> str | None:
    """Find time that the host of a virtual machine kept back."""
    stolen = facts.stolen_ratio
    return f"the host of the load's machine kept back {stolen:.0%} of a core" if stolen > STOLEN else None


def corrupt(facts: Facts) -> str | None:
    """Find wrong bytes."""
    return _by_each(
        facts, "wrong bytes came in place of the replies", lambda each: each.corrupt and f"({each.corrupt})"
    )


def disconnected(facts: Facts) -> str | None:
    """Find connections that a server ended or refused."""
    some = _by_variant({name: each.lost for name, each in facts.variants.items()})
    effect = "it crashed, restarted, or closes by itself, which is not the same as slow"
    return f"a server ended its clients' connections, or did not run: {some}: {effect}" if some else None


def all_at_once(facts: Facts) -> str | None:
    """Find servers that competed for the cores."""
    loaded = [name for name, each in facts.variants.items() if each.users]
    if not facts.alone or len(loaded) < 2:
        return None
    return f"{', '.join(loaded)} were loaded at the same time: they competed for the cores"


def worker_lost(facts: Facts) -> str | None:
    """Find a load process that vanished."""
    lost = facts.lost_workers
    return f"{lost} load process(es) vanished: their last counts are missing" if lost else None


def worker_joined(facts: Facts) -> str | None:
    """Find a load process that joined during the run."""
    joined = facts.joined_workers
    return f"{joined} load process(es) joined during the run, or came back: clients were moved" if joined else None


def conservation(facts: Facts) -> str | None:
    """Find requests without an outcome."""
    wrong = "sent is not verified + errors + unanswered"
    return _by_each(facts, wrong, lambda each: each.imbalance and f"by {each.imbalance}")


def unserved(facts: Facts) -> str | None:
    """Find clients without any reply."""
    return _by_each(
        facts,
        "some clients never had a reply",
        lambda each: each.served < each.connected and f"served {each.served} of {each.connected}",
    )


def timeouts(facts: Facts) -> str | None:
    """Find requests that timed out."""

    def late(each: VariantFacts) -> object:
        # At a server of one client at a time, a client that stays makes the others wait for ever: unserved says that.
        others_wait = facts.stays and each.served == 1 < each.connected
        return each.timeouts and not others_wait and f"({each.timeouts})"

    return _by_each(facts, "requests had no reply within the time allowed", late)


def stalled_clients(facts: Facts) -> str | None:
    """Find clients that a server stopped answering."""
    waited = "clients waited at the end for far longer than the others' replies took"
    found = _by_each(facts, waited, lambda each: each.stalled and f"{each.stalled} of {each.connected}")
    return found and f"{found}: a server that stops answering some clients has more time for the rest"


def nothing_answered(facts: Facts) -> str | None:
    """Find a server without a single right reply."""
    return _by_each(
        facts,
        "no request got a right reply",
        lambda each: each.asked and not each.verified and f"(0 of {each.users} clients served)",
    )


def conntrack(facts: Facts) -> str | None:
    """Find a connection-tracking table that is nearly full."""
    if facts.conntrack_ratio < NEARLY_FULL:
        return None
    return (
        f"the connection-tracking table of a load process's machine was {facts.conntrack_ratio:.0%} full: when it is"
        " full the kernel drops packets, so that connects get no answer and replies are lost"
    )


def local_limit(facts: Facts) -> str | None:
    """Find connects that fail on the load's own machine."""
    own = {
        name: {kind: number for kind, number in each.unconnected.items() if kind in OWN_FAILURES}
        for name, each in facts.variants.items()
    }
    some = _by_variant(own)
    return f"the load's own machine could not connect: {some}" if some else None


def unconnected(facts: Facts) -> str | None:
    """Find clients that never had a connection, and connects without an answer."""
    without = _by_each(
        facts,
        "some clients never had a connection",
        lambda each: (each.unconnected or each.pending) and each.missing,
    )
    failed = _by_variant({name: each.unconnected for name, each in facts.variants.items()})
    pending = _by_each(facts, "connects had no answer at the end", lambda each: each.pending)
    parts = (without, f"connects failed: {failed}" if without and failed else None, pending)
    return "; ".join(filter(None, parts)) or None


def _by_each(facts: Facts, found: str, words: Callable[[VariantFacts], object]) -> str | None:
    """Return a finding with the variants about which `words` says something; None without any."""
    some = [f"{name} {said}" for name, each in facts.variants.items() if (said := words(each))]
    return f"{found}: {', '.join(some)}" if some else None


def _by_variant(counts: Mapping[str, Mapping[str, int]]) -> str:
    """Return counts by variant and kind in words, without empty variants."""
    return "; ".join(
        f"{name} ({', '.join(f'{number} {kind}' for kind, number in kinds.items())})"
        for name, kinds in counts.items()
        if kinds
    )
