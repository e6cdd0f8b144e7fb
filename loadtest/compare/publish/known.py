"""Claims that others have published, each beside what this lab has measured of it."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple

from loadtest.compare.analysis.pairwise import compare_pair
from loadtest.compare.plan import MIN_RUNS
from loadtest.compare.publish import tables
from loadtest.compare.publish.published import Published
from loadtest.compare.publish.words import Language


class Ours(NamedTuple):
    """What was measured. value, low, high: with a 99 % interval, in the claim's unit. runs: of each side."""

    one: Published
    value: float
    low: float
    high: float
    runs: int


@dataclass(frozen=True, slots=True)
class Known:
    """A published claim."""

    says: str
    source: str  # where it was published
    low: float  # what it claims, in `unit`
    high: float
    unit: str
    about: str  # what was measured of it
    differs: str  # what is different here, where the two part
    find: Callable[[Published], Ours | None]

    def answer(self, ours: Ours) -> str:
        """Return whether the interval lies in what is claimed, beside it, or partly in it."""
        if self.low <= ours.low and ours.high <= self.high:
            return "reproduced"
        return "contradicted here" if ours.high < self.low or ours.low > self.high else "can't tell"


def _cost_ratio(more: str, less: str, size: int) -> Callable[[Published], Ours | None]:
    """Return how to find by how much more CPU a request costs one server than another, at top speed."""

    def find(one: Published) -> Ours | None:
        some = {
            each.candidate.name: each
            for each in one.summaries
            if each.workload.scenario == "saturate" and each.workload.size == size and each.runs >= MIN_RUNS
        }
        if not {more, less} <= some.keys():
            return None
        found = compare_pair("cpu_us", some[more], some[less]).significance
        return _ours(one, found.ratio, found.low, found.high, min(found.runs))

    return find


def _beside_a_neighbour(one: Published) -> Ours | None:
    """Find how many echoes in a row a client of `threaded` gets in a second beside one that computes."""
    for each in one.summaries:
        if each.scenario.neighbour and each.candidate.name == "threaded" and each.runs >= MIN_RUNS:
            took = each["response_p50_us"]
            value, low, high = (1e6 / each if each else None for each in (took.value, took.high, took.low))
            return _ours(one, value, low, high, each.runs)
    return None


def _a_thousand(one: Published) -> Ours | None:
    """Find what 1,000 silent threads take in memory, with the kernel's part, in megabytes."""
    for each in one.result.get("memory", []):
        total = (each.get("container_silent") or {}).get("total")
        if each["candidate"] == "threaded" and total:
            value, low, high = (total[name] and total[name] / 1e3 for name in ("value", "low", "high"))
            return _ours(one, value, low, high, len(each["runs"]))
    return None


def _ours(one: Published, value: float | None, low: float | None, high: float | None, runs: int) -> Ours | None:
    """Return what was measured, if it has an interval."""
    return Ours(one, value, low, high, runs) if value and low and high else None


CLAIMS: Final = (
    *(
        Known(
            f"uvloop makes asyncio 2 to 4 times as fast: {api}",
            "uvloop's README, 1 KiB",
            *(2.0, 4.0, "times"),
            about=f"CPU per request of {named}, 1,024 bytes: asyncio's loop / uvloop",
            differs="the chart is of 2016 and Python 3.5, with 10 clients; asyncio has become faster since",
            find=_cost_ratio(f"{server}-stdlib", server, 1024),
        )
        for api, named, server in (("streams", "streams", "asyncio"), ("Protocol", "a Protocol", "protocol"))
    ),
    Known(
        "uvloop is some 13 % faster",
        "uvloop, issue 566",
        *(1.08, 1.18, "times"),
        about="CPU per request of a Protocol, 64 bytes: asyncio's loop / uvloop",
        differs="that is Python 3.13 and a server of its own; here the lab's, which also splits, checks and counts",
        find=_cost_ratio("protocol-stdlib", "protocol", 64),
    ),
    Known(
        "a Protocol is 1.31 times as fast as streams",
        "rloop, benchmarks",
        *(1.26, 1.36, "times"),
        about="CPU per request on uvloop, 64 bytes: streams / Protocol",
        differs="there an echo alone; here both also split lines, check and count, so the rest weighs less",
        find=_cost_ratio("asyncio", "protocol", 64),
    ),
    Known(
        "beside a thread that computes, another's I/O is served some 100 times a second",
        "bpo-7946, dask issue 6325",
        *(80.0, 120.0, "a second"),
        about="ECHOs in a row that a client of `threaded` would get beside WORK, at its p50; one core, so of the GIL"
        " on several it says nothing",
        differs="an ECHO waits once for the GIL, up to 5 ms; what gives it back twice waits twice",
        find=_beside_a_neighbour,
    ),
    Known(
        "1,000 threads take 1 GB",
        "often said, of stacks of 1 MB",
        *(900.0, 1100.0, "MB"),
        about="memory of 1,000 silent clients' threads, with the kernel's part",
        differs="that is address space reserved for stacks, of which a thread touches a few pages",
        find=_a_thousand,
    ),
)


def table(every: Sequence[Published], language: Language) -> Iterator[str]:
    """Yield each claim beside what was measured of it."""
    yield "| claim | published in | measured here | 99 % interval | runs | answer |"
    yield "|---|---|--:|--:|--:|---|"
    sources: dict[str, int] = {}
    for each in CLAIMS:
        ours = next(filter(None, map(each.find, every)), None)
        if ours is None:
            yield f"| {each.says} | {each.source} | | | | not measured |"
            continue
        answer = each.answer(ours)
        why = f": {each.differs}" if answer == "contradicted here" else ""
        source = f"{tables.source(ours.one, language)} Machine: {tables.machine(ours.one)}."
        note = sources.setdefault(source, len(sources) + 1)
        low, high = language.number(ours.low), language.number(ours.high)
        yield (
            f"| {each.says} | {each.source} | {language.number(ours.value)} {each.unit} ({each.about}) [{note}]"
            f" | {low}–{high} | {ours.runs} | **{answer}**{why} |"
        )
    for said, note in sources.items():
        yield f"\n[{note}] {said}"
