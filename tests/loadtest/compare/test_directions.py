"""The comparison's rooms measure, analysis, report, publish: each imports only itself and rooms left of it."""

from pathlib import Path

import pytest

from tests.test_directions import ROOT, ours

COMPARE = ROOT / "loadtest" / "compare"
ROOMS = ("measure", "analysis", "report", "publish")
SHARED = ("candidates", "escaping", "hot_path", "plan", "refusal", "schema", "slo", "store")
"""What every room may take, and what takes of none."""


def compared(path: Path) -> set[str]:
    """Return the rooms and modules of the comparison that a file imports."""
    return {name.split(".")[2] for name in ours(path) if name.startswith("loadtest.compare.")}


@pytest.mark.parametrize("room", ROOMS)
def test_a_room_takes_only_what_is_left(room: str) -> None:
    allowed = {*SHARED, *ROOMS[: ROOMS.index(room) + 1]}
    for path in sorted((COMPARE / room).rglob("*.py")):
        assert compared(path) <= allowed, path.relative_to(ROOT)


@pytest.mark.parametrize("name", SHARED)
def test_what_is_shared_takes_no_room(name: str) -> None:
    assert compared(COMPARE / f"{name}.py") <= set(SHARED)
