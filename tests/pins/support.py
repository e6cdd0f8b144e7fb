"""How long what the lab is pinned to is supported. The standard library alone: `make audit` has nothing else here."""

import tomllib
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path

FILE = Path(__file__).with_name("pins.toml")
NOTICE = timedelta(days=60)
"""How long before the end of a support it is told."""


@dataclass(frozen=True, slots=True)
class Pin:
    """
    A version that a file of the lab names.

    ends: the last day of its support; None if there is no such day, and no_end says why. read: where that was read.
    """

    name: str
    version: str
    where: str
    read: str
    ends: date | None = None
    no_end: str = ""

    def __post_init__(self) -> None:
        """Raise ValueError if it lacks anything that a reader needs."""
        if not (self.name and self.version and self.where and self.read):
            raise ValueError(f"{self.name or 'a pin'} lacks its name, version, where or read")
        if (self.ends is None) == (self.no_end == ""):
            raise ValueError(f"{self.name} {self.version} needs either `ends` or `no_end`")
        if self.ends is not None and type(self.ends) is not date:
            raise ValueError(f"{self.name} {self.version} ends at {self.ends!r}, which is no day, such as 2027-07-31")


def read(text: str) -> list[Pin]:
    """Return the pins of a file's text; ValueError, in one line, if it is not such a file."""
    try:
        return [Pin(**fields) for fields in tomllib.loads(text)["pin"]]
    except (TypeError, KeyError) as error:
        raise ValueError(f"not a list of pins: {error}") from None


def ended(pins: Iterable[Pin], today: date) -> list[str]:
    """Return a line for each pin whose support has ended before today."""
    return [
        f"{_named(pin)}: its support ended on {pin.ends}; go to a supported release (read in: {pin.read})"
        for pin in pins
        if pin.ends and pin.ends < today
    ]


def ending(pins: Iterable[Pin], today: date) -> list[str]:
    """Return a line for each pin whose support ends today or within NOTICE."""
    return [
        f"{_named(pin)}: its support ends on {pin.ends}, in {(pin.ends - today).days} days (read in: {pin.read})"
        for pin in pins
        if pin.ends and today <= pin.ends <= today + NOTICE
    ]


def _named(pin: Pin) -> str:
    return f"{pin.name} {pin.version} ({pin.where})"
