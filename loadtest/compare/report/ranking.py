"""The verdict in words: for each load, which candidate is better, by what factor, and where the runs can't tell."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import groupby, pairwise
from typing import Final, Literal

from loadtest.compare.analysis.pairwise import MORE_IS_BETTER, WORDS, Pair, all_pairs, compare_pair, fair, in_words
from loadtest.compare.analysis.significance import Answer, Significance
from loadtest.compare.analysis.summary import Summary, by_workload
from loadtest.compare.plan import amount
from loadtest.compare.report import formatting
from loadtest.compare.report.formatting import AT_LEAST, bare, between, duration, named, number, served

_REVERSE: Final[Mapping[str, Literal["", ">=", "<="]]] = {"": "", ">=": "<=", "<=": ">="}
_SIGNS: Final = {"": "", ">=": AT_LEAST, "<=": "≤ "}
_UNIT: Final = {"requests_per_second": "/s", "resident_bytes": " MB", "threads": " threads"}


@dataclass(frozen=True, slots=True)
class Step:
    """One place of a ranking. pair: the one before and this one; None at the first place."""

    summary: Summary
    pair: Pair | None


@dataclass(frozen=True, slots=True)
class Ranking:
    """A measure of one load: those that have it, the best first, each judged with the one before; and those without."""

    measure: str
    steps: tuple[Step, ...]
    left_out: tuple[Summary, ...]

    @property
    def words(self) -> str:
        """The measure in words."""
        return in_words(self.measure, [each.summary for each in self.steps])

    @property
    def is_verdict(self) -> bool:
        """Whether all that have the measure have enough runs for an order."""
        return len(self.steps) > 1 and Answer.INDICATIVE not in self._answers

    @property
    def is_settled(self) -> bool:
        """Whether each differs from its neighbour, or is equivalent."""
        return self.is_verdict and Answer.CANNOT_TELL not in self._answers

    @property
    def _answers(self) -> list[Answer]:
        return [each.pair.significance.answer for each in self.steps if each.pair]


def factor(pair: Pair, better: Summary) -> Significance:
    """Return by what factor `better` is better than the other one of the two, as its ratio."""
    found = pair.significance
    if (pair.measure in MORE_IS_BETTER) == (better is pair.ours):
        return found
    high, ratio, low = (None if end is None else 1 / end for end in (found.low, found.ratio, found.high))
    return replace(found, ratio=ratio, low=low, high=high, bound=_REVERSE[found.bound])


def times(found: Significance) -> str:
    """Return a factor in words, such as "1.25×", with the sign of a bound before it; "" if there is none."""
    return "" if found.ratio is None else f"{_SIGNS[found.bound]}{number(found.ratio)}×"


def rankings(some: Sequence[Summary]) -> list[Ranking]:
    """Return the rankings of one load's summaries, by each measure that is fair there."""
    return [_ranking(measure, some) for measure in fair(some[0].scenario)]


def _ranking(measure: str, some: Sequence[Summary]) -> Ranking:
    having = [each for each in some if each[measure].value is not None]
    lacking = tuple(each for each in some if each[measure].value is None)
    sign = -1 if measure in MORE_IS_BETTER else 1
    ordered = sorted(having, key=lambda each: sign * (each[measure].value or 0.0))
    steps = [
        Step(each, compare_pair(measure, ordered[place - 1], each) if place else None)
        for place, each in enumerate(ordered)
    ]
    return Ranking(measure, tuple(steps), lacking)


def place(each: Summary, measure: str, *, spread: bool = True) -> str:
    """Return a summary's measure with its unit and, if wanted, its spread: "40.1 MB (39.9 – 40.3)"."""
    estimate = each[measure]
    if estimate.value is None:
        return "-" if estimate.at_most is None else f"≤ {duration(estimate.at_most)}"
    if measure.endswith("_us"):
        shown = (AT_LEAST if estimate.at_least else "") + duration(estimate.value)
        ends = between(estimate.low, estimate.high, " – ", duration) if len(estimate.values) > 1 else ""
    else:
        shown = f"{bare(each, measure, AT_LEAST)}{_UNIT.get(measure, '')}"
        ends = formatting.spread(each, measure)
    said = "; ".join(part for part in (ends if spread else "", formatting.slowest_of(estimate)) if part)
    return f"{shown} ({said})" if said else shown


def missing(each: Summary, measure: str) -> str:
    """Return why a summary lacks a measure, in few words if possible."""
    if not each.shown:
        return each.failed[0].problem.partition(":")[0]
    if not each.valid:
        return "every run excluded"
    some, every = each.served
    return f"only {served(each)} served" if some < every else each[measure].why


def relation(pair: Pair, better: Summary) -> str:
    """Return the text between two neighbours of a ranking."""
    found = factor(pair, better)
    if found.answer is Answer.DIFFERENT:
        ends = between(found.low, found.high, " – ", number)
        return f"{times(found)}{f' ({ends})' if ends else ''} better than"
    return "equivalent to" if found.answer is Answer.EQUIVALENT else "can't be told from"


def workload_in_words(some: Sequence[Summary]) -> str:
    """Return a load in words: "saturate, 50 clients"."""
    return f"{some[0].workload.scenario}, {amount(some[0].workload)}"


def sentence(ranking: Ranking) -> str:
    """Return a ranking in words without its load; of one that is no verdict, the measures."""
    out = [f"{each.candidate.label}: {missing(each, ranking.measure)}" for each in ranking.left_out]
    if not ranking.is_verdict:
        return "; ".join(
            (*(f"{named(each.summary)} {place(each.summary, ranking.measure)}" for each in ranking.steps), *out)
        )
    said = named(ranking.steps[0].summary)
    for before, step in pairwise(ranking.steps):
        if step.pair:
            said += f" {relation(step.pair, before.summary)} {named(step.summary)}"
    return "; ".join((said, *out))


def headlines(every: Sequence[Summary]) -> list[tuple[str, Ranking]]:
    """
    Return what comes first: for each scenario the first fair measure that is settled, with the most clients.

    Where none is settled, one that is judged at all; each with its load in words. Not those at a rate: headline.py.
    """
    found = []
    freely = [each for each in every if not each.workload.rate]
    for _, group in groupby(by_workload(freely), key=lambda some: some[0].workload.scenario):
        ranked = [(some, each) for some in group for each in rankings(some)]
        some, best = max(
            ranked,
            key=lambda each: (each[1].is_verdict, each[1].is_settled, len(each[1].steps) > 1, each[0][0].workload.load),
        )
        found.append((workload_in_words(some), best))
    return found


def pair_lines(some: Sequence[Summary]) -> list[str]:
    """Return the answers for one load, a line of ASCII each; the pairs that share one and its reason stand together."""
    lines: dict[str, list[str]] = {}
    measures = list(WORDS)
    for each in sorted(all_pairs(some), key=lambda each: measures.index(each.measure)):
        if each.significance.answer is not Answer.INDICATIVE:
            about, who, rest = _pair_line(each)
            lines.setdefault(f"{about}|{rest}", []).append(who)
    return [f"{about}{', '.join(who)}{rest}" for key, who in lines.items() for about, _, rest in [key.partition("|")]]


def _pair_line(pair: Pair) -> tuple[str, str, str]:
    """Return what a pair is compared by and the answer, which two, and the rest."""
    found, ours, theirs = pair.significance, named(pair.ours), named(pair.theirs)
    about = f"{in_words(pair.measure, (pair.ours, pair.theirs))}, {found.answer}: "
    if found.answer is Answer.DIFFERENT:
        is_ours = pair.better == pair.ours.candidate.name
        better, other = (ours, theirs) if is_ours else (theirs, ours)
        by = factor(pair, pair.ours if is_ours else pair.theirs)
        ends = between(by.low, by.high, " to ", number)
        why = f" (a bound: {found.why})" if by.bound else f" ({found.why})" if found.why else ""
        said = f"{better} {by.bound}{number(by.ratio or 0.0)} times better than {other}{f' ({ends})' if ends else ''}"
        return about, said, why
    ratio, ends = "", between(found.low, found.high, " to ", number)
    if found.ratio is not None and ends and (not found.why or None in (found.low, found.high)):
        ratio = f" (ratio {number(found.ratio)}, {ends})"
    return about, f"{ours} and {theirs}{ratio}", f" ({found.why})" if found.why else ""
