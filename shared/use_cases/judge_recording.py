"""Whose recording is it? With what is known of the emergencies at one moment."""

from collections.abc import Iterable
from datetime import datetime
from itertools import batched

from msgspec import structs

from shared.deadlines import Deadline
from shared.domain.confidentiality import Knowledge, Recording, Verdict, knowledge_of, verdict_on
from shared.domain.deployment import Deployment
from shared.domain.emergencies import Emergency, backoff
from shared.domain.errors import Unavailable
from shared.ports import READ_AT_ONCE, EmergencyStore
from shared.use_cases.load_emergencies import load_emergencies

MAX_AGENTS_MEANT = 40
# What unlisted agents may create keeps no event from being settled: the rest is looked at the next time.
MAX_UNTIED_A_LOOK = 200


def known_for_certain(recording: Recording) -> Recording:
    """To be deleted; what told which call it is has served its purpose."""
    return structs.replace(recording, certain=True, call_keys=(), began_at=None, agent_keys=())


class RecordingJudge:
    """Reads what it needs, and decides by the rules of `shared.domain.confidentiality`. Raises `Unavailable`."""

    def __init__(self, emergencies: EmergencyStore, deployment: Deployment, now: datetime, deadline: Deadline) -> None:
        self._emergencies = emergencies
        self._rules = deployment.rules
        self._now = now
        self._deadline = deadline
        self._some_damaged = False

    def considered(self, recording: Recording) -> Recording | None:
        """The recording: certain, or held back for those whose it may be; None where it is nobody's."""
        owners = self._owners(recording)
        if any(self._verdict(each, recording) is Verdict.DELETE for each in owners):
            return known_for_certain(recording)
        held, left = self._holding(owners, recording), list[str]()
        if not held:
            untied = self._untied(recording)
            held, left = self._holding(self._loaded(untied[:MAX_UNTIED_A_LOOK]), recording), untied[MAX_UNTIED_A_LOOK:]
        if not held and not left:
            if self._some_damaged:
                # It may be theirs: it stays owed until their row can be read.
                raise Unavailable
            return None
        suspected = any(knowledge_of(each, recording.call_keys) is not Knowledge.NONE for each in held)
        keys = tuple(dict.fromkeys([each.agent_key for each in held] or left))[:MAX_AGENTS_MEANT]
        return structs.replace(recording, agent_keys=keys, suspected=recording.suspected or suspected)

    def look_again_at(self, recording: Recording, attempts: int) -> datetime:
        """Soon, and at the latest when the first of the emergencies in question is over for good."""
        leases = (emergency.lease for emergency in self._loaded(recording.agent_keys))
        over = [lease.released_at(self._rules) for lease in leases if lease is not None]
        return min([self._now + backoff(attempts), *(moment for moment in over if moment > self._now)])

    def _holding(self, emergencies: list[Emergency], recording: Recording) -> list[Emergency]:
        return [each for each in emergencies if self._verdict(each, recording) is Verdict.HOLD_BACK]

    def _verdict(self, emergency: Emergency, recording: Recording) -> Verdict:
        return verdict_on(emergency, recording, self._rules, self._now)

    def _owners(self, recording: Recording) -> list[Emergency]:
        found: dict[str, None] = {}
        for call_key in recording.call_keys:
            found |= dict.fromkeys(self._emergencies.owners_of_server_call(call_key, self._deadline))
        return self._loaded(found)

    def _untied(self, recording: Recording) -> list[str]:
        """The agents with an untied leg, from where the look before had to stop."""
        found = self._emergencies.agents_untied(self._deadline)
        next_one = next(iter(recording.agent_keys), None)
        return found[found.index(next_one) :] if next_one in found else found

    def _loaded(self, agent_keys: Iterable[str]) -> list[Emergency]:
        found: list[Emergency] = []
        for group in batched(agent_keys, READ_AT_ONCE, strict=False):
            read = load_emergencies(group, emergencies=self._emergencies, deadline=self._deadline)
            self._some_damaged |= len(read) < len(group)
            found += [each.emergency for each in read if each.emergency is not None]
        return found
