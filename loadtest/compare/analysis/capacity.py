"""
Capacity: the most clients with which a server meets an SLO, as a bracket.

`propose` returns the number of clients to try next, `conclude` the bracket so far; both depend on the tries alone, so
an interrupted search can be concluded or continued.
"""

import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any, Final

from loadtest.compare.analysis.slo_check import SloAnswer, SloCheck, check_run
from loadtest.compare.measure.load import Load
from loadtest.compare.measure.run import RunFailedError
from loadtest.compare.plan import clients as counted
from loadtest.compare.slo import Slo
from loadtest.recording.histogram import Bounds

TRIES: Final = 3
"""The most tries of one number of clients: then two of three agree, or the answer is "cannot tell"."""


@dataclass(frozen=True, slots=True)
class Limits:
    """
    The limits of a search.

    start, most: clients. ratio: a bracket is close if high is at most this many times low (or the next number). budget:
    tries in total.
    """

    start: int = 16
    most: int = 5_000
    ratio: float = 1.25
    budget: int = 30

    def __post_init__(self) -> None:
        if not 1 <= self.start <= self.most or self.ratio <= 1 or self.budget < 1:
            raise ValueError(f"{self} is no search: 1 <= start <= most, ratio > 1 and budget >= 1")


@dataclass(frozen=True, slots=True)
class Probe:
    """One try with a number of clients, and its answer (as in SloCheck)."""

    clients: int
    answer: SloAnswer
    bounds: Bounds | None = None
    why: str = ""

    @classmethod
    def of(cls, clients: int, checked: SloCheck) -> "Probe":
        """Return the try for a check."""
        return cls(clients, checked.answer, checked.bounds, checked.why)

    @classmethod
    def from_json(cls, kept: Mapping[str, Any]) -> "Probe":
        """Return the try from `asdict`."""
        bounds = Bounds(**kept["bounds"]) if kept["bounds"] else None
        return cls(kept["clients"], SloAnswer(kept["answer"]), bounds, kept["why"])


@dataclass(frozen=True, slots=True)
class Bracket:
    """
    The capacity: `low` clients or more, and fewer than `high`.

    low: the most clients within the SLO, 0 if none. high: the fewest outside it, twice; None if none, and then the
    capacity is '>= low'. why: why the bracket is not close, or "". contradictions: in words, numbers of clients that
    were within the SLO once and not again, or within it though fewer were not. probes: all tries, in order.
    """

    low: int
    high: int | None
    why: str
    contradictions: tuple[str, ...]
    probes: tuple[Probe, ...]

    def as_json(self) -> dict[str, Any]:
        """Return JSON-ready data."""
        return asdict(self)


def find_capacity(probe: Callable[[int], Load], slo: Slo, limits: Limits, tell: Callable[[Probe], None]) -> Bracket:
    """
    Return the bracket of the capacity within `slo`.

    probe: runs a load with this many clients and returns its result with all warnings; RunFailedError means "cannot
    tell". tell: called with each try, so that an interrupted search can be concluded (`conclude`); the interrupt's
    exception passes through.
    """
    probes: list[Probe] = []
    while (clients := propose(probes, limits)) is not None:
        try:
            checked = check_run(slo, probe(clients))
        except RunFailedError as error:
            checked = SloCheck(SloAnswer.CANNOT_TELL, None, f"the run failed: {error}")
        probes.append(Probe.of(clients, checked))
        tell(probes[-1])
    return conclude(probes, limits)


def in_words(kept: Mapping[str, Any]) -> str:
    """Return a bracket in words: "200 to 250", or ">=5,000" without a high end."""
    low, high = kept["low"], kept["high"]
    if high is None:
        return f">={low or 0:,}"
    return f"{low or 0:,} to {high:,}"


def propose(probes: Sequence[Probe], limits: Limits) -> int | None:
    """
    Return the number of clients to try next; None at the search's end, or without budget.

    It doubles until a number is not within the SLO, then halves the bracket (by ratio) until it is close. A number
    outside the SLO is tried again before it counts, because a disturbance makes any server miss; so is the low end once
    the bracket is close, because it met the SLO only once.
    """
    if len(probes) >= limits.budget:
        return None
    answers = _answers(probes)
    for clients, given in answers.items():
        if _settled(given) is None and given != [SloAnswer.MET]:
            return clients
    low, end = _ends(answers)
    if _is_close(low, end, limits):
        return low if answers.get(low) == [SloAnswer.MET] else None
    if end is None:
        return min(2 * low, limits.most) if low else limits.start
    return round(math.sqrt(max(low, 1) * end))  # never an end itself, as the ends differ by 2 or more


def conclude(probes: Sequence[Probe], limits: Limits) -> Bracket:
    """Return the bracket after these tries, even if the search is incomplete."""
    answers = _answers(probes)
    low, end = _ends(answers)
    high = _fewest(answers, SloAnswer.MISSED)
    reasons = []
    if end is not None and end != high:
        whys = (each.why for each in reversed(probes) if each.clients == end and each.answer is SloAnswer.CANNOT_TELL)
        reasons.append(f"at {counted(end)} it cannot be told: {next(whys)}")
    if end is None and low == limits.most:
        reasons.append(f"no more than {counted(low)} were tried")
    if propose(probes, replace(limits, budget=len(probes) + 1)) is not None:
        reasons.append(f"the search was ended after {len(probes)} tries")
    return Bracket(low, high, "; ".join(reasons), tuple(_contradictions(answers, high)), tuple(probes))


def _answers(probes: Iterable[Probe]) -> dict[int, list[SloAnswer]]:
    """Return the answers at each number of clients, in order."""
    answers: dict[int, list[SloAnswer]] = {}
    for probe in probes:
        answers.setdefault(probe.clients, []).append(probe.answer)
    return answers


def _settled(given: Sequence[SloAnswer]) -> SloAnswer | None:
    """Return the answer that two tries at one number agree on; None if there are too few tries."""
    for answer in SloAnswer:
        if given.count(answer) >= 2:
            return answer
    return SloAnswer.CANNOT_TELL if len(given) >= TRIES else None


def _fewest(answers: Mapping[int, Sequence[SloAnswer]], settled: SloAnswer, above: int = 0) -> int | None:
    """Return the fewest clients, more than `above`, whose answer is `settled`; None without any."""
    every = (clients for clients, given in answers.items() if clients > above and _settled(given) is settled)
    return min(every, default=None)


def _ends(answers: Mapping[int, Sequence[SloAnswer]]) -> tuple[int, int | None]:
    """
    Return between which numbers the search goes on: the most within the SLO, 0 if none, and the fewest that are not.

    The second may be a number at which it cannot be told; None if all are within. A number that was within the SLO
    at its only try counts.
    """
    high = _fewest(answers, SloAnswer.MISSED)
    low = max((clients for clients in _within(answers) if high is None or clients < high), default=0)
    dark = _fewest(answers, SloAnswer.CANNOT_TELL, above=low)
    return low, min((end for end in (high, dark) if end is not None), default=None)


def _within(answers: Mapping[int, Sequence[SloAnswer]]) -> Iterator[int]:
    for clients, given in answers.items():
        if _settled(given) is SloAnswer.MET or given == [SloAnswer.MET]:
            yield clients


def _is_close(low: int, end: int | None, limits: Limits) -> bool:
    """Whether there is no number left to try between these ends."""
    if end is None:
        return low >= limits.most
    return end - low <= 1 or end <= low * limits.ratio


def _contradictions(answers: Mapping[int, Sequence[SloAnswer]], high: int | None) -> Iterator[str]:
    for clients, given in sorted(answers.items()):
        if {SloAnswer.MET, SloAnswer.MISSED} <= set(given):
            yield f"at {counted(clients)} it was {', then '.join(given)}"
    above = max((clients for clients in _within(answers) if high is not None and clients > high), default=None)
    if above is not None:
        yield f"{counted(above)} were within the SLO, and {high:,} were not"
