"""
Makes the clocks of a Python with this folder on its path differ from other hosts'.

Python imports a module of this name at its start. The wall clock is an hour ahead; the monotonic ones, which hosts
never share, are months apart.
"""

import time

WALL = 3600
STEADY = 10_000_000

for _name, _seconds in (("time", WALL), ("monotonic", STEADY), ("perf_counter", STEADY)):
    for _suffix, _unit in (("", 1), ("_ns", 1_000_000_000)):
        _true = getattr(time, _name + _suffix)
        setattr(time, _name + _suffix, lambda true=_true, ahead=_seconds * _unit: true() + ahead)
