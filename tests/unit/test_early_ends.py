"""An end that is kept for a late start, and its due row, while the timer comes to forget it (B7)."""

from shared.adapters.table import Put
from shared.domain.dials import Dial
from shared.domain.emergencies import Emergency
from shared.domain.ids import key_of
from shared.use_cases.end_call import End
from tests.fakes.house import House, Overtaken, after


class OvertakenRow(Overtaken):
    """Something happens right after the rows that are to be removed were read."""

    kind = "bare"


def legs_of(house: House, agent_id: str) -> int:
    emergency: Emergency | None = house.emergency(agent_id)
    return len(emergency.legs) if emergency is not None else 0


def early_end(table: Overtaken) -> House:
    house = House(table=table)
    house.tick()
    house.end(End(call_id="ana/1", by_agent=True, agent_id="ana"))
    return house


def dial(house: House) -> None:
    dialled_at = house.clock.now() - after(minutes=59)
    house.dial(Dial(call_id="ana/1", agent_id="ana", dialled="911", country="US", dialled_at=dialled_at))


def test_a_start_that_comes_while_the_timer_forgets_its_end_keeps_its_call() -> None:
    table = OvertakenRow()
    house = early_end(table)
    house.clock.advance(house.deployment.rules.window)
    table.meanwhile = lambda: dial(house)
    house.tick()
    assert legs_of(house, "ana") == 1
    assert house.end(End(call_id="ana/1", by_agent=True, agent_id="ana")).known


def test_a_due_row_that_outlived_its_end_removes_no_call_that_has_started() -> None:
    table = OvertakenRow()
    house = early_end(table)
    due = [key for key in house.rows() if key.startswith("bare|") and "|call|" in key]
    [row] = [table.get(key, house.within()).result() for key in due]
    assert row is not None
    dial_at = house.clock.now()
    house.dial(Dial(call_id="ana/1", agent_id="ana", dialled="911", country="US", dialled_at=dial_at))
    # A version before could leave one behind.
    table.commit([Put(row.key, row.values)], house.within())
    house.clock.advance(house.deployment.rules.window)
    house.tick()
    assert house.end(End(call_id="ana/1", by_agent=True, agent_id="ana")).known
    assert row.key not in house.rows()


def test_an_end_whose_start_never_came_is_forgotten() -> None:
    table = OvertakenRow()
    house = early_end(table)
    house.clock.advance(house.deployment.rules.window + after(seconds=1))
    house.tick()
    assert not [key for key in house.rows() if key_of("ana/1") in key]
