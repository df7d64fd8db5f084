"""What a dial's answer and the panel say in each situation, and that an unchanged poll is a 304.

What is right is written out from the contract (docs/contract.md: Country, Location, Panel).
"""

from collections.abc import Iterator, Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from tests.integration.kept import assert_nothing_is_kept
from tests.integration.tapped import Tapped, settle, tapped_stack
from tests.integration.used import new_agent, new_id
from tests.local.acs import poll
from tests.local.stack import ADMIN, FALLBACK, Softphone, Stack

pytestmark = pytest.mark.process

type Json = dict[str, Any]

STREET, ELSEWHERE = "7 Situation Street", "8 Elsewhere Street"
USUAL = ["answer", "decline", "dial", "keypad", "mute", "hold", "transfer", "conference", "device_settings", "end_call"]
ANSWER = {"shared": False, "foreign": False, "test": False, "degraded": False, "ignored": []}
PLACED = {"placeable": "yes", "dial": "911"}
IN_PROGRESS = {
    "mode": "emergency",
    "controls": ["device_settings", "end_call"],
    "form_actions": [],
    "banner_key": "emergency_in_progress",
    "presence": "do_not_disturb",
    "fallback": False,
    "poll_after_s": 2,
}
# The number that other people answer.
NOT_OURS = {"fallback": True}
AFTER_A_DROP = IN_PROGRESS | {
    "mode": "normal",
    "controls": ["call_again", "end_hold", *USUAL],
    "form_actions": ["save", "refresh"],
    "banner_key": "held_after_drop",
}
RINGING = IN_PROGRESS | {
    "mode": "ringing",
    "controls": ["answer", "device_settings"],
    "banner_key": "callback_ringing",
}
OVER = {
    "mode": "normal",
    "controls": USUAL,
    "form_actions": ["save", "refresh"],
    "banner": None,
    "banner_key": None,
    "presence": None,
    "callback_number": None,
    "expires_at": None,
    "fallback": False,
    "say": None,
    "placeable": "unknown",
    "dial": None,
    "poll_after_s": 30,
}
SAY = {
    "address": STREET,
    "address_source": "registered",
    "latitude": None,
    "longitude": None,
    "accuracy_m": None,
    "source": "registered",
    "at": None,
    "confirmed_at": None,
    "number_shown": False,
    "relay_first": True,
}

# The country of the entry, what the dial brings, and what of the answer, the panel and `say` is then not as at home.
# The pool's numbers are of the United States.
DIALS: Mapping[str, tuple[str | None, Json, Json, Json, Json]] = {
    "at home": ("US", {}, PLACED, {}, {}),
    "abroad, where nothing is placed": (
        "US",
        {"country": "MX"},
        {"placeable": "no", "dial": None, "foreign": True},
        {"banner_key": "cannot_be_placed"},
        {"relay_first": False},
    ),
    "the country is unknown": (None, {"dialled": "9,911"}, {"placeable": "unknown", "dial": "911"}, {}, {}),
    "the softphone shows the number": ("US", {"caller_id_ours": True}, PLACED, {}, {"number_shown": True}),
    "a foreign number": (
        "GB",
        {},
        {"placeable": "yes", "dial": "999", "foreign": True},
        {},
        {"relay_first": False},
    ),
    "Puerto Rico, one country with the United States for lending": ("PR", {}, PLACED, {}, {}),
}


def someone(local: Stack, country: str | None = "US") -> Softphone:
    phone = local.softphone(local.add_agent(new_agent(country=country, address=STREET)))
    phone.show("available")
    return phone


def dialled(phone: Softphone, **fields: object) -> Json:
    """The answer to a dial."""
    body = {"call_id": new_id(), "agent_id": phone.agent.agent_id, "dialled": "911"} | fields
    answer = phone.ask("POST", "emergency-calls", body)
    assert answer.status_code == 201
    return dict(answer.json())


def polled(local: Stack, phone: Softphone) -> Json:
    """The panel; asked again a little later, it is a 304 without a body."""
    path = f"agents/{phone.agent.agent_id}/panel"
    shown = phone.ask("GET", path)
    local.advance(timedelta(seconds=2))
    again = phone.ask("GET", path, headers={"If-None-Match": shown.headers["etag"]})
    assert (shown.status_code, again.status_code, again.content) == (200, 304, b"")
    return dict(shown.json())


def assert_told(answer: Json, said: Json, panel: Json, say: Json) -> None:
    """The answer and its panel: exactly these fields, all with the answer's own number and end."""
    number = {"callback_number": answer["callback_number"]}
    lent = number | {"expires_at": answer["expires_at"]}
    assert isinstance(answer["panel"]["banner"], str)
    assert {name: answer[name] for name in (*ANSWER, *PLACED)} == ANSWER | said
    placed = {name: said[name] for name in PLACED}
    wanted = panel | placed | lent | {"say": say | number, "banner": answer["panel"]["banner"]}
    assert answer["panel"] == wanted


@pytest.mark.parametrize("situation", DIALS)
def test_a_dial(local: Stack, situation: str) -> None:
    country, brought, said, panel, say = DIALS[situation]
    dana = someone(local, country)
    answer = dialled(dana, **brought)
    assert_told(answer, said, IN_PROGRESS | panel, SAY | say)
    assert answer["callback_number"] in local.settings["CALLBACK_NUMBERS"].split(";")
    assert polled(local, dana) == answer["panel"]


def test_after_a_drop_while_a_responder_rings_and_when_the_lease_is_over(local: Stack) -> None:
    dana = someone(local)
    answer = dialled(dana)
    dana.end(answer["call_id"], "dropped")
    assert_told(answer | {"panel": polled(local, dana)}, PLACED, AFTER_A_DROP, SAY)
    local.ring(answer["callback_number"])
    poll(lambda: dana.panel().mode == "ringing" or None, what="a ring")
    assert_told(answer | {"panel": polled(local, dana)}, PLACED, RINGING, SAY)
    local.advance(timedelta(minutes=61))
    local.run_timers()
    assert polled(local, dana) == OVER


def test_where_the_agent_confirmed_to_be(local: Stack) -> None:
    dana = someone(local)
    path, seen_at = f"agents/{dana.agent.agent_id}/desktop", local.now().isoformat()
    place = {"latitude": 47.625, "longitude": -122.125, "accuracy_m": 20.0}
    report: Json = {
        "desktop_id": new_id("mark"),
        "location_permission": "granted",
        "country": "US",
        "location": {"address": None, **place, "at": seen_at},
        "network": "192.0.2.7",
        "environment": "physical",
        "devices": {"microphones": 1},
    }
    kept = dana.ask("PUT", path, report | {"confirmed": True}).json()
    at, confirmed_at = kept["location"]["at"], kept["confirmed_at"]
    place_kept = {"address": None, **place, "at": at}
    assert kept == report | {
        "location": place_kept,
        "at": confirmed_at,
        "confirmed": True,
        "confirmed_at": confirmed_at,
        "confirmed_location": place_kept,
        "site": None,
    }
    local.advance(timedelta(minutes=16))
    assert dana.ask("GET", f"{path}?desktop_id={report['desktop_id']}").json() == kept
    answer = dialled(dana, desktop_id=report["desktop_id"])
    confirmed = place | {"source": "confirmed", "at": at, "confirmed_at": confirmed_at}
    assert_told(answer, PLACED, IN_PROGRESS, SAY | confirmed)
    assert polled(local, dana) == answer["panel"]
    seen_again = place | {"at": local.now().isoformat()}
    elsewhere = report | {"network": "192.0.2.8", "environment": "vpn", "location": seen_again}
    moved = dana.ask("PUT", path, elsewhere).json()
    assert (moved["confirmed"], moved["confirmed_at"], moved["confirmed_location"]) == (False, None, None)
    assert dialled(dana)["panel"]["say"]["source"] == "registered", (
        "not what a VPN sees, nor what was confirmed on another network"
    )
    # With the entry its desktops are forgotten, once no lease is left.
    gone = local.ask("DELETE", f"manage/agents/{dana.agent.agent_id}", principal=ADMIN)
    assert gone.status_code == 204


# A stack of their own -------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def bare(tmp_path_factory: pytest.TempPathFactory, log_folders: list[Path]) -> Iterator[Tapped]:
    """Without a number in the pool, and with storage that can be taken away."""
    folder = tmp_path_factory.mktemp("bare")
    log_folders.append(folder)
    with tapped_stack(folder, pool=()) as running:
        yield running
        assert_nothing_is_kept(running.local)


def test_the_pool_is_empty(bare: Tapped) -> None:
    dana = someone(bare.local)
    answer = dialled(dana, caller_id_ours=True)
    assert_told(answer, PLACED, IN_PROGRESS | NOT_OURS, SAY)
    assert answer["callback_number"] == FALLBACK
    assert polled(bare.local, dana) == answer["panel"]
    dana.end(answer["call_id"], "dropped")
    assert_told(answer | {"panel": polled(bare.local, dana)}, PLACED, AFTER_A_DROP | NOT_OURS, SAY)


def test_the_store_is_away(bare: Tapped) -> None:
    local, tap = bare
    dana = someone(local)
    seen = {"address": ELSEWHERE, "at": local.now().isoformat()}
    tap.mode = "refuse"
    answer = dialled(dana, caller_id_ours=True, country="US", location=seen)
    shown = polled(local, dana)
    tap.mode = "pass"
    settle(local)
    live = {"address": ELSEWHERE, "address_source": "live", "source": "live", "at": answer["panel"]["say"]["at"]}
    assert_told(answer, PLACED | {"degraded": True}, IN_PROGRESS | NOT_OURS, SAY | live)
    assert answer["callback_number"] == FALLBACK
    assert shown == answer["panel"]
