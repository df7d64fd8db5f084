"""A dial on whose way something failed that nobody foresaw: what can be made of the dial alone (B1)."""

from datetime import datetime

from shared.domain.callers import Caller
from shared.domain.deployment import Deployment
from shared.domain.dials import Dial, DialFacts
from shared.domain.errors import NotAnEmergency
from shared.ports import OutageLog
from shared.use_cases.answer_dial import Started
from shared.use_cases.answer_in_outage import answer_in_outage, outage_answer
from shared.use_cases.identify import presumed


def answer_in_the_dark(dial: Dial, caller: Caller, deployment: Deployment, outage: OutageLog, now: datetime) -> Started:
    """The answer of an outage, where even the way to it has failed; repeated like any other.

    Raises `NotAnEmergency`.
    """
    facts = DialFacts(
        dial=dial,
        caller=caller,
        deployment=deployment,
        now=now,
        subject=presumed(dial.agent_id, caller, None),
        identity=dial.acs_user_id,
    )
    try:
        facts = facts.situated(None)
        return answer_in_outage(facts, outage)
    except NotAnEmergency:
        raise
    except Exception:  # noqa: BLE001 - why, was counted; without the part that fails, a dial is answered still (B1)
        return Started(outage_answer(facts.without_number_shown(), notified=0))
