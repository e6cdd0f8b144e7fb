"""
Whether a run met its SLO, and what the runs of a candidate under a load say together.

A run meets its SLO, misses it, or cannot tell. What a warning does to that follows from what it may have done to the
run. Clients that the generator kept waiting look slower than they were, so that a run which met the SLO in spite of
it did meet it, while one that missed it may owe that to the generator. A load that was lighter than asked for is the
other way round. A run whose counts, or whose clients, are not those asked for says nothing either way.
"""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any, Final

from loadtest.compare.analysis.measures import CLOSED_LOOP, of_throughput
from loadtest.compare.analysis.summary import summaries
from loadtest.compare.measure import load
from loadtest.compare.measure.load import Load
from loadtest.compare.slo import Series, Slo, exact_duration, parse
from loadtest.recording.histogram import Bounds, bounded_quantile
from loadtest.run_warnings import ForSlo, RunWarning, for_slo
from loadtest.scenarios import Scenario

_WORDS: Final = {"response": "later replies", "first_reply": "the first reply"}
# Connects that fail for want of local ports, or of descriptors, fail on the load's own machine.
_OWN_FAILURES: Final = frozenset({"no_port", "failed"})


class SloAnswer(StrEnum):
    """Whether a run met its SLO."""

    MET = "met"
    MISSED = "missed"
    CANNOT_TELL = "cannot tell"


@dataclass(frozen=True, slots=True)
class SloCheck:
    """
    What a run says about an SLO.

    bounds: of the quantile that decided, in microseconds; None without any reply. why: the reason in words, "" if met.
    """

    answer: SloAnswer
    bounds: Bounds | None
    why: str = ""


def series_in(scenario: Scenario, series: Series) -> tuple[str, ...]:
    """
    Return the histograms of a load run that an SLO is about in `scenario`; it is met if all of them meet it.

    Unless the SLO says which, it is about every reply that a client waits for. Where clients ask once and leave,
    each reply is a first one. Where they stay, only the later ones come within the window (and whoever has none at all
    was not served). Where they come and go, it is both, but never in one quantile: of five replies the first alone has
    waited for others to leave, and four quick ones hide it.
    """
    if series == "first" or scenario.requests == 1:
        return ("first_reply",)
    if series == "later" or scenario.requests is None:
        return ("response",)
    return ("first_reply", "response")


def applies_to(scenario: Scenario) -> bool:
    """Whether an SLO can be judged in `scenario`: a latency is the server's, and not clients / throughput."""
    return not of_throughput(scenario)


def check_run(slo: Slo, found: Load) -> SloCheck:
    """
    Return whether a run met `slo`.

    found: with every warning there is about the run, also those that the load does not have itself (as in RunMeasures).
    Clients that were not served, failed requests, failed connects and broken connections are misses whatever the
    quantile, for those who had no reply are not in it. What a slow generator may have caused (a wait, in the end) is
    told apart from what only the server can have done.
    """
    decisive = _decisive(slo, found)
    spoilt = _spoilt(found)
    if spoilt:
        return SloCheck(SloAnswer.CANNOT_TELL, decisive.bounds, spoilt)
    certain = _blame(found)
    miss = certain or _lack(slo, found) or (decisive.why if decisive.answer is SloAnswer.MISSED else "")
    slow = "" if certain else _first(found, ForSlo.SLOWER)
    if miss and slow:
        return SloCheck(SloAnswer.CANNOT_TELL, decisive.bounds, f"{miss}; but {slow}")
    if miss:
        return SloCheck(SloAnswer.MISSED, decisive.bounds, miss)
    light = _light(found)
    if light:
        return SloCheck(SloAnswer.CANNOT_TELL, decisive.bounds, light)
    return decisive


def _first(found: Load, meaning: ForSlo) -> str:
    """Return the first warning that means this, in words; "" if there is none."""
    return next((f"{each.detail} ({each.name})" for each in found.warnings if for_slo(each.name) is meaning), "")


def _spoilt(found: Load) -> str:
    """Return why the run says nothing either way, in words; a warning that is not known here is reason enough."""
    if not applies_to(found.scenario):
        return CLOSED_LOOP
    own = _some(found.connections, _OWN_FAILURES)
    if own:
        return f"connects that failed on the load's own machine: {own}"
    return _first(found, ForSlo.VOID)


def _light(found: Load) -> str:
    """Return why the load was lighter than asked for, in words; "" if it was not."""
    if found.connected < found.users:
        return f"{found.connected:,} of {found.users:,} clients connected within the window; measure longer"
    return _first(found, ForSlo.LIGHTER)


def _blame(found: Load) -> str:
    """Return what only the server can have done, in words; "" if nothing."""
    every = {
        "failed requests": _some(found.errors, found.errors.keys() - {"timeout"}),
        "failed connects": _some(found.connections, found.connections.keys() - {"connected", "timeout"}),
        "broken connections": _some(found.breaks, found.breaks.keys()),
    }
    return "; ".join(f"{what}: {some}" for what, some in every.items() if some)


def _lack(slo: Slo, found: Load) -> str:
    """Return who had no reply, in words; "" if everybody had one."""
    late = {"requests": found.errors.get("timeout", 0), "connects": found.connections.get("timeout", 0)}
    every = [f"{what} that timed out: {number:,}" for what, number in late.items() if number]
    if found.served < found.connected:
        every.append(f"served {found.served:,} of {found.connected:,} connected clients")
    stalled = _first(found, ForSlo.MISSED)
    if stalled:
        every.append(stalled)
    connecting = sum(number for age, number in found.unfinished.get("connect", {}).items() if age >= slo.limit_us)
    if connecting:
        every.append(f"clients that waited to be connected: {connecting:,}")
    return "; ".join(every)


def _some(counts: Mapping[str, int], kinds: Iterable[str]) -> str:
    some = {kind: counts.get(kind, 0) for kind in sorted(kinds)}
    return ", ".join(f"{number:,} {kind}" for kind, number in some.items() if number)


def _decisive(slo: Slo, found: Load) -> SloCheck:
    """Return what the quantiles alone say: of several, the one furthest from meeting the SLO."""
    order = [SloAnswer.MET, SloAnswer.CANNOT_TELL, SloAnswer.MISSED]
    each = [_quantile(slo, found, series) for series in series_in(found.scenario, slo.series)]
    return max(each, key=lambda one: (order.index(one.answer), one.bounds.low if one.bounds else 0))


def _quantile(slo: Slo, found: Load, series: str) -> SloCheck:
    """Return what the quantile of one histogram says."""
    finished, unfinished = found.finished.get(series, {}), dict(found.unfinished.get(series, {}))
    if series == "first_reply" and found.scenario.requests is None:
        # Who stays and is in neither had the first reply within the warm-up: nobody knows after how long.
        before = found.connected - sum(finished.values()) - sum(unfinished.values())
        unfinished[0] = unfinished.get(0, 0) + max(0, before)
    bounds = bounded_quantile(finished, unfinished, slo.quantile)
    name = f"p{slo.quantile * 100:g} of {_WORDS[series]}"
    if bounds is None:
        return SloCheck(SloAnswer.CANNOT_TELL, None, f"no {name}: there were none within the window; measure longer")
    if bounds.low >= slo.limit_us:
        more = ">=" if bounds.open else ""
        return SloCheck(SloAnswer.MISSED, bounds, f"{name} {more}{exact_duration(bounds.low)}")
    if bounds.high is None or bounds.high >= slo.limit_us:
        why = f"{name} >={exact_duration(bounds.low)}: what was unanswered in the end may be beyond it; measure longer"
        return SloCheck(SloAnswer.CANNOT_TELL, bounds, why)
    return SloCheck(SloAnswer.MET, bounds)


@dataclass(frozen=True, slots=True)
class Kept:
    """
    What a candidate's runs under a load say of the SLO.

    who: in words. answer: that of most of its runs, and "cannot tell" if there is no majority. runs: by answer. why: of
    the first run that did not meet it.
    """

    who: str
    answer: SloAnswer
    runs: Mapping[SloAnswer, int]
    why: str


def kept(result: Mapping[str, Any]) -> list[Kept]:
    """Return what there is to say of the SLO of a result; nothing if it has none, or where it can't be judged."""
    if not result["plan"]["slo"]:
        return []
    slo = parse(result["plan"]["slo"])
    common = tuple(RunWarning(**each) for each in result["warnings"])
    loads = {run["number"]: run["load"] for run in result["runs"] if run["status"] == "done"}
    found = []
    for summary in summaries(result):
        if not applies_to(summary.scenario):
            continue
        checked = [
            check_run(slo, replace(load.read(loads[run.number]), warnings=(*run.warnings, *common)))
            for run in summary.shown
        ]
        counts = Counter(each.answer for each in checked)
        most = [answer for answer, number in counts.items() if number * 2 > len(checked)]
        why = next((each.why for each in checked if each.answer is not SloAnswer.MET), "")
        found.append(Kept(summary.who, most[0] if most else SloAnswer.CANNOT_TELL, counts, why))
    return found


def is_missed(result: Mapping[str, Any]) -> bool:
    """Whether any candidate missed the SLO under any load."""
    return any(each.answer is SloAnswer.MISSED for each in kept(result))
