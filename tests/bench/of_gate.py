"""
How often the gate for pull requests finds a server that is 20 % slower, and how often it stops an equal one.

    python -m tests.bench.of_gate FOLDER --gates 4

measures four more gates, by the steps of loadtest/compare/gate.yml, some two to four minutes each on an idle machine,
and keeps each as JSON in FOLDER, until it has ten of equal servers and ten of slowed ones. Then it prints what they
found, and what a thousand gates of each kind would, whose repeats are drawn from these. `--gates 0` only prints. The
exit status is 1 if a bound is broken, or while gates are missing.
"""

import argparse
import json
import os
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from random import Random
from typing import Any, Final, NamedTuple

from loadtest import atomic_write
from loadtest.compare.analysis.measures import RunMeasures
from loadtest.compare.analysis.pairwise import compare_pair, fair
from loadtest.compare.analysis.regression import is_worse, of_revisions
from loadtest.compare.analysis.stopping_rule import further
from loadtest.compare.analysis.summary import Summary, summaries, summarize
from loadtest.compare.plan import MIN_RUNS
from loadtest.compare.report import differences
from tests.support.gate import SERVER, SLOWED, Gate

KINDS: Final = ("equal", "slowed")
GATES: Final = 10
"""Of each kind."""

RESAMPLED: Final = 1_000
LONGEST: Final = 360.0
"""Seconds that a gate may take."""

FEWEST_FOUND: Final = 0.9
"""The share of the slowed servers that are called worse, at least."""

MOST_ALARMS: Final = 0.01
"""The share of drawn gates of equal ones that are, at most; of the measured ones none is."""

MEASURED: Final = (0, 5, 6)
"""The statuses of a gate with a verdict: nothing worse, something worse, can't tell."""


class Sides(NamedTuple):
    """A gate's runs, now and before; repeats: those of each repeat, also the excluded ones."""

    now: Summary
    before: Summary
    repeats: tuple[tuple[RunMeasures, RunMeasures], ...]


def path(folder: Path, kind: str, number: int) -> Path:
    """Return the file of a gate."""
    return folder / f"{kind}-{number:02}.json"


def missing(folder: Path) -> list[tuple[str, int]]:
    """Return the gates that are still to be measured, in turns."""
    every = [(kind, number) for number in range(1, GATES + 1) for kind in KINDS]
    return [each for each in every if not path(folder, *each).exists()]


def read(folder: Path, kind: str) -> list[dict[str, Any]]:
    """Return the gates of a kind that are there."""
    files = (path(folder, kind, number) for number in range(1, GATES + 1))
    return [json.loads(file.read_text(encoding="utf-8")) for file in files if file.exists()]


def measure(gate: Gate, folder: Path, kind: str, number: int) -> None:
    """Measure one gate and keep it."""
    print(f"{kind} {number} ... ", end="", flush=True)
    began = time.monotonic()
    judged = gate.judge(SERVER, SLOWED if kind == "slowed" else SERVER)
    seconds = time.monotonic() - began
    result = json.loads(gate.result.read_text(encoding="utf-8")) if gate.result.exists() else None
    kept = {"status": judged.status, "seconds": round(seconds, 1), "said": judged.summary}
    atomic_write.write(path(folder, kind, number), json.dumps({**kept, "result": result}) + "\n")
    told = differences.headline(of_revisions(result)) if result else judged.summary.splitlines()[0]
    print(f"{seconds:.0f} s, status {judged.status}: {told}", flush=True)


def sides_of(result: Mapping[str, Any]) -> Sides:
    """Return both sides of a gate's result, which has one load."""
    now, before = sorted(summaries(result), key=lambda each: each.candidate.version_of)
    then = {run.repeat: run for run in before.shown}
    return Sides(now, before, tuple((run, then[run.repeat]) for run in now.shown if run.repeat in then))


def resampled(gates: Sequence[Sides], *, equal: bool, seed: int) -> float:
    """
    Return the share of drawn gates that call something worse.

    Each draws repeats from all of theirs, valid or not, until a real one would stop. equal: the two sides of a repeat
    are the same server, so that which is which is drawn too.
    """
    chance, pool, worse = Random(seed), [each for gate in gates for each in gate.repeats], 0

    def draw() -> tuple[RunMeasures, RunMeasures]:
        now, before = chance.choice(pool)
        return (before, now) if equal and chance.random() < 0.5 else (now, before)

    for _ in range(RESAMPLED):
        repeats = [draw() for _ in range(MIN_RUNS)]
        sides = _drawn(gates[0], repeats)
        while further(sides):
            repeats.append(draw())
            sides = _drawn(gates[0], repeats)
        worse += any(is_worse(compare_pair(name, *sides)) for name in fair(gates[0].now.scenario))
    return worse / RESAMPLED


def _drawn(gate: Sides, repeats: Sequence[Sequence[RunMeasures]]) -> list[Summary]:
    """Return the sides of a gate with these repeats."""
    return [
        summarize(each.candidate, [replace(pair[side], repeat=number) for number, pair in enumerate(repeats, 1)])
        for side, each in enumerate((gate.now, gate.before))
    ]


def report(folder: Path) -> bool:
    """Print what the gates found; return whether all bounds hold."""
    bounds = []
    for kind in KINDS:
        gates = read(folder, kind)
        judged = [each for each in gates if each["status"] in MEASURED]
        worse = sum(each["status"] == 5 for each in gates)
        longest = max((each["seconds"] for each in gates), default=0.0)
        print(
            f"{kind}: {len(gates)} of {GATES} gates, {len(gates) - len(judged)} without a verdict,"
            f" {worse} called worse; the longest took {longest:.0f} s"
        )
        bounds += [len(gates) == GATES, longest <= LONGEST]
        bounds.append(worse == 0 if kind == "equal" else worse >= FEWEST_FOUND * GATES)
        if judged:
            share = resampled([sides_of(each["result"]) for each in judged], equal=kind == "equal", seed=1)
            print(f"  of {RESAMPLED:,} gates drawn from them {share:.1%} are called worse")
            bounds.append(share <= MOST_ALARMS if kind == "equal" else share >= FEWEST_FOUND)
    return all(bounds)


def main() -> None:
    """Measure what is asked for, and report."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench.of_gate")
    parser.add_argument("folder", type=Path)
    parser.add_argument("--gates", type=int, default=2 * GATES, help="how many more to measure (all)")
    options = parser.parse_args()
    options.folder.mkdir(parents=True, exist_ok=True)
    due = missing(options.folder)[: options.gates]
    if due and len(os.sched_getaffinity(0)) < 2:
        sys.exit("tests.bench.of_gate: server and load need a core each; this machine gives only one")
    if due:
        with tempfile.TemporaryDirectory(prefix="tcplab-gate-") as name:
            gate = Gate(Path(name))
            for each in due:
                measure(gate, options.folder, *each)
    sys.exit(0 if report(options.folder) else 1)


if __name__ == "__main__":
    main()
