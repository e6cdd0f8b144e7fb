"""Serves the load's /metrics."""

import logging
import os
import socket
import sys

from gevent.pywsgi import WSGIServer
from prometheus_client.registry import Collector

from loadtest.cluster import exporter

logger = logging.getLogger(__name__)


def serve(collector: Collector, host: str, port: int) -> None:
    """Serve the collector's metrics; port 0: any free one. SystemExit with a line if that fails."""
    server = WSGIServer((host, port), exporter.application(collector), log=None, error_log=None)
    try:
        server.start()
    except socket.gaierror as error:
        sys.exit(
            f"tcplab: cannot serve the load's metrics on {host}:{port}: {error.strerror}."
            " Choose another --exporter-host"
        )
    except OSError as error:
        sys.exit(
            f"tcplab: cannot serve the load's metrics on {host}:{port}: {os.strerror(error.errno or 0)}."
            " Is another load running? Choose another --exporter-port (0: any free one)"
        )
    logger.info("The load's metrics are at http://%s:%d/metrics", host, server.server_port)
