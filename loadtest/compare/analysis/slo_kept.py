"""Whether the target was kept: every run of a subject under a load, judged, and what they say together."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Final

from loadtest.compare.analysis.measures import CLOSED_LOOP
from loadtest.compare.analysis.slo import Answer, is_judged, judge, parse
from loadtest.compare.analysis.summary import entries
from loadtest.compare.measure import load
from loadtest.run_warnings import Doubt


@dataclass(frozen=True, slots=True)
class Kept:
    """
    What a subject's runs under a load say of the target.

    who: in words. answer: that of most of its runs, and "cannot tell" if there is no majority. runs: by answer. why: of
    the first run that did not meet it.
    """

    who: str
    answer: Answer
    runs: Mapping[Answer, int]
    why: str


def kept(result: Mapping[str, Any]) -> list[Kept]:
    """Return what there is to say of the target of a result; nothing if it has none, or where it can't be judged."""
    if not result["plan"]["target"]:
        return []
    target = parse(result["plan"]["target"])
    common = tuple(Doubt(**each) for each in result["doubts"])
    loads = {cell["number"]: cell["load"] for cell in result["cells"] if cell["status"] == "done"}
    found = []
    for entry in entries(result):
        if not is_judged(entry.scenario):
            continue
        judged = [
            judge(target, replace(load.read(loads[row.number]), doubts=(*row.doubts, *common))) for row in entry.shown
        ]
        counts = Counter(each.answer for each in judged)
        most = [answer for answer, number in counts.items() if number * 2 > len(judged)]
        why = next((each.why for each in judged if each.answer is not Answer.MET), "")
        found.append(Kept(entry.who, most[0] if most else Answer.CANNOT_TELL, counts, why))
    return found


def is_missed(result: Mapping[str, Any]) -> bool:
    """Whether any subject missed the target under any load."""
    return any(each.answer is Answer.MISSED for each in kept(result))


MARKS: Final = {Answer.MET: "kept", Answer.MISSED: "MISSED", Answer.CANNOT_TELL: "cannot tell"}


def lines(result: Mapping[str, Any]) -> list[str]:
    """Return a line for each subject and load, and one for the scenarios in which the target can't be judged."""
    target = result["plan"]["target"]
    if not target:
        return []
    closed = dict.fromkeys(each.case.scenario for each in entries(result) if not is_judged(each.scenario))
    without = [f"Target {target} not judged in {', '.join(closed)} ({CLOSED_LOOP})"] if closed else []
    return [
        f"Target {target} {MARKS[each.answer]}: {each.who}, in {each.runs.get(Answer.MET, 0)} of"
        f" {sum(each.runs.values())} runs" + (f" ({each.why})" if each.why else "")
        for each in kept(result)
    ] + without
