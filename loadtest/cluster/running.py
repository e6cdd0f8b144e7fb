"""Which servers run: the load asks no server of a Compose profile that nobody started."""

import functools
import os
import socket
from collections.abc import Mapping
from typing import TYPE_CHECKING

from servers.variants import Variant

if TYPE_CHECKING:
    from locust.env import Environment


def runs(variant: Variant, environment: Mapping[str, str] = os.environ) -> bool:
    """
    Return whether a variant's server runs, as far as is known at the start; one without a profile always does.

    One of a profile does if TCPLAB_<NAME> has its address. Compose always sets that to the service's name, which
    Docker resolves only while the service runs. Nothing else tells: Compose shows no container which profiles are on.
    """
    if not variant.profile:
        return True
    host = environment.get(f"TCPLAB_{variant.name.upper()}", "").rpartition(":")[0]
    return _resolves(variant.name) if host == variant.name else bool(host)


def leave_out(environment: "Environment") -> None:
    """Take away the users of servers that don't run, unless the command line names them. For the master alone."""
    available = environment.available_user_classes or {}
    named: list[str] = vars(environment.parsed_options)["user_classes"]

    def stays(name: str, user: object) -> bool:
        variant = getattr(user, "variant", None)
        return variant is None or name in named or runs(variant)

    environment.user_classes = [each for each in environment.user_classes if stays(each.__name__, each)]
    for name in [name for name, each in available.items() if not stays(name, each)]:
        del available[name]


@functools.cache
def _resolves(service: str) -> bool:
    """Return whether a service's name resolves; the dot keeps search domains out, where others may have it."""
    try:
        socket.getaddrinfo(f"{service}.", None)
    except OSError:
        return False
    return True
