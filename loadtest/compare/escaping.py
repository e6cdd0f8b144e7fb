"""Makes untrusted text, such as that of a foreign result, harmless in a terminal, HTML and Markdown."""

import html
import re
import unicodedata
from typing import Final

_CONTROLS: Final = frozenset({"Cc", "Cf", "Cn", "Co", "Cs", "Zl", "Zp"})
_SIGNS: Final = re.compile(r"[\\`*_<>|#\[\]~&$@]|(?<=www)\.|:(?=//)")
_LEADING: Final = re.compile(r"^(?:(?=[-+=])|(\d+)(?=[.)]))")


def visible(text: str) -> str:
    """Return `text` with invisible characters, which may move a terminal's cursor, as Python escapes."""
    return "".join(
        sign.encode("unicode_escape", "surrogatepass").decode("ascii")
        if unicodedata.category(sign) in _CONTROLS
        else sign
        for sign in text
    )


def visible_lines(text: str) -> str:
    """Do the same, but keep line ends."""
    return "\n".join(visible(line) for line in text.split("\n"))


def markup(text: str) -> str:
    """Escape `text` for HTML and SVG, between tags or in a quoted attribute."""
    return html.escape(visible(text))


def markdown(text: str) -> str:
    """Escape `text` as one line of Markdown, which may contain HTML."""
    plain = visible(" ".join(text.split()))
    return _LEADING.sub(lambda found: f"{found[1] or ''}\\", _SIGNS.sub(lambda found: f"\\{found[0]}", plain))
