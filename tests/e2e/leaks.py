"""Finds secrets in a text: a log, an image's history, a container's settings."""

import re

KNOWN = re.compile(
    r"BEGIN [A-Z ]*PRIVATE KEY"
    r"|(?i:authorization\W{1,4}(?:bearer|basic|token) +)\S+"
    r"|\b[Bb]earer +[A-Za-z0-9+/=_.~-]{16,}"
    r"|\b(?:gh[oprsu]|github_pat|glsa|glc)_\w{16,}|\bAKIA[0-9A-Z]{16}\b|\beyJ[\w-]{8,}\.eyJ[\w-]{8,}\.[\w-]+"
)
"""Keys and tokens with a known format."""

ADDRESS = re.compile(r"://[^/\s:@\"']*:(?P<value>[^/\s@\"']+)@")
"""A password in an address."""

WORDS = r"(?:passw(?:or)?d|passphrase|secret|token|credential|(?:api|access|private|signing|encryption)[_-]?key)"

SETTING = re.compile(
    rf"(?i)(?P<name>[\w.-]*{WORDS}[\w.-]*)\\?[\"']?(?P<sign>[ \t]+=[ \t]*|=|[ \t]*:[ \t]*)\\?[\"']?"
    r"(?P<value>[^\s\"'\\,;(){}\[\]<>][^\s\"'\\,;]*)"
)
"""A setting with a secret's name and a value: in the environment, YAML, JSON or a log line."""

OPTION = re.compile(rf"(?i)--[\w-]*{WORDS} +(?P<value>[^\s\"'-][^\s\"']*)")
"""The same on a command line, with a space between name and value."""

ACTIONS = frozenset({"add", "create", "delete", "list", "read", "remove", "reset", "set", "update", "use", "write"})
"""A permission's actions; Grafana writes one as `users.authtoken:read`."""

COUNTED = re.compile(r"(?i)(?:s|[_-](?:bytes|count|days|hours|length|minutes|ms|seconds))$")
PLACE = re.compile(r"(?i)_(?:file|path|dir)$")


def leaks(text: str) -> list[str]:
    """Return each place in a text with a secret's value; a secret's name alone is harmless."""
    return [
        *(found[0] for found in KNOWN.finditer(text)),
        *(found[0] for found in ADDRESS.finditer(text) if not _is_hidden(found["value"])),
        *(found[0] for found in OPTION.finditer(text) if not _is_hidden(found["value"])),
        *(found[0] for found in SETTING.finditer(text) if not (_is_hidden(found["value"]) or _is_harmless(found))),
    ]


def _is_hidden(value: str) -> bool:
    """Return whether a value is masked, absent, or the name of a variable that holds it."""
    return re.fullmatch(r"(?:\*+|[xX]{3,}|(?i:redacted|hidden|none|null)|\$\{?[A-Za-z_]\w*)[])}.]*", value) is not None


def _is_harmless(setting: re.Match[str]) -> bool:
    """Return whether the value is a switch, a count, a file name, or a permission's action."""
    name, sign, value = setting["name"], setting["sign"], setting["value"].rstrip("])}.")
    return (
        value.lower() in {"true", "false"}
        or (value.isdigit() and COUNTED.search(name) is not None)
        or (value.startswith("/") and PLACE.search(name) is not None)
        or (value in ACTIONS and sign == ":" and ("." in name or name.endswith("s")))
    )
