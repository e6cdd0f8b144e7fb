"""Lesson results: as measured, and against each part of the claim."""

from typing import Final

from loadtest.lessons.result import Result
from tests.loadtest.lessons.recorded import row, with_value

HELD: Final = Result(
    (row("high", 8.7, low=5.1, high=12.0), row("middle", 1.2), row("low", 1.0, low=1.0, high=1.0)),
    {"reached": 5400.0, "free": 10, "wait": 21.0, "high_ms": 3.38, "low_ms": 0.388},
)

NOT_HELD: Final = [
    with_value(HELD, "high", 1.5),
    with_value(HELD, "high", 380.0),
    with_value(HELD, "middle", 6.0),
]
