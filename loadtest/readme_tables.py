"""Writes the tables of scenarios, bias and warnings in loadtest/README.md: `python -m loadtest.readme_tables`."""

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

from loadtest.run_warnings import RUN_WARNINGS
from loadtest.scenarios import SCENARIOS
from servers.variants import Variant
from servers.write import written

README: Final = Path(__file__).with_name("README.md")
BIAS: Final = Path(__file__).with_name("bias.json")
"""What tests/bench/of_bias.py has measured."""


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


def bias(_: Sequence[Variant] = ()) -> Iterator[str]:
    """Yield how far the response times are from the truth, and how that was measured."""
    if not BIAS.exists():
        yield from ("", "Not measured yet.", "")
        return
    kept = json.loads(BIAS.read_text(encoding="utf-8"))
    yield from (
        "",
        "| a request takes the server | p50: truth | bias (least to most) | p99: truth | bias (least to most) |",
    )
    yield "|---|---|---|---|---|"
    for stub in kept["stubs"]:
        cells = (
            f"{row['truth']} us | {row['bias']:+} us ({row['low']:+} to {row['high']:+})"
            for row in (stub["p50"], stub["p99"])
        )
        yield f"| {stub['service']} us | {' | '.join(cells)} |"
    yield ""
    yield (
        f"The median of {kept['runs']} runs of {kept['seconds']} s with {kept['clients']} clients, Poisson arrivals, at"
        f" {kept['load']:.0%} of what the stub can do."
    )
    yield (
        f"Commit {kept['commit']}, {kept['date']}, {kept['cpu']}, {kept['cores']} cores, {kept['system']},"
        f" {kept['python']}."
    )
    yield ""


def text() -> str:
    """Return README.md with its tables rewritten."""
    return written(README.read_text(encoding="utf-8"), {"scenarios": scenarios, "warnings": warnings, "bias": bias})


if __name__ == "__main__":
    README.write_text(text(), encoding="utf-8")
