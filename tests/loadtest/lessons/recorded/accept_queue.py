"""Lesson results: as measured, and against each part of the claim."""

from typing import Final

from loadtest.lessons.result import Result
from tests.loadtest.lessons.recorded import row, with_value

HELD: Final = Result(
    (row("single", 0.823, low=0.814, high=0.847), row("threaded", 0.000899)),
    {"others": 29, "pauses": 4, "milliseconds": 60.0, "round": 1.74, "expected": 0.74, "short": 0.899},
)

NOT_HELD: Final = [
    with_value(HELD, "single", 0.54),
    with_value(HELD, "single", 1.1),
    with_value(HELD, "threaded", 0.2),
]
