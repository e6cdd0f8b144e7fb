"""
Write what follows from variants.py, and the tables of the READMEs: `python -m servers.write`, or `make variants`.

It replaces only the lines between two marks; the rest of each file is written by hand.
"""

import re
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Final

from servers import readme
from servers.variants import VARIANTS, Variant

ROOT: Final = Path(__file__).resolve().parents[1]

Part = Callable[[Sequence[Variant]], Iterator[str]]
"""Yields the lines between two marks."""


def addresses(variants: Sequence[Variant]) -> Iterator[str]:
    """Yield each server's address for the load in Docker."""
    for each in variants:
        yield f"    TCPLAB_{each.name.upper()}: {each.name}:{each.port}"


def services(variants: Sequence[Variant]) -> Iterator[str]:
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


def order(variants: Sequence[Variant]) -> Iterator[str]:
    """Yield the servers that the load must find running, if their profile is on, when it starts."""
    for each in _of_profiles(variants):
        yield f"      {each.name}: {{condition: service_started, required: false}}"


def ports(variants: Sequence[Variant]) -> Iterator[str]:
    """Yield the ports on this machine."""
    for each in variants:
        yield f"{_port(each)}={each.port}"


def targets(variants: Sequence[Variant]) -> Iterator[str]:
    """Yield Prometheus's targets; one that doesn't answer is down."""
    for each in _always(variants):
        yield f'      - targets: ["{each.name}:{each.metrics_port}"]'
        yield f"        labels: {{variant: {each.name}}}"


def found(variants: Sequence[Variant]) -> Iterator[str]:
    """Yield the targets that Prometheus has only while their names resolve."""
    for each in _of_profiles(variants):
        yield f"      - {{names: [{each.name}.], type: A, port: {each.metrics_port}, refresh_interval: 5s}}"


def elsewhere(variants: Sequence[Variant]) -> Iterator[str]:
    """Yield the servers' addresses when they run on another host."""
    for number, each in enumerate(_always(variants)):
        missing = "" if number else ":?the address of the servers' host is missing in .env"
        yield f"    {each.name}: ${{TCPLAB_SERVERS{missing}}}"


def published(variants: Sequence[Variant]) -> Iterator[str]:
    """Yield the ports that the servers' own host publishes."""
    for each in _always(variants):
        both = ", ".join(f'"${{TCPLAB_SERVERS}}:{port}:{port}"' for port in (each.port, each.metrics_port))
        yield f"  {each.name}: {{<<: *server, ports: [{both}]}}"


FILES: Final[Mapping[str, Mapping[str, Part]]] = {
    "docker-compose.yml": {"addresses": addresses, "services": services, "order": order},
    ".env": {"ports": ports},
    "prometheus/prometheus.yml": {"targets": targets, "found": found},
    "loadtest/servers-elsewhere.yml": {"addresses": elsewhere, "services": published},
    "servers/README.md": readme.parts(readme.ENGLISH),
    "servers/README.ru.md": readme.parts(readme.RUSSIAN),
    "README.md": readme.main_parts(),
}
"""The files with generated parts, and each part by the name of its marks."""


def written(text: str, parts: Mapping[str, Part], variants: Sequence[Variant] = VARIANTS) -> str:
    """
    Return the text with each part replaced between its marks; ValueError names missing marks.

    A mark is a comment: `# BEGIN name`, or `<!-- BEGIN name -->` in Markdown.
    """
    for name, part in parts.items():
        begin, end = rf" *(?:#|<!--) BEGIN {name}\b[^\n]*\n", rf" *(?:# END {name}|<!-- END {name} -->)\n"
        marks = re.compile(rf"^({begin})(.*?)^({end})", re.DOTALL | re.MULTILINE)
        found = marks.search(text)
        if found is None:
            raise ValueError(f"has no lines '# BEGIN {name}' and '# END {name}' (or <!-- -->) to write between")
        lines = "".join(f"{line}\n" for line in part(variants))
        text = text[: found.start(2)] + lines + text[found.end(2) :]
    return text


def main(root: Path = ROOT) -> None:
    """Write every file."""
    for name, parts in FILES.items():
        path = root / name
        try:
            path.write_text(written(path.read_text(encoding="utf-8"), parts), encoding="utf-8")
        except (OSError, ValueError) as error:
            sys.exit(f"python -m servers.write: {name}: {error}")


def _always(variants: Sequence[Variant]) -> list[Variant]:
    return [each for each in variants if not each.profile]


def _of_profiles(variants: Sequence[Variant]) -> list[Variant]:
    return [each for each in variants if each.profile]


def _port(variant: Variant) -> str:
    return f"TCPLAB_PORT_{variant.name.upper()}"


if __name__ == "__main__":
    main()
