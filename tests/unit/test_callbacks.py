"""The rules of a callback one by one, without anything around them."""

from datetime import UTC, datetime, timedelta

import msgspec
import pytest
from msgspec import structs

from shared.adapters.table import MAX_TEXT_UTF16_UNITS
from shared.domain.callback_ladder import (
    EVENT_GRACE,
    FALLBACK_AFTER,
    LOOK_PATIENCE,
    Cancel,
    Look,
    Ring,
    Wait,
    next_step,
    with_step,
)
from shared.domain.callbacks import (
    EMPTY_MEANS_OVER_AFTER,
    LOOK_EVERY,
    LOOK_SETTLES,
    MAX_TRIES_WITHOUT_STATE,
    Accepted,
    Callback,
    Fact,
    Joined,
    Ladder,
    Looked,
    NotJoined,
    Party,
    Roster,
    Rung,
    Unseen,
    climbing_since,
    id_without_state,
    label_in,
    on_the_call,
    try_without_state,
    with_fact,
)
from shared.domain.emergencies import Reach
from shared.use_cases.route_callback import MAX_IDENTITIES

NOW = datetime(2026, 11, 20, 17, 0, tzinfo=UTC)
PSAP, DESK, FALLBACK = "4:+12065550142", "+14255550198", "+14255550199"
LADDER = Ladder((DESK,), FALLBACK)
ANA = Party(
    agent_id="ana", agent_key="a", reach=Reach(acs_user_ids=("8:acs:r_ana",), alternate_numbers=("+14255550171",))
)
BEN = Party(
    agent_id="ben", agent_key="b", reach=Reach(acs_user_ids=("8:acs:r_ben",), alternate_numbers=("+14255550172",))
)


def callback(*parties: Party) -> Callback:
    return Callback(
        callback_id="c", connection_id="x", answered_at=NOW, connected=True, number="+14255550101", parties=parties
    )


def taken(known: Callback, now: datetime, busy: frozenset[str] = frozenset()) -> tuple[Callback, Ring]:
    """The next rung, rung and taken on by call control."""
    step = next_step(known, LADDER, busy, now)
    assert isinstance(step, Ring)
    rung = with_step(known, step, None, now)
    for each in step.invitations:
        rung = with_fact(rung, Accepted(each.invitation_id, f"handle of {each.invitation_id}"), now)
    return rung, step


def order(*parties: Party, busy: frozenset[str] = frozenset()) -> list[tuple[Rung, list[str]]]:
    """The rungs of one lap, and who is rung on each."""
    rungs: list[tuple[Rung, list[str]]] = []
    known, now = callback(*parties), NOW
    while True:
        known, step = taken(known, now, busy)
        if step.lap.number:
            return rungs
        rungs.append((step.lap.rungs[-1], [each.target for each in step.invitations]))
        now = max(each.ends_at for each in step.invitations) + LOOK_SETTLES
        known = with_fact(known, Looked(frozenset({PSAP}), now), now)


@pytest.mark.parametrize(
    ("parties", "busy", "rungs"),
    [
        ((), "", [(Rung.DESK, [DESK])]),
        ((ANA,), "", [(Rung.AGENT, ["8:acs:r_ana"]), (Rung.ALTERNATE, ["+14255550171"]), (Rung.DESK, [DESK])]),
        ((ANA,), "a", [(Rung.ALTERNATE, ["+14255550171"]), (Rung.DESK, [DESK]), (Rung.ENGAGED, ["8:acs:r_ana"])]),
        ((ANA, BEN), "", [(Rung.AGENT, ["8:acs:r_ana", "8:acs:r_ben"]), (Rung.DESK, [DESK])]),
        ((ANA, BEN), "b", [(Rung.AGENT, ["8:acs:r_ana"]), (Rung.ENGAGED, ["8:acs:r_ben"]), (Rung.DESK, [DESK])]),
        ((ANA, BEN), "ab", [(Rung.ENGAGED, ["8:acs:r_ana", "8:acs:r_ben"]), (Rung.DESK, [DESK])]),
    ],
)
def test_who_is_rung_in_which_order(parties: tuple[Party, ...], busy: str, rungs: list[tuple[Rung, list[str]]]) -> None:
    assert order(*parties, busy=frozenset(busy)) == rungs


def test_two_agents_with_one_device_have_it_rung_once() -> None:
    same = structs.replace(BEN, reach=ANA.reach)
    _, step = taken(callback(ANA, same), NOW)
    assert [(each.target, each.agent_key) for each in step.invitations] == [("8:acs:r_ana", "a")]


def test_without_a_desk_the_fallback_number_is_the_desk_and_without_both_nothing_is_done() -> None:
    step = next_step(callback(), Ladder((), FALLBACK), (), NOW)
    assert isinstance(step, Ring) and [each.target for each in step.invitations] == [FALLBACK]
    assert isinstance(next_step(callback(), Ladder(), (), NOW), Wait)


def test_the_list_of_participants_is_not_believed_right_after_a_joining() -> None:
    known, step = taken(callback(ANA), NOW)
    known = with_fact(known, Joined(step.invitations[0].invitation_id), NOW)
    early = NOW + LOOK_SETTLES - timedelta(microseconds=1)
    soon = with_fact(known, Looked(frozenset({PSAP}), early), early)
    assert on_the_call(soon) and soon.look_at == NOW + LOOK_SETTLES
    gone = with_fact(soon, Looked(frozenset({PSAP}), NOW + LOOK_SETTLES), NOW + LOOK_SETTLES)
    assert not on_the_call(gone) and climbing_since(gone) == NOW + LOOK_SETTLES
    stays = with_fact(soon, Looked(frozenset({PSAP, "8:acs:r_ana"}), NOW + LOOK_SETTLES), NOW + LOOK_SETTLES)
    assert on_the_call(stays)


def test_a_list_of_participants_from_before_a_ring_says_nothing_of_it() -> None:
    known, step = taken(callback(ANA), NOW)
    stale = with_fact(known, Looked(frozenset({PSAP, "8:acs:r_ana"}), NOW - LOOK_SETTLES), NOW + LOOK_SETTLES)
    assert not on_the_call(stale) and stale.look_at == step.invitations[0].tried_at + LOOK_SETTLES
    fresh = with_fact(stale, Looked(frozenset({PSAP, "8:acs:r_ana"}), NOW + LOOK_SETTLES), NOW + LOOK_SETTLES)
    assert [each.invitation_id for each in on_the_call(fresh)] == [step.invitations[0].invitation_id]


def test_whoever_is_on_the_call_is_there_though_their_invitation_is_said_to_have_failed() -> None:
    known, step = taken(callback(ANA), NOW)
    failed = with_fact(known, NotJoined(step.invitations[0].invitation_id), NOW)
    later = NOW + timedelta(seconds=10)
    assert on_the_call(with_fact(failed, Looked(frozenset({PSAP, "8:acs:r_ana"}), later), later))
    assert not on_the_call(with_fact(failed, Looked(frozenset({PSAP}), later), later))


def test_one_answer_is_one_invitations_whatever_was_rung_since() -> None:
    known, first = taken(callback(ANA), NOW)
    later = NOW + timedelta(seconds=40)
    again = structs.replace(first.invitations[0], invitation_id="again", tried_at=later, ends_at=later)
    both = structs.replace(known, invitations=(*known.invitations, again))
    seen = with_fact(both, Looked(frozenset({PSAP, "8:acs:r_ana"}), later), later)
    assert [each.invitation_id for each in on_the_call(seen)] == [first.invitations[0].invitation_id]


def test_a_ring_whose_end_no_event_told_is_followed_by_a_look_however_late_that_comes() -> None:
    known, step = taken(callback(ANA), NOW)
    for late in (timedelta(0), timedelta(minutes=1)):
        begun = step.invitations[0].ends_at + EVENT_GRACE + late
        assert next_step(known, LADDER, (), begun) == Look()
        looking = with_step(known, Look(), None, begun)
        assert next_step(looking, LADDER, (), begun + LOOK_PATIENCE - timedelta(microseconds=1)) == Look()
        # Call control cannot say: then the next one is rung, as if nobody were there.
        rung, following = taken(looking, begun + LOOK_PATIENCE)
        assert following.lap.rungs == (Rung.AGENT, Rung.ALTERNATE) and rung.look_at is None


def test_a_list_that_contradicts_an_event_is_asked_for_again_soon() -> None:
    known, step = taken(callback(ANA), NOW)
    known = with_fact(known, Joined(step.invitations[0].invitation_id), NOW)
    later = NOW + timedelta(minutes=1)
    doubted = with_fact(known, Roster(frozenset({PSAP})), later)
    assert next_step(doubted, LADDER, (), later) == Look()
    still_there = with_fact(doubted, Looked(frozenset({PSAP, "8:acs:r_ana"}), later), later)
    assert still_there.look_at == later + LOOK_SETTLES
    again = with_fact(still_there, Looked(frozenset({PSAP, "8:acs:r_ana"}), later), later)
    assert again.look_at == later + LOOK_EVERY


def test_a_list_that_is_asked_for_right_after_a_ring_does_not_say_that_nobody_answered() -> None:
    known, step = taken(callback(ANA), NOW)
    over = step.invitations[0].ends_at
    early = with_fact(known, Looked(frozenset({PSAP}), over), over)
    assert not early.invitations[0].failed and early.look_at == over + LOOK_SETTLES
    late = with_fact(early, Looked(frozenset({PSAP}), over + LOOK_SETTLES), over + LOOK_SETTLES)
    assert late.invitations[0].failed


@pytest.mark.parametrize(("early", "rung"), [(1, Rung.DESK), (0, Rung.FALLBACK)])
def test_the_fallback_number_rings_from_five_minutes_on(early: int, rung: Rung) -> None:
    known, first = taken(callback(), NOW)
    assert first.lap.rungs == (Rung.DESK,)
    known = with_fact(known, NotJoined(first.invitations[0].invitation_id), NOW)
    _, step = taken(known, NOW + FALLBACK_AFTER - timedelta(microseconds=early))
    assert step.lap.rungs[-1] is rung


def test_the_agent_is_first_also_when_nobody_was_rung_for_five_minutes() -> None:
    late = NOW + FALLBACK_AFTER + timedelta(minutes=20)
    known, step = taken(callback(ANA), late)
    assert step.lap.rungs == (Rung.AGENT,)
    known = with_fact(known, NotJoined(step.invitations[0].invitation_id), late)
    _, step = taken(known, late)
    assert step.lap.rungs == (Rung.AGENT, Rung.FALLBACK)


def test_when_one_answers_the_others_are_cancelled_and_looked_after() -> None:
    known, step = taken(callback(ANA, BEN), NOW)
    ana, ben = step.invitations
    known = with_fact(known, Joined(ana.invitation_id), NOW)
    cancel = next_step(known, LADDER, (), NOW)
    assert isinstance(cancel, Cancel) and [each.invitation_id for each in cancel.invitations] == [ben.invitation_id]
    later = NOW + timedelta(seconds=31)
    assert next_step(known, LADDER, (), later) == Look()


def test_facts_of_invitations_come_to_the_same_in_any_order() -> None:
    known, step = taken(callback(ANA, BEN), NOW)
    ana, ben = step.invitations
    facts: list[Fact] = [Joined(ana.invitation_id), Accepted(ben.invitation_id, "h"), Joined(ana.invitation_id)]
    one, other = known, known
    for fact in facts:
        one = with_fact(one, fact, NOW)
    for fact in reversed(facts):
        other = with_fact(other, fact, NOW)
    assert one == other


def test_an_invitation_without_state_brings_its_number_back() -> None:
    for key in (None, "0123456789abcdef0123456789abcdef"):
        for number in (0, 1, MAX_TRIES_WITHOUT_STATE - 1):
            invitation_id = id_without_state("c", number, key)
            assert try_without_state("c", invitation_id) == number
            assert try_without_state("another", invitation_id) is None
            assert label_in(invitation_id) == key
    assert try_without_state("c", "no such thing") is None


def test_the_longest_ladder_fits_into_a_row() -> None:
    def longest(name: str) -> str:
        return f"8:acs:{name:_<290}"

    parties = [
        Party(
            agent_id="x" * 600,
            agent_key="k" * 32,
            reach=Reach(
                acs_user_ids=tuple(longest(f"{n}-{each}") for each in range(MAX_IDENTITIES // 5)),
                alternate_numbers=tuple(f"+1425555{100 + each:04}" for each in range(10)),
            ),
        )
        for n in range(5)
    ]
    ladder = Ladder(tuple(f"8:acs:{n:_<200}" for n in range(20)), FALLBACK)
    known, now = callback(*parties), NOW
    for _ in range(12):
        step = next_step(known, ladder, (), now)
        assert isinstance(step, Ring)
        known = with_step(known, step, None, now)
        for each in step.invitations:
            known = with_fact(known, Accepted(each.invitation_id, "h" * 36), now)
        assert len(msgspec.json.encode(known)) < MAX_TEXT_UTF16_UNITS
        over = max(each.ends_at for each in step.invitations) + EVENT_GRACE
        known, now = with_step(known, Look(), None, over), over + LOOK_PATIENCE


def test_a_list_that_stays_empty_means_that_the_call_is_over() -> None:
    nobody, later = frozenset[str](), NOW + EMPTY_MEANS_OVER_AFTER
    known = Callback(callback_id="c", connection_id="x", answered_at=NOW, connected=True)
    once = with_fact(known, Looked(nobody, NOW), NOW)
    soon = with_fact(once, Looked(nobody, later - LOOK_SETTLES), later)
    assert soon.over_at is None, "it may only be late"
    assert with_fact(soon, Looked(nobody, later), later).over_at == later
    assert with_fact(soon, Unseen(), later).over_at is None, "no answer is no list"


def test_whoever_waits_keeps_the_call_alive_whatever_the_list_said_before() -> None:
    later = NOW + EMPTY_MEANS_OVER_AFTER
    known = Callback(callback_id="c", connection_id="x", answered_at=NOW, connected=True)
    once = with_fact(known, Looked(frozenset(), NOW), NOW)
    seen = with_fact(once, Looked(frozenset({""}), later), later)
    assert seen.over_at is None and with_fact(seen, Looked(frozenset(), later), later).over_at is None
