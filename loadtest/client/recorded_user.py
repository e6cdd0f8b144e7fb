"""The process's recorder, and the base class of the users that it counts."""

import os
from typing import ClassVar, Final

from locust import User
from locust.env import Environment

from loadtest.recording import conntrack, cpu_contention
from loadtest.recording.recorder import Recorder

RECORDER: Final = Recorder(starved=cpu_contention.starved, stolen=cpu_contention.stolen, conntrack=conntrack.used)

os.register_at_fork(after_in_child=RECORDER.renew)


class RecordedUser(User):
    """
    A user that RECORDER counts.

    label: its name in the statistics and metrics; the class's name by default. client_stats: its counts.
    """

    abstract = True
    label: ClassVar[str] = ""

    def __init__(self, environment: Environment) -> None:
        super().__init__(environment)
        self.name = self.label or type(self).__name__
        self.client_stats = RECORDER.client(self.name)

    def on_start(self) -> None:
        """Count as a user."""
        self.client_stats.started()
