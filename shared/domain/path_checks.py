"""The path of a 911 call, and what the platform says of the callback numbers, as checks (S10)."""

from collections.abc import Collection, Iterator, Sequence
from datetime import datetime

from shared.domain.emergency_numbers import EMERGENCY_911
from shared.domain.pool import domestic_zones, zone_of_number
from shared.domain.readiness import DEPLOYMENT, Check, ok, problem, unknown, warning
from shared.domain.voice_routes import OwnedNumber, Path, Telephony, path_of
from shared.domain.words import Words


def emergency_path(caller_ids: Collection[str], telephony: Telephony, subject: str = DEPLOYMENT) -> Check:
    """Which way a 911 call from these caller ids takes; the reason begins with the way's name."""
    way = path_of(EMERGENCY_911, caller_ids, telephony)
    name = way.route.name if way.route else ""
    at = telephony.routes_at
    match way.path:
        case Path.DIRECT_ROUTING:
            return ok(
                "emergency_path",
                Words(
                    'direct_routing: the voice route "{route}" takes 911. Neither the state of its trunk nor what the '
                    "carrier does with emergency calls can be seen from here: agree on them with the carrier, and "
                    "configure them there.",
                    route=name,
                ),
                at,
                subject,
            )
        case Path.DIRECT_OFFER:
            return ok(
                "emergency_path",
                "direct_offer: no voice route takes 911, and the caller id is a number bought on this resource. No "
                "location is conveyed: a relay agent asks for it in the United States, Puerto Rico and Canada.",
                at,
                subject,
            )
        case Path.FAILS:
            return problem(
                "emergency_path",
                "fails: no voice route takes 911, and the caller id is not a number bought from the platform on this "
                "resource; its page on direct routing says that such a call fails, which is stricter than the page "
                "that this product follows.",
                "Buy a number on this resource and use it as the caller id, or add a voice route for 911.",
                at,
                subject,
            )
        case Path.UNKNOWN:
            return _unknown_path(name, at, subject)


def _unknown_path(route_name: str, at: datetime | None, subject: str) -> Check:
    if route_name:
        return unknown(
            "emergency_path",
            Words(
                'unknown: the pattern of the voice route "{route}" cannot be judged here with certainty.',
                route=route_name,
            ),
            "Dial 933 from a desk, or simplify it. Look at Communication Services, Direct routing, Voice routes in the "
            "Azure portal.",
            at,
            subject,
        )
    return unknown(
        "emergency_path",
        "unknown: the voice routes or the numbers of the resource could not be read.",
        "Give the app's identity the right to read them. Look at Communication Services, Direct routing, Voice routes "
        "in the Azure portal.",
        at,
        subject,
    )


def number_checks(pool: Sequence[str], countries: Collection[str], telephony: Telephony) -> Iterator[Check]:
    """What the platform says of each callback number; `countries` are the agents', "" where nobody stated one."""
    at = telephony.numbers_at
    if telephony.numbers is None:
        yield unknown(
            "callback_numbers",
            "The numbers of the resource could not be read.",
            "Give the app's identity the right to read them, or look at Phone numbers in the Azure portal.",
            at,
        )
        return
    owned = {each.number: each for each in telephony.numbers}
    checked = [_number_check(number, owned.get(number), telephony, at) for number in pool]
    faulty = [check for check in checked if check is not None]
    yield from faulty
    if not faulty and pool:
        reason = Words("All {numbers} can be called and call, and belong to an application.", numbers=len(pool))
        yield ok("callback_numbers", reason, at)
    zones = {zone_of_number(number) for number in pool}
    missing = sorted(country for country in countries if country and not zones.intersection(domestic_zones(country)))
    if pool and missing:
        yield warning(
            "callback_countries",
            Words(
                "No callback number belongs to {countries}: agents there are lent a foreign one.",
                countries=tuple(missing),
            ),
            "Buy numbers of those countries.",
            at,
        )


def _number_check(number: str, owned: OwnedNumber | None, telephony: Telephony, at: datetime | None) -> Check | None:
    subject = f"number:{number}"
    if owned is None and telephony.routes:
        return warning(
            "callback_number",
            "It is not a number of this Communication Services resource; the resource has direct routing, by which a "
            "carrier may bring its calls. That cannot be seen from here.",
            "Have somebody call it, and see that it rings an agent or the desk.",
            at,
            subject,
        )
    if owned is None:
        return problem(
            "callback_number",
            "It is not a number of this Communication Services resource: callbacks to it never come here, unless a "
            "carrier's trunk brings them.",
            "Buy it on this resource, or take it out of CALLBACK_NUMBERS.",
            at,
            subject,
        )
    if not (owned.inbound and owned.outbound):
        return problem(
            "callback_number",
            "It cannot be called." if not owned.inbound else "It cannot call: a desk without a softphone never rings.",
            "Change its features to make and receive calls.",
            at,
            subject,
        )
    if not owned.of_application:
        return problem(
            "callback_number",
            "It is a person's number, and events of its calls are not an application's.",
            "Buy a number of type Application.",
            at,
            subject,
        )
    return None


def binding_check() -> Check:
    """Whether a callback number is bound to something that answers it, which no interface tells."""
    return unknown(
        "callback_binding",
        "Whether a callback number is bound to a workstream, queue, bot or auto attendant cannot be seen from here.",
        "In Customer Service admin center look at Workstreams, Voice, and at Phone numbers; in Teams at Resource "
        "accounts. None of these may have a callback number.",
        None,
    )
