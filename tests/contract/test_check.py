"""The rows of `python -m loadtest check`, asked of every model."""

from collections.abc import Iterator

import pytest

from loadtest.check.commands import COMMANDS
from loadtest.check.conduct import CROWD
from loadtest.check.row import Row
from loadtest.check.scorecard import PASSED, ROWS, Scorecard, ask, why_not
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
def test_every_model_has_full_marks(checked: Server, row: Row) -> None:
    if row.clients > checked.serves:
        assert why_not(row, checked, Scorecard("", "", 1, COMMANDS, "")) == "needs 2 clients at once"
        return
    if checked.child is None or checked.ended():
        checked.renew()
    mark = ask(row, checked)
    assert mark.status == PASSED, f"sent {mark.sent}; came {mark.came}; expected {mark.expected}"
    if row.ends:
        assert checked.child is not None
        assert (checked.child.status(), checked.child.err.read_text()) == (0, "")
