"""
Simulates runs as real ones are, and counts the comparison's errors: which estimator it takes follows from them.

    python -m tests.loadtest.compare.analysis.simulation

writes error_rates.json beside the analysis (half a minute); `make tables` then puts it into loadtest/README.md.

In a session every repeat has four loads in a drawn order, and each load three candidates, two of which are compared.
Nobody's, and so common, are a drift of the machine over the session (a trend and a random walk, from run to run) and
slow episodes, in which all that runs takes 10 to 20 % longer. A candidate's own are the noise of each run, and with two
modes a time of 8.9 or 10.6 us, drawn for each process. One run of thirty-three is missing. The candidates are equal but
for a factor, so that every estimator is after the same ratio.
"""

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from math import exp, log
from pathlib import Path
from random import Random
from typing import Any, Final

from loadtest.compare.analysis import bootstrap, ratio
from loadtest.compare.analysis.bootstrap import Interval
from loadtest.compare.analysis.modes import groups
from loadtest.compare.analysis.sessions import FEWEST, SPREAD, compare_sessions
from loadtest.compare.analysis.significance import Answer, answer_of

LOADS: Final = 4
CANDIDATES: Final = 3
MISSING: Final = 0.03
MODES: Final = log(10.6 / 8.9)
SLOWER: Final = {"6 %": 1.06, "10 %": 1.1, "20 %": 1.2}
"""The factors that are to be found."""

LARGE: Final = {"10 %": 1.1, "20 %": 1.2, "30 %": 1.3}
"""Those that several sessions of each side are to find."""

FILE: Final = Path(bootstrap.__file__).with_name("error_rates.json")

SESSIONS: Final = 4_000
MEASURES: Final = 6
"""Measures of a comparison of several sessions, none of which knows of the others."""


@dataclass(frozen=True, slots=True)
class Machine:
    """
    How runs differ.

    noise: standard deviation of a run. drift: the same of a step of the random walk from run to run, with a trend of up
    to 6 %. episodes: how many begin in a run's time. modes: the share of processes in the slow one of two modes.
    """

    name: str
    noise: float
    drift: float = 0.0
    episodes: float = 0.0
    modes: float = 0.0


MACHINES: Final = (
    Machine("quiet: 2 % from run to run", 0.02),
    Machine("4 % from run to run", 0.04),
    Machine("3 %, and a drift", 0.03, drift=0.003),
    Machine("3 %, and slow episodes", 0.03, episodes=0.02),
    Machine("3 %, drift and episodes", 0.03, drift=0.003, episodes=0.02),
    Machine("3 %, two modes", 0.03, modes=0.4),
    Machine("3 %, all of these", 0.03, drift=0.003, episodes=0.02, modes=0.4),
)

_Estimator = Callable[[Sequence[float], Sequence[float]], Interval]


def _of_medians(ours: Sequence[float], theirs: Sequence[float]) -> Interval:
    """Return the ratio of the medians, both resampled: the estimator before."""
    below = bootstrap._resampled(theirs)
    above = bootstrap._resampled(ours)
    low, high = bootstrap._ends([(one / other, share * its) for one, share in above for other, its in below])
    return Interval(bootstrap.middle(ours) / bootstrap.middle(theirs), low, high)


TAKEN: Final = "taken: the narrower of the next two"

METHODS: Final[Mapping[str, _Estimator]] = {
    TAKEN: ratio.of_repeats,
    "pairs alone": ratio.paired,
    "two sides alone": ratio.unpaired,
    "medians of two sides, resampled (before)": _of_medians,
}


def session(chance: Random, machine: Machine, repeats: int) -> tuple[list[float], list[float]]:
    """Return what two equal candidates took, without the repeats in which one of them is missing."""
    common = _common(chance, machine, repeats * LOADS * CANDIDATES)
    sides: tuple[list[float], list[float]] = ([], [])
    for repeat in range(repeats):
        first = (repeat * LOADS + chance.randrange(LOADS)) * CANDIDATES
        both = [
            common[first + place] + chance.gauss(0, machine.noise) + MODES * (chance.random() < machine.modes)
            for place in chance.sample(range(CANDIDATES), 2)
        ]
        if all(chance.random() >= MISSING for _ in both):
            for side, took in zip(sides, both, strict=True):
                side.append(exp(took))
    return sides


def _common(chance: Random, machine: Machine, runs: int) -> list[float]:
    """Return how much longer the machine takes at each run's time, in logarithms."""
    slow, walked = [0.0] * runs, 0.0
    trend = chance.uniform(-0.06, 0.06) if machine.drift else 0.0
    for run in range(runs):
        walked += chance.gauss(0, machine.drift)
        slow[run] = walked + trend * run / runs
    begin = chance.expovariate(machine.episodes) if machine.episodes else float(runs)
    while begin < runs:
        length, deep = chance.randint(3, 20), log(1 / (1 - chance.uniform(0.1, 0.2)))
        for run in range(int(begin), min(runs, int(begin) + length)):
            slow[run] += deep
        begin += length + chance.expovariate(machine.episodes)
    return slow


def verdict(machine: Machine, repeats: int, sessions: int, seed: int, method: str = TAKEN) -> dict[str, Any]:
    """Return how often a verdict is wrong, and what it finds, as shares of the sessions."""
    chance, estimator, found = Random(seed), METHODS[method], list[Interval]()
    while len(found) < sessions:
        ours, theirs = session(chance, machine, repeats)
        if len(ours) >= ratio.FEWEST_PAIRS:
            found.append(estimator(ours, theirs))

    def share(factor: float, answer: Answer) -> float:
        return sum(answer_of(each.low * factor, each.high * factor)[0] is answer for each in found) / sessions

    return {
        "machine": machine.name,
        "repeats": repeats,
        "method": method,
        "sessions": sessions,
        "different": share(1, Answer.DIFFERENT),
        "covered": sum(each.low <= 1 <= each.high for each in found) / sessions,
        "found": {name: share(factor, Answer.DIFFERENT) for name, factor in SLOWER.items()},
        "equivalent": share(1, Answer.EQUIVALENT),
        "equivalent_though": {name: share(factor, Answer.EQUIVALENT) for name, factor in SLOWER.items()},
    }


def two_modes(runs: int, noise: float, sessions: int, seed: int) -> dict[str, Any]:
    """Return how often the runs of one mode, and of two, are said to be in two groups."""
    chance = Random(seed)

    def share(slow: float) -> float:
        told = 0
        for _ in range(sessions):
            some = [exp(chance.gauss(0, noise) + MODES * (chance.random() < slow)) for _ in range(runs)]
            told += groups(some) is not None
        return told / sessions

    return {"runs": runs, "noise": noise, "sessions": sessions, "one": share(0), "two": share(0.4)}


def sides(number: int, spread: float, comparisons: int, seed: int) -> dict[str, Any]:
    """Return how often equal sides of so many sessions alarm by any measure, and how often one finds a slower side."""
    chance = Random(seed)
    alarms, found = 0, dict.fromkeys(LARGE, 0)
    for _ in range(comparisons):
        every = [[[exp(chance.gauss(0, spread)) for _ in range(number)] for _ in range(2)] for _ in range(MEASURES)]
        alarms += any(compare_sessions(one, other, MEASURES).answer is Answer.DIFFERENT for one, other in every)
        ours, theirs = every[0]
        for name, factor in LARGE.items():
            slower = compare_sessions([factor * each for each in ours], theirs, MEASURES)
            found[name] += slower.answer is Answer.DIFFERENT and (slower.low or 0) > 1
    return {
        "sessions": number,
        "spread": spread,
        "comparisons": comparisons,
        "alarms": alarms / comparisons,
        "found": {name: each / comparisons for name, each in found.items()},
    }


def published() -> dict[str, list[dict[str, Any]]]:
    """Return the rows of each part of error_rates.json."""
    found: dict[str, list[dict[str, Any]]] = json.loads(FILE.read_text(encoding="utf-8"))
    return found


def everything() -> Iterator[tuple[str, list[dict[str, Any]]]]:
    """Yield the parts of error_rates.json."""
    yield "verdict", [verdict(machine, repeats, SESSIONS, 1) for machine in MACHINES for repeats in (10, 20)]
    yield "methods", [verdict(each, 10, SESSIONS // 4, 1, method) for method in METHODS for each in MACHINES]
    yield "modes", [two_modes(runs, noise, SESSIONS, 2) for runs in (10, 20) for noise in (0.02, 0.04)]
    yield "sides", [sides(number, spread, SESSIONS, 3) for number in (FEWEST, 5, 10) for spread in (SPREAD, 2 * SPREAD)]


def main() -> None:
    """Write error_rates.json, a row a line."""
    parts = (f'"{name}": [\n' + ",\n".join(json.dumps(row) for row in rows) + "\n]" for name, rows in everything())
    made = '"made": "by python -m tests.loadtest.compare.analysis.simulation"'
    FILE.write_text("{" + ",\n".join((made, *parts)) + "}\n", encoding="utf-8")


if __name__ == "__main__":
    main()
