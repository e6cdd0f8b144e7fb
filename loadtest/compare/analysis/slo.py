"""
Whether a run met its target, and what the runs of a subject under a load say together.

A run meets its target, misses it, or cannot tell. What a doubt does to that follows from what it may have done to the
run. Clients that the generator kept waiting look slower than they were, so that a run which met the target in spite of
it did meet it, while one that missed it may owe that to the generator. A load that was lighter than asked for is the
other way round. A run whose counts, or whose clients, are not those asked for says nothing either way.
"""

from collections import Counter
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any, Final

from loadtest.compare.analysis.measures import CLOSED_LOOP, of_throughput
from loadtest.compare.analysis.summary import entries
from loadtest.compare.measure import load
from loadtest.compare.measure.load import Load
from loadtest.compare.slo import Series, Target, duration, parse
from loadtest.recording.histogram import Bounds, bounded_quantile
from loadtest.run_warnings import Doubt
from loadtest.scenarios import Scenario

SLOWS: Final = frozenset(
    {
        "all-at-once",
        "busy-machine",
        "generator-cpu",
        "generator-limited",
        "loop-lag",
        "not-pinned",
        "shared-core",
        "starved",
        "stolen-time",
    }
)
"""
Doubts about what can only have made replies look slower: a miss may be its fault, a target met was met.

That the generator had too little of a core does not make the load lighter as long as requests left on time: whether
they did is a doubt of its own, late-sends. Where clients never pause, what the generator adds to a reply it takes
from the waiting at the server, and no more than that.
"""

LIGHTENS: Final = frozenset({"not-connected", "rate"})
"""Doubts about a load that was lighter than asked for: a target met says nothing, a miss is one all the more."""

JUDGED: Final = frozenset(
    {
        "corrupt",
        "disconnected",
        "nothing-answered",
        "timeouts",
        "unconnected",
        "unserved",
    }
)
"""Doubts about what the server did, which is judged by the counts themselves."""

STALLED: Final = "stalled-clients"
"""The doubt that is a miss by itself, for who is left waiting may be too few to move a quantile."""

_WORDS: Final = {"response": "later replies", "first_reply": "the first reply"}
# Connects that fail for want of local ports, or of descriptors, fail on the load's own machine.
_OWN_FAILURES: Final = frozenset({"no_port", "failed"})


class Answer(StrEnum):
    """Whether a run met its target."""

    MET = "met"
    MISSED = "missed"
    CANNOT_TELL = "cannot tell"


@dataclass(frozen=True, slots=True)
class Judgement:
    """
    What a run says about a target.

    bounds: of the quantile that decided, in microseconds; None without any reply. why: the reason in words, "" if met.
    """

    answer: Answer
    bounds: Bounds | None
    why: str = ""


def series_in(scenario: Scenario, series: Series) -> tuple[str, ...]:
    """
    Return the histograms of a load run that a target is about in `scenario`; it is met if all of them meet it.

    Unless the target says which, it is about every reply that a client waits for. Where clients ask once and leave,
    each reply is a first one. Where they stay, only the later ones come within the window (and whoever has none at all
    was not served). Where they come and go, it is both, but never in one quantile: of five replies the first alone has
    waited for others to leave, and four quick ones hide it.
    """
    if series == "first" or scenario.requests == 1:
        return ("first_reply",)
    if series == "later" or scenario.requests is None:
        return ("response",)
    return ("first_reply", "response")


def is_judged(scenario: Scenario) -> bool:
    """Whether a target can be judged in `scenario`: a latency is the server's, and not clients / throughput."""
    return not of_throughput(scenario)


def judge(target: Target, found: Load) -> Judgement:
    """
    Return whether a run met `target`.

    found: with every doubt there is about the run, also those that the load does not have itself (as in figures.Row).
    Clients that were not served, failed requests, failed connects and broken connections are misses whatever the
    quantile, for those who had no reply are not in it. What a slow generator may have caused (a wait, in the end) is
    told apart from what only the server can have done.
    """
    decisive = _decisive(target, found)
    spoilt = _spoilt(found)
    if spoilt:
        return Judgement(Answer.CANNOT_TELL, decisive.bounds, spoilt)
    certain = _blame(found)
    miss = certain or _lack(target, found) or (decisive.why if decisive.answer is Answer.MISSED else "")
    slow = "" if certain else _first(found, SLOWS)
    if miss and slow:
        return Judgement(Answer.CANNOT_TELL, decisive.bounds, f"{miss}; but {slow}")
    if miss:
        return Judgement(Answer.MISSED, decisive.bounds, miss)
    light = _light(found)
    if light:
        return Judgement(Answer.CANNOT_TELL, decisive.bounds, light)
    return decisive


def _first(found: Load, names: Collection[str]) -> str:
    """Return the first doubt of these names, in words; "" if there is none."""
    return next((f"{doubt.detail} ({doubt.name})" for doubt in found.doubts if doubt.name in names), "")


def _spoilt(found: Load) -> str:
    """Return why the run says nothing either way, in words; a doubt that is not known here is reason enough."""
    if not is_judged(found.scenario):
        return CLOSED_LOOP
    own = _some(found.connections, _OWN_FAILURES)
    if own:
        return f"connects that failed on the load's own machine: {own}"
    return _first(found, {doubt.name for doubt in found.doubts} - SLOWS - LIGHTENS - JUDGED - {STALLED})


def _light(found: Load) -> str:
    """Return why the load was lighter than asked for, in words; "" if it was not."""
    if found.connected < found.users:
        return f"{found.connected:,} of {found.users:,} clients connected within the window; measure longer"
    return _first(found, LIGHTENS)


def _blame(found: Load) -> str:
    """Return what only the server can have done, in words; "" if nothing."""
    every = {
        "failed requests": _some(found.errors, found.errors.keys() - {"timeout"}),
        "failed connects": _some(found.connections, found.connections.keys() - {"connected", "timeout"}),
        "broken connections": _some(found.breaks, found.breaks.keys()),
    }
    return "; ".join(f"{what}: {some}" for what, some in every.items() if some)


def _lack(target: Target, found: Load) -> str:
    """Return who had no reply, in words; "" if everybody had one."""
    late = {"requests": found.errors.get("timeout", 0), "connects": found.connections.get("timeout", 0)}
    every = [f"{what} that timed out: {number:,}" for what, number in late.items() if number]
    if found.served < found.connected:
        every.append(f"served {found.served:,} of {found.connected:,} connected clients")
    stalled = _first(found, {STALLED})
    if stalled:
        every.append(stalled)
    connecting = sum(number for age, number in found.unfinished.get("connect", {}).items() if age >= target.limit_us)
    if connecting:
        every.append(f"clients that waited to be connected: {connecting:,}")
    return "; ".join(every)


def _some(counts: Mapping[str, int], kinds: Iterable[str]) -> str:
    some = {kind: counts.get(kind, 0) for kind in sorted(kinds)}
    return ", ".join(f"{number:,} {kind}" for kind, number in some.items() if number)


def _decisive(target: Target, found: Load) -> Judgement:
    """Return what the quantiles alone say: of several, the one furthest from meeting the target."""
    order = [Answer.MET, Answer.CANNOT_TELL, Answer.MISSED]
    each = [_quantile(target, found, series) for series in series_in(found.scenario, target.series)]
    return max(each, key=lambda one: (order.index(one.answer), one.bounds.low if one.bounds else 0))


def _quantile(target: Target, found: Load, series: str) -> Judgement:
    """Return what the quantile of one histogram says."""
    finished, unfinished = found.finished.get(series, {}), dict(found.unfinished.get(series, {}))
    if series == "first_reply" and found.scenario.requests is None:
        # Who stays and is in neither had the first reply within the warm-up: nobody knows after how long.
        before = found.connected - sum(finished.values()) - sum(unfinished.values())
        unfinished[0] = unfinished.get(0, 0) + max(0, before)
    bounds = bounded_quantile(finished, unfinished, target.quantile)
    name = f"p{target.quantile * 100:g} of {_WORDS[series]}"
    if bounds is None:
        return Judgement(Answer.CANNOT_TELL, None, f"no {name}: there were none within the window; measure longer")
    if bounds.low >= target.limit_us:
        more = ">=" if bounds.open else ""
        return Judgement(Answer.MISSED, bounds, f"{name} {more}{duration(bounds.low)}")
    if bounds.high is None or bounds.high >= target.limit_us:
        why = f"{name} >={duration(bounds.low)}: what was unanswered in the end may be beyond it; measure longer"
        return Judgement(Answer.CANNOT_TELL, bounds, why)
    return Judgement(Answer.MET, bounds)


@dataclass(frozen=True, slots=True)
class Kept:
    """
    What a subject's runs under a load say of the target.

    who: in words. answer: that of most of its runs, and "cannot tell" if there is no majority. runs: by answer. why: of
    the first run that did not meet it.
    """

    who: str
    answer: Answer
    runs: Mapping[Answer, int]
    why: str


def kept(result: Mapping[str, Any]) -> list[Kept]:
    """Return what there is to say of the target of a result; nothing if it has none, or where it can't be judged."""
    if not result["plan"]["target"]:
        return []
    target = parse(result["plan"]["target"])
    common = tuple(Doubt(**each) for each in result["doubts"])
    loads = {cell["number"]: cell["load"] for cell in result["cells"] if cell["status"] == "done"}
    found = []
    for entry in entries(result):
        if not is_judged(entry.scenario):
            continue
        judged = [
            judge(target, replace(load.read(loads[row.number]), doubts=(*row.doubts, *common))) for row in entry.shown
        ]
        counts = Counter(each.answer for each in judged)
        most = [answer for answer, number in counts.items() if number * 2 > len(judged)]
        why = next((each.why for each in judged if each.answer is not Answer.MET), "")
        found.append(Kept(entry.who, most[0] if most else Answer.CANNOT_TELL, counts, why))
    return found


def is_missed(result: Mapping[str, Any]) -> bool:
    """Whether any subject missed the target under any load."""
    return any(each.answer is Answer.MISSED for each in kept(result))
