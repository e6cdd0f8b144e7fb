"""Runs the benchmarks: about nineteen minutes. The exit status is 1 if a bound is broken."""

import os
import sys

from tests.bench import of_bias, of_exporters, of_fortio, of_kin, of_load, of_queue, of_servers


def main() -> None:
    """Run them on the first two cores."""
    cores = sorted(os.sched_getaffinity(0))
    if len(cores) < 2:
        sys.exit("make bench: server and client need a core each; this machine gives only one")
    of_servers.run(cores)
    print()
    of_load.run(cores)
    of_fortio.run(cores)
    print()
    of_bias.run()
    print()
    of_queue.run()
    print()
    within = of_kin.run(cores)
    print()
    if not of_exporters.run(cores) or not within:
        sys.exit(1)


if __name__ == "__main__":
    main()
