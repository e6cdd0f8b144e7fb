"""What became better or worse between two revisions, two results, or several results of each of two sides."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from loadtest.compare.analysis.pairwise import MORE_IS_BETTER, Pair, compare_pair, fair, judged
from loadtest.compare.analysis.sessions import compare_sessions
from loadtest.compare.analysis.significance import Answer
from loadtest.compare.analysis.summary import Summary, candidates, summaries, summarize
from loadtest.compare.plan import MIN_RUNS


@dataclass(frozen=True, slots=True)
class Differences:
    """
    The differences of two sides, of a result each or of several.

    found: measures of `after` relative to `before`. only_before, only_after: what only one of them has (of several
    results: what not all have). elsewhere: how machine and settings differ, in words, which is no server's change.
    """

    found: tuple[Pair, ...]
    only_before: tuple[str, ...]
    only_after: tuple[str, ...]
    elsewhere: tuple[str, ...]


def is_worse(each: Pair) -> bool:
    """Whether a measure became worse, beyond chance."""
    found = each.significance
    is_less = (found.ratio or 0.0) < 1
    return found.answer is Answer.DIFFERENT and is_less == (each.measure in MORE_IS_BETTER)


def differences(before: Mapping[str, Any], after: Mapping[str, Any]) -> Differences:
    """Compare the measurements that both results have."""
    old, new = _by_load(before), _by_load(after)
    both = [(new[key], old[key]) for key in old if key in new]
    return Differences(
        found=tuple(
            compare_pair(measure, ours, its, apart=True) for ours, its in both for measure in fair(ours.scenario)
        ),
        only_before=tuple(summary.who for key, summary in old.items() if key not in new),
        only_after=tuple(summary.who for key, summary in new.items() if key not in old),
        elsewhere=tuple(_circumstances(before, after)),
    )


def of_sessions(before: Sequence[Mapping[str, Any]], after: Sequence[Mapping[str, Any]]) -> Differences:
    """Compare the measurements that all results have, of which each is a session of its own."""
    sides = [[_by_load(each) for each in side] for side in (before, after)]
    shared = [key for key in sides[0][0] if all(key in each for side in sides for each in side)]
    asked = []
    for key in shared:
        older, newer = ([each[key] for each in side] for side in sides)
        old, new = _together(older), _together(newer)
        asked += [(each, new, old, _values(newer, each), _values(older, each)) for each in fair(new.scenario)]
    measures = sum(bool(ours and theirs) for *_, ours, theirs in asked)
    found = [
        judged(measure, new, old, compare_sessions(ours, theirs, measures))
        for measure, new, old, ours, theirs in asked
        if ours or theirs
    ]
    only = [dict.fromkeys(each[key].who for each in side for key in each if key not in shared) for side in sides]
    elsewhere = [said for each in (*before[1:], *after) for said in _circumstances(before[0], each)]
    if max(each["started"] for each in before) < min(each["started"] for each in after):
        elsewhere.append("all sessions of the second side are later: what changed meanwhile on the machine counts too")
    return Differences(tuple(found), tuple(only[0]), tuple(only[1]), tuple(dict.fromkeys(elsewhere)))


def _together(sessions: Sequence[Summary]) -> Summary:
    """Return the runs of several sessions in one summary."""
    runs = [run for each in sessions for run in (*each.valid, *each.excluded, *each.failed)]
    return summarize(sessions[0].candidate, runs)


def _values(sessions: Sequence[Summary], measure: str) -> list[float]:
    """Return the median of each session that has one; not a lower bound."""
    every = [each[measure] for each in sessions]
    return [each.value for each in every if each.value and not each.at_least]


def of_revisions(result: Mapping[str, Any]) -> tuple[Pair, ...]:
    """Return each measure that a valid run has, relative to the earlier revision's, measured in turns with it."""
    every = summaries(result)
    now = {(each.candidate.name, each.workload): each for each in every}
    pairs = [(now[key], each) for each in every if (key := (each.candidate.version_of, each.workload)) in now]
    return tuple(
        compare_pair(measure, ours, theirs)
        for ours, theirs in pairs
        for measure in fair(ours.scenario)
        if not (ours.valid and theirs.valid) or any(each[measure].value is not None for each in (ours, theirs))
    )


def is_untold(result: Mapping[str, Any], pairs: Sequence[Pair]) -> bool:
    """Whether a verdict about an earlier revision was planned, and too few runs are valid for one by any measure."""
    planned = any(task["repeats"] >= MIN_RUNS for task in result["plan"]["tasks"])
    has_earlier = any(each.version_of for each in candidates(result))
    return planned and has_earlier and all(each.significance.answer is Answer.INDICATIVE for each in pairs)


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
