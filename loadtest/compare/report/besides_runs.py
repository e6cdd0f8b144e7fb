"""What is told besides the runs, in lines of ASCII: the textbook's table, memory per client, the servers' Pythons."""

from collections.abc import Iterable, Mapping
from itertools import chain
from typing import Any, Final, NamedTuple

from loadtest.compare.analysis import claims, scaling
from loadtest.compare.analysis.claims import METHODS
from loadtest.compare.analysis.evidence import told
from loadtest.compare.analysis.measures import CLOSED_LOOP
from loadtest.compare.analysis.slo_check import SloAnswer, applies_to, kept
from loadtest.compare.analysis.summary import candidates, summaries
from loadtest.compare.plan import MIN_RUNS, clients, cores
from loadtest.compare.report.formatting import number

Lines = list[tuple[str, list[str]]]
"""Titles, each with the lines under it."""


def records(result: Mapping[str, Any], kind: str) -> list[Mapping[str, Any]]:
    """Return what is kept of each candidate's memory, with its `label` for a reader."""
    labels = {each.name: each.label for each in candidates(result)}
    return [{**each, "label": labels[each["candidate"]]} for each in result.get(kind) or ()]


def priced(result: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """Return the memory of all servers that could be measured."""
    return [each for each in records(result, "memory") if "silent" in each]


def settled(result: Mapping[str, Any]) -> list[claims.CheckedClaim]:
    """Return the textbook's table; nothing if the comparison was not made for it."""
    if result["plan"].get("name") != "thorough":
        return []
    return claims.table({**result, "memory": priced(result)})


def lines(result: Mapping[str, Any]) -> Lines:
    """Return all sections that have content."""
    said = [_claim(each) for each in settled(result)]
    every = (
        ("What textbooks say (agrees, disagrees, or abstains where this comparison can't settle it):", said),
        ("What one more client takes:", [*chain(*map(_memory, records(result, "memory"))), *uncharged(result)]),
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
            served.setdefault(_interpreter(python), {})[labels[run["candidate"]]] = None
    return [f"{python}: {', '.join(some)}" for python, some in served.items()]


def _interpreter(python: Mapping[str, Any]) -> str:
    build = "free-threaded, " if python["build"] == "free-threaded" else ""
    return (
        f"{python['implementation']} {python['version']}, {build}GIL {'on' if python['gil'] else 'off'},"
        f" switch interval {python['switch_interval'] * 1e3:g} ms"
    )


def _claim(each: claims.CheckedClaim) -> str:
    again = f"; to measure it again: compare {each.found.command}" if each.found.command else ""
    return f"{METHODS[each.method]}, {each.claim}: {each.found.mark} ({each.found.said}{again})"


_MARKS: Final = {SloAnswer.MET: "kept", SloAnswer.MISSED: "MISSED", SloAnswer.CANNOT_TELL: "cannot tell"}


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


class Weight(NamedTuple):
    """
    What one more client takes of a server's memory, by one account of it: its process's, or its control group's.

    silent, spoken, threads: as in memory.Price; threads is None where that account knows nothing of them.
    """

    account: str
    silent: Mapping[str, Any]
    spoken: Mapping[str, Any]
    threads: Mapping[str, Any] | None = None


def weights(record: Mapping[str, Any]) -> list[Weight]:
    """Return what was weighed of a server; its control group only if it had one, with the kernel's part of it."""
    if "silent" not in record:
        return []
    found = [Weight("process", record["silent"], record["spoken"], record["threads"])]
    silent, spoken = record["container_silent"], record["container_spoken"]
    if "total" in silent:
        found += [
            Weight("control group", silent["total"], spoken["total"]),
            Weight("of that, the kernel's", silent["kernel"], spoken["kernel"]),
        ]
    return found


def uncharged(result: Mapping[str, Any]) -> list[str]:
    """Return for which servers there is no control group's account, and why: a line for each reason."""
    without: dict[str, list[str]] = {}
    for each in priced(result):
        if "total" not in each["container_silent"]:
            why = each["container_why"] or "its control group was not asked for all parts"
            without.setdefault(why, []).append(each["label"])
    return [f"{', '.join(names)}: the process's own memory alone; {why}" for why, names in without.items()]


def _memory(record: Mapping[str, Any]) -> Iterable[str]:
    note = record["problem"] or record.get("note", "")
    found = weights(record)
    for place, each in enumerate(found):
        parts = [*_slopes(each, why=not place), *([note] if note and not place else [])]
        yield f"{record['label']}{f', {each.account}' if place else ''}: {'; '.join(parts)}"
    if not found:
        yield f"{record['label']}: {note or 'not measured'}"


def _slopes(weight: Weight, *, why: bool) -> Iterable[str]:
    """Yield the measures in words, and why others are missing."""
    for found, words in ((weight.silent, "kB if it is silent"), (weight.spoken, "kB once it has spoken")):
        if found["value"] is None and why:
            yield f"no {words}: {found['why']}"
        elif found["value"] is not None:
            yield f"{slope(found, 1e3, ' to ')} {words}"
    if weight.threads and weight.threads["value"] is not None:
        yield f"{slope(weight.threads, 1, ' to ')} threads"
    if weight.silent["base"] is not None:
        yield f"{number(weight.silent['base'] / 1e6)} MB without clients, fit R2 {weight.silent['r2']:.4f}"


def slope(found: Mapping[str, Any], unit: float, to: str) -> str:
    """Return a slope with its interval, divided by `unit`: "41.0 (40.6 to 41.4)"; it may be below zero by chance."""
    low, high = found["low"], found["high"]
    between = "" if low is None or high is None else f" ({_signed(low / unit)}{to}{_signed(high / unit)})"
    return f"{_signed(found['value'] / unit)}{between}"


def _signed(value: float) -> str:
    return f"-{number(-value)}" if value < 0 else number(value)
