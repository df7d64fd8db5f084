"""What the state machine and the simulator found in the core, each as the smallest test that showed it."""

from collections.abc import Sequence

import pytest
from msgspec import structs

from shared.adapters.registered_pools import REGISTERED_FOR
from shared.adapters.table import Delete, Put, Row, Write
from shared.deadlines import Deadline
from shared.domain.agents import Agent
from shared.domain.callbacks import Connected
from shared.domain.dials import Dial
from shared.domain.errors import Unavailable
from shared.domain.ids import agent_key_of, derived, key_of, leg_id_of
from shared.domain.presence import Hold, PresenceStatus
from shared.ports import Answered, OutageDial
from shared.use_cases.effects import HoldInOutage
from shared.use_cases.end_call import End
from shared.use_cases.hold_in_outage import hold_in_outage
from shared.use_cases.show_presence import show_presence
from tests.fakes.house import FALLBACK, House, Overtaken, after, numbers
from tests.fakes.memory_table import MemoryTable


@pytest.fixture
def house() -> House:
    """One agent, who is available."""
    house = House()
    house.add_agent(Agent(agent_id="ana"))
    house.show("ana", PresenceStatus.AVAILABLE)
    return house


def dial(house: House, agent_id: str, call_id: str = "1") -> Dial:
    return Dial(call_id=f"{agent_id}/{call_id}", agent_id=agent_id, dialled="911", acs_user_id=f"8:acs:r_{agent_id}")


def test_an_exhausted_pool_that_was_never_synced_is_shared_instead_of_tried_for_ever() -> None:
    house = House(pool=numbers(1))
    for agent_id in ("ana", "ben"):
        house.add_agent(Agent(agent_id=agent_id))
    first = house.dial(dial(house, "ana"))
    second = house.dial(dial(house, "ben"))
    assert (second.callback_number, second.shared) == (first.callback_number, True)


def test_a_redial_in_the_cool_down_says_that_others_hold_the_number_by_now() -> None:
    house = House(pool=numbers(1))
    for agent_id in ("ana", "ben"):
        house.add_agent(Agent(agent_id=agent_id))
    house.tick()
    house.dial(dial(house, "ana"))
    house.end(End(call_id="ana/1", by_agent=True))
    house.clock.advance(after(minutes=30))
    assert house.dial(dial(house, "ben")).shared
    house.clock.advance(after(minutes=40))
    again = house.dial(dial(house, "ana", "2"))
    assert again.shared, "ben holds the number too"


class CountingTable(MemoryTable):
    """A table that counts how often it is read."""

    reads = 0

    def between(self, first: str, end: str, limit: int, deadline: Deadline) -> Answered[list[Row]]:
        self.reads += 1
        return super().between(first, end, limit, deadline)


def test_a_dial_does_not_search_long_where_many_hold_each_number_that_rests() -> None:
    table = CountingTable()
    house = House(pool=numbers(20), table=table)
    house.tick()
    for n in range(800):
        house.add_agent(Agent(agent_id=f"many-{n}"))
        house.dial(dial(house, f"many-{n}"))
        house.end(End(call_id=f"many-{n}/1", by_agent=True))
    house.clock.advance(after(minutes=61))
    house.add_agent(Agent(agent_id="last"))
    table.reads = 0
    answer = house.dial(dial(house, "last"))
    assert answer.shared and not answer.degraded, "to take a number from forty agents is more than a transaction"
    assert table.reads <= 12


def test_presence_comes_back_though_the_timers_looked_only_after_everything_was_over(house: House) -> None:
    house.dial(dial(house, "ana"))
    house.end(End(call_id="ana/1", by_agent=False))
    house.clock.advance(after(hours=6))
    house.tick()
    assert house.status("ana") is PresenceStatus.AVAILABLE


def test_a_dial_on_an_exhausted_pool_does_not_look_at_every_number_that_somebody_else_holds_still() -> None:
    table = CountingTable()
    house = House(pool=numbers(8), table=table)
    house.tick()
    for at_once in ("ana", "ben"):
        for n in range(8):
            house.add_agent(Agent(agent_id=f"{at_once}-{n}"))
            house.dial(dial(house, f"{at_once}-{n}"))
            house.end(End(call_id=f"{at_once}-{n}/1", by_agent=True))
        house.clock.advance(after(minutes=35))
    before = table.reads
    assert house.dial(dial(house, "cho")).shared, "the leases of the first eight are over, those of the second live"
    assert table.reads - before <= 8


def outage_dial(house: House, minutes: int) -> OutageDial:
    until = house.clock.now() + after(minutes=minutes)
    return OutageDial(agent_key=agent_key_of("ana"), call_key=key_of("ana/1"), expires_at=until, test=False)


def held_in_outage(house: House, call_id: str) -> HoldInOutage:
    house.outage.dialled("ana", outage_dial(house, minutes=60))
    return owed_hold(house, leg_id_of(key_of("ana"), call_id))


def owed_hold(house: House, leg_id: str) -> HoldInOutage:
    return HoldInOutage(
        agent_id="ana",
        by="",
        names=(key_of("ana"),),
        presence_id="ana",
        hold=Hold(hold_id=derived(leg_id, "hold")),
        dial_key=leg_id,
        received_at=house.clock.now(),
    )


def test_presence_held_in_an_outage_comes_back_though_the_end_is_recorded_before_the_repeated_start() -> None:
    house = House()
    house.add_agent(Agent(agent_id="ana"))
    house.show("ana", PresenceStatus.AVAILABLE)
    house.perform(held_in_outage(house, "ana/1"))
    assert house.status("ana") is PresenceStatus.DO_NOT_DISTURB
    house.end(End(call_id="ana/1", by_agent=True))
    house.dial(dial(house, "ana"))
    assert house.status("ana") is PresenceStatus.AVAILABLE


def test_a_repeated_hold_of_an_outage_that_lands_after_the_return_is_seen_and_undone() -> None:
    house = House()
    house.add_agent(Agent(agent_id="ana"))
    house.show("ana", PresenceStatus.AVAILABLE)
    house.perform(held_in_outage(house, "ana/1"))
    house.end(End(call_id="ana/1", by_agent=True))
    house.dial(dial(house, "ana"))
    house.perform(held_in_outage(house, "ana/1"))
    house.clock.advance(after(minutes=2))
    house.sweep()
    assert house.status("ana") is PresenceStatus.AVAILABLE


def test_a_redial_held_in_an_outage_returns_to_what_it_found_and_not_to_an_older_snapshot() -> None:
    house = House()
    house.add_agent(Agent(agent_id="ana"))
    house.show("ana", PresenceStatus.AVAILABLE)
    house.dial(dial(house, "ana"))
    house.show("ana", PresenceStatus.BUSY)
    house.perform(held_in_outage(house, "ana/2"))
    house.dial(dial(house, "ana", "2"))
    for call_id in ("ana/1", "ana/2"):
        house.end(End(call_id=call_id, by_agent=True))
    assert house.status("ana") is PresenceStatus.BUSY


def test_a_hold_from_an_outage_that_replaces_what_the_agent_chose_meanwhile_returns_to_that(house: House) -> None:
    house.dial(dial(house, "ana"))
    house.show("ana", PresenceStatus.OFFLINE)
    house.outage.dialled("ana", outage_dial(house, minutes=1))
    house.perform(owed_hold(house, leg_id_of(key_of("ana"), "ana/1")))
    assert house.status("ana") is PresenceStatus.DO_NOT_DISTURB
    house.end(End(call_id="ana/1", by_agent=True))
    assert house.status("ana") is PresenceStatus.OFFLINE


def test_what_the_agent_chose_during_a_call_of_an_outage_stays_when_the_dial_is_repeated() -> None:
    house = House()
    house.add_agent(Agent(agent_id="ana"))
    owed = held_in_outage(house, "ana/1")
    house.clock.advance(after(minutes=3))
    house.show("ana", PresenceStatus.BE_RIGHT_BACK)
    house.perform(owed)
    assert house.status("ana") is PresenceStatus.BE_RIGHT_BACK
    house.perform(held_in_outage(house, "ana/2"))
    assert house.status("ana") is PresenceStatus.DO_NOT_DISTURB, "what was chosen before the dial is what it returns to"


def test_two_ends_before_the_start_come_to_the_same_as_after_it() -> None:
    house = House()
    house.add_agent(Agent(agent_id="ana"))
    house.end(End(call_id="ana/1", by_agent=False))
    house.end(End(call_id="ana/1", by_agent=True))
    house.dial(dial(house, "ana"))
    stored = house.emergency("ana")
    assert stored is not None
    end = stored.legs[0].reported_end
    assert end is not None and end.by_agent


def test_a_hold_from_an_outage_that_comes_after_all_is_over_is_not_set() -> None:
    house = House()
    house.add_agent(Agent(agent_id="ana"))
    house.show("ana", PresenceStatus.AVAILABLE)
    late = held_in_outage(house, "ana/1")
    house.dial(dial(house, "ana"))
    house.end(End(call_id="ana/1", by_agent=True))
    house.perform(late)
    assert house.status("ana") is PresenceStatus.AVAILABLE


def stale_start(house: House) -> None:
    long_ago = house.clock.now() - after(minutes=61)
    answer = house.dial_by_event(Dial(call_id="ana/1", agent_id="ana", dialled="911", dialled_at=long_ago))
    assert answer.stale


def test_a_start_that_comes_again_only_when_it_is_stale_gives_back_what_was_held_for_it(house: House) -> None:
    house.perform(held_in_outage(house, "ana/1"))
    assert house.status("ana") is PresenceStatus.DO_NOT_DISTURB
    house.clock.advance(after(minutes=61))
    stale_start(house)
    assert house.status("ana") is PresenceStatus.AVAILABLE


def test_a_stale_start_takes_no_presence_from_the_emergency_that_has_begun_since(house: House) -> None:
    house.perform(held_in_outage(house, "ana/1"))
    house.dial(dial(house, "ana", "2"))
    stale_start(house)
    assert house.status("ana") is PresenceStatus.DO_NOT_DISTURB
    house.end(End(call_id="ana/2", by_agent=True))
    assert house.status("ana") is PresenceStatus.AVAILABLE


def shown(house: House) -> PresenceStatus:
    presence = show_presence(
        "ana",
        emergencies=house.emergencies,
        presence=house.presence,
        outage=house.outage,
        clock=house.clock,
        deadline=house.within(),
    )
    assert presence.status is house.status("ana")
    return presence.status


def test_presence_held_for_a_dial_that_nobody_ever_repeated_is_given_back_when_somebody_looks(house: House) -> None:
    house.perform(held_in_outage(house, "ana/1"))
    house.clock.advance(after(minutes=11))
    assert shown(house) is PresenceStatus.DO_NOT_DISTURB, "this process may still bring the dial to the store"
    house.outage.over("", key_of("ana/1"))
    assert shown(house) is PresenceStatus.AVAILABLE


def test_presence_held_by_an_emergency_is_shown_however_long_that_lasts(house: House) -> None:
    house.dial(dial(house, "ana"))
    house.clock.advance(after(hours=2))
    assert shown(house) is PresenceStatus.DO_NOT_DISTURB


# Callbacks


def lent_number(house: House) -> str:
    number = house.dial(dial(house, "ana")).callback_number
    house.end(End(call_id="ana/1", by_agent=True))
    assert number is not None
    return number


def test_a_callback_that_an_event_tells_of_a_day_late_is_nobodys_any_more(house: House) -> None:
    number = lent_number(house)
    callback_id = house.responder_calls(number, delivered=False)
    [connected] = [said for _, said in house.switchboard.events if said.fact == Connected()]
    house.switchboard.hang_up()
    house.deliver()
    house.wait(700)
    house.clock.advance(after(hours=20))
    house.tick()
    house.dial(dial(house, "ana", "2"))
    house.mail.accepted.clear()
    house.hear(callback_id, connected)
    house.wait(60)
    assert house.callback(callback_id) is None
    assert house.mail.accepted == [], "no callback was missed"


def test_the_end_of_a_callback_that_is_told_before_its_answer_blocks_nobody(house: House) -> None:
    number = lent_number(house)
    callback_id = house.responder_calls(number)
    [invite] = house.switchboard.invited
    house.switchboard.pick_up("8:acs:r_ana")
    house.end(End(call_id=invite.invitation_id, by_agent=True))
    house.deliver()
    house.switchboard.hang_up()
    house.deliver()
    [leg] = house.emergencies.calls(key_of(invite.invitation_id), house.within())
    assert leg.agent_key == key_of("ana"), "the end that was kept is the leg's"
    house.clock.advance(after(minutes=62))
    house.tick()
    assert house.callback(callback_id) is not None
    again = house.dial(dial(house, "ana", "2"))
    assert not again.degraded and again.callback_number == number


class NoClaims(MemoryTable):
    """A table that does not answer when a notice is claimed."""

    broken = False

    def commit(self, writes: Sequence[Write], deadline: Deadline) -> list[str | None]:
        if self.broken and all("|notice|" in write.key for write in writes):
            raise Unavailable
        return super().commit(writes, deadline)


def test_a_notice_that_cannot_be_claimed_keeps_no_responder_waiting() -> None:
    table = NoClaims()
    house = House(table=table)
    house.add_agent(Agent(agent_id="ana"))
    house.performs = False
    number = house.dial(dial(house, "ana")).callback_number
    house.performs = True
    house.responder_calls(number, delivered=False)
    house.switchboard.events.clear()
    house.clock.advance(after(minutes=2))
    table.broken = True
    house.sweep()
    assert house.switchboard.ringing() == ["8:acs:r_ana"]


def test_a_row_of_an_emergency_that_is_gone_already_blocks_nobody(house: House) -> None:
    number = lent_number(house)
    [call_row] = [key for key in house.table.keys() if key.startswith("call|")]  # type: ignore[attr-defined]  # noqa: SIM118
    house.table.commit([Delete(call_row)], house.within())
    assert house.dial(dial(house, "ana", "2")).callback_number == number
    house.end(End(call_id="ana/2", by_agent=True))
    house.clock.advance(after(hours=4))
    house.tick()
    assert house.emergencies.load(key_of("ana"), house.within()).result().emergency is None


# Roll-outs, and marks that nobody looks for


def test_a_number_that_an_older_process_gives_back_after_it_left_the_pool_leaves_it_again() -> None:
    old = House(pool=numbers(2))
    old.add_agent(Agent(agent_id="ana"))
    old.tick()
    number = lent_number(old)
    rest = tuple(each for each in numbers(2) if each != number)
    new = House(pool=rest, table=old.table, clock=old.clock)
    # By now no host is left that had it in its setting.
    old.clock.advance(REGISTERED_FOR)
    new.tick()
    new.tick()
    assert old.call_back(number) == "8:acs:r_ana", "whoever holds it is called back on it"
    slot = f"number|{number.removeprefix('+')}|"
    assert slot in old.rows(), "without it, whoever does not see the holder could lend it as one that nobody holds"
    old.clock.advance(after(hours=3))
    forget(old, "ana")
    assert _pool_rows(new, "number") == _pool_rows(new, "free") == list(rest)


def test_of_two_that_bring_the_pool_in_line_at_once_the_first_one_stops() -> None:
    table = Overtaken()
    new = House(pool=numbers(2), table=table)
    new.tick()
    old = House(pool=numbers(4), table=table, clock=new.clock)
    table.meanwhile = new.tick
    old.tick()
    assert _pool_rows(new, "free") == _pool_rows(new, "number") == list(numbers(4)), "both have theirs"
    new.clock.advance(REGISTERED_FOR)
    new.tick()
    assert _pool_rows(new, "free") == _pool_rows(new, "number") == list(numbers(2)), "the older one is gone"


@pytest.mark.parametrize("forgets", ["old", "new"])
def test_a_number_that_comes_back_while_it_is_lent_comes_free_once(forgets: str) -> None:
    old = House(pool=numbers(2))
    old.add_agent(Agent(agent_id="ana"))
    old.tick()
    number = lent_number(old)
    rest = tuple(each for each in numbers(2) if each != number)
    new = House(pool=rest, table=old.table, clock=old.clock)
    for house in (new, new, old, old):
        house.tick()
    assert _pool_rows(old, "free") == list(rest), "it is lent"
    assert old.call_back(number) == "8:acs:r_ana"
    old.clock.advance(after(hours=3))
    forget(old if forgets == "old" else new, "ana")
    old.tick()
    assert _pool_rows(old, "number") == _pool_rows(old, "free") == list(numbers(2))


def test_whoever_gives_back_a_number_of_another_process_leaves_it_to_the_next_look_at_the_pool() -> None:
    ours, theirs = numbers(1), numbers(1, first=50)
    new = House(pool=ours)
    old = House(pool=theirs, table=new.table, clock=new.clock)
    for house in (old, new, new):
        house.tick()
    for house, agent_id in ((new, "ana"), (old, "bob")):
        house.add_agent(Agent(agent_id=agent_id))
        house.dial(dial(house, agent_id))
        house.end(End(call_id=f"{agent_id}/1", by_agent=True))
    assert old.call_back(theirs[0]) == "8:acs:r_bob", "all that was free is lent, and the old process knows one more"
    new.clock.advance(after(hours=3))
    forget(old, "ana")
    forget(new, "bob")
    new.tick()
    assert _pool_rows(new, "free") == _pool_rows(new, "number") == list(ours)


def test_a_number_that_came_free_while_its_slot_was_made_is_found_by_the_next_look() -> None:
    house = House(pool=numbers(2))
    house.tick()
    [free, _] = [key for key in house.rows() if key.startswith("free|")]
    house.table.commit([Delete(free), Delete("pool")], house.within())
    house.tick()
    assert _pool_rows(house, "free") == list(numbers(2))


def test_a_number_that_left_the_pool_is_not_shared() -> None:
    old = House(pool=numbers(2))
    for agent_id in ("ana", "bob"):
        old.add_agent(Agent(agent_id=agent_id))
    old.tick()
    first, second = (old.dial(dial(old, agent_id)).callback_number for agent_id in ("ana", "bob"))
    assert second is not None
    new = House(pool=(second,), table=old.table, clock=old.clock)
    new.add_agent(Agent(agent_id="cem"))
    new.clock.advance(REGISTERED_FOR)
    answer = new.dial(dial(new, "cem"))
    assert (answer.callback_number, answer.shared) == (second, True)
    assert old.call_back(first) == "8:acs:r_ana"


def test_an_emergency_without_a_number_of_the_pool_keeps_its_legs_when_another_one_is_dialled() -> None:
    bare = House(pool=())
    bare.add_agent(Agent(agent_id="ana"))
    bare.show("ana", PresenceStatus.AVAILABLE)
    for call_id in ("1", "2", "1"):
        assert bare.dial(dial(bare, "ana", call_id)).callback_number == FALLBACK
    assert len(bare.mail.accepted) == 2
    bare.end(End(call_id="ana/2", by_agent=True))
    assert bare.status("ana") is PresenceStatus.DO_NOT_DISTURB, "the first call is not over"
    bare.end(End(call_id="ana/1", by_agent=True))
    assert bare.status("ana") is PresenceStatus.AVAILABLE
    # With a pool again, the next dial is lent a number of it.
    filled = House(pool=numbers(1), table=bare.table, clock=bare.clock)
    filled.add_agent(Agent(agent_id="ana"))
    assert filled.dial(dial(filled, "ana", "3")).callback_number in numbers(1)
    assert [leg.number for leg in filled.emergency("ana").legs] == [FALLBACK, FALLBACK, *numbers(1)]  # type: ignore[union-attr]


def forget(house: House, agent_id: str) -> None:
    """As the sweep does that looked at the pool before another process did."""
    stored = house.emergencies.load(key_of(agent_id), house.within()).result()
    house.emergencies.forget(stored, house.clock.now(), house.within())


def _pool_rows(house: House, kind: str) -> list[str]:
    """The numbers of the rows of this kind, which have no holder."""
    place = 1 if kind == "number" else 3
    return sorted("+" + key.split("|")[place] for key in house.rows() if key.startswith(f"{kind}|"))


def test_a_mark_that_an_outage_left_behind_ends_with_the_agents_last_emergency(house: House) -> None:
    house.dial(dial(house, "ana"))
    house.end(End(call_id="ana/1", by_agent=True))
    house.outage.dialled("ana", outage_dial(house, minutes=1))
    hold_in_outage(
        owed_hold(house, "of a dial that was never recorded"),
        presence=house.presence,
        outage=house.outage,
        clock=house.clock,
        telemetry=house.telemetry,
        deadline=house.within(),
    )
    assert house.status("ana") is PresenceStatus.DO_NOT_DISTURB
    house.clock.advance(after(hours=3))
    house.tick()
    assert house.status("ana") is PresenceStatus.AVAILABLE


def test_a_call_of_the_lease_before_is_not_recorded_again_by_its_late_event(house: House) -> None:
    begun = house.clock.now()
    # The desktop's clock is half an hour behind: its lease ends as much earlier than the event can come late.
    house.dial(structs.replace(dial(house, "ana"), dialled_at=begun - after(minutes=30)))
    house.end(End(call_id="ana/1", by_agent=True))
    house.clock.advance(after(minutes=31))
    house.dial(dial(house, "ana", "2"))
    house.end(End(call_id="ana/2", by_agent=True))
    house.clock.advance(after(minutes=20))
    late = house.dial_by_event(structs.replace(dial(house, "ana"), dialled_at=begun))
    assert late.stale
    assert house.status("ana") is PresenceStatus.AVAILABLE and len(house.mail.accepted) == 2


def test_a_call_of_the_lease_before_is_not_recorded_again_by_the_repeat_of_another_process(house: House) -> None:
    begun = house.clock.now()
    first = structs.replace(dial(house, "ana"), dialled_at=begun - after(minutes=30))
    house.line.away = True
    assert house.dial(first).degraded
    house.line.away = False
    another = House(table=house.table, clock=house.clock)
    another.add_agent(Agent(agent_id="ana"))
    for minutes, report in ((31, first), (0, dial(another, "ana", "2"))):
        another.dial(report)
        another.end(End(call_id=report.call_id, by_agent=True))
        another.clock.advance(after(minutes=minutes))
    told = len(another.mail.accepted)
    [again] = house.repeats.kept.values()
    assert again()
    emergency = another.emergency("ana")
    assert emergency is not None and [leg.leg_id for leg in emergency.legs] == [leg_id_of(key_of("ana"), "ana/2")]
    another.sweep()
    assert len(another.mail.accepted) == told and len(house.mail.accepted) == 1


def test_a_number_comes_free_though_the_row_of_its_holder_cannot_be_read() -> None:
    house = House(pool=numbers(1))
    house.add_agent(Agent(agent_id="ana"))
    house.tick()
    house.dial(dial(house, "ana"))
    house.end(End(call_id="ana/1", by_agent=True))
    [holder] = [key for key in house.rows() if key.startswith("number|") and not key.endswith("|")]
    house.table.commit([Put(holder, {"schema": 1, "state": "{"})], house.within())
    house.clock.advance(after(minutes=121))
    house.tick()
    assert {row.partition("|")[0] for row in house.rows()} == {"free", "number", "pool"}
