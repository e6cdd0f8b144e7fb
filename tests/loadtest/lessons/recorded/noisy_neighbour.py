"""Lesson results: as measured, and against each part of the claim."""

from typing import Final

from loadtest.lessons.result import Result
from tests.loadtest.lessons.recorded import row, with_value

# On a busy machine, where a WORK took long.
HELD: Final = Result((row("asyncio", 480.0, low=306.0), row("threaded", 7.01)), {"work": 263.0, "turn": 5.0})

NOT_HELD: Final = [
    with_value(HELD, "asyncio", 80.0),
    with_value(HELD, "threaded", 120.0),
    with_value(HELD, "threaded", 0.2),
]
