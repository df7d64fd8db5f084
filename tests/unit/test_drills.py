"""A drill plays the whole chain, marked everywhere; whatever fails is said, and nothing of it is left (B9)."""

import json
from collections.abc import Callable, Sequence
from datetime import datetime

import pytest
from msgspec import structs

from functions.languages import spoken
from functions.wire.office import drill_answer
from shared.adapters.agent_table import AgentTable
from shared.adapters.drill_table import DrillTable
from shared.adapters.notification_template import NotificationTemplate
from shared.adapters.presence_table import PresenceTable
from shared.adapters.table import Replace, Row
from shared.deadlines import Deadline
from shared.domain.agents import Agent
from shared.domain.board import LiveEmergency
from shared.domain.deployment import CallbackNotices
from shared.domain.dials import Dial
from shared.domain.drills import (
    CLAIMED_FOR,
    FORGOTTEN_AFTER,
    Drill,
    DrillState,
    DrillStep,
    StepName,
    StepState,
    concluded,
    new_drill,
)
from shared.domain.errors import Conflict, NotFound, RecipientsRefused, Unavailable
from shared.domain.notifications import Delivery
from shared.domain.panels import Banner, Mode, Panel
from shared.domain.pool_numbers import NumberState
from shared.domain.presence import Presence, PresenceStatus, SetBy
from shared.ports import Email
from shared.use_cases.effects import CarryOnDrill, Effect
from shared.use_cases.end_call import End
from tests.fakes.house import DAWN, DESK, House, Overtaken, after, numbers, office
from tests.fakes.memory_table import MemoryTable
from tests.leaks import Kind, Registry, Scanner

DANA, KIM = "agent-dana", "agent-kim"
IDENTITY = "8:acs:r_dana"
WARDEN, GUARD = "warden@example.com", "guard@example.com"
STEPS = ["lease", "presence", "email", "callback", "restore", "release"]


class Theatre(House):
    """A house whose directory and presences can be read; `before` happens before a step of a drill."""

    def __init__(self, **options: object) -> None:
        super().__init__(**options)  # type: ignore[arg-type]
        self.agents = MemoryTable()
        self.directory = AgentTable(self.agents, self.clock)
        self.playbill = Playbill(self.agents)
        self.drills = self.playbill
        self.template = NotificationTemplate()
        self.deployment = structs.replace(self.deployment, closing_notices=True)
        for agent_id, identity in ((DANA, IDENTITY), (KIM, "8:acs:r_kim")):
            self.add_agent(
                Agent(
                    agent_id=agent_id,
                    name="Dana Example",
                    country="US",
                    address="1 Example Street",
                    acs_user_ids=(identity,),
                    emergency_contacts=("boss@example.com",),
                )
            )
        self.show(DANA, PresenceStatus.AVAILABLE)
        self.tick()

    def before(self, step: str, happens: Callable[[], object]) -> None:
        self.playbill.before[step] = happens

    def play(self, *recipients: str, agent_id: str = DANA, drill_id: str = "drill-1") -> Drill:
        self.calling.begin_drill(drill_id, agent_id, recipients, deadline=self.within())
        return self.report(drill_id)

    def report(self, drill_id: str = "drill-1") -> Drill:
        return self.calling.show_drill(drill_id, deadline=self.within())

    def everything(self) -> str:
        tables = (self.table, self.agents, self.presence_rows)
        rows: list[Row] = [row for table in tables for row in table.between("!", "~", 100_000, self.within()).result()]
        return "\n".join(f"{row.key} {row.values}" for row in rows)

    def kinds(self) -> set[str]:
        return {key.partition("|")[0] for key in self.rows()}

    def free(self) -> int:
        return sum(1 for each in self.administration.list_numbers() if each.state is NumberState.FREE)


class Playbill(DrillTable):
    """Port `Drills`: what is to happen before a step happens when that is noted as running."""

    def __init__(self, table: MemoryTable) -> None:
        super().__init__(table)
        self.before: dict[str, Callable[[], object]] = {}

    def keep(self, drill: Drill, claim: str, deadline: Deadline) -> None:
        super().keep(drill, claim, deadline)
        running = [each.step for each in drill.steps if each.state == "running"]
        if running and running[0] in self.before:
            self.before.pop(running[0])()


@pytest.fixture
def house() -> Theatre:
    return Theatre()


def states(drill: Drill) -> dict[str, str]:
    return {each.step: each.state for each in drill.steps}


def reason(drill: Drill, step: str) -> str:
    return next(each.reason or "" for each in drill.steps if each.step == step)


def assert_nothing_is_left(house: Theatre) -> None:
    """Neither a row nor a value: of the drill only a date and a verdict."""
    assert house.kinds() == {"free", "number", "pool"}
    assert house.free() == len(house.deployment.callback_numbers)
    used = Registry()
    used.note(WARDEN, GUARD, kind=Kind.EMAIL)
    used.note("drill-drill-1")
    [last] = [row for row in house.everything().splitlines() if row.startswith("drill|last")]
    used.note(DANA, kind=Kind.AGENT)
    assert Scanner(used).scan(last) == []
    left = Registry()
    left.note(WARDEN, GUARD, kind=Kind.EMAIL)
    assert Scanner(left).scan(house.everything()) == []
    assert '"hold_id":"' not in house.everything()


# The whole chain ------------------------------------------------------------------------------------------------------


def test_a_drill_plays_the_whole_chain_and_leaves_a_date_and_a_verdict(house: Theatre) -> None:
    seen: dict[str, tuple[PresenceStatus, list[LiveEmergency], Panel]] = {}

    def look() -> None:
        seen["email"] = (house.status(DANA), house.administration.show_board().emergencies, house.panel(DANA))

    house.before("email", look)
    drill = house.play(WARDEN, GUARD)
    assert drill.state is DrillState.PASSED
    assert states(drill) == dict.fromkeys(STEPS, "passed")
    assert all(each.ms is not None and each.reason is None for each in drill.steps)
    status, [live], panel = seen["email"]
    assert status is PresenceStatus.DO_NOT_DISTURB
    assert (live.agent_id, live.drill, live.test) == (DANA, True, False)
    assert live.callback_number in numbers(4)
    assert (panel.mode, panel.banner) == (Mode.NORMAL, Banner.DRILL_IN_PROGRESS)
    assert "dial" in panel.controls and panel.say is None
    assert house.status(DANA) is PresenceStatus.AVAILABLE
    assert house.panel(DANA) == Panel()
    assert house.switchboard.requests == [], "nobody was called"
    assert_nothing_is_left(house)


def test_everybody_who_is_told_reads_drill_in_the_subject(house: Theatre) -> None:
    house.deployment = structs.replace(house.deployment, callback_notices=CallbackNotices.ALL)
    house.play(WARDEN, GUARD)
    assert sorted(house.mail.received()) == sorted([WARDEN, GUARD] * 3), "call, callback, over; nobody else"
    assert all("DRILL" in email.subject for email in house.mail.accepted)


@pytest.mark.parametrize("locale", ["en", "es-MX", "fr-CA", "it"])
def test_the_word_itself_in_every_language(house: Theatre, locale: str) -> None:
    found = house.directory.read(DANA, house.within())
    assert found is not None
    house.directory.save(structs.replace(found[0], locale=locale), None, house.within())
    house.play(WARDEN)
    assert house.mail.accepted and all("DRILL" in email.subject for email in house.mail.accepted)


def test_no_template_can_take_the_word_away(house: Theatre) -> None:
    """The fakes' template says nothing of a drill."""
    house.template = House().template
    house.play(WARDEN)
    assert house.mail.accepted and all("DRILL" in email.subject for email in house.mail.accepted)


def test_without_recipients_no_mail_is_sent_and_the_step_says_so(house: Theatre) -> None:
    drill = house.play()
    assert drill.state is DrillState.PASSED
    assert (states(drill)["email"], house.mail.accepted) == ("skipped", [])
    assert "No recipients" in reason(drill, "email")
    assert_nothing_is_left(house)


def test_the_log_calls_a_drill_so(house: Theatre) -> None:
    house.play(WARDEN)
    named = [facts["emergency"] for _, facts in house.telemetry.events if "emergency" in facts]
    assert named and all(str(word).startswith("drill.") for word in named)
    said = [(event, facts.get("outcome")) for event, facts in house.telemetry.events if event.startswith("drill_")]
    said = [each for each in said if each[0] != "drill_age"]
    assert said[0] == ("drill_started", None) and said[-1] == ("drill_over", "passed")
    assert house.telemetry.count("dial_recorded") == 0


def test_where_the_agent_is_counts_as_in_a_real_call(house: Theatre) -> None:
    house.play(WARDEN)
    assert "1 Example Street" in house.mail.accepted[0].text


def test_presence_comes_back_as_it_was(house: Theatre) -> None:
    house.show(DANA, PresenceStatus.BUSY)
    before = house.presence.read(DANA, house.within())
    assert house.play().state is DrillState.PASSED
    after_all = house.presence.read(DANA, house.within())
    assert (after_all.status, after_all.set_by, after_all.since) == (before.status, before.set_by, before.since)


def test_what_a_supervisor_changes_in_the_middle_stays(house: Theatre) -> None:
    house.before("restore", lambda: house.show(DANA, PresenceStatus.AWAY))
    drill = house.play()
    assert drill.state is DrillState.PASSED
    assert house.status(DANA) is PresenceStatus.AWAY
    assert "stays" in reason(drill, "restore")


# One at a time, for somebody ------------------------------------------------------------------------------------------


def test_there_is_one_at_a_time(house: Theatre) -> None:
    house.performs = False
    house.play()
    with pytest.raises(Conflict):
        house.play(drill_id="drill-2")
    assert house.report().state is DrillState.RUNNING


def test_nobody_in_the_directory_has_no_drill(house: Theatre) -> None:
    with pytest.raises(NotFound):
        house.play(agent_id="nobody")
    with pytest.raises(NotFound):
        house.report("another")


def test_an_agent_in_an_emergency_or_in_its_cool_down_is_left_alone(house: Theatre) -> None:
    house.dial(Dial(call_id="real", agent_id=DANA, dialled="911"))
    before = house.emergency(DANA)
    drill = house.play(WARDEN)
    assert (drill.state, states(drill)["lease"]) == (DrillState.FAILED, "failed")
    assert "emergency" in reason(drill, "lease")
    house.end(End(call_id="real", by_agent=True))
    house.clock.advance(after(minutes=61))
    assert house.play(WARDEN, drill_id="drill-2").state is DrillState.FAILED, "the number rests, and its holder rings"
    known = house.emergency(DANA)
    assert before is not None and known is not None and known.lease is not None and before.lease is not None
    assert known.lease.epoch == before.lease.epoch
    assert WARDEN not in house.mail.received()


# What fails is said, and cleaned up -----------------------------------------------------------------------------------


def refuse(_email: Email) -> None:
    raise Unavailable(reason="quota")


class Away(PresenceTable):
    """A presence service that does not answer."""

    def read(self, agent_id: str, deadline: Deadline) -> Presence:
        raise Unavailable

    def write(self, agent_id: str, presence: Presence, deadline: Deadline) -> Presence:
        raise Unavailable

    def forget(self, agent_id: str, hold_id: str, deadline: Deadline) -> None:
        raise Unavailable


def test_with_the_mail_service_down_the_step_says_so_and_nobody_is_told_later(house: Theatre) -> None:
    house.mail.fail = refuse
    drill = house.play(WARDEN)
    assert drill.state is DrillState.FAILED
    assert {step: state for step, state in states(drill).items() if state != "passed"} == {"email": "failed"}
    assert reason(drill, "email") == "The e-mail service did not take it (quota)."
    assert_nothing_is_left(house)
    house.mail.fail = lambda _email: None
    house.wait(600)
    assert house.mail.accepted == []


def test_a_recipient_of_a_drill_who_is_refused_fails_the_step_and_is_nobody_elses(house: Theatre) -> None:
    def refuse_the_guard(email: Email) -> None:
        if GUARD in email.recipients:
            raise RecipientsRefused(frozenset({GUARD}))

    house.mail.fail = refuse_the_guard
    drill = house.play(WARDEN, GUARD)
    assert reason(drill, "email") == "1 of 2 recipients were refused."
    assert set(house.mail.received()) == {WARDEN} and house.telemetry.count("notice_passed_on") == 0
    assert_nothing_is_left(house)


def test_a_delivery_report_that_comes_while_the_drill_cleans_up_leaves_nothing(house: Theatre) -> None:
    house = Theatre(table=(table := Overtaken()))
    table.kind = "mail"

    def reported() -> None:
        for email in house.mail.accepted:
            house.emergencies.record_delivery(email.operation_id, WARDEN, Delivery.DELIVERED, house.within())

    def from_now_on() -> None:
        table.meanwhile = reported

    house.before("release", from_now_on)
    assert house.play(WARDEN).state is DrillState.PASSED
    assert table.meanwhile is None
    assert_nothing_is_left(house)


def test_with_presence_down_the_rest_is_played_and_nothing_is_left(house: Theatre) -> None:
    well = house.presence
    house.presence = Away(house.presence_rows, house.clock, house.keys)
    drill = house.play(WARDEN)
    assert drill.state is DrillState.FAILED
    assert states(drill) | {"restore": ""} == dict.fromkeys(STEPS, "passed") | {"presence": "failed", "restore": ""}
    house.presence = well
    assert_nothing_is_left(house)
    assert house.status(DANA) is PresenceStatus.AVAILABLE


def test_presence_that_goes_down_in_the_middle_is_given_back_when_it_is_back(house: Theatre) -> None:
    well = house.presence
    # The drill keeps the service that it began with; this one breaks in its hands.
    breaking = Breaking(house.presence_rows, house.clock, house.keys)
    house.presence = breaking
    house.before("restore", breaking.break_down)
    drill = house.play()
    assert (states(drill)["restore"], states(drill)["release"]) == ("failed", "failed")
    house.presence = well
    assert house.status(DANA) is PresenceStatus.DO_NOT_DISTURB
    for _ in range(12):
        house.clock.advance(after(minutes=1))
        house.sweep()
        house.tick()
    assert house.status(DANA) is PresenceStatus.AVAILABLE
    assert_nothing_is_left(house)


class Breaking(PresenceTable):
    """A presence service that breaks down when it is told to."""

    broken = False

    def break_down(self) -> None:
        self.broken = True

    def read(self, agent_id: str, deadline: Deadline) -> Presence:
        if self.broken:
            raise Unavailable
        return super().read(agent_id, deadline)


class Hiding(PresenceTable):
    """A service outside: it is taken at its word for 5 s, and then something there hides what was set."""

    told_at: datetime | None = None
    now: Callable[[], datetime]

    @property
    def embedded(self) -> bool:
        return False

    def write(self, agent_id: str, presence: Presence, deadline: Deadline) -> Presence:
        self.told_at = self.now()
        return super().write(agent_id, presence, deadline)

    def read(self, agent_id: str, deadline: Deadline) -> Presence:
        shown = super().read(agent_id, deadline)
        hidden = shown.hold_id is not None and self.told_at is not None and self.now() - self.told_at > after(seconds=5)
        return structs.replace(shown, status=PresenceStatus.BUSY) if hidden else shown


def test_what_a_service_took_and_does_not_show_has_failed(house: Theatre) -> None:
    hiding = Hiding(house.presence_rows, house.clock, house.keys)
    hiding.now = house.clock.now
    house.presence = hiding
    drill = house.play()
    assert (drill.state, states(drill)["presence"]) == (DrillState.FAILED, "failed")
    assert reason(drill, "presence") == "The presence service took Do not disturb, and shows busy."
    told = spoken(drill_answer(drill), "it").decode()
    assert "Il servizio di presenza ha accettato «Non disturbare», e mostra busy." in told
    assert house.status(DANA) is PresenceStatus.AVAILABLE
    assert_nothing_is_left(house)


class Stubborn(PresenceTable):
    """A service outside that shows a state of its own, which nobody has set, once nothing is held there any more."""

    @property
    def embedded(self) -> bool:
        return False

    def read(self, agent_id: str, deadline: Deadline) -> Presence:
        shown = super().read(agent_id, deadline)
        own = structs.replace(shown, status=PresenceStatus.BUSY, set_by=SetBy.SYSTEM.value)
        return own if shown.hold_id is None and shown.set_by is not None and self.held else shown

    held = False

    def write(self, agent_id: str, presence: Presence, deadline: Deadline) -> Presence:
        self.held = self.held or presence.hold_id is not None
        return super().write(agent_id, presence, deadline)


def test_a_presence_that_nobody_changed_and_that_does_not_come_back_has_failed(house: Theatre) -> None:
    house.presence = Stubborn(house.presence_rows, house.clock, house.keys)
    drill = house.play()
    assert (drill.state, states(drill)["restore"]) == (DrillState.FAILED, "failed")
    assert reason(drill, "restore") == "The presence service shows busy."


def test_an_empty_pool_fails_at_the_lease(house: Theatre) -> None:
    house = Theatre(pool=numbers(1))
    drill = house.play(WARDEN)
    assert (drill.state, states(drill)["lease"]) == (DrillState.FAILED, "failed")
    assert "last one is kept" in reason(drill, "lease")
    told = spoken(drill_answer(drill), "es").decode()
    assert "el último se reserva para una llamada real" in told and "No se prestó ningún número." in told
    assert house.mail.accepted == [] and house.status(DANA) is PresenceStatus.AVAILABLE
    assert_nothing_is_left(house)


@pytest.mark.parametrize(("free", "state"), [(2, DrillState.PASSED), (1, DrillState.FAILED)])
def test_the_last_free_number_is_kept_for_a_real_call(free: int, state: DrillState) -> None:
    house = Theatre(pool=numbers(4))
    for n in range(4 - free):
        house.add_agent(Agent(agent_id=f"a{n}"))
        house.dial(Dial(call_id=f"c{n}", agent_id=f"a{n}", dialled="911", country="US"))
    assert house.play().state is state


def test_an_agent_whom_nobody_can_ring_is_told_of(house: Theatre) -> None:
    house.add_agent(Agent(agent_id="bare", country="US"))
    drill = house.play(agent_id="bare")
    assert (drill.state, states(drill)["callback"]) == (DrillState.FAILED, "failed")
    assert "rings the desk" in reason(drill, "callback")
    assert_nothing_is_left(house)


def test_a_drill_that_a_supervisor_ends_says_so(house: Theatre) -> None:
    house.before("callback", lambda: house.calling.release_presence(DANA, caller=office(), legs=True))
    drill = house.play()
    assert (drill.state, states(drill)["callback"]) == (DrillState.FAILED, "failed")
    assert_nothing_is_left(house)


# A real call wins -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("step", STEPS[1:])
def test_a_real_call_of_the_agent_wins_at_any_step(house: Theatre, step: str) -> None:
    house.before(step, lambda: house.dial(Dial(call_id="real", agent_id=DANA, dialled="911", country="US")))
    drill = house.play(WARDEN)
    assert drill.state is DrillState.OVERTAKEN
    emergency = house.emergency(DANA)
    assert emergency is not None and emergency.lease is not None
    assert not emergency.drill and [leg.leg_id for leg in emergency.legs] and len(emergency.legs) == 1
    assert house.status(DANA) is PresenceStatus.DO_NOT_DISTURB
    panel = house.panel(DANA)
    assert (panel.mode, panel.banner) == (Mode.EMERGENCY, Banner.EMERGENCY_IN_PROGRESS)
    assert panel.callback_number is not None and house.call_back(panel.callback_number) == IDENTITY
    real = [email for email in house.mail.accepted if "boss@example.com" in email.recipients]
    assert len(real) == 1 and "DRILL" not in real[0].subject
    assert all("DRILL" in email.subject for email in house.mail.accepted if WARDEN in email.recipients)
    assert not any(
        "boss@example.com" in email.recipients and WARDEN in email.recipients for email in house.mail.accepted
    )
    [live] = house.administration.show_board().emergencies
    assert not live.drill
    house.wait(30)
    assert house.status(DANA) is PresenceStatus.DO_NOT_DISTURB, "it stays held until the real call ends"
    assert house.switchboard.requests == []
    house.end(End(call_id="real", by_agent=True))
    assert house.status(DANA) is PresenceStatus.AVAILABLE, "as it was before the drill"
    closing = [email for email in house.mail.accepted if email.subject.startswith("[OVER]")]
    assert [email.recipients for email in closing] == [("boss@example.com",)]
    for _ in range(8):
        house.clock.advance(after(minutes=20))
        house.tick()
        house.sweep()
    assert_nothing_is_left(house)


def test_the_real_call_is_answered_as_if_there_were_no_drill(house: Theatre) -> None:
    answers = []
    house.before(
        "email", lambda: answers.append(house.dial(Dial(call_id="real", agent_id=DANA, dialled="911", country="US")))
    )
    house.play(WARDEN)
    [answer] = answers
    assert (answer.known, answer.shared, answer.test, answer.degraded, answer.notified) == (False,) * 4 + (1,)
    assert answer.expires_at == house.clock.now() + after(minutes=60)
    assert answer.panel.banner is Banner.EMERGENCY_IN_PROGRESS


def test_whoever_was_told_of_the_drill_is_told_that_it_is_over(house: Theatre) -> None:
    house.before("callback", lambda: house.dial(Dial(call_id="real", agent_id=DANA, dialled="911", country="US")))
    house.play(WARDEN)
    told = [email for email in house.mail.accepted if WARDEN in email.recipients]
    assert len(told) == 2 and all("DRILL" in email.subject for email in told)
    assert len({email.thread for email in told}) == 1 and told[0].thread
    assert told[1].subject == told[0].subject.replace("] ", "] [OVER] ", 1), "the same agent by the same name"


def test_another_s_real_call_takes_the_number_of_a_drill_before_any_that_rests_or_is_held(house: Theatre) -> None:
    house = Theatre(pool=numbers(2))
    taken: list[str | None] = []

    def burst() -> None:
        for n in range(2):
            dial = Dial(call_id=f"c{n}", agent_id=f"x{n}", dialled="911", country="US")
            answer = house.dial(dial)
            taken.append(answer.callback_number)
            assert not answer.shared

    house.add_agent(Agent(agent_id="x0", country="US"))
    house.add_agent(Agent(agent_id="x1", country="US"))
    house.before("callback", burst)
    drill = house.play(WARDEN)
    assert drill.state is DrillState.OVERTAKEN
    assert sorted(each for each in taken if each) == sorted(numbers(2))
    assert house.status(DANA) is PresenceStatus.AVAILABLE
    assert house.emergency(DANA) is None


def test_a_responder_who_dials_the_number_of_a_drill_reaches_the_desk(house: Theatre) -> None:
    reached: list[str | None] = []

    def calls() -> None:
        [live] = house.administration.show_board().emergencies
        reached.append(house.call_back(live.callback_number))

    house.before("email", calls)
    house.play()
    assert reached == [DESK]


def test_a_customer_s_call_in_the_middle_is_an_ordinary_one(house: Theatre) -> None:
    judged = []
    house.before("email", lambda: judged.append(house.judge("server-7", IDENTITY)))
    house.play()
    assert judged[0].record and not judged[0].emergency


# A process dies in the middle -----------------------------------------------------------------------------------------


class DeadError(BaseException):
    """The process is killed."""


def die() -> None:
    raise DeadError


@pytest.mark.parametrize("step", STEPS)
def test_another_process_carries_on_where_one_died(house: Theatre, step: str) -> None:
    house.before(step, die)
    with pytest.raises(DeadError):
        house.play(WARDEN)
    assert house.report().state is DrillState.RUNNING
    house.sweep()
    assert house.report().state is DrillState.RUNNING, "the claim of the one who died has not lapsed"
    house.clock.advance(CLAIMED_FOR)
    house.calling.take_up_owed()
    assert house.report().state is DrillState.RUNNING, "whoever looks between the timer's runs does so for emergencies"
    house.sweep()
    drill = house.report()
    assert drill.state is DrillState.PASSED, drill
    assert house.mail.received().count(WARDEN) == 2
    house.tick()
    assert_nothing_is_left(house)


@pytest.mark.parametrize("step", STEPS)
def test_a_drill_that_nobody_carried_on_for_long_is_only_cleaned_up(house: Theatre, step: str) -> None:
    house.before(step, die)
    with pytest.raises(DeadError):
        house.play()
    house.clock.advance(after(minutes=4, seconds=1))
    house.sweep()
    drill = house.report()
    assert drill.state is (DrillState.PASSED if step in ("restore", "release") else DrillState.FAILED)
    house.tick()
    assert_nothing_is_left(house)


@pytest.mark.parametrize("step", STEPS[1:])
def test_a_drill_ends_by_itself_where_its_own_row_is_lost(house: Theatre, step: str) -> None:
    house.before(step, die)
    with pytest.raises(DeadError):
        house.play(WARDEN)
    house.drills = Playbill(MemoryTable())
    for _ in range(12):
        house.clock.advance(after(minutes=1))
        house.sweep()
        house.tick()
    assert house.status(DANA) is PresenceStatus.AVAILABLE
    assert house.switchboard.requests == []
    assert house.kinds() == {"free", "number", "pool"}
    assert house.free() == 4


@pytest.mark.parametrize("step", STEPS)
def test_a_drill_whose_store_goes_away_is_cleaned_up_when_it_is_back(house: Theatre, step: str) -> None:
    def goes_away() -> None:
        house.line.away = True

    house.before(step, goes_away)
    assert house.play(WARDEN).state is DrillState.RUNNING
    house.line.away = False
    house.clock.advance(CLAIMED_FOR)
    house.sweep()
    drill = house.report()
    assert drill.state is (DrillState.PASSED if step in ("restore", "release") else DrillState.FAILED)
    assert states(drill)[step] == ("passed" if step in ("restore", "release") else "failed")
    assert house.status(DANA) is PresenceStatus.AVAILABLE
    assert_nothing_is_left(house)


def test_two_who_carry_on_at_once_play_it_once(house: Theatre) -> None:
    house.performs = False
    house.play(WARDEN)
    again: list[Sequence[Effect]] = []
    house.before("presence", lambda: again.append(house.calling.perform(CarryOnDrill("drill-1"))))
    house.performs = True
    house.calling.perform(CarryOnDrill("drill-1"))
    assert again == [()]
    assert house.report().state is DrillState.PASSED
    assert house.mail.received().count(WARDEN) == 2


@pytest.mark.parametrize("place", ["step", "state"])
def test_a_drill_of_a_later_version_is_as_if_there_were_none(place: str) -> None:
    table = MemoryTable()
    drills, within = DrillTable(table), House().within()
    drills.begin(new_drill("drill-1", DANA, (), DAWN), DAWN, within)
    [row] = table.between("drill|", "drill|~", 2, within).result()
    kept = json.loads(str(row.values["state"]))
    kept["steps"][0][place] = "handover"
    table.commit([Replace(row.key, {**row.values, "state": json.dumps(kept)}, row.version)], within)
    assert drills.last(within) is None
    assert drills.claim("drill-1", "claim", DAWN, DAWN + CLAIMED_FOR, within) is None
    drills.begin(new_drill("drill-2", DANA, (), DAWN), DAWN, within)
    assert drill_answer(drills.last(within)).drill_id == "drill-2"  # type: ignore[arg-type]


def test_a_step_that_a_version_before_kept_says_its_reason_in_english() -> None:
    step = DrillStep(step=StepName.EMAIL, state=StepState.FAILED, ms=3, reason="It was {busy}.")
    drill = Drill(drill_id="drill-1", at=DAWN, state=DrillState.FAILED, steps=(step,))
    assert b'"reason":"It was {busy}."' in spoken(drill_answer(drill), "fr")


# The log's age --------------------------------------------------------------------------------------------------------


def ages(house: House) -> list[object]:
    return [facts["days"] for event, facts in house.telemetry.events if event == "drill_age"]


def test_the_log_says_daily_for_how_many_days_no_drill_has_passed(house: Theatre) -> None:
    assert ages(house) == [0], "counted from the deployment"
    for _ in range(40 * 24):
        house.clock.advance(after(hours=1))
        house.tick()
    assert set(ages(house)) == set(range(41)), "each day of them"
    assert len(ages(house)) <= 5 * 41
    house.telemetry.events.clear()
    house.play()
    house.tick()
    assert ages(house) == [0]
    house.mail.fail = refuse
    house.clock.advance(after(days=3))
    house.play(WARDEN, drill_id="drill-2")
    house.tick()
    assert ages(house) == [0, 3], "one that failed does not count"


# What nobody else may lose, or be told of -----------------------------------------------------------------------------


def test_a_drill_that_cleans_up_takes_no_notice_of_a_real_call_along(house: Theatre) -> None:
    def a_call_while_the_mail_is_down() -> None:
        house.mail.fail = refuse
        house.dial(Dial(call_id="real", agent_id=KIM, dialled="911", country="US"))
        house.mail.fail = lambda _email: None

    house.before("release", a_call_while_the_mail_is_down)
    house.play(WARDEN)
    assert "boss@example.com" not in house.mail.received()
    house.wait(60)
    assert house.mail.received().count("boss@example.com") == 1


def test_nobody_is_told_that_an_overtaken_drill_is_over_where_no_call_is_closed_so(house: Theatre) -> None:
    house.deployment = structs.replace(house.deployment, closing_notices=False)
    house.before("callback", lambda: house.dial(Dial(call_id="real", agent_id=DANA, dialled="911", country="US")))
    assert house.play(WARDEN).state is DrillState.OVERTAKEN
    assert house.mail.received().count(WARDEN) == 1


def test_only_who_plays_a_drill_keeps_how_it_stands() -> None:
    drills, within = DrillTable(MemoryTable()), House().within()
    drills.begin(new_drill("drill-1", DANA, (), DAWN), DAWN, within)
    mine = drills.claim("drill-1", "mine", DAWN, DAWN + CLAIMED_FOR, within)
    assert mine is not None
    with pytest.raises(Conflict):
        drills.keep(mine, "another's", within)
    drills.keep(concluded(mine), "mine", within)
    with pytest.raises(Conflict):
        drills.keep(mine, "mine", within)


def test_a_drill_is_in_the_next_one_s_way_for_as_long_as_it_may_be_cleaned_up() -> None:
    drills, within = DrillTable(MemoryTable()), House().within()
    drills.begin(new_drill("drill-1", DANA, (), DAWN), DAWN, within)
    with pytest.raises(Conflict):
        drills.begin(new_drill("drill-2", DANA, (), DAWN), DAWN + FORGOTTEN_AFTER - after(seconds=1), within)
    drills.begin(new_drill("drill-2", DANA, (), DAWN), DAWN + FORGOTTEN_AFTER, within)


def test_a_drill_of_a_day_to_come_is_in_no_ones_way() -> None:
    drills, within, ahead = DrillTable(MemoryTable()), House().within(), DAWN + after(hours=24 * 365)
    drills.begin(new_drill("drill-1", DANA, (), ahead), DAWN, within)
    drills.begin(new_drill("drill-2", DANA, (), DAWN), DAWN, within)
    assert drills.claim("drill-2", "mine", DAWN, ahead, within) is not None
    assert drills.claim("drill-2", "another's", DAWN, DAWN + CLAIMED_FOR, within) is not None


def test_a_day_to_come_is_no_reason_to_tell_nobody_of_the_drills_age() -> None:
    drills, within, ahead = DrillTable(MemoryTable()), House().within(), DAWN + after(hours=24 * 365)
    drills.passed(ahead, within)
    assert drills.age_to_tell(DAWN, within) == after(hours=0)
    assert drills.age_to_tell(DAWN + after(hours=48), within) == after(hours=48)
