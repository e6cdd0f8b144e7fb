"""Writes the tables of scenarios and warnings in loadtest/README.md: `python -m loadtest.readme_tables`."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

from loadtest.run_warnings import RUN_WARNINGS
from loadtest.scenarios import SCENARIOS
from servers.variants import Variant
from servers.write import written

README: Final = Path(__file__).with_name("README.md")


def scenarios(_: Sequence[Variant] = ()) -> Iterator[str]:
    """Yield the table of scenarios."""
    yield from ("", "| scenario | what a client does | what may be compared |", "|---|---|---|")
    for each in SCENARIOS.values():
        yield f"| `{each.name}` | {each.does} | {each.compare} |"
    yield ""


def warnings(_: Sequence[Variant] = ()) -> Iterator[str]:
    """Yield the table of warnings."""
    yield from ("", "| warning | when | what to do | left out of a comparison |", "|---|---|---|---|")
    for name, row in RUN_WARNINGS.items():
        yield f"| `{name}` | {row.when} | {row.hint} | {row.takes_out} |"
    yield ""


def text() -> str:
    """Return README.md with both tables rewritten."""
    return written(README.read_text(encoding="utf-8"), {"scenarios": scenarios, "warnings": warnings})


if __name__ == "__main__":
    README.write_text(text(), encoding="utf-8")
