"""
The textbook's table of models, checked by measurements; a cell agrees, disagrees, or abstains.

Each claim is a row in CLAIMS: its text, and the experiment that fits it (a thorough comparison has them all). A claim
of "more" or "less" is tested like any other pair of measures (significance.py), and needs ten runs; one about what
happens (which clients wait, how many are served) must hold in every valid run.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from math import inf, sqrt
from statistics import median
from typing import Any, Final, NamedTuple

from loadtest.compare.analysis import modes
from loadtest.compare.analysis.evidence import (
    FASTER_LOAD,
    MORE_RUNS,
    QUIETER,
    Evidence,
    Found,
    Part,
    again,
    at_most,
    between,
    concluded,
    decided,
    few,
    lacking,
    number,
    of_runs,
    ratio,
    spans,
    times,
    told,
)
from loadtest.compare.analysis.significance import MARGIN
from loadtest.compare.analysis.summary import Estimate, Summary, estimate
from loadtest.compare.analysis.sustained import Sustained, ratios
from loadtest.compare.candidates import LAB
from loadtest.compare.plan import MIN_RUNS, clients
from loadtest.scenarios import SCENARIOS

NEW, ONE, SPEED, NUMBER = "new clients", "with one client", "speed", "number of clients"
SLOW, USE, WHOM = "a slow client", "resource use", "for whom"
ASPECTS: Final = (NEW, ONE, SPEED, NUMBER, SLOW, USE, WHOM)
"""The table's rows. A cell says the loads that it is about."""

METHODS: Final = {
    "single": "one at a time",
    "threaded": "threading",
    "asyncio": "asyncio on uvloop",
    "asyncio-stdlib": "asyncio on the standard library's loop",
}
"""The table's columns: candidates and their headings."""

SLOWER: Final = 1.2  # the factor by which a request must cost more to count as slower, or a rate must be lower
ASKED: Final = 0.999  # share of the clients that must have been asked: chance may leave one of thousands out
UNSERVED: Final = 0.99  # share of the connected clients below which a server doesn't serve all
FEW_IN_TIME: Final = 0.5  # share of new clients with a reply in time, below which a server is not for as many


@dataclass(frozen=True, slots=True)
class CheckedClaim:
    """One cell of the table: column, row, the textbook's claim, and the finding."""

    method: str
    aspect: str
    claim: str
    found: Found


def table(result: Mapping[str, Any]) -> list[CheckedClaim]:
    """Return every cell of the table, of the methods that were measured."""
    known = Evidence.of(result)
    measured = known.measured(METHODS)
    return [
        CheckedClaim(claim.method, claim.aspect, claim.says, claim.check(known, claim.method))
        for claim in CLAIMS
        if claim.method in measured
    ]


def _concurrent(known: Evidence, method: str = "") -> list[str]:
    return [name for name in known.measured(METHODS) if name not in {method, "single"}]


def columns(checked: Iterable[CheckedClaim]) -> dict[str, str]:
    """Return the columns that a table has: of METHODS those that were measured."""
    some = {each.method for each in checked}
    return {name: title for name, title in METHODS.items() if name in some}


# New clients


def _kept_waiting(known: Evidence, method: str) -> Found:
    """Check whether fewer of its new clients are served at once, when all servers are offered as many."""
    count = SCENARIOS["conversation"].loads.thorough[0]
    found = {name: known.summary(name, "conversation", count) for name in known.measured(METHODS)}
    some = {name: each for name, each in found.items() if each}
    mine = some.pop(method, None)
    if mine is None or not some:
        return lacking(f"conversation with {clients(count)}")
    share, every = mine["first_in_time"], {method: mine, **some}
    in_time = (f"{LAB[name].label} {told(each['first_in_time'], 0.01, '%')}" for name, each in every.items())
    parts = [Part(_is_less(share, each["first_in_time"]), "", _open_share(share, mine.runs)) for each in some.values()]
    about = (
        f"{clients(count)} that come and go, {of_runs(list(every.values()))}: new clients with their first reply"
        f" within a second: {', '.join(in_time)}"
    )
    return concluded(parts, again(mine.workload, *every), about)


def _is_less(ours: Estimate, theirs: Estimate) -> bool | None:
    """Return whether a share is less than another; None if their intervals overlap, or if there is none."""
    if not (ours.is_interval and theirs.is_interval) or None in (ours.low, ours.high, theirs.low, theirs.high):
        return None
    return decided((ours.high or 0.0) < (theirs.low or 0.0), (ours.low or 0.0) * MARGIN >= (theirs.high or 0.0))


def _open_share(share: Estimate, runs: int) -> str:
    if few(runs):
        return few(runs)
    low, high = share.low or 0.0, share.high or 0.0
    return f"its share's interval spans {low:.0%} to {high:.0%}, and can tell no less than that; {QUIETER}"


# One client


def _as_quick(known: Evidence, method: str) -> Found:
    """Check whether its one client waits no longer than with the others, and costs no more, at the same rate."""
    others = _concurrent(known)
    rate = known.common_rate([(name, 1) for name in (method, *others)])
    if rate is None or not others:
        return lacking("rates with 1 client")
    some = {name: known.runs[name, "rates", 1, rate] for name in (method, *others)}
    mine = some[method]
    parts = []
    for name in others:
        for measure, what in (("response_p50_us", "p50"), ("cpu_us", "CPU")):
            label = f"{what} over that of {LAB[name].label}"
            parts.append(at_most(MARGIN, label, ratio(measure, mine, some[name])))
    about = f"1 client at {rate:,g} requests/s, {of_runs(list(some.values()))}: " + ", ".join(
        f"{LAB[name].label} p50 {told(each['response_p50_us'], 1e3, 'ms')}, {told(each['cpu_us'], 1, 'us of CPU')}"
        for name, each in some.items()
    )
    return concluded(parts, again(mine.workload, *some), about)


# Speed: the sustained rate


def _swept(known: Evidence, names: Sequence[str]) -> dict[str, Sustained]:
    """Return what these sustain, with the most clients with which several of them were swept, or else any."""
    by_clients: dict[int, dict[str, Sustained]] = {}
    for each in known.swept:
        if each.candidate.name in names:
            by_clients.setdefault(each.workload.clients, {})[each.candidate.name] = each
    several = {count: some for count, some in by_clients.items() if len(some) > 1}
    return several[max(several)] if several else {}


def _rate(each: Sustained) -> str:
    if each.rate.value is None:
        return "no rate that can be told"
    return told(each.rate, 1, "requests/s")


def _factor(mine: Sustained, theirs: Sustained, yes: float, no: float) -> Part:
    """Return whether a sustained rate is so many times another: yes from the one factor on, no below the other."""
    found = estimate(ratios(mine, theirs))
    label = f"{mine.candidate.label} over {theirs.candidate.label}"
    if found.value is None or found.low is None:
        unclear = f"{label}: no rate that was tried missed the objective; try higher ones"
        return Part(None, f"{label}: no ratio", unclear)
    ends = f">={found.low:.2f}" if found.high is None else f"{found.low:.2f} to {found.high:.2f}"
    said = f"{label} {'>=' if found.at_least else ''}{found.value:.2f} times ({ends}, {len(found.values)} repeats)"
    if not found.is_interval:
        return Part(None, said, f"{len(found.values)} repeats, where a verdict takes {MIN_RUNS}: {MORE_RUNS}")
    unclear = f"{label}: no upper end" if found.high is None else spans(label, found.low, found.high, found.value)
    return Part(decided(found.low >= yes, found.high is not None and found.high < no), said, unclear)


def _of_rates(known: Evidence, swept: Mapping[str, Sustained]) -> tuple[str, str]:
    """Return the load of sweeps with what each sustains, in words, and the options that measure it again."""
    [first, *_] = swept.values()
    counts = sorted(len(each.sweeps) for each in swept.values())
    about = f"{clients(first.workload.clients)} at rising rates, {between(counts)} sweeps each, within {known.slo}: "
    about += ", ".join(f"{each.candidate.label} {_rate(each)}" for each in swept.values())
    return about, f"{again(first.workload, *swept, rates=first.rates)} --slo '{known.slo}'"


def _fast(known: Evidence, method: str) -> Found:
    """Check whether it sustains nearly as much as the best."""
    swept = _swept(known, _concurrent(known))
    if method not in swept:
        return lacking("sweeps of rates with two servers that serve several")
    mine = swept[method]
    best = max((each for each in swept.values() if each is not mine), key=lambda each: each.rate.value or 0.0)
    about, command = _of_rates(known, swept)
    parts = [_factor(mine, best, 1 / SLOWER, 1 / SLOWER), Part(True, _two_costs(known, method))]
    return concluded(parts, command, about)


def _two_costs(known: Evidence, method: str) -> str:
    """Return into which two groups the costs of its processes fall; "" if they don't."""
    found = known.summary(method, "saturate", SCENARIOS["saturate"].loads.thorough[-1])
    groups = modes.groups(found["cpu_us"].values) if found else None
    if found is None or groups is None:
        return ""
    middle = sqrt(groups.low * groups.high)
    turns: dict[bool, list[float]] = {False: [], True: []}
    for run in found.valid:
        if run.cpu_us.value is not None and run.turns.value is not None:
            turns[run.cpu_us.value > middle].append(run.turns.value)
    cause = ""
    if turns[False] and turns[True]:
        cause = (
            f"; a thread got the core {median(turns[False]):.2g} times for each in the cheaper ones, and"
            f" {median(turns[True]):.2g} times in the others"
        )
    return (
        f"at full speed with {clients(found.workload.clients)} its processes are of two kinds, which they stay for all"
        f" their life: {groups.low:.3g} us of CPU for each request ({groups.runs[0]} runs), or {groups.high:.3g} us"
        f" ({groups.runs[1]}){cause}. A median of so few may be of either kind"
    )


def _busy(known: Evidence, method: str) -> Found:
    """Check whether it sustains more than threads, with the most clients for which that was measured."""
    swept = _swept(known, [method, "threaded"])
    if not swept:
        return lacking("sweeps of rates of asyncio and threaded")
    about, command = _of_rates(known, swept)
    part = _factor(swept[method], swept["threaded"], 1.0 + 1e-9, MARGIN)
    return concluded([part], command, about)


# The number of clients


def _served_at_once(known: Evidence, method: str, *, several: bool) -> Found:
    count = SCENARIOS["saturate"].loads.thorough[-1]
    found = known.summary(method, "saturate", count)
    if found is None:
        return lacking(f"saturate with {clients(count)}")
    counts = sorted(run.served for run in found.valid)
    said = f"served {between(counts)} of {clients(count)} that stay, in {found.runs} runs"
    holds = counts[0] > 1 if several else counts[-1] == 1
    return Found("agrees" if holds else "disagrees", said, again(found.workload, method))


def _serves(known: Evidence, found: Summary) -> Part:
    """Return whether all clients were asked and served, with p99 within the objective."""
    about = clients(found.workload.clients)
    served, connected = (sorted(getattr(run, name) for run in found.valid) for name in ("served", "connected"))
    said = f"{about}: served {between(served)}"
    said += f" of {between(connected)} connected" if connected[0] < found.workload.clients else ""
    said += f", p99 {told(found['response_p99_us'], 1e3, 'ms')}, {told(found['cpu_us'], 1, 'us of CPU each')}"
    if median(run.served / max(1, run.connected) for run in found.valid) < UNSERVED:
        return Part(False, said)
    unclear = ""
    if any(run.served < run.connected for run in found.valid):
        unclear = f"all were served in some runs only; {QUIETER}"
    elif connected[0] < ASKED * found.workload.clients:
        unclear = "not all were asked; a longer warm-up would settle it"
    if unclear or few(found.runs):
        return Part(None, said, f"with {about}: {unclear}" if unclear else few(found.runs))
    holds, unclear = _is_within(found["response_p99_us"], known.limit_us)
    return Part(holds, said, f"with {about}: {unclear}")


def _is_within(p99: Estimate, limit: float) -> tuple[bool | None, str]:
    """Return whether a p99 is within the objective; and if that can't be told, why."""
    if p99.value is None:
        within = p99.at_most is not None and p99.at_most < limit
        return within or None, f"there is no p99; {FASTER_LOAD}"
    low, high = p99.low or 0.0, p99.high
    ends = f">={number(low / 1e3)}" if high is None else f"{number(low / 1e3)} to {number(high / 1e3)}"
    holds = decided(high is not None and high < limit, low >= limit)
    return holds, f"the objective lies within the interval of p99, {ends} ms; {QUIETER}"


class _OneRate(NamedTuple):
    """A method with few and more clients at one rate: whether it serves them, and at which cost over the fewest."""

    about: str
    parts: Mapping[int, Part]
    costs: Mapping[int, Part]
    said: str
    command: str


def _at_one_rate(known: Evidence, method: str) -> _OneRate | Found:
    """Return what was measured with few and many clients at one rate, or that it is missing."""
    counts = SCENARIOS["rates"].loads.thorough
    rate = known.common_rate([(method, count) for count in counts])
    if rate is None:
        return lacking(f"one rate with {', '.join(f'{count:,}' for count in counts)} clients")
    some = {count: known.runs[method, "rates", count, rate] for count in counts}
    fewest = some[counts[0]]
    parts, costs, said = {}, {}, []
    for count, each in some.items():
        parts[count] = _serves(known, each)
        words = [parts[count].said]
        if each is not fewest:
            found = ratio("cpu_us", each, fewest)
            label = f"CPU with {clients(count)} over that with {counts[0]}"
            costs[count] = at_most(SLOWER, label, found)
            slower = ratio("response_p99_us", each, fewest)
            words.append(f"over {counts[0]}: p99 {times(slower)}, CPU {times(found)}")
        for name in _concurrent(known, method):
            theirs = known.summary(name, "rates", count, rate)
            if theirs:
                p99, cost = (ratio(measure, each, theirs) for measure in ("response_p99_us", "cpu_us"))
                words.append(f"over {LAB[name].label}: p99 {times(p99)}, CPU {times(cost)}")
        said.append(", ".join(words))
    about = f"at {rate:,g} requests/s, {of_runs(list(some.values()))}, objective p99<{known.limit_us / 1e3:g}ms"
    longest = max(some.values(), key=lambda each: each.workload.warmup)
    command = again(longest.workload, method, *_concurrent(known, method), clients=counts)
    return _OneRate(about, parts, costs, "; ".join(said), f"{command} --slo '{known.slo}'")


def _up_to(known: Evidence, method: str, most: float) -> Found:
    """Check whether it serves so many clients within the objective, and more only at a higher cost, or not."""
    found = _at_one_rate(known, method)
    if isinstance(found, Found):
        return found
    parts = [part._replace(said="") for count, part in found.parts.items() if count <= most]
    beyond = [count for count in found.parts if count > most]
    parts += [_is_worse(found.parts[count], found.costs[count]) for count in beyond]
    return concluded(parts, found.command, f"{found.about}: {found.said}")


def _is_worse(served: Part, cost: Part) -> Part:
    """Return whether clients are served badly, or at a higher cost."""
    holds = decided(False in (served.holds, cost.holds), None not in (served.holds, cost.holds))
    return Part(holds, "", served.open if served.holds is None else cost.open)


def _some_hundreds(known: Evidence, method: str, most: int) -> Found:
    """Check whether it serves up to so many clients within the objective; says what they take in memory."""
    found = _at_one_rate(known, method)
    if isinstance(found, Found):
        return found
    parts = [part for count, part in found.parts.items() if count <= most]
    words, slopes = known.slopes([method])
    if slopes:
        parts.append(Part(True, f"memory: {number(slopes[method].value * most / 1e6)} MB for {most:,} times {words}"))
    return concluded(parts, found.command, found.about)


# A slow client, memory, and whom one at a time suits


def _slow_client(known: Evidence, method: str, *, hangs: bool) -> Found:
    count, stall = SCENARIOS["slow-client"].loads.thorough[0], SCENARIOS["slow-client"].stall
    found = known.summary(method, "slow-client", count)
    waits = found["first_p99_us"] if found else Estimate()
    if found is None or waits.value is None or waits.low is None:
        return lacking(f"slow-client with {clients(count)}")
    said = f"one of {clients(count)} stalls for {stall:g} s: {told(waits, 1e3, 'ms until the first reply (p99)')}"
    long, short = waits.low >= stall * 1e6 / 2, waits.high is not None and waits.high < stall * 1e6 / 4
    holds = decided(long, short) if hangs else decided(short, long)
    unclear = few(found.runs) or f"it should be under a quarter of the stall, or over half of it; {QUIETER}"
    return concluded([Part(holds, said, unclear)], again(found.workload, method), f"{found.runs} runs")


def _memory(known: Evidence, method: str, *, others: Sequence[str], less: bool) -> Found:
    """Check whether a client costs less memory than with the others, or more."""
    names = [method, *known.measured(others)]
    words, slopes = known.slopes(names)
    missing = [name for name in names if name not in slopes]
    if missing or len(slopes) < 2:
        return Found("abstains", f"not measured: memory per client of {', '.join(missing or others)}")
    mine, *theirs = slopes.values()
    said = f"{words}, in fresh processes with up to 1,000: " + "; ".join(
        f"{LAB[name].label} {each.value / 1e3:.3g} kB ({each.low / 1e3:.3g} to {each.high / 1e3:.3g})"
        for name, each in slopes.items()
    )
    below = all(mine.high < each.low for each in theirs)
    above = all(mine.low > each.high for each in theirs)
    holds = decided(below, above) if less else decided(above, below)
    size = max(each.high / each.value for each in slopes.values() if each.value) - 1
    unclear = f"the intervals overlap; they can tell differences of some {size:.0%}; {QUIETER}"
    return concluded([Part(holds, said, unclear)], f"--memory --variants {' '.join(slopes)}")


def _rare_clients(known: Evidence, method: str) -> Found:
    """Check whether it serves one client within the objective, and keeps most of several waiting."""
    count = SCENARIOS["conversation"].loads.thorough[0]
    alone = known.common_rate([(method, 1)])
    several = known.summary(method, "conversation", count)
    if alone is None or several is None:
        return lacking("rates with 1 client", f"conversation with {clients(count)}")
    one, share = known.runs[method, "rates", 1, alone], several["first_in_time"]
    said = f"{clients(count)} that come and go: {told(share, 0.01, '% of new ones have a reply within a second')}"
    few_in_time = decided((share.high or 1.0) < FEW_IN_TIME, (share.low or 0.0) >= FEW_IN_TIME)
    served = _serves(known, one)
    about = f"at {alone:,g} requests/s, objective p99<{known.limit_us / 1e3:g}ms, {one.runs} runs: {served.said}"
    parts = [
        served._replace(said=about),
        Part(
            few_in_time if share.is_interval else None, f"{said}, {several.runs} runs", _open_share(share, several.runs)
        ),
    ]
    return concluded(parts, f"--thorough --variants {method}")


class _Claim(NamedTuple):
    method: str
    aspect: str
    says: str
    check: Callable[[Evidence, str], Found]


CLAIMS: Final = (
    _Claim("single", NEW, "slow", _kept_waiting),
    _Claim("single", ONE, "as quick for its one client", _as_quick),
    _Claim("single", NUMBER, "one at a time", partial(_served_at_once, several=False)),
    _Claim("single", SLOW, "hangs it", partial(_slow_client, hangs=True)),
    _Claim("single", USE, "minimal", partial(_memory, others=("threaded", "asyncio"), less=True)),
    _Claim("single", WHOM, "tests, or rare clients", _rare_clients),
    _Claim("threaded", SPEED, "fast", _fast),
    _Claim("threaded", NUMBER, "several at once", partial(_served_at_once, several=True)),
    _Claim("threaded", NUMBER, "up to about 1,000", partial(_up_to, most=1000)),
    _Claim("threaded", SLOW, "holds nobody up", partial(_slow_client, hangs=False)),
    _Claim("threaded", USE, "high: each thread needs memory", partial(_memory, others=("asyncio",), less=False)),
    _Claim("threaded", WHOM, "some hundreds of clients, code that blocks", partial(_some_hundreds, most=1000)),
    *(
        claim
        for name in ("asyncio", "asyncio-stdlib")
        for claim in (
            _Claim(name, SPEED, "fast", _fast),
            _Claim(name, NUMBER, "1,000 and more", partial(_up_to, most=inf)),
            _Claim(name, SLOW, "holds nobody up", partial(_slow_client, hangs=False)),
            _Claim(name, USE, "fewer than threads", partial(_memory, others=("threaded",), less=True)),
        )
    ),
    _Claim("asyncio", WHOM, "busy servers", _busy),
)
"""The textbook's claims, cell by cell."""
