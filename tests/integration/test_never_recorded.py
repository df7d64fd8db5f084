"""Emergency calls are neither recorded nor stored (S6), and what a waiting responder hears, through the whole stack."""

import io
import wave
from datetime import timedelta

import httpx
import pytest

from tests.integration.kept import assert_nothing_is_kept, given_away
from tests.integration.used import new_agent, new_id
from tests.local.acs import Fault, events, poll
from tests.local.acs.messages import Json
from tests.local.stack import ADMIN, AGENT, MACHINE, Softphone, Stack

pytestmark = pytest.mark.process

ASKED = ("record", "store_activity", "transcribe", "monitor", "join", "force_close", "survey")
EMERGENCY = {"emergency": True, **dict.fromkeys(ASKED, False)}
ORDINARY = {"emergency": False, **dict.fromkeys(ASKED, True)}
EVENT = "recording_file_status_event"


@pytest.fixture
def dana(local: Stack) -> Softphone:
    return local.softphone(local.add_agent(new_agent()))


def policy(local: Stack, server_call_id: str, **query: str) -> httpx.Response:
    parameters = str(httpx.QueryParams({"server_call_id": server_call_id, **query}))
    return local.ask("GET", f"call-policy?{parameters}", principal=MACHINE)


def ready(local: Stack, call: str, server: str | None, *documents: str, cloud_event: bool = False) -> Json:
    return events.recording_file_status(
        source=local.source,
        call_id=call,
        server_call_id=server,
        recording_id=new_id("recording"),
        document_ids=documents,
        at=local.now(),
        cloud_event=cloud_event,
    )


def rows(local: Stack, *kinds: str) -> list[str]:
    return [row["RowKey"] for row in local.rows()["emergencies"] if row["RowKey"].split("|")[0] in kinds]


def test_recorders_are_told_what_they_may_do(local: Stack, dana: Softphone) -> None:
    server, other = new_id("server"), new_id("server")
    starter = dana.agent.acs_user_id
    assert policy(local, server, started_by=starter).json() == ORDINARY
    dana.dial(new_id())
    assert policy(local, other, started_by=starter).json() == EMERGENCY, "the starter has an untied leg"
    assert policy(local, other).json() == ORDINARY
    local.control.call_started(starter, server, at=local.now())
    local.control.wait_until_delivered()
    answer = policy(local, server)
    assert (answer.status_code, answer.json()) == (200, EMERGENCY)
    assert answer.headers["Cache-Control"] == "no-store"
    assert policy(local, other, started_by=starter).json() == ORDINARY


def test_only_machines_may_ask_and_must_say_which_call(local: Stack) -> None:
    for principal, status in ((None, 401), (f"{AGENT};agent-x", 403), (ADMIN, 403)):
        assert local.ask("GET", "call-policy?server_call_id=x", principal=principal).status_code == status
    nothing = local.ask("GET", "call-policy", principal=MACHINE)
    assert (nothing.status_code, nothing.json()["field"]) == (400, "server_call_id")
    assert local.ask("GET", f"call-policy?server_call_id={'x' * 1025}", principal=MACHINE).status_code == 400


@pytest.mark.parametrize("cloud_event", [False, True])
@pytest.mark.parametrize("by_correlation_id", [False, True])
def test_every_chunk_of_an_exactly_tied_leg_is_deleted(
    local: Stack, dana: Softphone, *, by_correlation_id: bool, cloud_event: bool
) -> None:
    server, correlation = new_id("server"), new_id("correlation")
    dana.dial(new_id(), server_call_id=server)
    local.control.call_started(dana.agent.acs_user_id, server, correlation_id=correlation, at=local.now())
    local.control.wait_until_delivered()
    documents = [f"0-{new_id('document')}" for _ in range(3)]
    event = ready(local, correlation, None if by_correlation_id else server, *documents, cloud_event=cloud_event)
    assert local.deliver(EVENT, event) == 202
    assert local.control.deleted_documents() == documents
    assert rows(local, "recording", "deletion", "held") == []
    assert local.deliver(EVENT, event) == 202, "a redelivery is acknowledged"


def test_an_ordinary_recording_is_left_alone(local: Stack) -> None:
    before = local.rows()
    assert local.deliver(EVENT, ready(local, new_id(), new_id("server"), "0-ordinary")) == 202
    assert local.control.requests("recording_delete") == [] and local.rows() == before


def test_what_cannot_be_deleted_now_is_deleted_by_the_sweep(local: Stack, dana: Softphone) -> None:
    server = new_id("server")
    dana.dial(new_id(), server_call_id=server)
    local.control.call_started(dana.agent.acs_user_id, server, at=local.now())
    local.control.wait_until_delivered()
    local.control.fault(Fault(operation="recording_delete", status=503))
    documents = [f"0-{new_id('document')}" for _ in range(2)]
    assert local.deliver(EVENT, ready(local, new_id(), server, *documents)) == 202
    assert local.control.deleted_documents() == [] and rows(local, "deletion")
    local.control.clear_faults()
    local.advance(timedelta(minutes=6))
    local.run_timers("outbox_sweep")
    assert local.control.deleted_documents() == documents
    assert rows(local, "recording", "deletion", "held") == []


def test_an_inferred_tie_is_held_back_until_the_softphone_has_said_so(local: Stack, dana: Softphone) -> None:
    server, call, document = new_id("server"), new_id(), f"0-{new_id('document')}"
    dana.dial(call)
    local.control.call_started(dana.agent.acs_user_id, server, at=local.now())
    local.control.wait_until_delivered()
    assert local.deliver(EVENT, ready(local, new_id(), server, document)) == 202
    local.run_timers("outbox_sweep")
    assert local.control.deleted_documents() == [] and rows(local, "held")
    dana.tie(call, server)
    poll(lambda: local.control.deleted_documents() == [document] or None, what="the deletion")
    poll(lambda: not rows(local, "recording", "deletion", "held") or None, what="nothing owed")
    assert "recording_held_back" in local.logs()["host.log"]


def test_a_recording_of_somebody_who_only_claims_the_call_survives(local: Stack, dana: Softphone) -> None:
    server = new_id("server")
    dana.dial(new_id(), server_call_id=server)
    assert local.deliver(EVENT, ready(local, new_id(), server, "0-of-somebody-else")) == 202
    assert_nothing_is_kept(local)
    assert local.control.requests("recording_delete") == []
    assert "recording_left kind=unproven" in local.logs()["host.log"]


def test_a_recorder_that_does_not_ask_is_undone_from_beginning_to_end(local: Stack, dana: Softphone) -> None:
    server, call = new_id("server"), new_id()
    local.control.user_call(dana.agent.acs_user_id, server, new_id("correlation"))
    dana.dial(call, server_call_id=server)
    local.control.call_started(dana.agent.acs_user_id, server, at=local.now())
    local.control.wait_until_delivered()
    recording = local.control.record(server)
    local.control.end_call(server)
    dana.end(call)
    document = f"0-{recording.recording_id}"
    local.control.clock(advance_s=600)
    assert local.deliver(EVENT, ready(local, new_id(), server, document)) == 202
    assert document in local.control.deleted_documents()


@pytest.mark.parametrize("locale", ["en", "es", "fr", "it"])
def test_a_waiting_responder_hears_a_prompt(local: Stack, locale: str) -> None:
    answer = local.ask("GET", f"ui/prompts/{locale}.wav")
    assert (answer.status_code, answer.headers["Content-Type"]) == (200, "audio/wav")
    with wave.open(io.BytesIO(answer.content)) as sound:
        assert sound.getnframes() > 16_000
    again = local.ask("GET", f"ui/prompts/{locale}.wav", headers={"If-None-Match": answer.headers["ETag"]})
    assert again.status_code == 304


@pytest.mark.parametrize(
    ("path", "status"),
    [
        *(("de.wav", 200), ("en.mp3", 404), ("..%2f..%2fhost.json", 404), ("%2e%2e%2fen.wav", 200), ("..wav", 200)),
        *(("README.md", 404), ("..%5c..%5chost.json.wav", 200)),
    ],
)
def test_no_other_file_is_ever_served(local: Stack, path: str, status: int) -> None:
    answer = local.ask("GET", f"ui/prompts/{path}")
    assert answer.status_code == status
    assert status == 404 or answer.content == local.ask("GET", "ui/prompts/en.wav").content


def test_what_is_kept_meanwhile_is_seen_by_the_scanner(local: Stack, dana: Softphone) -> None:
    dana.dial(new_id(), server_call_id=new_id("server"))
    assert "table/emergencies" in given_away(local), "it would find what was not forgotten"
    assert_nothing_is_kept(local)
