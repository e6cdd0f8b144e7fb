"""The generated parts of the READMEs: the table of servers, and the models' code."""

import ast
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Final

from servers.variants import Variant

HERE: Final = Path(__file__).resolve().parent


@dataclass(frozen=True, slots=True)
class Language:
    """The words of the generated parts. servers: the table's heading. unlimited: in place of a number of clients."""

    servers: str
    unlimited: str


ENGLISH: Final = Language(
    servers="server | model | connection | clients at once | port | port of `/metrics`",
    unlimited="up to `--max-connections`",
)

RUSSIAN: Final = Language(
    servers="сервер | модель | соединение | клиентов одновременно | порт | порт `/metrics`",
    unlimited="до `--max-connections`",
)


def parts(language: Language) -> dict[str, Callable[[Sequence[Variant]], Iterator[str]]]:
    """Return the generated parts of a server README, by the name of their marks."""
    return {
        "servers": partial(_servers, language),
        "single": partial(_code, "single", ["serve", "converse"]),
        "threaded": partial(_code, "threaded", ["serve"]),
        "pool": partial(_code, "pool", ["serve"]),
        "prefork": partial(_code, "prefork", ["serve"]),
        "asyncio": partial(_code, "asyncio_streams", ["serve", "converse"]),
    }


def _servers(language: Language, variants: Sequence[Variant]) -> Iterator[str]:
    yield ""
    yield f"| {language.servers} |"
    yield "|---|---|---|---|---|---|"
    for each in variants:
        model = f"[`models/{each.module}.py`](models/{each.module}.py)"
        clients = each.clients or language.unlimited
        yield f"| `{each.name}` | {model} | `{each.connection}` | {clients} | {each.port} | {each.metrics_port} |"
    yield ""


def main_parts() -> dict[str, Callable[[Sequence[Variant]], Iterator[str]]]:
    """Return the generated parts of the main README, by the name of their marks."""
    return {"models": _side_by_side}


def _code(module: str, functions: Sequence[str], _: Sequence[Variant]) -> Iterator[str]:
    """Yield a code block with a model's functions."""
    yield ""
    yield "```python"
    for number, name in enumerate(functions):
        if number:
            yield from ("", "")
        yield from _function(module, name)
    yield "```"
    yield ""


def _side_by_side(_: Sequence[Variant]) -> Iterator[str]:
    """Yield each model's `serve`, then two `converse` in columns, which have no room for comments."""
    yield ""
    yield "```python"
    for module in ("single", "threaded", "asyncio_streams"):
        yield f"# {module}.py"
        yield from _function(module, "serve")
        yield ""
    left, right = (
        [line.partition("  #")[0] for line in _function(module, "converse")] for module in ("single", "asyncio_streams")
    )
    width = max(map(len, left))
    yield f"{'# single.py and threaded.py':{width}}  # asyncio_streams.py"
    for one, other in zip(left, right, strict=True):
        yield f"{one:{width}}  {other}"
    yield "```"
    yield ""


def _function(module: str, name: str) -> Iterator[str]:
    """Yield a function's source lines without its docstring."""
    text = (HERE / "models" / f"{module}.py").read_text(encoding="utf-8")
    lines = text.splitlines()
    [node] = [
        node
        for node in ast.parse(text).body
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.name == name
    ]
    first = node.body[0] if ast.get_docstring(node) is None else node.body[1]
    yield from lines[node.lineno - 1 : node.body[0].lineno - 1]
    yield from lines[first.lineno - 1 : node.end_lineno]
