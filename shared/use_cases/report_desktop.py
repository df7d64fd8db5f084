"""What an agent's desktop sees of itself is reported (B15)."""

from datetime import datetime

from msgspec import Struct, structs

from shared.deadlines import Clock, Deadline
from shared.domain.locations import Confirmation, Desktop, Environment, Location, Permission
from shared.ports import Desktops

MAX_KINDS_OF_DEVICES = 10


class DesktopReport(Struct, frozen=True, kw_only=True):
    """One report; `confirmed`: the agent said just now that `location`, or what was kept before, is where they are.

    `client` is the IP address that an agent's own report came from; it is not kept.
    """

    desktop_id: str
    location_permission: Permission = Permission.UNKNOWN
    country: str | None = None
    location: Location | None = None
    network: str | None = None
    environment: Environment = Environment.UNKNOWN
    confirmed: bool = False
    devices: dict[str, int] = {}
    at: datetime | None = None
    client: str | None = None


def report_desktop(
    agent_id: str, report: DesktopReport, *, desktops: Desktops, clock: Clock, deadline: Deadline
) -> Desktop:
    """Keep the report; gives what is kept of this desktop now. Raises `Unavailable`."""
    now = clock.now()
    # The request proves that it is now: a desktop's clock may only say that it looked earlier.
    at = min(report.at or now, now)
    location = _by_our_clock(report, now)
    confirmation = Confirmation(now, location or Location()) if report.confirmed else None
    kept = Desktop(
        desktop_id=report.desktop_id,
        at=at,
        location_permission=report.location_permission,
        country=report.country.upper() if report.country else None,
        location=location,
        network=report.network,
        seen_from=desktops.seen_from(report.client, deadline) if report.client else None,
        environment=report.environment,
        devices=report.devices,
        confirmation=confirmation,
    )
    return desktops.save(agent_id, kept, deadline)


def _by_our_clock(report: DesktopReport, now: datetime) -> Location | None:
    """Where it is, with the time of that put right where the report itself says that its clock runs ahead."""
    seen, said = report.location, report.at
    if seen is None or seen.at is None or said is None or said <= now:
        return seen
    return structs.replace(seen, at=seen.at - (said - now))
