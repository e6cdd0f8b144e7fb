"""The rows of `python -m loadtest check`, asked of every model."""

from collections.abc import Iterator

import pytest

from loadtest.check.commands import COMMANDS
from loadtest.check.conduct import CROWD
from loadtest.check.row import Row
from loadtest.check.scorecard import PASSED, ROWS, Scorecard, ask, skipped
from loadtest.check.server import Server
from tests.support.check import asked
from tests.support.servers import Model


@pytest.fixture(scope="module")
def checked(model: Model, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """Start one server for all rows that don't end it."""
    command = model.command("--port", "{port}", "--metrics-port", "0")
    serves = (model.kept_threads or CROWD) if model.concurrent else 1
    with asked(command, tmp_path_factory.mktemp("server"), serves) as server:
        yield server


@pytest.mark.parametrize("row", ROWS, ids=lambda row: str(row.name))
def test_every_model_passes_every_row(checked: Server, model: Model, row: Row) -> None:
    if row.clients > checked.serves:
        found = skipped(row, checked, Scorecard("", "", 1, COMMANDS, ""))
        assert found is not None
        assert found.why == "needs 2 clients at once"
        return
    if checked.child is None or checked.how_it_ended():
        checked.restart()
    result = ask(row, checked)
    if result.status != PASSED and model.free_threaded and model.variant == "pool":
        checked.restart()  # servers/models/pool.py says why it may need two
        result = ask(row, checked)
    assert result.status == PASSED, f"sent {result.sent}; came {result.came}; expected {result.expected}"
    if row.ends:
        assert checked.child is not None
        assert checked.wait_for_end()
        assert (checked.child.status(), checked.child.err.read_text()) == (0, "")
