"""The command: python -m loadtest.compare."""

import argparse
import json
import os
import shutil
import sys
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NoReturn

from loadtest.belief import Doubt
from loadtest.compare import figures, machine, page, store, table
from loadtest.compare.plan import ALL_VARIANTS, DEFAULT_SCENARIOS, DEFAULT_VARIANTS, LOADS, Case, Cell, Plan, make
from loadtest.compare.run import ROOT, CellFailedError, Laboratory
from loadtest.processes import INTERRUPTED, Children, Interrupt, InterruptedByUserError

SCHEMA = 1
_OVERHEAD = 2.0  # seconds to start and end server and generator: a first guess, until cells have been measured


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        """Say in one line what is wrong, and exit with status 2."""
        sys.stderr.write(f"{self.prog}: {message} (see --help)\n")
        sys.exit(2)


class Comparison:
    """
    A comparison while it runs, and the result that it fills.

    After each cell the result is written again, as JSON, page and picture: what was measured is never lost.
    """

    def __init__(self, plan: Plan, folder: Path, cores: machine.Cores, about: dict[str, object]) -> None:
        self._cells = plan.cells()
        self._ceiling = plan.ceiling
        self._folder = folder
        self._took: list[float] = []  # seconds beyond warm-up and window, for each cell
        self.result: dict[str, Any] = {
            "schema": SCHEMA,
            "kind": "comparison",
            "started": _now().isoformat(timespec="seconds"),
            "ended": None,
            "complete": False,
            "interrupted": False,
            "plan": plan.as_json(),
            "machine": about,
            "commit": machine.commit(ROOT),
            "settings": {name: value for name, value in sorted(os.environ.items()) if name.startswith("TCPLAB_")},
            "pinned": {"server": sorted(cores.server), "generator": sorted(cores.generator)},
            "doubts": [cores.doubt._asdict()] if cores.doubt else [],
            "ceiling": None,
            "cells": [{**asdict(cell), "status": "not run", "reason": ""} for cell in self._cells],
        }

    def run(self, laboratory: Laboratory) -> None:
        """Measure the ceiling, if it is wanted, and cell after cell; what fails is marked, and the others go on."""
        self.keep()
        try:
            if self._ceiling:
                self._find_ceiling(laboratory, self._ceiling)
            for cell, record in zip(self._cells, self.result["cells"], strict=True):
                self._measure(laboratory, cell, record)
            self.result["complete"] = not self.failed
        except InterruptedByUserError:
            self.result["interrupted"] = True
            _say("interrupted")
        self.result["ended"] = _now().isoformat(timespec="seconds")
        self.keep()

    def _find_ceiling(self, laboratory: Laboratory, case: Case) -> None:
        self._announce(0, _what("sink", case), [case, *(cell.case for cell in self._cells)])
        try:
            found = laboratory.measure_ceiling(case)
        except CellFailedError as error:
            doubt = Doubt(
                "no-ceiling",
                f"the generator's ceiling could not be measured: {error}",
                "do it again without what failed there; trust a top speed less",
            )
            self.result["doubts"].append(doubt._asdict())
            _say(f"FAILED: {error}")
        else:
            self.result["ceiling"] = found.as_json()
            _say(
                f"{table.number(found.requests_per_second)} req/s,"
                f" {table.number(found.cpu_us_per_request)} us of the generator's CPU for each"
            )
        self.keep()

    def _measure(self, laboratory: Laboratory, cell: Cell, record: dict[str, Any]) -> None:
        coming = [each.case for each in self._cells[cell.number - 1 :]]
        self._announce(cell.number, _what(cell.variant, cell.case), coming)
        try:
            measured = laboratory.measure(cell)
        except CellFailedError as error:
            record.update(status="failed", reason=str(error))
            _say(f"FAILED: {error}")
        except InterruptedByUserError:
            record.update(status="interrupted")
            raise
        else:
            record.update(
                status="done", load=measured.load, usage=measured.usage.as_json(), took=round(measured.took, 3)
            )
            shown = figures.row(record, figures.ceiling_of(self.result))
            record["figures"] = shown.as_json()
            self._took.append(measured.took - cell.case.warmup - cell.case.seconds)
            _say(table.brief(shown))
        self.keep()

    def _announce(self, number: int, what: str, coming: Sequence[Case]) -> None:
        overhead = sum(self._took) / len(self._took) if self._took else _OVERHEAD
        seconds = sum(case.warmup + case.seconds + overhead for case in coming)
        left = f"about {seconds:.0f} s"
        _say(f"[{number:2}/{len(self._cells)}] {what:38} {left:>15} left ... ", end="")

    @property
    def failed(self) -> int:
        """How many measurements failed."""
        failed = [cell["status"] == "failed" for cell in self.result["cells"]]
        failed.append(self._ceiling is not None and self.result["ceiling"] is None)
        return sum(failed)

    def keep(self) -> None:
        """Write everything that there is now."""
        store.write_json(self._folder / store.RESULT, self.result)
        draw(self.result, self._folder)


def draw(result: dict[str, Any], folder: Path) -> None:
    """Write page and picture of `result`."""
    store.write(folder / store.PAGE, page.html(result))
    store.write(folder / store.PICTURE, page.picture(result))


def main(arguments: Sequence[str], laboratory: type[Laboratory] = Laboratory) -> int:
    """Compare in a `laboratory`, or draw a comparison again; return the exit status."""
    options = _parse(arguments)
    if options.redraw:
        return _redraw(options.redraw)
    try:
        folder = store.prepare(options.output, datetime.now().astimezone())
    except store.NotWritableError as error:
        sys.stderr.write(f"tcplab compare: {error}\n")
        return 2
    plan = make(
        options.seed,
        scenarios=options.scenarios,
        clients=options.clients,
        seconds=options.seconds,
        variants=options.variants,
        ceiling=options.ceiling,
    )
    return _compare(plan, folder, laboratory)


def _compare(plan: Plan, folder: Path, laboratory: type[Laboratory]) -> int:
    about = machine.describe()  # before we leave a core to the server
    cores = machine.share_out(machine.usable_cores())
    if cores.rest:
        try:
            os.sched_setaffinity(0, cores.rest)
        except OSError:  # a sandbox may forbid it, and would forbid it to the children too
            cores = machine.share_out(())
    work = folder / ".work"
    work.mkdir()
    comparison = Comparison(plan, folder, cores, about)
    children = Children()
    with Interrupt(children) as interrupt, children:
        store.point_latest_at(folder)
        names = ", ".join(plan.variants)
        _say(f"Comparing {names} (order drawn with --seed {plan.seed}); Ctrl-C keeps what is measured.")
        try:
            comparison.run(laboratory(work, cores, children, interrupt))
        except OSError as error:  # the disk is full, or was taken away
            sys.stderr.write(f"tcplab compare: the result could not be kept: {error}\n")
            return 1
        finally:
            shutil.rmtree(work, ignore_errors=True)
        _say(f"\n{table.text(comparison.result)}\n\n{_files(folder)}")
    if comparison.result["interrupted"]:
        return INTERRUPTED
    return 1 if comparison.failed else 0


def _files(folder: Path) -> str:
    """Return where to find what was written."""
    kinds = {"Page": store.PAGE, "Picture": store.PICTURE, "Figures": store.RESULT}
    return "\n".join(f"{kind + ':':9}{folder / name}" for kind, name in kinds.items())


def _redraw(file: Path) -> int:
    try:
        result = json.loads(file.read_text(encoding="utf-8"))
        if (result["kind"], result["schema"]) == ("comparison", SCHEMA):
            draw(result, file.parent)
            report = table.text(result)
        else:
            report = ""
    except (OSError, ValueError, TypeError, KeyError) as error:
        sys.stderr.write(f"tcplab compare: cannot redraw {file}: {error!r}\n")
        return 2
    if not report:
        sys.stderr.write(f"tcplab compare: {file} is no result of a comparison with schema {SCHEMA}\n")
        return 2
    _say(f"{report}\n\n{_files(file.parent)}")
    return 0


def _parse(arguments: Sequence[str]) -> argparse.Namespace:
    parser = _Parser(
        prog="python -m loadtest.compare",
        allow_abbrev=False,
        description="Measure servers under the same loads, one after another, and say what was found.",
    )
    parser.add_argument(
        "--variants",
        nargs="+",
        choices=ALL_VARIANTS,
        default=DEFAULT_VARIANTS,
        help=f"servers ({' '.join(DEFAULT_VARIANTS)})",
    )
    parser.add_argument(
        "--scenarios",
        nargs="+",
        choices=tuple(LOADS),
        default=DEFAULT_SCENARIOS,
        help=f"what the clients do ({' '.join(DEFAULT_SCENARIOS)})",
    )
    parser.add_argument("--clients", nargs="+", type=_whole, default=(), help="numbers of clients, for each scenario")
    parser.add_argument(
        "--ceiling", action="store_true", help="first find out how fast the load generator itself can be"
    )
    parser.add_argument("--seconds", type=_whole, help="length of each measured window")
    # By the clock, so that no order is favoured for ever; it is kept, so that a comparison can be repeated.
    parser.add_argument("--seed", type=int, default=time.time_ns() // 1000 % 1_000_000, help="draws the order")
    parser.add_argument(
        "--output",
        type=Path,
        default=Path(os.environ.get("TCPLAB_RESULTS") or ROOT / "loadtest" / "results"),
        metavar="FOLDER",
        help="where results are kept (also TCPLAB_RESULTS; loadtest/results/)",
    )
    parser.add_argument("--redraw", type=Path, metavar="JSON", help="draw page and picture of a result again")
    return parser.parse_args(arguments)


def _whole(text: str) -> int:
    if not (text.isascii() and text.isdigit()) or not 1 <= int(text) <= 10_000:
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number from 1 to 10000")
    return int(text)


def _what(name: str, case: Case) -> str:
    return f"{name}, {case.scenario}, {figures.clients(case.clients)}"


def _now() -> datetime:
    return datetime.now(UTC)


def _say(text: str, end: str = "\n") -> None:
    """Print now; a terminal that was closed is no reason to lose a measurement."""
    with suppress(OSError):
        sys.stdout.write(text + end)
        sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
