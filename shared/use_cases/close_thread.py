"""It is over: everybody to whom a notice of the emergency was accepted is told so, once (B6)."""

from contextlib import suppress

from msgspec import structs

from shared.deadlines import Clock, Deadline
from shared.domain.deployment import Deployment
from shared.domain.emergencies import (
    GIVE_CLOSING_UP_AFTER,
    Emergency,
    is_over,
    legs_that_end,
    number_dialled,
    settle,
    standing,
    with_closing,
)
from shared.domain.errors import Conflict, Unreadable
from shared.domain.ids import derived
from shared.domain.locations import ToldLocation
from shared.domain.notifications import Notice, NoticeKind
from shared.domain.situations import Situation
from shared.ports import AgentDirectory, Change, EmergencyStore
from shared.use_cases.change_emergency import owed_to
from shared.use_cases.effects import DeliverNotice, Effect


def close_thread(
    agent_key: str,
    *,
    emergencies: EmergencyStore,
    directory: AgentDirectory,
    clock: Clock,
    deployment: Deployment,
    deadline: Deadline,
) -> tuple[Effect, ...]:
    """Owe the closing notice to whoever is left, in the transaction that says so. Idempotent; raises `Unavailable`."""
    while True:
        stored, now = emergencies.load(agent_key, deadline).result(), clock.now()
        known = stored.emergency
        if known is None or known.thread is None or not is_over(known, deployment.rules, now):
            return ()
        # The end of a hold may be written by nobody yet: this is the first to see it.
        ended = settle(known, deployment.rules, now) if known.held else known
        thread = ended.thread
        assert thread is not None
        change = Change(stored=stored, emergency=ended, now=now)
        if thread.close_at is not None and thread.close_at <= now:
            notice = _notice(ended, thread.left, directory, clock, deployment, deadline) if thread.left else None
            change = structs.replace(change, emergency=with_closing(ended, now), notice=notice)
        if change.emergency == known:
            return ()
        try:
            committed = emergencies.commit(change, deadline)
        except Conflict:
            deadline.require()
        else:
            owed = (DeliverNotice(committed.notice),) if committed.notice is not None else ()
            return (*owed_to(change.emergency), *owed) if ended != known else owed


def _notice(
    emergency: Emergency,
    recipients: tuple[str, ...],
    directory: AgentDirectory,
    clock: Clock,
    deployment: Deployment,
    deadline: Deadline,
) -> Notice:
    """Times and the agent's name; neither number nor place: a message about what is over gives nothing away."""
    agent = None
    if emergency.in_directory:
        # A damaged entry costs the message the name, and nobody the word that it is over.
        with suppress(Unreadable):
            agent = directory.find(emergency.agent_id, deadline).result()
    thread, lease, rules = emergency.thread, emergency.lease, deployment.rules
    situation = emergency.situation or Situation()
    assert thread is not None and lease is not None
    ends = standing(emergency, rules, clock.now()).ends
    told_of = legs_that_end(emergency)
    ended_at = max((end.at for end in ends.values()), default=clock.now())
    # Whatever opens a thread again is another notice, one beyond the ration from when it is sent.
    closed = f"{thread.opened_by}|{';'.join(recipients)}"
    return Notice(
        notice_id=derived(closed, NoticeKind.CLOSING.value),
        recipients=recipients,
        agent_id=emergency.agent_id,
        agent_name=agent.name if agent is not None else None,
        claimed=not emergency.in_directory,
        dialled_at=min((leg.dialled_at for leg in told_of), default=lease.dialled_at),
        ended_at=ended_at,
        callback_number="",
        reachable_until=lease.ends_at(rules),
        shared=False,
        test=bool(told_of) and all(leg.test for leg in told_of),
        drill=emergency.drill,
        dialled=number_dialled(emergency, told_of),
        placeable=situation.placement.placeable,
        degraded=lease.fallback,
        location=ToldLocation(),
        locale=situation.locale or (agent.locale if agent is not None else None),
        time_zone=situation.time_zone or deployment.time_zone,
        word=lease.word,
        thread=lease.thread,
        # Nothing is sent once the lease is gone; one that ends with its last leg leaves time for another try.
        give_up_at=max(lease.ends_at(rules), clock.now() + GIVE_CLOSING_UP_AFTER),
        kind=NoticeKind.CLOSING,
        repeat=True,
    )
