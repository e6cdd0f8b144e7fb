"""
Whether a run met its SLO, and the answer of all runs of a candidate under a load.

A run meets its SLO, misses it, or cannot tell. A warning's meaning follows from its possible effect. A delay of the
generator makes replies look slower: a run that met the SLO still met it, but a miss may be the generator's. A load that
was lighter than asked for is the reverse. A run with wrong counts or clients says nothing.
"""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any, Final

from loadtest.compare.analysis.measures import CLOSED_LOOP, fewest_of, of_throughput
from loadtest.compare.analysis.summary import summaries
from loadtest.compare.measure import load
from loadtest.compare.measure.load import Load
from loadtest.compare.slo import Series, Slo, exact_duration, parse
from loadtest.recording.histogram import Bounds, bounded_quantile, quantile
from loadtest.run_warnings import ForSlo, RunWarning, for_slo
from loadtest.scenarios import Scenario

_WORDS: Final = {"response": "later replies", "first_reply": "the first reply"}
# Connects that fail without local ports or descriptors fail on the load's own machine.
_OWN_FAILURES: Final = frozenset({"no_port", "failed"})


class SloAnswer(StrEnum):
    """Whether a run met its SLO."""

    MET = "met"
    MISSED = "missed"
    CANNOT_TELL = "cannot tell"


@dataclass(frozen=True, slots=True)
class SloCheck:
    """
    A run's answer about an SLO.

    bounds: of the decisive quantile, in microseconds; None without any reply. why: the reason in words; if met, "", or
    how few replies it is known of.
    """

    answer: SloAnswer
    bounds: Bounds | None
    why: str = ""


def series_in(scenario: Scenario, series: Series) -> tuple[str, ...]:
    """
    Return the histograms that an SLO concerns in `scenario`; all of them must meet it.

    Unless the SLO says which, these are all replies that a client waits for. If clients ask once and leave, each reply
    is a first one. If they stay, only later ones come within the window (a client without any was not served). If they
    come and go, both count, but never in one quantile: only the first of five replies waits for others to leave, and
    four quick ones would hide it.
    """
    if series == "first" or scenario.requests == 1:
        return ("first_reply",)
    if series == "later" or scenario.requests is None:
        return ("response",)
    return ("first_reply", "response")


def applies_to(scenario: Scenario) -> bool:
    """Whether an SLO can be judged in `scenario`: its latencies are not clients / throughput."""
    return not of_throughput(scenario)


def check_run(slo: Slo, found: Load) -> SloCheck:
    """
    Return whether a run met `slo`.

    found: with all warnings about the run, also those from outside the load. Unserved clients and all failures are
    misses, because the quantile does not include clients without a reply. A miss that a slow generator may have caused
    is distinguished from one that only the server can.
    """
    decisive = _decisive(slo, found)
    certain = _blame(found)
    miss = certain or _lack(slo, found) or (decisive.why if decisive.answer is SloAnswer.MISSED else "")
    slow = "" if certain else _first(found, ForSlo.SLOWER)
    unknown = _spoilt(found) or (f"{miss}; but {slow}" if miss and slow else "") or ("" if miss else _light(found))
    if unknown:
        return replace(decisive, answer=SloAnswer.CANNOT_TELL, why=unknown)
    return replace(decisive, answer=SloAnswer.MISSED, why=miss) if miss else decisive


def _first(found: Load, meaning: ForSlo) -> str:
    """Return the first warning with this meaning, in words; "" without any."""
    return next((f"{each.detail} ({each.name})" for each in found.warnings if for_slo(each.name) is meaning), "")


def _spoilt(found: Load) -> str:
    """Return why the run says nothing, in words; an unknown warning is a reason."""
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
    """Return the failures that only the server can have caused, in words; "" without any."""
    every = {
        "failed requests": _some(found.errors, found.errors.keys() - {"timeout"}),
        "failed connects": _some(found.connections, found.connections.keys() - {"connected", "timeout"}),
        "broken connections": _some(found.breaks, found.breaks.keys()),
    }
    return "; ".join(f"{what}: {some}" for what, some in every.items() if some)


def _lack(slo: Slo, found: Load) -> str:
    """Return the clients without a reply, in words; "" without any."""
    late = {"requests": found.errors.get("timeout", 0), "connects": found.connections.get("timeout", 0)}
    every = [f"{what} that timed out: {number:,}" for what, number in late.items() if number]
    if found.served < found.connected:
        every.append(f"served {found.served:,} of {found.connected:,} connected clients")
    every.append(_first(found, ForSlo.MISSED))
    connecting = sum(number for age, number in found.unfinished.get("connect", {}).items() if age >= slo.limit_us)
    if connecting:
        every.append(f"clients that waited to be connected: {connecting:,}")
    return "; ".join(filter(None, every))


def _some(counts: Mapping[str, int], kinds: Iterable[str]) -> str:
    some = {kind: counts.get(kind, 0) for kind in sorted(kinds)}
    return ", ".join(f"{number:,} {kind}" for kind, number in some.items() if number)


def _decisive(slo: Slo, found: Load) -> SloCheck:
    """Return the answer of the quantiles alone: of several, the one furthest from meeting the SLO."""
    order = [SloAnswer.MET, SloAnswer.CANNOT_TELL, SloAnswer.MISSED]
    each = [_quantile(slo, found, series) for series in series_in(found.scenario, slo.series)]
    return max(each, key=lambda one: (order.index(one.answer), one.bounds.low if one.bounds else 0))


def _quantile(slo: Slo, found: Load, series: str) -> SloCheck:
    """Return the answer of one histogram's quantile."""
    finished, unfinished = found.finished.get(series, {}), dict(found.unfinished.get(series, {}))
    if series == "first_reply" and found.scenario.requests is None:
        # A client in neither histogram had its first reply within the warm-up, after an unknown time.
        before = found.connected - sum(finished.values()) - sum(unfinished.values())
        unfinished[0] = unfinished.get(0, 0) + max(0, before)
    bounds = bounded_quantile(finished, unfinished, slo.quantile)
    name = f"p{slo.quantile * 100:g} of {_WORDS[series]}"
    if bounds is None:
        return SloCheck(SloAnswer.CANNOT_TELL, None, f"no {name}: there were none within the window; measure longer")
    takes = f"where a p{slo.quantile * 100:g} takes {fewest_of(slo.quantile):,}"
    few = bounds.samples < fewest_of(slo.quantile)
    name += f" (of {bounds.samples:,}, {takes})" if few else ""
    took = exact_duration(bounds.low)
    own = quantile(found.send_delay, slo.quantile) if series == "response" else None
    if own and bounds.low >= slo.limit_us > bounds.low - own.microseconds:
        why = f"{name} {took}, of which up to {exact_duration(own.microseconds)} are the generator's own delay"
        return SloCheck(SloAnswer.CANNOT_TELL, bounds, why)
    if bounds.low >= slo.limit_us:
        return SloCheck(SloAnswer.MISSED, bounds, f"{name} {'>=' if bounds.open else ''}{took}")
    if bounds.high is None or bounds.high >= slo.limit_us:
        why = f"{name} >={took}: what was unanswered in the end may be beyond it; measure longer"
        return SloCheck(SloAnswer.CANNOT_TELL, bounds, why)
    most = (bounded_quantile(finished, unfinished, 1.0) if few else None) or bounds
    why = f"{_WORDS[series]} {exact_duration(most.low)}, the slowest of {most.samples:,}, {takes}" if few else ""
    if most.high is not None and most.high < slo.limit_us:
        return SloCheck(SloAnswer.MET, bounds, why)
    return SloCheck(SloAnswer.CANNOT_TELL, bounds, f"{why}; measure longer")


@dataclass(frozen=True, slots=True)
class Kept:
    """What the runs of a candidate under a load say of the SLO: the answer of most, runs by answer, and a reason."""

    who: str
    answer: SloAnswer
    runs: Mapping[SloAnswer, int]
    why: str


def kept(result: Mapping[str, Any]) -> list[Kept]:
    """Return the answers about a result's SLO, for each candidate and load where it can be judged."""
    if not result["plan"]["slo"]:
        return []
    slo = parse(result["plan"]["slo"])
    common = tuple(RunWarning(**each) for each in result["warnings"])
    loads = {run["number"]: run["load"] for run in result["runs"] if run["status"] == "done"}
    found = []
    every = summaries(result)
    rates = Counter((each.candidate.name, *each.workload.load[:2]) for each in every)
    for summary in every:
        swept = summary.workload.rate and rates[summary.candidate.name, *summary.workload.load[:2]] > 1
        if not applies_to(summary.scenario) or swept:  # which rates keep it: sustained.py
            continue
        checked = [
            check_run(slo, replace(load.read(loads[run.number]), warnings=(*run.warnings, *common)))
            for run in summary.shown
        ]
        counts = Counter(each.answer for each in checked)
        most = [answer for answer, number in counts.items() if number * 2 > len(checked)]
        checked.sort(key=lambda each: each.answer is SloAnswer.MET)
        why = next((each.why for each in checked if each.why), "")
        found.append(Kept(summary.who, most[0] if most else SloAnswer.CANNOT_TELL, counts, why))
    return found


def is_missed(result: Mapping[str, Any]) -> bool:
    """Whether any candidate missed the SLO under any load."""
    return any(each.answer is SloAnswer.MISSED for each in kept(result))
