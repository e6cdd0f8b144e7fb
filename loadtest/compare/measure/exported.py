"""Reads a server's /metrics if its process can't be seen, as in another container."""

import urllib.request
from typing import Any, Final

from prometheus_client.parser import text_string_to_metric_families
from prometheus_client.samples import Sample

from loadtest.compare.measure.cgroups import PARTS
from loadtest.compare.measure.process_memory import Look

_CONTAINER: Final = "tcplab_container_memory_bytes"
_ACCEPTED: Final = "tcplab_connections_waiting"  # and not served yet
_INTERPRETER: Final = "tcplab_interpreter_info"
_GIL: Final = "tcplab_gil_enabled"
_SWITCH_INTERVAL: Final = "tcplab_switch_interval_seconds"
_TIMEOUT: Final = 5.0  # seconds


class NotExportedError(Exception):
    """Its /metrics can't be read, or lack a metric; the text says which."""


class Exported:
    """A server by its own metrics (servers/README.md); they count only its clients' sockets."""

    def __init__(self, metrics: str) -> None:
        self.name = f"the server of {metrics}"
        self._metrics = metrics
        self._last: list[Sample] = []

    def look(self) -> Look:
        """Read everything once; NotExportedError if that fails."""
        self._last = found = self._read()
        return Look(
            memory=self._sum(found, "tcplab_resident_memory_bytes"),
            threads=self._sum(found, "tcplab_threads"),
            sockets=self._sum(found, "tcplab_connections_open") + _any(found, _ACCEPTED),
        )

    def room(self) -> int | None:
        """Return None: its limit of descriptors is unknown."""
        return None

    def clients(self) -> int:
        """Return how many clients it has ever had, also in its accept queue. Raises NotExportedError."""
        found = self._read()
        names = ("tcplab_connections_open", "tcplab_connections_ended_total")
        waiting = _any(found, _ACCEPTED) + _any(found, "tcplab_accept_queue_connections")
        return sum(self._sum(found, name) for name in names) + waiting

    def charged(self) -> dict[str, int]:
        """
        Return the memory charged to its container by part, in bytes (groups.PARTS); empty if it exports none.

        Raises NotExportedError if it can't be read.
        """
        self._last = self._read()
        return self.was_charged()

    def was_charged(self) -> dict[str, int]:
        """Return what was charged at the last read, because each read disturbs it."""
        parts = [each for each in self._last if each.name == _CONTAINER and each.labels.get("part") in PARTS]
        return {each.labels["part"]: int(each.value) for each in parts}

    def interpreter(self) -> dict[str, Any] | None:
        """
        Return the Python that serves, JSON-ready; None if it doesn't tell, as an earlier revision or another server.

        implementation, version: as its `platform` says. build: "gil" or "free-threaded". gil: whether it is on now.
        switch_interval: seconds.
        """
        try:
            known = {each.name: each for each in self._read()}
        except NotExportedError:
            return None
        if not {_INTERPRETER, _GIL, _SWITCH_INTERVAL} <= known.keys():
            return None
        about = known[_INTERPRETER].labels
        told = {name: about.get(name, "") for name in ("implementation", "version", "build")}
        return told | {"gil": known[_GIL].value == 1, "switch_interval": known[_SWITCH_INTERVAL].value}

    def _read(self) -> list[Sample]:
        try:
            with urllib.request.urlopen(self._metrics, timeout=_TIMEOUT) as reply:  # noqa: S310 - the user's address
                families = list(text_string_to_metric_families(reply.read().decode()))
        except (OSError, ValueError) as error:
            raise NotExportedError(f"{self._metrics} cannot be read ({error}): is it a server's /metrics?") from error
        return [sample for family in families for sample in family.samples]

    def _sum(self, found: list[Sample], name: str) -> int:
        values = [each.value for each in found if each.name == name]
        if not values:
            raise NotExportedError(f"{self._metrics} has no {name}: is it one of the lab's servers, and on Linux?")
        return int(sum(values))


def _any(found: list[Sample], name: str) -> int:
    """Return the metric's sum; 0 if it isn't exported."""
    return int(sum(each.value for each in found if each.name == name))
