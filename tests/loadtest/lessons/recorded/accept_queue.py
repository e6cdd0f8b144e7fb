"""Lesson results: as measured, and against each part of the claim."""

from typing import Final

from loadtest.lessons.result import Result
from tests.loadtest.lessons.recorded import row, with_value

HELD: Final = Result(
    (row("single", 0.823, low=0.814, high=0.847), row("threaded", 0.000899)),
    {"others": 29, "milliseconds": 63.0, "round": 1.827, "expected": 0.827, "short": 0.899},
)

NOT_HELD: Final = [
    with_value(HELD, "single", 0.1),
    with_value(HELD, "threaded", 0.2),
]
