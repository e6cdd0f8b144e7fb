"""Asks a server row by row, and keeps what came of each."""

import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any, Final

from loadtest.check import commands, conduct, ending, wire
from loadtest.check.client import RowFailedError
from loadtest.check.row import Row
from loadtest.check.server import NotServingError, Server
from loadtest.lab.processes import InterruptedByUserError

ROWS: Final[Sequence[Row]] = (*wire.ROWS, *conduct.ROWS, *commands.ROWS, *ending.ROWS)
"""All rows, in the order in which they are asked: none before those that it is `after`."""

PASSED: Final = "passed"
FAILED: Final = "failed"
NOT_ASKED: Final = "not asked"

_ENDING: Final = 0.3
"""Seconds that a process may take to end after its clients have noticed."""

_UNMET: Final = " failed"


@dataclass(frozen=True, slots=True)
class Mark:
    """
    What came of a row.

    status: PASSED, FAILED or NOT_ASKED. why: of NOT_ASKED. sent, came, expected: of FAILED. seconds: that it took.
    """

    name: str
    asks: str
    status: str
    why: str = ""
    sent: str = ""
    came: str = ""
    expected: str = ""
    seconds: float = 0.0


@dataclass(slots=True)
class Scorecard:
    """
    A server's marks.

    server: what was asked: its name, command or address. broken: why not all could be asked; "" if all were.
    """

    name: str
    server: str
    serves: int
    commands: Sequence[str]
    started: str
    interrupted: bool = False
    broken: str = ""
    marks: list[Mark] = field(default_factory=list)

    def of(self, status: str) -> list[Mark]:
        """Return the marks of this status."""
        return [mark for mark in self.marks if mark.status == status]

    def as_json(self) -> dict[str, Any]:
        """Return JSON-ready data."""
        return {"passed": len(self.of(PASSED)), "failed": len(self.of(FAILED)), **asdict(self)}


def fill(card: Scorecard, server: Server, begin: Callable[[Row], None], tell: Callable[[Mark], None]) -> None:
    """
    Ask all rows of a server that is not started yet, until the user interrupts or it can't be started again.

    begin: called before each row. tell: called with its mark.
    """
    fresh = False
    for row in ROWS:
        if card.broken:
            card.marks.append(Mark(row.name, row.asks, NOT_ASKED, card.broken))
            continue
        begin(row)
        why = why_not(row, server, card)
        if not why:
            try:
                if not fresh:
                    server.renew()
                mark = ask(row, server)
                fresh = mark.status == PASSED and not row.ends
            except NotServingError as error:
                card.broken = " ".join(str(error).split())
            except InterruptedByUserError:
                card.interrupted, card.broken = True, "interrupted"
            why = card.broken
        if why:
            mark = Mark(row.name, row.asks, NOT_ASKED, why)
        card.marks.append(mark)
        tell(mark)


def why_not(row: Row, server: Server, card: Scorecard) -> str:
    """Return why a row may not be asked, in a few words; "" if it may."""
    if unknown := [command for command in row.commands if command not in card.commands]:
        return f"--commands does not name {' and '.join(unknown)}"
    if row.clients > server.serves:
        return f"needs {row.clients} clients at once"
    if row.process and not server.started_here:
        return "the server was not started here"
    before = [mark for mark in card.marks if mark.name in row.after]
    unmet = (f"{mark.name}{_UNMET}" if mark.status == FAILED else mark.why for mark in before)
    return next((why for why in unmet if why.endswith(_UNMET)), "")


def ask(row: Row, server: Server) -> Mark:
    """Ask a row of a running server; return its mark."""
    began = time.monotonic()
    server.remember_family()
    mark = Mark(row.name, row.asks, PASSED)
    try:
        row.ask(server)
        if not row.ends:
            server.still_serves()
    except RowFailedError as failed:
        ended = "" if row.ends else server.ended(_ENDING)
        came = f"{failed.came}; {ended}" if ended and ended not in failed.came else failed.came
        mark = Mark(row.name, row.asks, FAILED, sent=failed.sent, came=came, expected=failed.expected)
    return replace(mark, seconds=round(time.monotonic() - began, 3))
