"""The files on a request's way, and their hashes: whether what was measured is still what is there."""

import ast
import hashlib
import io
import tokenize
from collections.abc import Mapping
from pathlib import Path
from typing import Final

FILES: Final = (
    "servers/models/*.py",
    "servers/connections/*.py",
    "servers/session.py",
    "servers/wire.py",
    "servers/work.py",
    "servers/stats.py",
    "servers/processes.py",
    "servers/event_loop.py",
    "servers/loops.py",
    "servers/workers/*.py",
    "loadtest/client/*.py",
    "loadtest/recording/*.py",
    "loadtest/cluster/sweep.py",
    "loadtest/scenarios.py",
    "loadtest/compare/measure/*.py",
)
"""
What serves a request, sends it, and measures it.

What computes figures from a result isn't here: they are computed anew.
"""


def hashes(root: Path) -> dict[str, str]:
    """Return the hash of each file's code, by its path in `root`."""
    found = sorted(path for pattern in FILES for path in root.glob(pattern))
    return {path.relative_to(root).as_posix(): _hash(path) for path in found}


def changed(then: Mapping[str, str], now: Mapping[str, str]) -> list[str]:
    """Return the files whose code is another one, or that are new or gone."""
    return sorted(name for name in {*then, *now} if then.get(name) != now.get(name))


def _hash(path: Path) -> str:
    return hashlib.sha256(code(path.read_text(encoding="utf-8")).encode()).hexdigest()[:16]


def code(text: str) -> str:
    """Return a module's lines without docstrings, comments and empty lines."""
    # Not ast.dump: it isn't the same in every version of Python.
    lines = text.splitlines()
    for token in tokenize.generate_tokens(io.StringIO(text).readline):
        if token.type == tokenize.COMMENT:
            row, column = token.start
            lines[row - 1] = lines[row - 1][:column]
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str):
            for row in range(node.lineno, (node.end_lineno or node.lineno) + 1):
                lines[row - 1] = ""
    return "\n".join(line.rstrip() for line in lines if line.strip())
