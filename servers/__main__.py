"""Start one server: read its settings, raise its limits, export its metrics, run its concurrency model."""

import signal
import sys
from importlib.util import find_spec

if __name__ == "__main__":  # the imports below take 0.1 s: Ctrl-C during them must not print a traceback
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    if find_spec("prometheus_client") is None:
        sys.exit("python -m servers: this Python lacks prometheus-client; run make local, then use .venv/bin/python")

import asyncio
import errno
import importlib
import os
import resource
import threading
import time
from collections.abc import Mapping, Sequence
from functools import partial
from socket import socket
from typing import Final, NoReturn

from servers import loops, processes, settings
from servers.connections.blocking import BlockingListener
from servers.connections.listener import Listener, listen, listen_apart
from servers.connections.protocol import ProtocolListener
from servers.connections.streams import StreamListener
from servers.event_loop import FAREWELL, LoopListener, NewLoop, serve_and_reap
from servers.metrics import cgroup
from servers.metrics.collector import ServerCollector, WorkersCollector, registry
from servers.metrics.gc_pauses import GarbagePauses
from servers.metrics.server import MetricsServer
from servers.settings import MAX_CONNECTIONS, RESERVED_DESCRIPTORS, Settings
from servers.shutdown import stop_on_signals
from servers.stats import Stats
from servers.workers.supervisor import Workers

LISTENERS: Final[Mapping[str, type[BlockingListener | LoopListener]]] = {
    "blocking": BlockingListener,
    "streams": StreamListener,
    "protocol": ProtocolListener,
}
"""By a variant's kind of connection."""


def main(arguments: Sequence[str]) -> None:
    """Serve until SIGTERM or SIGINT, then finish the requests that have begun."""
    chosen = settings.parse(arguments)
    sys.setswitchinterval(chosen.switch_interval)
    limit = _connection_limit(chosen.max_connections)
    serve = importlib.import_module(f"servers.models.{chosen.variant.module}").serve
    new_loop = None if chosen.variant.connection == "blocking" else _loop_factory(chosen.loop)
    sockets = _listen(chosen)
    pauses = GarbagePauses(chosen.own.get("workers", 0))
    listener: BlockingListener | LoopListener | Workers
    if new_loop and "workers" in chosen.own:
        listener = Workers(
            sockets, limit, chosen.deadlines, grace=chosen.grace, new_loop=new_loop, forked=pauses.forked
        )
    else:
        listener = LISTENERS[chosen.variant.connection](sockets[0], limit, Stats(), chosen.deadlines)
        listener.fork = partial(processes.fork, listener, grace=chosen.grace)
        for name, value in chosen.own.items():
            setattr(listener, name, value)
    stop_on_signals(listener, chosen.grace)
    metrics_port = _export(chosen, listener, pauses)
    host, port = sockets[0].getsockname()[:2]
    metrics_url = f"http://{chosen.metrics_host}:{metrics_port}/metrics"
    announce = partial(_announce, f"{chosen.variant.name} ready: tcp {host}:{port}, metrics {metrics_url}")
    if isinstance(listener, Workers):
        listener.on_ready = announce
        serve(listener)
        return
    announce()
    if isinstance(listener, BlockingListener):
        serve(listener)
        while listener.clients:
            time.sleep(FAREWELL)
    else:
        with asyncio.Runner(loop_factory=new_loop) as runner:
            runner.run(serve_and_reap(serve, listener))


def _announce(ready: str) -> None:
    """Print the one line that says it is ready."""
    try:
        print(ready, flush=True)  # noqa: T201
    except OSError as error:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # Python flushes stdout again when it exits
        _refuse(f"cannot write to stdout that it is ready ({_why(error)}); redirect stdout to where it can be written")


def _listen(chosen: Settings) -> list[socket]:
    """Return the listening socket of each worker; a single one for a server of one process."""
    workers = chosen.own.get("workers", 1)
    try:
        if chosen.own.get("listen") == "reuseport":
            return listen_apart(chosen.host, chosen.port, chosen.backlog, workers)
        return [listen(chosen.host, chosen.port, chosen.backlog)] * workers
    except (OSError, UnicodeError) as error:
        _refuse(f"cannot serve on {chosen.host}:{chosen.port} ({_why(error)}); choose another --{_culprit(error)}")


def _loop_factory(name: str) -> NewLoop:
    try:
        return loops.factory(name)
    except ImportError:  # not every platform has each
        _refuse(f"{name} is not installed; install it (python -m pip install {name}), or choose --loop asyncio")


def _connection_limit(wanted: int | None) -> int:
    """Raise the soft limit on descriptors to the hard one; return how many clients may be served at once."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    possible = MAX_CONNECTIONS if hard == resource.RLIM_INFINITY else hard - RESERVED_DESCRIPTORS
    if possible < 1:
        _refuse(f"{hard} descriptors are too few for a server; raise the limit with ulimit -n")
    if wanted is not None and wanted > possible:
        _refuse(
            f"--max-connections {wanted} needs more than {hard} descriptors; raise ulimit -n, or ask for {possible}"
        )
    return wanted or min(MAX_CONNECTIONS, possible)


def _export(chosen: Settings, listener: Listener, pauses: GarbagePauses) -> int:
    """Serve /metrics from a thread; return its port."""
    pauses.watch()
    exported = registry(ServerCollector(listener, pauses, cgroup.find()))
    if isinstance(listener, Workers):
        exported.register(WorkersCollector(listener))
    try:
        server = MetricsServer(chosen.metrics_host, chosen.metrics_port, exported)
    except (OSError, UnicodeError) as error:
        where = f"{chosen.metrics_host}:{chosen.metrics_port}"
        _refuse(f"cannot export metrics on {where} ({_why(error)}); choose another --metrics-{_culprit(error)}")
    threading.Thread(target=server.serve_forever, name="metrics", daemon=True).start()
    return int(server.server_address[1])


def _why(error: OSError | UnicodeError) -> str:
    said = error.strerror if isinstance(error, OSError) else None
    return (said or str(error)).partition(" (")[0]  # without the address, which asyncio and socket append


def _culprit(error: OSError | UnicodeError) -> str:
    """Return which option must change; a UnicodeError means that the host name is invalid."""
    return "port" if isinstance(error, OSError) and error.errno in {errno.EADDRINUSE, errno.EACCES} else "host"


def _refuse(reason: str) -> NoReturn:
    print(f"python -m servers: {reason}", file=sys.stderr)  # noqa: T201
    sys.exit(2)


if __name__ == "__main__":
    main(sys.argv[1:])
