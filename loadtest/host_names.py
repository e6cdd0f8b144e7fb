"""Names and addresses of hosts, as people write them."""

import re
from ipaddress import ip_address
from typing import Final, NamedTuple

_NAME: Final = re.compile(r"(\[[0-9a-f:.]+\]|[a-z0-9._-]*[a-z0-9_-])\.?(?::([0-9]{1,5}))?", re.ASCII)


class Place(NamedTuple):
    """A host: a name in small letters, or an address; port: None if it isn't given."""

    name: str
    port: int | None


def place(text: str) -> Place | None:
    """Parse "name", "name:port", "address:port" or "[address]:port"; None if it is none of these."""
    found = _NAME.fullmatch(text.lower())
    if found is None:
        return None
    name, port = found[1], None if found[2] is None else int(found[2])
    if name.startswith("["):
        try:
            name = str(ip_address(name[1:-1]))
        except ValueError:
            return None
    return Place(name, port)


def names(listed: str) -> frozenset[str]:
    """Parse names with commas between; ValueError on a bad one."""
    found = set()
    for each in filter(None, map(str.strip, listed.split(","))):
        where = place(f"[{each}]" if each.count(":") > 1 and not each.startswith("[") else each)
        if where is None:
            raise ValueError(f"{each!r} is not a host; give names with commas between, such as lab.example,10.0.0.2")
        found.add(where.name)
    return frozenset(found)
