"""What became better or worse between two results, or two revisions, by the same test as between candidates."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from loadtest.compare.analysis.pairwise import MORE_IS_BETTER, Pair, compare_apart, compare_pair, fair
from loadtest.compare.analysis.significance import Answer
from loadtest.compare.analysis.summary import Summary, summaries


@dataclass(frozen=True, slots=True)
class Differences:
    """
    The differences of two results.

    found: measures of `after` relative to `before`. only_before, only_after: what only one of them has. elsewhere: how
    machine and settings differ, in words, which is not a change of a server.
    """

    found: tuple[Pair, ...]
    only_before: tuple[str, ...]
    only_after: tuple[str, ...]
    elsewhere: tuple[str, ...]

    @property
    def worse(self) -> tuple[Pair, ...]:
        """The measures that became worse."""
        return tuple(each for each in self.found if is_worse(each))

    @property
    def better(self) -> tuple[Pair, ...]:
        """The measures that became better."""
        different = (each for each in self.found if each.significance.answer is Answer.DIFFERENT)
        return tuple(each for each in different if not is_worse(each))


def is_worse(each: Pair) -> bool:
    """Whether a measure became worse, beyond chance."""
    ratio = each.significance.ratio
    if each.significance.answer is not Answer.DIFFERENT or ratio is None:
        return False
    return (ratio < 1) == (each.measure in MORE_IS_BETTER)


def differences(before: Mapping[str, Any], after: Mapping[str, Any]) -> Differences:
    """Compare the measurements that both results have."""
    old, new = _by_load(before), _by_load(after)
    return Differences(
        found=tuple(
            compare_apart(measure, new[key], old[key])
            for key in old
            if key in new
            for measure in fair(new[key].scenario)
        ),
        only_before=tuple(summary.who for key, summary in old.items() if key not in new),
        only_after=tuple(summary.who for key, summary in new.items() if key not in old),
        elsewhere=tuple(_circumstances(before, after)),
    )


def of_revisions(result: Mapping[str, Any]) -> tuple[Pair, ...]:
    """
    Return each measure of a candidate relative to its earlier revision's, measured in turns with it.

    Without those that no valid run has, as a server that serves one of many clients has no throughput.
    """
    every = summaries(result)
    now = {(each.candidate.name, each.workload): each for each in every}
    pairs = [(now[key], each) for each in every if (key := (each.candidate.version_of, each.workload)) in now]
    return tuple(
        compare_pair(measure, ours, theirs)
        for ours, theirs in pairs
        for measure in fair(ours.scenario)
        if not (ours.valid and theirs.valid) or any(each[measure].value is not None for each in (ours, theirs))
    )


def _by_load(result: Mapping[str, Any]) -> dict[tuple[str, object], Summary]:
    """Return the summaries by candidate and load, including the window's length."""
    return {(summary.candidate.name, summary.workload): summary for summary in summaries(result)}


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
