"""The page's table is that of the rows."""

from loadtest.check.scorecard import ROWS
from tests.support.processes import ROOT


def test_the_table_is_that_of_the_rows() -> None:
    text = (ROOT / "loadtest" / "check" / "README.md").read_text(encoding="utf-8")
    rows = [f"| {row.name} | {', '.join(row.commands) or ''} | {row.asks} |".replace("|  |", "| |") for row in ROWS]
    table = text.partition("|---|---|---|\n")[2].partition("\n\n")[0].splitlines()
    assert table == rows
