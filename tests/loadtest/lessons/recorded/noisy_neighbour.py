"""Lesson results: as measured, and against each part of the claim."""

from typing import Final

from loadtest.lessons.result import Result
from tests.loadtest.lessons.recorded import row, with_value

HELD: Final = Result((row("asyncio", 53.5, low=44.1, high=54.2), row("threaded", 5.21)), {"work": 65.7, "turn": 5.0})

NOT_HELD: Final = [
    with_value(HELD, "asyncio", 20.0),
    with_value(HELD, "threaded", 120.0),
    with_value(HELD, "threaded", 0.2),
]
