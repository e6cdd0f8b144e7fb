"""Charts of lines stay legible with as many rates as a thorough comparison has."""

import itertools
import re

import pytest

from loadtest.compare.candidates import LAB
from loadtest.compare.report.charts import svg
from loadtest.compare.report.charts.curves import Series, against
from loadtest.compare.report.charts.svg import Point

RATES = [float(rate) for rate in (2700, 3000, 3300, 4000, 4600, 5000, 5300, 5600, 6000, 6300, 6600, 7300)]
LETTER = 6.0
"""Units that a letter of a small text takes at most."""


def rows(served: list[tuple[int, int]]) -> list[list[tuple[float, str]]]:
    """Return the texts under a chart by row: where each stands, and its words."""
    inks = svg.inks([LAB["threaded"]])
    points = tuple(Point(2000.0, each) for each in served)
    drawn = against("requests/s", RATES, [Series(inks["threaded"], points)], "T", "S", durations=True).body
    found = re.findall(r'<text[^>]*?x="([\d.]+)" y="([\d.]+)"[^>]*text-anchor="middle"[^>]*>([^<]*)<', drawn)
    by_row: dict[str, list[tuple[float, str]]] = {}
    for x, y, words in found:
        by_row.setdefault(y, []).append((float(x), words))
    return list(by_row.values())


@pytest.mark.parametrize("served", [[(50, 50)] * 12, [(50, 50)] * 8 + [(7, 50)] * 4])
def test_no_two_texts_touch(served: list[tuple[int, int]]) -> None:
    ticks, counts = rows(served)
    assert len(ticks) == 6
    for row in (ticks, counts):
        for (x, words), (after, others) in itertools.pairwise(row):
            assert after - x >= LETTER * (len(words) + len(others)) / 2 - 2, (words, others)


def test_a_count_is_told_again_where_it_changes() -> None:
    _, counts = rows([(50, 50)] * 8 + [(7, 50)] * 4)
    assert [words for _, words in counts] == ["50/50", "7/50"]
