"""The shell plays the whole story, and the list of licences names every package that is deployed."""

import pytest

from tests.fakes.shell import Play, identity
from tests.local.licences import UNKNOWN, deployed, table


def test_the_shell_plays_a_call_a_drop_and_a_callback(capsys: pytest.CaptureFixture[str]) -> None:
    play = Play()
    play.dial("ana")
    number = play.house.panel("ana").callback_number
    assert number is not None and play.house.status("ana").value == "do_not_disturb"
    play.end("ana", dropped=True)
    assert play.call_back(number) == [identity("ana")]
    assert play.answer("ana") == [identity("ana")]
    play.hang_up()
    play.wait(minutes=200)
    play.wait(minutes=1)
    assert play.house.status("ana").value == "available"
    play.look()
    assert "ana: available, panel normal, number None" in capsys.readouterr().out
    assert set(play.names()) >= {"dial", "end", "call_back", "wait", "look", "house"}


def test_every_package_that_is_deployed_states_its_licence() -> None:
    rows = table()
    assert {name for name, _, _ in rows} == set(deployed()) >= {"azure-functions", "msgspec"}
    assert [name for name, _, licence in rows if licence == UNKNOWN] == []
