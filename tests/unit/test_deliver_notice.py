"""A notice counts as sent to whom the service took it for, and stays owed where it refuses us (S7, B6)."""

from collections.abc import Callable

import pytest
from msgspec import structs

from shared.adapters.sent_table import SentTable
from shared.domain.agents import Agent
from shared.domain.dials import Dial, kept_owed
from shared.domain.errors import RecipientsRefused, Refused, Unavailable
from shared.domain.leases import Rules
from shared.domain.sender_quota import SenderQuota
from shared.ports import Email
from shared.use_cases.deliver_notice import MAX_REFUSALS
from shared.use_cases.effects import DeliverNotice
from shared.use_cases.end_call import End
from tests.fakes.house import DEFAULT_CONTACT, House, after

DANA = "agent-dana"


def house_with(*contacts: str) -> House:
    house = House()
    house.add_agent(Agent(agent_id=DANA, name="Dana Example", emergency_contacts=contacts))
    return house


def dial(house: House) -> None:
    house.dial(Dial(call_id="call-1", agent_id=DANA, dialled="911"))


def addresses(count: int) -> list[str]:
    return [f"contact-{number}@example.com" for number in range(count)]


def counting(house: House, then: Callable[[Email], None]) -> list[int]:
    """How many recipients each request had; `then` decides."""
    sizes: list[int] = []

    def fail(email: Email) -> None:
        sizes.append(len(email.recipients))
        then(email)

    house.mail.fail = fail
    return sizes


def unlinked(_email: Email) -> None:
    raise Unavailable(reason="domainnotlinked")


def unnamed(*bad: str) -> Callable[[Email], None]:
    def fail(email: Email) -> None:
        if set(bad) & set(email.recipients):
            raise Refused

    return fail


def sent(house: House) -> list[object]:
    return [facts["recipients"] for event, facts in house.telemetry.events if event == "notice_sent"]


def test_a_service_that_refuses_us_is_asked_once_a_try_and_the_notice_stays_owed() -> None:
    contacts = addresses(12)
    house = house_with(*contacts)
    sizes = counting(house, unlinked)
    dial(house)
    assert sizes == [12] and sent(house) == []
    assert house.telemetry.count("recipient_refused") == 0
    assert ("email_blocked", {"reason": "domainnotlinked"}) in house.telemetry.events
    house.mail.fail = lambda _email: None
    house.clock.advance(after(minutes=5))
    house.sweep()
    assert sorted(house.mail.received()) == sorted(contacts) and sent(house) == [12]


@pytest.mark.parametrize("count", [1, 2, 50])
def test_what_is_taken_for_nobody_is_nobodys_fault(count: int) -> None:
    contacts = addresses(count)
    house = house_with(*contacts)
    sizes = counting(house, unnamed(*contacts))
    dial(house)
    assert len(sizes) <= MAX_REFUSALS and sent(house) == []
    assert house.telemetry.count("recipient_refused") == 0
    assert house.telemetry.count("email_blocked") == 1
    house.mail.fail = lambda _email: None
    house.clock.advance(after(minutes=5))
    house.sweep()
    assert sorted(house.mail.received()) == sorted(contacts) and sent(house) == [count]


@pytest.mark.parametrize("places", [[0], [49], [0, 1], [3, 4, 5, 6, 7, 8, 9], [0, 7, 14, 21, 28, 35, 42]])
def test_recipients_whom_the_service_refuses_without_a_name_do_not_keep_it_from_the_others(places: list[int]) -> None:
    contacts = addresses(50)
    bad = {contacts[place] for place in places}
    house = house_with(*contacts)
    counting(house, unnamed(*bad))
    dial(house)
    assert set(house.mail.received()) == (set(contacts) - bad) | {DEFAULT_CONTACT}
    assert house.telemetry.count("recipient_refused") == len(bad)
    assert sent(house) == [50 - len(bad), 1]
    house.clock.advance(after(minutes=5))
    house.sweep()
    assert len(house.mail.received()) == 50 - len(bad) + 1


def test_recipients_whom_the_service_names_cost_one_request_more_and_count_for_nothing() -> None:
    good, bad = addresses(2)
    house = house_with(good, bad)

    def named(email: Email) -> None:
        if bad in email.recipients:
            raise RecipientsRefused(frozenset({bad}))

    sizes = counting(house, named)
    dial(house)
    assert sizes == [2, 1, 1] and house.mail.received() == [good, DEFAULT_CONTACT] and sent(house) == [1, 1]


def test_where_every_recipient_is_refused_by_name_nothing_was_sent() -> None:
    contacts = addresses(3)
    house = house_with(*contacts)

    def named(email: Email) -> None:
        raise RecipientsRefused(frozenset(email.recipients))

    counting(house, named)
    dial(house)
    assert sent(house) == [] and house.telemetry.count("recipient_refused") == 3 + len([DEFAULT_CONTACT])
    assert house.telemetry.count("notice_given_up") == 1


def test_what_was_taken_before_the_service_went_away_is_counted_and_not_sent_again() -> None:
    contacts = addresses(4)
    house = house_with(*contacts)
    taken: list[str] = []

    def fails_after_one(email: Email) -> None:
        if len(email.recipients) > 2:
            raise Refused
        if taken:
            raise Unavailable
        taken.extend(email.recipients)

    counting(house, fails_after_one)
    dial(house)
    house.mail.fail = lambda _email: None
    house.clock.advance(after(minutes=5))
    house.sweep()
    assert sorted(house.mail.received()) == sorted(contacts) and sent(house) == [2]


def test_the_messages_of_one_emergency_are_one_thread_and_nobody_elses() -> None:
    house = house_with(*addresses(2))
    house.add_agent(Agent(agent_id="agent-lee", name="Lee Example", emergency_contacts=("lee@example.com",)))
    dial(house)
    house.dial(Dial(call_id="call-2", agent_id=DANA, dialled="911"))
    house.dial(Dial(call_id="call-3", agent_id="agent-lee", dialled="911"))
    threads = {email.recipients: email.thread for email in house.mail.accepted}
    of_dana = {email.thread for email in house.mail.accepted if email.recipients == tuple(addresses(2))}
    assert len(house.mail.accepted) == 3 and len(of_dana) == 1 and all(threads.values())
    assert threads[("lee@example.com",)] not in of_dana


def test_a_recipient_who_was_refused_before_the_sender_was_mended_is_tried_once_more() -> None:
    contacts = addresses(2)
    house = house_with(*contacts)
    tries: list[tuple[str, ...]] = []

    def mended_for_the_third(email: Email) -> None:
        tries.append(email.recipients)
        if len(tries) < 3:
            raise Refused

    house.mail.fail = mended_for_the_third
    dial(house)
    assert sorted(house.mail.received()) == sorted(contacts) and house.telemetry.count("recipient_refused") == 0
    assert [len(each) for each in tries] == [2, 1, 1, 1]


def away(_email: Email) -> None:
    raise Unavailable


def live(house: House, minutes: int) -> None:
    for _ in range(minutes):
        house.clock.advance(after(minutes=1))
        house.sweep()
        house.tick()


@pytest.mark.parametrize("quota_is_spent", [False, True], ids=["the service is away", "the quota is spent"])
def test_a_notice_stays_owed_for_as_long_as_the_call_outlasts_its_window(quota_is_spent: bool) -> None:
    house, plenty = house_with("guard@example.com"), House().sender_quota
    house.tick()
    if quota_is_spent:
        house.mail_quota = SentTable(house.directory_table, SenderQuota(per_minute=0, per_hour=0), house.clock)
    else:
        house.mail.fail = away
    dial(house)
    live(house, 70)
    assert house.mail.accepted == [] and house.telemetry.count("notice_given_up") == 0
    house.mail_quota, house.mail.fail = SentTable(house.directory_table, plenty, house.clock), lambda _email: None
    live(house, 10)
    [email] = house.mail.accepted
    assert email.recipients == ("guard@example.com",)


@pytest.mark.parametrize("talks_minutes", [0, 66])
def test_a_notice_of_which_the_lease_is_over_is_given_up(talks_minutes: int) -> None:
    house = house_with("guard@example.com")
    house.tick()
    house.mail.fail = away
    dial(house)
    live(house, talks_minutes)
    house.end(End(call_id="call-1", by_agent=True, agent_id=DANA))
    live(house, 61 if talks_minutes == 0 else 32)
    house.mail.fail = lambda _email: None
    live(house, 10)
    assert house.mail.accepted == [] and house.telemetry.count("notice_given_up") == 1


def test_with_no_time_after_the_call_a_notice_is_owed_while_the_call_goes_on() -> None:
    house = house_with("guard@example.com")
    house.deployment = structs.replace(house.deployment, rules=Rules(after_call_minutes=0, cool_down_minutes=0))
    house.tick()
    house.mail.fail = away
    dial(house)
    live(house, 70)
    house.mail.fail = lambda _email: None
    live(house, 10)
    assert len(house.mail.accepted) == 1


def test_a_notice_of_a_number_that_was_lent_to_somebody_else_is_not_kept_by_the_next_lease() -> None:
    house = house_with("guard@example.com")
    house.tick()
    house.performs = False
    dial(house)
    [owed] = [effect.owed for effect in house.owed if isinstance(effect, DeliverNotice)]
    emergency, later = house.emergency(DANA), house.clock.now() + after(minutes=61)
    assert emergency is not None and emergency.lease is not None
    kept = kept_owed(owed.notice, emergency, Rules(), later)
    assert kept.give_up_at == kept.reachable_until == later + after(minutes=30), "as if the call ended now"
    other = structs.replace(emergency, lease=structs.replace(emergency.lease, number="+14255550199"))
    assert kept_owed(owed.notice, other, Rules(), later) == owed.notice
