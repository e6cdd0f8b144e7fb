"""The command: python -m loadtest publish, which `make publish` and `make publish-check` call."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Final

from loadtest.compare import store
from loadtest.compare.measure.run import ROOT
from loadtest.compare.publish import known, published, tables
from loadtest.compare.publish.published import Published
from loadtest.compare.publish.words import ENGLISH, RUSSIAN, Language
from loadtest.compare.refusal import Parser, refuse
from loadtest.compare.report.html import page
from loadtest.lab.processes import say
from servers.write import Part, written

PICTURE: Final = "loadtest/compare/example.svg"

STALE: Final = 1
"""The exit status of a check that finds figures which don't hold, or which aren't those of the results."""

_SERVERS: Final = ("measured", *(name for name in tables.TABLES if name != "answer"))

_FILES: Final[Mapping[str, tuple[Language, tuple[str, ...]]]] = {
    "README.md": (ENGLISH, ("answer", "measured")),
    "servers/README.md": (ENGLISH, _SERVERS),
    "servers/README.ru.md": (RUSSIAN, _SERVERS),
    "loadtest/compare/README.md": (ENGLISH, ("machines",)),
    "loadtest/compare/CLAIMS.md": (ENGLISH, ("known",)),
}
"""The files with figures: language, and the names of their marks."""


def publish(arguments: Sequence[str], root: Path = ROOT) -> int:
    """Write every measured figure from the published results, or check them; return the exit status."""
    parser = Parser(
        prog="python -m loadtest publish",
        allow_abbrev=False,
        description="Write the measured figures of all READMEs from the results in loadtest/compare/published/. With a"
        " result: publish it first, in the place of an earlier one of the same kind and machine.",
        epilog=f"Exit status: 0; {STALE} if --check finds figures that don't hold; 2 for a bad option or file.",
    )
    parser.add_argument("result", type=Path, nargs="?", metavar="JSON", help="a comparison's result, to publish")
    parser.add_argument(
        "--renew",
        type=Path,
        metavar="JSON",
        help="a comparison with the published commit (compare --against), in which nothing is better or worse: the"
        " figures count as measured for today's code too",
    )
    parser.add_argument("--check", action="store_true", help="write nothing; say whether all figures hold")
    options = parser.parse_args(arguments)
    if (options.result is not None) + (options.renew is not None) + options.check > 1:
        parser.error("a result, --renew and --check go alone: omit the others")
    folder = root / "loadtest/compare/published"
    try:
        if options.result:
            say(f"published: {store.shown(published.add(store.read(options.result), folder))}")
        if options.renew:
            for path in published.renew(store.read(options.renew), folder):
                say(f"renewed: {store.shown(path)}")
        every = published.every(folder)
        if not every:
            raise ValueError(f"nothing is published in {store.shown(folder)}: name a result")  # noqa: TRY301
        texts = dict(_texts(every, root))
    except (ValueError, OSError) as error:
        return refuse(f"{options.result or options.renew or 'publish'}: {error}")
    if options.check:
        return _check(every, texts, root)
    for name, text in texts.items():
        (root / name).write_text(text, encoding="utf-8")
    return 0


def _check(every: Sequence[Published], texts: Mapping[str, str], root: Path) -> int:
    """Say in a line each what doesn't hold; return the exit status."""
    shown = {one.name for mark in tables.TABLES if (one := _shown(every, ENGLISH, mark))}
    said = [
        f"{name} has other figures than the published results: run make publish"
        for name, text in texts.items()
        if not (root / name).is_file() or (root / name).read_text(encoding="utf-8") != text
    ]
    said += [
        f"{one.name} is of commit {one.commit}; changed since: {', '.join(changed)}; measure it again and publish it,"
        f" or show that nothing is better or worse (compare --against {one.commit}, then publish --renew JSON)"
        for one in every
        if (one.machine == every[0].machine or one.name in shown) and (changed := one.changed(root))
    ]
    for line in said:
        refuse(line)
    return STALE if said else 0


def _texts(every: Sequence[Published], root: Path) -> Iterator[tuple[str, str]]:
    """Yield each file with figures, as it should be."""
    for name, (language, marks) in _FILES.items():
        parts: dict[str, Part] = {mark: partial(_lines, every, language, mark, root) for mark in marks}
        try:
            yield name, written((root / name).read_text(encoding="utf-8"), parts)
        except ValueError as error:
            raise ValueError(f"{name} {error}") from None
    yield PICTURE, page.picture(every[0].result)


def _lines(every: Sequence[Published], language: Language, mark: str, root: Path, _: object) -> Iterator[str]:
    lines: Iterable[str]
    if mark == "machines":
        lines = tables.machines(every, language)
    elif mark == "known":
        lines = known.table(every, language)
    elif mark == "measured":
        lines = tables.measured(every[0], language, root)
    else:
        lines = _table(every, language, mark)
    yield from ("", *(tuple(lines) or (language.text("nothing"),)), "")


def _table(every: Sequence[Published], language: Language, mark: str) -> Iterator[str]:
    """Yield a table, with its source."""
    one = _shown(every, language, mark)
    if not one:
        return
    yield from tables.TABLES[mark](one, language)
    if mark != "answer":  # which has the machine and the commit beside it
        elsewhere = f" {language.text('elsewhere', machine=tables.machine(one))}"
        yield tables.source(one, language) + (elsewhere if one.machine != every[0].machine else "")


def _shown(every: Sequence[Published], language: Language, mark: str) -> Published | None:
    """Return the first result that has a table, of the machine that the READMEs show if there is one."""
    here_first = sorted(every, key=lambda each: each.machine != every[0].machine)
    return next((one for one in here_first if any(tables.TABLES[mark](one, language))), None)
