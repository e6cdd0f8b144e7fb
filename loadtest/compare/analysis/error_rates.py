"""How often a comparison is wrong and what it finds, by simulation (tests/loadtest/compare/analysis/simulation.py)."""

import json
from pathlib import Path
from typing import Any, Final

FILE: Final = Path(__file__).with_name("error_rates.json")

LARGE: Final = (1.1, 1.2, 1.3)
"""The factors that several sessions of each side are to find."""


def read() -> dict[str, list[dict[str, Any]]]:
    """Return the rows of each part."""
    found: dict[str, list[dict[str, Any]]] = json.loads(FILE.read_text(encoding="utf-8"))
    return found
