"""What only some comparisons measure, in lines of ASCII: the textbook's table, memory per client, capacity."""

from collections.abc import Iterable, Mapping
from typing import Any

from loadtest.compare.judge import keeping, textbook
from loadtest.compare.report.words import number

Lines = list[tuple[str, list[str]]]
"""Titles, each with the lines under it."""


def priced(result: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """Return what there is of memory; of a server that could not be measured there is nothing."""
    return [each for each in result.get("memory") or () if "silent" in each]


def searched(result: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """Return the searches that came to anything before the comparison was ended."""
    return [each for each in result.get("capacity") or () if "low" in each]


def claims(result: Mapping[str, Any]) -> list[textbook.Cell]:
    """Return the textbook's table; nothing for a comparison that was not made to settle it."""
    if not (result.get("memory") or result.get("capacity")):
        return []
    known = {"memory": priced(result), "capacity": searched(result), "simplicity": result.get("simplicity") or []}
    return textbook.table({**result, **known})


def lines(result: Mapping[str, Any]) -> Lines:
    """Return all of it that there is."""
    said = [f"{each.method}, {each.claim}: {each.found.mark} ({each.found.said})" for each in claims(result)]
    every = (
        ("What textbooks say (agrees, disagrees, or abstains where this comparison can't settle it):", said),
        ("What one more client takes:", [_memory(each) for each in result.get("memory") or ()]),
        ("Whether the target was kept:", keeping.lines(result)),
        ("The most clients within the target:", [_capacity(each) for each in searched(result)]),
    )
    return [(title, some) for title, some in every if some]


def _memory(record: Mapping[str, Any]) -> str:
    note = record["problem"] or record.get("note", "")
    parts = [*_slopes(record), *([note] if note else [])]
    return f"{record['subject']}: {'; '.join(parts) or 'not measured'}"


def _slopes(record: Mapping[str, Any]) -> Iterable[str]:
    for kind, words in (("silent", "kB if it is silent"), ("spoken", "kB once it has spoken")):
        found = record.get(kind)
        if found is None:
            continue
        if found["value"] is None:
            yield f"no {words}: {found['why']}"
        else:
            yield f"{slope(found, 1e3, ' to ')} {words}"


def slope(found: Mapping[str, Any], unit: float, to: str) -> str:
    """Return a slope with its interval, divided by `unit`: "41.0 (40.6 to 41.4)"; it may be below zero by chance."""
    low, high = found["low"], found["high"]
    between = "" if low is None or high is None else f" ({_signed(low / unit)}{to}{_signed(high / unit)})"
    return f"{_signed(found['value'] / unit)}{between}"


def _signed(value: float) -> str:
    return f"-{number(-value)}" if value < 0 else number(value)


def _capacity(record: Mapping[str, Any]) -> str:
    notes = "; ".join(part for part in (record["why"], *record["contradictions"]) if part)
    about = f"{record['subject']}: {textbook.bracket(record)} ({record['target']} in {record['scenario']})"
    return f"{about}; {notes}" if notes else about
