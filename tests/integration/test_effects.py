"""What an emergency owes the world: e-mail and call control; refused, slow, throttled, down, and taken up again."""

import time
from datetime import timedelta

import pytest

from tests.integration.used import contacts, new_agent, new_id
from tests.local.acs import EmailRules, Fault, poll
from tests.local.acs.messages import Operation
from tests.local.stack import DEFAULT_CONTACT, DESK, Agent, Softphone, Stack

pytestmark = pytest.mark.process

BUDGET_S = 0.5
BUSY_S = 1.5


@pytest.fixture
def dana(local: Stack) -> Softphone:
    """An agent who is available."""
    softphone = local.softphone(local.add_agent(new_agent()))
    softphone.show("available")
    return softphone


def failing(operation: Operation, kind: str, **more: object) -> Fault:
    return Fault(operation=operation, kind=kind, **more)  # type: ignore[arg-type]


def retried(local: Stack, count: int) -> None:
    """Wait until so many tries have been put off."""
    poll(lambda: local.logs()["host.log"].count("notice_retried") >= count or None, what="a try that was put off")


def tries_so_far(local: Stack) -> int:
    return local.logs()["host.log"].count("notice_retried")


def take_up(local: Stack, after: timedelta = timedelta(minutes=2)) -> None:
    local.advance(after)
    local.run_timers("outbox_sweep")


# E-mail


def test_the_service_refuses_the_message_for_one_address(local: Stack, dana: Softphone) -> None:
    good, bad = contacts(dana.agent)
    local.control.email_rules(EmailRules(refused=[bad]))
    assert dana.dial(new_id()).notified == 2
    assert local.wait_for_email(good).recipients == [good]
    local.wait_until_nothing_is_owed()
    take_up(local)
    assert len(local.emails_to(good)) == 1 and local.emails_to(bad) == []
    assert "recipient_refused" in local.logs()["host.log"]


def test_a_bounce_goes_on_to_the_default_contact_who_is_told_that_it_is_over_too(local: Stack, dana: Softphone) -> None:
    good, bad = contacts(dana.agent)
    local.control.email_rules(EmailRules(outcomes={bad.lower(): "Bounced"}))
    call = new_id()
    dana.dial(call)
    passed_on = local.wait_for_email(DEFAULT_CONTACT)
    assert passed_on.recipients == [DEFAULT_CONTACT] and dana.agent.agent_id in passed_on.plain_text
    dana.end(call)
    local.wait_for_email(good, count=2)
    local.wait_until_nothing_is_owed()
    assert len(local.emails_to(DEFAULT_CONTACT)) == 2, "the call and its end, each once, though two reports came"


def test_fifty_contacts_the_most_that_there_can_be_get_one_message(local: Stack) -> None:
    mark = new_id("mark")
    many = "; ".join(f"{mark}.{number}@example.com" for number in range(50))
    phone = local.softphone(local.add_agent(new_agent(emergency_contacts=many)))
    assert phone.dial(new_id()).notified == 50
    local.wait_until_nothing_is_owed()
    sizes = sorted(len(email.recipients) for email in local.control.emails())
    assert sizes == [50]


@pytest.mark.parametrize("as_cloud_events", [False, True])
def test_delivery_reports_are_kept_per_recipient(local: Stack, dana: Softphone, as_cloud_events: bool) -> None:
    good, bad = contacts(dana.agent)
    rules = EmailRules(
        outcomes={bad: "bOuNcEd"},
        reports_as_cloud_events=as_cloud_events,
        report_time_field="deliveryAttemptTimestamp" if as_cloud_events else "deliveryAttemptTimeStamp",
    )
    local.control.email_rules(rules)
    dana.dial(new_id())
    local.wait_for_email(good)

    def told() -> bool:
        mails = [row["state"] for row in local.rows()["emergencies"] if row["RowKey"].startswith("mail|")]
        return any("delivered" in state and "failed" in state for state in mails)

    poll(told, what="both delivery reports")


@pytest.mark.parametrize("fault", [
    failing("email", "throttle", status=429, retry_after_s=30, times=1),
    failing("email", "status", status=503, times=1),
    failing("email", "status", status=401, times=1),
    failing("email", "drop", times=1),
])  # fmt: skip
def test_the_email_service_is_throttled_or_down_then_the_outbox_sends(
    local: Stack, dana: Softphone, fault: Fault
) -> None:
    before = tries_so_far(local)
    local.control.fault(fault)
    lent = dana.dial(new_id())
    assert (lent.degraded, lent.notified) == (False, 2)
    dana.wait_for_presence("do_not_disturb")
    retried(local, before + 1)
    assert local.control.emails() == []
    local.run_timers("outbox_sweep")
    assert local.control.emails() == [], "not before its time"
    take_up(local)
    assert len(local.control.emails()) == 1
    take_up(local)
    assert len(local.control.emails()) == 1


@pytest.mark.parametrize("senders", [[], ["another@alerts.example.com"]])
def test_a_sender_that_the_service_refuses_is_nobodys_fault_and_the_notice_is_sent_once_it_is_mended(
    local: Stack, dana: Softphone, senders: list[str]
) -> None:
    both = contacts(dana.agent)
    so_far = tries_so_far(local)
    refused_so_far = local.logs()["host.log"].count("recipient_refused")
    local.control.email_rules(EmailRules(senders=senders))
    assert dana.dial(new_id()).notified == 2
    retried(local, so_far + 1)
    log = local.logs()["host.log"]
    assert "email_blocked reason=" in log and log.count("recipient_refused") == refused_so_far
    local.control.email_rules(EmailRules())
    take_up(local)
    assert sorted(local.wait_for_email(both[0]).recipients) == sorted(both)
    local.wait_until_nothing_is_owed()


def test_a_quota_of_one_message_a_minute(local: Stack) -> None:
    local.control.email_rules(EmailRules(messages_per_minute=1))
    before = tries_so_far(local)
    phones = [local.softphone(local.add_agent(new_agent())) for _ in range(2)]
    for phone in phones:
        phone.dial(new_id())
    retried(local, before + 1)
    for _ in range(2):
        take_up(local)
    for phone in phones:
        assert len(local.emails_to(contacts(phone.agent)[0])) == 1


def test_a_message_that_was_taken_though_its_answer_was_lost(local: Stack, dana: Softphone) -> None:
    before = tries_so_far(local)
    local.control.fault(failing("email", "drop", when="after", times=1))
    dana.dial(new_id())
    retried(local, before + 1)
    take_up(local)
    emails = local.emails_to(contacts(dana.agent)[0])
    assert len({email.operation_id for email in emails}) == 1, "a repeat is the same message"
    assert 1 <= len(emails) <= 2


def test_a_slow_email_service_keeps_nobody_waiting(local: Stack, dana: Softphone) -> None:
    local.control.fault(failing("email", "latency", seconds=6.0))
    began = time.monotonic()
    lent = dana.dial(new_id())
    dana.wait_for_presence("do_not_disturb")
    assert local.emails_to(contacts(dana.agent)[0]) == [], "while the mail is under way"
    assert lent.took_s < BUDGET_S + BUSY_S and time.monotonic() - began < 2 * BUDGET_S + BUSY_S
    local.wait_for_email(contacts(dana.agent)[0])


def test_a_notice_whose_number_may_be_somebody_elses_by_now_is_given_up(local: Stack, dana: Softphone) -> None:
    call, before = new_id(), tries_so_far(local)
    local.control.fault(failing("email", "status", status=503))
    dana.dial(call)
    retried(local, before + 1)
    dana.end(call)
    local.advance(timedelta(minutes=61))
    local.control.clear_faults()
    local.run_timers("outbox_sweep")
    assert local.control.emails() == []
    assert "notice_given_up" in local.logs()["host.log"]


def test_what_an_agent_is_called_cannot_break_the_message(local: Stack) -> None:
    name = f"<script>{new_id('name')}</script>{{{{ 7919*7907 }}}}\r\nBcc: x"
    phone = local.softphone(local.add_agent(new_agent(name=name)))
    phone.dial(new_id())
    email = local.wait_for_email(contacts(phone.agent)[0])
    assert "<script>" not in email.html and str(7919 * 7907) not in email.html + email.plain_text + email.subject
    assert "\n" not in email.subject and "\r" not in email.subject


def test_agents_without_contacts_have_the_default_ones(local: Stack) -> None:
    phone = local.softphone(local.add_agent(new_agent(emergency_contacts="")))
    assert phone.dial(new_id()).notified == 1
    assert local.wait_for_email(DEFAULT_CONTACT).recipients == [DEFAULT_CONTACT]


# Callbacks


def with_alternate(local: Stack) -> Agent:
    return local.add_agent(new_agent(alternate_numbers=("+14255550188",)))


@pytest.mark.parametrize(("cloud_event", "with_kind"), [(False, True), (False, False), (True, True)])
def test_a_callback_in_every_form_reaches_the_holder(
    local: Stack, dana: Softphone, cloud_event: bool, with_kind: bool
) -> None:
    lent = dana.dial(new_id())
    local.will_answer(dana.agent.acs_user_id)
    ringing = local.ring(lent.callback_number, cloud_event=cloud_event, with_kind=with_kind)
    assert local.wait_for_answer(ringing).people[-1] == dana.agent.acs_user_id


def test_a_callback_that_event_grid_delivers_three_times_is_answered_once(local: Stack, dana: Softphone) -> None:
    lent = dana.dial(new_id())
    local.wait_until_nothing_is_owed()
    local.control.event_grid(held=True)
    local.will_answer(dana.agent.acs_user_id)
    ringing = local.ring(lent.callback_number)
    local.control.event_grid()
    call = local.wait_for_answer(ringing)
    event = {
        "id": "1", "topic": local.source, "subject": "", "eventType": "Microsoft.Communication.IncomingCall",
        "eventTime": local.now().isoformat(), "dataVersion": "1.0",
        "data": {"to": {"rawId": f"4:{lent.callback_number}"}, "from": {"rawId": "4:anonymous"},
                 "serverCallId": call.server_call_id, "correlationId": call.correlation_id,
                 "incomingCallContext": call.contexts[0]},
    }  # fmt: skip
    assert local.deliver("incoming_call_event", [event, event]) == 202
    seen = local.control.call(call.server_call_id)
    assert (seen.state, len(seen.invitations)) == ("connected", 1)
    assert [each.repeated for each in local.control.requests("answer")] == [False, True, True]


def test_a_call_that_cannot_be_answered_is_sent_on_to_the_holder_their_alternate_number_the_desk(local: Stack) -> None:
    local.control.fault(failing("answer", "status", status=400))
    phone = local.softphone(with_alternate(local))
    lent = phone.dial(new_id())
    local.will_answer("+14255550188")
    local.will_answer(DESK)
    local.control.fault(failing("redirect", "status", status=400, times=1))
    assert local.wait_for_answer(local.ring(lent.callback_number)).people[-1] == "4:+14255550188"
    local.control.fault(failing("redirect", "status", status=403, times=2))
    assert local.wait_for_answer(local.ring(lent.callback_number)).people[-1] == f"4:{DESK}"


@pytest.mark.parametrize("body", ["", "null", "<html>"])
def test_an_answer_that_cannot_be_read_sends_the_call_on(local: Stack, dana: Softphone, body: str) -> None:
    lent = dana.dial(new_id())
    local.wait_until_nothing_is_owed()
    local.will_answer(dana.agent.acs_user_id)
    local.control.fault(failing("answer", "body", status=200, body=body))
    assert local.wait_for_answer(local.ring(lent.callback_number)).people[-1] == dana.agent.acs_user_id
    assert len(local.control.requests("redirect")) == 1


def test_call_automation_is_down_then_the_event_comes_again(local: Stack, dana: Softphone) -> None:
    lent = dana.dial(new_id())
    local.wait_until_nothing_is_owed()
    local.control.event_grid(time_scale=10)
    local.will_answer(dana.agent.acs_user_id)
    local.control.fault(failing("answer", "status", status=503, times=1))
    local.control.fault(failing("redirect", "status", status=503, times=3))
    assert local.wait_for_answer(local.ring(lent.callback_number)).people[-1] == dana.agent.acs_user_id
    poll(lambda: dana.panel().mode == "emergency" or None, what="the callback on the panel")


def test_a_number_of_the_pool_that_nobody_holds_rings_the_desk(local: Stack) -> None:
    local.will_answer(DESK)
    number = local.settings["CALLBACK_NUMBERS"].split(";")[0]
    assert local.wait_for_answer(local.ring(number)).people[-1] == f"4:{DESK}"


# Events in any order


def test_events_duplicated_delayed_and_reordered_come_to_the_same_end(local: Stack, dana: Softphone) -> None:
    server, call = new_id("server"), new_id()
    starter = dana.agent.acs_user_id
    local.control.event_grid(held=True)
    local.control.call_started(starter, server, at=local.now(), form="cloudevents")
    dana.dial(call, server_call_id=server)
    local.wait_for_email(contacts(dana.agent)[0])
    local.advance(timedelta(minutes=1))
    over = local.control.call_ended(
        starter, server, ended_by=starter, duration_s=60.0, at=local.now(), form="eventgrid-2021"
    )
    local.control.publish(over, over)
    local.control.event_grid(shuffled=True)
    local.control.wait_until_delivered()
    dana.wait_for_presence("available")
    assert dana.panel().mode == "normal"
    local.wait_until_nothing_is_owed()
    call_notice, closing = local.emails_to(contacts(dana.agent)[0])
    assert "OVER" not in call_notice.subject and "OVER" in closing.subject, "each of them once"


def test_two_legs_of_one_agent_are_told_apart_by_their_claims(local: Stack, dana: Softphone) -> None:
    one, two, first, second = new_id(), new_id(), new_id("server"), new_id("server")
    dana.dial(one, server_call_id=first)
    dana.dial(two, server_call_id=second)
    for server in (second, first):
        local.control.call_started(dana.agent.acs_user_id, server, at=local.now())
    local.advance(timedelta(seconds=20))
    local.control.wait_until_delivered()
    local.control.call_ended(dana.agent.acs_user_id, second, duration_s=20.0, at=local.now())
    local.control.wait_until_delivered()
    assert dana.panel().mode == "emergency", "the first leg goes on"
    local.control.call_ended(
        dana.agent.acs_user_id, first, duration_s=20.0, ended_by=dana.agent.acs_user_id, at=local.now()
    )
    local.control.wait_until_delivered()
    assert dana.panel().mode == "normal"


def test_many_agents_at_once_have_a_number_each(local: Stack) -> None:
    phones = [local.softphone(local.add_agent(new_agent())) for _ in range(20)]
    lent = [phone.dial(new_id()) for phone in phones]
    assert len({each.callback_number for each in lent}) == 20 and not any(each.shared for each in lent)
