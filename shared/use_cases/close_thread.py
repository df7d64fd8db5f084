"""It is over: everybody to whom a notice of the emergency was accepted is told so, once (B6)."""

from collections.abc import Sequence
from contextlib import suppress
from datetime import datetime

from msgspec import structs

from shared.deadlines import Clock, Deadline
from shared.domain.agents import Agent
from shared.domain.deployment import Deployment
from shared.domain.emergencies import (
    GIVE_CLOSING_UP_AFTER,
    Emergency,
    Thread,
    ended_at,
    is_over,
    legs_that_end,
    number_dialled,
    settle,
    standing,
    thread_of,
    with_closing,
)
from shared.domain.emergency_numbers import TEST_NUMBER
from shared.domain.errors import Conflict, Unreadable
from shared.domain.ids import Key, derived
from shared.domain.leases import Rules
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
    """Owe the closing notice to whoever is left, in the transaction that says so. Idempotent; raises `Unavailable`.

    A test has a closing notice of its own, in a transaction of its own.
    """
    effects: tuple[Effect, ...] = ()
    while True:
        stored, now = emergencies.load(agent_key, deadline).result(), clock.now()
        known = stored.emergency
        over = _over(known, deployment.rules, now) if known is not None else []
        if known is None or not over:
            return effects
        # The end of a hold may be written by nobody yet: this is the first to see it.
        ended = settle(known, deployment.rules, now) if known.held else known
        change = Change(stored=stored, emergency=ended, now=now)
        due = [test for test in over if _is_due(thread_of(ended, test=test), now)]
        if due:
            notice = _notice(ended, directory, clock, deployment, deadline, test=due[0])
            change = structs.replace(change, emergency=with_closing(ended, now, test=due[0]), notice=notice)
        if change.emergency == known:
            return effects
        try:
            committed = emergencies.commit(change, deadline)
        except Conflict:
            deadline.require()
            continue
        effects += owed_to(change.emergency) if ended != known else ()
        effects += (DeliverNotice(committed.notice),) if committed.notice is not None else ()
        # Where both are due, the other one is next.
        if not due[1:]:
            return effects


def _over(emergency: Emergency, rules: Rules, now: datetime) -> list[bool]:
    """Which of the threads are over: that of real calls (False), that of tests (True)."""
    stands = standing(emergency, rules, now)
    threads = ((False, emergency.thread), (True, emergency.test_thread))
    return [
        test for test, thread in threads if thread is not None and is_over(emergency, stands, rules, now, test=test)
    ]


def _is_due(thread: Thread | None, now: datetime) -> bool:
    return thread is not None and thread.close_at is not None and thread.close_at <= now


def _notice(
    emergency: Emergency,
    directory: AgentDirectory,
    clock: Clock,
    deployment: Deployment,
    deadline: Deadline,
    *,
    test: bool,
) -> Notice | None:
    """Times and the agent's name; neither number nor place: a message about what is over gives nothing away.

    None where nobody is left to be told.
    """
    thread, lease, rules = thread_of(emergency, test=test), emergency.lease, deployment.rules
    assert thread is not None and lease is not None
    recipients = thread.left
    if not recipients:
        return None
    agent = _agent_of(emergency, directory, deadline)
    situation = emergency.situation or Situation()
    told_of, over_at = legs_that_end(emergency, test=test), ended_at(emergency, rules, clock.now(), test=test)
    return Notice(
        notice_id=_closing_id(thread, recipients, over_at),
        recipients=recipients,
        agent_id=emergency.agent_id,
        closes=emergency.agent_key,
        agent_name=agent.name if agent is not None else None,
        claimed=not emergency.in_directory,
        dialled_at=min((leg.dialled_at for leg in told_of), default=lease.dialled_at),
        ended_at=over_at,
        callback_number="",
        reachable_until=lease.ends_at(rules),
        shared=False,
        # The calls of a lease before this one are kept no more.
        test=test or (bool(told_of) and all(leg.test for leg in told_of)),
        drill=emergency.drill,
        dialled=TEST_NUMBER if test else number_dialled(emergency, told_of),
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


def _closing_id(thread: Thread, recipients: Sequence[str], over_at: datetime) -> Key:
    """Each end is another: after a callback of which nobody was told, and after a notice that came later than the end.

    Of two messages with one id, the e-mail service sends the first.
    """
    before = thread.closed_at.isoformat() if thread.closed_at is not None else ""
    end = f"{thread.opened_by}|{';'.join(recipients)}|{over_at.isoformat()}|{before}"
    return derived(end, NoticeKind.CLOSING.value)


def _agent_of(emergency: Emergency, directory: AgentDirectory, deadline: Deadline) -> Agent | None:
    """A damaged entry costs the message the name, and nobody the word that it is over."""
    with suppress(Unreadable):
        return directory.find(emergency.agent_id, deadline).result() if emergency.in_directory else None
    return None
