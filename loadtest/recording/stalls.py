"""
Tells clients that a server has stopped answering from those that an honest one would keep waiting: pure functions.

That a wait is longer than the p99 of its kind is not enough: of 5,000 clients fifty wait for so long by definition.
What is asked is whether the replies that came explain the waits that there are in the end.
"""

from collections.abc import Mapping
from typing import Final

OVERTAKEN: Final = 250_000
"""
Microseconds by which an open request must have been overtaken, to count: others of its kind were sent so much later,
and had their replies. While a server, or a machine, stands still, nobody is overtaken; nor is anybody in a queue.
"""

SILENT: Final = 2_000_000
"""
Microseconds that a wait must have lasted, to count whether or not anybody was answered meanwhile: no moment's pause. In
a window of less than twice as much, half of it, and a second at least.
"""

_SECOND: Final = 1_000_000
_TIMES: Final = 1000
_MANY: Final = 10
_AT_LEAST: Final = 3


def silent(seconds: float) -> float:
    """Return SILENT, for a window of so many seconds."""
    return min(SILENT, max(_SECOND, seconds * _SECOND / 2))


def stalled(finished: Mapping[int, int], waits: Mapping[int, int], seconds: float, least: float) -> int:
    """
    Return how many clients wait for longer than the replies explain that came within a window of `seconds`.

    finished: how long those replies took; waits: for how long clients wait at its end; both in microseconds, and of one
    kind. Waits shorter than `least` don't count.

    By those replies, a moment finds sum(duration - t) / seconds clients who have waited for longer than t, over the
    durations longer than t. Of half of each wait that is asked, since rare events come: either they explain next to
    nothing of it, or it is a matter of seconds, and there are many times as many.
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
