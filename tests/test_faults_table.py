"""The fault table in tests/README.md names existing tests, which `make faults` runs; no cell is empty."""

import ast
import functools
import re
from pathlib import Path

import pytest

TESTS = Path(__file__).parent
COLUMNS = ["fault", "expected behaviour", "cause", "pass criterion", "test"]


def rows() -> list[list[str]]:
    """Return the cells of every row of the tables of faults."""
    _, _, faults = (TESTS / "README.md").read_text().partition("\n## Faults\n")
    cells = [
        [cell.strip() for cell in line.strip("|").split(" | ")] for line in faults.splitlines() if line[:2] == "| "
    ]
    assert COLUMNS in cells
    return [row for row in cells if row != COLUMNS]


@functools.cache
def functions_in(path: str) -> frozenset[str]:
    """Return the names of the functions in a file under tests/."""
    tree = ast.parse((TESTS / path).read_text())
    return frozenset(node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef))


@functools.cache
def run_by_make() -> tuple[str, ...]:
    """Return the folders and files that `make faults` runs."""
    [line] = re.findall(r"^FAULTS = (.*)$", (TESTS.parent / "Makefile").read_text(), re.MULTILINE)
    return tuple(line.split())


@pytest.mark.parametrize("row", rows(), ids=lambda row: row[0])
def test_each_fault_has_a_test(row: list[str]) -> None:
    assert len(row) == len(COLUMNS)
    assert all(row)
    named = re.findall(r"`([\w/]+\.py)::(\w+)`", row[-1])
    assert named, f"{row[-1]} names no test"
    for path, name in named:
        assert name in functions_in(path), f"there is no {name} in tests/{path}"
        assert f"tests/{path}".startswith((*run_by_make(), "tests/e2e/")), f"make faults leaves out tests/{path}"
