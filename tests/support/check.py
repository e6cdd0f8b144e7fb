"""Servers for the scorecard's rows, in this process."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from loadtest.check.commands import COMMANDS
from loadtest.check.conduct import CROWD
from loadtest.check.scorecard import Scorecard, run_all
from loadtest.check.server import Server
from loadtest.compare.candidates import Candidate
from loadtest.compare.measure.idle_clients import make_room


@contextmanager
def asked(command: Sequence[str], folder: Path, serves: int = CROWD) -> Iterator[Server]:
    """Yield a server that `restart` starts by a command with {port}; it ends with the context."""
    make_room(CROWD)
    candidate = Candidate("mine", "mine", "mine", "#000000", command=tuple(command))
    with Server(candidate, folder, serves=serves) as server:
        yield server


def scorecard(
    command: Sequence[str], folder: Path, commands: Sequence[str] = COMMANDS, *, serves: int = CROWD
) -> Scorecard:
    """Ask a server all rows for which it knows the commands."""
    card = Scorecard("mine", "mine", serves, commands, "now")
    with asked(command, folder, serves) as server:
        run_all(card, server, lambda _: None, lambda _: None)
    return card
