"""
Finds clients that a server has stopped answering, among those that merely wait: pure functions.

A wait longer than its kind's p99 proves nothing: of 5,000 clients, fifty wait that long by definition. The test is
whether the replies that came explain the waits at the end.
"""

from collections.abc import Mapping
from typing import Final

OVERTAKEN: Final = 250_000
"""
An open request counts if another of its kind was sent this many microseconds later and got its reply. While a server,
or the machine, stands still, or in a queue, no request is overtaken.
"""

SILENT: Final = 2_000_000
"""
A wait of this many microseconds counts even if no reply came meanwhile. In a window of less than twice as much: half
the window, and a second at least.
"""

_SECOND: Final = 1_000_000
_TIMES: Final = 1000
_MANY: Final = 10
_AT_LEAST: Final = 3


def silent(seconds: float) -> float:
    """Return SILENT for a window of this length."""
    return min(SILENT, max(_SECOND, seconds * _SECOND / 2))


def stalled(finished: Mapping[int, int], waits: Mapping[int, int], seconds: float, least: float) -> int:
    """
    Return how many clients wait for longer than the replies within a window of `seconds` explain.

    finished: durations of those replies. waits: of the open requests at the window's end. Both are counts by
    microseconds, of one kind. Waits shorter than `least` don't count.

    According to the replies, sum(duration - t) / seconds clients (over the durations longer than t) have waited for
    longer than t at any moment. With t = half of each wait, to allow for rare events, clients count if the replies
    explain almost none of them, or if they wait for seconds and are many times as many as explained.
    """
    clients = 0
    most = 0
    for wait in sorted((each for each in waits if each >= least), reverse=True):
        clients += waits[wait]
        expected = sum((each - wait / 2) * number for each, number in finished.items() if each > wait / 2)
        expected /= seconds * 1e6
        many = wait >= _SECOND and clients >= _AT_LEAST + _MANY * expected
        if many or expected * _TIMES < clients:
            most = clients
    return most
