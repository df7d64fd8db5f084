"""The live board and the list of numbers: what supervisors see, and that nobody's fault hides another's emergency."""

from datetime import timedelta

import azure.functions as func
import pytest

from functions.live_board import board_answer
from shared.adapters.emergency_table import EmergencyTable
from shared.adapters.registered_pools import REGISTERED_FOR
from shared.domain.agents import Agent
from shared.domain.board import Board, NoticeState
from shared.domain.dials import Dial
from shared.domain.errors import Unavailable
from shared.domain.notifications import Delivery
from shared.domain.panels import Mode
from shared.domain.pool_numbers import NumberState
from shared.domain.presence import PresenceStatus
from shared.ports import Email
from shared.use_cases.end_call import End
from shared.use_cases.show_board import MAX_NAMED, show_board
from tests.fakes.house import DAWN, House, after, numbers, office


@pytest.fixture
def house() -> House:
    house = House(pool=numbers(2))
    house.tick()
    for name in ("ana", "ben"):
        house.add_agent(
            Agent(
                agent_id=name,
                name=f"{name.title()} Example",
                acs_user_ids=(f"8:acs:r_{name}",),
                emergency_contacts=(f"{name}@example.com", "guard@example.com"),
            )
        )
    return house


def dial(house: House, name: str, dialled: str = "911") -> None:
    house.dial(Dial(call_id=f"{name}/{dialled}", agent_id=name, dialled=dialled, country="US"))


def test_the_newest_emergency_comes_first_with_all_that_is_known_of_it(house: House) -> None:
    dial(house, "ana")
    house.clock.advance(after(minutes=1))
    dial(house, "ben", "933")
    ben, ana = house.administration.show_board().emergencies
    assert (ana.agent_id, ana.name, ana.since, ana.mode) == ("ana", "Ana Example", DAWN, Mode.EMERGENCY)
    assert (ana.test, ana.shared, ana.drill, ana.hold_until) == (False, False, False, None)
    assert ana.presence is PresenceStatus.DO_NOT_DISTURB
    assert ana.expires_at == DAWN + timedelta(minutes=60)
    assert ana.callback_number in numbers(2)
    assert ana.emergency != ben.emergency
    assert ben.test


@pytest.mark.parametrize(("first", "second"), [("911", "933"), ("933", "911")])
def test_a_test_call_and_a_real_one_in_one_lease_are_each_shown_as_what_they_are(
    house: House, first: str, second: str
) -> None:
    for dialled in (first, second):
        dial(house, "ana", dialled)
        [ana] = house.administration.show_board().emergencies
        assert ana.test is (dialled == "933")
        house.end(End(call_id=f"ana/{dialled}", by_agent=True, agent_id="ana"))
        house.clock.advance(after(minutes=20))
    house.dial(Dial(call_id="ana/again", agent_id="ana", dialled="911", country="US"))
    house.dial(Dial(call_id="ana/beside it", agent_id="ana", dialled="933", country="US"))
    [ana] = house.administration.show_board().emergencies
    assert not ana.test


def test_a_test_call_after_a_drop_makes_no_test_of_the_emergency_whose_hold_goes_on(house: House) -> None:
    dial(house, "ana")
    house.end(End(call_id="ana/911", by_agent=False, agent_id="ana"))
    house.clock.advance(after(minutes=1))
    dial(house, "ana", "933")
    [ana] = house.administration.show_board().emergencies
    assert (ana.test, ana.mode) == (False, Mode.EMERGENCY)
    house.clock.advance(after(minutes=10))
    [ana] = house.administration.show_board().emergencies
    assert ana.test, "its hold is over"


def test_a_drop_whose_hold_was_released_makes_no_real_call_of_a_test_after_it(house: House) -> None:
    dial(house, "ana")
    house.end(End(call_id="ana/911", by_agent=False, agent_id="ana"))
    house.clock.advance(after(minutes=1))
    house.calling.release_presence("ana", caller=office())
    house.clock.advance(after(minutes=1))
    dial(house, "ana", "933")
    [ana] = house.administration.show_board().emergencies
    assert ana.test


def test_an_emergency_leaves_the_board_with_its_hold_and_comes_back_under_another_name(house: House) -> None:
    dial(house, "ana")
    [before] = house.administration.show_board().emergencies
    house.end(End(call_id="ana/911", by_agent=False))
    [held] = house.administration.show_board().emergencies
    assert (held.mode, held.hold_until) == (Mode.NORMAL, DAWN + timedelta(minutes=10))
    assert held.emergency == before.emergency
    house.release("ana")
    assert house.administration.show_board().emergencies == []
    house.clock.advance(after(minutes=90))
    house.tick()
    house.dial(Dial(call_id="again", agent_id="ana", dialled="911"))
    [again] = house.administration.show_board().emergencies
    assert again.emergency != before.emergency


def test_a_callback_that_rings_is_on_the_board(house: House) -> None:
    dial(house, "ana")
    house.end(End(call_id="ana/911", by_agent=True))
    assert house.administration.show_board().emergencies == []
    house.responder_calls(house.panel("ana").callback_number)
    [ringing] = house.administration.show_board().emergencies
    assert ringing.mode is Mode.RINGING


def test_what_became_of_the_notices_is_told_for_each_recipient(house: House) -> None:
    def away(_email: Email) -> None:
        raise Unavailable

    house.mail.fail = away
    dial(house, "ana")
    [row] = house.administration.show_board().emergencies
    assert {each.state for each in row.notices} == {"owed"}
    house.mail.fail = lambda _email: None
    house.wait(60)
    [row] = house.administration.show_board().emergencies
    assert {each.state for each in row.notices} == {"accepted"}
    [sent] = house.mail.accepted
    for address, delivery in (("ana@example.com", Delivery.DELIVERED), ("guard@example.com", Delivery.FAILED)):
        house.emergencies.record_delivery(sent.operation_id, address, delivery, house.within())
    [row] = house.administration.show_board().emergencies
    assert row.notices == (
        NoticeState(recipient="ana@example.com", state="delivered"),
        NoticeState(recipient="guard@example.com", state="failed"),
    )


def test_notices_of_one_are_not_shown_at_another(house: House) -> None:
    dial(house, "ana")
    dial(house, "ben")
    shown = {
        row.agent_id: {each.recipient for each in row.notices} for row in house.administration.show_board().emergencies
    }
    assert shown == {name: {f"{name}@example.com", "guard@example.com"} for name in ("ana", "ben")}


def test_an_unlisted_agent_has_no_name(house: House) -> None:
    dial(house, "Jane Roe")
    [row] = house.administration.show_board().emergencies
    assert (row.agent_id, row.name) == ("Jane Roe", None)


def test_the_board_says_so_when_the_store_is_away(house: House) -> None:
    house.line.away = True
    with pytest.raises(Unavailable):
        house.administration.show_board()


def test_the_board_does_not_end_where_names_are_not_read_any_more(house: House) -> None:
    dial(house, "ana")
    house.clock.advance(after(minutes=1))
    for number in range(MAX_NAMED):
        dial(house, f"nobody-{number}")
    rows = house.administration.show_board().emergencies
    assert len(rows) == MAX_NAMED + 1
    assert (rows[-1].agent_id, rows[-1].name) == ("ana", None)


@pytest.mark.parametrize(("most_shown", "rows", "cut_at"), [(1, 1, 1), (2, 2, None)])
def test_a_board_that_is_not_all_of_what_is_kept_says_so(
    house: House, most_shown: int, rows: int, cut_at: int | None
) -> None:
    dial(house, "ana")
    dial(house, "ben")
    rules = house.deployment.rules
    store = EmergencyTable(house.line, numbers=house.numbers, rules=rules, keys=house.keys, most_shown=most_shown)
    board = show_board(
        emergencies=store,
        directory=house.directory,
        clock=house.clock,
        deployment=house.deployment,
        deadline=house.within(),
    )
    assert (len(board.emergencies), board.cut_at) == (rows, cut_at)


@pytest.mark.parametrize(("cut_at", "said"), [(5000, "5000"), (None, None)])
def test_a_header_tells_of_the_cut_also_where_nothing_changed(cut_at: int | None, said: str | None) -> None:
    def ask(**headers: str) -> func.HttpResponse:
        sent = {name.replace("_", "-"): value for name, value in headers.items()}
        request = func.HttpRequest(method="GET", url="/", body=b"", headers=sent)
        return board_answer(request, Board(emergencies=[], cut_at=cut_at))

    first = ask()
    again = ask(if_none_match=first.headers["ETag"])
    assert (first.status_code, again.status_code) == (200, 304)
    assert (first.headers.get("Cut-At"), again.headers.get("Cut-At")) == (said, said)


def states(house: House) -> list[NumberState]:
    return [each.state for each in house.administration.list_numbers()]


def test_a_number_is_free_lent_shared_resting_and_free_again(house: House) -> None:
    assert states(house) == [NumberState.FREE] * 2
    for name in ("ana", "ben"):
        dial(house, name)
    assert states(house) == [NumberState.LENT] * 2
    dial(house, "somebody else")
    assert sorted(states(house)) == [NumberState.LENT, NumberState.SHARED]
    for name in ("ana", "ben", "somebody else"):
        house.end(End(call_id=f"{name}/911", by_agent=True, agent_id=name))
    house.clock.advance(after(minutes=61))
    # Whether the timer has run or not.
    for timer_ran in (False, True):
        if timer_ran:
            house.tick()
        listed = house.administration.list_numbers()
        assert [each.state for each in listed] == [NumberState.RESTING] * 2
        assert {each.expired_at for each in listed} == {DAWN + timedelta(minutes=60)}
    house.clock.advance(after(minutes=61))
    for timer_ran in (False, True):
        if timer_ran:
            house.tick()
        listed = house.administration.list_numbers()
        assert [each.state for each in listed] == [NumberState.FREE] * 2
        assert {(each.country, each.expired_at) for each in listed} == {("US", None)}


def test_a_number_that_leaves_the_pool_is_shown_until_its_lease_is_over(house: House) -> None:
    dial(house, "ana")
    dial(house, "ben")
    house.lend_from(numbers(1))
    house.clock.advance(REGISTERED_FOR)
    house.tick()
    leaving = [each.number for each in house.administration.list_numbers() if each.state is NumberState.LEAVING]
    assert leaving == [numbers(2)[1]]
