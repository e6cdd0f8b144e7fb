"""What is better or worse than in another revision, or seems so in another result, for the terminal."""

from collections.abc import Iterable
from typing import Final

from loadtest.compare.analysis.pairwise import Pair, in_words
from loadtest.compare.analysis.regression import Differences, is_worse
from loadtest.compare.analysis.sessions import RISK
from loadtest.compare.analysis.significance import Answer, Significance
from loadtest.compare.escaping import visible_lines

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


def of_sessions(found: Differences) -> str:
    """Return what is better or worse over several sessions of each side, a line for each measure."""
    lines = [SESSIONS, *(f"Not the same circumstances: {each}." for each in found.elsewhere)]
    lines.append(of_revisions(found.found, "interval"))
    for name, missing in (("first", found.only_before), ("second", found.only_after)):
        lines += [f"not in all results, but on the {name} side: {who}" for who in missing]
    return visible_lines("\n".join(lines))


def text(found: Differences) -> str:
    """Return what seems better or worse, for the terminal."""
    lines = [INDICATIVE] if found.found else []
    lines += [f"Not the same circumstances: {each}." for each in found.elsewhere]
    for title, some in (("seems worse", found.worse), ("seems better", found.better)):
        lines += [f"{title}: {_line(each)}" for each in some]
    rest = [each for each in found.found if each.significance.answer is not Answer.DIFFERENT]
    seems = {Answer.EQUIVALENT: "seems alike", Answer.CANNOT_TELL: "cannot tell", Answer.INDICATIVE: "too few runs"}
    for answer, title in seems.items():
        lines += [f"{title}: {_line(each)}" for each in rest if each.significance.answer is answer]
    for name, missing in (("first", found.only_before), ("second", found.only_after)):
        lines += [f"only in the {name}: {who}" for who in missing]
    return visible_lines("\n".join(lines))


_ANSWERS: Final = {
    Answer.EQUIVALENT: "equivalent",
    Answer.CANNOT_TELL: "can't tell",
    Answer.INDICATIVE: "too few runs",
}


def of_revisions(pairs: Iterable[Pair], interval: str = "99 % interval") -> str:
    """Return what is better or worse than in an earlier revision, a line for each measure; interval: its name."""
    return visible_lines("\n".join(f"{answer(each)}: {_line(each, interval)}" for each in pairs))


def answer(each: Pair) -> str:
    """Return a measure's answer in words: better, worse, equivalent, can't tell, or too few runs."""
    return _ANSWERS.get(each.significance.answer, "worse" if is_worse(each) else "better")


def _line(each: Pair, name: str = "99 % interval") -> str:
    ratio = each.significance
    what = f"{each.ours.who}: {in_words(each.measure, (each.ours, each.theirs))}"
    if ratio.ratio is None:
        return f"{what} ({ratio.why})"
    interval = f" ({name} {_interval(ratio)})" if ratio.low is not None or ratio.high is not None else ""
    why = f"; {ratio.why}" if ratio.why else ""
    return f"{what} {ratio.bound}{ratio.ratio:.2f} times what it was{interval}{why}"


def _interval(ratio: Significance) -> str:
    if ratio.low is None:
        return f"<= {ratio.high:.2f}"
    return f">= {ratio.low:.2f}" if ratio.high is None else f"{ratio.low:.2f} to {ratio.high:.2f}"
