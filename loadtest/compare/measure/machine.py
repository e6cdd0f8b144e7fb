"""The machine of a comparison: its description, and which cores to use."""

import os
import platform
import subprocess
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

from loadtest import run_warnings
from loadtest.run_warnings import RunWarning

_SYSTEM_CPUS = Path("/sys/devices/system/cpu")
PACKAGES = ("locust", "uvloop", "prometheus-client", "gevent", "psutil")
"""The packages whose versions a result keeps."""


@dataclass(frozen=True, slots=True)
class Cores:
    """
    The cores of server and generator; empty means any. rest: those for this process.

    warning: why the two could not be kept apart, or None.
    """

    server: frozenset[int] = frozenset()
    generator: frozenset[int] = frozenset()
    rest: frozenset[int] = frozenset()
    warning: RunWarning | None = None


def usable_cores() -> tuple[int, ...]:
    """Return the cores this process may use, in order; empty if unknown (macOS)."""
    if not hasattr(os, "sched_getaffinity"):
        return ()
    return tuple(sorted(os.sched_getaffinity(0)))


def siblings(core: int, cpus: Path = _SYSTEM_CPUS) -> frozenset[int]:
    """Return the hyperthreads that share `core`'s hardware, itself included (alone if unknown)."""
    text = _read(cpus / f"cpu{core}" / "topology" / "thread_siblings_list")
    found = {core}
    for part in text.split(",") if text else ():
        first, _, last = part.partition("-")
        found.update(range(int(first), int(last or first) + 1))
    return frozenset(found)


def share_out(cores: Iterable[int], cpus: Path = _SYSTEM_CPUS) -> Cores:
    """
    Choose one core for the server and another for the generator.

    One each, even if there are more, so that measures are per core on any machine. The server gets the last core (the
    kernel's own work prefers the first), the generator one that shares no hardware with it.
    """
    free = sorted(cores)
    if len(free) < 2:
        seen = "this system cannot pin processes" if not free else "there is one core only"
        detail = f"server and generator were not pinned to cores of their own ({seen}): each slows the other down"
        return Cores(warning=run_warnings.warning("not-pinned", detail))
    server = free[-1]
    together = siblings(server, cpus)
    apart = [core for core in free if core not in together]
    return keep_apart(server, apart[-1] if apart else free[0], free, cpus)


def keep_apart(server: int, generator: int, cores: Iterable[int], cpus: Path = _SYSTEM_CPUS) -> Cores:
    """Return these two cores for server and generator; this process uses all of `cores` but the server's."""
    warning = None
    if generator in siblings(server, cpus):
        warning = run_warnings.warning(
            "shared-core",
            "server and generator ran on two hyperthreads of the same core: each slows the other down",
        )
    return Cores(frozenset({server}), frozenset({generator}), frozenset(cores) - {server}, warning)


def describe() -> dict[str, object]:
    """Return the machine's description and versions, JSON-ready; None if unknown."""
    return {
        "cpu": _cpu_model(),
        "cores": os.cpu_count(),
        "usable_cores": len(usable_cores()) or os.cpu_count(),
        "memory_bytes": _memory(),
        "governor": _read(_SYSTEM_CPUS / "cpu0" / "cpufreq" / "scaling_governor"),
        "system": f"{platform.system()} {platform.release()}",
        "architecture": platform.machine(),
        "python": f"{platform.python_implementation()} {platform.python_version()}",
        "packages": {name: _version(name) for name in PACKAGES},
        "container": Path("/.dockerenv").exists(),
    }


def settings(environment: Mapping[str, str]) -> dict[str, str]:
    """Return the lab's settings in the environment."""
    return {name: value for name, value in sorted(environment.items()) if name.startswith("TCPLAB_")}


def commit(folder: Path) -> str | None:
    """Return the git commit checked out in `folder`, with "-dirty" after changes; None without git."""
    command = ["git", "describe", "--always", "--dirty", "--abbrev=12", "--exclude=*"]
    try:
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=5, check=False)  # noqa: S603
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.strip() or None


def _version(package: str) -> str | None:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None


def _memory() -> int | None:
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (OSError, ValueError):
        return None


def _cpu_model() -> str | None:
    for line in _read(Path("/proc/cpuinfo")).splitlines():
        name, _, value = line.partition(":")
        if name.strip() in {"model name", "Model"}:
            return " ".join(value.split())
    return platform.processor() or None


def _read(file: Path) -> str:
    try:
        return file.read_text().strip()
    except OSError:
        return ""
