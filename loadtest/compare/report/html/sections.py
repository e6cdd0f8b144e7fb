"""What only some comparisons measure, for the page: memory per client, as charts and rows."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

from loadtest.compare.analysis.summary import candidates
from loadtest.compare.report.besides_runs import (
    Weight,
    records,
    slope,
    weights,
)
from loadtest.compare.report.charts import bars
from loadtest.compare.report.charts.svg import Chart, Ink, inks
from loadtest.compare.report.formatting import number

_KINDS: Final = (
    ("silent", "Memory of a silent client, kB"),
    ("spoken", "Memory of a client that has spoken, kB"),
)


def memory_charts(result: Mapping[str, Any]) -> list[Chart]:
    """Return what a client takes in memory, silent and once it has spoken; none if that was not measured."""
    known = inks(candidates(result))
    found = records(result, "memory")
    charts = []
    for kind, title in _KINDS:
        marks = [_price(known[each["candidate"]], each, kind) for each in found]
        if any(mark.high is not None for mark in marks):
            says = "slope over fresh processes, less is better"
            notes = [f"{each['label']}: {_why(each, kind)}" for each in found if not _has(each, kind)]
            charts.append(bars.bars(title, says, marks, notes))
    return charts


def _has(record: Mapping[str, Any], kind: str) -> bool:
    return bool(record.get(kind)) and record[kind]["value"] is not None


def _why(record: Mapping[str, Any], kind: str) -> str:
    return str(record["problem"] or (record.get(kind) or {}).get("why") or "not measured")


def _price(ink: Ink, record: Mapping[str, Any], kind: str) -> bars.Mark:
    found = record.get(kind) or {}
    if not _has(record, kind):
        return bars.Mark(ink, None, "", "see below")
    held = f"{record['served']} of {record['connected']}"
    price = slope(found, 1e3, " – ")
    # A slope below zero, which is chance, has no bar.
    least, most = (None if end is None else max(end, 0.0) for end in (found["low"], found["high"]))
    return bars.Mark(
        ink,
        max(found["value"], 0.0),
        price,
        held,
        least=least,
        most=most,
        words=f"{ink.name}: {price} kB; {held} served",
    )


def memory(result: Mapping[str, Any]) -> list[Sequence[str]]:
    """Return the memory and the threads of a client in words, a row for each account; none if not measured."""
    return [words for each in records(result, "memory") for words in _weights(each)]


def _weights(record: Mapping[str, Any]) -> Iterable[Sequence[str]]:
    """Yield a line of words for each account of a server's memory, with what is to be said beside the first."""
    note = record["problem"] or record.get("note", "")
    found = weights(record)
    for place, each in enumerate(found):
        name = f"{record['label']}, {each.account}" if place else record["label"]
        yield name, *_slopes(each), "" if place else note
    if not found:
        yield record["label"], *("-",) * 5, note


def _slopes(weight: Weight) -> Iterable[str]:
    for found, unit in ((weight.silent, 1e3), (weight.spoken, 1e3), (weight.threads, 1.0)):
        if found is None or found["value"] is None:
            yield (found or {}).get("why") or "-"
        else:
            yield slope(found, unit, " – ")
    base, r2 = weight.silent["base"], weight.silent["r2"]
    yield "-" if base is None else number(base / 1e6)
    yield "-" if r2 is None else f"{r2:.4f}"
