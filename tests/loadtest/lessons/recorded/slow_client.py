"""Lesson results: as measured, and against each part of the claim."""

from typing import Final

from loadtest.lessons.result import Result
from tests.loadtest.lessons.recorded import row, with_value

HELD: Final = Result(
    (row("single", 1710.0), row("threaded", 1.2), row("asyncio", 1.1)),
    {"stall": 2.0, "rest": 1750.0},
)

NOT_HELD: Final = [
    with_value(HELD, "single", 700.0),
    with_value(HELD, "single", 2100.0),
    with_value(HELD, "threaded", 500.0),
    with_value(HELD, "asyncio", 500.0),
]
