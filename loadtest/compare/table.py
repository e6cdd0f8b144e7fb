"""The comparison as a table for the terminal, with everything that must be said beside it. ASCII only."""

import textwrap
from collections.abc import Iterable, Mapping, Sequence
from itertools import groupby
from typing import Any, Final

from loadtest.belief import Doubt
from loadtest.compare.figures import Figure, Row, ceiling_of, clients, row
from loadtest.compare.plan import LOADS
from loadtest.scenarios import SCENARIOS, Scenario
from servers.variants import VARIANTS

_WIDTH: Final = 100

_CEILING: Final = "the generator's ceiling"

_HEADINGS: Final = (
    ("", "", "variant"),
    ("", "", "clients"),
    ("", "", "served"),
    ("", "requests", "per s"),
    ("", "response", "p50 ms"),
    ("", "response", "p99 ms"),
    ("", "service", "p99 ms"),
    ("first", "reply", "p99 ms"),
    ("", "memory", "MB"),
    ("CPU us", "per", "request"),
)


def rows(result: Mapping[str, Any]) -> list[Row]:
    """Return the rows of a result, sorted for reading: by scenario, number of clients and variant."""
    scenarios, names = list(LOADS), [variant.name for variant in VARIANTS]
    ceiling = ceiling_of(result)
    found = [row(cell, ceiling) for cell in result["cells"]]
    return sorted(
        found,
        key=lambda each: (scenarios.index(each.case.scenario), each.case.clients, names.index(each.variant)),
    )


def by_scenario(every: Sequence[Row]) -> list[tuple[Scenario, list[Row]]]:
    """Return the sorted rows under their scenarios."""
    return [(SCENARIOS[name], list(some)) for name, some in groupby(every, key=lambda each: each.case.scenario)]


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


def brief(each: Row) -> str:
    """Return a row in a few words, for while the comparison runs."""
    name, figure = "response", each.response_p99_us
    if figure.value is None:
        name, figure = "first reply", each.first_p99_us
    return f"{served(each)} served, {rate(each)} req/s, {name} p99 {show(figure, 1e3)} ms"


def text(result: Mapping[str, Any]) -> str:
    """Return the whole report for the terminal."""
    every = rows(result)
    parts = []
    for scenario, chosen in by_scenario(every):
        head = (f"{scenario.name}. {scenario.sentence}", f"To compare: {scenario.compare}")
        parts.append("\n".join((*map(_wrap, head), _grid(chosen))))
    parts.append("\n".join(map(_wrap, (line for line in (incomplete(result), *remarks(result, every)) if line))))
    for doubt, who in doubts(result, every):
        about = f" ({who})" if who else ""
        parts.append(_wrap(f"Doubt, {doubt.name}: {doubt.detail}{about}. Remedy: {doubt.remedy}."))
    return "\n\n".join(parts)


def _wrap(line: str) -> str:
    return textwrap.fill(line, _WIDTH, subsequent_indent="   ", break_on_hyphens=False)


def _grid(chosen: Sequence[Row]) -> str:
    lines: list[tuple[str, ...]] = [*zip(*_HEADINGS, strict=True)]
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
                show(each.response_p50_us, 1e3),
                show(each.response_p99_us, 1e3),
                show(each.service_p99_us, 1e3),
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
    drawn.insert(len(_HEADINGS[0]), "-" * max(map(len, drawn)))
    return "\n".join(drawn)


def incomplete(result: Mapping[str, Any]) -> str:
    """Return what is missing from a comparison that did not come to its end, or ""."""
    if result["complete"]:
        return ""
    outcomes = [cell["status"] == "done" for cell in result["cells"]]
    if result["plan"].get("ceiling"):
        outcomes.append(ceiling_of(result) is not None)
    cause = "interrupted, with" if result["interrupted"] else "not everything could be measured:"
    return f"INCOMPLETE: {cause} {sum(outcomes)} of {len(outcomes)} measurements done."


def remarks(result: Mapping[str, Any], every: Sequence[Row], mark: str = ">=") -> list[str]:
    """Return what must be said beside the figures, a line each."""
    said = [
        "Indicative: one run of each. The same server differs by some per cent from run to run, so small differences"
        " say nothing."
    ]
    said += _problems(every)
    shown = [each for each in every if not each.problem]
    said += _both_truths(shown)
    said += _limits(result, shown, mark)
    latencies = [
        figure
        for each in shown
        for figure in (each.response_p50_us, each.response_p99_us, each.service_p99_us, each.first_p99_us)
    ]
    if any(figure.at_least for figure in latencies):
        said.append(f"{mark} before a time: unanswered requests had waited that long when the window ended.")
    said += _reasons(shown)
    for each in shown:
        for what, kinds in (each.failed or {}).items():
            counts = ", ".join(f"{count:,} {kind}" for kind, count in sorted(kinds.items()))
            said.append(f"FAILED {what.upper()} with {each.who}: {counts}.")
    return said


def _both_truths(shown: Sequence[Row]) -> Iterable[str]:
    """Say what tells response from service, once."""
    if any(each.response_p99_us.value is not None for each in shown):
        alike = all(each.model == "closed" for each in shown)
        yield "Response counts from when a request was due, service from when it was sent: " + (
            "in the closed model, as here, the two are alike."
            if alike
            else "in the open model they part where a request had to wait to be sent."
        )


def _limits(result: Mapping[str, Any], shown: Sequence[Row], mark: str) -> Iterable[str]:
    """Say what limits the requests per second, where it is not the server."""
    ceiling = ceiling_of(result)
    if ceiling:
        yield (
            f"Ceiling of the generator itself: {number(ceiling.requests_per_second)} requests/s with"
            f" {clients(ceiling.clients)}, against a sink that does next to nothing;"
            f" {number(ceiling.cpu_us_per_request)} us of its CPU for each. From 90 % of it on a top speed is the"
            " generator's."
        )
    if any(each.requests_per_second.at_least for each in shown):
        near = ", or near its ceiling" if ceiling else ""
        yield (
            f"{mark} before requests per s: a lower bound, for the server was not busy all the time (95 % of its core),"
            f" or the generator was (90 %{near}). With 1 client the round trip sets the rate."
        )
    for model, cause in (("closed", "the clients' pauses"), ("open", "the rate asked for")):
        paced = [each for each in shown if each.paced and each.model == model]
        if paced:
            yield f"(requests per s) in {_names(paced)}: set by {cause}, nobody's speed."
    waiting = {each.case.scenario: each.scenario for each in shown if _only_waits(each)}
    for name, scenario in waiting.items():
        yield (
            f"requests per s in {name}: a client can have no more than one in {scenario.amount} ms, which is"
            f" {number(1000 / scenario.amount)} a second for each, whoever serves it."
        )


def _only_waits(each: Row) -> bool:
    return each.scenario.command == "SLEEP" and each.scenario.amount > 0 and not each.paced


def _problems(every: Iterable[Row]) -> list[str]:
    """Return the cells that failed or were not run, with the reasons."""
    reasons: dict[str, list[str]] = {}
    for each in every:
        if each.problem:
            reasons.setdefault(each.problem, []).append(each.who)
    return [f"{'; '.join(who)}: {problem}" for problem, who in reasons.items()]


def _reasons(shown: Sequence[Row]) -> list[str]:
    """Return why figures are left out, each reason once; of one that concerns many cells, only in which column."""
    reasons: dict[tuple[str, str], list[Row]] = {}
    for each in shown:
        columns = [("", each.requests_per_second), ("first reply", each.first_p99_us)]
        if each.requests_per_second.value is not None:  # or its reason is theirs too
            columns.insert(1, ("response, service", each.response_p99_us))
        for column, figure in columns:
            if figure.value is None:
                reasons.setdefault((column, figure.why), []).append(each)
    return [
        f"-  {f'{column} in {_names(left_out)}' if column else _who(left_out)}: {why}."
        for (column, why), left_out in reasons.items()
    ]


def _names(some: Iterable[Row]) -> str:
    """Return the scenarios of cells."""
    return ", ".join(dict.fromkeys(each.case.scenario for each in some))


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
    """Return the doubts about a result, each name once, with the measurements it is about ("" for all)."""
    found = [(Doubt(**each), "") for each in result["doubts"]]
    by_name: dict[str, list[tuple[Doubt, Row | None]]] = {}
    ceiling = ceiling_of(result)
    for each in every:
        for doubt in each.doubts:
            by_name.setdefault(doubt.name, []).append((doubt, each))
    for doubt in ceiling.doubts if ceiling else ():
        by_name.setdefault(doubt.name, []).append((doubt, None))
    for (doubt, first), *others in by_name.values():
        who = _who([first]) if first else _CEILING
        likewise = _who([each for _, each in others if each])
        parts = [part for part in (likewise, _CEILING if any(each is None for _, each in others) else "") if part]
        found.append((doubt, f"{who}; likewise {'; '.join(parts)}" if parts else who))
    return found
