"""What a softphone is told of its dial, and what is owed then."""

from datetime import datetime

from msgspec import Struct

from shared.domain.dials import DialFacts, has_foreign_number
from shared.domain.emergencies import Emergency, Leg
from shared.domain.emergency_numbers import Placeable
from shared.domain.errors import Unavailable
from shared.domain.panels import Panel, panel_of
from shared.domain.subjects import claimed, unused
from shared.use_cases.effects import Effect, ReturnPresence


class Answer(Struct, frozen=True, kw_only=True):
    """What the softphone is told. `known`: the call had been reported before; `stale`: an event that came too late.

    `foreign`: the number is of another country than the caller; `dial`: the digits that the platform connects (B13).
    `locale` (BCP 47) is the language in which the panel speaks: the dial's, else the entry's (B11).
    """

    call_id: str
    agent_id: str
    panel: Panel
    callback_number: str | None = None
    expires_at: datetime | None = None
    shared: bool = False
    foreign: bool = False
    test: bool = False
    degraded: bool = False
    notified: int = 0
    placeable: Placeable = Placeable.UNKNOWN
    dial: str | None = None
    ignored: tuple[str, ...] = ()
    locale: str | None = None
    known: bool = False
    stale: bool = False


class Started(Struct, frozen=True):
    """The answer, and what is owed. `bounded`: too many unlisted agents have an emergency already."""

    answer: Answer
    effects: tuple[Effect, ...] = ()
    bounded: bool = False

    @property
    def owed(self) -> bool:
        """Whether this process is to report it again until the store has it: not what a bound has kept out."""
        return self.answer.degraded and not self.bounded

    def require_recorded(self) -> None:
        """Raise `Unavailable` if the store knows nothing of it yet: whoever can report it again must."""
        if self.answer.degraded:
            raise Unavailable


def recorded_answer(facts: DialFacts, emergency: Emergency, leg: Leg, *, known: bool) -> Answer:
    """That of a dial which the store has; `known`: it had it before."""
    lease, panel = emergency.lease, panel_of(emergency, facts.rules, facts.now)
    assert lease is not None
    # A repeat comes at any time: by then the number may be somebody else's.
    its_own = leg.number == lease.number and lease.lasts(facts.rules, facts.now)
    placement = emergency.placement_of(leg)
    agent_id, ignored = _id_of_repeat(facts, leg) if known else (facts.subject.agent_id, facts.all_ignored)
    return Answer(
        call_id=facts.dial.call_id,
        agent_id=agent_id,
        callback_number=(leg.number if its_own else panel.callback_number) or None,
        expires_at=lease.expires_at(facts.rules, facts.now),
        shared=leg.shared,
        foreign=has_foreign_number(emergency, leg),
        test=leg.test,
        notified=leg.notified,
        placeable=placement.placeable,
        dial=placement.dial,
        ignored=ignored,
        locale=(emergency.situation or facts.situation).locale,
        panel=panel,
        known=known,
    )


def _id_of_repeat(facts: DialFacts, leg: Leg) -> tuple[str, tuple[str, ...]]:
    """The id that a repeat is answered with, and what is ignored then.

    Whatever id it names: of an agent without an entry only those are theirs that legs were answered with.
    """
    answered_as = leg.answered_as if facts.agent is None else None
    if answered_as is None:
        return facts.subject.agent_id, facts.all_ignored
    ignored = (*facts.all_ignored, *unused(claimed(facts.dial.agent_id, facts.caller), answered_as))
    return answered_as, tuple(dict.fromkeys(ignored))


def stale(facts: DialFacts) -> Started:
    """That of an event which came too late."""
    answer = Answer(
        call_id=facts.dial.call_id,
        agent_id=facts.subject.agent_id,
        panel=Panel(),
        ignored=facts.all_ignored,
        stale=True,
    )
    # It may have been reported before, in an outage: then nobody but this knows that presence was held.
    return Started(answer, (ReturnPresence(facts.presence_named, facts.hold.hold_id),))
