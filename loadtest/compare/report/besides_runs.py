"""What is told besides the runs, in lines of ASCII: the textbook's table, memory per client, the servers' Pythons."""

from collections.abc import Mapping
from typing import Any, Final

from loadtest.compare.analysis import claims, scaling
from loadtest.compare.analysis.claims import METHODS
from loadtest.compare.analysis.evidence import told
from loadtest.compare.analysis.measures import CLOSED_LOOP
from loadtest.compare.analysis.slo_check import SloAnswer, applies_to, kept
from loadtest.compare.analysis.summary import candidates, summaries
from loadtest.compare.plan import MIN_RUNS, clients, cores
from loadtest.compare.report import memory
from loadtest.compare.report.formatting import number

_MARKS: Final = {SloAnswer.MET: "kept", SloAnswer.MISSED: "MISSED", SloAnswer.CANNOT_TELL: "cannot tell"}


def settled(result: Mapping[str, Any]) -> list[claims.CheckedClaim]:
    """Return the textbook's table; nothing if the comparison was not made for it."""
    return claims.table(result) if result["plan"].get("name") == "thorough" else []


def lines(result: Mapping[str, Any]) -> list[tuple[str, list[str]]]:
    """Return all sections that have content: titles, each with the lines under it."""
    said = [_claim(each) for each in settled(result)]
    every = (
        ("What textbooks say (agrees, disagrees, or abstains where this comparison can't settle it):", said),
        ("What one more client takes:", [*memory.lines(result), *memory.uncharged(result)]),
        ("Whether the SLO was kept:", slo_lines(result)),
        ("What servers sustain by their cores:", by_cores(result)),
        ("What Python the servers had, at the end of their runs:", interpreters(result)),
    )
    return [(title, some) for title, some in every if some]


def by_cores(result: Mapping[str, Any]) -> list[str]:
    """Return a line for what the machine's cores give, and, if that is enough, one for each server."""
    found, gain = scaling.scalings(result), scaling.gain(result)
    if not found:
        return []
    if gain is None:
        return ["what the machine's cores give was not measured, so that nothing can be said of how a server scales"]
    said = f"this machine's {gain.cores} cores at once gave {gain.times:.1f} times what one gives alone"
    if not gain.tells:
        return [f"{said}: here nothing can be said of how a server scales"]
    return [f"{said} (the calibration work, before and after each run)", *map(_scaling, found)]


def _scaling(each: scaling.Scaling) -> str:
    first, *more = each.points
    parts = [f"{cores(first.cores)} sustains {told(first.rate, 1, 'requests/s')}"]
    parts += [f"{cores(point.cores)} {told(point.times, 1, 'times that')}" for point in more]
    costs = [number(point.cpu_us.value) if point.cpu_us.value is not None else "?" for point in each.points]
    parts.append(f"CPU per request {', '.join(costs)} us")
    slope = "" if each.slope is None else f"; a core more adds {each.slope:.2f} of what the first one gives"
    few = min(len(point.rate.values) for point in each.points)
    return f"{each.label}, {clients(each.clients)}: {'; '.join(parts)}{slope}" + (
        "" if few >= MIN_RUNS else f" (indicative: {few} runs)"
    )


def interpreters(result: Mapping[str, Any]) -> list[str]:
    """Return a line for each Python, with the servers that had it, as they told it."""
    labels = {each.name: each.label for each in candidates(result)}
    served: dict[str, dict[str, None]] = {}
    for run in result["runs"]:
        if python := run.get("interpreter"):
            build = "free-threaded, " if python["build"] == "free-threaded" else ""
            said = f"{python['implementation']} {python['version']}, {build}GIL {'on' if python['gil'] else 'off'}"
            said += f", switch interval {python['switch_interval'] * 1e3:g} ms"
            served.setdefault(said, {})[labels[run["candidate"]]] = None
    return [f"{python}: {', '.join(some)}" for python, some in served.items()]


def _claim(each: claims.CheckedClaim) -> str:
    again = f"; to measure it again: compare {each.found.command}" if each.found.command else ""
    return f"{METHODS[each.method]}, {each.claim}: {each.found.mark} ({each.found.said}{again})"


def slo_lines(result: Mapping[str, Any]) -> list[str]:
    """Return a line for each candidate and load, and one for the scenarios in which the SLO can't be judged."""
    slo = result["plan"]["slo"]
    if not slo:
        return []
    closed = dict.fromkeys(each.workload.scenario for each in summaries(result) if not applies_to(each.scenario))
    without = [f"SLO {slo} not judged in {', '.join(closed)} ({CLOSED_LOOP})"] if closed else []
    return [
        f"SLO {slo} {_MARKS[each.answer]}: {each.who}, in {each.runs.get(SloAnswer.MET, 0)} of"
        f" {sum(each.runs.values())} runs" + (f" ({each.why})" if each.why else "")
        for each in kept(result)
    ] + without
