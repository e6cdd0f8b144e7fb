"""
Charts as SVG text: horizontal bars from zero, and ranges on a logarithmic axis. No scripts, no fonts, nothing fetched.

A chart is a list of groups of marks. What it draws is styled by classes (STYLE), so that a page's light and dark themes
reach inside.
"""

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from html import escape

from servers.variants import VARIANTS

WIDTH = 490
"""Width of a chart in user units."""

_LABEL = 74  # room for the variants' names
_BEHIND_BARS, _BEHIND_RANGES = 176, 246  # and for what is written behind the marks
_HEAD, _GROUP, _LINE, _FOOT = 52, 24, 21, 22

STYLE = """
text, tspan { font: 13px system-ui, -apple-system, "Segoe UI", Roboto, Helvetica, Arial, sans-serif; }
.ink { fill: #1c2024; } .muted { fill: #60676e; } .title { font-size: 15px; font-weight: 600; }
.small { font-size: 12px; } .value { font-weight: 600; } .paper { fill: #ffffff; }
.grid { stroke: #dfe3e6; stroke-width: 1; } .axis { stroke: #9aa1a8; stroke-width: 1; }
""" + "\n".join(f".{each.name} {{ fill: {each.colour}; stroke: {each.colour}; }}" for each in VARIANTS)

DARK = """
.ink { fill: #eceef0; } .muted { fill: #a2a9b0; } .paper { fill: #16191c; }
.grid { stroke: #33393f; } .axis { stroke: #6b737b; }
"""


@dataclass(frozen=True, slots=True)
class Mark:
    """
    One row of a chart: a variant's bar, or its range.

    low, high: where the range begins and ends, or where the bar ends (`high`); None to draw nothing. open: it may as
    well end further on. text: the figures in words, behind the mark. note: what qualifies them, fainter.
    """

    variant: str
    high: float | None
    text: str
    note: str = ""
    low: float | None = None
    open: bool = False


@dataclass(frozen=True, slots=True)
class Group:
    """Marks that may be compared with one another, under a heading."""

    heading: str
    marks: tuple[Mark, ...]


@dataclass(frozen=True, slots=True)
class Chart:
    """A chart in its final size. body: its SVG elements."""

    title: str
    body: str
    height: int

    def inline(self) -> str:
        """Return it as an element for an HTML page."""
        return (
            f'<svg viewBox="0 0 {WIDTH} {self.height}" role="img" aria-label="{escape(self.title)}">{self.body}</svg>'
        )


def bars(title: str, subtitle: str, groups: Sequence[Group]) -> Chart:
    """Return a chart of bars that begin at zero."""
    top = max((mark.high for group in groups for mark in group.marks if mark.high is not None), default=1.0) or 1.0
    room = WIDTH - _LABEL - _BEHIND_BARS

    def place(value: float) -> float:
        return _LABEL + room * value / top

    def draw(mark: Mark, y: float) -> tuple[str, float]:
        if mark.high is None:
            return "", _LABEL
        end = place(mark.high)
        width = max(end - _LABEL, 1)
        drawn = f'<rect class="{mark.variant}" x="{_LABEL}" y="{y - 6:.1f}" width="{width:.1f}" height="12"/>'
        return drawn + (_further(mark.variant, end, y) if mark.open else ""), end + (14 if mark.open else 0)

    return _chart(title, subtitle, groups, draw, [(float(_LABEL), "", True)])


def ranges(title: str, subtitle: str, groups: Sequence[Group]) -> Chart:
    """Return a chart of ranges on a logarithmic axis; values are microseconds."""
    values = [value for group in groups for mark in group.marks for value in (mark.low, mark.high) if value]
    lowest = math.floor(math.log10(min(values, default=100.0)))
    highest = max(math.log10(max(values, default=1000.0)), lowest + 1)
    room = WIDTH - _LABEL - _BEHIND_RANGES

    def place(value: float) -> float:
        return _LABEL + room * (math.log10(max(value, 1)) - lowest) / (highest - lowest)

    def draw(mark: Mark, y: float) -> tuple[str, float]:
        if mark.high is None or mark.low is None:
            return "", _LABEL
        start, end = place(mark.low), place(mark.high)
        style, top, bottom = mark.variant, y - 7, y + 7
        drawn = (
            f'<line class="{style}" x1="{start:.1f}" y1="{y:.1f}" x2="{end:.1f}" y2="{y:.1f}" stroke-width="4"/>'
            f'<circle class="{style}" cx="{start:.1f}" cy="{y:.1f}" r="5"/>'
            f'<line class="{style}" x1="{end:.1f}" y1="{top:.1f}" x2="{end:.1f}" y2="{bottom:.1f}" stroke-width="3"/>'
        )
        return drawn + (_further(mark.variant, end, y) if mark.open else ""), end + (14 if mark.open else 0)

    step = 2 if highest - lowest > 4 else 1  # labels that touch cannot be read
    powers = range(lowest, math.floor(highest) + 1)
    ticks = [(place(10.0**each), "" if (each - lowest) % step else duration(10.0**each), False) for each in powers]
    return _chart(title, subtitle, groups, draw, ticks)


def duration(microseconds: float) -> str:
    """Return a duration with three significant figures in the unit that suits it."""
    for unit, name in ((1e6, "s"), (1e3, "ms")):
        if microseconds >= unit:
            return f"{microseconds / unit:.3g} {name}"
    return f"{microseconds:.3g} µs"


def picture(title: str, subtitle: str, charts: Iterable[Chart], foot: str) -> str:
    """Return a whole SVG document with the charts in two columns, each where there is more room."""
    gap, head = 24, 78
    columns: list[list[Chart]] = [[], []]
    heights = [head, head]
    placed = []
    for chart in charts:
        column = heights.index(min(heights))
        columns[column].append(chart)
        placed.append(
            f'<svg x="{gap + column * (WIDTH + gap)}" y="{heights[column]}" width="{WIDTH}" height="{chart.height}">'
            f"{chart.body}</svg>"
        )
        heights[column] += chart.height + gap
    width, height = 2 * WIDTH + 3 * gap, max(heights) + 24
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" height="{height}"'
        f' role="img" aria-label="{escape(title)}">\n'
        f"<style>{STYLE}@media (prefers-color-scheme: dark) {{{DARK}}}</style>\n"
        f'<rect class="paper" width="{width}" height="{height}" rx="8"/>'
        f'<text class="ink" x="{gap}" y="38" style="font-size:20px;font-weight:600">{escape(title)}</text>'
        f'<text class="muted" x="{gap}" y="60">{escape(subtitle)}</text>\n'
        + "\n".join(placed)
        + f'\n<text class="muted small" x="{gap}" y="{height - 16}">{escape(foot)}</text></svg>\n'
    )


def _chart(
    title: str,
    subtitle: str,
    groups: Sequence[Group],
    draw: Callable[[Mark, float], tuple[str, float]],
    ticks: Sequence[tuple[float, str, bool]],
) -> Chart:
    """
    Return a chart: heading, grid, and each mark where `draw` puts it.

    draw: gives a mark's elements and where they end. ticks: x, label, and whether it is the axis.
    """
    bottom = _HEAD + sum(_GROUP + _LINE * len(group.marks) for group in groups) + 6
    labelled = any(label for _, label, _ in ticks)
    parts = [_text(0, 16, title, "ink title"), _text(0, 35, subtitle, "muted small")]
    for x, label, axis in ticks:
        parts.append(
            f'<line class="{"axis" if axis else "grid"}" x1="{x:.1f}" y1="{_HEAD - 4}" x2="{x:.1f}" y2="{bottom}"/>'
        )
        if label:
            parts.append(_text(x, bottom + 15, label, "muted small", anchor="middle"))
    y = float(_HEAD)
    for group in groups:
        parts.append(_text(0, y + 14, group.heading, "muted small"))
        y += _GROUP
        for mark in group.marks:
            drawn, end = draw(mark, y + 7)
            words = (
                f'<text x="{end + 8:.1f}" y="{y + 11.5:.1f}"><tspan class="ink value small">{escape(mark.text)}</tspan>'
                f'<tspan class="muted small" dx="{7 if mark.text else 0}">{escape(mark.note)}</tspan></text>'
            )
            parts += [_text(0, y + 11.5, mark.variant, "ink"), drawn, words]
            y += _LINE
    return Chart(title, "".join(parts), int(bottom) + (_FOOT if labelled else 6))


def _further(variant: str, end: float, y: float) -> str:
    """Return two chevrons: it goes on from here, and nobody knows how far."""
    return "".join(
        f'<path class="{variant}" d="M{end + shift:.1f} {y - 5:.1f}l4 5l-4 5" style="fill:none" stroke-width="2"/>'
        for shift in (3, 9)
    )


def _text(x: float, y: float, words: str, style: str, anchor: str = "start") -> str:
    return f'<text class="{style}" x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}">{escape(words)}</text>'
