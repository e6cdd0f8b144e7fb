"""Lesson results: as measured, and against each part of the claim."""

from typing import Final

from loadtest.lessons.result import Result
from tests.loadtest.lessons.recorded import row, with_value

HELD: Final = Result(
    (row("closed", 1.3), row("open", 2950.0)),
    {
        "clients": 4,
        "window": 5,
        "rate": 600,
        "requests": 1400,
        "frozen": 1800,
        "expected": 2950.0,
    },
)

NOT_HELD: Final = [
    with_value(HELD, "closed", 2900.0),
    with_value(HELD, "open", 20.0),
]
