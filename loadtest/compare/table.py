"""The comparison as a table for the terminal, with everything that must be said beside it. ASCII only."""

import textwrap
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from loadtest.belief import Doubt
from loadtest.compare.figures import Figure, Row, row
from servers.variants import VARIANTS

SCENARIOS = {
    "saturate": "each client sends its next request as soon as the last is answered",
    "conversation": "clients connect, ask a few times with pauses, leave, and come back",
}
"""What the clients do, in a few words."""

_HEADINGS = (
    ("", "variant"),
    ("", "clients"),
    ("", "served"),
    ("requests", "per s"),
    ("p50", "ms"),
    ("p99", "ms"),
    ("first reply", "p99 ms"),
    ("memory", "MB"),
    ("CPU us", "/request"),
)


def rows(result: Mapping[str, Any]) -> list[Row]:
    """Return the rows of a result, sorted for reading: by scenario, number of clients and variant."""
    scenarios, names = list(SCENARIOS), [variant.name for variant in VARIANTS]
    found = [row(cell) for cell in result["cells"]]
    return sorted(
        found,
        key=lambda each: (scenarios.index(each.case.scenario), each.case.clients, names.index(each.variant)),
    )


def number(value: float) -> str:
    """Return `value` with three significant figures, whole from 100 on, with commas at the thousands."""
    if value >= 100:
        digits = len(str(int(value)))
        return f"{round(value, 3 - digits):,.0f}"
    if value >= 10:
        return f"{value:.1f}"
    if value >= 1:
        return f"{value:.2f}"
    return f"{value:.3f}"


def show(figure: Figure, unit: float = 1.0, mark: str = ">=") -> str:
    """Return a figure divided by `unit`: a number, with `mark` before it if it is a lower bound, or "-"."""
    if figure.value is None:
        return "-"
    return (mark if figure.at_least else "") + number(figure.value / unit)


def served(each: Row) -> str:
    """Return how many of the connected clients were served."""
    return f"{each.served} of {each.connected}"


def rate(each: Row, mark: str = ">=") -> str:
    """Return the requests per second, in brackets where the clients' pauses set them."""
    shown = show(each.requests_per_second, mark=mark)
    return f"({shown})" if each.paced and shown != "-" else shown


def text(result: Mapping[str, Any]) -> str:
    """Return the whole report for the terminal."""
    every = rows(result)
    parts = []
    for scenario, says in SCENARIOS.items():
        chosen = [each for each in every if each.case.scenario == scenario]
        if chosen:
            parts.append(f"{scenario}: {says}\n{_grid(chosen)}")
    parts.append("\n".join(map(_wrap, (line for line in (incomplete(result), *remarks(every)) if line))))
    for doubt, who in doubts(result, every):
        about = f" ({who})" if who else ""
        parts.append(_wrap(f"Doubt, {doubt.name}: {doubt.detail}{about}. Remedy: {doubt.remedy}."))
    return "\n\n".join(parts)


def _wrap(line: str) -> str:
    return textwrap.fill(line, 100, subsequent_indent="   ", break_on_hyphens=False)


def _grid(chosen: Sequence[Row]) -> str:
    lines: list[tuple[str, ...]] = [tuple(top for top, _ in _HEADINGS), tuple(unit for _, unit in _HEADINGS)]
    for each in chosen:
        if each.problem:
            lines.append((each.variant, str(each.case.clients), *("-" for _ in _HEADINGS[2:])))
            continue
        lines.append(
            (
                each.variant,
                str(each.case.clients),
                served(each),
                rate(each),
                show(each.p50_us, 1e3),
                show(each.p99_us, 1e3),
                show(each.first_p99_us, 1e3),
                show(each.resident_bytes, 1e6),
                show(each.cpu_us),
            )
        )
    widths = [max(len(line[column]) for line in lines) for column in range(len(_HEADINGS))]
    drawn = []
    for line in lines:
        first, *others = (
            cell.rjust(width) if column else cell.ljust(width)
            for column, (cell, width) in enumerate(zip(line, widths, strict=True))
        )
        drawn.append("  ".join((first, *others)).rstrip())
    drawn.insert(2, "-" * max(map(len, drawn)))
    return "\n".join(drawn)


def incomplete(result: Mapping[str, Any]) -> str:
    """Return what is missing from a comparison that did not come to its end, or ""."""
    if result["complete"]:
        return ""
    done = sum(cell["status"] == "done" for cell in result["cells"])
    cause = "interrupted, with" if result["interrupted"] else "not everything could be measured:"
    return f"INCOMPLETE: {cause} {done} of {len(result['cells'])} measurements done."


def remarks(every: Sequence[Row], mark: str = ">=") -> list[str]:
    """Return what must be said beside the figures, a line each."""
    said = [
        "Indicative: one run of each. The same server differs by some per cent from run to run, so small differences"
        " say nothing."
    ]
    said += _problems(every)
    shown = [each for each in every if not each.problem]
    if any(each.requests_per_second.at_least for each in shown):
        said.append(
            f"{mark} before requests per s: a lower bound, for the server was not busy all the time (95 % of its core)"
            " or the generator was (90 %). With 1 client the round trip sets the rate."
        )
    latencies = [figure for each in shown for figure in (each.p50_us, each.p99_us, each.first_p99_us)]
    if any(figure.at_least for figure in latencies):
        said.append(f"{mark} before a time: unanswered requests had waited that long when the window ended.")
    if any(each.paced for each in shown):
        said.append(
            "(requests per s) in conversation: set by the clients' pauses, nobody's speed; single's is one over the"
            " time that it holds a client, by construction."
        )
    said += _reasons(shown)
    for each in shown:
        if each.failed:
            kinds = ", ".join(f"{count:,} {kind}" for kind, count in sorted(each.failed.items()))
            said.append(f"FAILED REQUESTS with {each.who}: {kinds}.")
    return said


def _problems(every: Iterable[Row]) -> list[str]:
    """Return the cells that failed or were not run, with the reasons."""
    reasons: dict[str, list[str]] = {}
    for each in every:
        if each.problem:
            reasons.setdefault(each.problem, []).append(each.who)
    return [f"{'; '.join(who)}: {problem}" for problem, who in reasons.items()]


def _reasons(shown: Sequence[Row]) -> list[str]:
    """Return why figures are left out, each reason once; of one that concerns many cells, only in what column."""
    reasons: dict[tuple[str, str], list[Row]] = {}
    for each in shown:
        for column, figure in (("", each.requests_per_second), ("first reply", each.first_p99_us)):
            if figure.value is None:
                reasons.setdefault((column, figure.why), []).append(each)
    return [f"-  {column or _who(left_out)}: {why}." for (column, why), left_out in reasons.items()]


def _who(some: Sequence[Row]) -> str:
    """Return the cells in words, those of the same variant and scenario together."""
    grouped: dict[tuple[str, str], list[str]] = {}
    for each in some:
        grouped.setdefault((each.variant, each.case.scenario), []).append(f"{each.case.clients:,}")
    return "; ".join(
        f"{variant}, {scenario}, {' and '.join(counts)} client{'' if counts == ['1'] else 's'}"
        for (variant, scenario), counts in grouped.items()
    )


def doubts(result: Mapping[str, Any], every: Sequence[Row]) -> list[tuple[Doubt, str]]:
    """Return the doubts about a result, each name once, with the cells it is about ("" for all)."""
    found = [(Doubt(**each), "") for each in result["doubts"]]
    by_name: dict[str, list[tuple[Doubt, Row]]] = {}
    for each in every:
        for doubt in each.doubts:
            by_name.setdefault(doubt.name, []).append((doubt, each))
    for same in by_name.values():
        (doubt, first), others = same[0], [each for _, each in same[1:]]
        who = _who([first]) + (f"; likewise {_who(others)}" if others else "")
        found.append((doubt, who))
    return found
