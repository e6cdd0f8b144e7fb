"""
For a Python with this folder on its path, no clock agrees with other hosts'.

Python itself imports a module of this name when it starts. The wall clock is an hour ahead; the steady ones, which two
hosts never share, are months apart.
"""

import time

WALL = 3600
STEADY = 10_000_000

for _name, _seconds in (("time", WALL), ("monotonic", STEADY), ("perf_counter", STEADY)):
    for _suffix, _unit in (("", 1), ("_ns", 1_000_000_000)):
        _true = getattr(time, _name + _suffix)
        setattr(time, _name + _suffix, lambda true=_true, ahead=_seconds * _unit: true() + ahead)
