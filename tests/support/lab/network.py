"""
Hosts on one network, for tests: network namespaces with their own addresses, on a bridge in its own namespace.

They neither use nor change the machine's own network, routes and packet filters. The addresses are of the block for
measurements between networks (198.18.0.0/15, RFC 2544).
"""

import ctypes
import fcntl
import os
import select
import shutil
import struct
import subprocess
import threading
import time
from collections import deque
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from types import TracebackType
from typing import Final, Self

_CLONE_NEWNET: Final = 0x40000000  # linux/sched.h
_TUNSETIFF: Final = 0x400454CA  # linux/if_tun.h
_IFF_TAP, _IFF_NO_PI = 0x0002, 0x1000  # the same: whole Ethernet frames without a header before them
_FRAME: Final = 65_536

_libc: Final = ctypes.CDLL(None, use_errno=True)


def why_no_network() -> str:
    """Return in one line why hosts can't be made here; empty if they can."""
    if os.geteuid() != 0:
        return "network namespaces need root"
    if shutil.which("ip") is None:
        return "there is no ip command (iproute2)"
    if not Path("/dev/net/tun").exists():
        return "there is no /dev/net/tun"
    name = f"tcplab{os.getpid()}-try"
    done = subprocess.run(["ip", "netns", "add", name], capture_output=True, text=True, check=False)
    if done.returncode:
        return f"no network namespace can be made: {done.stderr.strip()}"
    _ip("netns", "delete", name)
    return ""


def _ip(*arguments: str) -> None:
    done = subprocess.run(["ip", *arguments], capture_output=True, text=True, check=False)
    assert not done.returncode, f"ip {' '.join(arguments)}: {done.stderr.strip()}"


class Namespace:
    """A network namespace, as a context. It has a name for `ip netns exec NAME` while a test waits."""

    def __init__(self, name: str) -> None:
        self.name = f"tcplab{os.getpid()}-{name}"

    def __enter__(self) -> Self:
        _ip("netns", "add", self.name)
        self.ip("link", "set", "lo", "up")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        _ip("netns", "delete", self.name)

    def ip(self, *arguments: str) -> None:
        _ip("-netns", self.name, *arguments)

    @contextmanager
    def inside(self) -> Iterator[None]:
        """Put the sockets and processes that this thread opens meanwhile into the namespace."""
        with Path("/proc/thread-self/ns/net").open() as here, Path("/run/netns", self.name).open() as there:
            _enter(there.fileno())
            try:
                yield
            finally:
                _enter(here.fileno())


def _enter(namespace: int) -> None:
    if _libc.setns(namespace, _CLONE_NEWNET):
        raise OSError(ctypes.get_errno(), "setns")


class Cable:
    """
    Joins a host to the bridge, frame by frame, and delays those that leave the host.

    Many kernels, such as those of small virtual machines, lack the kernel's own delay (tc netem). As with netem, only
    one direction is delayed, so a round trip takes one delay longer.

    delay: seconds; may change at any time.
    """

    def __init__(self, host: Namespace, switch: Namespace, port: str) -> None:
        self.delay = 0.0
        self._host = _end_in(host, "eth0")
        self._switch = _end_in(switch, port)
        self._pulled, self._pull = os.pipe()
        self._carrier = threading.Thread(target=self._carry, daemon=True)
        self._carrier.start()

    def _carry(self) -> None:
        on_the_way: deque[tuple[float, bytes]] = deque()
        while True:
            left = max(0.0, on_the_way[0][0] - time.monotonic()) if on_the_way else None
            readable, _, _ = select.select([self._host, self._switch, self._pulled], [], [], left)
            if self._pulled in readable:
                return
            if self._switch in readable:
                _write(self._host, os.read(self._switch, _FRAME))
            if self._host in readable:
                on_the_way.append((time.monotonic() + self.delay, os.read(self._host, _FRAME)))
            while on_the_way and on_the_way[0][0] <= time.monotonic():
                _write(self._switch, on_the_way.popleft()[1])

    def unplug(self) -> None:
        os.close(self._pull)
        self._carrier.join()
        for descriptor in (self._pulled, self._host, self._switch):
            os.close(descriptor)


def _end_in(namespace: Namespace, name: str) -> int:
    """Make an Ethernet interface whose frames this process reads and writes; closing it removes it."""
    with namespace.inside():
        descriptor = os.open("/dev/net/tun", os.O_RDWR)
        fcntl.ioctl(descriptor, _TUNSETIFF, struct.pack("16sH22x", name.encode(), _IFF_TAP | _IFF_NO_PI))
    return descriptor


def _write(end: int, frame: bytes) -> None:
    """Write a frame; it is lost if the interface is down."""
    try:
        os.write(end, frame)
    except OSError:
        return


class Host(Namespace):
    """A host of the network. address: its IPv4 address."""

    def __init__(self, name: str, address: str, switch: Namespace) -> None:
        super().__init__(name)
        self.address = address
        self.cable: Cable
        self._switch = switch
        self._port = f"to-{name}"

    def __enter__(self) -> Self:
        super().__enter__()
        self.cable = Cable(self, self._switch, self._port)
        self.ip("address", "add", f"{self.address}/24", "dev", "eth0")
        self.ip("link", "set", "eth0", "up")
        self._switch.ip("link", "set", self._port, "master", "bridge")
        self.join()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.cable.unplug()
        super().__exit__(kind, error, trace)

    def cut_off(self) -> None:
        """Take the link down at the bridge: nothing passes, and no process notices."""
        self._switch.ip("link", "set", self._port, "down")

    def join(self) -> None:
        """Bring the link up (again)."""
        self._switch.ip("link", "set", self._port, "up")


@contextmanager
def network(*names: str) -> Iterator[list[Host]]:
    """Make hosts with these names (at most eight letters) on one network."""
    with ExitStack() as stack:
        switch = stack.enter_context(Namespace("switch"))
        switch.ip("link", "add", "bridge", "type", "bridge")
        switch.ip("link", "set", "bridge", "up")
        yield [
            stack.enter_context(Host(name, f"198.18.77.{number}", switch)) for number, name in enumerate(names, start=1)
        ]
