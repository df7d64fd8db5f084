"""A dial when the store is away: the fallback number, the default contacts, presence held (B1)."""

from msgspec import structs

from shared.domain.dials import DialFacts, bare_notice
from shared.domain.ids import agent_key_of, derived, leg_id_of
from shared.domain.notifications import recipients_of
from shared.domain.panels import emergency_panel, with_number
from shared.domain.pool import notices_a_window
from shared.ports import OutageDial, OutageLog
from shared.use_cases.answer_dial import Answer, Started, stale
from shared.use_cases.effects import Effect, HoldInOutage, MailInOutage, ReconcilePresence, ReturnPresence


def answer_in_outage(facts: DialFacts, outage: OutageLog) -> Started:
    """The answer by what is known without the store, and what is owed at once. `facts` are situated."""
    if facts.too_late:
        return stale(facts)
    facts = facts.without_number_shown()
    assert facts.number is not None
    recipients = recipients_of(facts.deployment.default_contacts, facts.contacts)
    effects: list[Effect] = [_held(facts)]
    if recipients and not outage.mailed(facts.leg_id) and _mail_granted(facts, outage):
        bare = bare_notice(facts, facts.subject.key, recipients)
        notice = structs.replace(bare, degraded=True, test=facts.number.test)
        effects.append(MailInOutage(facts.leg_id, notice))
    answer, situation = outage_answer(facts, notified=len(recipients)), facts.situation
    until = facts.dialled_at + facts.rules.window
    known = OutageDial(expires_at=until, test=answer.test, situation=situation, by=facts.caller.owner)
    outage.dialled(facts.subject.agent_id, known)
    return Started(answer, tuple(effects))


def answer_beyond_bound(facts: DialFacts, outage: OutageLog) -> Started:
    """The answer of an outage, for nobody knows whom: no presence is held, of which nobody would know later."""
    started = answer_in_outage(facts, outage)
    mails = tuple(effect for effect in started.effects if isinstance(effect, MailInOutage))
    return structs.replace(started, effects=mails, bounded=True)


def owed_after_outage(facts: DialFacts, agent_key: str, *, known: bool) -> tuple[Effect, ...]:
    """What is owed for presence that this process held before it knew whose the dial is.

    `agent_key` is what the emergency is stored under; `known`: another process recorded the dial.
    """
    named = agent_key_of(facts.dial.agent_id)
    if facts.subject.key != named:
        hold = derived(leg_id_of(named, facts.dial.call_id), "hold")
        return (ReturnPresence(facts.dial.agent_id, hold),)
    # Whose the presence is must be looked at again.
    return (ReconcilePresence(agent_key),) if known else ()


def outage_answer(facts: DialFacts, *, notified: int) -> Answer:
    """The answer by these facts, to which the number that was dialled need not belong."""
    test, number = facts.number is not None and facts.number.test, facts.deployment.fallback_number
    situation, expires_at = facts.situation, facts.dialled_at + facts.rules.window
    placement = situation.placement
    return Answer(
        call_id=facts.dial.call_id,
        agent_id=facts.subject.agent_id,
        callback_number=number,
        expires_at=expires_at,
        test=test,
        degraded=True,
        notified=notified,
        placeable=placement.placeable,
        dial=placement.dial,
        ignored=facts.all_ignored,
        panel=with_number(emergency_panel(test=test, placement=placement), number, expires_at, situation),
    )


def _mail_granted(facts: DialFacts, outage: OutageLog) -> bool:
    """Whether the ration of whoever dialled allows it; what is beyond is owed once the store knows the dial."""
    own = facts.caller.is_agent or facts.agent is not None
    principal = facts.subject.key if facts.agent is not None else facts.caller.owner
    return outage.grants_mail(facts.leg_id, principal, notices_a_window(None if own else principal), facts.now)


def _held(facts: DialFacts) -> Effect:
    subject = facts.subject
    # A sign-in says who they are; what a machine says stands in for an entry that nobody has read.
    claimed = None if facts.agent is not None else facts.dial.entra_object_id
    object_id = facts.caller.name if facts.caller.is_agent else claimed
    return HoldInOutage(
        subject.agent_id, subject.key, subject.presence_id, facts.hold, facts.received_at, object_id or None
    )
