"""How much there is to write and to understand in each model: read from the servers' sources, and a proxy at best."""

import ast
import io
import tokenize
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

from servers import variants
from servers.variants import VARIANTS, Variant

PROXY: Final = (
    "Lines and branches stand in for simplicity: they count what has to be written and followed, in whole files that"
    " not all models share, and cannot tell how hard it is to get right."
)

_PACKAGE: Final = "servers"

_DECISIONS = (ast.If, ast.IfExp, ast.For, ast.AsyncFor, ast.While, ast.ExceptHandler, ast.match_case)


@dataclass(frozen=True, slots=True)
class Count:
    """
    What a source consists of.

    lines: logical ones ("The Python Language Reference", 2.1.1), so that it does not matter how they are broken,
    without comments and docstrings. branches: the decisions that McCabe's cyclomatic complexity counts, each condition
    of a compound one by itself ("A Complexity Measure", IEEE Transactions on Software Engineering SE-2, 1976): if, for,
    while, except, case, and, or, the conditions of comprehensions. awaits: where another task may get its turn.
    """

    lines: int
    branches: int
    awaits: int


@dataclass(frozen=True, slots=True)
class Simplicity:
    """What one variant does not share with all others: its files, in order, and what they consist of together."""

    variant: str
    files: tuple[str, ...]
    count: Count

    def as_json(self) -> dict[str, Any]:
        """Return it as JSON-ready data."""
        return asdict(self)


def simplicity(
    models: Sequence[Variant] = VARIANTS, folder: Path = Path(variants.__file__).parent
) -> tuple[Simplicity, ...]:
    """
    Return each variant's share of the code in `folder`, in the order of `models`.

    A variant needs its model, the connections that it is handed, and whatever these import of the same package. Raises
    KeyError if one of them is not there; OSError if a source cannot be read, SyntaxError if it is none.
    """
    sources = {
        ".".join(path.relative_to(folder).with_suffix("").parts): path.read_text()
        for path in sorted(folder.rglob("*.py"))
    }
    trees = {name: ast.parse(source) for name, source in sources.items()}
    needed = {each.name: _needed(trees, {f"models.{each.module}", f"connections.{each.connection}"}) for each in models}
    shared = frozenset.intersection(*needed.values())
    found = []
    for variant, modules in needed.items():
        own = sorted(modules - shared)
        counts = [count(sources[module]) for module in own]
        total = Count(
            sum(each.lines for each in counts),
            sum(each.branches for each in counts),
            sum(each.awaits for each in counts),
        )
        found.append(Simplicity(variant, tuple(f"{_PACKAGE}/{module.replace('.', '/')}.py" for module in own), total))
    return tuple(found)


def count(source: str) -> Count:
    """Return what `source` consists of. Raises SyntaxError if it is no Python."""
    nodes = list(ast.walk(ast.parse(source)))
    ends = sum(token.type == tokenize.NEWLINE for token in tokenize.generate_tokens(io.StringIO(source).readline))
    return Count(
        lines=ends - sum(map(_says_something, nodes)),
        branches=sum(map(_branches, nodes)),
        awaits=sum(map(_waits, nodes)),
    )


def _says_something(node: ast.AST) -> bool:
    """Whether it is a docstring, of a module, class, function or name: a string that nothing is done with."""
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str)


def _branches(node: ast.AST) -> int:
    if isinstance(node, ast.BoolOp):
        return len(node.values) - 1
    if isinstance(node, ast.comprehension):
        return len(node.ifs)
    return isinstance(node, _DECISIONS)


def _waits(node: ast.AST) -> bool:
    if isinstance(node, ast.comprehension):
        return bool(node.is_async)
    return isinstance(node, ast.Await | ast.AsyncFor | ast.AsyncWith)


def _needed(trees: Mapping[str, ast.Module], roots: set[str]) -> frozenset[str]:
    """Return `roots` and all modules that they import, directly or not."""
    found: set[str] = set()
    ahead = set(roots)
    while ahead:
        module = ahead.pop()
        found.add(module)
        ahead |= set(_imports(trees[module])) & trees.keys() - found
    return frozenset(found)


def _imports(tree: ast.Module) -> Iterator[str]:
    """Yield the names of the package's modules that are imported, and some names that are none."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name.removeprefix(f"{_PACKAGE}.") for alias in node.names if _ours(alias.name))
        elif isinstance(node, ast.ImportFrom) and node.module == _PACKAGE:
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and _ours(node.module or ""):
            yield (node.module or "").removeprefix(f"{_PACKAGE}.")


def _ours(module: str) -> bool:
    return module.startswith(f"{_PACKAGE}.")
