"""Charts with a row for each candidate, for one number of clients: bars from zero, and ranges of durations."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

from loadtest.compare.escaping import markup
from loadtest.compare.report.charts import svg
from loadtest.compare.report.charts.svg import WIDTH, Chart, Ink, Scale

_HEAD: Final = 46
_ROW: Final = 36
_END: Final = WIDTH - 24  # chevrons go on from here


@dataclass(frozen=True, slots=True)
class Mark:
    """
    One row of a chart.

    high: where the bar, or the range, ends; None to draw nothing. low: where a range begins. least, most: between which
    two the runs leave `high`; None for nothing, and `most` alone where nobody knows. open: the true value is `high` or
    more. excluded: what excluded runs gave.
    text: the measure in words; note: clients served, or why there is nothing. words: all that in words.
    """

    ink: Ink
    high: float | None
    text: str
    note: str
    low: float | None = None
    least: float | None = None
    most: float | None = None
    open: bool = False
    excluded: tuple[float, ...] = ()
    words: str = ""


def bars(title: str, subtitle: str, marks: Sequence[Mark], notes: Sequence[str] = ()) -> Chart:
    """Return a chart of bars that begin at zero."""
    scale = svg.linear(_values(marks), 0, _END, lambda _: "")

    def draw(mark: Mark, y: float) -> str:
        width = max(scale.place(mark.high or 0), 1)
        return f'<rect class="{mark.ink.css}" x="0" y="{y - 5:.1f}" width="{width:.1f}" height="10"/>'

    return _chart((title, subtitle), marks, draw, Scale(scale.place, ((0.0, ""),)), notes)


def ranges(title: str, subtitle: str, marks: Sequence[Mark], notes: Sequence[str] = ()) -> Chart:
    """Return a chart of ranges on a logarithmic axis; values are microseconds."""
    scale = svg.logarithmic(_values(marks), 8, _END)

    def draw(mark: Mark, y: float) -> str:
        start, end = scale.place(mark.low or 1), scale.place(mark.high or 1)
        css, width = mark.ink.css, max(end - start, 1)
        return (
            f'<rect class="{css}" x="{start:.1f}" y="{y - 2:.1f}" width="{width:.1f}" height="4"/>'
            + svg.mark(mark.ink, start, y)
            + f'<rect class="{css}" x="{end - 1.5:.1f}" y="{y - 7:.1f}" width="3" height="14"/>'
        )

    return _chart((title, subtitle), marks, draw, scale, notes)


def _values(marks: Sequence[Mark]) -> list[float]:
    return [value for mark in marks for value in (mark.low, mark.high, mark.least, mark.most, *mark.excluded) if value]


def _chart(
    words: tuple[str, str],
    marks: Sequence[Mark],
    draw: Callable[[Mark, float], str],
    scale: Scale,
    notes: Sequence[str],
) -> Chart:
    """Return a chart: heading, grid, and each mark where `draw` puts it, at a height, if it has a value."""
    bottom = _HEAD + _ROW * len(marks) + 2
    parts = [svg.heading(*words)]
    for value, label in scale.ticks:
        x = scale.place(value)
        for place in range(len(marks)):  # not across what is written above a bar
            middle = _HEAD + _ROW * place + 26.0
            parts.append(svg.line("grid" if value else "axis", x, middle - 8, x, middle + 8))
        if label:
            parts.append(svg.text(x, bottom + 14, label, "muted small", "start" if x < 20 else "middle"))
    for place, mark in enumerate(marks):
        top = _HEAD + _ROW * place
        middle = top + 26.0
        parts += [svg.mark(mark.ink, 8, top + 11), svg.text(19, top + 15.5, mark.ink.name, "ink")]
        parts.append(
            f'<text x="{WIDTH}" y="{top + 15.5:.1f}" text-anchor="end"><tspan class="ink value small">'
            f'{markup(mark.text)}</tspan><tspan class="muted small" dx="{7 if mark.text else 0}">{markup(mark.note)}'
            "</tspan></text>"
        )
        if mark.high is not None:
            parts.append(svg.told(mark.words, scale.place(mark.high), middle, _ends(mark, middle, draw, scale)))
        parts += [svg.excluded(mark.ink, scale.place(value), middle) for value in mark.excluded]
    labelled = any(label for _, label in scale.ticks)
    return Chart(*words, "".join(parts), int(bottom) + (20 if labelled else 4), tuple(notes))


def _ends(mark: Mark, middle: float, draw: Callable[[Mark, float], str], scale: Scale) -> str:
    """Return a mark with its whiskers, and with chevrons where it is open."""
    parts, high = [draw(mark, middle)], mark.high or 0.0
    if mark.least is not None:
        least, most = scale.place(mark.least), scale.place(high if mark.most is None else mark.most)
        parts.append(svg.line("whisker", least, middle, most, middle))
        parts += [svg.line("whisker", x, middle - 4, x, middle + 4) for x in (least, most)]
    if mark.open or (mark.least is not None and mark.most is None):
        parts.append(svg.further(mark.ink, scale.place(max(high, mark.most or 0)) + 4, middle))
    return "".join(parts)
