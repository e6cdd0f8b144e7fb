"""What this process counts, and the users that it counts: scenario users, and those of people's own locustfiles."""

import os
from typing import ClassVar, Final

from locust import User
from locust.env import Environment

from loadtest.recording import conntrack, cpu_contention
from loadtest.recording.recorder import Recorder

RECORDER: Final = Recorder(starved=cpu_contention.starved, stolen=cpu_contention.stolen, conntrack=conntrack.used)
"""What this process counts."""

os.register_at_fork(after_in_child=RECORDER.renew)


class RecordedUser(User):
    """
    A user that RECORDER counts.

    label: its name in the statistics and metrics; by default the class's own. client_stats: follows what it does.
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
