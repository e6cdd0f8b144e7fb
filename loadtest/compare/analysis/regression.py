"""What became better or worse from one comparison to another: the same judgement, between two results."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from loadtest.compare.analysis.pairwise import MORE_IS_BETTER, Verdict, fair, judged
from loadtest.compare.analysis.significance import Answer
from loadtest.compare.analysis.summary import Entry, entries


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
