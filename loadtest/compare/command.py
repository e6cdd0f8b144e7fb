"""The commands: python -m loadtest compare, python -m loadtest report."""

import argparse
import resource
import shlex
import shutil
import sys
import tempfile
from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from datetime import datetime
from pathlib import Path
from typing import Any, Final

from loadtest import run_warnings
from loadtest.compare import candidates, conditions, interpreters, resume, revision, store
from loadtest.compare import cores as core_sets
from loadtest.compare.analysis import regression, slo_check, sustained
from loadtest.compare.analysis.measures import CLOSED_LOOP
from loadtest.compare.analysis.pairwise import Pair
from loadtest.compare.analysis.significance import Answer
from loadtest.compare.analysis.summary import summaries
from loadtest.compare.candidates import LAB, TEXTBOOK, Candidate
from loadtest.compare.comparison import Comparison, begun, rough_duration
from loadtest.compare.escaping import visible
from loadtest.compare.measure import machine
from loadtest.compare.measure.run import ROOT, Laboratory, silence
from loadtest.compare.options import MISSED, UNANSWERED, UNTOLD, WORSE, Parser, parse
from loadtest.compare.plan import MIN_RUNS, Plan, chosen, indicative, thorough
from loadtest.compare.report import differences, files, headline, next_step, table
from loadtest.lab.processes import INTERRUPTED, Children, Interrupt, say
from loadtest.scenarios import SCENARIOS

SPARE_DESCRIPTORS: Final = 100
"""Descriptors of a server or the load besides its clients' sockets."""


def compare(arguments: Sequence[str], laboratory: type[Laboratory] = Laboratory) -> int:
    """Compare servers, or two results; return the exit status."""
    options = parse(arguments)
    if options.others:
        return _sessions(options.results, options.others)
    if options.results:
        return _differences(options.results)
    if options.resume:
        return _resume(options.resume, laboratory)
    with tempfile.TemporaryDirectory(prefix="tcplab-") if options.against else nullcontext("") as before:
        try:
            plan = _plan(options, Path(before))
            cores = core_sets.share(options.cores, options.server_cores, machine.usable_cores())
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
    parser = Parser(
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
        "--loops": options.loops,
        "--switch-intervals": options.switch_intervals,
        "--python": options.python,
        "--server-cores": options.server_cores,
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
    for name, value in {"--build": options.build, "--repository": options.repository}.items():
        if value and not options.against:
            raise ValueError(f"{name} is for --against REVISION: name one, or omit it")
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
        ("rates",) if options.rates or options.server_cores else ("conversation",) if options.slo else ("saturate",)
    )
    if options.slo and not options.rates and not any(slo_check.applies_to(SCENARIOS[name]) for name in scenarios):
        raise ValueError(
            f"--slo cannot be judged in {', '.join(scenarios)} ({CLOSED_LOOP}): choose a scenario in which clients"
            f" pause, such as {', '.join(name for name in SCENARIOS if slo_check.applies_to(SCENARIOS[name]))}"
        )
    leaving = [name for name in scenarios if SCENARIOS[name].requests is not None]
    if "rloop" in options.loops and leaving:
        raise ValueError(
            f"rloop never closes a connection, so that clients who leave in {leaving[0]} would use up its descriptors:"
            f" choose scenarios in which they stay ({', '.join(conditions.STAYING)}), or omit rloop"
        )
    rising = all(SCENARIOS[name].paced for name in scenarios)
    rates, shares = options.rates or ((), core_sets.shares(options.server_cores) if rising else ())
    if options.against and options.python:
        raise ValueError("--against starts both revisions by the Python that runs this: omit --python")
    if options.repository and (variants or options.loops or options.switch_intervals or not own):
        raise ValueError("--repository has your own server, not the lab's: give its command by --server alone")
    about = conditions.chosen_by(options.loops, options.switch_intervals)
    about = list(variants) or about or ([] if options.against and own else [*TEXTBOOK])
    of_the_lab = conditions.under(
        (LAB[name] for name in about),
        loops=options.loops,
        intervals=options.switch_intervals,
        pythons=options.python,
        cores=tuple(dict.fromkeys(options.server_cores)),
    )
    some = [*of_the_lab, *own]
    if len({each.name for each in some}) < len(some):
        raise ValueError(f"two servers have the same name: {', '.join(each.name for each in some)}")
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
    now = options.repository or ROOT
    commit = revision.check_out(options.against, before, now)
    if options.build:
        for folder in (now, before):
            revision.build(options.build, folder)
    return [each for candidate in some for each in revision.both(candidate, before, commit, now)]


def _find_all(some: Sequence[Candidate]) -> None:
    """Raise ValueError if a running server does not answer an ECHO, or what starts one is missing."""
    interpreters.check(some)
    for candidate in some:
        program = candidate.command[0] if candidate.command else ""
        if program and not interpreters.path_of(program, Path(candidate.folder or ROOT)):
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
    cores = core_sets.leave_to_servers(cores)
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
    if comparison.result["interrupted"] and resume.is_possible(comparison.result):
        say(f"\nTo go on, with the repeats that are whole: {_to_resume(folder)}")
    else:
        say(f"\n{next_step.text(comparison.result)}")
    return _status(comparison, pairs, strict=strict)


def _status(comparison: Comparison, pairs: Sequence[Pair], *, strict: bool) -> int:
    """Return the exit status for what was measured. pairs: as from an earlier revision."""
    if comparison.result["interrupted"]:
        return INTERRUPTED
    if comparison.failed:
        return 1
    if strict and (slo_check.is_missed(comparison.result) or sustained.is_missed(comparison.result)):
        return MISSED
    if _left_clients_unanswered(comparison.result):
        return UNANSWERED
    if regression.is_untold(comparison.result, pairs):
        sys.stderr.write("tcplab: too few valid runs for a verdict: the warnings say why; measure again\n")
        return 1
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
