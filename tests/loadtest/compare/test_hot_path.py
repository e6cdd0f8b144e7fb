"""Whether the code on a request's way is the same: comments and docstrings don't count."""

from pathlib import Path

import pytest

from loadtest.compare import hot_path
from tests.support.processes import ROOT

MODULE = '''"""What it is."""

import os  # for a reason


class Thing:
    """A thing."""

    size = 1
    """Its size."""

    def grow(self) -> str:
        """Grow."""
        # A comment of its own.
        return f"#{self.size}"  # not a comment: the first sign
'''


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("What it is", "What it was"),
        ('"""Its size."""', '"""Its\n    size, in words."""'),
        ("  # for a reason", ""),
        ("        # A comment of its own.\n", ""),
        ("A comment of", "Another comment of"),
        ("\n\n\nclass", "\n\nclass"),
        ("not a comment", "no comment"),
    ],
)
def test_words_do_not_change_the_code(old: str, new: str) -> None:
    assert MODULE.count(old) == 1
    assert hot_path.code(MODULE.replace(old, new)) == hot_path.code(MODULE)


@pytest.mark.parametrize(
    ("old", "new"), [("size = 1", "size = 2"), ('"#{', '"##{'), ("import os", "import sys"), ("-> str", "-> object")]
)
def test_a_changed_line_of_code_changes_it(old: str, new: str) -> None:
    assert MODULE.count(old) == 1
    assert hot_path.code(MODULE.replace(old, new)) != hot_path.code(MODULE)


def test_only_code_is_left() -> None:
    assert hot_path.code(MODULE).splitlines() == [
        "import os",
        "class Thing:",
        "    size = 1",
        "    def grow(self) -> str:",
        '        return f"#{self.size}"',
    ]


def test_each_pattern_has_a_file(tmp_path: Path) -> None:
    known = hot_path.hashes(ROOT)
    for pattern in hot_path.FILES:
        assert any(Path(name).match(pattern) for name in known), pattern
    assert {"servers/models/threaded.py", "loadtest/client/connection.py"} <= {*known}
    assert hot_path.hashes(tmp_path) == {}


def test_changed_new_and_lost_files_are_named() -> None:
    assert hot_path.changed({"a": "1", "b": "1", "c": "1"}, {"a": "1", "b": "2", "d": "1"}) == ["b", "c", "d"]
