"""Charts of lines: a measure against the number of clients, the rate, or the size of a message."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby, pairwise
from typing import Final

from loadtest.compare.report.charts import svg
from loadtest.compare.report.charts.svg import WIDTH, Chart, Ink, Point, Scale

_LEFT: Final = 132  # room for names, and for what the axis says
_RIGHT: Final = WIDTH - 30
_TOP: Final = 56
_BOTTOM: Final = 226
_ROW: Final = 18
_APART: Final = 34  # units between the names of two numbers of clients
_ROOM: Final = 62  # and between two counts of those served
_NARROW: Final = 5  # letters of a count that fit without that room


@dataclass(frozen=True, slots=True)
class Series:
    """One candidate's points, one for each load; None where it was not measured."""

    ink: Ink
    points: tuple[Point | None, ...]


def against(
    axis: str,
    loads: Sequence[float],
    every: Sequence[Series],
    title: str,
    subtitle: str,
    *,
    durations: bool = False,
    limit: tuple[float, str] | None = None,
    notes: Sequence[str] = (),
) -> Chart:
    """
    Return a chart with a line for each candidate, and beneath it the clients served of those connected.

    axis: what the loads are, such as "clients". loads: two or more. durations: values are microseconds, on a
    logarithmic axis. limit: an objective, drawn across, and its name.
    """
    values = [
        value
        for series in every
        for point in series.points
        if point
        for value in (point.value, point.low, point.high, point.most, *point.excluded)
        if value is not None
    ]
    values += [limit[0]] if limit else []
    y = svg.logarithmic(values, _BOTTOM, _TOP) if durations else svg.linear(values, _BOTTOM, _TOP, _short)
    x = _places(loads)
    parts = [svg.heading(title, subtitle)]
    for value, label in y.ticks:
        height = y.place(value)
        parts.append(svg.line("grid", _LEFT, height, _RIGHT, height))
        parts.append(svg.text(_LEFT - 8, height + 4, label, "muted small", "end"))
    parts.append(svg.line("axis", _LEFT, _BOTTOM, _RIGHT, _BOTTOM))
    each = math.ceil(_APART / _gap(x))  # so that no two names touch
    for place, (at, load) in enumerate(zip(x, loads, strict=True)):
        parts.append(svg.line("axis", at, _BOTTOM, at, _BOTTOM + 4))
        if place % each == 0:
            parts.append(svg.text(at, _BOTTOM + 17, f"{load:,g}", "muted small", "middle"))
    parts.append(svg.text(0, _BOTTOM + 17, axis, "muted small"))
    if limit:
        height = y.place(limit[0])
        parts.append(svg.line("whisker", _LEFT, height, _RIGHT, height))
        # At the left: there most marks are below it.
        parts.append(svg.text(_LEFT + 2, height - 4, limit[1], "muted small"))
    for place, series in enumerate(every):
        # Beside each other, or one would hide the other's whiskers.
        aside = (place - (len(every) - 1) / 2) * 6
        parts.append(_line(series, [at + aside for at in x], y))
    parts.append(svg.text(0, _BOTTOM + 38, "served of connected", "muted small"))
    for place, series in enumerate(every, 1):
        parts.append(_served(series, x, _BOTTOM + 40 + place * _ROW))
    return Chart(title, subtitle, "".join(parts), _BOTTOM + 48 + len(every) * _ROW, tuple(notes))


def _short(value: float) -> str:
    for unit, name in ((1e6, "M"), (1e3, "k")):
        if value >= 10 * unit:
            return f"{value / unit:,g}{name}"
    return f"{value:,g}"


def _places(counts: Sequence[float]) -> list[float]:
    """Return where the loads stand: on a logarithmic axis, or evenly where two would touch."""
    first, last = math.log10(counts[0]), math.log10(counts[-1])
    start, end = _LEFT + 26, _RIGHT - 10
    places = [start + (end - start) * (math.log10(count) - first) / (last - first) for count in counts]
    if _gap(places) < _APART:
        return [start + (end - start) * place / (len(counts) - 1) for place in range(len(counts))]
    return places


def _gap(x: Sequence[float]) -> float:
    """Return how far the nearest two places are apart."""
    return min(after - before for before, after in pairwise(x))


def _line(series: Series, x: Sequence[float], y: Scale) -> str:
    """Return a candidate's line, broken where it has no measure, with its band, whiskers and marks."""
    ink, parts = series.ink, []
    known = [(at, point) for at, point in zip(x, series.points, strict=True)]
    for piece in _pieces(known):
        upper = [(at, y.place(point.high)) for at, point in piece if point.high is not None]
        lower = [(at, y.place(point.low)) for at, point in piece if point.low is not None]
        if len(upper) == len(lower) == len(piece) > 1:
            parts.append(svg.path(f"{ink.css} band", [*upper, *reversed(lower)], closed=True))
        if len(piece) > 1:
            parts.append(svg.path(f"{ink.css} line", [(at, y.place(point.value or 0)) for at, point in piece]))
    for at, point in known:
        if point is not None:
            parts += [svg.excluded(ink, at, y.place(value)) for value in point.excluded]
            shown = point.most if point.value is None else point.value
            if shown is not None:
                parts.append(svg.told(point.words, at, y.place(shown), _mark(ink, point, at, y)))
    return "".join(parts)


def _mark(ink: Ink, point: Point, at: float, y: Scale) -> str:
    """Return a point's mark, with whiskers, or with chevrons where it is open."""
    if point.value is None:
        height = y.place(point.most or 0.0)
        return svg.mark(ink, at, height, hollow=True) + svg.further(ink, at, height + 3, "down")
    height, parts = y.place(point.value), []
    if point.low is not None:
        low, high = y.place(point.low), height if point.high is None else y.place(point.high)
        parts.append(svg.line("whisker", at, low, at, high))
        parts += [svg.line("whisker", at - 3, end, at + 3, end) for end in (low, high) if abs(low - high) > 1]
    parts.append(svg.mark(ink, at, height, hollow=point.open))
    if point.open or (point.low is not None and point.high is None):
        parts.append(svg.further(ink, at, height - 3, "up"))
    return "".join(parts)


def _pieces(known: Sequence[tuple[float, Point | None]]) -> list[list[tuple[float, Point]]]:
    """Return the points that follow each other and have a value."""
    found = groupby(known, key=lambda each: each[1] is not None and each[1].value is not None)
    return [[(at, point) for at, point in some if point] for has_value, some in found if has_value]


def _served(series: Series, x: Sequence[float], y: float) -> str:
    """Return a row under a chart: whose line it is, and the clients served of those connected."""
    parts = [svg.mark(series.ink, 8, y - 4.5), svg.text(18, y, series.ink.name, "ink small")]
    gap, before = _gap(x), None
    for at, point in zip(x, series.points, strict=True):
        served = point.served if point else None
        if gap < _APART and served and served == before:
            continue  # as before it, where there is no room for each
        before = served
        words = f"{served[0]}/{served[1]}" if served else "–"
        if served and served[0] == served[1] and gap < _ROOM and len(words) > _NARROW:
            words = "all"
        parts.append(svg.text(at, y, words, "muted small", "middle"))
    return "".join(parts)
