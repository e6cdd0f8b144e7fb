"""
Keeps servers, load and the rest of the lab in Docker on cores of their own: `make cpusets`.

It writes docker-compose.override.yml, which Compose adds to docker-compose.yml. On fewer than four cores there is
nothing to keep apart.
"""

import shutil
import subprocess
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Final, NamedTuple

from servers.variants import VARIANTS

FEWEST: Final = 4
"""Cores from which on the lab is kept apart."""

FILE: Final = Path(__file__).resolve().parents[2] / "docker-compose.override.yml"

HEADER: Final = "# Written by `make cpusets`: which cores each part of the lab may use. Delete it to let all use all.\n"


class Sets(NamedTuple):
    """The cores of servers, load and the rest of the lab."""

    servers: tuple[int, ...]
    load: tuple[int, ...]
    rest: tuple[int, ...]


def hyperthreads(listed: str) -> list[tuple[int, ...]]:
    """Return the hyperthreads of each core from the lines of `lscpu --parse=CPU,CORE,SOCKET`; ValueError on others."""
    found: dict[tuple[int, int], list[int]] = {}
    for line in listed.splitlines():
        if line and not line.startswith("#"):
            cpu, core, socket = (int(part or 0) for part in line.split(","))
            found.setdefault((socket, core), []).append(cpu)
    return [tuple(sorted(each)) for each in found.values()]


def divided(cores: Sequence[tuple[int, ...]]) -> Sets | None:
    """
    Return the sets for these cores, given with their hyperthreads; None if there are too few.

    A third of the cores for the load, one for the rest, the others for the servers: hyperthreads stay together. Of two
    cores, load and rest share one.
    """
    if sum(map(len, cores)) < FEWEST or len(cores) < 2:
        return None
    load = max(1, len(cores) // 3)
    some = [cores[:1], cores[:1], cores[1:]] if len(cores) == 2 else [cores[:1], cores[1 : 1 + load], cores[1 + load :]]
    rest, loads, servers = (tuple(sorted(cpu for core in each for cpu in core)) for each in some)
    return Sets(servers, loads, rest)


def override(sets: Sets) -> str:
    """Return the text of docker-compose.override.yml."""
    names = {sets.servers: [each.name for each in VARIANTS]}
    names.setdefault(sets.load, []).append("locust-worker")
    names.setdefault(sets.rest, []).extend(("locust-master", "prometheus", "grafana"))
    lines = [f'  {name}: {{cpuset: "{shown(cores)}"}}\n' for cores, services in names.items() for name in services]
    return f"{HEADER}services:\n{''.join(lines)}"


def shown(cores: Iterable[int]) -> str:
    """Return cores as Docker takes them: "0,2,3"."""
    return ",".join(map(str, cores))


def write(sets: Sets | None, file: Path = FILE) -> str:
    """Write the file, or remove it if nothing can be kept apart; return what was done. ValueError: it isn't ours."""
    if file.exists() and not file.read_text(encoding="utf-8").startswith(HEADER):
        raise ValueError(f"`make cpusets` did not write {file.name}: move it away, or set cpuset in it yourself")
    if sets is None:
        file.unlink(missing_ok=True)
        return f"this machine has fewer than {FEWEST} cores, or a single one: all parts of the lab share all cores"
    file.write_text(override(sets), encoding="utf-8")
    return (
        f"servers on cores {shown(sets.servers)}, load on {shown(sets.load)}, the rest of the lab on"
        f" {shown(sets.rest)} ({file.name}); it holds from the next docker compose up on"
    )


def main() -> None:
    """Do it; SystemExit with a line if that fails."""
    program = shutil.which("lscpu")
    if program is None:
        sys.exit("tcplab: there is no lscpu to tell the cores (util-linux, on Linux): set cpuset yourself")
    listed = subprocess.run([program, "--parse=CPU,CORE,SOCKET"], capture_output=True, text=True, check=True)  # noqa: S603
    try:
        said = write(divided(hyperthreads(listed.stdout)))
    except (OSError, ValueError) as error:
        sys.exit(f"tcplab: {error}")
    sys.stdout.write(f"tcplab: {said}\n")


if __name__ == "__main__":
    main()
