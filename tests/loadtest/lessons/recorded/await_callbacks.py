"""Lesson results: as measured, and against each part of the claim."""

from dataclasses import replace
from typing import Final

from loadtest.lessons.result import Result
from tests.loadtest.lessons.recorded import row, with_value

HELD: Final = Result(
    (row("asyncio", 126.0), row("protocol", 100.0, low=100.0, high=100.0)),
    {"there": 8.4, "more": 2.18},
)

NOT_HELD: Final = [
    with_value(HELD, "asyncio", 103.0),
    replace(HELD, rows=(row("asyncio", 126.0, low=98.0), *HELD.rows[1:])),
]
