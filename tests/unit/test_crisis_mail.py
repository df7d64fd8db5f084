"""A crisis is merged (B6): the rule alone, and two crises in the core in memory."""

import random
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta

import pytest
from msgspec import Struct, structs

from shared.adapters.table import Put
from shared.domain.agents import Agent
from shared.domain.crisis_mail import MAX_NOTICES_A_MESSAGE, Message, Waiting, is_first_word, messages
from shared.domain.dials import Dial
from shared.domain.emergencies import MAX_WAIT, Emergency, Thread
from shared.domain.errors import RecipientsRefused, Unavailable
from shared.domain.ids import agent_key_of
from shared.domain.locations import ToldLocation
from shared.domain.notifications import Notice, NoticeKind
from shared.domain.sender_quota import SenderQuota
from shared.ports import Email, RenderedNotice
from shared.use_cases.effects import DeliverNotice, MergeWaiting
from shared.use_cases.end_call import End
from shared.use_cases.merge_waiting import CLAIMED_FOR
from tests.fakes.house import DAWN, DEFAULT_CONTACT, House, Overtaken, after, numbers

MINUTE = timedelta(minutes=1)


# The rule -------------------------------------------------------------------------------------------------------------


def notice(name: str, *recipients: str, second: int = 0, kind: NoticeKind = NoticeKind.CALL) -> Notice:
    return Notice(
        notice_id=name,
        recipients=recipients,
        agent_id=name,
        agent_name=None,
        agent_key=f"key-{name}",
        dialled_at=DAWN + timedelta(seconds=second),
        callback_number="",
        reachable_until=DAWN,
        shared=False,
        test=False,
        degraded=False,
        location=ToldLocation(),
        locale=None,
        give_up_at=DAWN + timedelta(hours=1),
        kind=kind,
        word=f"word-{name}",
    )


def waits(of: Notice, *, first_word: bool = True, begun: bool = False) -> Waiting:
    return Waiting(notice=of, first_word=first_word, begun=begun)


def told(found: Sequence[Message]) -> list[tuple[tuple[str, ...], list[str]]]:
    return [(message.recipients, [each.notice.notice_id for each in message.waiting]) for message in found]


def test_what_one_recipient_is_owed_is_one_message_oldest_first() -> None:
    later, earlier = waits(notice("b", "x", second=2)), waits(notice("a", "x", second=1))
    assert told(messages([later, earlier])) == [(("x",), ["a", "b"])]


def test_recipients_who_are_owed_the_same_share_a_message_and_no_others_do() -> None:
    found = messages([waits(notice("a", "x", "y", "z", second=1)), waits(notice("b", "x", "Y", second=2))])
    assert told(found) == [(("x", "y"), ["a", "b"]), (("z",), ["a"])]


def test_first_words_go_before_repeats_each_oldest_first() -> None:
    found = messages(
        [
            waits(notice("repeat", "r", second=1), first_word=False),
            waits(notice("old repeat", "o", second=0), first_word=False),
            waits(notice("second", "s", second=9)),
            waits(notice("first", "f", second=8)),
        ]
    )
    assert [recipients for recipients, _ in told(found)] == [("f",), ("s",), ("o",), ("r",)]


def test_a_repeat_goes_along_with_a_first_word_to_the_same_recipient() -> None:
    closing = structs.replace(notice("over", "x"), ended_at=DAWN + timedelta(seconds=5), kind=NoticeKind.CLOSING)
    found = messages([waits(closing, first_word=False), waits(notice("call", "x", second=9)), waits(notice("y", "y"))])
    assert told(found) == [(("y",), ["y"]), (("x",), ["over", "call"])]


def test_a_test_is_never_merged_with_what_is_real() -> None:
    tried = structs.replace(notice("test", "x"), test=True)
    tried_again = structs.replace(tried, notice_id="t2")
    found = messages([waits(tried), waits(notice("real", "x", second=1)), waits(tried_again)])
    assert told(found) == [(("x",), ["t2", "test"]), (("x",), ["real"])]


def test_what_may_have_been_sent_stays_the_message_that_it_was() -> None:
    found = messages([waits(notice("a", "x", "y"), begun=True), waits(notice("b", "x", second=1))])
    assert [message.notice.notice_id for message in found] == ["a", "b"]


def test_nobody_gets_more_in_one_message_than_can_be_read() -> None:
    many = [waits(notice(f"n{place:03}", "x", second=place)) for place in range(2 * MAX_NOTICES_A_MESSAGE + 1)]
    assert [len(message.waiting) for message in messages(many)] == [20, 20, 1]


def test_the_merged_one_is_named_by_its_parts_and_its_recipients() -> None:
    parts = [waits(notice("a", "x", "y", second=1)), waits(notice("b", "x", second=2))]
    merged, alone = (message.notice for message in messages(parts))
    again = messages(reversed(parts))[0].notice
    assert merged.notice_id == again.notice_id and merged.recipients == ("x",)
    assert [part.notice_id for part in merged.singly] == ["a", "b"] and merged.agent_key is None and merged.word == ""
    assert merged.notice_id != alone.notice_id != "a", "what is left for the others is another message"
    assert [part.notice_id for part in alone.singly] == ["a"]


def test_what_is_whole_and_alone_stays_what_it_is() -> None:
    alone = notice("a", "x", "y")
    assert messages([waits(alone)])[0].notice is alone


def test_a_closing_notice_is_no_first_word_and_of_an_unknown_thread_only_a_call_is() -> None:
    assert is_first_word(notice("a", "x"), None)
    assert not is_first_word(notice("a", "x", kind=NoticeKind.CALLBACK_MISSED), None)
    assert not is_first_word(notice("a", "x", kind=NoticeKind.CLOSING), None)


def test_a_real_call_is_a_first_word_to_whoever_was_told_of_a_test_alone() -> None:
    told = Thread(opened_by="t", told=("x@example.com",))
    known = Emergency(agent_id="ana", agent_key=agent_key_of("ana"), in_directory=True, test_thread=told)
    real = notice("call", "x@example.com")
    test = structs.replace(real, test=True)
    assert is_first_word(real, known) and not is_first_word(test, known)
    both = structs.replace(known, thread=told)
    assert not is_first_word(real, both) and not is_first_word(test, both)
    assert not is_first_word(test, structs.replace(known, thread=told, test_thread=None)), "nobody waits for a test"


def test_the_next_call_is_a_first_word_to_whoever_heard_that_the_one_before_is_over() -> None:
    told = Thread(opened_by="t", told=("x@example.com", "y@example.com"), unaware=1)
    known = Emergency(agent_id="ana", agent_key=agent_key_of("ana"), in_directory=True, thread=told)
    assert is_first_word(notice("call", "x@example.com"), known)
    assert not is_first_word(notice("call", "y@example.com"), known)


# The core -------------------------------------------------------------------------------------------------------------


class NamesAgents:
    """A template that says, in a line each, of whom and what a message tells."""

    def render(self, notice: Notice, now: datetime) -> RenderedNotice:
        lines = [f"{part.kind.value} {part.agent_id}" for part in notice.singly]
        return RenderedNotice(f"{len(lines)}", "\n".join(lines), "")


def house_of(
    quota: SenderQuota, *, agents: int, contacts: Mapping[int, tuple[str, ...]], closings: bool = True
) -> House:
    house = House(pool=numbers(agents + 5), sender_quota=quota)
    house.template = NamesAgents()
    house.deployment = structs.replace(house.deployment, closing_notices=closings)
    for place in range(agents):
        name = f"agent-{place:03}"
        house.add_agent(Agent(agent_id=name, name=name, emergency_contacts=contacts[place]))
    house.tick()
    return house


def dial(house: House, place: int, call: str = "1", dialled: str = "911") -> None:
    name = f"agent-{place:03}"
    house.dial(Dial(call_id=f"{name}/{call}", agent_id=name, dialled=dialled))


def end(house: House, place: int, call: str = "1") -> None:
    house.end(End(call_id=f"agent-{place:03}/{call}", by_agent=True))


class Course(Struct):
    """What was sent in a crisis, when: of each message the minute, of each line to each recipient the first time."""

    sent_at: list[datetime]
    first: dict[tuple[str, str], datetime]
    lines: Counter[tuple[str, str]]
    merged: int = 0


def watched(house: House) -> Course:
    course = Course([], {}, Counter())

    def hear(email: Email) -> None:
        course.sent_at.append(house.clock.now())
        lines = email.text.split("\n")
        course.merged += len(lines) > 1
        for recipient in email.recipients:
            for line in lines:
                course.first.setdefault((recipient, line), house.clock.now())
                course.lines[recipient, line] += 1

    house.mail.fail = hear
    return course


def most_in_a_minute(course: Course) -> int:
    return max(Counter(at.replace(second=0) for at in course.sent_at).values())


class Crisis(Struct, kw_only=True):
    """200 agents dial in so many seconds, each call lasts three minutes; the sweep runs every ten seconds."""

    house: House
    contacts: Mapping[int, tuple[str, ...]]
    course: Course
    dialled: dict[int, datetime]

    def play(self, seconds: int, chance: random.Random, minutes: int = 60) -> None:
        dials = sorted((chance.randrange(seconds), place) for place in self.contacts)
        ends = [(second + 180, place) for second, place in dials]
        for second in range(minutes * 60):
            for at, place in dials:
                if at == second:
                    self.dialled[place] = self.house.clock.now()
                    dial(self.house, place)
            for at, place in ends:
                if at == second:
                    end(self.house, place)
            if second % 10 == 0:
                self.house.sweep()
            self.house.clock.advance(timedelta(seconds=1))

    def waits_of_first_words(self) -> list[timedelta]:
        return [
            self.course.first[recipient, f"call agent-{place:03}"] - at
            for place, at in self.dialled.items()
            for recipient in self.contacts[place]
        ]


def crisis(quota: SenderQuota, contacts: Mapping[int, tuple[str, ...]]) -> Crisis:
    house = house_of(quota, agents=len(contacts), contacts=contacts)
    return Crisis(house=house, contacts=contacts, course=watched(house), dialled={})


def everybody_was_told_everything_once(played: Crisis) -> None:
    owed = {
        (recipient, f"{kind} agent-{place:03}")
        for place, recipients in played.contacts.items()
        for recipient in recipients
        for kind in ("call", "closing")
    }
    assert set(played.course.lines) == owed, "no notice is lost, and there is none besides"
    assert set(played.course.lines.values()) == {1}
    assert not [row for row in played.house.rows() if row.startswith(("outbox|", "waiting|"))]


@pytest.mark.parametrize("seconds", [600, 60, 1], ids=["ten minutes", "one minute", "at once"])
def test_with_twenty_recipients_everybodys_first_word_comes_within_a_minute(seconds: int) -> None:
    chance = random.Random(seconds)
    people = [f"contact-{number:02}@example.com" for number in range(20)]
    contacts = {place: tuple(chance.sample(people, 1 + place % 3)) for place in range(200)}
    played = crisis(SenderQuota(30, 10_000), contacts)
    played.play(seconds, chance, minutes=20)
    waits = played.waits_of_first_words()
    everybody_was_told_everything_once(played)
    print(f"{len(played.course.sent_at)} messages, {played.course.merged} merged, longest wait {max(waits)}")
    assert max(waits) <= MINUTE and most_in_a_minute(played.course) <= 30 and played.course.merged > 10


def test_with_four_hundred_recipients_the_quota_holds_and_first_words_go_first() -> None:
    chance = random.Random(400)
    contacts = {place: (f"one-{place}@example.com", f"two-{place}@example.com") for place in range(200)}
    played = crisis(SenderQuota(30, 10_000), contacts)
    played.play(120, chance, minutes=20)
    everybody_was_told_everything_once(played)
    waits = played.waits_of_first_words()
    print(f"{len(played.course.sent_at)} messages, the last first word after {max(waits)}")
    calls = [at for (_, line), at in played.course.first.items() if line.startswith("call")]
    closings = [at for (_, line), at in played.course.first.items() if line.startswith("closing")]
    assert most_in_a_minute(played.course) <= 30
    assert max(waits) <= timedelta(minutes=7), "200 messages at 30 a minute"
    assert min(closings) >= max(calls), "they had begun to wait before the last call was told"
    told_at = {place: played.course.first[contacts[place][0], f"call agent-{place:03}"] for place in contacts}
    order = sorted(contacts, key=lambda place: (played.dialled[place], told_at[place]))
    assert [told_at[place] for place in order] == sorted(told_at.values()), "oldest first"


def test_in_the_hours_quota_nothing_is_lost_either() -> None:
    chance = random.Random(100)
    contacts = {place: (f"contact-{place % 20:02}@example.com",) for place in range(200)}
    played = crisis(SenderQuota(30, 100), contacts)
    played.play(600, chance, minutes=75)
    hours = Counter(at.replace(minute=0, second=0) for at in played.course.sent_at)
    waits = played.waits_of_first_words()
    print(f"{dict(hours)}, the longest wait {max(waits)}")
    assert max(hours.values()) <= 100 and most_in_a_minute(played.course) <= 30
    assert len(played.course.first) >= 200


def test_within_the_quota_nothing_changes() -> None:
    contacts = dict.fromkeys(range(5), ("x@example.com",))
    house = house_of(SenderQuota(5, 100), agents=5, contacts=contacts, closings=False)
    for place in range(5):
        dial(house, place)
    assert len(house.mail.accepted) == 5 and house.telemetry.count("notice_waits") == 0


def test_beyond_it_one_message_tells_all_under_their_number_and_nobody_sees_the_others() -> None:
    contacts = {0: ("x@example.com",), 1: ("x@example.com", "y@example.com"), 2: ("x@example.com", "y@example.com")}
    house = house_of(SenderQuota(1, 100), agents=3, contacts=contacts, closings=False)
    for place in range(3):
        dial(house, place)
    assert len(house.mail.accepted) == 1 and house.telemetry.count("notice_waits") == 2
    house.sweep()
    assert len(house.mail.accepted) == 1, "the quota is used up"
    house.clock.advance(MINUTE)
    house.sweep()
    told = house.mail.accepted[1]
    assert told.recipients == ("x@example.com", "y@example.com") and told.subject == "2"
    assert sorted(told.text.split("\n")) == ["call agent-001", "call agent-002"]
    assert ("notices_merged", {"notices": 2, "recipients": 2}) in house.telemetry.events


def test_a_sweep_that_dies_after_the_service_took_it_sends_the_very_same_message_again() -> None:
    contacts = dict.fromkeys(range(4), ("x@example.com",))
    house = house_of(SenderQuota(1, 100), agents=4, contacts=contacts, closings=False)
    for place in range(3):
        dial(house, place)
    lost: list[Email] = []

    def answer_lost(email: Email) -> None:
        lost.append(email)
        raise Unavailable

    house.clock.advance(MINUTE)
    house.mail.fail = answer_lost
    house.sweep()
    house.mail.fail = lambda _email: None
    dial(house, 3)
    for _ in range(30):
        house.clock.advance(after(seconds=10))
        house.sweep()
    (again,) = [email for email in house.mail.accepted if email.operation_id == lost[0].operation_id]
    assert again.text == lost[0].text
    assert Counter(line for email in house.mail.accepted for line in email.text.split("\n")) == {
        f"call agent-{place:03}": 1 for place in range(4)
    }


def test_a_process_that_dies_before_it_sends_loses_nothing() -> None:
    contacts = dict.fromkeys(range(3), ("x@example.com",))
    house = house_of(SenderQuota(1, 100), agents=3, contacts=contacts, closings=False)
    for place in range(3):
        dial(house, place)
    house.clock.advance(MINUTE)
    house.performs = False
    house.sweep()
    assert [type(effect) for effect in house.calling.perform(MergeWaiting())] == [DeliverNotice]
    house.owed.clear()
    house.performs = True
    for _ in range(30):
        house.clock.advance(after(seconds=10))
        house.sweep()
    assert [len(email.text.split("\n")) for email in house.mail.accepted] == [1, 2]


def test_two_sweeps_at_once_send_it_once() -> None:
    contacts = dict.fromkeys(range(3), ("x@example.com",))
    house = house_of(SenderQuota(1, 100), agents=3, contacts=contacts, closings=False)
    for place in range(3):
        dial(house, place)
    house.clock.advance(MINUTE)
    found = house.emergencies.waiting(10, house.within())
    house.sweep()
    assert len(found) == 2 and house.emergencies.waiting(10, house.within()) == []
    house.sweep()
    assert len(house.mail.accepted) == 2


def test_what_waits_beyond_its_lease_is_given_up_and_not_kept() -> None:
    contacts = dict.fromkeys(range(2), ("x@example.com",))
    house = house_of(SenderQuota(1, 1), agents=2, contacts=contacts, closings=False)
    dial(house, 0)
    dial(house, 1)
    end(house, 1)
    house.clock.advance(after(minutes=59))
    house.mail_quota.take(1, house.within(), in_turn=True)
    house.sweep()
    assert house.telemetry.count("notice_given_up") == 0
    house.clock.advance(after(minutes=1))
    house.mail_quota.take(1, house.within(), in_turn=True)
    house.sweep()
    assert house.telemetry.count("notice_given_up") == 1
    assert not [row for row in house.rows() if row.startswith("waiting|")]


def test_a_waiting_notice_is_owed_on_the_board_and_in_readiness() -> None:
    contacts = dict.fromkeys(range(2), ("x@example.com",))
    house = house_of(SenderQuota(1, 100), agents=2, contacts=contacts, closings=False)
    dial(house, 0)
    dial(house, 1)
    board = {each.agent_id: each.notices[0].state for each in house.administration.show_board().emergencies}
    assert board == {"agent-000": "accepted", "agent-001": "owed"}
    assert house.emergencies.state_of_outbox(house.within())[0] == DAWN
    house.clock.advance(MINUTE)
    house.sweep()
    board = {each.agent_id: each.notices[0].state for each in house.administration.show_board().emergencies}
    assert board == {"agent-000": "accepted", "agent-001": "accepted"}


def test_a_merged_message_is_shown_with_each_of_its_emergencies() -> None:
    contacts = dict.fromkeys(range(3), ("x@example.com",))
    house = house_of(SenderQuota(1, 100), agents=3, contacts=contacts)
    for place in range(3):
        dial(house, place)
    house.clock.advance(MINUTE)
    house.sweep()
    board = {
        each.agent_id: [notice.state for notice in each.notices]
        for each in house.administration.show_board().emergencies
    }
    assert board == {f"agent-{place:03}": ["accepted"] for place in range(3)}
    threads = [house.emergency(f"agent-{place:03}") for place in range(3)]
    assert [each.thread.told for each in threads if each and each.thread] == [("x@example.com",)] * 3


def test_in_an_outage_each_process_sends_a_third_and_the_rest_stays_owed() -> None:
    contacts = dict.fromkeys(range(6), ("x@example.com",))
    house = house_of(SenderQuota(9, 900), agents=6, contacts=contacts, closings=False)
    house.line.away = True
    for place in range(6):
        dial(house, place)
    assert len(house.mail.accepted) == 3 and house.telemetry.count("notice_waits") == 3
    house.line.away = False
    for again in house.repeats.kept.values():
        assert again()
    house.sweep()
    told = Counter(line for email in house.mail.accepted for line in email.text.split("\n"))
    assert set(told) == {f"call agent-{place:03}" for place in range(6)}


def test_a_row_that_cannot_be_read_has_what_it_was_merged_with_sent_once_all_the_same() -> None:
    house = house_of(SenderQuota(2, 100), agents=6, contacts=dict.fromkeys(range(6), ("x@example.com",)))
    for place in range(6):
        dial(house, place)
    rows = house.table.between("agent|", "agent|~", 100, house.within()).result()
    [row] = [each for each in rows if "agent-004" in str(each.values["state"])]
    house.table.commit([Put(row.key, {**row.values, "state": "{"})], house.within())
    for _ in range(12):
        house.clock.advance(after(seconds=10))
        house.sweep()
    assert Counter(line for email in house.mail.accepted for line in email.text.split("\n")) == Counter(
        f"call agent-{place:03}" for place in range(6)
    )
    others = [house.emergency(f"agent-{place:03}") for place in (2, 3, 5)]
    assert all(each and each.thread and each.thread.told == ("x@example.com",) for each in others)


def test_what_else_is_owed_does_not_wait_for_what_waits_to_be_read() -> None:
    table = Overtaken()
    house = House(table=table)
    house.performs = False
    house.dial(Dial(call_id="call-1", agent_id="agent-1", dialled="911"))
    house.owed = []
    house.clock.advance(after(minutes=1))

    asked = []

    def away() -> None:
        asked.append("waiting")
        raise Unavailable

    table.kind, table.meanwhile = "waiting", away
    house.sweep()
    assert asked
    assert any(isinstance(effect, DeliverNotice) for effect in house.owed)


def test_a_merged_message_that_is_tried_again_keeps_nothing_of_a_lease_that_is_over() -> None:
    house = house_of(SenderQuota(1, 100), agents=3, contacts=dict.fromkeys(range(3), ("x@example.com",)))
    dial(house, 0)
    dial(house, 1)
    end(house, 1)
    house.clock.advance(after(minutes=30))
    house.mail_quota.take(1, house.within(), in_turn=True)
    dial(house, 2)

    def away(_email: Email) -> None:
        raise Unavailable

    house.mail.fail = away
    for _ in range(40):
        house.clock.advance(after(minutes=1))
        house.sweep()
    kept = [str(row.values) for row in house.table.between("outbox|", "outbox|~", 100, house.within()).result()]
    kept += [str(row.values) for row in house.table.between("waiting|", "waiting|~", 100, house.within()).result()]
    assert any("agent-002" in text for text in kept)
    assert not any("agent-001" in text for text in kept)


# A service that does not take what was counted -----------------------------------------------------------------------


class Refusing:
    """An e-mail service that refuses everything for so long; when it accepted what, and whom that told first."""

    def __init__(self, house: House, away: timedelta, failure: Callable[[], Exception]) -> None:
        self._house, self._failure = house, failure
        self.back_at = house.clock.now() + away
        self.sent_at: list[datetime] = []
        self.told: dict[str, datetime] = {}
        house.mail.fail = self._answer

    def _answer(self, email: Email) -> None:
        now = self._house.clock.now()
        if now < self.back_at:
            raise self._failure()
        self.sent_at.append(now)
        for recipient in email.recipients:
            self.told.setdefault(recipient, now)

    def keeps_to(self, quota: SenderQuota) -> bool:
        minutes = Counter(at.replace(second=0) for at in self.sent_at)
        hours = Counter(at.replace(second=0, minute=0) for at in self.sent_at)
        return max(minutes.values()) <= quota.per_minute and max(hours.values()) <= quota.per_hour


def sweep_until(house: House, until: datetime) -> None:
    while house.clock.now() < until:
        house.clock.advance(timedelta(seconds=10))
        house.sweep()


def busy() -> Exception:
    return Unavailable(retry_after_s=2, undone=True)


def wrong_sender() -> Exception:
    return Unavailable(retry_after_s=30, reason="status_403", undone=True)


@pytest.mark.parametrize(
    ("dials", "quota", "away", "failure"),
    [
        (60, SenderQuota(30, 100), timedelta(seconds=240), busy),
        (30, SenderQuota(30, 100), timedelta(seconds=240), busy),
        (12, SenderQuota(30, 100), timedelta(minutes=25), busy),
        (3, SenderQuota(5, 10), timedelta(minutes=5), busy),
        (1, SenderQuota(5, 10), timedelta(minutes=40), wrong_sender),
    ],
)
def test_what_the_service_refused_uses_up_no_quota(
    dials: int, quota: SenderQuota, away: timedelta, failure: Callable[[], Exception]
) -> None:
    contacts = {place: (f"c{place}@example.com",) for place in range(dials)}
    house = house_of(quota, agents=dials, contacts=contacts, closings=False)
    service = Refusing(house, away, failure)
    for place in range(dials):
        dial(house, place)
    # The longest pause between two tries, and the minutes that the quota needs for all of them.
    sweep_until(house, service.back_at + MAX_WAIT + timedelta(minutes=-(-dials // quota.per_minute)))
    assert {address for each in contacts.values() for address in each} <= service.told.keys()
    assert service.keeps_to(quota)


def test_a_message_that_was_granted_in_turn_and_refused_uses_up_no_quota() -> None:
    house = house_of(SenderQuota(1, 3), agents=2, contacts={0: ("x@example.com",), 1: ("y@example.com",)})
    dial(house, 0)
    dial(house, 1)
    service = Refusing(house, timedelta(minutes=10), busy)
    sweep_until(house, service.back_at + MAX_WAIT)
    assert "y@example.com" in service.told


def test_what_was_never_answered_may_have_been_sent_and_stays_counted() -> None:
    house = house_of(SenderQuota(5, 5), agents=1, contacts={0: ("x@example.com",)})
    service = Refusing(house, timedelta(minutes=20), Unavailable)
    dial(house, 0)
    sweep_until(house, service.back_at + MAX_WAIT)
    assert service.sent_at == [] and house.telemetry.count("notice_waits") == 1


def test_a_message_whose_recipients_were_all_refused_leaves_its_place_to_the_default_contacts() -> None:
    house = house_of(SenderQuota(1, 10), agents=1, contacts={0: ("x@example.com",)}, closings=False)

    def refuse(email: Email) -> None:
        if "x@example.com" in email.recipients:
            raise RecipientsRefused(frozenset(email.recipients))

    house.mail.fail = refuse
    dial(house, 0)
    assert house.mail.received() == [DEFAULT_CONTACT]


def test_what_was_granted_and_came_too_late_to_be_sent_is_given_back() -> None:
    house = house_of(SenderQuota(1, 3), agents=2, contacts={0: ("x@example.com",), 1: ("y@example.com",)})
    dial(house, 0)
    dial(house, 1)
    house.clock.advance(MINUTE)
    [late] = house.calling.perform(MergeWaiting())
    house.clock.advance(CLAIMED_FOR)
    house.do([late])
    assert house.mail.received() == ["x@example.com"]
    house.clock.advance(2 * MINUTE)
    quota = house.mail_quota
    assert [quota.take(1, house.within()), quota.take(1, house.within())] == [1, 0]
    house.clock.advance(2 * MINUTE)
    assert quota.take(1, house.within(), in_turn=True) == 1, "two of three were sent"


def test_what_is_refused_in_an_outage_of_the_store_leaves_its_place_to_the_next_try() -> None:
    house = house_of(SenderQuota(1, 1), agents=1, contacts={0: ("x@example.com",)})
    house.line.away = True
    service = Refusing(house, timedelta(seconds=1), busy)
    dial(house, 0)
    house.clock.advance(timedelta(seconds=1))
    dial(house, 0)
    assert list(service.told) == [DEFAULT_CONTACT]
