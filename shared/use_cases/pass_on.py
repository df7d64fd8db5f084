"""A notice that somebody cannot get goes on to the default contacts who were not told yet, once (B6)."""

from collections.abc import Collection
from datetime import datetime

from msgspec import structs

from shared.deadlines import Clock, Deadline
from shared.domain.deployment import Deployment
from shared.domain.dials import kept_owed
from shared.domain.emergencies import Emergency, with_passed_on
from shared.domain.errors import Conflict
from shared.domain.ids import derived
from shared.domain.notifications import Notice, NoticeKind
from shared.ports import Change, EmergencyStore, Telemetry
from shared.use_cases.effects import DeliverNotice


def pass_on(
    notice: Notice,
    reached: Collection[str],
    *,
    emergencies: EmergencyStore,
    clock: Clock,
    deployment: Deployment,
    telemetry: Telemetry,
    deadline: Deadline,
) -> tuple[DeliverNotice, ...]:
    """Owe it to the default contacts in the transaction that notes it, so that no later report does again.

    `reached` are those to whom it went, or is owed still. Raises `Unavailable`.
    """
    while notice.agent_key is not None:
        stored, now = emergencies.load(notice.agent_key, deadline).result(), clock.now()
        if stored.emergency is None:
            break
        emergency, onward = with_onward(stored.emergency, notice, reached, deployment, now)
        if onward is None:
            break
        try:
            committed = emergencies.commit(Change(stored=stored, emergency=emergency, now=now, notice=onward), deadline)
        except Conflict:
            deadline.require()
            continue
        tell_passed_on(onward, telemetry)
        return (DeliverNotice(committed.notice),) if committed.notice is not None else ()
    return ()


def with_onward(
    emergency: Emergency, notice: Notice, reached: Collection[str], deployment: Deployment, now: datetime
) -> tuple[Emergency, Notice | None]:
    """The emergency, and the notice that tells the default contacts; None where it goes on to nobody.

    A closing notice names no emergency: whoever was not told of one need not know that it is over. A drill is for
    those whom it names.
    """
    notice = kept_owed(notice, emergency, deployment.rules, now)
    if notice.agent_key is None or notice.drill or now >= notice.give_up_at:
        return emergency, None
    onward = derived(notice.notice_id, "passed on")
    missed, desk = notice.kind is NoticeKind.CALLBACK_MISSED, deployment.default_contacts
    emergency, new = with_passed_on(emergency, notice.notice_id, onward, reached, desk, test=notice.test, missed=missed)
    return emergency, structs.replace(notice, notice_id=onward, recipients=new) if new else None


def tell_passed_on(onward: Notice, telemetry: Telemetry) -> None:
    """Say so in the log."""
    telemetry.emit("notice_passed_on", recipients=len(onward.recipients), **onward.called)
