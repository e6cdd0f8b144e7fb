"""What became better or worse from one comparison to another: the same judgement, between two results."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from loadtest.compare.analysis.pairwise import MORE_IS_BETTER, WORDS, Verdict, fair, judged
from loadtest.compare.analysis.significance import Answer, Judgement
from loadtest.compare.analysis.summary import Entry, entries
from loadtest.compare.escaping import visible_lines


@dataclass(frozen=True, slots=True)
class Differences:
    """
    What two results tell.

    found: figures of `after` over those of `before`, judged. only_before, only_after: what just one of them has.
    elsewhere: what differs in how they were measured, in words: figures of two machines are no change of a server.
    """

    found: tuple[Verdict, ...]
    only_before: tuple[str, ...]
    only_after: tuple[str, ...]
    elsewhere: tuple[str, ...]

    @property
    def worse(self) -> tuple[Verdict, ...]:
        """The figures that became worse."""
        return tuple(each for each in self.found if is_worse(each))

    @property
    def better(self) -> tuple[Verdict, ...]:
        """The figures that became better."""
        different = (each for each in self.found if each.judgement.answer is Answer.DIFFERENT)
        return tuple(each for each in different if not is_worse(each))


def is_worse(each: Verdict) -> bool:
    """Whether a figure became worse, and not just differs by chance."""
    ratio = each.judgement.ratio
    if each.judgement.answer is not Answer.DIFFERENT or ratio is None:
        return False
    return (ratio < 1) == (each.figure in MORE_IS_BETTER)


def differences(before: Mapping[str, Any], after: Mapping[str, Any]) -> Differences:
    """Return what differs between two results, of what both have measured."""
    old, new = _by_load(before), _by_load(after)
    return Differences(
        found=tuple(
            judged(figure, new[key], old[key]) for key in old if key in new for figure in fair(new[key].scenario)
        ),
        only_before=tuple(entry.who for key, entry in old.items() if key not in new),
        only_after=tuple(entry.who for key, entry in new.items() if key not in old),
        elsewhere=tuple(_circumstances(before, after)),
    )


def _by_load(result: Mapping[str, Any]) -> dict[tuple[str, object], Entry]:
    """Return the entries by who met which load, length of the window included."""
    return {(entry.subject.name, entry.case): entry for entry in entries(result)}


def _circumstances(before: Mapping[str, Any], after: Mapping[str, Any]) -> list[str]:
    one, other = before["machine"], after["machine"]
    named = {"cpu": "processor", "cores": "cores", "system": "system", "python": "Python", "packages": "packages"}
    said = [
        f"the {words} differs: {one.get(name)} and {other.get(name)}"
        for name, words in named.items()
        if one.get(name) != other.get(name)
    ]
    if before["pinned"] != after["pinned"]:
        said.append(f"the cores differ: {before['pinned']} and {after['pinned']}")
    return said


INDICATIVE: Final = (
    "Indicative only: two sessions of one and the same server often differ by 2 to 3 %, and then a quarter to a third"
    " of such comparisons name a difference that is none; to know, run both interleaved in one session: python -m"
    " loadtest compare --server 'before=COMMAND {port}' --server 'after=COMMAND {port}' --repeats 10"
)
"""Said first, for sessions are no runs: what differs between them is in no interval."""


def text(found: Differences) -> str:
    """Return what seems better or worse, for the terminal."""
    lines = [INDICATIVE] if found.found else []
    lines += [f"Not the same circumstances: {each}." for each in found.elsewhere]
    for title, some in (("seems worse", found.worse), ("seems better", found.better)):
        lines += [f"{title}: {_line(each)}" for each in some]
    rest = [each for each in found.found if each.judgement.answer is not Answer.DIFFERENT]
    seems = {Answer.EQUIVALENT: "seems alike", Answer.CANNOT_TELL: "cannot tell", Answer.INDICATIVE: "too few runs"}
    for answer, title in seems.items():
        lines += [f"{title}: {_line(each)}" for each in rest if each.judgement.answer is answer]
    for name, missing in (("first", found.only_before), ("second", found.only_after)):
        lines += [f"only in the {name}: {who}" for who in missing]
    return visible_lines("\n".join(lines))


def _line(each: Verdict) -> str:
    ratio = each.judgement
    what = f"{each.ours.who}: {WORDS[each.figure]}"
    if ratio.ratio is None:
        return f"{what} ({ratio.why})"
    interval = f" (99 % interval {_interval(ratio)})" if ratio.low is not None or ratio.high is not None else ""
    why = f"; {ratio.why}" if ratio.why else ""
    return f"{what} {ratio.bound}{ratio.ratio:.2f} times what it was{interval}{why}"


def _interval(ratio: Judgement) -> str:
    if ratio.low is None:
        return f"<= {ratio.high:.2f}"
    return f">= {ratio.low:.2f}" if ratio.high is None else f"{ratio.low:.2f} to {ratio.high:.2f}"
