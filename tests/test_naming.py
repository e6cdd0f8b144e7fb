"""A test's name says the behaviour in eight words or fewer."""

import ast
from pathlib import Path

import pytest

TESTS = Path(__file__).parent
FILES = sorted(TESTS.rglob("test_*.py"))
WORDS = 8


def long_names(source: str) -> list[str]:
    """Return the names of the tests in a file that have too many words."""
    names = [node.name for node in ast.walk(ast.parse(source)) if isinstance(node, ast.FunctionDef)]
    return [name for name in names if name.startswith("test_") and name.count("_") > WORDS]


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(TESTS)))
def test_a_name_has_at_most_eight_words(path: Path) -> None:
    assert long_names(path.read_text(encoding="utf-8")) == []


def test_a_longer_name_is_found() -> None:
    nine = "test_a_b_c_d_e_f_g_h_i"
    assert long_names(f"def {nine}() -> None: ...\ndef {nine[:-2]}() -> None: ...\n") == [nine]
