"""The command: python -m loadtest check."""

import json
import tempfile
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from loadtest import atomic_write
from loadtest.check import show
from loadtest.check.commands import COMMANDS
from loadtest.check.conduct import CROWD
from loadtest.check.scorecard import FAILED, Scorecard, run_all
from loadtest.check.server import Server
from loadtest.compare import conditions, store
from loadtest.compare.candidates import own
from loadtest.compare.escaping import visible
from loadtest.compare.measure.idle_clients import TooFewDescriptorsError, make_room
from loadtest.compare.options import add_output
from loadtest.compare.refusal import Parser, refuse
from loadtest.lab.processes import INTERRUPTED, adopt_orphans, say

ROW_FAILED: Final = 3
"""The exit status if a row failed."""


def check(arguments: Sequence[str]) -> int:
    """Ask a server row by row; return the exit status."""
    parser = _parser()
    options = parser.parse_args(arguments)
    if len(options.server) > 1:
        parser.error("it checks one server at a time: give --server once")
    if not 1 <= options.serves <= CROWD:
        parser.error(f"--serves takes a whole number from 1 to {CROWD}: the most that are asked")
    folder = options.output / "check"
    try:
        candidate = own(options.server[0], 0)
        make_room(options.serves)
    except ValueError as error:
        parser.error(str(error))
    except TooFewDescriptorsError as error:
        parser.error(f"{error} with --serves")
    program = candidate.command[0] if candidate.command else ""
    if program and not conditions.path_of(program):
        parser.error(f"{candidate.name} can't be started: there is no program {program}; correct its command")
    card = Scorecard(
        candidate.name,
        candidate.sentence,
        options.serves,
        [name for name in COMMANDS if name in options.commands],
        f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC",
    )
    try:
        store.try_out(folder)  # before a minute is spent
    except ValueError as error:
        parser.error(str(error))
    adopt_orphans()
    with tempfile.TemporaryDirectory(prefix="tcplab-") as work:
        server = Server(candidate, Path(work), serves=options.serves)
        with server.interrupt, server:
            say(f"Checking {card.name}: {visible(candidate.address or ' '.join(candidate.command))}\n")
            run_all(card, server, lambda row: say(show.begun(row), end=""), lambda result: say(show.line(result)))
            server.end()
            return _report(card, folder, options.server[0])


def _keep(card: Scorecard, folder: Path) -> list[Path]:
    """Write the scorecard, and return its files; OSError if that fails."""
    page, data = folder / f"{card.name}.md", folder / f"{card.name}.json"
    atomic_write.write(page, show.page(card))
    atomic_write.write(data, json.dumps(card.as_json(), indent=1) + "\n")
    return [page, data]


def _report(card: Scorecard, folder: Path, server: str) -> int:
    """Say what came of it, and keep it; return the exit status. server: the option --server."""
    say(f"\n{show.verdict(card)}")
    try:
        files = _keep(card, folder)
    except OSError as error:
        return refuse(
            f"the scorecard can't be kept in {folder}: {error.strerror}; name another folder with --output", 1
        )
    say(f"Scorecard: {', '.join(visible(str(store.shown(file))) for file in files)}")
    if card.interrupted:
        return INTERRUPTED
    if card.broken:
        refuse(card.broken)
    else:
        say(show.next_step(card, server))
    return ROW_FAILED if card.of(FAILED) else 1 if card.broken else 0


def _parser() -> Parser:
    parser = Parser(
        prog="python -m loadtest check",
        allow_abbrev=False,
        description="Ask a server, in any language, for what the lab's own must do, row by row: what was sent, what"
        " came and what should have. It must answer each line `ECHO <text>` with `OK <text>`, in order.",
        epilog=f"Exit status: 0 if all rows that were asked passed; {ROW_FAILED} if one failed; 1 if the server could"
        f" not be started or reached, or the scorecard not be kept; 2 for a bad option; {INTERRUPTED} after Ctrl-C.",
    )
    parser.add_argument(
        "--server",
        action="append",
        required=True,
        metavar="NAME=SERVER",
        help="NAME='COMMAND ... {port}', or NAME=HOST:PORT if it runs already; then rows about its process are not"
        " asked",
    )
    parser.add_argument(
        "--serves",
        type=int,
        default=CROWD,
        metavar="N",
        help=f"how many clients it takes at once ({CROWD}); rows that need more are not asked",
    )
    parser.add_argument(
        "--commands",
        nargs="+",
        action="extend",
        choices=COMMANDS,
        default=[],
        help="what it knows besides ECHO (ERR: it answers any other line so); other rows are not asked",
    )
    add_output(parser, "check/NAME.md and check/NAME.json")
    return parser
