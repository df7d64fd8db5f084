"""A dial when the store is away: the fallback number, the default contacts, presence held (B1)."""

from msgspec import structs

from shared.domain.callers import owner_named
from shared.domain.dials import DialFacts, bare_notice
from shared.domain.ids import agent_key_of, derived, key_of, leg_id_of
from shared.domain.notifications import recipients_of
from shared.domain.panels import emergency_panel, with_number
from shared.domain.pool import is_foreign, notices_a_window
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
    if recipients and not outage.mailed(facts.outage_key) and mail_granted(facts, outage):
        bare = bare_notice(facts, facts.subject.key, recipients)
        notice = structs.replace(bare, degraded=True, test=facts.number.test, foreign=_fallback_is_foreign(facts))
        effects.append(
            MailInOutage(
                dial_key=facts.outage_key, call_key=key_of(facts.dial.call_id), by=facts.caller.owner, notice=notice
            )
        )
    return Started(_remembered(facts, outage, notified=len(recipients)), tuple(effects))


def answer_beyond_bound(facts: DialFacts, outage: OutageLog) -> Started:
    """The answer of an outage, for nobody knows whom: no presence is held, of which nobody would know later."""
    started = answer_in_outage(facts, outage)
    mails = tuple(effect for effect in started.effects if isinstance(effect, MailInOutage))
    return structs.replace(started, effects=mails, bounded=True)


def answer_beyond_line(facts: DialFacts, outage: OutageLog) -> Started:
    """The answer of an outage, for an agent of whom more dials wait already than one softphone can have placed.

    It is reported again until the store has it; until then nothing is done in anybody's name.
    """
    recipients = recipients_of(facts.deployment.default_contacts, facts.contacts)
    return stale(facts) if facts.too_late else Started(_remembered(facts, outage, notified=len(recipients)))


def owed_after_outage(facts: DialFacts, agent_id: str, agent_key: str, *, known: bool) -> tuple[Effect, ...]:
    """What is owed for presence that this process held before it knew whose the dial is.

    `agent_id` is what it was answered with then, `agent_key` what the emergency is stored under; `known`: another
    process recorded the dial.
    """
    named = agent_key_of(agent_id)
    if facts.subject.key != named and not facts.caller.is_agent:
        hold = derived(leg_id_of(named, facts.dial.call_id), "hold")
        return (ReturnPresence(agent_id, hold),)
    # Whose the presence is must be looked at again.
    return (ReconcilePresence(agent_key),) if known else ()


def _remembered(facts: DialFacts, outage: OutageLog, *, notified: int) -> Answer:
    answer, until = outage_answer(facts, notified=notified), facts.dialled_at + facts.rules.window
    server_call_id, object_id = facts.dial.server_call_id, _object_id(facts)
    known = OutageDial(
        agent_key=agent_key_of(facts.subject.agent_id),
        call_key=key_of(facts.dial.call_id),
        identity=facts.identity,
        server_key=key_of(server_call_id) if server_call_id else None,
        expires_at=until,
        test=answer.test,
        situation=facts.situation,
        by=facts.caller.owner,
        owner=owner_named(object_id) if object_id else None,
        established=facts.established,
        names=facts.names,
    )
    outage.dialled(facts.subject.agent_id, known)
    return answer


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
        foreign=_fallback_is_foreign(facts),
        test=test,
        degraded=True,
        notified=notified,
        placeable=placement.placeable,
        dial=placement.dial,
        ignored=facts.all_ignored,
        locale=situation.locale or facts.dial.locale,
        panel=with_number(emergency_panel(test=test, placement=placement), number, expires_at, situation),
    )


def _fallback_is_foreign(facts: DialFacts) -> bool:
    number = facts.deployment.fallback_number
    return number is not None and is_foreign(number, facts.situation.country)


def mail_granted(facts: DialFacts, outage: OutageLog, *, counts: bool = True) -> bool:
    """Whether the ration of whoever dialled allows a notice; what is beyond is owed once the store knows the dial.

    One ration in this process, for dials that the store has and those that it has not: an outage gives none on top.
    It is taken where it `counts`: of a dial that the store has, once that is so.
    """
    own = facts.caller.is_agent or facts.agent is not None
    most = notices_a_window(None if own else facts.principal)
    return outage.grants_mail(facts.claimed_key, facts.principal, most, facts.now, counts=counts)


def _held(facts: DialFacts) -> Effect:
    subject, caller = facts.subject, facts.caller
    return HoldInOutage(
        agent_id=subject.agent_id,
        by=caller.owner,
        names=tuple(dict.fromkeys((subject.key, agent_key_of(facts.dial.agent_id)))),
        presence_id=subject.presence_id,
        hold=facts.hold,
        dial_key=facts.outage_key,
        received_at=facts.received_at,
        object_id=_object_id(facts),
        established=facts.established,
    )


def _object_id(facts: DialFacts) -> str | None:
    """A sign-in says who they are; what a machine says stands in for an entry that nobody has read."""
    claimed = None if facts.agent is not None else facts.dial.entra_object_id
    return (facts.caller.name if facts.caller.is_agent else claimed) or None
