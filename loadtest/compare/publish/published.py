"""The published results, in loadtest/compare/published/: of each machine a file for each kind of comparison."""

import gzip
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from pathlib import Path
from typing import Any, Final

from loadtest.compare import hot_path, store
from loadtest.compare.analysis import regression
from loadtest.compare.analysis.pairwise import Pair
from loadtest.compare.analysis.significance import Answer
from loadtest.compare.analysis.summary import Summary, candidates, summaries
from loadtest.compare.analysis.sustained import Sustained, sustained

SUFFIX: Final = ".json.gz"
RENEWAL: Final = 900  # seconds that a comparison with the published commit may take, to renew the figures' stamp
WITHIN: Final = 1.1  # the factor that the intervals of such a comparison may not leave


@dataclass(frozen=True)
class Published:
    """A published result."""

    name: str  # its file's, without SUFFIX
    result: Mapping[str, Any]
    renewed: Mapping[str, Any] | None = None  # commit, date and code that an interleaved comparison found equal later

    @cached_property
    def summaries(self) -> list[Summary]:
        """The summaries, computed once for all tables."""
        return summaries(self.result)

    @cached_property
    def sustained(self) -> list[Sustained]:
        """What each candidate sustains, computed once for all tables."""
        return sustained(self.result)

    @property
    def machine(self) -> str:
        """The machine's name."""
        return machine(self.result)

    @property
    def code(self) -> Mapping[str, str]:
        """The hashes of the code for which the figures hold; {} of an old result, which kept none."""
        found: Mapping[str, str] = (self.renewed or self.result).get("code", {})
        return found

    @property
    def commit(self) -> str:
        """The commit at which it was measured; "" if unknown."""
        return str(self.result["commit"] or "").removesuffix("-dirty")

    def changed(self, root: Path) -> list[str]:
        """Return the files on a request's way that are others now."""
        return hot_path.changed(self.code, hot_path.hashes(root))


def every(folder: Path) -> list[Published]:
    """Return what is published, first what has most runs, which the READMEs show; ValueError if a file isn't whole."""
    found = []
    for path in sorted(folder.glob(f"*{SUFFIX}")):
        try:
            result = store.read(path)
        except ValueError as error:
            raise ValueError(f"{path.name}: {error}") from None
        found.append(Published(path.name.removesuffix(SUFFIX), result, result.pop("renewed", None)))
    return sorted(found, key=lambda each: -sum(run["status"] == "done" for run in each.result["runs"]))


def add(result: Mapping[str, Any], folder: Path) -> Path:
    """Publish a result in the place of an earlier one of its kind and machine; return its file."""
    if not any(run["status"] == "done" for run in result["runs"]):
        raise ValueError("no run is done: there is nothing to publish")
    return _write(Published(f"{machine(result)}.{_kind(result)}", result), folder)


def _kind(result: Mapping[str, Any]) -> str:
    """Return what was compared, for a file's name: "thorough", or such as "saturate-memory"."""
    plan = result["plan"]
    if plan["name"] != "chosen":
        return str(plan["name"])
    scenarios = dict.fromkeys(task["workload"]["scenario"] for task in plan["tasks"])
    axes = {
        "sizes": any(task["workload"].get("size") for task in plan["tasks"]),
        "loops": on_several_loops(result),
        "cores": any(each.cores for each in candidates(result)),
        "memory": plan.get("memory"),
    }
    return "-".join([*scenarios, *(axis for axis, varied in axes.items() if varied)])


def on_several_loops(result: Mapping[str, Any]) -> bool:
    """Return whether any variant is there on two event loops."""
    pairs = {(each.variant, each.loop) for each in candidates(result)}
    return len(pairs) > len({variant for variant, _ in pairs})


def machine(result: Mapping[str, Any]) -> str:
    """Return a machine's name, such as "intel-xeon-2-cores"."""
    about = result["machine"]
    named = re.sub(r"\(.*?\)|\bCPU\b|\bProcessor\b|@.*", " ", about["cpu"] or about["architecture"])
    return re.sub(r"[^a-z0-9]+", "-", f"{named} {about['usable_cores']} cores".lower()).strip("-")


def renew(result: Mapping[str, Any], folder: Path) -> list[Path]:
    """Stamp this machine's figures of a commit as still true, by a comparison with it; ValueError if it isn't shown."""
    of_this = [each for each in every(folder) if each.machine == machine(result)]
    against = {name.partition("@")[2] for each in result["plan"]["candidates"] if "@" in (name := each["name"])}
    same = [each for each in of_this if {each.commit[:7]} == against]
    if not same:
        commits = " or ".join(sorted({each.commit for each in of_this})) or "none of this machine"
        raise ValueError(f"it isn't a comparison with a published commit (compare --against): published is {commits}")
    if not result["complete"]:
        raise ValueError("the comparison isn't complete: measure again")
    took = (datetime.fromisoformat(result["ended"]) - datetime.fromisoformat(result["started"])).total_seconds()
    if took > RENEWAL:
        raise ValueError(f"it took {took / 60:.0f} minutes, more than {RENEWAL // 60}: a machine drifts in such a time")
    pairs = regression.of_revisions(result)
    if not pairs:
        raise ValueError("no measure is compared in it: choose servers and loads that have valid runs on both sides")
    for pair in pairs:
        _must_be_equal(pair)
    stamp = {"commit": result["commit"], "date": result["started"][:10], "code": result["code"]}
    return [_write(Published(each.name, each.result, stamp), folder) for each in same]


def _must_be_equal(pair: Pair) -> None:
    found = pair.significance
    about = f"{pair.measure} of {pair.ours.who}"
    if found.answer is Answer.DIFFERENT:
        raise ValueError(f"{about} has changed ({found.ratio:.2f} times): publish a new result")
    if found.low is None or found.high is None or not 1 / WITHIN <= found.low <= found.high <= WITHIN:
        shown = "no interval" if found.low is None else f"{found.low:.2f} to {found.high or float('inf'):.2f} times"
        raise ValueError(f"{about}: {shown}, which doesn't show that it is within 10 %: more runs, or a new result")


def _write(one: Published, folder: Path) -> Path:
    """Write a file, packed, because histograms are long; the same result gives the same file."""
    content = {**one.result, **({"renewed": one.renewed} if one.renewed else {})}
    path = folder / f"{one.name}{SUFFIX}"
    folder.mkdir(exist_ok=True)
    packed = gzip.compress(json.dumps(content, separators=(",", ":")).encode(), mtime=0)
    new = path.with_name(f".{path.name}")
    new.write_bytes(packed)
    new.replace(path)
    return path
