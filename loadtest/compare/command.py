"""The commands: python -m loadtest compare, python -m loadtest report."""

import argparse
import os
import resource
import shlex
import shutil
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from datetime import datetime
from pathlib import Path
from typing import Any, Final, NoReturn

from loadtest import run_warnings
from loadtest.compare import candidates, resume, revision, store
from loadtest.compare.analysis import regression, slo_check, sustained
from loadtest.compare.analysis.measures import CLOSED_LOOP
from loadtest.compare.analysis.pairwise import Pair
from loadtest.compare.analysis.sessions import FEWEST
from loadtest.compare.analysis.significance import Answer
from loadtest.compare.analysis.summary import summaries
from loadtest.compare.candidates import LAB, TEXTBOOK, Candidate
from loadtest.compare.comparison import Comparison, begun, rough_duration
from loadtest.compare.escaping import visible
from loadtest.compare.measure import machine
from loadtest.compare.measure.run import ROOT, Laboratory, silence
from loadtest.compare.plan import MIN_RUNS, SHARES, Plan, chosen, indicative, thorough
from loadtest.compare.report import differences, files, headline, table
from loadtest.compare.slo import parse as parse_slo
from loadtest.lab.processes import INTERRUPTED, Children, Interrupt, say
from loadtest.scenarios import SCENARIOS
from loadtest.settings import message_size

MISSED: Final = 3
"""The exit status of a comparison in which an SLO was missed."""

UNANSWERED: Final = 4
"""The exit status of a comparison in which a server left clients without an answer (run_warnings.UNANSWERED)."""

WORSE: Final = 5
"""The exit status of a comparison with an earlier revision, if a measure is worse than there."""

UNTOLD: Final = 6
"""Its exit status if nothing is worse, and the runs can't tell for a measure."""

SPARE_DESCRIPTORS: Final = 100
"""Descriptors of a server or the load besides its clients' sockets."""


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        """Write the error in one line, and exit with status 2."""
        sys.stderr.write(f"tcplab: {visible(' '.join(message.split()))} (see {self.prog} --help)\n")
        sys.exit(2)


def compare(arguments: Sequence[str], laboratory: type[Laboratory] = Laboratory) -> int:
    """Compare servers, or two results; return the exit status."""
    options = _parse(arguments)
    if options.others:
        return _sessions(options.results, options.others)
    if options.results:
        return _differences(options.results)
    if options.resume:
        return _resume(options.resume, laboratory)
    with tempfile.TemporaryDirectory(prefix="tcplab-") if options.against else nullcontext("") as before:
        try:
            plan = _plan(options, Path(before))
            cores = _cores(options.cores)
            _find_all(plan.candidates)
            _check_descriptors(plan)
            folder = store.prepare(options.output, datetime.now().astimezone())
            about = machine.describe()  # before this process leaves a core to the server
        except (ValueError, store.NotWritableError) as error:
            return _refuse(str(error))
        except KeyboardInterrupt:  # while the other revision is built
            say("interrupted")
            return INTERRUPTED
        command = ("python", "-m", "loadtest", "compare", *arguments)
        comparison = Comparison(plan, folder, begun(plan, cores, about, command))
        return _compare(comparison, cores, laboratory, strict=options.slo is not None)


def _resume(folder: Path, laboratory: type[Laboratory]) -> int:
    """Go on with an interrupted comparison in its folder; return the exit status."""
    file = resume.file_of(folder)
    try:
        found = store.read(file)
        resume.check(found, ROOT)
        plan = resume.plan_of(found)
        cores = resume.pinned(found, machine.usable_cores())
        _find_all(plan.candidates)
        _check_descriptors(plan)
    except ValueError as error:
        return _refuse(f"{file}: {error}")
    comparison = Comparison(plan, file.parent.resolve(), resume.resumed(found, datetime.now().astimezone()))
    return _compare(comparison, cores, laboratory, strict="--slo" in found["command"])


def draw(arguments: Sequence[str]) -> int:
    """Draw the reports of a result again, into its folder; return the exit status."""
    parser = _Parser(
        prog="python -m loadtest report",
        allow_abbrev=False,
        description="Draw a comparison's page, picture and Markdown again, from its JSON alone.",
    )
    parser.add_argument("result", type=Path, metavar="JSON")
    options = parser.parse_args(arguments)
    try:
        result = store.read(options.result)
        files.draw(result, options.result.parent)
    except (ValueError, OSError) as error:
        return _refuse(f"{options.result}: {error}")
    say(f"{table.text(result)}\n\n{_files(options.result.parent)}")
    return 0


def _plan(options: argparse.Namespace, before: Path) -> Plan:
    """
    Return the plan for the options; ValueError with a line if they contradict each other.

    before: an empty folder, for the files of the revision that it is against.
    """
    own = [candidates.own(text, number) for number, text in enumerate(options.server)]
    names = [candidate.name for candidate in own]
    if len(set(names)) < len(names):
        raise ValueError(f"two servers have the same name: {', '.join(names)}")
    picked = {
        "--variants": options.variants,
        "--scenarios": options.scenarios,
        "--clients": options.clients,
        "--rates": options.rates,
        "--sizes": options.sizes,
        "--seconds": options.seconds,
        "--warmup": options.warmup,
        "--repeats": options.repeats,
    }
    given = [name for name, value in picked.items() if value not in (None, [])]
    extras = options.ceiling or options.memory
    if options.build and not options.against:
        raise ValueError("--build is for --against REVISION: name one, or omit it")
    variants = tuple(dict.fromkeys(options.variants or ()))
    if options.thorough:
        given += ["--against"] if options.against else []
        own_choices = [name for name in given if name != "--variants"]
        if own_choices:
            raise ValueError(f"--thorough sets its own {own_choices[0]}: omit one of the two")
        return thorough(options.seed, own, options.slo or "", variants or TEXTBOOK)
    if not (given or own or extras or options.slo or options.against):
        return indicative(options.seed)
    # Clients that never pause have no latency to judge.
    scenarios = options.scenarios or (
        ("rates",) if options.rates else ("conversation",) if options.slo else ("saturate",)
    )
    if options.slo and not options.rates and not any(slo_check.applies_to(SCENARIOS[name]) for name in scenarios):
        raise ValueError(
            f"--slo cannot be judged in {', '.join(scenarios)} ({CLOSED_LOOP}): choose a scenario in which clients"
            f" pause, such as {', '.join(name for name in SCENARIOS if slo_check.applies_to(SCENARIOS[name]))}"
        )
    rates, shares = options.rates or ((), ())
    some = [*(LAB[name] for name in variants or (() if options.against and own else TEXTBOOK)), *own]
    if options.against:
        some = _with_before(some, options, before)
    return chosen(
        options.seed,
        some,
        scenarios=tuple(dict.fromkeys(scenarios)),
        clients=tuple(dict.fromkeys(options.clients or ())),
        rates=rates,
        shares=shares,
        sizes=tuple(dict.fromkeys(options.sizes or ())),
        repeats=options.repeats or (MIN_RUNS if options.against else 1),
        seconds=options.seconds,
        warmup=options.warmup,
        ceiling=options.ceiling,
        memory=options.memory,
        slo=options.slo or "",
    )


def _with_before(some: Sequence[Candidate], options: argparse.Namespace, before: Path) -> list[Candidate]:
    """Return each candidate, and after it the same at an earlier revision, built if asked for."""
    commit = revision.check_out(options.against, before, ROOT)
    if options.build:
        for folder in (ROOT, before):
            revision.build(options.build, folder)
    return [each for candidate in some for each in revision.both(candidate, before, commit, ROOT)]


def _cores(asked: tuple[int, int] | None) -> machine.Cores:
    usable = machine.usable_cores()
    if asked is None:
        return machine.share_out(usable)
    missing = [str(core) for core in asked if core not in usable]
    if missing:
        raise ValueError(
            f"core {missing[0]} is not one of the cores that may be used here ({', '.join(map(str, usable))})"
        )
    return machine.keep_apart(*asked, usable)


def _find_all(some: Sequence[Candidate]) -> None:
    """Raise ValueError if a running server does not answer an ECHO, or a command's program does not exist."""
    for candidate in some:
        program = candidate.command[0] if candidate.command else ""
        if program and not shutil.which(ROOT / program if os.sep in program else program):
            raise ValueError(f"{candidate.name} can't be started: there is no program {program}; correct its command")
        why = silence(candidate.address) if candidate.address else ""
        if why:
            raise ValueError(
                f"{candidate.name} does not answer at {candidate.address}: {why}; start it, or correct the address"
            )


def _check_descriptors(plan: Plan) -> None:
    """Raise ValueError if a server or the load may not open a socket for each of the plan's clients."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    clients = max((task.workload.clients for task in plan.tasks), default=0)
    if hard != resource.RLIM_INFINITY and clients + SPARE_DESCRIPTORS > hard:
        raise ValueError(
            f"{clients:,} clients need {clients + SPARE_DESCRIPTORS:,} descriptors, and a process may open {hard:,}"
            f" here: raise ulimit -n, or ask for {max(0, hard - SPARE_DESCRIPTORS):,} clients"
        )


def _compare(comparison: Comparison, cores: machine.Cores, laboratory: type[Laboratory], *, strict: bool) -> int:
    """Measure what is planned and report; return the exit status. strict: a missed SLO changes it."""
    plan, folder = comparison.plan, comparison.folder
    if cores.rest:
        try:
            os.sched_setaffinity(0, cores.rest)
        except OSError:  # a sandbox may forbid it, also for children
            cores = machine.share_out(())
    work = folder / ".work"
    shutil.rmtree(work, ignore_errors=True)  # a comparison that was killed leaves it
    work.mkdir()
    children = Children()
    with Interrupt(children) as interrupt, children:
        store.point_latest_at(folder)
        names = ", ".join(candidate.label for candidate in plan.candidates)
        say(f"Comparing {names} (order drawn with --seed {plan.seed}).")
        longer = comparison.seconds + comparison.further_seconds
        most = f" (up to {rough_duration(longer)} where runs differ much)" if comparison.further_seconds else ""
        say(
            f"It takes about {rough_duration(comparison.seconds)}{most};"
            " Ctrl-C keeps and reports what is measured by then."
        )
        if plan.name == "thorough":
            say(
                f"It goes in repeats of some {rough_duration(comparison.repeat_seconds)}; after Ctrl-C, the whole ones"
                f" are kept by: {_to_resume(folder)}"
            )
        try:
            comparison.run(laboratory(work, cores, children, interrupt))
            files.draw(comparison.result, folder)
        except OSError as error:  # the disk is full, or gone
            sys.stderr.write(
                f"tcplab: the result could not be kept in {store.shown(folder)}: {error.strerror or error}; free space"
                f" there, or name another folder with --output. {store.RESULT} has what was measured before\n"
            )
            return 1
        finally:
            shutil.rmtree(work, ignore_errors=True)
        pairs = regression.of_revisions(comparison.result)
        said = headline.text(comparison.result) or table.text(comparison.result)
        if pairs:
            said = f"{differences.of_revisions(pairs)}\n\n{said}"
        say(f"\n{said}\n\n{_files(folder)}")
    if comparison.result["interrupted"]:
        if resume.is_possible(comparison.result):
            say(f"\nTo go on, with the repeats that are whole: {_to_resume(folder)}")
        return INTERRUPTED
    if comparison.failed:
        return 1
    if strict and (slo_check.is_missed(comparison.result) or sustained.is_missed(comparison.result)):
        return MISSED
    if _left_clients_unanswered(comparison.result):
        return UNANSWERED
    return _of_revisions(pairs)


def _of_revisions(pairs: Sequence[Pair]) -> int:
    """Return the exit status for what changed since an earlier revision."""
    if any(regression.is_worse(each) for each in pairs):
        return WORSE
    told = {Answer.DIFFERENT, Answer.EQUIVALENT}
    return 0 if all(each.significance.answer in told for each in pairs) else UNTOLD


def _left_clients_unanswered(result: Mapping[str, Any]) -> bool:
    return any(
        warning.name in run_warnings.UNANSWERED
        for each in summaries(result)
        for run in each.shown
        for warning in run.warnings
    )


def _files(folder: Path) -> str:
    """Return the paths of the written files."""
    kinds = {"Page": store.PAGE, "Picture": store.PICTURE, "Markdown": store.MARKDOWN, "Figures": store.RESULT}
    return "\n".join(f"{kind + ':':10}{store.shown(folder / name)}" for kind, name in kinds.items())


def _to_resume(folder: Path) -> str:
    return f"python -m loadtest compare --resume {shlex.quote(str(store.shown(folder)))}"


def _refuse(why: str) -> int:
    sys.stderr.write(f"tcplab: {visible(' '.join(why.split()))}\n")
    return 2


def _parse(arguments: Sequence[str]) -> argparse.Namespace:
    parser = _Parser(
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
        " can't tell. Two results: 0 whatever differs between them.",
    )
    parser.add_argument(
        "results",
        type=Path,
        nargs="*",
        metavar="JSON",
        help="two results, to see what differs between them (indicative); or three or more of one side, and --with",
    )
    parser.add_argument(
        "--with",
        dest="others",
        type=Path,
        nargs="+",
        default=[],
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
    parser.add_argument("--variants", nargs="+", choices=tuple(LAB), help=f"servers of the lab ({' '.join(TEXTBOOK)})")
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
        "--build", type=_not_empty, metavar="COMMAND", help="with --against: run it first in both checkouts"
    )
    parser.add_argument(
        "--scenarios",
        nargs="+",
        choices=tuple(SCENARIOS),
        help="what the clients do (saturate; with --rates rates; with an --slo conversation)",
    )
    parser.add_argument("--clients", nargs="+", type=_count, help="numbers of clients, for each scenario")
    parser.add_argument(
        "--rates",
        type=_rates,
        metavar="RATE,...",
        help="requests per second, the same for all servers, one after another in one process; or shares of what the"
        f" slowest concurrent server reaches ({','.join(f'{share:.0%}' for share in SHARES)})".replace("%", "%%"),
    )
    parser.add_argument("--repeats", type=_count, help="runs of each (1; ten or more give a verdict)")
    parser.add_argument(
        "--sizes", nargs="+", type=message_size, metavar="BYTES", help="of a message's text, each a load of its own"
    )
    parser.add_argument("--seconds", type=_count, help="length of each measured window")
    parser.add_argument("--warmup", type=_count, help="seconds before it, which don't count")
    parser.add_argument("--slo", type=_slo, help="each run's objective, such as 'p99<50ms'; where clients pause")
    parser.add_argument("--memory", action="store_true", help="measure memory per client, as a slope")
    parser.add_argument("--ceiling", action="store_true", help="first measure how fast the load itself can be")
    parser.add_argument("--cores", type=_two_cores, metavar="SERVER,LOAD", help="a core for each (default: chosen)")
    # From the clock, so that the order varies; the result keeps it, so that a comparison can be repeated.
    parser.add_argument("--seed", type=int, default=time.time_ns() // 1000 % 1_000_000, help="draws the order")
    parser.add_argument(
        "--output",
        type=Path,
        default=Path(os.environ.get("TCPLAB_RESULTS") or ROOT / "loadtest" / "results"),
        metavar="FOLDER",
        help="folder for results (also TCPLAB_RESULTS; default: loadtest/results/)",
    )
    options = parser.parse_args(arguments)
    if options.resume and list(arguments) not in (["--resume", arguments[-1]], [f"--resume={options.resume}"]):
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


def _rates(text: str) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Return rates (requests per second), or shares of what will be found; the others are ()."""
    parts = [part.strip() for part in text.split(",")]
    numbers = []
    for part in parts:
        try:
            number = float(part.removesuffix("%"))
        except ValueError:
            number = 0.0
        if not 0.01 <= number <= (1_000 if part.endswith("%") else 1_000_000):
            raise argparse.ArgumentTypeError(f"{part!r} is neither a rate from 0.01 to 1000000 nor a share up to 1000%")
        numbers.append(number)
    if len(set(numbers)) < len(numbers):
        raise argparse.ArgumentTypeError(f"{text!r} has a rate twice")
    shares = sum(part.endswith("%") for part in parts)
    if 0 < shares < len(parts):
        raise argparse.ArgumentTypeError(f"{text!r} has rates and shares: choose one kind")
    rising = tuple(sorted(numbers))
    return ((), tuple(each / 100 for each in rising)) if shares else (rising, ())


def _slo(text: str) -> str:
    try:
        return str(parse_slo(text))
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def _two_cores(text: str) -> tuple[int, int]:
    parts = text.split(",")
    if len(parts) != 2 or not all(part.isascii() and part.isdigit() for part in parts) or parts[0] == parts[1]:
        raise argparse.ArgumentTypeError(f"{text!r} is not two different cores, such as 1,0")
    return int(parts[0]), int(parts[1])


def _read(files: Sequence[Path]) -> list[dict[str, Any]]:
    """Read results; ValueError with a line that names the bad one."""
    found = []
    for file in files:
        try:
            found.append(store.read(file))
        except ValueError as error:
            raise ValueError(f"{file}: {error}") from error
    return found


def _sessions(before: Sequence[Path], after: Sequence[Path]) -> int:
    """Print what is better or worse over several sessions of each side; return the exit status."""
    try:
        read = _read([*before, *after])
    except ValueError as error:
        return _refuse(str(error))
    known: dict[object, Path] = {}
    for file, each in zip((*before, *after), read, strict=True):
        first = known.setdefault((each["started"], each["plan"]["seed"]), file)
        if first is not file:
            return _refuse(f"{first} and {file} are of one session, and count as one: give results of different ones")
    found = regression.of_sessions(read[: len(before)], read[len(before) :])
    if all(each.significance.ratio is None for each in found.found):
        return _refuse("no measurement is in all of these results: measure each side with the same options")
    say(differences.of_sessions(found))
    return _of_revisions(found.found)


def _differences(files: Sequence[Path]) -> int:
    """Print what seems better or worse from the first result to the second; return the exit status."""
    try:
        read = _read(files)
    except ValueError as error:
        return _refuse(str(error))
    found = regression.differences(*read)
    if not found.found:
        return _refuse(f"{files[0]} and {files[1]} have no measurement in common: {differences.text(found)}")
    say(differences.text(found))
    if all(each.significance.ratio is None for each in found.found):
        sys.stderr.write("tcplab: nothing can be compared: no measure has valid runs in both; measure again\n")
        return 1
    return 0
