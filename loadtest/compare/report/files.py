"""Writes all reports, from the result alone."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from loadtest import atomic_write
from loadtest.compare import store
from loadtest.compare.report import markdown
from loadtest.compare.report.html import page


def draw(result: Mapping[str, Any], folder: Path) -> None:
    """Write page, picture and Markdown of a result to `folder`; OSError if they can't be kept there."""
    atomic_write.write(folder / store.PAGE, page.html(result))
    atomic_write.write(folder / store.PICTURE, page.picture(result))
    atomic_write.write(folder / store.MARKDOWN, markdown.text(result))
