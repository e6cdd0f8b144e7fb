"""Errors of the commands: a line on stderr, and the exit status."""

import argparse
import sys
from typing import NoReturn

from loadtest.compare.escaping import visible


def refuse(why: str, status: int = 2) -> int:
    """Write in one line on stderr why something is refused; return the exit status."""
    sys.stderr.write(f"tcplab: {visible(' '.join(why.split()))}\n")
    return status


class Parser(argparse.ArgumentParser):
    """A parser whose errors are one line each."""

    def error(self, message: str) -> NoReturn:
        """Write the error in one line, and exit with status 2."""
        sys.exit(refuse(f"{message} (see {self.prog} --help)"))
