"""Charts with a row for each candidate, for one number of clients: bars from zero, and ranges of durations."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

from loadtest.compare.escaping import markup
from loadtest.compare.report.charts import svg
from loadtest.compare.report.charts.svg import WIDTH, Chart, Ink, Point, Scale

_HEAD: Final = 46
_ROW: Final = 36
_END: Final = WIDTH - 24  # chevrons go on from here


@dataclass(frozen=True, slots=True)
class Row:
    """One row: where the bar or range ends, the measure in words, clients served (or why nothing), a range's start."""

    ink: Ink
    point: Point
    text: str
    note: str
    start: float | None = None


def bars(title: str, subtitle: str, rows: Sequence[Row], notes: Sequence[str] = ()) -> Chart:
    """Return a chart of bars that begin at zero."""
    scale = svg.linear(_values(rows), 0, _END, lambda _: "")

    def draw(row: Row, value: float, y: float) -> str:
        width = max(scale.place(value), 1)
        return f'<rect class="{row.ink.css}" x="0" y="{y - 5:.1f}" width="{width:.1f}" height="10"/>'

    return _chart((title, subtitle), rows, draw, Scale(scale.place, ((0.0, ""),)), notes)


def ranges(title: str, subtitle: str, rows: Sequence[Row], notes: Sequence[str] = ()) -> Chart:
    """Return a chart of ranges on a logarithmic axis; values are microseconds."""
    scale = svg.logarithmic(_values(rows), 8, _END)

    def draw(row: Row, value: float, y: float) -> str:
        start, end = scale.place(row.start or 1), scale.place(value or 1)
        css, width = row.ink.css, max(end - start, 1)
        return (
            f'<rect class="{css}" x="{start:.1f}" y="{y - 2:.1f}" width="{width:.1f}" height="4"/>'
            + svg.mark(row.ink, start, y)
            + f'<rect class="{css}" x="{end - 1.5:.1f}" y="{y - 7:.1f}" width="3" height="14"/>'
        )

    return _chart((title, subtitle), rows, draw, scale, notes)


def _values(rows: Sequence[Row]) -> list[float]:
    points = [(row.start, row.point) for row in rows]
    ends = [end for start, at in points for end in (start, at.value, at.low, at.high, *at.excluded)]
    return [end for end in ends if end]


def _chart(
    words: tuple[str, str],
    rows: Sequence[Row],
    draw: Callable[[Row, float, float], str],
    scale: Scale,
    notes: Sequence[str],
) -> Chart:
    """Return a chart: heading, grid, and each row's value where `draw` puts it, at a height."""
    bottom = _HEAD + _ROW * len(rows) + 2
    parts = [svg.heading(*words)]
    for value, label in scale.ticks:
        x = scale.place(value)
        for place in range(len(rows)):  # not across what is written above a bar
            middle = _HEAD + _ROW * place + 26.0
            parts.append(svg.line("grid" if value else "axis", x, middle - 8, x, middle + 8))
        if label:
            parts.append(svg.text(x, bottom + 14, label, "muted small", "start" if x < 20 else "middle"))
    for place, row in enumerate(rows):
        ink, point, top = row.ink, row.point, _HEAD + _ROW * place
        middle = top + 26.0
        parts += [svg.mark(ink, 8, top + 11), svg.text(19, top + 15.5, ink.name, "ink")]
        parts.append(
            f'<text x="{WIDTH}" y="{top + 15.5:.1f}" text-anchor="end"><tspan class="ink value small">'
            f'{markup(row.text)}</tspan><tspan class="muted small" dx="{7 if row.text else 0}">{markup(row.note)}'
            "</tspan></text>"
        )
        if point.value is not None:
            body = draw(row, point.value, middle) + _ends(ink, point, point.value, middle, scale)
            parts.append(svg.told(point.words, scale.place(point.value), middle, body))
        parts += [svg.excluded(ink, scale.place(value), middle) for value in point.excluded]
    labelled = any(label for _, label in scale.ticks)
    return Chart(*words, "".join(parts), bottom + (20 if labelled else 4), tuple(notes))


def _ends(ink: Ink, point: Point, value: float, middle: float, scale: Scale) -> str:
    """Return the whiskers of a value, and chevrons where it is open."""
    parts = []
    if point.low is not None:
        low, high = scale.place(point.low), scale.place(value if point.high is None else point.high)
        parts.append(svg.line("whisker", low, middle, high, middle))
        parts += [svg.line("whisker", x, middle - 4, x, middle + 4) for x in (low, high)]
    if point.open or (point.low is not None and point.high is None):
        parts.append(svg.further(ink, scale.place(max(value, point.high or 0)) + 4, middle))
    return "".join(parts)
