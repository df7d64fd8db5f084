"""Callbacks that end at a human (B4), through the wire: real runtime, Azurite, Call Automation's stand-in over TLS."""

import json
import time
from collections.abc import Callable, Iterator
from datetime import timedelta

import httpx
import pytest

from tests.integration.used import contacts, new_agent, new_id, note
from tests.local.acs import CallView, Fault, Script, poll
from tests.local.acs.messages import TokenKind
from tests.local.stack import DESK, FALLBACK, PSAP, Softphone, Stack

pytestmark = pytest.mark.process

PHONE = "+14255550187"
QUICK = 10.0
BAD_TOKENS: list[TokenKind] = [
    "forged", "expired", "alg_none", "wrong_audience", "wrong_issuer", "unknown_key", "not_yet_valid", "unsigned",
]  # fmt: skip


@pytest.fixture
def dana(local: Stack) -> Iterator[Softphone]:
    """An agent with an alternate number whose call has dropped."""
    note(PHONE)
    phone = local.softphone(local.add_agent(new_agent(alternate_numbers=(PHONE,))))
    phone.show("available")
    yield phone
    local.control.clock(speed=1.0)


def dropped(local: Stack, phone: Softphone) -> str:
    """Her number, after her call dropped."""
    call = new_id()
    number = phone.dial(call).callback_number
    phone.end(call, "dropped")
    local.wait_until_nothing_is_owed()
    return number


def rung(call: CallView) -> list[str]:
    return [invitation.identity for invitation in call.invitations]


def in_person(local: Stack, call: CallView, who: str, *, within_s: float = 30.0) -> CallView:
    return local.control.wait_for_call(
        call.server_call_id, lambda seen: who in seen.people, within_s=within_s, what=f"an answer by {who[:2]}…"
    )


def told(local: Stack, kind: str) -> bool:
    """Whether the app was told of something in a call."""
    return any(each.type == kind and each.status == httpx.codes.OK for each in local.control.mid_call_deliveries())


def sweeping(local: Stack, until: Callable[[], bool], *, within_s: float = 40.0) -> None:
    """Run the sweep as the timer would, a little faster, until it is so."""

    def swept() -> bool:
        local.run_timers("outbox_sweep")
        return until()

    poll(swept, within_s=within_s, what="what the sweep brings about")


# The ladder


def test_one_request_to_the_answer_and_one_more_to_the_agents_ring(local: Stack, dana: Softphone) -> None:
    number = dropped(local, dana)
    began = time.monotonic()
    call = local.ring(number)
    call = local.control.wait_for_call(call.server_call_id, lambda seen: bool(seen.invitations))
    assert time.monotonic() - began < 6
    requests = [each.operation for each in local.control.requests() if each.operation not in ("keys", "email")]
    assert requests[:2] == ["answer", "add"], "the prompt is played once they ring"
    assert requests[2:] in ([], ["play"])
    [invitation] = call.invitations
    assert (invitation.identity, invitation.timeout_s) == (dana.agent.acs_user_id, 15.0)
    assert list(invitation.headers) == ["Emergency-Callback"]
    panel = poll(lambda: seen if (seen := dana.panel()).mode == "ringing" else None)
    assert (panel.controls, panel.form_actions) == (("answer", "device_settings"), ())


def test_the_agent_is_offline_then_the_alternate_rings_then_the_desk(local: Stack, dana: Softphone) -> None:
    number = dropped(local, dana)
    local.control.people(dana.agent.acs_user_id, Script(behaviour="offline"))
    local.control.people(PHONE, Script(behaviour="declines", after_s=0.2))
    local.will_answer(DESK)
    call = in_person(local, local.ring(number), f"4:{DESK}")
    assert rung(call) == [dana.agent.acs_user_id, f"4:{PHONE}", f"4:{DESK}"]
    assert [each.caller_id for each in call.invitations] == [None, number, number]
    assert dana.panel().mode == "normal"


def test_the_agent_answers_on_the_second_round(local: Stack, dana: Softphone) -> None:
    number = dropped(local, dana)
    local.control.clock(speed=QUICK)
    local.control.people(dana.agent.acs_user_id, Script(), Script(behaviour="answers"))
    local.control.people(PHONE, Script(behaviour="busy"))
    local.control.people(DESK, Script(behaviour="declines", after_s=0.1))
    call = local.ring(number)
    sweeping(local, lambda: dana.agent.acs_user_id in local.control.call(call.server_call_id).people)
    assert rung(local.control.call(call.server_call_id)) == [
        dana.agent.acs_user_id, f"4:{PHONE}", f"4:{DESK}", dana.agent.acs_user_id,
    ]  # fmt: skip
    poll(lambda: dana.panel().mode == "emergency" or None)
    assert dana.presence().status == "do_not_disturb"


def test_the_browser_of_the_agent_who_answered_dies(local: Stack, dana: Softphone) -> None:
    number = dropped(local, dana)
    local.control.people(dana.agent.acs_user_id, Script(behaviour="answers", after_s=0.1), Script(behaviour="offline"))
    local.will_answer(PHONE)
    call = in_person(local, local.ring(number), dana.agent.acs_user_id)
    poll(lambda: dana.panel().mode == "emergency" or None)
    # What the list of participants says within two seconds of a joining is not believed.
    local.advance(timedelta(seconds=3))
    local.control.hang_up(call.server_call_id, dana.agent.acs_user_id)
    seen = in_person(local, call, f"4:{PHONE}")
    assert seen.people == [f"4:{PSAP}", f"4:{PHONE}"] and seen.state == "connected"
    assert rung(seen) == [dana.agent.acs_user_id, dana.agent.acs_user_id, f"4:{PHONE}"]
    poll(lambda: dana.panel().mode == "emergency" or None, what="her own telephone counts as her")


@pytest.mark.parametrize("rungs", [1, 2, 3])
def test_the_responder_hangs_up_in_the_middle_of_each_rung(local: Stack, dana: Softphone, rungs: int) -> None:
    number = dropped(local, dana)
    before = len(local.emails_to(contacts(dana.agent)[0]))
    for who in (dana.agent.acs_user_id, PHONE)[: rungs - 1]:
        local.control.people(who, Script(behaviour="offline"))
    call = local.ring(number)
    local.control.wait_for_call(call.server_call_id, lambda seen: len(seen.invitations) == rungs)
    local.end_callback(call)
    poll(lambda: dana.panel().mode == "normal" or None)
    local.advance(timedelta(seconds=30))
    local.run_timers("outbox_sweep")
    email = local.wait_for_email(contacts(dana.agent)[0], count=before + 1)
    assert "NOBODY ANSWERED" in email.plain_text and number in email.plain_text
    local.run_timers("outbox_sweep")
    assert len(rung(local.control.call(call.server_call_id))) == rungs
    assert len(local.emails_to(contacts(dana.agent)[0])) == before + 1
    keys = [row["RowKey"] for row in local.rows()["emergencies"]]
    assert [key for key in keys if key.startswith(("outbox|", "ladder|"))] == []


def test_two_callbacks_at_once_and_one_for_an_agent_who_talks(local: Stack, dana: Softphone) -> None:
    number = dropped(local, dana)
    own = dana.agent.acs_user_id
    local.control.people(own, Script(), Script(behaviour="answers", after_s=0.3), Script())
    one, two = local.ring(number), local.ring(number)
    poll(lambda: sum(own in local.control.call(each.server_call_id).people for each in (one, two)) == 1 or None)
    poll(lambda: told(local, "AddParticipantSucceeded") or None)
    assert dana.panel().mode == "ringing", "the other one rings her still"
    assert dana.presence().status == "do_not_disturb"
    three = local.ring(number)
    seen = local.control.wait_for_call(three.server_call_id, lambda seen: bool(seen.invitations))
    assert rung(seen) == [f"4:{PHONE}"]


def test_a_callback_during_a_running_emergency_call_rings_the_agent_first(local: Stack, dana: Softphone) -> None:
    call_id = new_id()
    number = dana.dial(call_id).callback_number
    local.will_answer(dana.agent.acs_user_id)
    call = in_person(local, local.ring(number), dana.agent.acs_user_id)
    assert rung(call) == [dana.agent.acs_user_id]
    dana.end(call_id)
    poll(lambda: dana.panel().mode == "emergency" or None)
    assert dana.presence().status == "do_not_disturb"
    local.end_callback(call)
    poll(lambda: dana.panel().mode == "normal" or None)


# When


def test_around_the_end_of_the_lease_and_of_the_cool_down(local: Stack, dana: Softphone) -> None:
    number = dropped(local, dana)
    local.advance(timedelta(minutes=59, seconds=30))
    assert first_rung(local, number) == dana.agent.acs_user_id
    local.advance(timedelta(minutes=1))
    local.run_timers()
    assert dana.panel().callback_number is None
    assert first_rung(local, number) == dana.agent.acs_user_id, "the last holder, in the cool-down"
    local.advance(timedelta(minutes=61))
    local.run_timers()
    assert first_rung(local, number) == f"4:{DESK}"


def first_rung(local: Stack, number: str) -> str:
    call = local.ring(number)
    seen = local.control.wait_for_call(call.server_call_id, lambda seen: bool(seen.invitations))
    local.end_callback(call)
    return rung(seen)[0]


# Things that fail


def test_events_that_are_lost_are_made_up_for_by_the_sweep(local: Stack, dana: Softphone) -> None:
    number = dropped(local, dana)
    local.control.mid_call_rules(lose=1.0)
    local.will_answer(PHONE)
    call = local.ring(number)
    local.control.wait_for_call(call.server_call_id, lambda seen: seen.state == "connected")

    def answered() -> bool:
        local.advance(timedelta(seconds=5))
        return f"4:{PHONE}" in local.control.call(call.server_call_id).people

    sweeping(local, answered)
    sweeping(local, lambda: dana.panel().mode == "emergency")
    local.advance(timedelta(seconds=60))
    local.run_timers("outbox_sweep")
    assert rung(local.control.call(call.server_call_id)) == [dana.agent.acs_user_id, f"4:{PHONE}"]


def test_events_that_are_doubled_and_sent_again_change_nothing(local: Stack, dana: Softphone) -> None:
    number = dropped(local, dana)
    local.control.mid_call_rules(duplicate=1.0)
    local.control.people(dana.agent.acs_user_id, Script(behaviour="declines", after_s=0.1))
    local.will_answer(PHONE)
    call = in_person(local, local.ring(number), f"4:{PHONE}")
    poll(lambda: dana.panel().mode == "emergency" or None)
    uri = callback_uri(local, call)
    sent = local.control.mid_call_events()
    delivered = len(local.control.mid_call_deliveries())
    for event in reversed(sent):
        local.control.send_mid_call(uri, event)
    poll(lambda: len(local.control.mid_call_deliveries()) >= delivered + 2 * len(sent) or None)
    seen = local.control.call(call.server_call_id)
    assert rung(seen) == [dana.agent.acs_user_id, f"4:{PHONE}"] and len(seen.people) == 2
    assert {each.status for each in local.control.mid_call_deliveries()} == {200}


def callback_uri(local: Stack, call: CallView) -> str:
    """Where the events of this call go."""
    [row] = [row for row in local.rows()["emergencies"] if row["RowKey"].startswith("callback|")]
    assert call.call_connection_id in row["state"]
    return f"{local.url}/call-automation-events?callback={row['RowKey'].partition('|')[2]}"


def test_an_invitation_that_fails_goes_to_the_next(local: Stack, dana: Softphone) -> None:
    number = dropped(local, dana)
    local.control.fault(Fault(operation="add", status=400, times=1))
    local.will_answer(PHONE)
    assert rung(in_person(local, local.ring(number), f"4:{PHONE}")) == [f"4:{PHONE}"]


def test_an_invitation_without_an_answer_is_sent_again_as_the_same(local: Stack, dana: Softphone) -> None:
    number = dropped(local, dana)
    local.control.fault(Fault(operation="add", kind="drop", when="after", times=2))
    call = local.ring(number)
    local.control.wait_for_call(call.server_call_id, lambda seen: bool(seen.invitations))
    local.advance(timedelta(seconds=4))
    sweeping(local, lambda: len(local.control.requests("add")) >= 3)
    assert rung(local.control.call(call.server_call_id)) == [dana.agent.acs_user_id]
    assert local.control.requests("add")[-1].repeated


# Who may say so


def test_a_rotation_of_the_keys_is_followed_without_a_restart(local: Stack, dana: Softphone) -> None:
    number = dropped(local, dana)
    assert first_rung(local, number) == dana.agent.acs_user_id
    local.control.rotate_keys(keep_old=False)
    assert first_rung(local, number) == dana.agent.acs_user_id


@pytest.mark.parametrize("kind", BAD_TOKENS)
def test_a_bad_token_is_refused_and_nothing_is_touched(local: Stack, dana: Softphone, kind: TokenKind) -> None:
    number = dropped(local, dana)
    call = local.ring(number)
    call = local.control.wait_for_call(call.server_call_id, lambda seen: bool(seen.invitations))
    poll(lambda: told(local, "ParticipantsUpdated") or None)
    uri, rows = callback_uri(local, call), local.rows()
    [event] = [each for each in local.control.mid_call_events() if each["type"].endswith("CallConnected")]
    forged = {**event, "type": "Microsoft.Communication.CallDisconnected"}
    token = local.control.token(kind)
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    for body in ([forged], forged, "not an event"):
        answer = local.http.post(uri, json=body, headers=headers)
        assert answer.status_code == httpx.codes.UNAUTHORIZED
        assert set(answer.json()) == {"type", "title", "status"}, "it says nothing"
    assert local.rows() == rows


def test_what_is_no_event_of_ours_is_taken_and_does_nothing(local: Stack, dana: Softphone) -> None:
    rows = local.rows()
    headers = {"Authorization": f"Bearer {local.control.token()}"}
    callback = "callback=0b1f6471-1bf0-5dda-aec3-cb9272f09590"
    for query in (callback, "callback=nobody", ""):
        for body in ({}, [], [3], None, "text", {"type": "Microsoft.Communication.PlayCompleted", "data": {}}):
            address, content = f"{local.url}/call-automation-events?{query}", json.dumps(body).encode()
            answer = local.http.post(address, content=content, headers=headers)
            assert answer.status_code == httpx.codes.OK
    answer = local.http.post(f"{local.url}/call-automation-events?{callback}", content=b"{", headers=headers)
    assert answer.status_code == httpx.codes.BAD_REQUEST
    assert local.rows() == rows


def test_nothing_personal_is_given_to_call_control_and_nothing_is_left(local: Stack, dana: Softphone) -> None:
    number = dropped(local, dana)
    local.will_answer(dana.agent.acs_user_id)
    call = in_person(local, local.ring(number), dana.agent.acs_user_id)
    contexts = [each.operation_context or "" for each in call.invitations]
    contexts += [str(each["data"].get("operationContext")) for each in local.control.mid_call_events()]
    given = " ".join([callback_uri(local, call), *contexts])
    for secret in (number.removeprefix("+"), FALLBACK[1:], dana.agent.agent_id, call.server_call_id, PSAP[1:]):
        assert secret not in given
    local.end_callback(call)
    local.forget_emergencies()
    assert {row["RowKey"].split("|")[0] for row in local.rows()["emergencies"]} == {"free", "number", "pool"}
