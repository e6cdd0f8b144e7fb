"""
The textbook's table of models, checked by measurements; a cell agrees, disagrees, or abstains.

Each claim is a row in CLAIMS: its text, and the experiment that fits it (a thorough comparison has them all). A claim
of "more" or "less" is tested like any other pair of measures (significance.py), and needs ten runs; one about what
happens (which clients wait, how many are served) must hold in every valid run.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from math import sqrt
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
    between,
    concluded,
    few,
    lacking,
    number,
    of_runs,
    power,
    ratio,
    spans,
    stays_below,
    times,
    told,
)
from loadtest.compare.analysis.significance import MARGIN
from loadtest.compare.analysis.summary import Estimate, Summary, estimate
from loadtest.compare.analysis.sustained import Sustained, ratios
from loadtest.compare.candidates import LAB
from loadtest.compare.plan import MIN_RUNS, clients
from loadtest.scenarios import SCENARIOS

NEW: Final = "new clients"
ONE: Final = "with one client"
SPEED: Final = "speed"
ASPECTS: Final = (NEW, ONE, SPEED, "number of clients", "a slow client", "resource use", "for whom")
"""The table's rows. A cell says the loads that it is about."""

METHODS: Final = {
    "single": "one at a time",
    "threaded": "threading",
    "asyncio": "asyncio on uvloop",
    "asyncio-stdlib": "asyncio on the standard library's loop",
}
"""The table's columns: candidates and their headings."""

SLOWER: Final = 1.2
"""The factor by which a request must cost more to count as slower, or a rate must be lower."""

ASKED: Final = 0.999
"""Share of the clients that must have been asked: at random arrivals chance may leave one of thousands out."""

UNSERVED: Final = 0.99
"""Share of the connected clients below which a server doesn't serve all."""

FEW_IN_TIME: Final = 0.5
"""Share of new clients with a reply in time, below which a server is not for as many."""


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
        CheckedClaim(claim.method, claim.aspect, claim.says, claim.check(known))
        for claim in CLAIMS
        if claim.method in measured
    ]


def _others(known: Evidence, method: str) -> list[str]:
    return [name for name in known.measured(METHODS) if name != method]


def _concurrent(known: Evidence, method: str = "") -> list[str]:
    return [name for name in _others(known, method) if name != "single"]


def columns(checked: Iterable[CheckedClaim]) -> dict[str, str]:
    """Return the columns that a table has: of METHODS those that were measured."""
    some = {each.method for each in checked}
    return {name: title for name, title in METHODS.items() if name in some}


# New clients


def _in_time(name: str, found: Summary) -> str:
    share = found["first_in_time"]
    return f"{LAB[name].label} {told(share, 0.01, '%')}"


def _kept_waiting(known: Evidence) -> Found:
    """Check whether fewer of its new clients are served at once, when all servers are offered as many."""
    count = SCENARIOS["conversation"].loads.thorough[0]
    found = {name: known.summary(name, "conversation", count) for name in known.measured(METHODS)}
    some = {name: each for name, each in found.items() if each}
    mine = some.pop("single", None)
    if mine is None or not some:
        return lacking(f"conversation with {clients(count)}")
    share = mine["first_in_time"]
    parts = [Part(_is_less(share, each["first_in_time"]), "", _open_share(share, mine.runs)) for each in some.values()]
    about = (
        f"{clients(count)} that come and go, {of_runs([mine, *some.values()])}: new clients with their first reply"
        f" within a second: {', '.join(_in_time(name, each) for name, each in {'single': mine, **some}.items())}"
    )
    return concluded(parts, again(mine.workload, "single", *some), about)


def _is_less(ours: Estimate, theirs: Estimate) -> bool | None:
    """Return whether a share is less than another; None if their intervals overlap, or if there is none."""
    if not (ours.is_interval and theirs.is_interval) or None in (ours.low, ours.high, theirs.low, theirs.high):
        return None
    if (ours.high or 0.0) < (theirs.low or 0.0):
        return True
    return False if (ours.low or 0.0) * MARGIN >= (theirs.high or 0.0) else None


def _open_share(share: Estimate, runs: int) -> str:
    if few(runs):
        return few(runs)
    low, high = share.low or 0.0, share.high or 0.0
    return f"its share's interval spans {low:.0%} to {high:.0%}, and can tell no less than that; {QUIETER}"


# One client


def _as_quick(known: Evidence) -> Found:
    """Check whether its one client waits no longer than with the others, and costs no more, at the same rate."""
    others = _concurrent(known)
    rate = known.common_rate([(name, 1) for name in ("single", *others)])
    if rate is None or not others:
        return lacking("rates with 1 client")
    some = {name: known.runs[name, "rates", 1, rate] for name in ("single", *others)}
    mine = some["single"]
    parts = []
    for name in others:
        for measure, what in (("response_p50_us", "p50"), ("cpu_us", "CPU")):
            found = ratio(measure, mine, some[name])
            label = f"{what} over that of {LAB[name].label}"
            parts.append(Part(stays_below(found, MARGIN), f"{label} {times(found)}", power(label, found)))
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


def _factor(mine: Sustained, theirs: Sustained, at_least: float, at_most: float) -> Part:
    """Return whether a sustained rate is so many times another: yes from `at_least` on, no below `at_most`."""
    found = estimate(ratios(mine, theirs))
    label = f"{mine.candidate.label} over {theirs.candidate.label}"
    if found.value is None or found.low is None:
        return Part(
            None, f"{label}: no ratio", f"{label}: no rate that was tried missed the objective; try higher ones"
        )
    ends = f">={found.low:.2f}" if found.high is None else f"{found.low:.2f} to {found.high:.2f}"
    said = f"{label} {'>=' if found.at_least else ''}{found.value:.2f} times ({ends}, {len(found.values)} repeats)"
    if not found.is_interval:
        return Part(None, said, f"{len(found.values)} repeats, where a verdict takes {MIN_RUNS}: {MORE_RUNS}")
    if found.low >= at_least:
        return Part(True, said)
    if found.high is not None and found.high < at_most:
        return Part(False, said)
    unclear = f"{label}: no upper end" if found.high is None else spans(label, found.low, found.high, found.value)
    return Part(None, said, unclear)


def _of_rates(known: Evidence, swept: Mapping[str, Sustained]) -> tuple[str, str]:
    """Return the load of sweeps with what each sustains, in words, and the options that measure it again."""
    [first, *_] = swept.values()
    counts = sorted(len(each.sweeps) for each in swept.values())
    about = (
        f"{clients(first.workload.clients)} at rising rates, {between(counts)} sweeps each, within {known.slo}: "
        + ", ".join(f"{each.candidate.label} {_rate(each)}" for each in swept.values())
    )
    command = again(first.workload, *swept, rates=first.rates)
    return about, f"{command} --slo '{known.slo}'"


def _fast(method: str) -> Callable[[Evidence], Found]:
    def check(known: Evidence) -> Found:
        """Check whether it sustains nearly as much as the best."""
        swept = _swept(known, _concurrent(known))
        if method not in swept:
            return lacking("sweeps of rates with two servers that serve several")
        mine = swept[method]
        best = max((each for each in swept.values() if each is not mine), key=lambda each: each.rate.value or 0.0)
        about, command = _of_rates(known, swept)
        parts = [_factor(mine, best, 1 / SLOWER, 1 / SLOWER), Part(True, _two_costs(known, method))]
        return concluded(parts, command, about)

    return check


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


def _busy(known: Evidence) -> Found:
    """Check whether it sustains more than threads, with the most clients for which that was measured."""
    swept = _swept(known, ["asyncio", "threaded"])
    if not swept:
        return lacking("sweeps of rates of asyncio and threaded")
    about, command = _of_rates(known, swept)
    part = _factor(swept["asyncio"], swept["threaded"], 1.0 + 1e-9, MARGIN)
    return concluded([part], command, about)


# The number of clients


def _served_at_once(method: str, *, several: bool) -> Callable[[Evidence], Found]:
    count = SCENARIOS["saturate"].loads.thorough[-1]

    def check(known: Evidence) -> Found:
        found = known.summary(method, "saturate", count)
        if found is None:
            return lacking(f"saturate with {clients(count)}")
        counts = sorted(run.served for run in found.valid)
        said = f"served {between(counts)} of {clients(count)} that stay, in {found.runs} runs"
        holds = counts[0] > 1 if several else counts[-1] == 1
        return Found("agrees" if holds else "disagrees", said, again(found.workload, method))

    return check


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
    if p99.high is not None and p99.high < limit:
        return True, ""
    if (p99.low or 0.0) >= limit:
        return False, ""
    ends = f">={number((p99.low or 0.0) / 1e3)}"
    if p99.high is not None:
        ends = f"{number((p99.low or 0.0) / 1e3)} to {number(p99.high / 1e3)}"
    return None, f"the objective lies within the interval of p99, {ends} ms; {QUIETER}"


class _OneRate(NamedTuple):
    """
    A method with few and more clients at one rate.

    parts: whether it serves them, by number of clients. costs: of its CPU per request, over that with the fewest. said:
    all ratios in words.
    """

    about: str
    parts: Mapping[int, Part]
    costs: Mapping[int, Part]
    said: str
    command: str


def _at_one_rate(known: Evidence, method: str) -> _OneRate | None:
    """Return what was measured with few and many clients at one rate; None if that is missing."""
    counts = SCENARIOS["rates"].loads.thorough
    rate = known.common_rate([(method, count) for count in counts])
    if rate is None:
        return None
    some = {count: known.runs[method, "rates", count, rate] for count in counts}
    fewest = some[counts[0]]
    parts, costs, said = {}, {}, []
    for count, each in some.items():
        parts[count] = _serves(known, each)
        words = [parts[count].said]
        if each is not fewest:
            found = ratio("cpu_us", each, fewest)
            label = f"CPU with {clients(count)} over that with {counts[0]}"
            costs[count] = Part(stays_below(found, SLOWER), "", power(label, found))
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


def _and_more(method: str) -> Callable[[Evidence], Found]:
    def check(known: Evidence) -> Found:
        """Check whether it serves all of many clients within the objective, whatever their number."""
        found = _at_one_rate(known, method)
        if found is None:
            return _lacks_one_rate()
        parts = [part._replace(said="") for part in found.parts.values()]
        return concluded(parts, found.command, f"{found.about}: {found.said}")

    return check


def _up_to(method: str, most: int) -> Callable[[Evidence], Found]:
    def check(known: Evidence) -> Found:
        """Check whether it serves so many clients within the objective, and more only at a higher cost, or not."""
        found = _at_one_rate(known, method)
        if found is None:
            return _lacks_one_rate()
        parts = [part._replace(said="") for count, part in found.parts.items() if count <= most]
        beyond = [count for count in found.parts if count > most]
        parts += [_is_worse(found.parts[count], found.costs[count]) for count in beyond]
        return concluded(parts, found.command, f"{found.about}: {found.said}")

    return check


def _is_worse(served: Part, cost: Part) -> Part:
    """Return whether clients are served badly, or at a higher cost."""
    if served.holds is False or cost.holds is False:
        return Part(True, "")
    if served.holds and cost.holds:
        return Part(False, "")
    return Part(None, "", served.open if served.holds is None else cost.open)


def _some_hundreds(method: str, most: int) -> Callable[[Evidence], Found]:
    def check(known: Evidence) -> Found:
        """Check whether it serves up to so many clients within the objective; says what they take in memory."""
        found = _at_one_rate(known, method)
        if found is None:
            return _lacks_one_rate()
        parts = [part for count, part in found.parts.items() if count <= most]
        words, slopes = known.slopes([method])
        if slopes:
            parts.append(
                Part(True, f"memory: {number(slopes[method].value * most / 1e6)} MB for {most:,} times {words}")
            )
        return concluded(parts, found.command, found.about)

    return check


def _lacks_one_rate() -> Found:
    counts = [f"{count:,}" for count in SCENARIOS["rates"].loads.thorough]
    return lacking(f"one rate with {', '.join(counts)} clients")


# A slow client, memory, and whom one at a time suits


def _slow_client(method: str, *, hangs: bool) -> Callable[[Evidence], Found]:
    count, stall = SCENARIOS["slow-client"].loads.thorough[0], SCENARIOS["slow-client"].stall

    def check(known: Evidence) -> Found:
        found = known.summary(method, "slow-client", count)
        waits = found["first_p99_us"] if found else Estimate()
        if found is None or waits.value is None or waits.low is None:
            return lacking(f"slow-client with {clients(count)}")
        said = f"one of {clients(count)} stalls for {stall:g} s: {told(waits, 1e3, 'ms until the first reply (p99)')}"
        long, short = waits.low >= stall * 1e6 / 2, waits.high is not None and waits.high < stall * 1e6 / 4
        holds = (long if hangs else short) or (False if (short if hangs else long) else None)
        unclear = few(found.runs) or f"it should be under a quarter of the stall, or over half of it; {QUIETER}"
        return concluded([Part(holds, said, unclear)], again(found.workload, method), f"{found.runs} runs")

    return check


def _memory(method: str, others: Sequence[str], *, less: bool) -> Callable[[Evidence], Found]:
    """Check whether a client costs less memory than with the others, or more."""

    def check(known: Evidence) -> Found:
        names = [method, *(name for name in others if name in _others(known, method))]
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
        holds = (below if less else above) or (False if (above if less else below) else None)
        size = max(each.high / each.value for each in slopes.values() if each.value) - 1
        unclear = f"the intervals overlap; they can tell differences of some {size:.0%}; {QUIETER}"
        return concluded([Part(holds, said, unclear)], f"--memory --variants {' '.join(slopes)}")

    return check


def _rare_clients(known: Evidence) -> Found:
    """Check whether it serves one client within the objective, and keeps most of several waiting."""
    count = SCENARIOS["conversation"].loads.thorough[0]
    alone = known.common_rate([("single", 1)])
    several = known.summary("single", "conversation", count)
    if alone is None or several is None:
        return lacking("rates with 1 client", f"conversation with {clients(count)}")
    one, share = known.runs["single", "rates", 1, alone], several["first_in_time"]
    said = f"{clients(count)} that come and go: {told(share, 0.01, '% of new ones have a reply within a second')}"
    few_in_time: bool | None = None
    if share.is_interval:
        few_in_time = True if (share.high or 1.0) < FEW_IN_TIME else False if (share.low or 0) >= FEW_IN_TIME else None
    served = _serves(known, one)
    parts = [
        served._replace(
            said=f"at {alone:,g} requests/s, objective p99<{known.limit_us / 1e3:g}ms, {one.runs} runs: {served.said}"
        ),
        Part(few_in_time, f"{said}, {several.runs} runs", _open_share(share, several.runs)),
    ]
    return concluded(parts, "--thorough --variants single")


class _Claim(NamedTuple):
    method: str
    aspect: str
    says: str
    check: Callable[[Evidence], Found]


CLAIMS: Final = (
    _Claim("single", NEW, "slow", _kept_waiting),
    _Claim("single", ONE, "as quick for its one client", _as_quick),
    _Claim("single", "number of clients", "one at a time", _served_at_once("single", several=False)),
    _Claim("single", "a slow client", "hangs it", _slow_client("single", hangs=True)),
    _Claim("single", "resource use", "minimal", _memory("single", ("threaded", "asyncio"), less=True)),
    _Claim("single", "for whom", "tests, or rare clients", _rare_clients),
    _Claim("threaded", SPEED, "fast", _fast("threaded")),
    _Claim("threaded", "number of clients", "several at once", _served_at_once("threaded", several=True)),
    _Claim("threaded", "number of clients", "up to about 1,000", _up_to("threaded", 1000)),
    _Claim("threaded", "a slow client", "holds nobody up", _slow_client("threaded", hangs=False)),
    _Claim("threaded", "resource use", "high: each thread needs memory", _memory("threaded", ("asyncio",), less=False)),
    _Claim("threaded", "for whom", "some hundreds of clients, code that blocks", _some_hundreds("threaded", 1000)),
    *(
        claim
        for name in ("asyncio", "asyncio-stdlib")
        for claim in (
            _Claim(name, SPEED, "fast", _fast(name)),
            _Claim(name, "number of clients", "1,000 and more", _and_more(name)),
            _Claim(name, "a slow client", "holds nobody up", _slow_client(name, hangs=False)),
            _Claim(name, "resource use", "fewer than threads", _memory(name, ("threaded",), less=True)),
        )
    ),
    _Claim("asyncio", "for whom", "busy servers", _busy),
)
"""The textbook's claims, cell by cell."""
