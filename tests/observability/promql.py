"""A partial PromQL parser: which metrics an expression reads, by which labels."""

import re
from dataclasses import dataclass, field

WORD = re.compile(r"[A-Za-z_:][A-Za-z0-9_:]*")
STRING = re.compile(r'"(?:[^"\\]|\\.)*"')
MATCHER = re.compile(r'([A-Za-z_][A-Za-z0-9_]*)\s*(=~|!~|!=|=)\s*"((?:[^"\\]|\\.)*)"')
GROUPING = re.compile(r"\b(?:by|without|on|ignoring|group_left|group_right)\s*\(([^)]*)\)")
DURATION = re.compile(r"\[[^\]]*\]|\$__\w+")
NUMBER = re.compile(r"\d[\w.]*")
WORDS_OF_PROMQL = {"and", "or", "unless", "bool", "offset", "inf", "nan"}


@dataclass
class Selector:
    """A metric's name and label matchers: label -> (operator, value)."""

    metric: str
    matchers: dict[str, tuple[str, str]] = field(default_factory=dict)


def selectors(expr: str) -> list[Selector]:
    """Return the selectors of a PromQL expression in order."""
    bare = GROUPING.sub(" ", DURATION.sub(" ", expr))
    found: list[Selector] = []
    position = 0
    while position < len(bare):
        if string := STRING.match(bare, position):
            position = string.end()
            continue
        if number := NUMBER.match(bare, position):
            position = number.end()
            continue
        word = WORD.match(bare, position)
        if word is None:
            position += 1
            continue
        rest = bare[word.end() :].lstrip()
        position = word.end()
        if rest.startswith("(") or word[0].lower() in WORDS_OF_PROMQL:
            continue
        selector = Selector(word[0])
        if rest.startswith("{"):
            inside = bare[bare.index("{", position) + 1 : bare.index("}", position)]
            selector.matchers = {name: (operator, value) for name, operator, value in MATCHER.findall(inside)}
            position = bare.index("}", position) + 1
        found.append(selector)
    return found


def grouped_by(expr: str) -> set[str]:
    """Return the labels that the expression groups or joins by."""
    return {name.strip() for inside in GROUPING.findall(expr) for name in inside.split(",") if name.strip()}
