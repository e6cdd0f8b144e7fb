"""The comparison as a table for the terminal, with its notes. ASCII only."""

import textwrap
from collections.abc import Mapping, Sequence
from typing import Any, Final

from loadtest.compare.analysis.measures import excluding
from loadtest.compare.analysis.summary import Summary, by_scenario, by_workload, summaries
from loadtest.compare.escaping import visible_lines
from loadtest.compare.plan import amount
from loadtest.compare.report import besides_runs
from loadtest.compare.report.formatting import HEADINGS, bare, brief, number, per_cent, runs, served
from loadtest.compare.report.notes import incomplete, indicative, is_verdict, remarks, warnings
from loadtest.compare.report.ranking import pair_lines, workload_in_words

__all__ = ["brief", "number", "text"]
_WIDTH: Final = 100

_MEASURES: Final = (
    "requests_per_second",
    "response_p50_us",
    "response_p99_us",
    "first_p99_us",
    "resident_bytes",
    "cpu_us",
)

_HEADS: Final = [
    ["", "", *textwrap.wrap(heading.replace("µ", "u"), 8)][-3:]
    for heading in ("server", "served", "valid runs", *(HEADINGS[name] for name in _MEASURES))
]


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


def _wrap(line: str, indent: str = "") -> str:
    then = f"{indent}   "
    return textwrap.fill(line, _WIDTH, initial_indent=indent, subsequent_indent=then, break_on_hyphens=False)


def _indented(line: str) -> str:
    return _wrap(line, "  ")


def _spread(every: Sequence[Summary]) -> str:
    """Say what stands under a median, if anything does."""
    if all(each.runs < 2 for each in every):
        return ""
    said = "-2+3%: the least of the runs is 2 % below the median above it, the most 3 % above."
    if is_verdict(every):
        said = (
            "-2+3%: the median's 99 % interval goes from 2 % below to 3 % above it; of fewer than 10 runs, their range."
        )
    several_open = any(each[name].is_open and len(each[name].values) > 1 for each in every for name in _MEASURES)
    return f"{said} +?: lower bounds are among the runs, and nobody knows how far up." if several_open else said


def _grid(some: Sequence[Summary]) -> str:
    heads: list[tuple[str, ...]] = [*zip(*_HEADS, strict=True)]
    body: list[tuple[str, ...] | str] = []
    for load in by_workload(some):
        body += [f"{amount(load[0].workload)}:", *(line for each in load for line in _lines(each))]
    columns = zip(*heads, *(line for line in body if not isinstance(line, str)), strict=True)
    sides = [f"{'>' if place else '<'}{max(map(len, column))}" for place, column in enumerate(columns)]
    rule = "-" * len("  ".join(f"{'':{side}}" for side in sides))
    return "\n".join(
        line
        if isinstance(line, str)
        else "  ".join(f"{cell:{side}}" for cell, side in zip(line, sides, strict=True)).rstrip()
        for line in (*heads, rule, *body)
    )


def _lines(each: Summary) -> list[tuple[str, ...]]:
    """Return the medians of a summary, their intervals under them, and then each excluded run."""
    if not each.shown:
        return [(each.candidate.label, "-", runs(each), *("-" for _ in _MEASURES))]
    lines = [(each.candidate.label, served(each), runs(each), *(bare(each, name) for name in _MEASURES))]
    spreads = [per_cent(each[name]) for name in _MEASURES]
    if any(spreads):
        lines.append(("", "", "", *spreads))
    lines += [
        (f"? {excluding(run.warnings)[0]}", served(run), "", *(bare(run, name) for name in _MEASURES))
        for run in each.excluded
    ]
    return lines


def _verdict(every: Sequence[Summary]) -> list[str]:
    """Return each pair under each load: different, equivalent, or cannot tell; those with too few runs are left out."""
    lines = ["VERDICT, from ten or more valid runs of each (in brackets 99 % intervals):"]
    for some in by_workload(every):
        found = pair_lines(some)
        if found:
            lines.append(workload_in_words(some))
        lines += [_indented(line) for line in found]
    return lines
