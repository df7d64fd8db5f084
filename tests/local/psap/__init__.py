"""The PSAP simulator: both sides of an emergency call on one page, for the local stack only."""

from tests.local.psap.server import Simulator as Simulator
