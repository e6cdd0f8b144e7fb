"""The page's sections for what only some comparisons measure: the textbook's table, memory per client."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

from loadtest.compare.analysis import claims
from loadtest.compare.analysis.claims import ASPECTS
from loadtest.compare.analysis.summary import candidates
from loadtest.compare.escaping import markup
from loadtest.compare.report.besides_runs import (
    Weight,
    records,
    settled,
    slo_lines,
    slope,
    uncharged,
    weights,
)
from loadtest.compare.report.charts import bars
from loadtest.compare.report.charts.svg import Chart, Ink, inks
from loadtest.compare.report.formatting import number

_SIGNS: Final = {"agrees": "✓", "disagrees": "✗", "abstains": "?"}
_LEFT: Final = ' class="left"'
_KINDS: Final = (
    ("silent", "Memory of a silent client, kB"),
    ("spoken", "Memory of a client that has spoken, kB"),
)


def textbooks(result: Mapping[str, Any]) -> str:
    """Return the textbook's table, each claim with its mark; "" for a comparison that was not made to settle it."""
    found = settled(result)
    if not found:
        return ""
    rows, columns = [], claims.columns(found)
    for aspect in ASPECTS:
        cells = []
        for method, title in columns.items():
            said = [each for each in found if (each.method, each.aspect) == (method, aspect)]
            # On a narrow page a cell stands by itself, and says whose it is.
            cells.append(f'<td class="left" data-of="{markup(title)}">{"".join(_claim(each) for each in said)}</td>')
        rows.append(f"<tr><td>{markup(aspect)}</td>{''.join(cells)}</tr>")
    return (
        '<h2>What textbooks say, beside what was measured</h2><p class="faint">✓ agrees, ✗ disagrees, ? abstains: this'
        " comparison can't settle it.</p>"
        f'<div class="stack">{_table(("", *columns.values()), rows, len(columns))}</div>'
    )


def _claim(checked: claims.CheckedClaim) -> str:
    sign = f'<b class="{checked.found.mark}">{_SIGNS[checked.found.mark]}</b>'
    options = "".join(f"<span>{markup(word)}</span> " for word in checked.found.command.split())  # broken between words
    command = f"<small><code>{options}</code></small>" if options else ""
    return (
        f'<div class="claim">{sign} <b>{markup(checked.claim)}</b>: {checked.found.mark}'
        f"<small>{markup(checked.found.said)}</small>{command}</div>"
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
    # A slope below zero, which is chance, has no bar.
    least, most = (None if end is None else max(end, 0.0) for end in (found["low"], found["high"]))
    return bars.Mark(ink, max(found["value"], 0.0), slope(found, 1e3, " – "), held, least=least, most=most)


def memory(result: Mapping[str, Any]) -> str:
    """Return the memory and the threads of a client as a table, by every account; "" if they were not measured."""
    found = records(result, "memory")
    if not found:
        return ""
    heads = ("server", "kB, silent", "kB, has spoken", "threads", "MB without clients", "fit R²", "to be said")
    rows = [_line(words) for each in found for words in _weights(each)]
    notes = "".join(f'<p class="faint">{markup(line)}.</p>' for line in uncharged(result))
    return f"<h2>What one more client takes</h2>{_table(heads, rows)}{notes}"


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


def slo(result: Mapping[str, Any]) -> str:
    """Return whether the SLO was kept, by whom; "" without one."""
    lines = "".join(f"<li>{markup(line)}.</li>" for line in slo_lines(result))
    return f"<h2>Whether the SLO was kept</h2><ul>{lines}</ul>" if lines else ""


def _line(words: Sequence[str]) -> str:
    first, *middle, last = words
    cells = f"<td>{markup(first)}</td>{''.join(f'<td>{markup(each)}</td>' for each in middle)}"
    return f'<tr>{cells}<td class="left">{markup(last)}</td></tr>'


def _table(heads: Sequence[str], rows: Iterable[str], words: int = 1) -> str:
    """Return a table; its first column and its last `words` columns are words, the others measures."""
    numbers = len(heads) - words
    head = "".join(f"<th{'' if place < numbers else _LEFT}>{markup(each)}</th>" for place, each in enumerate(heads))
    return f'<div class="wide"><table><thead><tr>{head}</tr></thead><tbody>{"".join(rows)}</tbody></table></div>'
