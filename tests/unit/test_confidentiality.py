"""Never recorded, never stored (S6), and what becomes of a recording all the same, on the core in memory."""

from collections.abc import Callable
from datetime import timedelta

import pytest
from msgspec import structs

from shared.adapters.table import Put
from shared.domain.agents import Agent
from shared.domain.callers import Caller
from shared.domain.confidentiality import EMERGENCY, MAX_LOCATION_CHARS, ORDINARY, PRIVATE, in_parts
from shared.domain.dials import Dial
from shared.domain.emergencies import TieKind, standing, ties
from shared.domain.errors import Refused, Unavailable
from shared.domain.ids import key_of
from shared.use_cases.effects import SettleRecording, StopRecording
from shared.use_cases.end_call import End
from shared.use_cases.refuse_recording import RecordedFiles
from shared.use_cases.see_server_call import ServerCall
from tests.fakes.house import House, after, everybody, person

DANA, EVE = "agent-dana", "agent-eve"
DANA_ACS = "8:acs:00000000-0000-0000-0000-000000000001_dana"
EVE_ACS = "8:acs:00000000-0000-0000-0000-000000000001_eve"
CHUNKS = tuple(f"https://us-storage.asm.skype.com/v1/objects/0-{n}" for n in range(3))


@pytest.fixture
def house() -> House:
    house = House()
    house.add_agent(Agent(agent_id=DANA, acs_user_ids=(DANA_ACS,), country="US"))
    house.add_agent(Agent(agent_id=EVE, acs_user_ids=(EVE_ACS,), country="US"))
    house.tick()
    return house


def dial(house: House, call_id: str = "call-1", agent_id: str = DANA, server_call_id: str | None = None) -> None:
    house.dial(Dial(call_id=call_id, agent_id=agent_id, dialled="911", server_call_id=server_call_id))


def see(house: House, server: str = "server-1", starter: str = DANA_ACS, *, ended: bool = False) -> None:
    house.see(
        ServerCall(
            server_call_id=server,
            starter=starter,
            at=house.clock.now(),
            ended=ended,
            correlation_id=f"correlation-of-{server}",
        )
    )


def files(house: House, server: str | None = "server-1", *, call: str = "correlation-of-server-1") -> RecordedFiles:
    return RecordedFiles(
        recording_id="recording-1",
        call_id=call,
        server_call_id=server,
        locations=CHUNKS,
        began_at=house.clock.now(),
    )


def kinds(house: House) -> set[str]:
    return {key.split("|")[0] for key in house.rows()}


def run_outbox(house: House, minutes: float = 10) -> None:
    for _ in range(int(minutes * 6)):
        house.clock.advance(after(seconds=10))
        house.sweep()


# What recorders and CRM writers are told


def test_an_exact_tie_an_inferred_one_and_a_claim_are_emergencies(house: House) -> None:
    dial(house)
    see(house)
    assert house.judge("server-1") == EMERGENCY, "inferred"
    assert house.judge("correlation-of-server-1") == EMERGENCY
    house.tie("call-1", "server-1")
    assert house.judge("server-1", EVE_ACS) == EMERGENCY, "exact, whatever is said of the starter"
    dial(house, "call-2", server_call_id="server-2")
    assert house.judge("server-2") == EMERGENCY, "claimed, and nothing speaks against it"
    assert house.judge("server-2", DANA_ACS) == EMERGENCY
    assert house.judge("server-2", EVE_ACS) == ORDINARY, "claimed, but somebody else began it"


def test_an_emergency_may_neither_be_recorded_nor_stored_nor_disturbed_in_any_other_way() -> None:
    asked = {"record", "store_activity", "transcribe", "monitor", "join", "force_close", "survey"}
    for policy, emergency, allowed in ((EMERGENCY, True, False), (ORDINARY, False, True), (PRIVATE, False, False)):
        assert structs.asdict(policy) == {"emergency": emergency} | dict.fromkeys(asked, allowed)


def test_an_unknown_call_is_ordinary_unless_its_starter_has_an_untied_leg(house: House) -> None:
    assert house.judge("unknown", DANA_ACS) == ORDINARY
    dial(house)
    assert house.judge("unknown") == ORDINARY
    assert house.judge("unknown", DANA_ACS) == EMERGENCY
    assert house.judge("unknown", EVE_ACS) == ORDINARY
    house.tie("call-1", "server-1")
    see(house)
    assert house.judge("unknown", DANA_ACS) == ORDINARY, "the leg is tied by now"


@pytest.mark.parametrize("calls", ["server-1,server-1", "unknown,server-1", "server-1, unknown"])
def test_a_call_that_is_asked_about_twice_is_what_it_is(house: House, calls: str) -> None:
    dial(house, server_call_id="server-1")
    assert house.judge(calls) == house.judge(calls, f"{DANA_ACS},{DANA_ACS}") == EMERGENCY
    assert house.judge("unknown,unknown") == ORDINARY


def test_a_starter_who_is_named_twice_has_an_untied_leg_all_the_same(house: House) -> None:
    dial(house)
    assert house.judge("unknown,unknown", f"{DANA_ACS},{DANA_ACS}") == EMERGENCY
    assert house.judge("unknown", f"{EVE_ACS},{EVE_ACS}") == ORDINARY
    assert house.judge("unknown", ",".join(f"{EVE_ACS}{n}" for n in range(20))) == PRIVATE, "too many to look up"


def test_a_call_that_ended_is_still_an_emergency_when_the_crm_asks(house: House) -> None:
    dial(house)
    see(house)
    house.end(End(call_id="call-1", by_agent=True))
    see(house, ended=True)
    house.clock.advance(after(minutes=30))
    house.tick()
    assert house.judge("server-1") == EMERGENCY


def test_without_the_store_every_call_is_private(house: House) -> None:
    dial(house)
    house.line.away = True
    assert house.judge("server-1", DANA_ACS) == PRIVATE
    assert house.telemetry.events[-1] == ("call_judged", {"kind": "private"})


def test_ordinary_calls_are_judged_without_a_word_in_the_log(house: House) -> None:
    before = list(house.telemetry.events)
    house.judge("unknown", DANA_ACS)
    assert house.telemetry.events == before


# Recordings


@pytest.mark.parametrize("server", ["server-1", None])
def test_every_chunk_of_an_exactly_tied_call_is_deleted_by_either_form_of_the_subject(
    house: House, server: str | None
) -> None:
    dial(house, server_call_id="server-1")
    see(house)
    house.recorded(files(house, server))
    assert house.tapes.files == set()
    assert house.tapes.tries == list(CHUNKS)
    assert kinds(house).isdisjoint({"recording", "deletion", "held"})
    assert house.telemetry.events[-1] == ("recording_deleted", {"chunks": 3, "gone": 0, "attempt": 1})


def test_a_deletion_is_owed_before_it_is_tried(house: House) -> None:
    dial(house, server_call_id="server-1")
    see(house)
    house.performs = False
    house.recorded(files(house))
    assert house.tapes.tries == [] and {"recording", "deletion"} <= kinds(house)
    assert [type(effect) for effect in house.owed] == [SettleRecording]
    house.performs = True
    house.sweep()
    assert house.tapes.tries == [], "the first try has a minute to itself"
    house.clock.advance(after(seconds=61))
    house.sweep()
    assert house.tapes.files == set()
    assert kinds(house).isdisjoint({"recording", "deletion", "held"})


def test_what_fails_is_owed_further_and_what_was_deleted_is_not_tried_again(house: House) -> None:
    dial(house, server_call_id="server-1")
    see(house)
    house.tapes.fail = _failing(CHUNKS[1])
    house.recorded(files(house))
    assert house.tapes.files == {CHUNKS[1]}
    assert house.telemetry.count("recording_retried") == 1
    house.tapes.tries.clear()
    house.tapes.fail = lambda _location: None
    run_outbox(house, minutes=2)
    assert house.tapes.tries == [CHUNKS[1]]
    assert house.tapes.files == set()


def _failing(*locations: str) -> Callable[[str], None]:
    def fail(location: str) -> None:
        if location in locations:
            raise Unavailable

    return fail


def test_the_waits_between_tries_grow_and_after_a_day_it_is_given_up(house: House) -> None:
    dial(house, server_call_id="server-1")
    see(house)
    house.end(End(call_id="call-1", by_agent=True))
    house.tapes.fail = _failing(*CHUNKS)
    house.recorded(files(house))
    run_outbox(house, minutes=60)
    assert 10 <= house.telemetry.count("recording_retried") <= 30
    house.clock.advance(after(hours=24))
    house.sweep()
    assert house.telemetry.count("recording_given_up") == 1
    assert kinds(house).isdisjoint({"recording", "deletion", "held"})


def test_a_file_that_is_gone_is_done_and_one_that_is_refused_is_reported(house: House) -> None:
    def refuse(location: str) -> None:
        if location == CHUNKS[0]:
            raise Refused

    dial(house, server_call_id="server-1")
    see(house)
    house.recorded(files(house))
    house.tapes.fail = refuse
    house.tapes.files.clear()
    house.recorded(RecordedFiles(recording_id="r2", call_id="x", server_call_id="server-1", locations=CHUNKS[:1]))
    assert house.telemetry.count("recording_refused") == 1
    house.recorded(RecordedFiles(recording_id="r3", call_id="x", server_call_id="server-1", unlocated=2))
    assert house.telemetry.count("recording_refused") == 3
    assert kinds(house).isdisjoint({"recording", "deletion", "held"})


def test_a_redelivered_event_changes_nothing(house: House) -> None:
    dial(house, server_call_id="server-1")
    see(house)
    house.performs = False
    house.recorded(files(house))
    rows = house.rows()
    house.recorded(files(house))
    assert house.rows() == rows and len(house.owed) == 1
    house.performs = True
    house.do(list(house.owed))
    house.recorded(RecordedFiles(recording_id="recording-1", call_id="x", server_call_id="server-1", locations=CHUNKS))
    assert house.tapes.files == set()


def test_an_ordinary_calls_recording_is_left_alone_and_nothing_is_written(house: House) -> None:
    before = house.rows()
    house.recorded(files(house))
    assert house.tapes.files == set(CHUNKS) and house.rows() == before


def test_an_inferred_tie_alone_holds_the_recording_back_until_the_tie_is_exact(house: House) -> None:
    dial(house)
    see(house)
    house.recorded(files(house))
    assert house.tapes.tries == []
    assert ("recording_held_back", {"kind": "tie_not_exact", "chunks": 3}) in house.telemetry.events
    run_outbox(house, minutes=5)
    assert house.tapes.tries == []
    assert house.telemetry.count("recording_held_back") > 1, "reported until known"
    house.tie("call-1", "server-1")
    assert house.tapes.files == set(), "the moment it is known"
    assert kinds(house).isdisjoint({"recording", "deletion", "held"})


def test_what_turns_out_to_be_another_call_is_let_go(house: House) -> None:
    dial(house)
    see(house)
    house.recorded(files(house))
    house.tie("call-1", "server-2")
    see(house, "server-2")
    assert house.tapes.files == set(CHUNKS)
    assert kinds(house).isdisjoint({"recording", "deletion", "held"})
    assert house.telemetry.events[-1] == ("recording_left", {"kind": "unproven"})


def test_a_claim_alone_deletes_nothing_of_anybody(house: House) -> None:
    began = house.clock.now()
    dial(house, server_call_id="server-of-eve")
    house.recorded(files(house, "server-of-eve", call="x"))
    assert house.tapes.tries == []
    see(house, "server-of-eve", EVE_ACS)
    run_outbox(house)
    assert house.tapes.tries == []
    house.see(ServerCall(server_call_id="server-of-eve", starter=DANA_ACS, at=began, ended=False))
    assert house.tapes.files == set(), "ACS names the same starter"


# A claim counts only for a call that began with the dial


def ended(house: House, server: str, *, lasted: timedelta | None) -> None:
    """The agent's customer call is over, which began long before the dial."""
    house.see(
        ServerCall(
            server_call_id=server,
            starter=DANA_ACS,
            at=house.clock.now(),
            ended=True,
            duration=lasted,
            ended_by=DANA_ACS,
            correlation_id=f"correlation-of-{server}",
        )
    )


@pytest.mark.parametrize("lasted", [after(minutes=41), None], ids=["a long call", "nobody knows since when"])
def test_a_test_call_with_the_id_of_a_customers_call_deletes_nothing(house: House, lasted: timedelta | None) -> None:
    house.clock.advance(after(minutes=40))
    house.dial(Dial(call_id="call-1", agent_id=DANA, dialled="933", server_call_id="customers"))
    house.clock.advance(after(minutes=1))
    ended(house, "customers", lasted=lasted)
    house.recorded(files(house, "customers", call="correlation-of-customers"))
    run_outbox(house)
    assert house.tapes.tries == []


def test_the_end_of_the_customers_call_on_hold_ends_no_emergency(house: House) -> None:
    house.clock.advance(after(minutes=40))
    dial(house, server_call_id="customers")
    house.tie("call-1", "customers")
    house.clock.advance(after(minutes=1))
    ended(house, "customers", lasted=after(minutes=41))
    emergency = house.emergency(DANA)
    assert emergency is not None
    assert standing(emergency, house.deployment.rules, house.clock.now()).in_progress
    assert house.judge("customers", DANA_ACS) == ORDINARY, "ACS said since when it goes on"


def test_a_recording_from_before_the_dial_is_not_even_held_back(house: House) -> None:
    began_at = house.clock.now()
    house.clock.advance(after(minutes=40))
    dial(house, server_call_id="customers")
    house.recorded(structs.replace(files(house, "customers", call="x"), began_at=began_at))
    assert "recording" not in kinds(house)


@pytest.mark.parametrize(("began_s", "exact"), [(-31, False), (-30, True), (30, True), (31, False)])
def test_a_claim_ties_within_half_a_minute_of_the_dial(house: House, began_s: int, exact: bool) -> None:
    house.clock.advance(after(minutes=5))
    dialled_at = house.clock.now()
    dial(house, server_call_id="server-1")
    house.clock.advance(after(minutes=5))
    at = dialled_at + after(seconds=began_s)
    house.see(ServerCall(server_call_id="server-1", starter=DANA_ACS, at=at, ended=False))
    emergency = house.emergency(DANA)
    assert emergency is not None
    assert [tie.kind for tie in ties(emergency).values()] == ([TieKind.EXACT] if exact else [])


def test_a_recording_that_is_ready_before_call_started_came_is_held_back_too(house: House) -> None:
    dial(house, server_call_id=None)
    house.end(End(call_id="call-1", by_agent=True))
    house.recorded(files(house))
    assert house.tapes.tries == []
    assert ("recording_held_back", {"kind": "leg_untied", "chunks": 3}) in house.telemetry.events
    see(house)
    house.tie("call-1", "server-1")
    assert house.tapes.files == set()


def test_other_peoples_recordings_are_let_go_as_soon_as_the_leg_is_tied(house: House) -> None:
    dial(house)
    others = RecordedFiles(
        recording_id="of-eve", call_id="c", server_call_id="s", locations=CHUNKS, began_at=house.clock.now()
    )
    house.recorded(others)
    earlier = RecordedFiles(
        recording_id="earlier",
        call_id="c2",
        server_call_id="s2",
        locations=CHUNKS,
        began_at=house.clock.now() - after(minutes=5),
    )
    rows = house.rows()
    house.recorded(earlier)
    assert house.rows() == rows, "it began before anybody dialled"
    house.tie("call-1", "server-1")
    see(house)
    assert house.tapes.files == set(CHUNKS)
    assert kinds(house).isdisjoint({"recording", "deletion", "held"})
    assert house.telemetry.events[-1] == ("recording_left", {"kind": "ordinary"})


def test_what_can_never_be_proved_is_left_when_lease_and_cool_down_are_over(house: House) -> None:
    dial(house)
    see(house)
    house.end(End(call_id="call-1", by_agent=True))
    house.recorded(files(house))
    house.clock.advance(after(minutes=119))
    house.sweep()
    assert "held" in kinds(house)
    house.clock.advance(after(minutes=1))
    house.sweep()
    house.tick()
    assert house.tapes.files == set(CHUNKS) and house.tapes.tries == []
    assert house.telemetry.count("recording_left") == 1
    assert kinds(house) == {"free", "number", "pool"}


def test_nobody_looks_longer_than_lease_and_cool_down_whatever_the_backoff(house: House) -> None:
    dial(house)
    see(house)
    house.end(End(call_id="call-1", by_agent=True))
    house.recorded(files(house))
    for _ in range(121):
        house.clock.advance(after(minutes=1))
        house.tick()
        house.sweep()
    assert kinds(house) == {"free", "number", "pool"}


def test_a_recording_of_a_thousand_chunks_fits_the_rows(house: House) -> None:
    many = tuple(f"https://us-storage.asm.skype.com/v1/objects/0-wus-d10-{n:032}" for n in range(1000))
    parts = in_parts(many)
    assert [location for part in parts for location in part] == list(many)
    assert all(sum(map(len, part)) <= MAX_LOCATION_CHARS for part in parts)
    dial(house, server_call_id="server-1")
    see(house)
    house.performs = False
    house.recorded(RecordedFiles(recording_id="r", call_id="c", server_call_id="server-1", locations=many))
    assert len(house.owed) == len(parts) > 1
    house.performs = True
    house.do(list(house.owed))
    assert house.tapes.files == set()


def test_two_sweeps_at_once_delete_once(house: House) -> None:
    dial(house, server_call_id="server-1")
    see(house)
    house.performs = False
    house.recorded(files(house))
    house.clock.advance(after(seconds=61))
    house.owed.clear()
    house.sweep()
    house.sweep()
    assert len([effect for effect in house.owed if isinstance(effect, SettleRecording)]) == 1


def test_a_row_of_another_version_keeps_no_other_from_being_deleted(house: House) -> None:
    dial(house, server_call_id="server-1")
    see(house)
    house.performs = False
    house.recorded(files(house))
    other = "recording|of-a-later-version"
    due = next(key for key in house.rows() if key.startswith("deletion|"))
    index = f"{due.rpartition('|')[0]}|of-a-later-version"
    house.table.commit([Put(other, {"state": "{", "schema": 9}), Put(index, {"schema": 9})], house.within())
    house.owed.clear()
    house.clock.advance(after(hours=1))
    house.sweep()
    assert len([effect for effect in house.owed if isinstance(effect, SettleRecording)]) == 1
    assert house.telemetry.events.count(("row_set_aside", {"kind": "recording"})) == 1
    assert index not in house.rows()


def test_a_running_recording_is_stopped_and_one_that_ended_by_itself_is_fine(house: House) -> None:
    house.tapes.running = {"recording-1"}
    house.do([StopRecording("recording-1"), StopRecording("recording-1")])
    assert house.tapes.running == set()
    assert house.telemetry.count("recording_stopped") == 1
    house.tapes.fail = _failing("recording-2")
    assert not house.perform(StopRecording("recording-2")), "the ladder hears of it"


def test_nothing_that_is_kept_of_a_recording_names_its_call(house: House) -> None:
    dial(house)
    see(house)
    house.recorded(files(house))
    texts = [str(row.values) + row.key for row in house.table.between("!", "~", 1000, house.within()).result()]
    assert not [text for text in texts if "server-1" in text or "recording-1" in text]
    assert any(key_of("server-1") in text for text in texts)


# What strangers say of others' calls


STRANGER = person("stranger")
NOBODYS_ACS = "8:acs:00000000-0000-0000-0000-000000000001_nobody"


def claim(house: House, caller: Caller, **said: str) -> None:
    house.dial(Dial(call_id="933", agent_id="outside", dialled="933", country="US", **said), caller)  # type: ignore[arg-type]


def test_a_claim_without_an_identity_is_no_word_on_whose_call_the_directory_knows(house: House) -> None:
    claim(house, STRANGER, server_call_id="customers")
    assert house.judge("customers", DANA_ACS) == ORDINARY
    assert house.judge("customers", NOBODYS_ACS) == house.judge("customers") == EMERGENCY, "nothing speaks against it"


def test_a_claim_without_an_identity_counts_for_the_agents_own(house: House) -> None:
    house.directory.save(Agent(agent_id=DANA, country="US"), None, house.within())
    dial(house, server_call_id="server-1")
    house.add_agent(Agent(agent_id=DANA, acs_user_ids=(DANA_ACS,), country="US"))
    assert house.judge("server-1", DANA_ACS) == EMERGENCY
    assert house.judge("server-1", EVE_ACS) == ORDINARY


@pytest.mark.parametrize("listed", [False, True], ids=["outside the directory", "in it"])
def test_an_identity_by_its_own_word_alone_deletes_no_recording(house: House, listed: bool) -> None:
    if listed:
        house.add_agent(Agent(agent_id="outside", entra_object_id=STRANGER.name))
    claim(house, STRANGER, server_call_id="customers", acs_user_id=NOBODYS_ACS)
    see(house, "customers", NOBODYS_ACS)
    house.recorded(files(house, "customers", call="correlation-of-customers"))
    run_outbox(house)
    assert house.tapes.tries == [] and house.tapes.files == set(CHUNKS)
    assert house.judge("customers") == EMERGENCY, "but who asks before is told to record nothing"


def test_an_identity_that_a_machine_vouches_for_deletes_the_recording_of_the_leg(house: House) -> None:
    """Also where the agent themself says it too, before or after."""
    for caller in (STRANGER, everybody(), STRANGER):
        house.dial(
            Dial(
                call_id=f"{caller.kind}",
                agent_id="outside",
                dialled="911",
                country="US",
                entra_object_id=STRANGER.name,
                acs_user_id=NOBODYS_ACS,
                server_call_id="server-1",
            ),
            caller,
        )
    see(house, "server-1", NOBODYS_ACS)
    house.recorded(files(house))
    assert house.tapes.files == set()
