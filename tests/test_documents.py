"""The documents are short, use the project's words, and link to what there is."""

import re
from collections.abc import Iterator

import pytest

from tests.support.processes import ROOT

MAIN = "README.md"
UNCOUNTED = {"CHANGELOG.md", "servers/README.ru.md"}
ROOMS_OF_THEIR_OWN = {f"loadtest/{room}/README.md" for room in ("check", "lessons")}
PAGES = {"loadtest/GLOSSARY.md", "loadtest/LIMITS.md", "loadtest/compare/CLAIMS.md", *ROOMS_OF_THEIR_OWN}
ROOMS = ("servers", "loadtest", "prometheus", "grafana", "tests")
DOCUMENTS = {
    str(path.relative_to(ROOT)): path.read_text(encoding="utf-8")
    for path in [*ROOT.glob("*.md"), *(path for room in ROOMS for path in sorted((ROOT / room).rglob("*.md")))]
    if "results" not in path.parts
}


def words(text: str) -> int:
    """Return the number of words without code, comments, generated text, addresses of links, and the rows of faults."""
    patterns = (
        r"<!-- BEGIN (\w+).*? END \1 -->",
        r"<!--.*?-->",
        r"^```.*?^```$",
        r"^(?:    | {6}\S).*?$",
        r"(?<=\])\([^)]*\)",
    )
    text, faults, rows = text.partition("\n## Faults\n")
    text += faults + re.sub(r"^\|.*$", "", rows, flags=re.MULTILINE)
    for pattern in patterns:
        text = re.sub(pattern, "", text, flags=re.DOTALL | re.MULTILINE)
    return sum(1 for word in text.split() if re.search(r"\w", word))


def test_the_main_readme_is_short() -> None:
    assert words(DOCUMENTS[MAIN]) <= 1_000


def test_all_others_together_are_short() -> None:
    counted = {name: words(text) for name, text in DOCUMENTS.items() if name not in {MAIN, *UNCOUNTED, *PAGES}}
    assert len(counted) == 8
    assert sum(counted.values()) <= 9_000, counted


def test_the_pages_beside_are_short() -> None:
    """They have an allowance of their own, because they are not on the way to any result."""
    assert sum(words(DOCUMENTS[name]) for name in PAGES) <= 1_150


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("# One two\n\n**three** [four](no/word.md) - `five six`, 7\n", 7),
        ("one\n\n    code here\n\n- two\n  three\n\n```sh\ncode\n```\n", 3),
        ("one <!-- not this -->\n<!-- BEGIN it: from there -->\n| a | b |\n<!-- END it -->\ntwo\n", 2),
        ("| one | two |\n|---|---|\n\n## Faults\n\n| a | b |\n\nfour\n", 4),
    ],
)
def test_only_words_of_prose_are_counted(text: str, number: int) -> None:
    assert words(text) == number


@pytest.mark.parametrize("name", sorted(DOCUMENTS.keys() - UNCOUNTED))
def test_a_document_uses_plain_words(name: str) -> None:
    assert re.findall(r"whoever|dawdl\w+|\bamiss\b", DOCUMENTS[name], re.IGNORECASE) == []


def anchors(text: str) -> set[str]:
    headings = re.findall(r"^#+ (.+)$", re.sub(r"^```.*?^```$", "", text, flags=re.DOTALL | re.MULTILINE), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def broken(name: str) -> Iterator[str]:
    """Yield the links of a document that lead to no file or heading."""
    folder = (ROOT / name).parent
    for link in re.findall(r"\]\(([^)\s]+)\)", DOCUMENTS[name]):
        path, _, anchor = link.partition("#")
        file = folder / path if path else ROOT / name
        if "://" in link:
            continue
        if not file.exists() or (anchor and anchor not in anchors(file.read_text(encoding="utf-8"))):
            yield link


@pytest.mark.parametrize("name", DOCUMENTS)
def test_links_lead_to_files_and_headings(name: str) -> None:
    assert list(broken(name)) == []


@pytest.mark.parametrize("name", ["loadtest/README.md", "loadtest/compare/README.md"])
def test_every_module_has_a_room(name: str) -> None:
    """A table with the heading "room" names each module and folder beside the document, and nothing else."""
    table = DOCUMENTS[name].partition("| room | what is in it |\n")[2].partition("\n\n")[0]
    first = " ".join(row.split("|")[1] for row in table.splitlines()[1:])
    named = {part.rstrip("/") for part in re.findall(r"[\w.]+/?(?=[`\]])", first)}
    folder = (ROOT / name).parent
    there = {path.name for path in folder.glob("*.py") if not path.name.startswith("__")}
    assert named == there | {path.parent.name for path in folder.glob("*/__init__.py")}
