"""
Write what follows from variants.py and models/: `python -m servers.write`, or `make variants`.

It replaces only the lines between two marks; the rest of each file is written by hand.
"""

import ast
import re
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Final

from servers.variants import VARIANTS, Variant

ROOT: Final = Path(__file__).resolve().parents[1]

Part = Callable[[Sequence[Variant]], Iterator[str]]
"""Yields the lines between two marks."""


def _each(text: Callable[[Variant], str], *, profile: bool | None = None) -> Part:
    """Return the part that has a text for each variant: for all, or only those with or without a Compose profile."""

    def part(variants: Sequence[Variant]) -> Iterator[str]:
        for one in variants:
            if profile is None or profile == bool(one.profile):
                yield from text(one).splitlines()

    return part


def _port(variant: Variant) -> str:
    return f"TCPLAB_PORT_{variant.name.upper()}"


def _services(variants: Sequence[Variant]) -> Iterator[str]:
    """Yield a Compose service for each; the first builds the image for all."""
    for number, each in enumerate(variants):
        if number:
            yield ""
        yield f"  {each.name}:"
        yield "    <<: *server"
        if not number:
            yield "    # The load always builds on the usual Python."
            base = '{BASE: "${TCPLAB_BASE:-}"}'
            yield f"    build: {{context: ., dockerfile: servers/Dockerfile, target: server, args: {base}}}"
        if each.profile:
            yield f"    profiles: [{each.profile}]"
        yield f"    command: [{each.name}]"
        yield f'    ports: ["127.0.0.1:${{{_port(each)}:-{each.port}}}:{each.port}"]'
        check = f'[CMD, bash, -c, "</dev/tcp/127.0.0.1/{each.metrics_port}"]'
        yield f"    healthcheck: {{<<: *checked, test: {check}}}"


def _elsewhere(variants: Sequence[Variant]) -> Iterator[str]:
    """Yield the servers' addresses when they run on another host."""
    missing = ":?the address of the servers' host is missing in .env"
    for each in variants:
        if not each.profile:
            yield f"    {each.name}: ${{TCPLAB_SERVERS{missing}}}"
            missing = ""


def _published(one: Variant) -> str:
    """Return the ports that the servers' own host publishes."""
    both = ", ".join(f'"${{TCPLAB_SERVERS}}:{port}:{port}"' for port in (one.port, one.metrics_port))
    return f"  {one.name}: {{<<: *server, ports: [{both}]}}"


def _readme(heading: str, unlimited: str) -> dict[str, Part]:
    """Return the parts of a server README. heading: of the table. unlimited: in place of a number of clients."""
    return {
        "servers": partial(_table, heading, unlimited),
        "single": partial(_code, "single", ["serve", "converse"]),
        "threaded": partial(_code, "threaded", ["serve"]),
        "pool": partial(_code, "pool", ["serve"]),
        "prefork": partial(_code, "prefork", ["serve"]),
        "asyncio": partial(_code, "asyncio_streams", ["serve", "converse"]),
    }


def _table(heading: str, unlimited: str, variants: Sequence[Variant]) -> Iterator[str]:
    yield from ("", f"| {heading} |", "|---|---|---|---|---|---|")
    for each in variants:
        model = f"[`models/{each.module}.py`](models/{each.module}.py)"
        clients = each.clients or unlimited
        yield f"| `{each.name}` | {model} | `{each.connection}` | {clients} | {each.port} | {each.metrics_port} |"
    yield ""


def _code(module: str, functions: Sequence[str], _: Sequence[Variant]) -> Iterator[str]:
    """Yield a code block with a model's functions."""
    code = "\n\n\n".join("\n".join(_function(module, name)) for name in functions)
    yield from ("", "```python", *code.splitlines(), "```", "")


def _side_by_side(_: Sequence[Variant]) -> Iterator[str]:
    """Yield each model's `serve`, then two `converse` in columns, which have no room for comments."""
    yield from ("", "```python")
    for module in ("single", "threaded", "asyncio_streams"):
        yield from (f"# {module}.py", *_function(module, "serve"), "")
    left, right = (
        [line.partition("  #")[0] for line in _function(module, "converse")] for module in ("single", "asyncio_streams")
    )
    width = max(map(len, left))
    yield f"{'# single.py and threaded.py':{width}}  # asyncio_streams.py"
    for one, other in zip(left, right, strict=True):
        yield f"{one:{width}}  {other}"
    yield from ("```", "")


def _function(module: str, name: str) -> list[str]:
    """Return a function's source lines without its docstring."""
    text = (ROOT / "servers" / "models" / f"{module}.py").read_text(encoding="utf-8")
    [node] = [
        node
        for node in ast.parse(text).body
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.name == name
    ]
    first = node.body[0] if ast.get_docstring(node) is None else node.body[1]
    lines = text.splitlines()
    return lines[node.lineno - 1 : node.body[0].lineno - 1] + lines[first.lineno - 1 : node.end_lineno]


FILES: Final[Mapping[str, Mapping[str, Part]]] = {
    "docker-compose.yml": {
        "addresses": _each(lambda one: f"    TCPLAB_{one.name.upper()}: {one.name}:{one.port}"),
        "services": _services,
        # The servers that the load must find running, if their profile is on, when it starts.
        "order": _each(lambda one: f"      {one.name}: {{condition: service_started, required: false}}", profile=True),
    },
    ".env": {"ports": _each(lambda one: f"{_port(one)}={one.port}")},
    "prometheus/prometheus.yml": {
        # One that doesn't answer is down.
        "targets": _each(
            lambda one: f'      - targets: ["{one.name}:{one.metrics_port}"]\n        labels: {{variant: {one.name}}}',
            profile=False,
        ),
        # Targets only while their names resolve.
        "found": _each(
            lambda one: f"      - {{names: [{one.name}.], type: A, port: {one.metrics_port}, refresh_interval: 5s}}",
            profile=True,
        ),
    },
    "loadtest/servers-elsewhere.yml": {"addresses": _elsewhere, "services": _each(_published, profile=False)},
    "servers/README.md": _readme(
        "server | model | connection | clients at once | port | port of `/metrics`", "up to `--max-connections`"
    ),
    "servers/README.ru.md": _readme(
        "сервер | модель | соединение | клиентов одновременно | порт | порт `/metrics`", "до `--max-connections`"
    ),
    "README.md": {"models": _side_by_side},
}
"""The files with generated parts, and each part by the name of its marks."""


def written(text: str, parts: Mapping[str, Part]) -> str:
    """
    Return the text with each part replaced between its marks; ValueError names missing marks.

    A mark is a comment: `# BEGIN name`, or `<!-- BEGIN name -->` in Markdown.
    """
    for name, part in parts.items():
        begin, end = rf" *(?:#|<!--) BEGIN {name}\b[^\n]*\n", rf" *(?:# END {name}|<!-- END {name} -->)\n"
        found = re.search(rf"^{begin}(.*?)^{end}", text, re.DOTALL | re.MULTILINE)
        if found is None:
            raise ValueError(f"has no lines '# BEGIN {name}' and '# END {name}' (or <!-- -->) to write between")
        lines = "".join(f"{line}\n" for line in part(VARIANTS))
        text = text[: found.start(1)] + lines + text[found.end(1) :]
    return text


def main() -> None:
    """Write every file."""
    for name, parts in FILES.items():
        path = ROOT / name
        try:
            path.write_text(written(path.read_text(encoding="utf-8"), parts), encoding="utf-8")
        except (OSError, ValueError) as error:
            sys.exit(f"python -m servers.write: {name}: {error}")


if __name__ == "__main__":
    main()
