"""Tells how many users there are to be, at each step in which Locust starts or stops some."""

from collections.abc import Callable
from functools import partial
from typing import Any

from locust.dispatch import UsersDispatcher
from locust.env import Environment


class ToldDispatcher(UsersDispatcher):
    """Locust's own dispatcher. At each step `told` is called first, with the number of users after it."""

    def __init__(self, told: Callable[[int], object], *arguments: Any, **more: Any) -> None:  # noqa: ANN401 - Locust's own
        super().__init__(*arguments, **more)
        self._told = told

    def __next__(self) -> dict[str, dict[str, int]]:
        """Return the users of each class that each worker is to have from now on."""
        users = super().__next__()
        self._told(sum(sum(classes.values()) for classes in users.values()))
        return users


def tell(environment: Environment, told: Callable[[int], object]) -> None:
    """Have `told` called at each step of every run of this environment."""
    environment.dispatcher_class = partial(ToldDispatcher, told)  # type: ignore[assignment]  # Locust only calls it
