"""The lab's load with its plain driver, a greenlet for each client, in place of the engine."""

from loadtest import conductor, settings
from loadtest.user import ScenarioUser
from servers.variants import by_name

conductor.install()


class CrowdUser(ScenarioUser):
    label = "asyncio"
    host = settings.target(by_name("asyncio"))
