"""What the contacts are told of a callback: that it was answered, or that nobody answered it; each once."""

from collections.abc import Collection
from contextlib import suppress
from datetime import datetime

from msgspec import Struct, structs

from shared.deadlines import Deadline
from shared.domain.agents import Agent
from shared.domain.callbacks import Callback, Party, on_the_call, was_answered
from shared.domain.deployment import CallbackNotices, Deployment
from shared.domain.dials import callbacks_beyond_ration, has_foreign_number, later_notice_id
from shared.domain.emergencies import Emergency, calls_test_back, latest_dialled, number_dialled
from shared.domain.errors import Unreadable
from shared.domain.ids import derived
from shared.domain.leases import Lease
from shared.domain.notifications import Notice, NoticeKind, recipients_of
from shared.domain.pool import ration_over
from shared.domain.situations import Situation
from shared.ports import AgentDirectory, NumberPool


class OwedOfCallback(Struct, frozen=True):
    """A notice to be owed, and what it takes of the ration of agents who are not in the directory.

    `notice_from`: from when on, where it is beyond a ration; else at once.
    """

    notice: Notice | None = None
    ration_row: str | None = None
    notice_from: datetime | None = None


def kind_owed(before: Callback, known: Callback, closing: bool, deployment: Deployment) -> NoticeKind | None:
    """What the contacts of its parties are to be told now: the first answer, or an end without one.

    A callback to a number that nobody holds concerns nobody's contacts.
    """
    wanted = deployment.callback_notices
    if not was_answered(before) and was_answered(known):
        return NoticeKind.CALLBACK_RECEIVED if wanted is CallbackNotices.ALL else None
    missed = closing and not was_answered(known) and wanted is not CallbackNotices.NONE
    return NoticeKind.CALLBACK_MISSED if missed else None


def concerns(callback: Callback, kind: NoticeKind, emergency: Emergency) -> bool:
    """Whether this agent's contacts are told: the one's who answered, or else everybody's whose number it is.

    Not where the callback came before the agent had the number: it was for whoever held it then, and an event that came
    late, or a store that was away, has found the agent.
    """
    lease = emergency.lease
    theirs = lease is not None and lease.lent_at <= callback.began_at
    return theirs and emergency.agent_key in {party.agent_key for party in _concerned(callback, kind)}


def _concerned(callback: Callback, kind: NoticeKind) -> tuple[Party, ...]:
    answered_by = {each.agent_key for each in on_the_call(callback)}
    own = tuple(party for party in callback.parties if party.agent_key in answered_by)
    return own if own and kind is NoticeKind.CALLBACK_RECEIVED else callback.parties


def notice_of(
    callback: Callback,
    kind: NoticeKind,
    emergency: Emergency,
    *,
    numbers: NumberPool,
    directory: AgentDirectory,
    deployment: Deployment,
    now: datetime,
    spent: Collection[str],
    deadline: Deadline,
) -> OwedOfCallback:
    """The notice to this agent's contacts, unless they have none; one beyond the ration later. Raises `Unavailable`.

    `spent`: what other notices of the same transition take of the ration.
    """
    agent, is_listed = None, True
    # A damaged entry costs the message the name; the callback may be another's, too, who shares the number.
    with suppress(Unreadable):
        agent = directory.find(emergency.agent_id, deadline).result()
        is_listed = agent is not None
    recipients = (emergency.situation or Situation()).contacts
    if recipients is None:
        recipients = recipients_of(agent.emergency_contacts if agent else (), deployment.default_contacts)
    if emergency.lease is None or not recipients:
        return OwedOfCallback()
    row = None
    if not is_listed:
        row = numbers.ration(emergency.reporter or emergency.owner, now, deadline, spent).result().row
    rationed = callbacks_beyond_ration(emergency, now) if is_listed else row is None
    notice = _notice(callback, kind, emergency, emergency.lease, agent, recipients, deployment, now)
    notice = structs.replace(notice, claimed=not is_listed)
    if not rationed:
        return OwedOfCallback(notice, row)
    # One for all callbacks of this kind beyond the ration: the latest.
    one_for_all = later_notice_id(emergency.lease, kind, now, test=notice.test)
    return OwedOfCallback(structs.replace(notice, notice_id=one_for_all), notice_from=ration_over(now))


def _notice(
    callback: Callback,
    kind: NoticeKind,
    emergency: Emergency,
    lease: Lease,
    agent: Agent | None,
    recipients: tuple[str, ...],
    deployment: Deployment,
    now: datetime,
) -> Notice:
    situation, latest = emergency.situation or Situation(), latest_dialled(emergency)
    test = calls_test_back(emergency, emergency.legs, callback.began_at)
    # Of a real call before these tests nobody knows any more which number was dialled.
    of_earlier = not test and all(leg.test for leg in emergency.legs)
    return Notice(
        notice_id=derived(f"{callback.callback_id}|{emergency.agent_key}", kind.value),
        recipients=recipients,
        agent_key=emergency.agent_key,
        agent_id=emergency.agent_id,
        agent_name=agent.name if agent else None,
        dialled_at=callback.answered_at,
        callback_number=lease.number,
        word=lease.word,
        thread=lease.thread,
        reachable_until=lease.reachable_until(deployment.rules, callback.answered_at),
        shared=lease.shared,
        foreign=latest is not None and has_foreign_number(emergency, latest),
        number_shown=situation.number_shown,
        dialled="" if of_earlier else number_dialled(emergency, emergency.legs),
        placeable=situation.placement.placeable,
        test=test,
        drill=emergency.drill,
        degraded=lease.fallback,
        location=situation.told,
        site=situation.site,
        locale=situation.locale or (agent.locale if agent else None),
        time_zone=situation.time_zone or deployment.time_zone,
        # Not a word of it outlives the emergency (B8).
        give_up_at=lease.kept_until_at_least(deployment.rules, now),
        kind=kind,
        repeat=True,
    )
