"""The timer reads the voice routes now and then, so that the next dial knows what they take (B12, B13)."""

from shared.deadlines import Deadline
from shared.domain.voice_routes import RoutesRead, Telephony
from shared.ports import TelephonyReader, VoiceRoutes


def read_voice_routes(*, telephony: TelephonyReader, routes: VoiceRoutes, deadline: Deadline) -> None:
    """Keep the routes for all processes, with the time at which they were read. Raises `Unavailable`."""
    keep_voice_routes(telephony.read(deadline), routes=routes, deadline=deadline)


def keep_voice_routes(known: Telephony, *, routes: VoiceRoutes, deadline: Deadline) -> None:
    """Keep what was read of them, if anything was. Raises `Unavailable`."""
    if known.routes is not None and known.routes_at is not None:
        routes.keep(RoutesRead(routes=known.routes, at=known.routes_at), deadline)
