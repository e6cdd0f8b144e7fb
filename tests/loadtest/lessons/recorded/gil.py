"""Lesson results: as measured, and against each part of the claim."""

from dataclasses import replace
from typing import Final

from loadtest.lessons.result import Result
from tests.loadtest.lessons.recorded import row, with_value

HELD: Final = Result((row("threads", 1.02), row("processes", 1.92)), {"cores": 2})

NOT_HELD: Final = [
    with_value(HELD, "threads", 1.9),
    with_value(HELD, "processes", 1.03),
    replace(HELD, numbers={"cores": 1}),
]
