"""
The lab's load for Locust: a user class for each variant of the server. Wiring only.

    locust -f loadtest/locustfile.py                 # all variants, web UI at port 8089
    locust -f loadtest/locustfile.py AsyncioUser     # one variant

loadtest/README.md lists the options and what is measured.
"""

import sys
from pathlib import Path
from typing import ClassVar

# Locust puts only the current directory on the path; this makes it work from any directory.
sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from locust.env import Environment

from loadtest import settings
from loadtest.client.outcomes import split_address
from loadtest.client.scenario_user import ScenarioUser
from loadtest.cluster import master
from servers.variants import VARIANTS, Variant

master.install()


class VariantUser(ScenarioUser):
    """
    A client of one variant.

    target: its server, "host:port". The web UI's host field is ignored: it would send all variants' clients there.
    """

    abstract = True
    variant: ClassVar[Variant]
    target: ClassVar[str]

    def __init__(self, environment: Environment) -> None:
        self.host = self.target
        super().__init__(environment)


def user_class(variant: Variant) -> type[VariantUser]:
    """Return the class of the variant's users, such as SingleUser."""
    try:
        target = settings.target(variant)
        split_address(target)
    except ValueError as error:
        sys.exit(f"tcplab: TCPLAB_{variant.name.upper()}: {error}")
    name = f"{variant.name.capitalize()}User"
    members = {"__doc__": variant.sentence, "label": variant.name, "variant": variant, "target": target, "host": target}
    return type(name, (VariantUser,), members)


for _variant in VARIANTS:
    _class = user_class(_variant)
    globals()[_class.__name__] = _class
del _variant, _class
