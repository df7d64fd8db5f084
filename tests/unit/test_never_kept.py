"""After lease end plus cool-down nothing that tells of a call remains, in any row of any kind (B8)."""

from collections.abc import Callable, Iterable
from datetime import datetime

import pytest

from shared.adapters.agent_table import AgentTable
from shared.adapters.desktop_table import DesktopTable
from shared.adapters.presence_table import PresenceTable
from shared.adapters.table import Row, Table
from shared.deadlines import Deadline
from shared.domain.agents import Agent
from shared.domain.dials import Dial
from shared.domain.errors import Refused, Unavailable
from shared.domain.ids import key_of
from shared.domain.locations import Location
from shared.domain.notifications import Delivery
from shared.domain.presence import PresenceStatus
from shared.ports import Email
from shared.use_cases.end_call import End
from shared.use_cases.refuse_recording import RecordedFiles
from shared.use_cases.report_desktop import DesktopReport
from shared.use_cases.see_server_call import ServerCall
from tests.fakes.house import House, after, numbers
from tests.fakes.memory_table import MemoryTable

DANA, KIM, STRANGER = "agent-dana", "agent-kim", "agent-unlisted"
DANA_ACS, KIM_ACS = "8:acs:r_dana", "8:acs:r_kim"
# All kinds of rows that there are while somebody's emergency lasts (shared/adapters/emergency_rows.py).
KINDS = {
    *("bare", "outside"),
    *("agent", "call", "server", "starter", "number", "free", "rest", "share", "due", "outbox", "unknown"),
    *("ration", "look", "mail", "pool", "recording", "deletion", "held", "unlisted", "untied"),
}
BARE = {"free", "number", "pool"}


class Deployment:
    """A house whose every table can be looked at."""

    def __init__(self) -> None:
        self.house = House(pool=numbers(6))
        self.agents, self.presences = MemoryTable(), MemoryTable()
        self.house.directory = AgentTable(self.agents, self.house.clock)
        self.house.presence = PresenceTable(self.presences, self.house.clock, self.house.keys)
        for agent_id, identity in ((DANA, DANA_ACS), (KIM, KIM_ACS)):
            self.house.add_agent(
                Agent(
                    agent_id=agent_id,
                    name=f"{agent_id} Example",
                    acs_user_ids=(identity,),
                    address="1 Example Street",
                    emergency_contacts=(f"{agent_id}@example.com",),
                )
            )
            self.house.show(agent_id, PresenceStatus.AVAILABLE)
        self.house.tick()

    def rows(self, table: Table | None = None) -> dict[str, Row]:
        read = (table or self.house.table).between("!", "~", 100_000, self.house.within()).result()
        return {row.key: row for row in read}

    def kinds(self) -> set[str]:
        return {key.split("|")[0] for key in self.rows()}

    def pass_time(self, minutes: float, step: float = 5) -> None:
        for _ in range(int(minutes / step)):
            self.house.clock.advance(after(minutes=step))
            self.house.tick()
            self.house.sweep()


@pytest.fixture
def deployment() -> Deployment:
    return Deployment()


def everything_happens(house: House) -> None:
    """Every kind of row at least once."""

    def mail_is_away(_email: Email) -> None:
        raise Unavailable

    where = Location(address="2 Example Road", latitude=47.6423, longitude=-122.1391, at=house.clock.now())
    house.end(End(call_id="tombstone", by_agent=False))
    house.dial(Dial(call_id="call-1", agent_id=DANA, dialled="911", server_call_id="server-1", location=where))
    house.see(seen("server-1", DANA_ACS, house.clock.now()))
    house.dial(Dial(call_id="call-2", agent_id=KIM, dialled="911", location=where))
    house.see(seen("server-2", KIM_ACS, house.clock.now()))
    house.recorded(files("server-2", house.clock.now()))
    house.tapes.fail = failing
    house.recorded(files("server-1", house.clock.now()))
    house.tapes.fail = lambda _location: None
    house.mail.fail = mail_is_away
    house.dial(Dial(call_id="call-3", agent_id=STRANGER, dialled="911", acs_user_id="8:acs:r_stranger"))
    house.mail.fail = lambda _email: None
    sent = house.mail.accepted[0]
    house.emergencies.record_delivery(sent.operation_id, sent.recipients[0], Delivery.DELIVERED, house.within())
    house.end(End(call_id="call-2", by_agent=False))


def seen(server: str, starter: str, at: datetime) -> ServerCall:
    return ServerCall(server_call_id=server, starter=starter, at=at, ended=False, correlation_id=f"c-{server}")


def files(server: str, at: datetime) -> RecordedFiles:
    return RecordedFiles(
        recording_id=f"recording-of-{server}",
        call_id=f"c-{server}",
        server_call_id=server,
        locations=(f"https://us-storage.asm.skype.com/v1/objects/0-{server}",),
        began_at=at,
    )


def failing(_location: str) -> None:
    raise Unavailable


def end_all(house: House) -> None:
    for call_id in ("call-1", "call-2", "call-3"):
        house.end(End(call_id=call_id, by_agent=True))


def texts(rows: Iterable[Row]) -> str:
    return "\n".join(f"{row.key} {row.values}" for row in rows)


def test_every_kind_of_row_is_gone_when_lease_and_cool_down_are_over(deployment: Deployment) -> None:
    before = deployment.rows()
    everything_happens(deployment.house)
    assert deployment.kinds() == KINDS
    end_all(deployment.house)
    deployment.pass_time(minutes=115)
    assert {"agent", "call", "server", "held"} <= deployment.kinds(), "in the cool-down the last holder still rings"
    deployment.pass_time(minutes=10)
    after_all = deployment.rows()
    assert deployment.kinds() == BARE
    assert len(after_all) == len(before)
    said = texts(after_all.values())
    for agent_id in (DANA, KIM, STRANGER):
        assert agent_id not in said and key_of(agent_id) not in said


def test_each_kind_lasts_no_longer_than_it_is_needed(deployment: Deployment) -> None:
    everything_happens(deployment.house)
    end_all(deployment.house)
    deployment.pass_time(minutes=15)
    assert deployment.kinds().isdisjoint({"ration"}), "a ration lasts ten minutes"
    deployment.pass_time(minutes=50)
    tombstones = [row for row in deployment.rows().values() if row.key.startswith("call|") and "ended_at" in str(row)]
    assert not [row for row in tombstones if '"agent_key":null' in str(row.values)]
    assert deployment.kinds().isdisjoint({"mail", "outbox"}), "those end with the window"


@pytest.mark.parametrize("way", ["the agent ends it", "it drops", "a supervisor changes it", "it is never restored"])
def test_the_presence_forgets_that_it_was_ever_replaced(deployment: Deployment, way: str) -> None:
    house, before = deployment.house, texts(deployment.rows(deployment.presences).values())
    house.clock.advance(after(minutes=1))
    house.dial(Dial(call_id="call-1", agent_id=DANA, dialled="911"))
    assert '"hold_id":"' in texts(deployment.rows(deployment.presences).values())
    house.performs = way != "it is never restored"
    if way == "a supervisor changes it":
        house.show(DANA, PresenceStatus.AWAY)
        before = texts(deployment.rows(deployment.presences).values())
    house.end(End(call_id="call-1", by_agent=way != "it drops"))
    if way == "it is never restored":
        # The service is away for a day: the presence is given up, and so is its mark.
        for _ in range(30):
            house.clock.advance(after(hours=1))
            house.tick()
    else:
        deployment.pass_time(minutes=125)
    said = texts(deployment.rows(deployment.presences).values())
    assert said == before
    for mark in ('"hold_id":"', '"before":"', '"before_set_by":"'):
        assert mark not in said


def test_a_presence_that_cannot_be_cleaned_now_is_cleaned_later(deployment: Deployment) -> None:
    class Away(PresenceTable):
        away = True

        def forget(self, agent_id: str, hold_id: str, deadline: Deadline) -> datetime | None:
            if self.away:
                raise Unavailable
            return super().forget(agent_id, hold_id, deadline)

    house = deployment.house
    gateway = Away(deployment.presences, house.clock, house.keys)
    house.presence = gateway
    house.dial(Dial(call_id="call-1", agent_id=DANA, dialled="911"))
    house.end(End(call_id="call-1", by_agent=True))
    deployment.pass_time(minutes=150)
    assert "agent" in deployment.kinds()
    gateway.away = False
    deployment.pass_time(minutes=10)
    assert deployment.kinds() == BARE


def test_a_presence_service_that_is_away_for_a_day_keeps_nobodys_emergency(deployment: Deployment) -> None:
    class Gone(PresenceTable):
        def forget(self, agent_id: str, hold_id: str, deadline: Deadline) -> datetime | None:
            raise Refused

    house = deployment.house
    house.presence = Gone(deployment.presences, house.clock, house.keys)
    house.dial(Dial(call_id="call-1", agent_id=DANA, dialled="911"))
    house.end(End(call_id="call-1", by_agent=True))
    deployment.pass_time(minutes=27 * 60, step=30)
    assert deployment.kinds() == BARE


def test_the_directory_is_untouched(deployment: Deployment) -> None:
    before = texts(deployment.rows(deployment.agents).values())
    everything_happens(deployment.house)
    end_all(deployment.house)
    deployment.pass_time(minutes=130)
    assert texts(deployment.rows(deployment.agents).values()) == before


@pytest.mark.parametrize(
    "lend",
    [
        lambda house: [house.dial(Dial(call_id=f"c{n}", agent_id=f"a{n}", dialled="911")) for n in range(9)],
        lambda house: [house.dial(Dial(call_id=f"c{n}", agent_id=DANA, dialled="911")) for n in range(15)],
    ],
    ids=["shared numbers", "more legs than are remembered"],
)
def test_shared_numbers_and_many_legs_leave_nothing(deployment: Deployment, lend: Callable[[House], object]) -> None:
    before = deployment.rows()
    lend(deployment.house)
    deployment.pass_time(minutes=30 * 60, step=30)
    assert deployment.kinds() == BARE and len(deployment.rows()) == len(before)


def test_a_number_lent_again_in_its_cool_down_leaves_nothing_of_either_holder(deployment: Deployment) -> None:
    house = House(pool=numbers(1))
    house.tick()
    before = len(house.rows())
    for n in range(2):
        house.add_agent(Agent(agent_id=f"a{n}", acs_user_ids=(f"8:acs:r_{n}",)))
        house.dial(Dial(call_id=f"c{n}", agent_id=f"a{n}", dialled="911"))
        house.end(End(call_id=f"c{n}", by_agent=True))
        house.clock.advance(after(minutes=61))
        house.tick()
    for _ in range(3):
        house.clock.advance(after(minutes=60))
        house.tick()
        house.sweep()
    assert {key.split("|")[0] for key in house.rows()} == BARE and len(house.rows()) == before


def test_a_notice_that_never_could_be_sent_is_not_kept(deployment: Deployment) -> None:
    def away(_email: Email) -> None:
        raise Unavailable

    deployment.house.mail.fail = away
    deployment.house.dial(Dial(call_id="call-1", agent_id=DANA, dialled="911"))
    deployment.house.end(End(call_id="call-1", by_agent=True))
    deployment.pass_time(minutes=70)
    assert "outbox" not in deployment.kinds()
    assert deployment.house.telemetry.count("notice_given_up") == 1


def test_a_delivery_report_is_found_whatever_its_message_id_looks_like(deployment: Deployment) -> None:
    house = deployment.house
    house.dial(Dial(call_id="call-1", agent_id=DANA, dialled="911"))
    [sent] = house.mail.accepted
    assert house.emergencies.record_delivery(
        sent.operation_id.upper(), sent.recipients[0], Delivery.DELIVERED, house.within()
    )
    for message_id in ("a/b", "é", "a\\b", "a#b", "a?b", "x" * 600, "\x07", ""):
        assert not house.emergencies.record_delivery(message_id, "a@example.com", Delivery.DELIVERED, house.within())


def of_tables(deployment: Deployment) -> str:
    """Everything that all tables hold, keys too."""
    tables = (deployment.house.table, deployment.agents, deployment.presences)
    return texts(row for table in tables for row in deployment.rows(table).values()) + str(
        [key for table in tables for key in deployment.rows(table)]
    )


@pytest.mark.parametrize("in_a_call", [False, True])
def test_nothing_is_left_of_an_agent_who_was_removed(deployment: Deployment, in_a_call: bool) -> None:
    house = deployment.house
    house.desktops = DesktopTable(deployment.agents, house.keys)
    report = DesktopReport(desktop_id="desk", location=Location(address="2 Example Street"), confirmed=True)
    house.calling.report_desktop(KIM, report, deadline=house.within())
    if in_a_call:
        house.dial(Dial(call_id="call-1", agent_id=KIM, dialled="911"))
    house.calling.remove_agent(KIM, None, deadline=house.within())
    assert (key_of(KIM) in of_tables(deployment)) is in_a_call
    if in_a_call:
        assert house.desktops.of(KIM, house.within()).result(), "a callback may need where they are"
        deployment.pass_time(minutes=10 * 60, step=30)
    said = of_tables(deployment)
    assert KIM not in said and key_of(KIM) not in said and "2 Example" not in said
    assert key_of(DANA) in said


def test_an_agent_who_was_entered_again_meanwhile_keeps_their_desktop(deployment: Deployment) -> None:
    house = deployment.house
    house.desktops = DesktopTable(deployment.agents, house.keys)
    house.dial(Dial(call_id="call-1", agent_id=KIM, dialled="911"))
    house.calling.remove_agent(KIM, None, deadline=house.within())
    house.add_agent(Agent(agent_id=KIM))
    house.calling.report_desktop(KIM, DesktopReport(desktop_id="desk"), deadline=house.within())
    deployment.pass_time(minutes=10 * 60, step=30)
    assert house.desktops.of(KIM, house.within()).result()
    assert house.directory.leaving(house.within()) == []
