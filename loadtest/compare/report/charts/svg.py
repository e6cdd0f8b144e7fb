"""
Pieces of charts as SVG text: texts, marks, axes, and the document around them. No scripts, no fonts, nothing fetched.

What is drawn is styled by classes (`style`), so that a page's light and dark themes reach inside.
"""

import math
import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Final, Literal

from loadtest.compare.candidates import LAB, Candidate
from loadtest.compare.escaping import markup
from loadtest.compare.report.formatting import duration

WIDTH: Final = 440  # in user units: on a telephone it is drawn at four fifths of its size, and can still be read

_STYLE: Final = """
svg text, svg tspan { font: 13px system-ui, -apple-system, "Segoe UI", Roboto, Helvetica, Arial, sans-serif; }
.ink { fill: #1c2024; } .muted { fill: #555c63; } svg .title { font-size: 15px; font-weight: 600; }
svg .small { font-size: 12px; } svg .value { font-weight: 600; } .paper { fill: #ffffff; }
.grid { stroke: #dfe3e6; stroke-width: 1; } .axis { stroke: #9aa1a8; stroke-width: 1; }
.whisker { stroke: #1c2024; stroke-width: 1.5; }
"""

_MARKS: Final = """
.line { fill: none; stroke-width: 2; stroke-linejoin: round; } .service { stroke-dasharray: 5 4; stroke-width: 1.5; }
.open { stroke-dasharray: 1 4; stroke-linecap: round; } .band { stroke: none; opacity: .16; }
.hollow { fill: #f6f7f8; stroke-width: 2; } .near { fill: none; pointer-events: all; }
.excluded { fill: none; stroke-width: 1.5; opacity: .75; }
"""

_DARK: Final = """
.ink { fill: #eceef0; } .muted { fill: #a9b0b7; } .paper { fill: #16191c; } .hollow { fill: #1e2226; }
.grid { stroke: #33393f; } .axis { stroke: #6b737b; } .whisker { stroke: #eceef0; }
"""

# Each as steps from its middle, about as large as the others look.
_SHAPES: Final = (
    "m-4.5 0a4.5 4.5 0 1 0 9 0a4.5 4.5 0 1 0 -9 0z",
    "m-4 -4h8v8h-8z",
    "m0 -5.2l5 8.8h-10z",
    "m0 -5.6l5.6 5.6l-5.6 5.6l-5.6 -5.6z",
    "m0 5.2l5 -8.8h-10z",
    "m-1.8 -5h3.6v3.2h3.2v3.6h-3.2v3.2h-3.6v-3.2h-3.2v-3.6h3.2z",
    "m-4.5 0l7.8 -4.8v9.6z",
    "m4.5 0l-7.8 -4.8v9.6z",
)


@dataclass(frozen=True, slots=True)
class Ink:
    """How a candidate is drawn: name, class, colour, and a shape of marks, for who can't tell the colours apart."""

    name: str
    css: str
    colour: str
    shape: int


def inks(candidates: Sequence[Candidate]) -> dict[str, Ink]:
    """Return how each candidate is drawn, by name; one of the lab's always alike, in whatever company."""
    strangers = [each.name for each in candidates if each.name not in LAB]
    shapes = {name: place for place, name in enumerate((*LAB, *strangers))}
    found = {}
    for place, each in enumerate(candidates):
        name = each.name if re.fullmatch("[a-z][a-z0-9-]*", each.name) else place  # not each name can be a class
        found[each.name] = Ink(each.label, f"of-{name}", each.colour, shapes[each.name])
    return found


def style(inks: Iterable[Ink]) -> str:
    """Return the style sheet for the light and the dark theme."""
    some = (ink for ink in inks if re.fullmatch("#[0-9A-Fa-f]{6}", ink.colour))
    colours = "\n".join(f".{ink.css} {{ fill: {ink.colour}; stroke: {ink.colour}; }}" for ink in some)
    return f"{_STYLE}{colours}{_MARKS}@media (prefers-color-scheme: dark) {{{_DARK}}}"


@dataclass(frozen=True, slots=True)
class Point:
    """
    One candidate's measure at one load.

    value: None if there is none. served: how many clients were, of how many. low, high: between which two the runs
    leave the value; None for nothing, and `high` alone where nobody knows. open: the true value is `value` or more.
    most: without a value, what it is at the most. excluded: what excluded runs gave. words: all that in words.
    """

    value: float | None
    served: tuple[int, int] = (0, 0)
    low: float | None = None
    high: float | None = None
    open: bool = False
    most: float | None = None
    excluded: tuple[float, ...] = ()
    words: str = ""


@dataclass(frozen=True, slots=True)
class Chart:
    """A chart in its final size. body: its SVG elements. notes: to be read under it, such as what is missing."""

    title: str
    subtitle: str
    body: str
    height: int
    notes: tuple[str, ...] = ()

    def inline(self) -> str:
        """Return it as an element for an HTML page."""
        label = markup(f"{self.title}. {self.subtitle}")
        return f'<svg viewBox="0 0 {WIDTH} {self.height}" role="img" aria-label="{label}">{self.body}</svg>'


def text(x: float, y: float, words: str, css: str, anchor: str = "start") -> str:
    """Return a line of text."""
    return f'<text class="{css}" x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}">{markup(words)}</text>'


def heading(title: str, subtitle: str) -> str:
    """Return a chart's heading, which takes 42 units."""
    return text(0, 16, title, "ink title") + text(0, 35, subtitle, "muted small")


def line(css: str, x1: float, y1: float, x2: float, y2: float) -> str:
    """Return a straight line."""
    return f'<line class="{css}" x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}"/>'


def path(css: str, points: Iterable[tuple[float, float]], *, closed: bool = False) -> str:
    """Return a line, or an area, through points."""
    steps = "L".join(f"{x:.1f} {y:.1f}" for x, y in points)
    return f'<path class="{css}" d="M{steps}{"Z" if closed else ""}"/>'


def mark(ink: Ink, x: float, y: float, *, hollow: bool = False) -> str:
    """Return the candidate's own mark; a hollow one is only a bound."""
    shape = _SHAPES[ink.shape % len(_SHAPES)]
    return f'<path class="{ink.css}{" hollow" if hollow else ""}" d="M{x:.1f} {y:.1f}{shape}"/>'


def told(words: str, x: float, y: float, body: str) -> str:
    """Return marks with what is said where the pointer rests on them, or near their middle."""
    return f'<g><title>{markup(words)}</title><circle class="near" cx="{x:.1f}" cy="{y:.1f}" r="10"/>{body}</g>'


def excluded(ink: Ink, x: float, y: float) -> str:
    """Return the cross of a run that is excluded."""
    return f'<path class="{ink.css} excluded" d="M{x - 3.5:.1f} {y - 3.5:.1f}l7 7m0 -7l-7 7"/>'


def further(ink: Ink, x: float, y: float, towards: Literal["right", "up", "down"] = "right") -> str:
    """Return two chevrons: it goes on from here, and nobody knows how far."""
    steps = []
    for shift in (4, 9):
        if towards == "right":
            steps.append(f"M{x + shift:.1f} {y - 4.5:.1f}l4 4.5l-4 4.5")
        else:
            way = -1 if towards == "up" else 1
            steps.append(f"M{x - 4:.1f} {y + way * shift:.1f}l4 {way * 4}l4 {-way * 4}")
    return f'<path class="{ink.css} line" d="{"".join(steps)}"/>'


@dataclass(frozen=True, slots=True)
class Scale:
    """Where values lie. ticks: values that are named, each with its name."""

    place: Callable[[float], float]
    ticks: tuple[tuple[float, str], ...]


def linear(values: Iterable[float], start: float, end: float, name: Callable[[float], str]) -> Scale:
    """Return a scale from zero to the largest of `values`, from `start` to `end` on the paper."""
    top = max(values, default=0.0)
    top = top if top > 1e-9 else 1.0
    rough = top / 4
    power = 10 ** math.floor(math.log10(rough))
    step = next(each * power for each in (1, 2, 2.5, 5, 10) if each * power >= rough * 0.999)
    highest = max(top, step)
    ticks = tuple((each * step, name(each * step)) for each in range(math.floor(highest / step) + 1))
    return Scale(lambda value: start + (end - start) * value / highest, ticks)


def logarithmic(values: Iterable[float], start: float, end: float) -> Scale:
    """Return a logarithmic scale of durations in microseconds that holds all `values`, from one round number on."""
    known = [max(value, 1.0) for value in values] or [100.0]
    rounds = [step * 10.0**power for power in range(11) for step in (1, 2, 5)]
    lowest = max(each for each in rounds if each <= min(known) * 1.001)
    highest = max(max(known) * 1.05, lowest * 5)
    within = [each for each in rounds if lowest <= each <= highest]
    if highest > lowest * 50:  # more names than these would be in each other's way
        within = [each for each in within if math.log10(each) % 1 < 1e-9]
    every = 2 if len(within) > 5 else 1
    ticks = tuple((each, "" if number % every else duration(each)) for number, each in enumerate(within))

    def place(value: float) -> float:
        return start + (end - start) * math.log(max(value, 1.0) / lowest) / math.log(highest / lowest)

    return Scale(place, ticks)


def picture(title: str, subtitle: str, charts: Sequence[Chart], foot: str, inks: Iterable[Ink]) -> str:
    """Return a whole SVG document with the charts in two columns, each where there is more room."""
    gap, head = 24, 78
    heights = [head, head]
    placed = []
    for chart in charts:
        column = heights.index(min(heights))
        placed.append(
            f'<svg x="{gap + column * (WIDTH + gap)}" y="{heights[column]}" width="{WIDTH}" height="{chart.height}">'
            f"{chart.body}</svg>"
        )
        heights[column] += chart.height + gap
    width, height = 2 * WIDTH + 3 * gap, max(heights) + 24
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" height="{height}"'
        f' role="img" aria-label="{markup(title)}">\n'
        f"<style>{style(inks)}</style>\n"
        f'<rect class="paper" width="{width}" height="{height}" rx="8"/>'
        f'<text class="ink" x="{gap}" y="38" style="font-size:20px;font-weight:600">{markup(title)}</text>'
        f"{text(gap, 60, subtitle, 'muted small')}\n"
        + "\n".join(placed)
        + f"\n{text(gap, height - 16, foot, 'muted small')}</svg>\n"
    )
