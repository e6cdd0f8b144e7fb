"""Lesson results: as measured, and against each part of the claim."""

from typing import Final

from loadtest.lessons.result import Result
from tests.loadtest.lessons.recorded import row, with_value

HELD: Final = Result((row("asyncio", 129.0), row("threaded", 5.09)), {"work": 75.3, "turn": 5.0})

NOT_HELD: Final = [
    with_value(HELD, "asyncio", 5.0),
    with_value(HELD, "threaded", 120.0),
    with_value(HELD, "threaded", 0.2),
]
