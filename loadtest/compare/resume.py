"""Resumes a comparison that was interrupted: what is kept of it, and what is measured again."""

import os
from collections.abc import Mapping, Sequence
from datetime import datetime
from itertools import takewhile
from pathlib import Path
from typing import Any, Final

from loadtest.compare import cores, plan
from loadtest.compare.measure import machine

_SAME: Final = ("cpu", "cores", "usable_cores", "governor", "system", "architecture", "python", "packages")
"""What must be the same of the machine."""


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
        was, now = found["machine"].get(name), about[name]
        if was != now:
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


def resumed(found: Mapping[str, Any], at: datetime) -> dict[str, Any]:
    """Return the result as the comparison goes on: with whole repeats, because pairs must lie within one session."""
    kept = plan.from_json(found["plan"])
    waits, planned, known = kept.waits_for_rates, kept.runs(), found["runs"]
    runs = [] if waits else _whole(known[: len(planned)])
    further = known[len(planned) :] if len(runs) == len(planned) else []
    return {
        **found,
        "ended": None,
        "interrupted": False,
        "resumed": [*found.get("resumed", []), at.isoformat(timespec="seconds")],
        "reached": [] if waits else found.get("reached", []),
        "runs": [*runs, *map(plan.not_run, planned[len(runs) :]), *takewhile(_is_over, further)],
        "memory": [each for each in found.get("memory", []) if each["problem"] or each.get("silent")],
    }


def _is_over(record: Mapping[str, Any]) -> bool:
    return record["status"] in {"done", "failed"}


def _whole(records: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """Return the runs before the first repeat that has one to be measured."""
    broken = min((each["repeat"] for each in records if not _is_over(each)), default=None)
    return [each for each in records if broken is None or each["repeat"] < broken]


def pinned(found: Mapping[str, Any], usable: Sequence[int]) -> machine.Cores:
    """Return the cores that it had; ValueError with a line if they can't be used any more."""
    had = machine.Cores(frozenset(found["pinned"]["server"]), frozenset(found["pinned"]["generator"]))
    return cores.share(had, (), usable) if had.server else machine.share_out(())
