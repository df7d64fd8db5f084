"""The live board: what supervisors see of the emergencies that are going on."""

from collections.abc import Iterable, Mapping
from datetime import datetime

from msgspec import Struct

from shared.domain.emergencies import Emergency, rings_now, standing
from shared.domain.leases import Rules
from shared.domain.notifications import Delivery, Notice
from shared.domain.panels import Mode, Panel, panel_of
from shared.domain.presence import PresenceStatus

OWED = "owed"
# Of several notices to one recipient the state that asks for somebody's attention most is shown.
_URGENT_FIRST = (OWED, Delivery.FAILED, Delivery.REFUSED, Delivery.ACCEPTED, Delivery.DELIVERED)


class NoticeState(Struct, frozen=True, kw_only=True):
    """What is known of the notices to one recipient: `owed`, or how the delivery of what was sent went."""

    recipient: str
    state: str


class LiveEmergency(Struct, frozen=True, kw_only=True):
    """A row of the board. `emergency` is opaque; `since` is when the first leg of this lease was dialled."""

    emergency: str
    agent_id: str
    name: str | None
    site: str | None
    since: datetime
    mode: Mode
    presence: PresenceStatus | None
    callback_number: str | None
    expires_at: datetime | None
    shared: bool
    test: bool
    drill: bool
    notices: tuple[NoticeState, ...]
    hold_until: datetime | None


class Board(Struct, frozen=True, kw_only=True):
    """The rows, the newest first. `cut_at`: more than this many are kept, and those beyond are not on it."""

    emergencies: list[LiveEmergency]
    cut_at: int | None = None


class SentNotice(Struct, frozen=True):
    """A message that was sent about an agent's emergency, and how its delivery to each recipient went."""

    agent_key: str
    deliveries: Mapping[str, Delivery]


def is_live(emergency: Emergency, rules: Rules, now: datetime) -> bool:
    """Whether it is on the board: it has a leg in progress, rings, or is held after a drop."""
    if emergency.live_id is None:
        return False
    stands = standing(emergency, rules, now)
    return bool(stands.in_progress or stands.held or rings_now(emergency, now))


def live_emergency(
    emergency: Emergency,
    *,
    name: str | None,
    notices: tuple[NoticeState, ...],
    rules: Rules,
    now: datetime,
) -> LiveEmergency:
    """An emergency as the board shows it."""
    assert emergency.live_id is not None and emergency.lease is not None
    stands, panel = standing(emergency, rules, now), panel_of(emergency, rules, now)
    number, expires_at = _lent(emergency, panel, rules)
    about = (*stands.in_progress, *stands.dropped) or emergency.legs
    return LiveEmergency(
        emergency=emergency.live_id,
        agent_id=emergency.agent_id,
        name=name,
        site=emergency.situation.site if emergency.situation is not None else None,
        since=min((leg.dialled_at for leg in emergency.legs), default=emergency.lease.lent_at),
        mode=panel.mode,
        presence=panel.presence,
        callback_number=number,
        expires_at=expires_at,
        shared=emergency.lease.shared,
        test=bool(about) and all(leg.test for leg in about),
        drill=emergency.drill,
        notices=notices,
        hold_until=stands.hold_ends_at,
    )


def _lent(emergency: Emergency, panel: Panel, rules: Rules) -> tuple[str | None, datetime | None]:
    """The number that is this agent's, and until when: what the panel shows, but for two cases."""
    assert emergency.lease is not None
    if emergency.drill:
        # The panel of a drill shows no number, which nobody shall give to a responder; whoever watches sees it.
        return emergency.lease.number, emergency.lease.ends_at(rules)
    # The fallback number is nobody's.
    return (None, None) if emergency.lease.fallback else (panel.callback_number, panel.expires_at)


def notice_states(owed: Iterable[Notice], sent: Iterable[SentNotice]) -> dict[str, tuple[NoticeState, ...]]:
    """By the agent's key each recipient once, in the order of their addresses. In one pass: a crisis has thousands."""
    states: dict[str, dict[str, str]] = {}
    for notice in owed:
        for agent_key in {part.agent_key for part in notice.singly if part.agent_key is not None}:
            _note(states, agent_key, dict.fromkeys(notice.recipients, OWED))
    for each in sent:
        deliveries = {address: delivery.value for address, delivery in each.deliveries.items()}
        _note(states, each.agent_key, deliveries)
    return {
        agent_key: tuple(NoticeState(recipient=address, state=found[address]) for address in sorted(found))
        for agent_key, found in states.items()
    }


def _note(states: dict[str, dict[str, str]], agent_key: str, found: Mapping[str, str]) -> None:
    of_agent = states.setdefault(agent_key, {})
    for address, state in found.items():
        of_agent[address] = min(of_agent.get(address, state), state, key=_URGENT_FIRST.index)
