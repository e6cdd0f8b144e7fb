"""The comparison as a table for the terminal, with its notes. ASCII only."""

import textwrap
from collections.abc import Mapping, Sequence
from itertools import groupby
from typing import Any, Final

from loadtest.compare.analysis.measures import RunMeasures
from loadtest.compare.analysis.summary import Summary, by_scenario, summaries
from loadtest.compare.escaping import visible_lines
from loadtest.compare.plan import amount
from loadtest.compare.report import besides_runs
from loadtest.compare.report.formatting import bare, brief, number, per_cent, runs, served
from loadtest.compare.report.notes import incomplete, indicative, is_verdict, remarks, warnings
from loadtest.compare.report.ranking import by_workload, pair_lines, workload_in_words
from loadtest.run_warnings import TakesOut, takes_out

__all__ = ["brief", "number", "text"]

_WIDTH: Final = 100

_HEADINGS: Final = (
    ("", "", "server"),
    ("", "", "served"),
    ("", "valid", "runs"),
    ("", "requests", "per s"),
    ("", "response", "p50 ms"),
    ("", "response", "p99 ms"),
    ("first", "reply", "p99 ms"),
    ("", "memory", "MB"),
    ("CPU us", "per", "request"),
)

_MEASURES: Final = (
    "requests_per_second",
    "response_p50_us",
    "response_p99_us",
    "first_p99_us",
    "resident_bytes",
    "cpu_us",
)


def text(result: Mapping[str, Any]) -> str:
    """Return the whole report for the terminal."""
    every = summaries(result)
    parts = []
    for scenario, some in by_scenario(every):
        head = (f"{scenario.name}. {scenario.sentence}", f"To compare: {scenario.compare}.")
        parts.append("\n".join((*map(_wrap, head), _grid(some))))
    said = [incomplete(result), indicative(every), _spread(every), *remarks(result, every)]
    parts.append("\n".join(_wrap(line) for line in said if line))
    parts += [
        _wrap(f"Warning, {each.warning.name}: {each.sentence} Hint: {each.warning.hint}.")
        for each in warnings(result, every)
    ]
    if is_verdict(every):
        parts.append("\n".join(_verdict(every)))
    for title, some_lines in besides_runs.lines(result):
        parts.append("\n".join((title, *(_indented(line) for line in some_lines))))
    return visible_lines("\n\n".join(parts))


def _wrap(line: str) -> str:
    return textwrap.fill(line, _WIDTH, subsequent_indent="   ", break_on_hyphens=False)


def _indented(line: str) -> str:
    return textwrap.fill(line, _WIDTH, initial_indent="  ", subsequent_indent="     ", break_on_hyphens=False)


def _spread(every: Sequence[Summary]) -> str:
    """Say what stands under a median, if anything does."""
    several = [each.runs for each in every if each.runs > 1]
    if not several:
        return ""
    if not is_verdict(every):
        said = "-2+3%: the least of the runs is 2 % below the median above it, the most 3 % above."
    else:
        said = (
            "-2+3%: the median's 99 % interval goes from 2 % below to 3 % above it; of fewer than 10 runs, their range."
        )
    several_open = any(each[name].is_open and len(each[name].values) > 1 for each in every for name in _MEASURES)
    return f"{said} +?: lower bounds are among the runs, and nobody knows how far up." if several_open else said


def _grid(some: Sequence[Summary]) -> str:
    lines: list[tuple[str, ...]] = [*zip(*_HEADINGS, strict=True)]
    heads = len(lines)
    titles = {}
    for _, group in groupby(some, key=lambda each: each.workload.load):
        load = list(group)
        titles[len(lines)] = amount(load[0].workload)
        for each in load:
            lines += _lines(each)
    widths = [max(len(line[column]) for line in lines) for column in range(len(_HEADINGS))]
    rule = "-" * (sum(widths) + 2 * (len(widths) - 1))
    drawn = []
    for place, line in enumerate(lines):
        if place == heads:
            drawn.append(rule)
        if place in titles:
            drawn.append(f"{titles[place]}:")
        first, *others = (
            cell.rjust(width) if column else cell.ljust(width)
            for column, (cell, width) in enumerate(zip(line, widths, strict=True))
        )
        drawn.append("  ".join((first, *others)).rstrip())
    return "\n".join(drawn)


def _lines(each: Summary) -> list[tuple[str, ...]]:
    """Return the medians of a summary, their intervals under them, and then each excluded run."""
    if not each.shown:
        return [(each.candidate.label, "-", runs(each), *("-" for _ in _MEASURES))]
    lines = [(each.candidate.label, served(each), runs(each), *(bare(each, name) for name in _MEASURES))]
    spreads = [per_cent(each[name]) for name in _MEASURES]
    if any(spreads):
        lines.append(("", "", "", *spreads))
    lines += [
        (f"? {_warning(run)}", served(run), "", *(bare(run, name) for name in _MEASURES)) for run in each.excluded
    ]
    return lines


def _warning(run: RunMeasures) -> str:
    return next(warning.name for warning in run.warnings if takes_out(warning.name) is TakesOut.RUN)


def _verdict(every: Sequence[Summary]) -> list[str]:
    """Return each pair under each load: different, equivalent, or cannot tell; those with too few runs are left out."""
    lines = ["VERDICT, from ten or more valid runs of each (in brackets 99 % intervals):"]
    for some in by_workload(every):
        found = pair_lines(some)
        if found:
            lines.append(workload_in_words(some))
        lines += [_indented(line) for line in found]
    return lines
