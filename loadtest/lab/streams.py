"""The standard streams, prepared once so that no command fails because of one."""

import io
import os
import sys
from contextlib import suppress
from typing import Final

_ESCAPES: Final = "backslashreplace"


class Lenient(io.TextIOWrapper):
    """A text stream that ignores what can't be written: a full disk must not change an exit status."""

    def write(self, text: str, /) -> int:
        """Write `text`; ignore a failure."""
        with suppress(OSError):
            super().write(text)
        return len(text)

    def flush(self) -> None:
        """Write what waits; ignore a failure."""
        with suppress(OSError):
            super().flush()


def prepare() -> None:
    """Open closed streams on nothing, show what their encoding lacks as escapes, and make stderr lenient."""
    if sys.stderr is not None:
        sys.stderr = Lenient(sys.stderr.buffer, sys.stderr.encoding, line_buffering=True)
    for name, mode in {"stdin": "r", "stdout": "w", "stderr": "w"}.items():  # in order: each gets its own descriptor
        stream = getattr(sys, name)
        if stream is None:
            setattr(sys, name, open(os.devnull, mode, encoding="utf-8", errors=_ESCAPES))  # noqa: PTH123, SIM115
        else:
            stream.reconfigure(errors=_ESCAPES)
