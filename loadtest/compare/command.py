"""The commands: python -m loadtest compare, python -m loadtest report."""

import argparse
import resource
import shlex
import shutil
import tempfile
from collections.abc import Sequence
from contextlib import nullcontext
from datetime import datetime
from pathlib import Path
from typing import Any, Final

from loadtest import run_warnings
from loadtest.compare import candidates, conditions, resume, revision, store
from loadtest.compare import cores as core_sets
from loadtest.compare.analysis import regression, slo_check, sustained
from loadtest.compare.analysis.measures import CLOSED_LOOP
from loadtest.compare.analysis.pairwise import Pair
from loadtest.compare.analysis.significance import Answer
from loadtest.compare.analysis.summary import summaries
from loadtest.compare.candidates import LAB, TEXTBOOK, Candidate
from loadtest.compare.comparison import Comparison, begun, rough_duration
from loadtest.compare.measure import machine
from loadtest.compare.measure.run import ROOT, Laboratory, silence
from loadtest.compare.options import MISSED, UNANSWERED, UNTOLD, WORSE, parse
from loadtest.compare.plan import MIN_RUNS, Plan, chosen, from_json, indicative, thorough
from loadtest.compare.refusal import Parser, refuse
from loadtest.compare.report import differences, files, headline, next_step, table
from loadtest.lab.processes import INTERRUPTED, Children, Interrupt, say
from loadtest.scenarios import SCENARIOS

_SPARE: Final = 100  # descriptors of a server or the load besides its clients' sockets

_CHOICES: Final = (
    *("variants", "loops", "switch_intervals", "python", "server_cores", "scenarios", "clients", "rates", "sizes"),
    *("seconds", "warmup", "repeats", "against"),
)
"""Options that choose what is measured."""


def compare(arguments: Sequence[str], laboratory: type[Laboratory] = Laboratory) -> int:
    """Compare servers, or results; return the exit status."""
    options = parse(arguments)
    if options.results:
        return _results(options.results, options.others)
    with tempfile.TemporaryDirectory(prefix="tcplab-") if options.against else nullcontext("") as before:
        try:
            comparison, cores = _resumed(options.resume) if options.resume else _new(options, arguments, Path(before))
        except ValueError as error:
            return refuse(str(error))
        except KeyboardInterrupt:  # while the other revision is built
            say("interrupted")
            return INTERRUPTED
        return _compare(comparison, cores, laboratory)


def _new(options: argparse.Namespace, arguments: Sequence[str], before: Path) -> tuple[Comparison, machine.Cores]:
    """Return a new comparison, and its cores; ValueError with a line. before: as in `_plan`."""
    plan = _plan(options, before)
    cores = core_sets.share(options.cores, options.server_cores, machine.usable_cores())
    _check(plan)
    folder = store.prepare(options.output, datetime.now().astimezone())
    about = machine.describe()  # before this process leaves a core to the server
    command = ("python", "-m", "loadtest", "compare", *arguments)
    return Comparison(plan, folder, begun(plan, cores, about, command)), cores


def _resumed(folder: Path) -> tuple[Comparison, machine.Cores]:
    """Return an interrupted comparison from its folder or result, and its cores; ValueError with a line."""
    file = folder / store.RESULT if folder.is_dir() else folder
    try:
        found = store.read(file)
        resume.check(found, ROOT)
        plan = from_json(found["plan"])
        cores = resume.pinned(found, machine.usable_cores())
        _check(plan)
    except ValueError as error:
        raise ValueError(f"{file}: {error}") from error
    return Comparison(plan, file.parent.resolve(), resume.resumed(found, datetime.now().astimezone())), cores


def draw(arguments: Sequence[str]) -> int:
    """Draw the reports of a result again, into its folder; return the exit status."""
    parser = Parser(
        prog="python -m loadtest report",
        allow_abbrev=False,
        description="Draw a comparison's page, picture and Markdown again, from its JSON alone.",
    )
    parser.add_argument("result", type=Path, metavar="JSON")
    file = parser.parse_args(arguments).result
    try:
        result = store.read(file)
        files.draw(result, file.parent)
    except (ValueError, OSError) as error:
        return refuse(f"{file}: {error}")
    say(f"{table.text(result)}\n\n{_files(file.parent)}")
    return 0


def _plan(options: argparse.Namespace, before: Path) -> Plan:
    """Return the plan; ValueError with a line if options contradict each other. before: a folder for --against."""
    given = [f"--{name.replace('_', '-')}" for name in _CHOICES if getattr(options, name)]
    other = next((name for name in given if name != "--variants"), "")
    if options.thorough and other:
        raise ValueError(f"--thorough sets its own {other}: omit one of the two")
    some = _candidates(options)
    slo = str(options.slo or "")
    if options.thorough:
        return thorough(options.seed, some, slo)
    if not (given or options.server or options.ceiling or options.memory or slo):
        return indicative(options.seed)
    # Clients that never pause have no latency to judge.
    scenarios = options.scenarios or (
        ("rates",) if options.rates or options.server_cores else ("conversation",) if slo else ("saturate",)
    )
    judged = [name for name, each in SCENARIOS.items() if slo_check.applies_to(each)]
    if slo and not options.rates and not {*scenarios}.intersection(judged):
        raise ValueError(
            f"--slo cannot be judged in {', '.join(scenarios)} ({CLOSED_LOOP}): choose a scenario in which clients"
            f" pause, such as {', '.join(judged)}"
        )
    staying = [name for name, each in SCENARIOS.items() if each.requests is None]
    leaving = [name for name in scenarios if name not in staying]
    if "rloop" in options.loops and leaving:
        raise ValueError(
            f"rloop never closes a connection, so that clients who leave in {leaving[0]} would use up its descriptors:"
            f" choose scenarios in which they stay ({', '.join(staying)}), or omit rloop"
        )
    swept = [name for name in scenarios if options.rates or SCENARIOS[name].paced]
    if swept and max(len(swept), len(options.sizes)) > 1:
        raise ValueError("rates are of one load: name one scenario that has rates, and one size; compare others apart")
    rising = all(SCENARIOS[name].paced for name in scenarios)
    rates, shares = options.rates or ((), core_sets.shares(options.server_cores) if rising else ())
    return chosen(
        options.seed,
        _with_before(some, options, before) if options.against else some,
        scenarios=scenarios,
        clients=options.clients,
        rates=rates,
        shares=shares,
        sizes=options.sizes,
        repeats=options.repeats or (MIN_RUNS if options.against else 1),
        seconds=options.seconds,
        warmup=options.warmup,
        ceiling=options.ceiling,
        memory=options.memory,
        slo=slo,
    )


def _candidates(options: argparse.Namespace) -> list[Candidate]:
    """Return the lab's servers under all conditions, and the user's own; ValueError with a line on a contradiction."""
    for name, value in {"--build": options.build, "--repository": options.repository}.items():
        if value and not options.against:
            raise ValueError(f"{name} is for --against REVISION: name one, or omit it")
    if options.against and options.python:
        raise ValueError("--against starts both revisions by the Python that runs this: omit --python")
    if options.against and options.server_cores:
        raise ValueError("--against gives both revisions the same cores: choose them by --cores, not --server-cores")
    named = options.variants or [
        *(("asyncio", "protocol") if options.loops else ()),
        *(("threaded",) if options.switch_intervals else ()),
    ]
    if options.repository and (named or not options.server):
        raise ValueError("--repository has your own server, not the lab's: give its command by --server alone")
    usual = () if options.against and options.server else TEXTBOOK
    of_the_lab = conditions.under(
        (LAB[name] for name in named or usual),
        loops=options.loops,
        intervals=options.switch_intervals,
        pythons=options.python,
        cores=options.server_cores,
    )
    some = [*of_the_lab, *(candidates.own(text, number) for number, text in enumerate(options.server))]
    names = [each.name for each in some]
    if len(set(names)) < len(names):
        raise ValueError(f"two servers have the same name: {', '.join(names)}")
    return some


def _with_before(some: Sequence[Candidate], options: argparse.Namespace, before: Path) -> list[Candidate]:
    """Return each candidate, and after it the same at an earlier revision, built if asked for."""
    now = options.repository or ROOT
    commit = revision.check_out(options.against, before, now)
    for folder in (now, before) if options.build else ():
        revision.build(options.build, folder)
    return [each for candidate in some for each in revision.both(candidate, before, commit, now)]


def _check(plan: Plan) -> None:
    """Raise ValueError if a server can't be started, or doesn't answer an ECHO, or too few sockets may be opened."""
    conditions.check(plan.candidates)
    for candidate in plan.candidates:
        program = candidate.command[0] if candidate.command else ""
        if program and not conditions.path_of(program, Path(candidate.folder or ROOT)):
            raise ValueError(f"{candidate.name} can't be started: there is no program {program}; correct its command")
        if candidate.address and (why := silence(candidate.address)):
            raise ValueError(
                f"{candidate.name} does not answer at {candidate.address}: {why}; start it, or correct the address"
            )
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    clients = max((task.workload.clients for task in plan.tasks), default=0)
    if hard != resource.RLIM_INFINITY and clients + _SPARE > hard:
        raise ValueError(
            f"{clients:,} clients need {clients + _SPARE:,} descriptors, and a process may open {hard:,} here: raise"
            f" ulimit -n, or ask for {max(0, hard - _SPARE):,} clients"
        )


def _compare(comparison: Comparison, cores: machine.Cores, laboratory: type[Laboratory]) -> int:
    """Measure what is planned and report; return the exit status."""
    plan, folder = comparison.plan, comparison.folder
    cores = core_sets.leave_to_servers(cores)
    work = folder / ".work"
    shutil.rmtree(work, ignore_errors=True)  # a comparison that was killed leaves it
    try:
        work.mkdir()
    except OSError as error:
        return refuse(f"{store.shown(work)} can't be made: {error.strerror}; make that folder yours")
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
            return refuse(
                f"the result could not be kept in {store.shown(folder)}: {error.strerror or error}; free space there,"
                f" or name another folder with --output. {store.RESULT} has what was measured before",
                1,
            )
        finally:
            shutil.rmtree(work, ignore_errors=True)
        pairs = regression.of_revisions(comparison.result)
        told = f"{differences.of_revisions(pairs)}\n\n" if pairs else ""
        say(f"\n{told}{headline.text(comparison.result) or table.text(comparison.result)}\n\n{_files(folder)}")
    if comparison.result["interrupted"] and resume.is_possible(comparison.result):
        say(f"\nTo go on, with the repeats that are whole: {_to_resume(folder)}")
    else:
        say(f"\n{next_step.text(comparison.result)}")
    return _status(comparison, pairs)


def _status(comparison: Comparison, pairs: Sequence[Pair]) -> int:
    """Return the exit status for what was measured. pairs: as from an earlier revision."""
    result = comparison.result
    if result["interrupted"]:
        return INTERRUPTED
    if comparison.failed:
        return 1
    asked = any(word.partition("=")[0] == "--slo" for word in result["command"])
    if asked and (slo_check.is_missed(result) or sustained.is_missed(result)):
        return MISSED
    warnings = (each for summary in summaries(result) for run in summary.shown for each in run.warnings)
    if any(each.name in run_warnings.UNANSWERED for each in warnings):
        return UNANSWERED
    if regression.is_untold(result, pairs):
        return refuse("too few valid runs for a verdict: the warnings say why; measure again", 1)
    return _of_revisions(pairs)


def _of_revisions(pairs: Sequence[Pair]) -> int:
    """Return the exit status for what changed since an earlier revision."""
    if any(regression.is_worse(each) for each in pairs):
        return WORSE
    told = {Answer.DIFFERENT, Answer.EQUIVALENT}
    return 0 if all(each.significance.answer in told for each in pairs) else UNTOLD


def _files(folder: Path) -> str:
    """Return the paths of the written files."""
    kinds = {"Page": store.PAGE, "Picture": store.PICTURE, "Markdown": store.MARKDOWN, "Figures": store.RESULT}
    return "\n".join(f"{kind + ':':10}{store.shown(folder / name)}" for kind, name in kinds.items())


def _to_resume(folder: Path) -> str:
    return f"python -m loadtest compare --resume {shlex.quote(str(store.shown(folder)))}"


def _results(files: Sequence[Path], others: Sequence[Path]) -> int:
    """Print what is better or worse from one result to another, or over several of each side; return the status."""
    read = []
    for file in (*files, *others):
        try:
            read.append(store.read(file))
        except ValueError as error:
            return refuse(f"{file}: {error}")
    if others:
        return _sessions([*files, *others], read, len(files))
    found = regression.differences(*read)
    if not found.found:
        return refuse(f"{files[0]} and {files[1]} have no measurement in common: {differences.text(found)}")
    say(differences.text(found))
    if all(each.significance.ratio is None for each in found.found):
        return refuse("nothing can be compared: no measure has valid runs in both; measure again", 1)
    return 0


def _sessions(files: Sequence[Path], read: Sequence[dict[str, Any]], before: int) -> int:
    """Print what is better or worse over sessions, of which so many are from before; return the exit status."""
    known: dict[object, Path] = {}
    for file, each in zip(files, read, strict=True):
        first = known.setdefault((each["started"], each["plan"]["seed"]), file)
        if first is not file:
            return refuse(f"{first} and {file} are of one session, and count as one: give results of different ones")
    found = regression.of_sessions(read[:before], read[before:])
    if all(each.significance.ratio is None for each in found.found):
        return refuse("no measurement is in all of these results: measure each side with the same options")
    say(differences.of_sessions(found))
    return _of_revisions(found.found)
