"""Holders of an agent's token who are nobody here: they dial, end, tie, release and look, in other agents' names."""

from collections.abc import Callable
from typing import TYPE_CHECKING

from shared.domain.dials import Dial
from shared.domain.errors import Malformed, NotAllowed, Unavailable
from shared.domain.ids import agent_key_of, derived, leg_id_of
from shared.domain.subjects import unlisted_key
from shared.use_cases.end_call import End
from tests.fakes.house import person
from tests.simulator.ports import Died, seeded

if TYPE_CHECKING:
    from tests.simulator.processes import Process
    from tests.simulator.world import World

MAX_ACTS = 60
PAUSES_S = (0.0, 0.0, 1.0, 30.0, 3000.0)
# What begins their object ids, and so the ids of what is recorded of them.
STRANGERS, THIEVES = "stranger-", "thief-"


def is_stranger(agent_id: str) -> bool:
    """Whether it is one of these, and no agent."""
    return agent_id.startswith((STRANGERS, THIEVES))


class Stranger:
    """Signs in as themself. A thief gives the identity of another agent for their own, where callbacks are to ring."""

    def __init__(self, world: "World", name: str) -> None:
        self.world = world
        self.name = name
        self.caller = person(name)
        self.key = unlisted_key(name, self.caller.owner)
        self._chance = seeded(world.seed, name)
        self._calls = 0
        self._given: set[str] = set()
        self._claimed: set[str] = set()

    def live(self) -> None:
        """One thing after another, some at once."""
        for _ in range(min(MAX_ACTS, 2 * self.world.emergencies_each)):
            self.world.clock.sleep(self._chance.choice(PAUSES_S) * self._chance.random())
            act = self._chance.choice([self._dials, self._dials, self._ends, self._ties, self._releases, self._looks])
            self.world.clock.spawn(act)
        self.world.living -= 1

    def _victim(self) -> str:
        return self._chance.choice(self.world.people).agent_id

    def _listed(self) -> str:
        listed = [each.agent_id for each in self.world.people if not each.unknown]
        return self._chance.choice(listed) if listed else "nobody"

    def _call_of_another(self) -> str:
        return self._chance.choice(self.world.people).latest_call or "unheard of"

    def _dials(self) -> None:
        """In another's name, or their own; with a call id of their own, or another's: theirs, whatever it says."""
        world, chance = self.world, self._chance
        self._calls += 1
        claimed = self._victim() if chance.random() < 0.6 else self.name
        call_id = f"{self.name}/{self._calls}"
        if chance.random() < 0.3 and (another := self._call_of_another()) not in self._given:
            call_id = another
        self._given.add(call_id)
        self._claimed.add(claimed)
        reach = world.identity(self._listed() if self.name.startswith(THIEVES) else self.name)
        world.faults.strikes("stranger dials", 1.0)
        world.tell(self.name, f"dials as {claimed}, call {call_id}")
        self._expect(call_id, claimed)
        dial = Dial(call_id=call_id, agent_id=claimed, dialled="911", dialled_at=world.clock.now(), acs_user_id=reach)
        try:
            answer = world.any_process().dial(dial, self.caller)
        except Died:
            return
        if not answer.degraded:
            own = answer.agent_id == self.name or world.is_unknown(claimed)
            world.require(own, "a dial is of who signed in", (answer.agent_id, claimed))
            self._own_end(call_id)

    def _expect(self, call_id: str, claimed: str) -> None:
        """Notices of it: of their own emergency, and in an outage, where nobody can be asked, of the one they name."""
        for agent_id, key in (
            (self.name, self.key),
            (claimed, self.world.key_of(claimed)),
            (claimed, agent_key_of(claimed)),
        ):
            notice_id = derived(leg_id_of(key, call_id), "notice")
            if notice_id not in self.world.checks.expected:
                self.world.checks.expect_notice(notice_id, agent_id)

    def _own_end(self, call_id: str) -> None:
        end = End(call_id=call_id, by_agent=True, at=self.world.clock.now())
        self._tries(lambda process: process.say_end(end, self.caller))

    def _ends(self) -> None:
        """An end of another's call is kept, and changes nothing of theirs."""
        end = End(call_id=self._call_of_another(), by_agent=True, at=self.world.clock.now())
        self._tries(lambda process: process.say_end(end, self.caller))

    def _ties(self) -> None:
        call_id = self._call_of_another()
        if call_id not in self._given:
            self._is_refused(lambda process: process.tie(call_id, f"server of {self.name}", self.caller), tied=call_id)

    def _releases(self) -> None:
        victim = self._listed()
        self._is_refused(lambda process: process.release(victim, self.caller))

    def _looks(self) -> None:
        victim = self._listed()
        if victim not in self._claimed:
            self._is_refused(lambda process: process.panel(victim, self.caller), looked_at=victim)

    def _is_refused(
        self, act: Callable[["Process"], object], *, looked_at: str | None = None, tied: str | None = None
    ) -> None:
        try:
            act(self.world.any_process())
        except (Died, NotAllowed, Unavailable):
            return
        # In an outage whoever dialled sees their own dial, by the name that they gave: also one who did so meanwhile.
        own = looked_at in self._claimed or tied in self._given
        self.world.require(own, "whatever is not one's own is refused", self.name)

    def _tries(self, act: Callable[["Process"], object]) -> None:
        try:
            act(self.world.any_process())
        except (Died, Malformed, Unavailable):
            return
