"""Resumes a comparison that was interrupted: what is kept of it, and what is measured again."""

import os
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from itertools import takewhile
from pathlib import Path
from typing import Any, Final

from loadtest.compare import cores as core_sets
from loadtest.compare import plan, store
from loadtest.compare.measure import machine
from loadtest.compare.plan import Plan

_SAME: Final = ("cpu", "cores", "usable_cores", "governor", "system", "architecture", "python", "packages")
"""What must be the same of the machine."""

_OVER: Final = ("done", "failed")


def file_of(folder: Path) -> Path:
    """Return the result in a comparison's folder, or the file itself."""
    return folder / store.RESULT if folder.is_dir() else folder


def is_possible(found: Mapping[str, Any]) -> bool:
    """Return whether it can be resumed later: the checkout of an earlier revision is temporary."""
    return not any(each["folder"] for each in found["plan"]["candidates"])


def check(found: Mapping[str, Any], root: Path) -> None:
    """Raise ValueError with a line if the result can't be resumed here, by the code in `root`."""
    if found["complete"] or not (found["interrupted"] or found["ended"] is None):
        raise ValueError("nothing is left to measure: only an interrupted comparison can be resumed")
    if not is_possible(found):
        raise ValueError("a comparison with an earlier revision can't be resumed: its checkout is gone; begin anew")
    about = machine.describe()
    for name in _SAME:
        if found["machine"].get(name) != about[name]:
            was, now = found["machine"].get(name), about[name]
            raise ValueError(f"it was measured on another machine ({name}: {was} there, {now} here); begin anew")
    commit = machine.commit(root)
    if found["commit"] != commit:
        raise ValueError(
            f"it was measured at commit {found['commit'] or 'unknown'}, and this is {commit or 'unknown'}: check that"
            " out, or begin anew"
        )
    settings = machine.settings(os.environ)
    for name in sorted({*found["settings"], *settings}):
        if found["settings"].get(name) != settings.get(name):
            raise ValueError(f"{name} was {found['settings'].get(name, 'not set')} then: set it so again")


def plan_of(found: Mapping[str, Any]) -> Plan:
    """Return the plan of a result; ValueError with a line if it isn't whole."""
    try:
        return plan.from_json(found["plan"])
    except (KeyError, TypeError) as error:
        raise ValueError(f"its plan is of another version of the lab ({error}): begin anew") from None


def resumed(found: Mapping[str, Any], at: datetime) -> dict[str, Any]:
    """
    Return the result as it is when the comparison goes on.

    Its whole repeats are kept. One that was interrupted is measured again: its pairs must lie within one session.
    """
    planned, known = plan_of(found), found["runs"]
    waits = planned.waits_for_rates
    runs = [] if waits else _whole(known[: len(planned.runs())])
    further = known[len(planned.runs()) :] if len(runs) == len(planned.runs()) else []
    missing = planned.runs()[len(runs) :]
    return {
        **found,
        "ended": None,
        "interrupted": False,
        "resumed": [*found.get("resumed", []), at.isoformat(timespec="seconds")],
        "reached": [] if waits else found.get("reached", []),
        "runs": [*runs, *map(plan.not_run, missing), *takewhile(_is_over, further)],
        "memory": [each for each in found.get("memory", []) if each["problem"] or each.get("silent")],
    }


def _is_over(record: Mapping[str, Any]) -> bool:
    return record["status"] in _OVER


def _whole(records: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """Return the runs before the first repeat that has one to be measured."""
    broken = min((each["repeat"] for each in records if not _is_over(each)), default=None)
    return [each for each in records if broken is None or each["repeat"] < broken]


def pinned(found: Mapping[str, Any], usable: Iterable[int]) -> machine.Cores:
    """Return the cores that it had; ValueError with a line if they can't be used any more."""
    server, generator = found["pinned"]["server"], found["pinned"]["generator"]
    if not server or not generator:
        return machine.share_out(())
    usable = tuple(usable)
    missing = sorted({*server, *generator}.difference(usable))
    if missing:
        raise ValueError(f"core {missing[0]}, which it used, may not be used here any more; begin anew")
    return core_sets.share(core_sets.Asked(frozenset(server), frozenset(generator)), (), usable)
