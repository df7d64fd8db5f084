"""What an agent is told while the store is away, and that the same is told until it is back (B1)."""

from collections.abc import Callable, Sequence
from datetime import timedelta

import pytest
from msgspec import structs

from functions.emergency_calls import ASK_AGAIN_AFTER_S
from shared.adapters.agent_table import AgentTable
from shared.adapters.notification_template import NotificationTemplate
from shared.adapters.table import Row, Write
from shared.deadlines import Deadline
from shared.domain.agents import Agent
from shared.domain.callers import Caller
from shared.domain.dials import Dial
from shared.domain.emergencies import REPEATED_AFTER
from shared.domain.errors import Unavailable
from shared.domain.notifications import NoticeKind
from shared.domain.panels import Banner, Panel
from shared.domain.presence import Presence, PresenceStatus, SetBy
from shared.domain.sites import Site
from shared.ports import Answered
from shared.use_cases.effects import MailInOutage
from shared.use_cases.end_call import End
from tests.fakes.house import DEFAULT_CONTACT, House, Kept, TableLine, after, office, only_agent, person
from tests.fakes.memory_table import MemoryTable


class AwayTable(MemoryTable):
    """A table of a service that can be away."""

    away = False

    def get(self, key: str, deadline: Deadline) -> Answered[Row | None]:
        self._require_there()
        return super().get(key, deadline)

    def between(self, first: str, end: str, limit: int, deadline: Deadline) -> Answered[list[Row]]:
        self._require_there()
        return super().between(first, end, limit, deadline)

    def commit(self, writes: Sequence[Write], deadline: Deadline) -> list[str | None]:
        self._require_there()
        return super().commit(writes, deadline)

    def _require_there(self) -> None:
        if self.away:
            raise Unavailable


def house_in_outage() -> House:
    table = AwayTable()
    house = House(table=table)
    house.tick()
    table.away = True
    return house


def test_a_dial_is_asked_for_again_no_sooner_than_its_report_counts_as_a_repeat() -> None:
    assert timedelta(seconds=ASK_AGAIN_AFTER_S) >= REPEATED_AFTER


def test_a_test_dial_in_an_outage_is_a_test_at_every_poll_and_expires_when_its_answer_said() -> None:
    house = house_in_outage()
    dialled_at = house.clock.now()
    house.clock.advance(after(minutes=5))
    answer = house.dial(Dial(call_id="ana/1", agent_id="ana", dialled="933", country="US", dialled_at=dialled_at))
    assert answer.degraded and answer.test
    panel = house.panel("ana")
    assert (panel.banner, panel.expires_at) == (Banner.TEST_IN_PROGRESS, answer.expires_at)
    assert panel == answer.panel


def test_an_outage_speaks_the_dials_language_in_the_answer_and_at_every_poll() -> None:
    house = house_in_outage()
    answer = house.dial(Dial(call_id="ana/1", agent_id="ana", dialled="911", country="GB", locale="es"))
    _, locale = house.calling.show_panel("ana", caller=office(), deadline=house.within())
    assert answer.degraded and answer.foreign and (answer.locale, locale) == ("es", "es")


@pytest.mark.parametrize(("country", "dialled", "foreign"), [("GB", "999", True), ("US", "911", False)])
def test_the_notice_of_an_outage_says_of_a_foreign_number_what_the_answer_says(
    country: str, dialled: str, foreign: bool
) -> None:
    house = house_in_outage()
    house.template = NotificationTemplate()
    house.deployment = structs.replace(house.deployment, countries=("US", "GB"))
    answer = house.dial(Dial(call_id="ana/1", agent_id="ana", dialled=dialled, country=country))
    [email] = house.mail.accepted
    assert answer.foreign is foreign
    assert ("another country" in email.text, "another country" in email.html) == (foreign, foreign)


def test_a_real_dial_before_a_test_in_the_same_outage_still_shows() -> None:
    house = house_in_outage()
    house.dial(Dial(call_id="ana/1", agent_id="ana", dialled="911", country="US"))
    house.dial(Dial(call_id="ana/2", agent_id="ana", dialled="933", country="US"))
    assert house.panel("ana").banner is Banner.EMERGENCY_IN_PROGRESS


def panel(house: House, caller: Caller) -> Panel:
    return house.calling.show_panel("ana", caller=caller, deadline=house.within())[0]


def test_an_agent_sees_their_own_panel_through_an_outage_in_which_the_directory_is_away_too() -> None:
    house = house_in_outage()
    house.directory = AgentTable(away(), house.clock)
    house.dial(Dial(call_id="ana/1", agent_id="ana", dialled="911", country="US"), only_agent("ana"))
    assert panel(house, only_agent("ana")).banner is Banner.EMERGENCY_IN_PROGRESS
    with pytest.raises(Unavailable):
        panel(house, only_agent("ben"))


def test_a_dial_that_a_machine_reported_is_shown_to_no_agent_whose_right_nobody_knows() -> None:
    house = house_in_outage()
    house.directory = AgentTable(away(), house.clock)
    house.dial(Dial(call_id="ana/1", agent_id="ana", dialled="911", country="US"))
    with pytest.raises(Unavailable):
        panel(house, only_agent("ana"))
    assert house.panel("ana").banner is Banner.EMERGENCY_IN_PROGRESS


def test_the_mail_of_an_outage_is_in_the_thread_of_the_emergency_that_is_recorded_afterwards() -> None:
    house = House()
    house.add_agent(Agent(agent_id="ana"))
    house.tick()
    dial = Dial(call_id="ana/1", agent_id="ana", dialled="911", country="US")
    house.line.away = True
    assert house.dial(dial).degraded and len(house.mail.accepted) == 1
    house.line.away = False
    house.clock.advance(after(minutes=1))
    house.dial(dial)
    house.dial(Dial(call_id="ana/2", agent_id="ana", dialled="911", country="US"))
    assert len(house.mail.accepted) >= 2
    [thread] = {email.thread for email in house.mail.accepted}
    assert thread


ANA = Dial(call_id="ana/1", agent_id="ana", dialled="911", country="US")


def house_that_closes(*contacts: str) -> House:
    house = House()
    house.deployment = structs.replace(house.deployment, closing_notices=True)
    house.add_agent(Agent(agent_id="ana", emergency_contacts=contacts))
    house.tick()
    return house


def told(house: House, kind: NoticeKind) -> list[str]:
    return sorted(
        address for email in house.mail.accepted if email.subject == kind.value for address in email.recipients
    )


def test_whoever_was_mailed_in_an_outage_is_told_that_it_is_over_too() -> None:
    house = house_that_closes("guard@example.com")
    house.line.away = True
    assert house.dial(ANA).degraded and told(house, NoticeKind.CALL) == [DEFAULT_CONTACT]
    house.line.away = False
    house.clock.advance(after(minutes=1))
    house.dial(ANA)
    both = sorted([DEFAULT_CONTACT, "guard@example.com"])
    assert told(house, NoticeKind.CALL) == both and told(house, NoticeKind.CLOSING) == []
    house.end(End(call_id="ana/1", by_agent=True))
    house.wait(120)
    assert told(house, NoticeKind.CLOSING) == both


def test_what_is_mailed_in_an_outage_and_what_is_owed_after_it_are_two_messages() -> None:
    house = house_that_closes()
    house.line.away = True
    house.dial(ANA)
    house.line.away = False
    house.clock.advance(after(minutes=1))
    house.dial(ANA)
    bare, full = house.mail.accepted
    assert bare.recipients == full.recipients and bare.operation_id != full.operation_id


@pytest.mark.parametrize("ended", [False, True])
def test_so_is_whoever_is_mailed_in_an_outage_only_once_the_dial_is_recorded(ended: bool) -> None:
    house = house_that_closes("guard@example.com")
    house.line.away, house.performs = True, False
    house.dial(ANA)
    house.line.away, house.performs = False, True
    late, house.owed = [each for each in house.owed if isinstance(each, MailInOutage)], []
    house.clock.advance(after(seconds=2))
    house.dial(ANA)
    if ended:
        house.end(End(call_id="ana/1", by_agent=True))
    house.do(late)
    assert told(house, NoticeKind.CALL) == sorted([DEFAULT_CONTACT, "guard@example.com"])
    house.end(End(call_id="ana/1", by_agent=True))
    house.wait(120)
    assert told(house, NoticeKind.CLOSING) == sorted([DEFAULT_CONTACT, "guard@example.com"])


def in_another_process(house: House, act: Callable[[], object]) -> None:
    """One that has a memory of its own."""
    own = house.outage, house.repeats
    house.forget_outages()
    house.repeats = Kept()
    act()
    house.outage, house.repeats = own


def redelivered(house: House) -> None:
    in_another_process(house, lambda: house.dial_by_event(ANA))


def repeated(house: House) -> None:
    in_another_process(house, lambda: house.dial(ANA))


@pytest.mark.parametrize("ended", [False, True])
@pytest.mark.parametrize("records", [redelivered, repeated])
def test_so_is_whoever_was_mailed_by_another_process_than_the_one_that_records_the_dial(
    records: Callable[[House], None], ended: bool
) -> None:
    house = house_that_closes("guard@example.com")
    house.line.away = True
    if records is redelivered:
        with pytest.raises(Unavailable):
            house.dial_by_event(ANA)
    else:
        assert house.dial(ANA).degraded
    house.repeats.do_again()
    assert told(house, NoticeKind.CALL) == [DEFAULT_CONTACT] and house.repeats.mails
    house.line.away = False
    house.clock.advance(after(minutes=1))
    records(house)
    both = sorted([DEFAULT_CONTACT, "guard@example.com"])
    assert told(house, NoticeKind.CALL) == both
    if ended:
        house.end(End(call_id="ana/1", by_agent=True))
    house.repeats.do_again()
    assert not house.repeats.mails
    house.end(End(call_id="ana/1", by_agent=True))
    house.wait(120)
    assert told(house, NoticeKind.CLOSING) == both


def test_so_is_whoever_was_mailed_before_anybody_could_say_whose_the_dial_is() -> None:
    house = house_that_closes()
    sign_in = person("object-of-ana")
    house.add_agent(Agent(agent_id="ana", entra_object_id=sign_in.name, emergency_contacts=("guard@example.com",)))
    directory_line = TableLine(house.directory_table)
    house.directory = AgentTable(directory_line, house.clock)
    claimed = structs.replace(ANA, agent_id="ana-of-old")
    house.line.away = directory_line.away = True
    assert house.dial(claimed, sign_in).degraded
    house.line.away = directory_line.away = False
    in_another_process(house, lambda: house.dial(claimed, sign_in))
    house.repeats.do_again()
    house.end(End(call_id="ana/1", by_agent=True), sign_in)
    house.wait(120)
    assert told(house, NoticeKind.CLOSING) == sorted([DEFAULT_CONTACT, "guard@example.com"])


def test_so_is_whoever_was_mailed_of_an_agent_who_has_no_entry_as_a_machine_says() -> None:
    house = house_that_closes()
    site = Site(site_id="north", networks=("kiosk",), emergency_contacts=("north@example.com",))
    house.sites.save(site, None, house.within())
    directory, house.directory = house.directory, AgentTable(away(), house.clock)
    dial = Dial(call_id="eve/1", agent_id="eve", dialled="911", country="US", desktop_id="kiosk")
    house.line.away = True
    assert house.dial(dial).degraded
    house.line.away, house.directory = False, directory
    in_another_process(house, lambda: house.dial(dial))
    both = sorted([DEFAULT_CONTACT, "north@example.com"])
    assert told(house, NoticeKind.CALL) == both
    house.repeats.do_again()
    house.end(End(call_id="eve/1", by_agent=True, agent_id="eve"))
    house.wait(120)
    assert told(house, NoticeKind.CLOSING) == both


def test_a_mail_of_a_call_that_only_has_the_same_id_is_of_another_emergency() -> None:
    house = house_that_closes("guard@example.com")
    directory, house.directory = house.directory, AgentTable(away(), house.clock)
    house.line.away = True
    assert house.dial(ANA, person("object-of-eve")).degraded
    house.line.away, house.directory = False, directory
    in_another_process(house, lambda: house.dial(ANA))
    house.repeats.mails = {key: again for key, again in house.repeats.mails.items() if not again()}
    assert house.repeats.mails, "a machine reported this one"
    house.end(End(call_id="ana/1", by_agent=True))
    house.wait(120)
    assert told(house, NoticeKind.CLOSING) == ["guard@example.com"]


def test_what_nobody_ever_records_is_noted_nowhere_and_kept_no_longer_than_the_window() -> None:
    house = house_that_closes()
    house.line.away = True
    with pytest.raises(Unavailable):
        house.dial_by_event(ANA)
    house.line.away = False
    house.repeats.do_again()
    assert house.repeats.mails
    house.clock.advance(after(minutes=61))
    house.repeats.do_again()
    assert not house.repeats.mails


def away() -> AwayTable:
    table = AwayTable()
    table.away = True
    return table


@pytest.mark.parametrize("clock_behind", [timedelta(0), timedelta(minutes=9)])
def test_what_the_service_sets_stays_where_a_dial_of_an_outage_is_recorded_after_a_later_call(
    clock_behind: timedelta,
) -> None:
    table = AwayTable()
    house = House(table=table)
    house.tick()
    house.add_agent(Agent(agent_id="ana"))
    house.show("ana", PresenceStatus.BUSY)
    table.away = True
    first = Dial(call_id="ana/1", agent_id="ana", dialled="911", country="US", dialled_at=house.clock.now())
    assert house.dial(first).degraded and house.status("ana") is PresenceStatus.DO_NOT_DISTURB
    table.away = False
    house.clock.advance(after(minutes=4))
    dialled_at = house.clock.now() - clock_behind
    house.dial(Dial(call_id="ana/2", agent_id="ana", dialled="911", country="US", dialled_at=dialled_at))
    for call_id in ("ana/1", "ana/2"):
        house.end(End(call_id=call_id, by_agent=True, agent_id="ana"))
    assert house.status("ana") is PresenceStatus.BUSY
    current = house.presence.read("ana", house.within())
    changed = Presence(status=PresenceStatus.AWAY, set_by=SetBy.SYSTEM, version=current.version)
    house.presence.write("ana", changed, house.within())
    house.clock.advance(after(minutes=3))
    assert not house.dial(first).degraded
    house.wait(60)
    assert house.status("ana") is PresenceStatus.AWAY


class CountingPhone:
    """A softphone that counts its calls from one, every day; the agent's presence is seen while it rests."""

    def __init__(self) -> None:
        self.house = House()
        self.house.add_agent(Agent(agent_id="ana"))
        self.house.show("ana", PresenceStatus.AVAILABLE)

    def calls(self, *, outage: bool) -> tuple[int, PresenceStatus]:
        """Today's first call: how many were mailed while the store was away, or at all, and what presence it had."""
        house, mailed = self.house, len(self.house.mail.accepted)
        house.line.away = outage
        assert house.dial(Dial(call_id="1", agent_id="ana", dialled="911", country="US")).degraded is outage
        seen = len(house.mail.accepted) - mailed, house.status("ana")
        house.line.away = False
        house.repeats.do_again()
        assert not house.repeats.kept
        house.end(End(call_id="1", by_agent=True, agent_id="ana"))
        self._a_day_passes()
        return seen

    def _a_day_passes(self) -> None:
        for _ in range(24 * 12):
            self.house.clock.advance(after(minutes=5))
            self.house.tick()
            self.house.sweep()


@pytest.mark.parametrize("outages", [(True, True), (True, False), (False, True)])
def test_a_calls_id_that_is_used_again_another_day_is_another_calls(outages: tuple[bool, bool]) -> None:
    phone = CountingPhone()
    for outage in outages:
        assert phone.calls(outage=outage) == (1, PresenceStatus.DO_NOT_DISTURB), f"outage {outage}"
        assert phone.house.status("ana") is PresenceStatus.AVAILABLE
