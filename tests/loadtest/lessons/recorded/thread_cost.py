"""Lesson results: as measured, and against each part of the claim."""

from typing import Final

from loadtest.lessons.result import Result
from tests.loadtest.lessons.recorded import row, with_value

HELD: Final = Result(
    (row("threaded", 53.2), row("asyncio", 9.37)),
    {"clients": 1000, "reserved": 8389, "process": 24.1, "kernel": 29.1},
)

NOT_HELD: Final = [
    with_value(HELD, "threaded", 900.0),
    with_value(HELD, "asyncio", 60.0),
]
