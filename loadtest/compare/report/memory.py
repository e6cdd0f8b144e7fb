"""What one more client takes of a server's memory: lines of ASCII for the terminal, rows and charts for the page."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from loadtest.compare.analysis.summary import candidates
from loadtest.compare.report.charts import bars
from loadtest.compare.report.charts.svg import Chart, Ink, Point, inks
from loadtest.compare.report.formatting import number

_Slope = Mapping[str, Any]  # as in measure/memory.Price
_KINDS: Final = {"silent": "Memory of a silent client, kB", "spoken": "Memory of a client that has spoken, kB"}


def _records(result: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """Return what is kept of each candidate's memory, with its `label`, and a `note` for a reader."""
    labels = {each.name: each.label for each in candidates(result)}
    return [
        {**each, "label": labels[each["candidate"]], "note": each["problem"] or each.get("note", "")}
        for each in result.get("memory") or ()
    ]


def _accounts(record: Mapping[str, Any]) -> Iterator[tuple[str, _Slope, _Slope, _Slope | None]]:
    """Yield name, silent and spoken clients' slopes, threads: the process's, then its control group's if it had one."""
    if "silent" in record:
        yield record["label"], record["silent"], record["spoken"], record["threads"]
        silent, spoken = record["container_silent"], record["container_spoken"]
        for part, name in (("total", "control group"), ("kernel", "of that, the kernel's")):
            if "total" in silent:
                yield f"{record['label']}, {name}", silent[part], spoken[part], None


def lines(result: Mapping[str, Any]) -> Iterator[str]:
    """Yield the measures in words, a line for each account, and why others are missing."""
    for record in _records(result):
        accounts, note = list(_accounts(record)), record["note"]
        for place, (name, silent, spoken, threads) in enumerate(accounts):
            parts = []
            for found, words in ((silent, "kB if it is silent"), (spoken, "kB once it has spoken")):
                if found["value"] is not None:
                    parts.append(f"{_told(found, 1e3, ' to ')} {words}")
                elif not place:
                    parts.append(f"no {words}: {found['why']}")
            if threads and threads["value"] is not None:
                parts.append(f"{_told(threads, 1, ' to ')} threads")
            if silent["base"] is not None:
                parts.append(f"{number(silent['base'] / 1e6)} MB without clients, fit R2 {silent['r2']:.4f}")
            yield f"{name}: {'; '.join([*parts, note] if note and not place else parts)}"
        if not accounts:
            yield f"{record['label']}: {note or 'not measured'}"


def rows(result: Mapping[str, Any]) -> Iterator[Sequence[str]]:
    """Yield the same as a row for each account: name, kB, kB, threads, MB without clients, fit, note."""
    for record in _records(result):
        accounts, note = list(_accounts(record)), record["note"]
        for name, silent, spoken, threads in accounts:
            base, r2 = silent["base"], silent["r2"]
            yield (
                name,
                *(_cell(silent, 1e3), _cell(spoken, 1e3), _cell(threads, 1.0)),
                "-" if base is None else number(base / 1e6),
                "-" if r2 is None else f"{r2:.4f}",
                note,
            )
            note = ""
        if not accounts:
            yield record["label"], *("-",) * 5, note


def uncharged(result: Mapping[str, Any]) -> list[str]:
    """Return for which servers there is no control group's account, and why: a line for each reason."""
    without: dict[str, list[str]] = {}
    for each in _records(result):
        if "silent" in each and "total" not in each["container_silent"]:
            why = each["container_why"] or "its control group was not asked for all parts"
            without.setdefault(why, []).append(each["label"])
    return [f"{', '.join(names)}: the process's own memory alone; {why}" for why, names in without.items()]


def charts(result: Mapping[str, Any]) -> list[Chart]:
    """Return what a client takes in memory, silent and once it has spoken; none if that was not measured."""
    known, records, found = inks(candidates(result)), _records(result), []
    for kind, title in _KINDS.items():
        rows = [_row(known[each["candidate"]], each, each.get(kind)) for each in records]
        if any(row.point.value is not None for row in rows):
            notes = [
                f"{each['label']}: {each['problem'] or (each.get(kind) or {}).get('why') or 'not measured'}"
                for each, row in zip(records, rows, strict=True)
                if row.point.value is None
            ]
            found.append(bars.bars(title, "slope over fresh processes, less is better", rows, notes))
    return found


def _row(ink: Ink, record: Mapping[str, Any], found: _Slope | None) -> bars.Row:
    if not found or found["value"] is None:
        return bars.Row(ink, Point(None), "", "see below")
    held, price = f"{record['served']} of {record['connected']}", _told(found, 1e3, " – ")
    # A slope below zero, which is chance, has no bar.
    value, low, high = (None if end is None else max(end, 0.0) for end in (found["value"], found["low"], found["high"]))
    return bars.Row(ink, Point(value, low=low, high=high, words=f"{ink.name}: {price} kB; {held} served"), price, held)


def _cell(found: _Slope | None, unit: float) -> str:
    if found is None or found["value"] is None:
        return (found or {}).get("why") or "-"
    return _told(found, unit, " – ")


def _told(found: _Slope, unit: float, to: str) -> str:
    """Return a slope with its interval, divided by `unit`: "41.0 (40.6 to 41.4)"; it may be below zero by chance."""
    value, low, high = (
        None if end is None else f"{'-' if end < 0 else ''}{number(abs(end) / unit)}"
        for end in (found["value"], found["low"], found["high"])
    )
    return f"{value}" if low is None or high is None else f"{value} ({low}{to}{high})"
