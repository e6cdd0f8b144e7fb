"""Results of lessons, a module for each chapter by its name: HELD, and NOT_HELD, a list."""

from dataclasses import replace

from loadtest.lessons.result import Result, Row


def row(name: str, value: float, low: float | None = None, high: float | None = None) -> Row:
    """Return a row of three runs."""
    return Row(name, value, value * 0.95 if low is None else low, value * 1.05 if high is None else high, runs=3)


def with_value(result: Result, name: str, value: float) -> Result:
    """Return a result with another value of a row."""
    rows = [replace(each, value=value, low=value, high=value) if each.name == name else each for each in result.rows]
    return replace(result, rows=tuple(rows))
