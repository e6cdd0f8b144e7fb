"""Text from anywhere, such as a result that somebody sent, made harmless for where it is written."""

import html
import re
import unicodedata
from typing import Final

_CONTROLS: Final = frozenset({"Cc", "Cf", "Cn", "Co", "Cs", "Zl", "Zp"})
_SIGNS: Final = re.compile(r"[\\`*_<>|#\[\]~&$@]|(?<=www)\.|:(?=//)")
_LEADING: Final = re.compile(r"^(?:(?=[-+=])|(\d+)(?=[.)]))")


def visible(text: str) -> str:
    """Return `text` with what can't be seen, and may move a terminal's cursor or end a line, as Python writes it."""
    return "".join(_seen(sign) for sign in text)


def visible_lines(text: str) -> str:
    """Return `text` likewise, its lines left as they are."""
    return "\n".join(visible(line) for line in text.split("\n"))


def _seen(sign: str) -> str:
    if unicodedata.category(sign) not in _CONTROLS:
        return sign
    return sign.encode("unicode_escape", "surrogatepass").decode("ascii")


def markup(text: str) -> str:
    """Return `text` as HTML and SVG show it, between tags or as an attribute in quotation marks."""
    return html.escape(visible(text))


def markdown(text: str) -> str:
    """Return `text` as a line that Markdown, and HTML within it, leave as it is."""
    plain = visible(" ".join(text.split()))
    return _LEADING.sub(lambda found: f"{found[1] or ''}\\", _SIGNS.sub(lambda found: f"\\{found[0]}", plain))
