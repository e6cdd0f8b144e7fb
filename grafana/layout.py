"""Where panels stand: sections of lines, lines of panels, on Grafana's grid of 24 columns."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate, pairwise
from typing import Final

from grafana_foundation_sdk.builders import dashboard as builders
from grafana_foundation_sdk.cog.builder import Builder
from grafana_foundation_sdk.models import dashboard

GRAFANA: Final = "12.4.9"
"""The Grafana version of the panels: without it, Grafana would migrate their options as an old version's."""

COLUMNS: Final = 24

SCREEN: Final = 20
"""
Units of height seen without scrolling at 1440x900.

A unit is 38 pixels with its gap of 8 (Grafana's GRID_CELL_HEIGHT and GRID_CELL_VMARGIN). Of the 900 pixels, two header
bars take 80 (two because the menu is docked from 1,200 pixels on), the line of variables, links and time 64.
"""


@dataclass(frozen=True, slots=True)
class Line:
    """Panels side by side. height: in units of Grafana's grid. widths: in columns; without them all are equal."""

    height: int
    panels: Sequence[Builder[dashboard.Panel]]
    widths: Sequence[int] = ()

    def edges(self) -> list[int]:
        """Return the columns at which panels begin and end."""
        if self.widths:
            return [0, *accumulate(self.widths)]
        return [round(COLUMNS * index / len(self.panels)) for index in range(len(self.panels) + 1)]


@dataclass(frozen=True, slots=True)
class Section:
    """Lines one below the other, under a heading if there is a title."""

    title: str
    lines: Sequence[Line]


def lay_out(sections: Sequence[Section]) -> list[dashboard.Panel | dashboard.RowPanel]:
    """Return the sections' panels, placed and numbered."""
    placed: list[dashboard.Panel | dashboard.RowPanel] = []
    y = 0
    for section in sections:
        if section.title:
            placed.append(builders.Row(section.title).grid_pos(dashboard.GridPos(h=1, w=COLUMNS, x=0, y=y)).build())
            y += 1
        for line in section.lines:
            for builder, (left, right) in zip(line.panels, pairwise(line.edges()), strict=True):
                built = builder.build()
                built.plugin_version = GRAFANA
                built.grid_pos = dashboard.GridPos(h=line.height, w=right - left, x=left, y=y)
                placed.append(built)
            y += line.height
    for number, panel in enumerate(placed, start=1):
        panel.id_val = number
    return placed
