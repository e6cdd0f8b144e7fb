"""
What is better or worse than in another revision, or seems so in another result, as text.

A line for each measure; and for a pull request the verdict in a line, and a chart of the intervals.
"""

from collections.abc import Iterable, Iterator, Sequence
from itertools import groupby
from math import log
from typing import Final

from loadtest.compare.analysis.pairwise import MORE_IS_BETTER, Pair, in_words
from loadtest.compare.analysis.regression import Differences, is_worse
from loadtest.compare.analysis.sessions import RISK
from loadtest.compare.analysis.significance import MARGIN, Answer, Significance
from loadtest.compare.escaping import visible_lines
from loadtest.compare.report.formatting import between

INDICATIVE: Final = (
    "Indicative only: two sessions of one and the same server often differ by 2 to 3 %, and then a quarter to a third"
    " of such comparisons name a difference that is none; to know, run both interleaved in one session: python -m"
    " loadtest compare --against REVISION"
)
"""The first line, because no interval covers the differences between sessions."""

SESSIONS: Final = (
    "A verdict over sessions, of which each is one value. The intervals hold for all measures together"
    f" ({1 - RISK:.1%}). Which differences so many sessions find: loadtest/README.md."
)
"""The first line of a verdict over several sessions of each side."""

_ANSWERS: Final = {Answer.EQUIVALENT: "equivalent", Answer.CANNOT_TELL: "can't tell", Answer.INDICATIVE: "too few runs"}
_SEEMS: Final = {
    "worse": "seems worse",
    "better": "seems better",
    "equivalent": "seems alike",
    "can't tell": "cannot tell",
    "too few runs": "too few runs",
}
"""The answers, the worst first, each as it is said of two sessions."""

_WIDTH: Final = 41  # columns of the axis: odd, so that 1 has one in the middle
_SPANS: Final = (1.25, 1.5, 2.0, 4.0, 10.0)  # factors to which the axis may reach, up and down; then there are arrows


def of_sessions(found: Differences) -> str:
    """Return what is better or worse over several sessions of each side, a line for each measure."""
    lines = [SESSIONS, *_elsewhere(found), of_revisions(found.found, "interval")]
    return visible_lines("\n".join([*lines, *_lacking(found, "not in all results, but on the {} side")]))


def text(found: Differences) -> str:
    """Return what seems better or worse, for the terminal."""
    lines = [*([INDICATIVE] if found.found else []), *_elsewhere(found)]
    for name, title in _SEEMS.items():
        lines += [f"{title}: {_line(each)}" for each in found.found if answer(each) == name]
    return visible_lines("\n".join([*lines, *_lacking(found, "only in the {}")]))


def _elsewhere(found: Differences) -> list[str]:
    return [f"Not the same circumstances: {each}." for each in found.elsewhere]


def _lacking(found: Differences, where: str) -> Iterable[str]:
    for name, missing in (("first", found.only_before), ("second", found.only_after)):
        yield from (f"{where.format(name)}: {who}" for who in missing)


def of_revisions(pairs: Iterable[Pair], interval: str = "99 % interval") -> str:
    """Return what is better or worse than in an earlier revision, a line for each measure; interval: its name."""
    return visible_lines("\n".join(f"{answer(each)}: {_line(each, interval)}" for each in pairs))


def answer(each: Pair) -> str:
    """Return a measure's answer in words: better, worse, equivalent, can't tell, or too few runs."""
    return _ANSWERS.get(each.significance.answer, "worse" if is_worse(each) else "better")


def _line(each: Pair, name: str = "99 % interval") -> str:
    ratio = each.significance
    what = f"{each.ours.who}: {_name(each)}"
    if ratio.ratio is None:
        return f"{what} ({ratio.why})"
    ends = between(ratio.low, ratio.high, " to ", "{:.2f}".format)
    interval = f" ({name} {ends})" if ends else ""
    why = f"; {ratio.why}" if ratio.why else ""
    return f"{what} {ratio.bound}{ratio.ratio:.2f} times what it was{interval}{why}"


def headline(pairs: Sequence[Pair]) -> str:
    """Return the verdict in a line, the worst first: "Worse: CPU per request. Can't tell: requests/s."."""
    found: dict[str, dict[str, None]] = {name: {} for name in _SEEMS}
    for each in pairs:
        found[answer(each)][_name(each)] = None
    said = [f"{name.capitalize()}: {', '.join(some)}." for name, some in found.items() if some]
    return " ".join(said) or "Nothing could be measured."


def chart(pairs: Sequence[Pair]) -> list[str]:
    """Return the lines of a chart in ASCII: a load's measures, each with its ratio and interval on one axis."""
    known = [each for each in pairs if each.significance.ratio]
    if not known:
        return []
    span = _span(known)
    wide = max(len(_name(each)) for each in known) + 2
    lines = [f"{'':{wide}}  {1 / span:<{_WIDTH // 2}.2f}1{span:>{_WIDTH // 2}.2f}  times what it was"]
    for who, some in groupby(known, key=lambda each: each.ours.who):
        lines.append(who)
        for each in some:
            found = each.significance
            told = f"{_figures(found):22}  {answer(each)}"
            lines.append(f"{f'  {_name(each)}':{wide}}  {_drawn(found, span)}  {told}")
    more = dict.fromkeys(_name(each) for each in known if each.measure in MORE_IS_BETTER)
    better = f"more {', '.join(more)} is better, less of all else" if more else "less is better"
    return [*lines, f"o: the ratio; [ ]: its 99 % interval; |: equal, and : within {MARGIN - 1:.0%}; {better}"]


def reasons(pairs: Sequence[Pair]) -> Iterator[str]:
    """Yield for each measure without a clear answer why it has none."""
    for each in pairs:
        sides = [each.theirs[each.measure].why, each.ours[each.measure].why]
        why = "; ".join(dict.fromkeys(said for said in (each.significance.why, *sides) if said))
        if why:
            yield f"{answer(each)}: {each.ours.who}: {_name(each)}: {why}"


def _name(each: Pair) -> str:
    return in_words(each.measure, (each.ours, each.theirs))


def _span(known: Sequence[Pair]) -> float:
    """Return the least span that shows every end."""
    ends = [end for each in known for end in _ends(each.significance) if end]
    furthest = max(max(end, 1 / end) for end in ends)
    return next((span for span in _SPANS if furthest <= span), _SPANS[-1])


def _ends(found: Significance) -> tuple[float | None, float | None, float | None]:
    return found.low, found.ratio, found.high


def _drawn(found: Significance, span: float) -> str:
    """Return the axis with an interval on it; an arrow where it is open, or goes on beyond the axis."""
    axis = [" "] * _WIDTH
    for value, sign in ((1 / MARGIN, ":"), (MARGIN, ":"), (1.0, "|")):
        axis[_place(value, span)] = sign
    low, ratio, high = _ends(found)
    if low is not None or high is not None:
        left = _place(low, span) if low else 0
        right = _place(high, span) if high else _WIDTH - 1
        axis[left : right + 1] = "-" * (right + 1 - left)
        axis[left] = "[" if low and low >= 1 / span else "<"
        axis[right] = "]" if high and high <= span else ">"
    if ratio:
        axis[_place(ratio, span)] = "<" if ratio < 1 / span else ">" if ratio > span else "o"
    return "".join(axis)


def _place(value: float, span: float) -> int:
    """Return the column of a ratio, by its logarithm, so that half and double are equally far from 1."""
    share = (log(value) / log(span) + 1) / 2
    return round(min(1.0, max(0.0, share)) * (_WIDTH - 1))


def _figures(found: Significance) -> str:
    low, ratio, high = _ends(found)
    ends = f" ({'..' if low is None else f'{low:.2f}'} to {'..' if high is None else f'{high:.2f}'})"
    return f"{found.bound}{ratio:.2f}{'' if low is None and high is None else ends}"
