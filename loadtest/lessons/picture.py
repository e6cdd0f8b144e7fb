"""A lesson's figures and the prediction on one axis: as text for the terminal, and as SVG."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from loadtest.compare.escaping import markup
from loadtest.compare.report.charts import svg
from loadtest.lessons.result import Row

_COLUMNS: Final = 48
_LEFT: Final = 180  # where the axis begins and ends on the paper, between names and numbers
_RIGHT: Final = 610
_WIDTH: Final = 720
_HEAD: Final = 52
_ROW: Final = 30

_STYLE: Final = (
    ".measured { stroke: #0072B2; fill: #0072B2; stroke-width: 3; }"
    " .predicted { stroke: #D55E00; stroke-width: 2; stroke-dasharray: 5 4; }"
)


@dataclass(frozen=True, slots=True)
class Picture:
    """
    What is drawn.

    rows: named as they are to be read. mine: what the prediction is called. predicted: None for no prediction. unit: of
    all numbers. show: returns a number in words.
    """

    title: str
    rows: Sequence[Row]
    mine: str
    predicted: float | None
    unit: str
    show: Callable[[float], str]

    def text(self) -> str:
        """Return it as lines of text: o is a median, [ ] the range, ^ the prediction."""
        scale = self._scale(0, _COLUMNS - 1)
        wide = max(len(each) for each in (*(row.name for row in self.rows), self.mine)) + 2
        lines = [f"{'':{wide}} {''.join(self._ruler(scale))}"]
        lines += [f"{row.name:{wide}}|{_drawn(row, scale)}  {self._said(row)}" for row in self.rows]
        if self.predicted is not None:
            at = round(scale.place(self.predicted))
            lines.append(f"{self.mine:{wide}}|{'^':>{at + 1}}{'':{_COLUMNS - at}} {self.show(self.predicted)}")
        return "\n".join(f"  {line.rstrip()}" for line in lines)

    def document(self) -> str:
        """Return it as a whole SVG document."""
        scale = self._scale(_LEFT, _RIGHT)
        bottom = _HEAD + _ROW * (len(self.rows) + (self.predicted is not None))
        parts = [svg.text(16, 26, self.title, "ink title")]
        for value, label in scale.ticks:
            x = scale.place(value)
            parts.append(svg.line("grid", x, _HEAD - 8, x, bottom))
            parts.append(svg.text(x, bottom + 18, f"{label} {self.unit}", "muted small", "middle"))
        for place, row in enumerate(self.rows):
            y = _HEAD + _ROW * place + 8.0
            parts += [svg.text(16, y + 4, row.name, "ink"), *self._marks(row, y, scale)]
        if self.predicted is not None:
            x, y = scale.place(self.predicted), bottom - 14.0
            parts += [
                svg.text(16, y + 4, self.mine, "ink"),
                svg.line("predicted", x, _HEAD - 8, x, bottom),
                svg.text(x + 8, y + 4, f"{self.show(self.predicted)} {self.unit}", "ink value small"),
            ]
        height = bottom + 34
        return (
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {height}" width="{_WIDTH}"'
            f' height="{height}" role="img" aria-label="{markup(self.title)}">\n'
            f"<style>{svg.style([])}{_STYLE}</style>\n"
            f'<rect class="paper" width="{_WIDTH}" height="{height}" rx="8"/>{"".join(parts)}</svg>\n'
        )

    def _scale(self, start: float, end: float) -> svg.Scale:
        ends = [value for row in self.rows for value in (row.value, row.high) if value is not None]
        return svg.linear([*ends, self.predicted or 0.0], start, end, lambda value: self.show(value) if value else "0")

    def _said(self, row: Row) -> str:
        if row.value is None:
            return "-"
        return f"{'≥ ' if row.at_least else ''}{self.show(row.value)}{' ?' if row.spoilt else ''}"

    def _ruler(self, scale: svg.Scale) -> Iterator[str]:
        """Yield the axis's numbers, each at its column, and the unit."""
        end = 0
        for value, label in scale.ticks:
            at = round(scale.place(value))
            if at >= end:
                yield f"{'':{at - end}}{label}"
                end = at + len(label)
        yield f" {self.unit}"

    def _marks(self, row: Row, y: float, scale: svg.Scale) -> Iterator[str]:
        """Yield a row's range as a line with ends, its median as a point, and the number."""
        if row.value is None:
            yield svg.text(_LEFT, y + 4, "?", "muted")
            return
        low = scale.place(row.value if row.low is None else row.low)
        high = _RIGHT if row.high is None else scale.place(row.high)
        yield svg.line("measured", low, y, high, y)
        if row.high is not None:
            yield from (svg.line("measured", end, y - 5, end, y + 5) for end in (low, high))
        hollow = " hollow" if row.at_least or row.spoilt else ""
        yield f'<circle class="measured{hollow}" cx="{scale.place(row.value):.1f}" cy="{y:.1f}" r="5"/>'
        yield svg.text(high + 10, y + 4, f"{self._said(row)} {self.unit}", "ink value small")


def _drawn(row: Row, scale: svg.Scale) -> str:
    """Return a row's range on the axis."""
    axis = [" "] * _COLUMNS
    if row.value is not None:
        left = round(scale.place(row.value if row.low is None else row.low))
        right = _COLUMNS - 1 if row.high is None else round(scale.place(row.high))
        axis[left : right + 1] = "-" * (right + 1 - left)
        axis[left], axis[right] = "[", ">" if row.high is None else "]"
        axis[round(scale.place(row.value))] = "o"
    return "".join(axis)
