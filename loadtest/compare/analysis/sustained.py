"""
The highest rate that a server sustains within an SLO, from sweeps: one process at rising rates.

A sweep says that the rate lies between two of those that were tried. From below, rates count until the first that
missed the SLO; from above, those that met it count too: where they contradict each other, the two ends are further
apart.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import groupby
from statistics import median_low
from typing import Any, Final

from loadtest.compare.analysis.measures import Measure, process_of
from loadtest.compare.analysis.slo_check import SloAnswer, check_run
from loadtest.compare.analysis.summary import Estimate, estimate, of_runs
from loadtest.compare.analysis.summary import candidates as candidates_of
from loadtest.compare.candidates import Candidate
from loadtest.compare.measure import load
from loadtest.compare.measure.sampler import Usage
from loadtest.compare.plan import Workload
from loadtest.compare.slo import Slo, parse
from loadtest.run_warnings import RunWarning
from loadtest.scenarios import SCENARIOS, Scenario

MOST_DISTURBED: Final = 0.2  # share of a core, kept back from server or generator, from which a run says nothing
FEWEST: Final = 100  # requests that must fall due at a rate: of fewer there is no p99, and clients may have had none
DOUBTED: Final = 2  # how many times that share a server may have answered too few requests because of it, to be safe
SURELY: Final = 0.05  # of a rate, by which a server that missed it must be behind besides: chance makes a per cent


@dataclass(frozen=True, slots=True)
class Sweep:
    """
    One process at rising rates (requests per second).

    low: the highest rate that met the SLO below any that missed it; 0 if none. high: the lowest that missed it above
    all that met it; None if none did. repeat: of the same sweep.
    """

    repeat: int
    low: float
    high: float | None

    @property
    def tells(self) -> bool:
        """Whether any rate met or missed the SLO for certain."""
        return self.low > 0 or self.high is not None


@dataclass(frozen=True, slots=True)
class Sustained:
    """
    What a candidate sustains with so many clients.

    rate: over its sweeps, in requests per second: one that was tried, and kept in half of them at least; a lower bound
    where no higher one missed the SLO. rates: those tried. workload: at the first of them.
    """

    candidate: Candidate
    workload: Workload
    sweeps: tuple[Sweep, ...]
    rates: tuple[float, ...]
    rate: Estimate

    @property
    def scenario(self) -> Scenario:
        """What the clients do."""
        return SCENARIOS[self.workload.scenario]


def bracket(answers: Iterable[tuple[float, SloAnswer]], repeat: int = 1) -> Sweep:
    """Return what a sweep says, from the answer at each rate."""
    rising = sorted(answers)
    met = [rate for rate, answer in rising if answer is SloAnswer.MET]
    missed = [rate for rate, answer in rising if answer is SloAnswer.MISSED]
    low = max((rate for rate in met if not missed or rate < missed[0]), default=0.0)
    high = min((rate for rate in missed if not met or rate > met[-1]), default=None)
    return Sweep(repeat, low, high)


def sustained(result: Mapping[str, Any]) -> list[Sustained]:
    """Return what each candidate sustains, in the order of the plan; [] without sweeps, or without an SLO."""
    if not result["plan"]["slo"]:
        return []
    slo, common = parse(result["plan"]["slo"]), tuple(RunWarning(**each) for each in result["warnings"])
    names = candidates_of(result)
    order = {each.name: place for place, each in enumerate(names)}

    def place(run: Mapping[str, Any]) -> tuple[int, int]:
        return run["workload"]["clients"], order[run["candidate"]]

    swept = sorted((run for runs in sweeps(result) for run in runs), key=place)
    warnings = {number: (*each.warnings, *common) for number, each in of_runs(result).items()}
    return [_sustained(names[number], list(some), slo, warnings) for (_, number), some in groupby(swept, key=place)]


def sweeps(result: Mapping[str, Any]) -> list[list[Mapping[str, Any]]]:
    """Return the runs of each sweep of several rates."""
    return [runs for _, some in groupby(result["runs"], key=process_of) if len(runs := list(some)) > 1]


def _sustained(
    candidate: Candidate, runs: Sequence[Mapping[str, Any]], slo: Slo, warnings: Mapping[int, tuple[RunWarning, ...]]
) -> Sustained:
    found = []
    for _, some in groupby(runs, key=process_of):
        one = [run for run in some if run["status"] == "done"]
        answers = [(run["workload"]["rate"], _answer(run, slo, warnings[run["number"]])) for run in one]
        if answers:
            found.append(bracket(answers, one[0]["repeat"]))
    rates = tuple(sorted({run["workload"]["rate"] for run in runs}))
    over = estimate([Measure(each.low, at_least=each.high is None) for each in found if each.tells])
    if over.values:  # the lower one of two middle rates, for one in between was never tried
        over = replace(over, value=median_low(over.values))
    return Sustained(candidate, Workload(**runs[0]["workload"]), tuple(found), rates, over)


def _answer(run: Mapping[str, Any], slo: Slo, warnings: tuple[RunWarning, ...]) -> SloAnswer:
    """Return whether a run met the SLO; certainly not, if the server fell behind by more than disturbances explain."""
    found = load.read(run["load"])
    if run["workload"]["rate"] * found.seconds < FEWEST:
        return SloAnswer.CANNOT_TELL
    answer = check_run(slo, replace(found, warnings=warnings)).answer
    if answer is not SloAnswer.CANNOT_TELL:
        return answer
    usage = Usage(**run["usage"])
    disturbed = found.generator_starved + (usage.stolen + (usage.foreign or 0.0)) / found.seconds
    reached = found.verified / found.seconds
    behind = run["workload"]["rate"] > reached * (1 + DOUBTED * disturbed + SURELY)
    return SloAnswer.MISSED if disturbed < MOST_DISTURBED and behind else answer


def ratios(ours: Sustained, theirs: Sustained) -> list[Measure]:
    """Return the ratio in each repeat where it is known: theirs missed a rate; a lower bound where ours missed none."""
    other = {each.repeat: each.low for each in theirs.sweeps if each.high is not None}
    pairs = [(each, other.get(each.repeat, 0.0)) for each in ours.sweeps]
    return [Measure(each.low / its, at_least=each.high is None) for each, its in pairs if each.low and its]


def is_missed(result: Mapping[str, Any]) -> bool:
    """Whether any candidate sustains none of the rates within the SLO."""
    return any(each.rate.value == 0 and not each.rate.at_least for each in sustained(result))


def common_rate(every: Sequence[Sustained]) -> float | None:
    """Return the highest rate that all sustain in most of their sweeps, or else the lowest; None without any."""
    rates = sorted({rate for each in every for rate in each.rates})
    if not rates:
        return None
    least = min(each.rate.value or 0.0 for each in every)
    return max((rate for rate in rates if rate <= least), default=rates[0])
