"""The files on a request's way, and their hashes: whether what was measured is still what is there."""

import ast
import hashlib
import io
import tokenize
from collections.abc import Mapping
from pathlib import Path
from typing import Final

FILES: Final = (
    *(f"servers/{room}/*.py" for room in ("models", "connections", "workers")),
    *(f"servers/{name}.py" for name in ("session", "wire", "work", "stats", "processes", "event_loop", "loops")),
    "loadtest/client/*.py",
    "loadtest/recording/*.py",
    "loadtest/cluster/sweep.py",
    "loadtest/scenarios.py",
    "loadtest/compare/measure/*.py",
)
"""What serves a request, sends it, and measures it; not what computes figures, which are computed anew."""


def hashes(root: Path) -> dict[str, str]:
    """Return the hash of each file's code, by its path in `root`."""
    found = sorted(path for pattern in FILES for path in root.glob(pattern))
    codes = {path.relative_to(root).as_posix(): code(path.read_text(encoding="utf-8")) for path in found}
    return {name: hashlib.sha256(each.encode()).hexdigest()[:16] for name, each in codes.items()}


def changed(then: Mapping[str, str], now: Mapping[str, str]) -> list[str]:
    """Return the files whose code is another one, or that are new or gone."""
    return sorted(name for name in {*then, *now} if then.get(name) != now.get(name))


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
