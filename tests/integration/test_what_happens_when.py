"""The rows of "What happens when…" (specification) through the wire: real runtime, Azurite, SDK clients over TLS."""

from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta

import httpx
import pytest

from tests.integration.used import contacts, new_agent, new_id
from tests.local.acs import events, poll
from tests.local.stack import (
    ADMIN,
    AGENT,
    DEFAULT_CONTACT,
    DESK,
    MACHINE,
    PSAP,
    SUPERVISOR,
    Row,
    Softphone,
    Stack,
)

pytestmark = pytest.mark.process

OWN_STARTED, OWN_ENDED = "call_started_event", "call_ended_event"


@pytest.fixture
def dana(local: Stack) -> Softphone:
    """An agent who is available."""
    softphone = local.softphone(local.add_agent(new_agent()))
    softphone.show("available")
    return softphone


def body(phone: Softphone, call_id: str, **fields: object) -> dict[str, object]:
    return {"call_id": call_id, "agent_id": phone.agent.agent_id, "dialled": "911"} | fields


def own_event(local: Stack, kind: str, data: dict[str, object]) -> dict[str, object]:
    event = events.custom_call_event(kind, data, at=local.now())  # type: ignore[arg-type]
    return dict(event)


def started(local: Stack, phone: Softphone, server_call_id: str) -> None:
    local.control.call_started(phone.agent.acs_user_id, server_call_id, at=local.now())
    local.control.wait_until_delivered()


def ended(local: Stack, phone: Softphone, server_call_id: str, by: str | None = None) -> None:
    local.advance(timedelta(minutes=1))
    local.control.call_ended(phone.agent.acs_user_id, server_call_id, ended_by=by, duration_s=60.0, at=local.now())
    local.control.wait_until_delivered()


# The main job


def test_a_dial_lends_a_number_holds_presence_restricts_the_panel_and_mails_the_contacts(
    local: Stack, dana: Softphone
) -> None:
    lent = dana.dial(new_id(), location={"address": "9 Live Street", "at": local.now().isoformat()})
    assert (lent.status, lent.shared, lent.test, lent.degraded, lent.notified) == (201, False, False, False, 2)
    assert lent.callback_number in local.settings["CALLBACK_NUMBERS"].split(";")
    assert abs(lent.expires_at - local.now() - timedelta(minutes=60)) < timedelta(seconds=5)
    dana.wait_for_presence("do_not_disturb")
    panel = dana.panel()
    assert panel == lent.panel
    assert (panel.mode, panel.controls, panel.form_actions) == ("emergency", ("device_settings", "end_call"), ())
    assert panel.banner is not None and panel.poll_after_s == 2
    first, second = contacts(dana.agent)
    email = local.wait_for_email(first)
    assert sorted(email.recipients) == sorted([first, second]) and len(local.control.emails()) == 1
    assert len(email.to) <= 1, "recipients do not see one another"
    for told in (dana.agent.name, "9 Live Street", lent.callback_number.removeprefix("+1425555")):
        assert told is not None and told in email.plain_text and told in email.html
    assert email.tracking_disabled


def test_the_agents_end_gives_presence_back_and_the_number_stays(local: Stack, dana: Softphone) -> None:
    call = new_id()
    lent = dana.dial(call)
    dana.wait_for_presence("do_not_disturb")
    local.advance(timedelta(minutes=3))
    assert dana.end(call) == 200
    dana.wait_for_presence("available")
    panel = dana.panel()
    assert (panel.mode, panel.callback_number) == ("normal", lent.callback_number)
    assert {"save", "refresh"} <= set(panel.form_actions)


def test_each_contact_is_told_once_that_it_is_over_and_nothing_of_the_call(local: Stack, dana: Softphone) -> None:
    call = new_id()
    lent = dana.dial(call, location={"address": "9 Live Street", "at": local.now().isoformat()})
    first, second = contacts(dana.agent)
    local.wait_for_email(first)
    # An end before the mail is struck off leaves its closing word to the sweep.
    local.wait_until_nothing_is_owed()
    local.advance(timedelta(minutes=3))
    dana.end(call)
    closing = local.wait_for_email(first, count=2)
    local.wait_until_nothing_is_owed()
    local.run_timers()
    local.wait_until_nothing_is_owed()
    assert sorted(closing.recipients) == sorted([first, second])
    assert [len(local.emails_to(each)) for each in (first, second)] == [2, 2]
    assert dana.agent.name is not None
    for told in (closing.subject, closing.plain_text, closing.html):
        assert lent.callback_number.removeprefix("+1") not in told and "9 Live Street" not in told
    assert "over" in closing.subject.casefold() and dana.agent.name in closing.plain_text


def test_a_redial_opens_the_thread_again_and_its_end_is_told_once_more(local: Stack, dana: Softphone) -> None:
    [first, _] = contacts(dana.agent)
    for told in (2, 4):
        call = new_id()
        dana.dial(call)
        local.wait_for_email(first, count=told - 1)
        local.wait_until_nothing_is_owed()
        local.advance(timedelta(minutes=1))
        dana.end(call)
        local.wait_for_email(first, count=told)
    local.wait_until_nothing_is_owed()
    over = [email for email in local.emails_to(first) if "over" in email.subject.casefold()]
    assert len(local.emails_to(first)) == 4 and len({email.operation_id for email in over}) == 2


# Rows


def test_the_same_call_is_reported_twice_by_retry_and_by_event(local: Stack, dana: Softphone) -> None:
    call = new_id()
    first = dana.dial(call)
    again = dana.dial(call)
    assert (first.status, again.status) == (201, 200)
    event = own_event(local, "CallStarted", body(dana, call))
    assert local.deliver(OWN_STARTED, event) == 202
    third = dana.dial(call)
    for other in (again, third):
        assert (other.callback_number, other.expires_at) == (first.callback_number, first.expires_at)
        assert (other.shared, other.notified, other.panel) == (first.shared, first.notified, first.panel)
    local.wait_for_email(contacts(dana.agent)[0])
    local.run_timers()
    assert len(local.control.emails()) == 1


def test_the_same_call_is_reported_by_an_event_first_and_by_http_then(local: Stack, dana: Softphone) -> None:
    call = new_id()
    event = own_event(local, "CallStarted", body(dana, call))
    assert local.deliver(OWN_STARTED, [event, event]) == 202
    number = dana.panel().callback_number
    assert dana.presence().status == "do_not_disturb", "an event's effects run before it is acknowledged"
    lent = dana.dial(call)
    assert (lent.status, lent.callback_number) == (200, number)
    assert len(local.emails_to(contacts(dana.agent)[0])) == 1


def test_the_same_call_is_reported_by_many_retries_at_once_to_two_workers(local: Stack, dana: Softphone) -> None:
    call = new_id()
    headers = {"X-Development-Principal": MACHINE}

    def dial(_: int) -> httpx.Response:
        # A connection each: the kernel spreads them over the workers.
        return httpx.post(f"{local.url}/emergency-calls", json=body(dana, call), headers=headers, timeout=15)

    with ThreadPoolExecutor(16) as callers:
        answers = list(callers.map(dial, range(24)))
    # Under this much load some may have been answered as degraded; whoever repeats the request then learns the number.
    whole = [answer.json() for answer in answers if not answer.json()["degraded"]]
    assert {answer.status_code for answer in answers} <= {200, 201}
    numbers = {answer["callback_number"] for answer in whole} | {dana.dial(call).callback_number}
    assert len(numbers) == 1


def test_a_dials_answer_belongs_to_its_caller(local: Stack, dana: Softphone) -> None:
    call = new_id()
    mine = dana.dial(call)
    eve = local.softphone(local.add_agent(new_agent()))
    theirs = eve.dial(call)
    assert theirs.status == 201 and theirs.callback_number != mine.callback_number
    stolen = eve.ask("POST", "emergency-calls", body(dana, call)).json()
    assert (stolen["agent_id"], stolen["ignored"]) == (eve.agent.agent_id, ["agent_id"])
    assert stolen["callback_number"] == theirs.callback_number, "their own emergency, whomever they name"


def test_ended_arrives_before_started(local: Stack, dana: Softphone) -> None:
    call = new_id()
    assert dana.end(call, "dropped") == 202
    local.advance(timedelta(minutes=5))
    lent = dana.dial(call)
    assert (lent.status, lent.notified, lent.panel.mode) == (201, 2, "normal")
    local.wait_for_email(contacts(dana.agent)[0])
    local.run_timers()
    assert dana.presence().status == "available"
    assert dana.panel().callback_number == lent.callback_number


def test_an_end_without_a_start_is_forgotten_after_the_window(local: Stack, dana: Softphone) -> None:
    before = kept_of_emergencies(local)
    assert dana.end(new_id()) == 202
    assert kept_of_emergencies(local) != before
    local.advance(timedelta(minutes=61))
    local.run_timers()
    assert kept_of_emergencies(local) == before


def kept_of_emergencies(local: Stack) -> list[Row]:
    """But for the host's own line that says which numbers it lends, which each look at the pool renews."""
    return [row for row in local.rows()["emergencies"] if not row["RowKey"].startswith("pool|")]


def test_a_dial_from_a_desktop_whose_clock_is_wrong_is_of_now(local: Stack, dana: Softphone) -> None:
    told = local.logs()["host.log"].count("dial_clock_wrong")
    for minutes in (-61, 61, -60 * 24 * 365):
        wrong = (local.now() + timedelta(minutes=minutes)).isoformat()
        answer = dana.ask("POST", "emergency-calls", body(dana, new_id(), dialled_at=wrong))
        assert answer.status_code == 201 and answer.json()["callback_number"]
        expires_at = datetime.fromisoformat(answer.json()["expires_at"])
        assert abs(expires_at - local.now() - timedelta(minutes=60)) < timedelta(seconds=10)
    assert local.logs()["host.log"].count("dial_clock_wrong") == told + 3
    assert dana.panel().mode == "emergency"


def test_an_event_older_than_the_window_is_stale(local: Stack, dana: Softphone) -> None:
    before = local.rows()
    old = (local.now() - timedelta(minutes=61)).isoformat()
    event = own_event(local, "CallStarted", body(dana, new_id(), dialled_at=old))
    late = own_event(local, "CallStarted", body(dana, new_id())) | {"eventTime": old.replace("+00:00", "Z")}
    assert local.deliver(OWN_STARTED, [event, late]) == 202
    assert local.rows() == before
    assert "start_stale" in local.logs()["host.log"]


def test_call_ended_for_an_exactly_tied_leg_is_the_agents_end_or_else_a_drop(local: Stack, dana: Softphone) -> None:
    call, server = new_id(), new_id("server")
    dana.dial(call, server_call_id=server)
    started(local, dana, server)
    ended(local, dana, server, by=dana.agent.acs_user_id)
    dana.wait_for_presence("available")
    call, server = new_id(), new_id("server")
    dana.dial(call)
    dana.tie(call, server)
    started(local, dana, server)
    ended(local, dana, server, by=PSAP)
    assert dana.panel().mode == "normal"
    assert dana.presence().status == "do_not_disturb"
    dana.release()
    dana.wait_for_presence("available")


def test_call_ended_for_an_inferred_tie_is_a_drop_also_when_the_agent_ended_it(local: Stack, dana: Softphone) -> None:
    server = new_id("server")
    dana.dial(new_id())
    dana.wait_for_presence("do_not_disturb")
    started(local, dana, server)
    ended(local, dana, server, by=dana.agent.acs_user_id)
    assert dana.panel().mode == "normal"
    assert dana.presence().status == "do_not_disturb"
    local.advance(timedelta(minutes=11))
    local.run_timers()
    assert dana.presence().status == "available"


def test_call_started_and_ended_of_an_ordinary_call_write_nothing(local: Stack, dana: Softphone) -> None:
    before, server = local.rows(), new_id("server")
    started(local, dana, server)
    ended(local, dana, server)
    assert local.rows() == before


def test_no_end_ever_arrives(local: Stack, dana: Softphone) -> None:
    dana.dial(new_id())
    dana.wait_for_presence("do_not_disturb")
    local.advance(timedelta(minutes=239))
    local.run_timers()
    assert dana.panel().mode == "emergency"
    local.advance(timedelta(minutes=2))
    local.run_timers()
    assert dana.panel().mode == "normal" and "leg_timed_out" in local.logs()["host.log"]
    assert dana.presence().status == "do_not_disturb", "as after any drop"
    local.advance(timedelta(minutes=11))
    local.run_timers()
    assert dana.presence().status == "available"


def test_a_second_emergency_call_keeps_the_number_and_owes_another_notice(local: Stack, dana: Softphone) -> None:
    one, two = new_id(), new_id()
    first = dana.dial(one)
    local.wait_for_email(contacts(dana.agent)[0])
    local.advance(timedelta(minutes=5))
    second = dana.dial(two)
    assert second.callback_number == first.callback_number and second.expires_at > first.expires_at
    local.wait_for_email(contacts(dana.agent)[0], count=2)
    dana.wait_for_presence("do_not_disturb")
    dana.end(one)
    local.run_timers()
    assert dana.presence().status == "do_not_disturb" and dana.panel().mode == "emergency"
    dana.end(two)
    dana.wait_for_presence("available")


def test_the_agent_is_not_in_the_directory(local: Stack) -> None:
    stranger = local.softphone(new_agent())
    lent = stranger.dial(new_id(), acs_user_id=stranger.agent.acs_user_id)
    assert (lent.status, lent.notified) == (201, 1)
    assert contacts(stranger.agent)[0] not in local.wait_for_email(DEFAULT_CONTACT).recipients
    local.will_answer(stranger.agent.acs_user_id)
    call = local.wait_for_answer(local.ring(lent.callback_number))
    assert call.people[-1] == stranger.agent.acs_user_id


def test_agents_not_in_the_directory_cannot_drain_the_pool_or_the_mail(local: Stack) -> None:
    # The fifth of the pool is theirs only where there are others.
    local.add_agent(new_agent())
    pool = len(local.settings["CALLBACK_NUMBERS"].split(";"))
    lent = [local.softphone(new_agent()).dial(new_id()) for _ in range(pool // 5 + 4)]
    assert [each.shared for each in lent] == [False] * (pool // 5) + [True] * 4
    assert len({each.callback_number for each in lent}) == pool // 5
    assert [each.notified for each in lent] == [1] * len(lent), "each is a principal of their own"
    flooding = local.softphone(new_agent())
    for _ in range(8):
        flooding.dial(new_id())
    local.wait_until_nothing_is_owed()
    sent = [email for email in local.control.emails() if flooding.agent.agent_id in email.plain_text]
    # A sixth tells of all beyond the ration, where its ten minutes end in the middle of this.
    assert len(sent) in (5, 6), "one principal's notices are rationed"


def test_the_caller_hangs_up_after_a_second(local: Stack, dana: Softphone) -> None:
    call = new_id()
    lent = dana.dial(call)
    local.advance(timedelta(seconds=1))
    dana.end(call)
    local.advance(timedelta(minutes=58))
    local.run_timers()
    assert dana.panel().callback_number == lent.callback_number
    local.will_answer(dana.agent.acs_user_id)
    assert local.wait_for_answer(local.ring(lent.callback_number)).people[-1] == dana.agent.acs_user_id


@pytest.mark.parametrize("caller", ["4:anonymous", "+14255550191", "4:+911"])
def test_the_psap_withholds_its_number_or_shows_any(local: Stack, dana: Softphone, caller: str) -> None:
    lent = dana.dial(new_id())
    local.will_answer(dana.agent.acs_user_id)
    call = local.wait_for_answer(local.ring(lent.callback_number, caller=caller))
    assert call.people[-1] == dana.agent.acs_user_id


def test_an_incoming_call_to_a_foreign_number_or_to_a_user_is_left_alone(local: Stack, dana: Softphone) -> None:
    dana.dial(new_id())
    local.wait_until_nothing_is_owed()
    before = local.rows()
    foreign, user = local.ring("+14255550195"), local.ring(dana.agent.acs_user_id)
    local.control.wait_until_delivered()
    for call in (foreign, user):
        seen = local.control.call(call.server_call_id)
        assert (seen.state, seen.invitations) == ("ringing", [])
    assert local.control.requests("redirect") == []
    assert local.rows() == before


def test_someone_without_the_right_ends_nothing_and_learns_nothing(local: Stack, dana: Softphone) -> None:
    call = new_id()
    dana.dial(call)
    eve = local.softphone(local.add_agent(new_agent()))
    assert eve.ask("POST", f"emergency-calls/{call}/end").status_code == 202, "kept, as of any call that is not theirs"
    for answer in (
        eve.ask("PATCH", f"emergency-calls/{call}", {"server_call_id": new_id("server")}),
        eve.ask("GET", f"agents/{dana.agent.agent_id}/panel"),
        eve.ask("POST", f"agents/{dana.agent.agent_id}/release"),
    ):
        assert answer.status_code == 403 and "detail" not in answer.json()
    assert dana.panel().mode == "emergency"


def test_a_supervisor_releases_the_hold_after_a_drop(local: Stack, dana: Softphone) -> None:
    call = new_id()
    dana.dial(call)
    dana.wait_for_presence("do_not_disturb")
    dana.end(call, "dropped")
    assert dana.presence().status == "do_not_disturb"
    path = f"agents/{dana.agent.agent_id}/release"
    assert local.ask("POST", path, principal=SUPERVISOR).status_code == 200
    dana.wait_for_presence("available")


def test_another_telephony_reports_start_and_end_by_events_alone(local: Stack, dana: Softphone) -> None:
    call = new_id()
    assert local.deliver(OWN_STARTED, own_event(local, "CallStarted", body(dana, call))) == 202
    assert dana.panel().mode == "emergency" and dana.presence().status == "do_not_disturb"
    end: dict[str, object] = {"call_id": call, "reason": "agent"}
    assert local.deliver(OWN_ENDED, own_event(local, "CallEnded", end)) == 202
    assert dana.panel().mode == "normal" and dana.presence().status == "available"


def test_933_plays_the_whole_chain_marked_as_a_test(local: Stack, dana: Softphone) -> None:
    lent = dana.dial(new_id(), dialled="933")
    assert lent.test and lent.panel.mode == "emergency" and "TEST" in (lent.panel.banner or "")
    assert "TEST" in local.wait_for_email(contacts(dana.agent)[0]).subject.upper()


@pytest.mark.parametrize("dialled", ["911", "9911", "+1911", "tel:911", "9-1-1", "112"])
def test_what_counts_as_an_emergency(local: Stack, dana: Softphone, dialled: str) -> None:
    assert dana.dial(new_id(), dialled=dialled).status == 201


@pytest.mark.parametrize("dialled", ["9115551234", "5551911", "411", "+14255550123", "sos"])
def test_what_does_not_count_as_one(local: Stack, dana: Softphone, dialled: str) -> None:
    before = local.rows()
    answer = dana.ask("POST", "emergency-calls", body(dana, new_id(), dialled=dialled))
    assert answer.status_code == 422 and answer.headers["content-type"] == "application/problem+json"
    assert dialled not in answer.text
    assert local.rows() == before


def test_an_agent_s_change_in_the_middle_of_a_call_stays(local: Stack, dana: Softphone) -> None:
    call = new_id()
    dana.dial(call)
    dana.wait_for_presence("do_not_disturb")
    path = f"agents/{dana.agent.agent_id}/presence"
    local.ask("PUT", path, {"status": "away"}, principal=ADMIN).raise_for_status()
    dana.end(call)
    local.run_timers()
    local.advance(timedelta(minutes=11))
    local.run_timers()
    assert (dana.presence().status, dana.presence().set_by) == ("away", "supervisor")


@pytest.mark.parametrize("status", ["available", "busy", "do_not_disturb", "be_right_back", "away", "offline"])
def test_every_presence_comes_back(local: Stack, dana: Softphone, status: str) -> None:
    dana.show(status)
    call = new_id()
    dana.dial(call)
    poll(lambda: dana.presence().set_by == "system" or None, what="the hold")
    dana.end(call)
    poll(lambda: dana.presence().set_by != "system" or None, what="the return")
    assert dana.presence().status == status


def test_a_number_s_way_from_lease_to_cool_down_to_the_pool(local: Stack, dana: Softphone) -> None:
    call = new_id()
    number = dana.dial(call).callback_number
    dana.end(call)
    for who in (dana.agent.acs_user_id, DESK):
        local.will_answer(who)
    local.advance(timedelta(minutes=61))
    local.run_timers()
    assert dana.panel().callback_number is None
    assert local.wait_for_answer(local.ring(number)).people[-1] == dana.agent.acs_user_id
    local.advance(timedelta(minutes=61))
    local.run_timers()
    assert local.wait_for_answer(local.ring(number)).people[-1] == f"4:{DESK}"


def test_an_agent_signed_in_under_two_roles_speaks_only_for_what_the_route_allows(
    local: Stack, dana: Softphone
) -> None:
    both = f"{AGENT};{SUPERVISOR};{new_agent().agent_id}"
    answer = local.ask("POST", "emergency-calls", body(dana, new_id()), principal=both)
    assert answer.status_code == 201 and answer.json()["ignored"] == ["agent_id"], "their own dial, and no other's"
