"""Which Python serves, and whether its threads may run Python at the same time."""

import platform
import sys
import sysconfig
from collections.abc import Iterator
from typing import Final

from prometheus_client.core import GaugeMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

BUILD: Final = "free-threaded" if sysconfig.get_config_var("Py_GIL_DISABLED") else "gil"


class InterpreterCollector(Collector):
    """Exports the interpreter's name, the state of the GIL, and how long a thread may keep it."""

    def collect(self) -> Iterator[Metric]:
        """Yield every metric family."""
        about = GaugeMetricFamily(
            "tcplab_interpreter_info",
            "The Python that serves: implementation, version, and build (gil or free-threaded). Always 1.",
            labels=["implementation", "version", "build"],
        )
        about.add_metric([platform.python_implementation(), platform.python_version(), BUILD], 1)
        yield about
        yield GaugeMetricFamily(
            "tcplab_gil_enabled",
            "1 if one thread at a time runs Python (the GIL is on). In a free-threaded build an extension module that "
            "is not made for it turns it on.",
            value=gil_is_on(),
        )
        yield GaugeMetricFamily(
            "tcplab_switch_interval_seconds",
            "How long a thread may keep the GIL while others wait for it (--switch-interval).",
            value=sys.getswitchinterval(),
        )


def gil_is_on() -> bool:
    """Return whether one thread at a time runs Python; Pythons before 3.13 can't tell, and always have a GIL."""
    enabled = getattr(sys, "_is_gil_enabled", None)
    return bool(enabled()) if enabled else True
