"""Asks a server row by row, and keeps what came of each."""

import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any, Final

from loadtest.check import commands, conduct, ending, wire
from loadtest.check.client import RowFailedError
from loadtest.check.row import Row
from loadtest.check.server import ENDING, NotServingError, Server
from loadtest.lab.processes import InterruptedByUserError

ROWS: Final[Sequence[Row]] = [
    each for module in (wire, conduct, commands, ending) for each in vars(module).values() if isinstance(each, Row)
]
"""All rows, in the order in which they are asked: none before those that it is `after`."""

PASSED: Final = "passed"
FAILED: Final = "failed"
NOT_ASKED: Final = "not asked"


@dataclass(frozen=True, slots=True)
class Result:
    """
    What came of a row.

    status: PASSED, FAILED or NOT_ASKED. why, failed_row: of NOT_ASKED: the reason, or the earlier row whose failure
    would show here too. sent, came, expected: of FAILED. seconds: that it took.
    """

    name: str
    asks: str
    status: str
    why: str = ""
    failed_row: str = ""
    sent: str = ""
    came: str = ""
    expected: str = ""
    seconds: float = 0.0


@dataclass(slots=True)
class Scorecard:
    """
    A server's results.

    server: what was asked: its name, command or address. broken: why not all could be asked; "" if all were.
    """

    name: str
    server: str
    serves: int
    commands: Sequence[str]
    started: str
    interrupted: bool = False
    broken: str = ""
    results: list[Result] = field(default_factory=list)

    def of(self, status: str) -> list[Result]:
        """Return the results of this status."""
        return [result for result in self.results if result.status == status]

    def as_json(self) -> dict[str, Any]:
        """Return JSON-ready data."""
        return {"passed": len(self.of(PASSED)), "failed": len(self.of(FAILED)), **asdict(self)}


def run_all(card: Scorecard, server: Server, begin: Callable[[Row], None], tell: Callable[[Result], None]) -> None:
    """
    Ask all rows of a server that is not started yet, until the user interrupts or it can't be started again.

    begin: called before each row. tell: called with its result.
    """
    fresh = False
    for row in ROWS:
        if card.broken:
            why = "interrupted" if card.interrupted else "no client can connect, as above"
            card.results.append(_not_asked(row, why))
            continue
        begin(row)
        result = skipped(row, server, card)
        try:
            if not result:
                server.interrupt.check()
                if not fresh:
                    server.restart()
                if row.process and not server.listens():
                    result, fresh = _not_asked(row, "the process that listens was not started here"), True
                else:
                    result = ask(row, server)
                    fresh = result.status == PASSED and not row.ends
                server.interrupt.check()
        except (NotServingError, InterruptedByUserError) as error:
            card.interrupted = isinstance(error, InterruptedByUserError)
            card.broken = " ".join(str(error).split()) or "interrupted"
        result = result or _not_asked(row, card.broken)
        card.results.append(result)
        tell(result)


def _not_asked(row: Row, why: str, failed_row: str = "") -> Result:
    return Result(row.name, row.asks, NOT_ASKED, why, failed_row)


def skipped(row: Row, server: Server, card: Scorecard) -> Result | None:
    """Return the result of a row that can't be asked; None if it can."""
    if unknown := [command for command in row.commands if command not in card.commands]:
        return _not_asked(row, f"--commands does not name {' and '.join(unknown)}")
    if row.clients > server.serves:
        return _not_asked(row, f"needs {row.clients} clients at once")
    if row.process and not server.started_here:
        return _not_asked(row, "the server was not started here")
    before = [result for result in card.results if result.name in row.after]
    failed = (result.name if result.status == FAILED else result.failed_row for result in before)
    failed_row = next(filter(None, failed), "")
    return _not_asked(row, "", failed_row) if failed_row else None


def ask(row: Row, server: Server) -> Result:
    """Ask a row of a running server; return its result."""
    began = time.monotonic()
    server.begin_row()
    result = Result(row.name, row.asks, PASSED)
    try:
        row.ask(server)
        if not row.ends:
            server.still_serves()
    except RowFailedError as failed:
        ended = "" if row.ends else server.how_it_ended(ENDING)
        came = f"{failed.came}; {ended}" if ended and ended not in failed.came else failed.came
        result = Result(row.name, row.asks, FAILED, sent=failed.sent, came=came, expected=failed.expected)
    return replace(result, seconds=round(time.monotonic() - began, 3))
