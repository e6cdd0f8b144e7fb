"""What became better or worse from one comparison to another: the same judgement, between two results."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from loadtest.compare.judge.entries import Entry, entries
from loadtest.compare.judge.judgement import Answer
from loadtest.compare.judge.verdict import MORE_IS_BETTER, WORDS, Verdict, fair, judged


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


def text(found: Differences) -> str:
    """Return what became better or worse, for the terminal; ASCII only."""
    lines = [f"Not the same circumstances: {each}." for each in found.elsewhere]
    for title, some in (("WORSE", found.worse), ("BETTER", found.better)):
        lines += [f"{title}: {_line(each)}" for each in some]
    rest = [each for each in found.found if each.judgement.answer is not Answer.DIFFERENT]
    for answer in (Answer.EQUIVALENT, Answer.CANNOT_TELL, Answer.INDICATIVE):
        lines += [f"{answer}: {_line(each)}" for each in rest if each.judgement.answer is answer]
    for name, missing in (("first", found.only_before), ("second", found.only_after)):
        lines += [f"only in the {name}: {who}" for who in missing]
    return "\n".join(lines)


def _line(each: Verdict) -> str:
    ratio = each.judgement
    what = f"{each.ours.who}: {WORDS[each.figure]}"
    if ratio.ratio is None:
        return f"{what} ({ratio.why})"
    ends = [f"{end:.2f}" if end is not None else "?" for end in (ratio.low, ratio.high)]
    interval = f" (99 % interval {ends[0]} to {ends[1]})" if ratio.low is not None or ratio.high is not None else ""
    why = f"; {ratio.why}" if ratio.why else ""
    return f"{what} {ratio.bound}{ratio.ratio:.2f} times what it was{interval}{why}"
