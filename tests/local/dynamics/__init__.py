"""A local stand-in for Dynamics 365, over TLS: the Dataverse Web API as far as presence needs it.

    with LocalDynamics.start() as dynamics:
        dynamics.url, dynamics.ca_file, dynamics.key    # for the app's settings, and for whoever signs tokens
        dynamics.organisation.sign_in(agent_id)         # what people and the platform do
        dynamics.faults.append(Fault("lost"))           # what goes wrong with the next request

It imports nothing of the product, and a test says so.
"""

from tests.local.dynamics.organisation import (
    AVAILABLE,
    AWAY,
    BUSY,
    BUSY_DND,
    INACTIVE,
    OFFLINE,
    QUIET,
    TRAINING,
    CapacityProfile,
    Organisation,
)
from tests.local.dynamics.server import Asked, Fault, LocalDynamics

__all__ = [
    "AVAILABLE",
    "AWAY",
    "BUSY",
    "BUSY_DND",
    "INACTIVE",
    "OFFLINE",
    "QUIET",
    "TRAINING",
    "Asked",
    "CapacityProfile",
    "Fault",
    "LocalDynamics",
    "Organisation",
]
