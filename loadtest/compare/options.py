"""The options of compare, and the statuses with which it exits."""

import argparse
import math
import os
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Final, TypeVar

from loadtest.compare import slo
from loadtest.compare.analysis.sessions import FEWEST
from loadtest.compare.candidates import LAB, TEXTBOOK
from loadtest.compare.conditions import LOOPS, USUAL_INTERVAL, python
from loadtest.compare.cores import asked
from loadtest.compare.measure.run import ROOT
from loadtest.compare.plan import SHARES
from loadtest.compare.refusal import Parser
from loadtest.lab.processes import INTERRUPTED
from loadtest.scenarios import SCENARIOS
from loadtest.settings import message_size

_Value = TypeVar("_Value")

MISSED: Final = 3  # the exit status of a comparison in which an SLO was missed
UNANSWERED: Final = 4  # in which a server left clients without an answer (run_warnings.UNANSWERED)
WORSE: Final = 5  # with an earlier revision, if a measure is worse than there
UNTOLD: Final = 6  # if nothing is worse, and the runs can't tell for a measure


def add_output(parser: Parser, what: str) -> None:
    """Add --output, the folder for `what`."""
    parser.add_argument(
        "--output",
        type=_output,
        default=os.environ.get("TCPLAB_RESULTS") or str(ROOT / "loadtest" / "results"),
        metavar="FOLDER",
        help=f"folder for {what} (also TCPLAB_RESULTS; default: loadtest/results/)",
    )


def parse(arguments: Sequence[str]) -> argparse.Namespace:
    """Return the options of compare; a bad one prints a line on stderr and exits with status 2."""
    parser = Parser(
        prog="python -m loadtest compare",
        allow_abbrev=False,
        description="Measure servers under the same loads, run after run, in a drawn order, and say what was found."
        " Without options: one scenario, two numbers of clients, three runs of each, within 90 s: indicative."
        " With two results: what seems better or worse from the first to the second. That is indicative, because"
        " sessions differ; to know, run both in one session: --against REVISION. With three or more results of each of"
        " two sides (--with): a verdict over sessions, which finds large differences only (loadtest/README.md).",
        epilog=f"Exit status: 0; 1 if something could not be measured; 2 for a bad option or file; {MISSED} if the"
        f" SLO was missed; {UNANSWERED} if a server left clients without an answer; {INTERRUPTED} after Ctrl-C. Against"
        f" a revision, and with several results of each side, also {WORSE} if something is worse, {UNTOLD} if the runs"
        " can't tell, and 1 if too few of them are valid. Two results: 0 whatever differs between them.",
    )
    parser.add_argument(
        "results",
        type=Path,
        nargs="*",
        metavar="JSON",
        help="two results, to see what differs between them (indicative); or three or more of one side, and --with",
    )
    several = partial(parser.add_argument, nargs="+", default=())
    several(
        "--with",
        dest="others",
        type=Path,
        metavar="JSON",
        help="three or more results of the other side, each of a session of its own: compare OLD OLD OLD --with NEW NEW"
        " NEW",
    )
    parser.add_argument(
        "--thorough",
        action="store_true",
        help="all that the textbook's claims need, often enough for a verdict (some 45 minutes)",
    )
    parser.add_argument(
        "--resume", type=Path, metavar="FOLDER", help="go on with an interrupted comparison, from its last whole repeat"
    )
    several("--variants", help=f"servers of the lab ({' '.join(TEXTBOOK)})", choices=tuple(LAB))
    several(
        "--loops",
        help="event loops: measure each of the variants that has one on each of them (without --variants: asyncio and"
        " protocol)",
        choices=LOOPS,
    )
    several(
        "--switch-intervals",
        help=f"measure each of the variants that serves from threads at each of them (Python's own: {USUAL_INTERVAL:g};"
        " without --variants: threaded)",
        type=_interval,
        metavar="SECONDS",
    )
    parser.add_argument(
        "--python",
        action="append",
        type=_told(python),
        default=[],
        metavar="NAME=PROGRAM",
        help="a Python that runs the lab's servers, such as 3.14t=python3.14t; repeat it to measure under each",
    )
    parser.add_argument(
        "--server",
        action="append",
        default=[],
        metavar="NAME=SERVER",
        help="your own server, in any language: NAME='COMMAND ... {port}', or NAME=HOST:PORT if it runs already; to"
        " measure the memory of a running server of the lab's: 'NAME=HOST:PORT http://HOST:PORT/metrics'",
    )
    parser.add_argument(
        "--against",
        type=_not_empty,
        metavar="REVISION",
        help="a commit, branch or tag: measure each server as it was there too, in turns (10 runs of each)",
    )
    parser.add_argument(
        "--repository",
        type=_folder,
        metavar="FOLDER",
        help="with --against: the git repository of your own server, in which both its command and --build run"
        " (default: the lab's own)",
    )
    parser.add_argument(
        "--build", type=_not_empty, metavar="COMMAND", help="with --against: run it first in both checkouts"
    )
    several(
        "--scenarios",
        help="what the clients do (saturate; with --rates rates; with an --slo conversation)",
        choices=tuple(SCENARIOS),
    )
    several("--clients", help="numbers of clients, for each scenario", type=_count)
    parser.add_argument(
        "--rates",
        type=_rates,
        metavar="RATE,...",
        help="requests per second, the same for all servers, one after another in one process; or shares of what the"
        f" slowest concurrent server reaches ({','.join(f'{share:.0%}' for share in SHARES)})".replace("%", "%%"),
    )
    several("--sizes", help="of a message's text, each a load of its own", type=message_size, metavar="BYTES")
    parser.add_argument("--repeats", type=_count, help="runs of each (1; ten or more give a verdict)")
    parser.add_argument("--seconds", type=_count, help="length of each measured window")
    parser.add_argument("--warmup", type=_count, help="seconds before it, which don't count")
    parser.add_argument(
        "--slo", type=_told(slo.parse), help="each run's objective, such as 'p99<50ms'; where clients pause"
    )
    parser.add_argument("--memory", action="store_true", help="measure memory per client, as a slope")
    parser.add_argument("--ceiling", action="store_true", help="first measure how fast the load itself can be")
    parser.add_argument(
        "--cores",
        type=_told(asked),
        metavar="SERVER,LOAD",
        help="a core for each (default: chosen), or sets of them: server=0-3,load=4-5",
    )
    several(
        "--server-cores",
        help="measure each of the lab's servers on so many cores: what they sustain by cores (with --rates, rates)",
        type=_count,
        metavar="CORES",
    )
    # From the clock, so that the order varies; the result keeps it, so that a comparison can be repeated.
    parser.add_argument("--seed", type=int, default=time.time_ns() // 1000 % 1_000_000, help="draws the order")
    add_output(parser, "results")
    options = parser.parse_args(arguments)
    for name in ("variants", "loops", "switch_intervals", "scenarios", "clients", "sizes", "server_cores"):
        setattr(options, name, tuple(dict.fromkeys(getattr(options, name))))
    if options.resume and len(arguments) > (2 if "--resume" in arguments else 1):
        parser.error("--resume goes on with what was planned: omit the other options")
    sides = len(options.results), len(options.others)
    if options.others and min(sides) < FEWEST:
        parser.error(
            f"--with takes {FEWEST} or more results on each side, not {sides[0]} and {sides[1]}: measure more sessions,"
            " or give two results without --with"
        )
    if not options.others and sides[0] not in {0, 2}:
        parser.error(f"give two results to compare, or {FEWEST} or more of each side: OLD OLD OLD --with NEW NEW NEW")
    return options


def _count(text: str) -> int:
    if not (text.isascii() and text.isdigit()) or not 1 <= int(text) <= 10_000:
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number from 1 to 10000")
    return int(text)


def _not_empty(text: str) -> str:
    if not text.strip():
        raise argparse.ArgumentTypeError("it is empty; give it a value, or omit it")
    return text


def _output(text: str) -> Path:
    if not text.strip():
        raise argparse.ArgumentTypeError("it is empty; name a folder, or omit it (and TCPLAB_RESULTS)")
    return Path(text)


def _folder(text: str) -> Path:
    if not Path(text).is_dir():
        raise argparse.ArgumentTypeError(f"{text!r} is not a folder; name the one that your repository is in")
    return Path(text).resolve()


def _rates(text: str) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Return rates (requests per second), or shares of what will be found; the others are ()."""
    parts = [part.strip() for part in text.split(",")]
    numbers = sorted(_number(part.removesuffix("%")) for part in parts)
    for part in parts:
        most = 1_000 if part.endswith("%") else 1_000_000
        if not 0.01 <= _number(part.removesuffix("%")) <= most:
            raise argparse.ArgumentTypeError(f"{part!r} is neither a rate from 0.01 to 1000000 nor a share up to 1000%")
    if len(set(numbers)) < len(numbers):
        raise argparse.ArgumentTypeError(f"{text!r} has a rate twice")
    shares = sum(part.endswith("%") for part in parts)
    if 0 < shares < len(parts):
        raise argparse.ArgumentTypeError(f"{text!r} has rates and shares: choose one kind")
    return ((), tuple(each / 100 for each in numbers)) if shares else (tuple(numbers), ())


def _interval(text: str) -> float:
    if not 1e-6 <= _number(text) <= 10:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number of seconds from 0.000001 to 10")
    return float(text)


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return math.nan  # which is in no range


def _told(read: Callable[[str], _Value]) -> Callable[[str], _Value]:
    """Return what reads an option as `read` does; argparse shows the text of this error alone."""

    def kind(text: str) -> _Value:
        try:
            return read(text)
        except ValueError as error:
            raise argparse.ArgumentTypeError(str(error)) from None

    return kind
