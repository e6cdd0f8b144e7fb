"""What a server sustains by its number of cores, and whether the machine can tell."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from statistics import median
from typing import Any, Final

from loadtest.compare.analysis.summary import Estimate, estimate, summaries
from loadtest.compare.analysis.sustained import Sustained, common_rate, ratios, sustained
from loadtest.compare.candidates import Candidate

FULL: Final = 0.8  # share of their number that a machine's cores must give together, to say how a server scales


@dataclass(frozen=True, slots=True)
class Point:
    """A server on so many cores: rate sustained, CPU at one rate for all, and times its rate on the fewest cores."""

    cores: int
    rate: Estimate
    cpu_us: Estimate
    times: Estimate


@dataclass(frozen=True, slots=True)
class Scaling:
    """A server over numbers of cores, the fewest first. label: its name for a reader. clients: of its load."""

    label: str
    clients: int
    points: tuple[Point, ...]

    @property
    def slope(self) -> float | None:
        """What a core more adds, in the median: a share of the rate on the fewest cores, for each of these."""
        first, last = self.points[0], self.points[-1]
        if last.times.value is None or last.times.at_least:
            return None
        return (last.times.value - 1) * first.cores / (last.cores - first.cores)


@dataclass(frozen=True, slots=True)
class Gain:
    """The machine's cores, and how many times what one gives alone all give at once, by the calibration work."""

    cores: int
    times: float

    @property
    def tells(self) -> bool:
        """Whether each core is nearly a whole one, so that a server that doesn't scale is the server's doing."""
        return self.times >= FULL * self.cores


def scalings(result: Mapping[str, Any]) -> list[Scaling]:
    """Return each server that was measured on several numbers of cores."""
    swept = [each for each in sustained(result) if each.candidate.cores]
    rate = common_rate(swept)
    at_rate = [each for each in summaries(result) if each.workload.rate == rate]
    cpu = {(each.candidate.name, each.workload.clients): each["cpu_us"] for each in at_rate}

    def group(each: Sustained) -> tuple[str, str, int]:
        return each.candidate.variant, " ".join(_without_workers(each.candidate)), each.workload.clients

    found = []
    for _, some in groupby(sorted(swept, key=lambda each: (*group(each), each.candidate.cores)), key=group):
        rising = list(some)
        points = tuple(
            Point(
                each.candidate.cores,
                each.rate,
                cpu.get((each.candidate.name, each.workload.clients), Estimate()),
                estimate(ratios(each, rising[0])) if each is not rising[0] else Estimate(),
            )
            for each in rising
        )
        if len({point.cores for point in points}) == len(points) > 1:  # two Pythons may have one program
            label = rising[0].candidate.label.rpartition(", ")[0]
            found.append(Scaling(label, rising[0].workload.clients, points))
    return found


def _without_workers(candidate: Candidate) -> Sequence[str]:
    """Return what tells a candidate apart besides its cores: its options without their number, and its Python."""
    options = [*candidate.options]
    if "--workers" in options:
        place = options.index("--workers")
        del options[place : place + 2]
    return [*options, candidate.python]


def gain(result: Mapping[str, Any]) -> Gain | None:
    """Return what the machine's cores gave, in the median over the runs that had the most of them; None if unknown."""
    known: dict[int, list[float]] = {}
    for run in result["runs"]:
        for took in run.get("calibration") or []:
            cores = len(took) // 2
            if cores > 1:
                alone = sum(took[:cores]) / cores
                known.setdefault(cores, []).append(sum(alone / each for each in took[cores:]))
    if not known:
        return None
    most = max(known)
    return Gain(most, median(known[most]))
