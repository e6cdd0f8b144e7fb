"""What a comparison knows for the textbook's claims: runs by their load, sustained rates, memory; and it in words."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal, NamedTuple

from loadtest.compare.analysis.bootstrap import Interval
from loadtest.compare.analysis.pairwise import compare_pair
from loadtest.compare.analysis.significance import Significance
from loadtest.compare.analysis.summary import Estimate, Summary, summaries
from loadtest.compare.analysis.sustained import Sustained, sustained
from loadtest.compare.plan import MIN_RUNS, RATES_SLO, Workload
from loadtest.compare.slo import Slo, parse

Mark = Literal["agrees", "disagrees", "abstains"]

# What settles a claim that the runs' spread leaves open, or too few runs, or lower bounds.
QUIETER: Final = "a machine whose runs differ less would settle it: one without other guests and programs"
MORE_RUNS: Final = "more repeats would settle it, or a machine on which fewer runs are left out"
FASTER_LOAD: Final = "a machine with a faster core, or a second one, for the load would settle it"


@dataclass(frozen=True, slots=True)
class Found:
    """The evidence's answer to a claim: a mark, the measures in words, and the options that measure them again."""

    mark: Mark
    said: str
    command: str = ""


class Part(NamedTuple):
    """A part of a claim: whether it holds (None: the runs can't tell), its measures in words, and why it is open."""

    holds: bool | None
    said: str
    open: str = ""


@dataclass(frozen=True, slots=True)
class Evidence:
    """
    A result's evidence.

    names: candidates with a run, valid or not. runs: summaries with valid runs, by candidate, scenario, clients and
    rate (0 without any); without those of other sizes of a message than the scenario's. swept: what each candidate
    sustains. memory: the result's, by candidate. slo: the objective.
    """

    names: frozenset[str]
    runs: Mapping[tuple[str, str, int, float], Summary]
    swept: Sequence[Sustained]
    memory: Mapping[str, Mapping[str, Any]]
    slo: Slo

    @classmethod
    def of(cls, result: Mapping[str, Any]) -> "Evidence":
        """Return a result's evidence."""
        every = summaries(result)
        return cls(
            names=frozenset(each.candidate.name for each in every if each.shown),
            runs={
                (each.candidate.name, *each.workload.load[:3]): each
                for each in every
                if each.valid and each.workload.size is None
            },
            swept=sustained(result),
            memory={each["candidate"]: each for each in result.get("memory") or ()},
            slo=parse(result["plan"]["slo"] or RATES_SLO),
        )

    @property
    def limit_us(self) -> int:
        """The objective for a p99; where it is about another quantile, that of rates by default."""
        return (self.slo if self.slo.quantile == 0.99 else parse(RATES_SLO)).limit_us

    def measured(self, names: Iterable[str]) -> list[str]:
        """Return which of these candidates have a run."""
        return [name for name in names if name in self.names]

    def summary(self, candidate: str, scenario: str, clients: int, rate: float = 0.0) -> Summary | None:
        """Return the summary of a candidate under a load, if it has valid runs."""
        return self.runs.get((candidate, scenario, clients, rate))

    def common_rate(self, loads: Iterable[tuple[str, int]]) -> float | None:
        """Return the lowest rate at which each of these candidates has runs with so many clients."""
        rates = [
            {rate for name, _, count, rate in self.runs if rate and (name, count) == (candidate, clients)}
            for candidate, clients in loads
        ]
        return min(set.intersection(*rates), default=None)

    def slopes(self, names: Sequence[str]) -> tuple[str, dict[str, Interval]]:
        """
        Return what a client takes of each candidate, and which clients these are: all of one kind.

        Clients that have spoken, if that is known of every candidate, else silent ones: one server serves only one.
        """
        for kind in ("spoken", "silent"):
            found = {name: (self.memory.get(name) or {}).get(kind) for name in names}
            known = {
                name: Interval(each["value"], each["low"], each["high"])
                for name, each in found.items()
                if each and each["low"] is not None
            }
            if len(known) == len(names):
                break
        return "a client that has spoken" if kind == "spoken" else "a silent client", known


def decided(yes: bool, no: bool) -> bool | None:
    """Return an answer; None if the runs give neither."""
    return True if yes else False if no else None


def concluded(parts: Sequence[Part], command: str, about: str = "") -> Found:
    """Return the answer of all parts; about: their load, in words."""
    answers = [each.holds for each in parts]
    mark: Mark = "disagrees" if False in answers else "abstains" if None in answers else "agrees"
    said = [about] if about else []
    said += [each.said for each in parts if each.said]
    if mark == "abstains":
        said += dict.fromkeys(each.open for each in parts if each.holds is None and each.open)
    return Found(mark, "; ".join(said), command)


def lacking(*what: str) -> Found:
    """Return the answer without valid runs of a load."""
    return Found("abstains", f"no valid runs: {', '.join(what)}")


# Measures in words


def number(value: float, digits: int = 3) -> str:
    """Return a number with so many significant figures."""
    return f"{float(f'{value:.{digits}g}'):,g}"


def told(estimate: Estimate, unit: float, name: str) -> str:
    """Return a measure with its interval, or its range, in words."""
    if estimate.value is None:
        most = "" if estimate.at_most is None else f"at most {number(estimate.at_most / unit)} {name}: "
        return f"{most or f'no {name}: '}{estimate.why}"
    bound = ">=" if estimate.at_least else ""
    kind = "" if estimate.is_interval else f", {len(estimate.values)} run{'s' if len(estimate.values) > 1 else ''}"
    low = number((estimate.low or 0) / unit)
    ends = f">={low}" if estimate.high is None else f"{low} to {number(estimate.high / unit)}"
    return f"{bound}{number(estimate.value / unit)} {name} ({ends}{kind})"


def of_runs(some: Sequence[Summary]) -> str:
    """Return the number of valid runs that each of these has: "10 runs", "8 to 10 runs"."""
    return f"{between(sorted(each.runs for each in some))} runs each"


def between(counts: Sequence[int]) -> str:
    """Return the least and the most of sorted counts, or one number if they are equal."""
    return f"{counts[0]:,}" if counts[0] == counts[-1] else f"{counts[0]:,} to {counts[-1]:,}"


def few(runs: int) -> str:
    """Return why so many runs give no verdict, "" if they do."""
    return "" if runs >= MIN_RUNS else f"{runs} valid runs, where a verdict takes {MIN_RUNS}: {MORE_RUNS}"


def ratio(measure: str, ours: Summary, theirs: Summary) -> Significance:
    """Return the ratio of a measure of two, ours to theirs, of one comparison."""
    return compare_pair(measure, ours, theirs).significance


def times(found: Significance) -> str:
    """Return a ratio in words: "1.02 times (0.97 to 1.08)"."""
    if found.ratio is None:
        return "no ratio"
    ends = [f">={found.low:.2f}"] if found.low is not None else []
    if found.high is not None:
        ends = [f"{found.low:.2f} to {found.high:.2f}" if found.low is not None else f"<={found.high:.2f}"]
    return f"{found.bound}{found.ratio:.2f} times{f' ({ends[0]})' if ends else ''}"


def at_most(limit: float, about: str, found: Significance) -> Part:
    """Return whether a ratio is at most `limit`: not known if its interval reaches beyond, or if there is none."""
    low, high = found.low, found.high
    holds = decided(high is not None and high <= limit, low is not None and low > limit)
    said = f"{about} {times(found)}"
    if low is None or high is None or not found.ratio:
        settles = MORE_RUNS if min(found.runs) < MIN_RUNS else FASTER_LOAD
        return Part(holds, said, f"{about}: {found.why or 'no interval'}; {settles}")
    return Part(holds, said, spans(about, low, high, found.ratio))


def spans(about: str, low: float, high: float, value: float) -> str:
    """Return what an interval can tell, and what would tell more."""
    size = max(high / value, value / low if low else 2.0) - 1
    return (
        f"{about}: its interval spans {low:.2f} to {high:.2f}, so it can tell differences of some {size:.0%}; {QUIETER}"
    )


def again(workload: Workload, *candidates: str, clients: Sequence[int] = (), rates: Sequence[float] = ()) -> str:
    """Return the options that measure a load again, with other numbers of clients or rates if given."""
    counts = " ".join(f"{count}" for count in clients or (workload.clients,))
    tried = ",".join(f"{rate:.12g}" for rate in rates or ([workload.rate] if workload.rate else []))
    asked = [f"--scenarios {workload.scenario}", *([f"--rates {tried}"] if tried else []), f"--clients {counts}"]
    window = f"--warmup {workload.warmup} --seconds {workload.seconds}"
    return f"--variants {' '.join(candidates)} {' '.join(asked)} {window} --repeats {MIN_RUNS}"
