"""How full the kernel's connection-tracking table is; when it is full, the kernel drops packets silently."""

from pathlib import Path
from typing import Final

_FOLDER: Final = Path("/proc/sys/net/netfilter")


def used(folder: Path = _FOLDER) -> float:
    """
    Return the share of the table in use; 0.0 where nothing is tracked, or it can't be read.

    nf_conntrack_count and nf_conntrack_max (Documentation/networking/nf_conntrack-sysctl.rst). A container reads the
    count of its own network namespace, not of its host's table, which does NAT.
    """
    try:
        count, most = (int((folder / f"nf_conntrack_{name}").read_text()) for name in ("count", "max"))
    except (OSError, ValueError):
        return 0.0
    return count / most if most > 0 else 0.0
