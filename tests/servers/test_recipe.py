"""The README's recipe for a new model, done word by word in a copy of the tree."""

import re
from pathlib import Path

import pytest

from servers import write
from tests.support.copies import add_model, copy_tree, run
from tests.support.processes import ROOT


@pytest.fixture(scope="module")
def recipe() -> str:
    """Return the section of the README."""
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    return text.partition("\n### Your own model\n")[2].partition("\n## ")[0]


def blocks(recipe: str) -> tuple[str, str]:
    """Return its two blocks of code: the model and the row."""
    model, row = re.findall(r"```(?:python)?\n(.*?)```\n", recipe, re.DOTALL)
    return model, row


@pytest.fixture(scope="module")
def done(recipe: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a copy in which the recipe's file and row are, and what `make variants` runs was run."""
    root = copy_tree(tmp_path_factory.mktemp("mine"))
    assert "`servers/models/mine.py`" in recipe
    add_model(root, "mine", *blocks(recipe))
    assert "\n    make variants\n" in recipe
    rule = (root / "Makefile").read_text().partition("\nvariants:")[2].partition("\n\n")[0]
    commands = re.findall(r"^\t\.venv-dev/bin/python (.+)$", rule, re.MULTILINE)
    assert len(commands) == 2
    for command in commands:
        run(root, *command.split())
    return root


def test_the_model_has_ten_lines(recipe: str) -> None:
    model, _ = blocks(recipe)
    assert len([line for line in model.splitlines() if line]) == 10


def test_what_the_recipe_asks_is_passed(recipe: str, done: Path) -> None:
    [asked] = re.findall(r"^    \.venv-dev/bin/python (-m pytest .+)$", recipe, re.MULTILINE)
    assert re.search(r"\d{2,} passed", run(done, *asked.split(), timeout=300))


def test_nothing_else_is_missing_after_the_recipe(done: Path) -> None:
    said = run(done, "-m", "pytest", "-q", "tests/test_directions.py", "tests/e2e/test_composition.py", timeout=300)
    assert " failed" not in said
    assert "mine" in (done / "grafana" / "dashboards" / "compare.json").read_text(encoding="utf-8")


@pytest.mark.parametrize("file", write.FILES)
def test_only_what_is_between_the_marks_changes(file: str, done: Path) -> None:
    def outside(root: Path) -> str:
        return re.sub(r"(BEGIN (\w+).*?\n).*?(END \2\b)", r"\1\3", (root / file).read_text(), flags=re.DOTALL)

    assert outside(done) == outside(ROOT)
    assert "mine" in (done / file).read_text().lower()


@pytest.mark.parametrize("file", write.FILES)
def test_comments_outside_the_marks_stay(file: str) -> None:
    text = (ROOT / file).read_text(encoding="utf-8")
    marks = "|".join(write.FILES[file])  # others are written by `make publish`
    commented = re.sub(rf"^( *(#|<!--) END (?:{marks})\b)", r"# in between\n\1", text, flags=re.MULTILINE)
    again = write.written(f"# by hand\n{commented}# by hand\n", write.FILES[file])
    assert again == "# by hand\n" + text + "# by hand\n"


def test_marks_that_are_missing_are_named() -> None:
    with pytest.raises(ValueError, match="'# BEGIN ports' and '# END ports'"):
        write.written("TCPLAB_PORT_SINGLE=9001\n# END ports\n", write.FILES[".env"])
