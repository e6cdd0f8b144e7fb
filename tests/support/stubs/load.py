"""
A load generator of a few lines that looks like the lab's from outside: it sends requests and writes a result.

python -m tests.support.stubs.load VARIANT SCENARIO CLIENTS WARMUP SECONDS RESULT
"""

import json
import os
import socket
import sys
import time
from pathlib import Path

from loadtest.scenarios import SCENARIOS


def main() -> None:
    variant, scenario, clients, warmup, seconds, result = sys.argv[1:]
    address = os.environ[f"TCPLAB_{variant.upper()}"]
    host, port = address.rsplit(":", 1)
    sockets = [socket.create_connection((host, int(port))) for _ in range(int(clients))]
    for each in sockets:
        each.settimeout(0.2)  # for clients that are not served; a busy machine may take 50 ms
    time.sleep(float(warmup))
    started = time.time()
    response: dict[int, int] = {}
    replies = dict.fromkeys(sockets, 0)
    while time.time() < started + float(seconds):
        for each in sockets:
            sent = time.perf_counter()
            each.sendall(b"ECHO hello\n")
            try:
                if each.recv(100) == b"OK hello\n":
                    replies[each] += 1
                    taken = int((time.perf_counter() - sent) * 1e6)
                    response[taken] = response.get(taken, 0) + 1
            except TimeoutError:
                sockets.remove(each)
                break
    ended = time.time()
    served, verified = sum(map(bool, replies.values())), sum(replies.values())
    waiting = int(clients) - served
    age = int((ended - started + float(warmup)) * 1e6)
    found = {
        "schema": 2,
        "scenario": SCENARIOS[scenario].as_json(),
        "model": "closed",
        "target_rate": None,
        "window": {"started": started, "ended": ended, "seconds": ended - started},
        "warmup_seconds": float(warmup),
        "generator": {
            "workers": 1,
            "cpu_ratio": 0.5,
            "busy_ratio": 0.5,
            "starved_ratio": 0.0,
            "stolen_ratio": 0.0,
            "lag_p99_seconds": 0.0,
            "lost_workers": 0,
            "joined_workers": 0,
        },
        "warnings": [],
        "variants": {
            variant: {
                "users": int(clients),
                "connected": int(clients),
                "served": served,
                "fairness": {
                    "jain": verified**2 / (int(clients) * sum(x * x for x in replies.values())) if verified else None,
                    "longest_wait_seconds": age / 1e6 if waiting else max(response) / 1e6,
                    "longest_wait_at_least": waiting > 0,
                },
                "sent": verified + waiting,
                "verified": verified,
                "unanswered": waiting,
                "errors": {},
                "connections": {"connected": int(clients)},
                "breaks": {},
                "late_sends": 0,
                "unsent": 0,
                "histograms": {"response": response, "service": response, "connect": {}, "first_reply": {}},
                "censored": {"response": {}, "first_reply": {age: waiting} if waiting else {}},
            }
        },
    }
    Path(result).write_text(json.dumps(found))


if __name__ == "__main__":
    main()
