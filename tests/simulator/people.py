"""Agents, their softphones, and the events that tell of their calls."""

from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from msgspec import structs

from shared.domain.agents import Agent
from shared.domain.dials import Dial
from shared.domain.errors import Malformed, NotAllowed, NotFound, Unavailable
from shared.domain.ids import agent_key_of, derived, leg_id_of
from shared.domain.locations import Location
from shared.domain.panels import Mode
from shared.domain.presence import PresenceStatus, SetBy
from shared.use_cases.end_call import End
from shared.use_cases.see_server_call import ServerCall
from shared.use_cases.set_presence import set_presence
from tests.fakes.house import person
from tests.simulator.checks import Place
from tests.simulator.oracle import SKEW
from tests.simulator.ports import Died
from tests.simulator.processes import EVERYBODY

if TYPE_CHECKING:
    from tests.simulator.processes import Process
    from tests.simulator.world import World

PAUSES_S = (60.0, 3000.0, 7200.0, 12_000.0, 20_000.0)
TALKS_S = (1.0, 30.0, 180.0, 180.0, 600.0)
# In every twentieth world: presence is looked at every 15 s of a call, which is most of what it costs to simulate.
LONG_TALKS_S = (*TALKS_S, 2400.0, 4200.0)
MAX_REPEATS = 900
STATUSES = tuple(PresenceStatus)


class Call:
    """One emergency call as it truly is."""

    def __init__(self, agent_id: str, agent_key: str, call_id: str, dialled_at: datetime, dialled: str) -> None:
        self.agent_id = agent_id
        self.call_id = call_id
        self.leg_id = leg_id_of(agent_key, call_id)
        self.server_call_id = f"server of {call_id}"
        self.dialled_at = dialled_at
        self.dialled = dialled
        self.place = f"desk of {self.leg_id}"
        # Whether its softphone measures how long ago it was dialled, as ours does; else a clock says when that was.
        self.measured = False
        self.over = False
        self.number: str | None = None


def contacts_of(agent_id: str) -> tuple[str, ...]:
    """The contacts of an agent who is in the directory."""
    return f"{agent_id}-one@example.com", f"{agent_id}-two@example.com"


class Person:
    """An agent at a desk."""

    def __init__(self, world: "World", agent_id: str, *, unknown: bool) -> None:
        self.world = world
        self.agent_id = agent_id
        self.unknown = unknown
        # Every third one's softphone reports as who signed in there, the others' as a machine.
        signs_in = not unknown and int(agent_id.removeprefix("agent-")) % 3 == 0
        self.object_id = f"object of {agent_id}"
        self.caller = person(self.object_id) if signs_in else EVERYBODY
        self.latest_call, self._latest_leg = "", ""
        self._calls = 0
        # The legs whose softphone's clock was wrong.
        self._misdated: set[str] = set()

    def entry(self) -> Agent:
        """What the directory says of them."""
        return Agent(
            agent_id=self.agent_id,
            acs_user_ids=(self.world.identity(self.agent_id),),
            country=self.world.country_of(int(self.agent_id.removeprefix("agent-"))),
            entra_object_id=self.object_id,
            alternate_numbers=self.world.alternates(self.agent_id),
            emergency_contacts=contacts_of(self.agent_id),
        )

    def live(self) -> None:
        """Some emergencies, with more or less time between them."""
        world = self.world
        self._choose_presence()
        for _ in range(world.emergencies_each):
            world.clock.sleep(world.chance.choice(PAUSES_S) * (0.5 + world.chance.random()))
            self._emergency()
            while world.chance.random() < 0.25:
                self._emergency()
        world.living -= 1

    def _choose_presence(self) -> None:
        world = self.world
        status = world.chance.choice(STATUSES)
        set_presence(self.agent_id, status, SetBy.AGENT, presence=world.presence, deadline=world.endless)
        world.chosen[self.agent_id] = status
        world.tell(self.agent_id, f"chooses {status}")

    def _service_changes_presence(self) -> None:
        """The presence service does so by itself: Offline of a closed tab, or recalculated after a new login."""
        world = self.world
        place = world.checks.place_of_presence(self.agent_id)
        unrecorded = self._latest_leg not in world.checks.legs
        if place is Place.UNCERTAIN or unrecorded:
            # Of a dial in an outage nobody can say yet what it found, and what came after it.
            return
        status = world.chance.choice((PresenceStatus.OFFLINE, PresenceStatus.AVAILABLE))
        set_presence(self.agent_id, status, SetBy.SYSTEM, presence=world.presence, deadline=world.endless)
        world.tell(self.agent_id, f"presence is changed by the service: {status}")
        if place is Place.OURS:
            world.checks.expect_do_not_disturb_again(self.agent_id)
        else:
            world.chosen[self.agent_id] = status

    # One call

    def _emergency(self) -> None:
        world, chance = self.world, self.world.chance
        world.emergencies += 1
        self._calls += 1
        # Within the window a desktop's clock is believed: one that is wrong by more than a call may last ends its leg.
        believed_s = -min(world.rules.window, world.rules.max_call).total_seconds() / 2
        ahead = timedelta(seconds=chance.choice([0, 0, 0, 0, 2, 7200, -7200, believed_s]))
        world.talking += 1
        dialled = "933" if chance.random() < 0.05 else "911"
        call = Call(
            self.agent_id, world.key_of(self.agent_id), f"{self.agent_id}/{self._calls}", world.clock.now(), dialled
        )
        self.latest_call, self._latest_leg = call.call_id, call.leg_id
        if abs(ahead) > SKEW:
            world.faults.strikes("clock wrong", 1.0)
            self._misdated.add(call.leg_id)
        world.tell(self.agent_id, f"dials, leg {call.leg_id[:8]}")
        self._expect_notice(call)
        # Of every fourth one a right clock is all that there is.
        call.measured = not ahead and self._calls % 4 > 0
        if call.measured:
            world.checks.places[call.leg_id] = call.place
        hung_up_another = chance.random() < 0.1
        if hung_up_another:
            self._hung_up_for(call)
        self._is_reported(call, ahead, believed_s)
        self._meanwhile(call)
        talks_s = LONG_TALKS_S if world.seed % 20 == 0 else TALKS_S
        world.clock.sleep(chance.choice(talks_s) * (0.5 + chance.random()))
        world.talking -= 1
        if hung_up_another and call.measured:
            world.checks.goes_on_whatever_else_ended(self.agent_id, call.leg_id, self._misdated)
        self._over(call)

    def _is_reported(self, call: Call, ahead: timedelta, believed_s: float) -> None:
        world, chance = self.world, self.world.chance
        by_event_only = chance.random() < 0.1
        # After a lease that a clock has shortened a late event of the same call is another one: README, Unfinished.
        told_too = chance.random() < 0.3 and ahead != timedelta(seconds=believed_s)
        if by_event_only or told_too:
            world.courier.send(lambda process: self._start_event(process, call), may_be_lost=not by_event_only)
        if chance.random() < 0.6:
            world.courier.send(lambda process: process.see(self._server_started(call)))
        if not by_event_only:
            world.clock.spawn(lambda: self._softphone_dials(call, ahead))
        if chance.random() < 0.3:
            world.clock.spawn(lambda: self._softphone_ties(call), 1.0)

    def _meanwhile(self, call: Call) -> None:
        world, chance = self.world, self.world.chance
        if chance.random() < 0.15:
            world.clock.spawn(self._choose_presence, chance.random() * 600)
        if chance.random() < 0.2:
            world.clock.spawn(self._service_changes_presence, chance.random() * 600)
        if chance.random() < 0.15:
            rules = world.rules
            kept = rules.window + rules.after_call + rules.cool_down
            world.clock.spawn(lambda: self._is_called_back(call), chance.random() ** 2 * 1.6 * kept.total_seconds())

    def _hung_up_for(self, call: Call) -> None:
        """An ordinary call, or a slip on the keypad, was over just before the dial; its events may come after it."""
        chance, starter = self.world.chance, self.world.identity(self.agent_id)
        ended_at = call.dialled_at - timedelta(seconds=0.2 + chance.random() * 3)
        began_at = ended_at - timedelta(seconds=1 + chance.random() * 40)
        other = f"before {call.call_id}"
        began = ServerCall(server_call_id=other, starter=starter, at=began_at, ended=False)
        over = structs.replace(began, at=ended_at, ended=True, duration=ended_at - began_at, ended_by=starter)
        self.world.courier.send(lambda process: process.see(began))
        self.world.courier.send(lambda process: process.see(over))

    def _expect_notice(self, call: Call) -> None:
        test = call.dialled == "933"
        self.world.checks.expect_notice(derived(call.leg_id, "notice"), self.agent_id, opens=True, test=test)
        # In an outage nobody can be asked whether they are in the directory: they are told of as if they were.
        presumed = leg_id_of(agent_key_of(self.agent_id), call.call_id)
        if presumed != call.leg_id:
            self.world.checks.expect_notice(derived(presumed, "notice"), self.agent_id, test=test)

    def _is_called_back(self, call: Call) -> None:
        if call.number in self.world.newest.callback_numbers:
            self.world.responder(str(call.number), f"callback of {call.call_id}", self.agent_id).call()

    def _softphone_dials(self, call: Call, ahead: timedelta) -> None:
        world = self.world
        for _ in range(MAX_REPEATS):
            dial = self._dial(call, call.dialled_at + ahead)
            if call.measured:
                dial = structs.replace(dial, dialled_ago=world.clock.now() - call.dialled_at)
            try:
                process = world.any_process()
                answer = process.dial(dial, self.caller)
            except Died:
                world.clock.sleep(1.0)
                continue
            if not answer.degraded:
                break
            self._looks_at_once(process, call)
            world.clock.sleep(2.0)
        else:
            self.world.require(False, "a dial is recorded once the store answers", call.leg_id, call.agent_id)
        world.tell(call.agent_id, f"answered for leg {call.leg_id[:8]}: {answer.callback_number}")
        if not answer.stale:
            self.world.require(
                call.leg_id in world.checks.legs, "what was answered is recorded", call.leg_id, call.agent_id
            )
            # Unless the number is theirs no more.
            same = call.number is None or answer.callback_number in {call.number, answer.panel.callback_number}
            self.world.require(same, "the same answer to a retry", (call.number, answer.callback_number), call.agent_id)
            call.number = answer.callback_number

    def _looks_at_once(self, process: "Process", call: Call) -> None:
        """Whoever was answered without the store sees their call, whatever can be read by now."""
        try:
            panel = process.panel(call.agent_id, self.caller)
        except (Died, Unavailable):
            return
        # Of one that is over, or was dialled long ago by a clock that is wrong, anything may be known; and a repeat of
        # such a one, of which nobody can say when it was dialled, takes the place of the next one.
        recorded = self.world.checks.legs
        if call.measured and not call.over and call.leg_id not in recorded and self._misdated <= recorded.keys():
            goes_on = panel.mode is not Mode.NORMAL and "end_call" in panel.controls
            self.world.require(goes_on, "a call that is not recorded yet is shown", panel, call.agent_id)

    def _dial(self, call: Call, dialled_at: datetime) -> Dial:
        return Dial(
            call_id=call.call_id,
            agent_id=call.agent_id,
            dialled=call.dialled,
            dialled_at=dialled_at,
            acs_user_id=self.world.identity(call.agent_id),
            location=Location(address=call.place),
        )

    def _start_event(self, process: "Process", call: Call) -> None:
        answer = process.dial_by_event(self._dial(call, call.dialled_at))
        call.number = call.number or answer.callback_number

    def _softphone_ties(self, call: Call) -> None:
        world = self.world
        for _ in range(20):
            try:
                world.any_process().tie(call.call_id, call.server_call_id, self.caller)
            except (Died, NotAllowed, NotFound, Unavailable):
                world.clock.sleep(2.0)
            else:
                return

    def _over(self, call: Call) -> None:
        """The call ends, one way or another, and somebody says so, or nobody does."""
        world, chance = self.world, self.world.chance
        now, how, call.over = world.clock.now(), chance.random(), True
        world.tell(call.agent_id, f"leg {call.leg_id[:8]} is over, way {how:.2f}")
        by_agent = how < 0.55
        if how < 0.75:
            self._say_end(call, now, by_agent=by_agent)
            if chance.random() < 0.1:
                again_s = 1 + chance.random() * 60
                world.clock.spawn(lambda: self._say_end(call, world.clock.now(), by_agent=not by_agent), again_s)
        if how > 0.5:
            ended_by = world.identity(call.agent_id) if by_agent or chance.random() < 0.3 else "4:+12065550142"
            self.world.courier.send(lambda process: process.see(self._server_ended(call, now, ended_by)))
        if not by_agent and chance.random() < 0.3:
            world.clock.spawn(self._releases, chance.random() * 400)

    def _say_end(self, call: Call, at: datetime, *, by_agent: bool) -> None:
        end = End(call_id=call.call_id, by_agent=by_agent, at=at)
        self.world.ends_said.setdefault(call.leg_id, set()).add((max(at, call.dialled_at), by_agent))
        self.world.courier.send(lambda process: self._ends(process, end), may_be_lost=False)

    def _ends(self, process: "Process", end: End) -> None:
        try:
            process.end(end)
        except Malformed:
            return

    def _releases(self) -> None:
        for _ in range(10):
            try:
                self.world.any_process().release(self.agent_id, self.caller)
            except (Died, Unavailable):
                self.world.clock.sleep(2.0)
            else:
                return

    def _server_started(self, call: Call) -> ServerCall:
        at = call.dialled_at + timedelta(seconds=1)
        return ServerCall(
            server_call_id=call.server_call_id, starter=self.world.identity(call.agent_id), at=at, ended=False
        )

    def _server_ended(self, call: Call, at: datetime, ended_by: str | None) -> ServerCall:
        lasted = at - call.dialled_at - timedelta(seconds=1)
        return ServerCall(
            server_call_id=call.server_call_id,
            starter=self.world.identity(call.agent_id),
            at=at,
            ended=True,
            duration=max(lasted, timedelta(0)),
            ended_by=ended_by,
        )
