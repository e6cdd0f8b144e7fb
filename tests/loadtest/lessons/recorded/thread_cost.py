"""Lesson results: as measured, and against each part of the claim."""

from typing import Final

from loadtest.lessons.result import Result
from tests.loadtest.lessons.recorded import row, with_value

HELD: Final = Result(
    (row("threaded", 52.9), row("asyncio", 9.48)),
    {"reserved": 8.0, "process": 21.7, "kernel": 31.2},
)

NOT_HELD: Final = [
    with_value(HELD, "threaded", 900.0),
    with_value(HELD, "asyncio", 60.0),
]
