"""The verdict in words: for each load, who is better than whom, by what factor, and where the runs don't tell."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Final

from loadtest.compare.analysis.pairwise import MORE_IS_BETTER, WORDS, Verdict, fair, judged, verdicts
from loadtest.compare.analysis.significance import Answer
from loadtest.compare.analysis.summary import Entry
from loadtest.compare.plan import clients
from loadtest.compare.report import formatting
from loadtest.compare.report.formatting import AT_LEAST, bare, between, duration, named, number, served

_BOUNDS: Final = {"": "", ">=": "≥ ", "<=": "≤ "}


@dataclass(frozen=True, slots=True)
class Factor:
    """
    By what factor the better one of two is better.

    value: 1 or more where they are known to differ. low, high: its 99 % interval, None on a side that is open. bound:
    ">=" or "<=" before it, or "".
    """

    value: float
    low: float | None
    high: float | None
    bound: str

    @property
    def words(self) -> str:
        """It as "1.25×", with the sign of a bound before it."""
        return f"{_BOUNDS[self.bound]}{number(self.value)}×"

    def interval(self, to: str) -> str:
        """Return its interval in words, such as "1.2 to 1.3", or ">= 1.2" where it is open; "" if it has none."""
        return between(self.low, self.high, to, number)


@dataclass(frozen=True, slots=True)
class Step:
    """One place of a ranking. verdict: on the one before and this one; None at the first place."""

    entry: Entry
    verdict: Verdict | None


@dataclass(frozen=True, slots=True)
class Ranking:
    """
    One figure of one load: those that have it, the best median first, each judged with the one before.

    left_out: those that have none.
    """

    figure: str
    steps: tuple[Step, ...]
    left_out: tuple[Entry, ...]

    @property
    def is_verdict(self) -> bool:
        """Whether there are runs enough of all that have the figure, so that an order of them means something."""
        return len(self.steps) > 1 and Answer.INDICATIVE not in self._answers

    @property
    def is_settled(self) -> bool:
        """Whether each of them can be told from its neighbour, or is known to be as good."""
        return self.is_verdict and Answer.CANNOT_TELL not in self._answers

    @property
    def _answers(self) -> list[Answer]:
        return [each.verdict.judgement.answer for each in self.steps if each.verdict]


def factor(verdict: Verdict, better: Entry) -> Factor | None:
    """Return by what factor `better` is better than the other one of the two; None if there is no ratio."""
    found = verdict.judgement
    if found.ratio is None:
        return None
    if (verdict.figure in MORE_IS_BETTER) == (better is verdict.ours):
        return Factor(found.ratio, found.low, found.high, found.bound)
    low, high = (None if end is None else 1 / end for end in (found.high, found.low))
    return Factor(1 / found.ratio, low, high, {">=": "<=", "<=": ">="}.get(found.bound, ""))


def loads(every: Sequence[Entry]) -> list[list[Entry]]:
    """Return sorted entries, those of one load together."""
    return [list(some) for _, some in groupby(every, key=lambda each: (each.case.scenario, each.case.clients))]


def rankings(some: Sequence[Entry]) -> list[Ranking]:
    """Return the rankings of one load's entries, by each figure that is fair there."""
    return [_ranking(figure, some) for figure in fair(some[0].scenario)]


def _ranking(figure: str, some: Sequence[Entry]) -> Ranking:
    having = [each for each in some if each[figure].value is not None]
    sign = -1 if figure in MORE_IS_BETTER else 1
    ordered = sorted(having, key=lambda each: sign * (each[figure].value or 0.0))
    steps = [
        Step(each, judged(figure, ordered[place - 1], each) if place else None) for place, each in enumerate(ordered)
    ]
    return Ranking(figure, tuple(steps), tuple(each for each in some if each[figure].value is None))


def place(each: Entry, figure: str, *, spread: bool = True) -> str:
    """Return an entry's figure with its unit and, if wanted, its spread: "40.1 MB (39.9 – 40.3)"."""
    summary = each[figure]
    if figure.endswith("_us") and summary.value is not None:
        shown = (AT_LEAST if summary.at_least else "") + duration(summary.value)
        ends = between(summary.low, summary.high, " – ", duration) if len(summary.values) > 1 else ""
    else:
        shown = f"{bare(each, figure, AT_LEAST)}{_UNIT[figure]}"
        ends = formatting.spread(each, figure)
    return f"{shown} ({ends})" if spread and ends else shown


_UNIT: Final = {"requests_per_second": "/s", "resident_bytes": " MB", "threads": " threads"}


def missing(each: Entry, figure: str) -> str:
    """Return, in few words if it may be, why an entry lacks a figure."""
    if not each.shown:
        return each.failed[0].problem.partition(":")[0]
    if not each.rows:
        return "every run in doubt"
    some, every = each.served
    return f"only {served(each)} served" if some < every else each[figure].why


def relation(verdict: Verdict, better: Entry) -> str:
    """Return what stands between two neighbours of a ranking, in words."""
    found = factor(verdict, better)
    if verdict.judgement.answer is Answer.DIFFERENT and found:
        interval = f" ({ends})" if (ends := found.interval(" – ")) else ""
        return f"{found.words}{interval} better than"
    return "equivalent to" if verdict.judgement.answer is Answer.EQUIVALENT else "can't be told from"


def load(some: Sequence[Entry]) -> str:
    """Return a load in words: "saturate, 50 clients"."""
    return f"{some[0].case.scenario}, {clients(some[0].case.clients)}"


def sentence(ranking: Ranking) -> str:
    """Return a ranking in words without its load; of one that is no verdict, the figures."""
    out = [f"{each.subject.label}: {missing(each, ranking.figure)}" for each in ranking.left_out]
    if not ranking.is_verdict:
        return "; ".join(
            (*(f"{named(each.entry)} {place(each.entry, ranking.figure)}" for each in ranking.steps), *out)
        )
    said = named(ranking.steps[0].entry)
    for before, step in zip(ranking.steps, ranking.steps[1:], strict=False):
        if step.verdict:
            said += f" {relation(step.verdict, before.entry)} {named(step.entry)}"
    return "; ".join((said, *out))


def headlines(every: Sequence[Entry]) -> list[tuple[str, Ranking]]:
    """
    Return what comes first: for each scenario the first fair figure that is settled, with the most clients.

    Where none is settled, one that is judged at all; each with its load in words.
    """
    found = []
    for _, group in groupby(loads(every), key=lambda some: some[0].case.scenario):
        ranked = [(some, each) for some in group for each in rankings(some)]
        some, best = max(
            ranked,
            key=lambda each: (each[1].is_verdict, each[1].is_settled, len(each[1].steps) > 1, each[0][0].case.clients),
        )
        found.append((load(some), best))
    return found


def pairs(some: Sequence[Entry]) -> list[str]:
    """Return the answers for one load, a line of ASCII each; the pairs that share one and its reason stand together."""
    lines: dict[str, list[str]] = {}
    figures = list(WORDS)
    for each in sorted(verdicts(some), key=lambda each: figures.index(each.figure)):
        if each.judgement.answer is not Answer.INDICATIVE:
            about, who, rest = _pair(each)
            lines.setdefault(f"{about}|{rest}", []).append(who)
    return [f"{about}{', '.join(who)}{rest}" for key, who in lines.items() for about, _, rest in [key.partition("|")]]


def _pair(verdict: Verdict) -> tuple[str, str, str]:
    """Return what a verdict is about and its answer, which two, and the rest."""
    found, ours, theirs = verdict.judgement, named(verdict.ours), named(verdict.theirs)
    about = f"{WORDS[verdict.figure]}, {found.answer}: "
    if found.answer is Answer.DIFFERENT:
        better, other = (ours, theirs) if verdict.better == verdict.ours.subject.name else (theirs, ours)
        by = factor(verdict, verdict.ours if better is ours else verdict.theirs)
        if by:
            interval = f" ({ends})" if (ends := by.interval(" to ")) else ""
            why = f" (a bound: {found.why})" if by.bound else f" ({found.why})" if found.why else ""
            return about, f"{better} {by.bound}{number(by.value)} times better than {other}{interval}", why
    ratio = ""
    interval = between(found.low, found.high, " to ", number)
    if found.ratio is not None and interval and (not found.why or None in (found.low, found.high)):
        ratio = f" (ratio {number(found.ratio)}, {interval})"
    return about, f"{ours} and {theirs}{ratio}", f" ({found.why})" if found.why else ""
