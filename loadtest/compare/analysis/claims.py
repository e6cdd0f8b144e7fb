"""
The textbook's table of models, checked by measurements; a cell agrees, disagrees, or abstains.

Each claim is a row in CLAIMS: its text, and a function that checks it by the evidence. A claim of "more" or "less" is
tested like any other pair of measures (significance.py), and needs ten runs; one about what happens (which clients
wait, how many are served) must hold in every valid run.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, Literal, NamedTuple

from loadtest.compare.analysis.capacity import in_words
from loadtest.compare.analysis.pairwise import compare_pair
from loadtest.compare.analysis.significance import Answer
from loadtest.compare.analysis.summary import Estimate, Summary, summaries
from loadtest.compare.candidates import LAB, TEXTBOOK
from loadtest.compare.plan import MIN_RUNS
from loadtest.scenarios import MANY, SCENARIOS

Mark = Literal["agrees", "disagrees", "abstains"]

ONE: Final = "speed with 1 client"
MANY_AT_ONCE: Final = f"speed with {SCENARIOS['saturate'].loads.clients[-1]} clients"
ASPECTS: Final = (ONE, MANY_AT_ONCE, "number of clients", "a slow client", "resource use", "for whom")
"""The table's rows, one for each load."""

METHODS: Final = {
    "single": "one at a time",
    "threaded": "threading",
    "asyncio": "asyncio on uvloop",
    "asyncio-stdlib": "asyncio on the standard library's loop",
}
"""The table's columns: candidates and their headings."""

SLOWER: Final = 1.2
"""The factor by which a request must cost more with very many clients to count as slower."""


@dataclass(frozen=True, slots=True)
class Found:
    """The evidence's answer to a claim: a mark, the measures in words, and the options that measure them again."""

    mark: Mark
    said: str
    command: str = ""


@dataclass(frozen=True, slots=True)
class CheckedClaim:
    """One cell of the table: column, row, the textbook's claim, and the finding."""

    method: str
    aspect: str
    claim: str
    found: Found


@dataclass(frozen=True, slots=True)
class Evidence:
    """
    A result's evidence.

    runs: summaries by candidate, scenario and number of clients. memory, capacity: the result's, by candidate.
    """

    runs: Mapping[tuple[str, str, int], Summary]
    memory: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    capacity: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)

    def summary(self, candidate: str, scenario: str, clients: int) -> Summary | None:
        """Return the summary of a candidate under a load, if it has valid runs."""
        found = self.runs.get((candidate, scenario, clients))
        return found if found and found.valid else None


def evidence(result: Mapping[str, Any]) -> Evidence:
    """Return a result's evidence."""
    return Evidence(
        runs={(each.candidate.name, each.workload.scenario, each.workload.clients): each for each in summaries(result)},
        **{name: {each["candidate"]: each for each in result[name]} for name in ("memory", "capacity")},
    )


def table(result: Mapping[str, Any]) -> list[CheckedClaim]:
    """Return every cell of the table; those without measurements abstain."""
    known = evidence(result)
    return [CheckedClaim(claim.method, claim.aspect, claim.says, claim.check(known)) for claim in CLAIMS]


# Measures in words


def _told(estimate: Estimate, unit: float, name: str, digits: int = 3) -> str:
    """Return a measure with its interval, or its range, in words."""
    if estimate.value is None:
        return f"no {name}: {estimate.why}"
    bound = ">=" if estimate.at_least else ""

    def number(value: float | None) -> str:
        return f"{float(f'{(value or 0) / unit:.{digits}g}'):,g}"

    kind = "" if estimate.is_interval else f", {len(estimate.values)} run{'s' if len(estimate.values) > 1 else ''}"
    ends = (
        f">={number(estimate.low)}" if estimate.high is None else f"{number(estimate.low)} to {number(estimate.high)}"
    )
    return f"{bound}{number(estimate.value)} {name} ({ends}{kind})"


def _again(scenario: str, clients: int, *candidates: str) -> str:
    return f"--variants {' '.join(candidates)} --scenarios {scenario} --clients {clients} --repeats {MIN_RUNS}"


def _between(counts: Sequence[int]) -> str:
    """Return the least and the most of sorted counts, or one number if they are equal."""
    return f"{counts[0]:,}" if counts[0] == counts[-1] else f"{counts[0]:,} to {counts[-1]:,}"


def _lacking(*what: str) -> Found:
    return Found("abstains", f"not measured: {', '.join(what)}")


def _few(some: Sequence[Summary]) -> str:
    """Return why these give no verdict, "" if they do."""
    fewest = min(each.runs for each in some)
    return "" if fewest >= MIN_RUNS else f"; {fewest} valid runs, where a verdict takes {MIN_RUNS}"


# Checks


def _served_at_once(method: str, *, several: bool) -> Callable[[Evidence], Found]:
    clients = SCENARIOS["saturate"].loads.clients[-1]

    def check(known: Evidence) -> Found:
        found = known.summary(method, "saturate", clients)
        if found is None:
            return _lacking(f"saturate with {clients} clients")
        counts = sorted(run.served for run in found.valid)
        said = f"served {_between(counts)} of {clients} clients that stay, in {found.runs} runs"
        holds = counts[0] > 1 if several else counts[-1] == 1
        return Found("agrees" if holds else "disagrees", said, _again("saturate", clients, method))

    return check


def _speed_of_single(known: Evidence) -> Found:
    """Check whether it is slow for its one client; that others wait is another claim."""
    mine = known.summary("single", "saturate", 1)
    others = {name: known.summary(name, "saturate", 1) for name in METHODS if name != "single"}
    measured = [each for each in others.values() if each]
    if mine is None or not others["threaded"] or not others["asyncio"]:
        return _lacking("saturate with 1 client")
    said = _told(mine["cpu_us"], 1, "us of CPU for each request, with 1 client")
    said += "; " + ", ".join(f"{each.candidate.label} {_told(each['cpu_us'], 1, 'us')}" for each in measured)
    found = [compare_pair("cpu_us", mine, each).significance for each in measured]
    slower = [each.answer is Answer.DIFFERENT and (each.ratio or 0) > 1 for each in found]
    known_not = [
        each.answer is Answer.EQUIVALENT or (each.answer is Answer.DIFFERENT and (each.ratio or 9) < 1)
        for each in found
    ]
    mark: Mark = "agrees" if all(slower) else "disagrees" if all(known_not) else "abstains"
    return Found(mark, said + _few([mine, *measured]), _again("saturate", 1, *METHODS))


def _fast(method: str, other: str) -> Callable[[Evidence], Found]:
    clients = SCENARIOS["saturate"].loads.clients[-1]

    def check(known: Evidence) -> Found:
        mine, theirs = known.summary(method, "saturate", clients), known.summary(other, "saturate", clients)
        if mine is None or theirs is None:
            return _lacking(f"saturate with {clients} clients")
        found = compare_pair("cpu_us", mine, theirs).significance
        said = f"with {clients} clients {_told(mine['requests_per_second'], 1, 'requests/s')}"
        said += f", {_told(mine['cpu_us'], 1, 'us of CPU each')}"
        said += f"; {theirs.candidate.label} {_told(theirs['cpu_us'], 1, 'us')}"
        low, high = found.low or 0.0, found.high or 0.0
        if found.answer is Answer.INDICATIVE or not high:
            return Found("abstains", said + _few([mine, theirs]), _again("saturate", clients, method, other))
        mark: Mark = "agrees" if high <= SLOWER else "disagrees" if low > SLOWER else "abstains"
        return Found(mark, said, _again("saturate", clients, method, other))

    return check


def _many_clients(method: str) -> Callable[[Evidence], Found]:
    """Report measures with very many clients, without a verdict: windows of a few seconds are too short for one."""
    few = SCENARIOS["saturate"].loads.clients[-1]

    def check(known: Evidence) -> Found:
        at_few, at_many = known.summary(method, "saturate", few), known.summary(method, "saturate", MANY)
        if at_few is None or at_many is None:
            return _lacking(f"saturate with {few} and {MANY} clients")
        served = sorted(run.served for run in at_many.valid)
        said = f"with {few} clients {_told(at_few['cpu_us'], 1, 'us of CPU each')}, with {MANY:,}"
        said += f" {_told(at_many['cpu_us'], 1, 'us')}; served {_between(served)} of {MANY:,}"
        crowd = known.summary(method, "crowd", SCENARIOS["crowd"].loads.thorough[-1])
        if crowd:
            said += f"; of a crowd of {crowd.workload.clients:,} it served {crowd.served[0]:,}"
        searched = known.capacity.get(method)
        if searched:
            said += f"; within {searched['slo']} it had {in_words(searched)} clients"
        said += f"; no verdict: who is served in a window of {at_many.workload.seconds:g} s says little of a longer one"
        return Found("abstains", said, f"--variants {method} --scenarios saturate --clients {few} {MANY}")

    return check


def _slow_client(method: str, *, hangs: bool) -> Callable[[Evidence], Found]:
    clients = SCENARIOS["slow-client"].loads.clients[0]
    stall = SCENARIOS["slow-client"].stall

    def check(known: Evidence) -> Found:
        found = known.summary(method, "slow-client", clients)
        waits = found["first_p99_us"] if found else Estimate()
        if found is None or waits.value is None or waits.low is None:
            return _lacking("slow-client")
        said = f"one of {clients} stalls for {stall:g} s: {_told(waits, 1e3, 'ms until the first reply (p99)')}"
        wait, none = waits.low >= stall * 1e6 / 2, waits.high is not None and waits.high < stall * 1e6 / 4
        mark: Mark = "agrees" if (wait if hangs else none) else "disagrees" if (none if hangs else wait) else "abstains"
        return Found(mark, said + _few([found]), _again("slow-client", clients, method))

    return check


def _memory(method: str, others: Sequence[str], *, less: bool) -> Callable[[Evidence], Found]:
    """Check whether a client costs less memory than with the others, or more."""

    def check(known: Evidence) -> Found:
        slopes = {name: _slope(known, name) for name in (method, *others)}
        missing = [name for name, each in slopes.items() if each is None]
        if missing:
            return _lacking(f"memory per client of {', '.join(missing)}")
        mine, *theirs = [each for each in slopes.values() if each]
        said = "; ".join(
            f"{LAB[name].label} {each.value / 1e3:.3g} kB a client ({each.low / 1e3:.3g} to {each.high / 1e3:.3g})"
            for name, each in slopes.items()
            if each
        )
        below = all(mine.high < each.low for each in theirs)
        above = all(mine.low > each.high for each in theirs)
        mark: Mark = (
            "agrees" if (below if less else above) else "disagrees" if (above if less else below) else "abstains"
        )
        return Found(mark, said, f"--memory --variants {' '.join(slopes)}")

    return check


class _Slope(NamedTuple):
    value: float
    low: float
    high: float


def _slope(known: Evidence, candidate: str) -> _Slope | None:
    """Return bytes per client that has spoken, or else per silent one."""
    kept = known.memory.get(candidate) or {}
    for kind in ("spoken", "silent"):
        found = kept.get(kind)
        if found and found["low"] is not None:
            return _Slope(found["value"], found["low"], found["high"])
    return None


def _for_whom(method: str, *, busy: bool) -> Callable[[Evidence], Found]:
    """Compare how many clients it serves within the SLO with the textbook's other two."""

    def check(known: Evidence) -> Found:
        brackets = {name: known.capacity.get(name) for name in TEXTBOOK}
        if not all(brackets.values()):
            return _lacking("capacity")
        said = "; ".join(f"{LAB[name].label} {in_words(each)}" for name, each in brackets.items() if each)
        mine = brackets[method] or {}
        others = [each for name, each in brackets.items() if each and name != method]
        most = mine["low"] is not None and all(
            each["high"] is not None and mine["low"] >= each["high"] for each in others
        )
        # If brackets overlap, it abstains.
        least = mine["high"] is not None and all(
            each["low"] is not None and mine["high"] <= each["low"] for each in others
        )
        agrees, disagrees = (most, least) if busy else (least, most)
        mark: Mark = "agrees" if agrees else "disagrees" if disagrees else "abstains"
        return Found(mark, f"clients within {mine['slo']}: {said}", f"--capacity --slo '{mine['slo']}'")

    return check


class _Claim(NamedTuple):
    method: str
    aspect: str
    says: str
    check: Callable[[Evidence], Found]


CLAIMS: Final = (
    _Claim("single", ONE, "slow", _speed_of_single),
    _Claim("single", "number of clients", "one at a time", _served_at_once("single", several=False)),
    _Claim("single", "a slow client", "hangs it", _slow_client("single", hangs=True)),
    _Claim("single", "resource use", "minimal", _memory("single", ("threaded", "asyncio"), less=True)),
    _Claim("single", "for whom", "tests, or rare clients", _for_whom("single", busy=False)),
    _Claim("threaded", MANY_AT_ONCE, "fast", _fast("threaded", "asyncio")),
    _Claim("threaded", "number of clients", "several at once", _served_at_once("threaded", several=True)),
    _Claim("threaded", "number of clients", "up to about 1,000", _many_clients("threaded")),
    _Claim("threaded", "a slow client", "holds nobody up", _slow_client("threaded", hangs=False)),
    _Claim("threaded", "resource use", "high: each thread needs memory", _memory("threaded", ("asyncio",), less=False)),
    *(
        claim
        for name in ("asyncio", "asyncio-stdlib")
        for claim in (
            _Claim(name, MANY_AT_ONCE, "fast", _fast(name, "threaded")),
            _Claim(name, "number of clients", "1,000 and more", _many_clients(name)),
            _Claim(name, "a slow client", "holds nobody up", _slow_client(name, hangs=False)),
            _Claim(name, "resource use", "fewer than threads", _memory(name, ("threaded",), less=True)),
        )
    ),
    _Claim("asyncio", "for whom", "busy servers", _for_whom("asyncio", busy=True)),
)
"""The textbook's claims, cell by cell."""
