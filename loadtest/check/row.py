"""A row of the scorecard: one thing that is asked of a server."""

from collections.abc import Callable
from dataclasses import dataclass

from loadtest.check.server import Server

Ask = Callable[[Server], None]


@dataclass(frozen=True, slots=True)
class Row:
    """
    One thing that is asked.

    name: its key. asks: what the server must do, a sentence. ask: does it; raises RowFailedError. commands: what the
    server must know besides ECHO. clients: how many it must take at once. after: rows whose failure would show here
    too, so that this one is not asked. process: whether the server's process must be known. ends: whether the row ends
    the server.
    """

    name: str
    asks: str
    ask: Ask
    commands: tuple[str, ...] = ()
    clients: int = 1
    after: tuple[str, ...] = ("echo",)
    process: bool = False
    ends: bool = False


def row(
    *commands: str, clients: int = 1, after: tuple[str, ...] = ("echo",), process: bool = False, ends: bool = False
) -> Callable[[Ask], Row]:
    """Make a row of a function: its name is the key, its docstring the sentence."""

    def made(ask: Ask) -> Row:
        sentence = " ".join((ask.__doc__ or "").split())
        return Row(ask.__name__.strip("_").replace("_", "-"), sentence, ask, commands, clients, after, process, ends)

    return made
