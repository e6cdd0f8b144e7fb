"""
The lab's asyncio server with more CPU per request: python -m tests.support.stubs.slowed PORT MICROSECONDS.

It shows whether a comparison finds a server made slower on purpose. Beside `asyncio` in the same comparison:

    python -m loadtest compare --variants asyncio --repeats 10 \
        --server 'slowed=python -m tests.support.stubs.slowed {port} 1.6'
"""

import sys
import time

from servers import session
from servers.__main__ import main

if __name__ == "__main__":
    port, microseconds = sys.argv[1], float(sys.argv[2])
    answer = session.Session.answer

    def answer_slowly(slowed: session.Session, data: bytes) -> session.Answers:
        until = time.perf_counter() + microseconds / 1e6
        while time.perf_counter() < until:
            pass
        return answer(slowed, data)

    session.Session.answer = answer_slowly  # type: ignore[method-assign,assignment]
    main(["asyncio", "--port", port, "--metrics-port", "0"])
