"""Sets the number of clients: by a shape (shapes.py) as a Locust load shape, or by Locust's own options."""

import sys
from collections.abc import Mapping
from typing import Any, Final

from locust import LoadTestShape, User
from locust.env import Environment

from loadtest import settings
from loadtest.shapes import SHAPES, Plan

SPAWN_SECONDS: Final = 5
MIN_SPAWN_RATE: Final = 10.0
MAX_SPAWN_RATE: Final = 500.0
"""
The clients of a stage start within SPAWN_SECONDS, at a rate between these two per second; they end at once.

Without a shape the default spawn rate starts all users within the same time, at 100 a second at most.
"""


class PlannedShape(LoadTestShape):
    """A load shape that follows a plan; --clients, the user classes and --run-time apply as without one."""

    abstract = True
    use_common_options = True

    def __init__(self, plan: Plan, environment: Environment) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self._plan = plan
        self._environment = environment
        self._users = 0
        self._rate = MIN_SPAWN_RATE

    def reset_time(self) -> None:
        """Start again from zero users."""
        super().reset_time()  # type: ignore[no-untyped-call]
        self._users = 0

    def tick(self) -> tuple[int, float, list[type[User]]] | None:
        """Return the number of users now, the rate at which they start, and their classes."""
        elapsed = self.get_run_time()  # type: ignore[no-untyped-call]
        options: Mapping[str, Any] = vars(self._environment.parsed_options)
        if options.get("run_time") and elapsed >= options["run_time"]:
            return None
        classes = {getattr(each, "label", "") or each.__name__: each for each in self._environment.user_classes}
        stage = self._plan(elapsed, options["clients"] or settings.CLIENTS, tuple(classes))
        if stage is None:
            return None
        users = stage.clients * len(stage.variants)
        if users > self._users:
            self._rate = min(MAX_SPAWN_RATE, max(MIN_SPAWN_RATE, users / SPAWN_SECONDS))
        elif users < self._users:
            self._rate = float(self._users)  # Locust removes users at the same rate: all within a second
        self._users = users
        return users, self._rate, [classes[name] for name in stage.variants]


class SteadyShape(LoadTestShape):
    """A load shape with one number of users."""

    use_common_options = True

    def __init__(self, users: int, rate: float) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self._tick = users, rate

    def tick(self) -> tuple[int, float]:
        """Return the number of users, and the rate at which they start."""
        return self._tick


def offer(environment: Environment, chosen: str | None) -> None:
    """Offer all shapes in Locust's class picker; start with the chosen one."""
    shapes = {name: PlannedShape(plan, environment) for name, plan in SHAPES.items()}
    for shape in shapes.values():
        shape.runner = environment.runner
    environment.available_shape_classes = dict(shapes)
    environment.shape_class = shapes[chosen] if chosen else None


def default_users(environment: Environment) -> None:
    """Set -u (by default --clients for each variant) and -r. SystemExit with a line on a bad number."""
    options = vars(environment.parsed_options)
    if options["shape"] not in {"none", settings.AUTO} and options["num_users"] is not None:
        sys.exit("tcplab: a shape sets the number of clients: use --clients instead of --users")
    if (options["num_users"] or 0) < 0:
        sys.exit(f"tcplab: {options['num_users']} users are too few; give -u a number from 0")
    for name, option in (("num_users", "-u"), ("spawn_rate", "-r")):
        if (options[name] or 0) > settings.MAX_USERS:
            sys.exit(f"tcplab: {option} {options[name]:.0f} is too many; give at most {settings.MAX_USERS}")
    if options["num_users"] is None:
        options["num_users"] = (options["clients"] or settings.CLIENTS) * len(environment.user_classes)
    if options["spawn_rate"] is None:
        options["spawn_rate"] = min(100.0, max(1.0, options["num_users"] / SPAWN_SECONDS))
