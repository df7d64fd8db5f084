"""The bodies of the HTTP routes."""

import json
from codecs import BOM_UTF8
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from functools import partial
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from functions.wire.banners import BANNERS, banner_words
from functions.wire.decoding import MAX_DEPTH, MAX_DIAL_BYTES, convert, decode, loads
from functions.wire.http import (
    MAX_KIND_OF_DEVICE_CHARS,
    MAX_SITE_UTF16_UNITS,
    AgentBody,
    ContactsBody,
    DesktopBody,
    DialBody,
    EndBody,
    LocationBody,
    OutboundProfileBody,
    PresenceBody,
    ReleaseBody,
    SiteBody,
    TieBody,
    agent_answer,
    agent_of,
    call_answer,
    decode_dial,
    decode_or_default,
    decode_report,
    dial_body,
    page_limit,
    path_id,
    presence_answer,
    site_of,
    written_contacts,
)
from functions.wire.office import DrillBody
from functions.wire.setup import SetupBody, SiteEntry
from shared.adapters.table import MAX_TEXT_UTF16_UNITS, state_text, utf16_units
from shared.domain.agents import Agent
from shared.domain.contacts import Contacts
from shared.domain.errors import Malformed
from shared.domain.panels import Banner, emergency_panel, with_number
from shared.domain.presence import Presence, PresenceStatus
from shared.domain.sites import Site
from shared.domain.situations import Situation
from shared.use_cases.answer_dial import Answer

LEAST: dict[str, Any] = {"call_id": "c", "agent_id": "a", "dialled": "911"}
SECRET = "moonstone"


def body(**fields: Any) -> bytes:
    return json.dumps({**LEAST, **fields}).encode()


def test_the_least_that_a_dial_needs() -> None:
    assert decode_dial(body()) == (DialBody(call_id="c", agent_id="a", dialled="911"), ())


@pytest.mark.parametrize("call_id", ["/", "a%2Fb", "\x00\x1f", "?#\\", "ü" * 600, "\N{PILE OF POO}" * 600, " "])
def test_ids_may_hold_anything(call_id: str) -> None:
    read, ignored = decode_dial(body(call_id=call_id))
    assert (read.call_id, ignored) == (call_id, ())


def test_times_are_in_utc() -> None:
    dialled_at = decode_dial(body(dialled_at="2026-11-20T13:00:00.5-05:00"))[0].dialled_at
    assert dialled_at is not None
    assert dialled_at == datetime(2026, 11, 20, 18, 0, 0, 500000, UTC)
    assert dialled_at.tzinfo is UTC


def test_unknown_fields_are_passed_over() -> None:
    assert decode_dial(body(extra={"deep": [1]}))[0].call_id == "c"


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"call_id": ""}, "call_id"),
        ({"call_id": "x" * 601}, "call_id"),
        ({"call_id": None}, "call_id"),
        ({"call_id": "\ud800"}, "call_id"),
        ({"agent_id": 7}, "agent_id"),
        ({"agent_id": "x" * 601}, "agent_id"),
        ({"dialled": "9" * 257}, "dialled"),
        ({"dialled": ""}, "dialled"),
        ({"dialled": 911}, "dialled"),
    ],
)
def test_what_must_be_sound_is_named_and_its_value_is_not(fields: dict[str, Any], field: str) -> None:
    with pytest.raises(Malformed) as raised:
        decode_dial(body(**fields))
    assert raised.value.field == field
    assert SECRET not in str(raised.value)


@pytest.mark.parametrize(
    ("fields", "ignored"),
    [
        ({"dialled_at": "2026-11-20T13:00:00"}, "dialled_at"),
        ({"dialled_at": SECRET}, "dialled_at"),
        ({"dialled_at": 1_790_000_000}, "dialled_at"),
        ({"dialled_at": "0001-01-01T00:00:00+14:00"}, "dialled_at"),
        ({"dialled_at": "9999-12-31T23:59:59-14:00"}, "dialled_at"),
        ({"dialled_ago_ms": -1}, "dialled_ago_ms"),
        ({"dialled_ago_ms": "5"}, "dialled_ago_ms"),
        ({"dialled_ago_ms": True}, "dialled_ago_ms"),
        ({"dialled_ago_ms": 1e300}, "dialled_ago_ms"),
        ({"dialled_ago_ms": float("nan")}, "dialled_ago_ms"),
        ({"dialled_ago_ms": int("9" * 4000)}, "dialled_ago_ms"),
        ({"country": "USA"}, "country"),
        ({"country": "US\n"}, "country"),
        ({"country": "ÜS"}, "country"),
        ({"country": "ZZ"}, "country"),
        ({"country": "uk"}, "country"),
        ({"country": "EU"}, "country"),
        ({"country": ""}, "country"),
        ({"country": "  "}, "country"),
        ({"acs_user_id": SECRET}, "acs_user_id"),
        ({"acs_user_id": "4:+12025550111"}, "acs_user_id"),
        *(({"acs_user_id": each}, "acs_user_id") for each in ("8:acs:" + "x" * 300, "8:foo:x", "8:ACS:x", "8:OrgId:x")),
        ({"server_call_id": "x" * 1025}, "server_call_id"),
        ({"server_call_id": ""}, "server_call_id"),
        ({"location": SECRET}, "location"),
        ({"location": []}, "location"),
        ({"location": {}}, "location"),
        ({"location": {"latitude": 1}}, "location"),
        ({"location": {"latitude": None, "longitude": 2}}, "location"),
        ({"location": {"accuracy_m": 5, "at": "2026-11-20T13:00:00Z"}}, "location"),
        ({"location": {"town": "Example"}}, "location"),
        ({"location": {"address": "x" * 501}}, "location.address"),
        ({"location": {"address": ""}}, "location.address"),
        ({"location": {"latitude": 90.1}}, "location.latitude"),
        ({"location": {"latitude": True}}, "location.latitude"),
        ({"location": {"latitude": float("nan")}}, "location.latitude"),
        ({"location": {"latitude": float("inf")}}, "location.latitude"),
        ({"location": {"longitude": 237}}, "location.longitude"),
        ({"location": {"accuracy_m": -1}}, "location.accuracy_m"),
        ({"location": {"at": "2026-11-20T13:00:00"}}, "location.at"),
        ({"locale": "x" * 36}, "locale"),
        ({"locale": "\ud800"}, "locale"),
        ({"locale": {"deep": [1]}}, "locale"),
    ],
)
def test_a_faulty_or_empty_optional_field_is_left_out_and_named(fields: dict[str, Any], ignored: str) -> None:
    read, left_out = decode_dial(body(**fields))
    assert left_out == (ignored,)
    outer = ignored.partition(".")[0]
    place = LocationBody() if outer != ignored else None
    assert read == DialBody(**LEAST, location=place)
    assert read.dial(left_out).ignored == left_out


def test_what_is_sound_beside_a_faulty_field_is_kept() -> None:
    place = {"latitude": 47.6, "longitude": 237, "address": "1 Example Street", "accuracy_m": "near"}
    read, ignored = decode_dial(body(location=place, locale="", country="us", dialled_ago_ms=1200))
    assert ignored == ("locale", "location.accuracy_m", "location.longitude")
    assert read.location == LocationBody(latitude=47.6, address="1 Example Street")
    assert (read.country, read.dialled_ago_ms) == ("us", 1200)


@pytest.mark.parametrize("place", [{"address": "1 Example Street", "latitude": 1}, {"latitude": 0, "longitude": 0}])
def test_nothing_is_said_of_a_location_that_tells_a_place(place: dict[str, Any]) -> None:
    read, ignored = decode_dial(body(location=place))
    assert (read.location, ignored) == (LocationBody(**place), ())


def test_nothing_is_said_of_fields_that_are_null_or_unknown() -> None:
    assert decode_dial(body(locale=None, location=None, extra={"deep": [1]}))[1] == ()


@pytest.mark.parametrize("sent", [None, "", 7, "x" * 601])
def test_an_agents_sign_in_stands_in_for_their_id(sent: object) -> None:
    fields = body(agent_id=sent)
    read, ignored = decode_dial(fields, stand_in="oid")
    assert (read.agent_id, ignored) == ("oid", () if sent is None else ("agent_id",))
    with pytest.raises(Malformed, match="agent_id"):
        decode_dial(fields)
    assert decode_dial(body(), stand_in="oid")[0].agent_id == "a"


def test_a_byte_order_mark_is_passed_over() -> None:
    mark = b"\xef\xbb\xbf"
    assert decode_dial(mark + body())[0].call_id == "c"
    assert decode(mark + b'{"status":"away"}', PresenceBody).status is PresenceStatus.AWAY
    assert not decode_or_default(mark + b'{"reason":"dropped"}', EndBody).by_agent
    assert decode_or_default(mark, EndBody).by_agent


def test_empty_optional_fields_are_passed_over_everywhere() -> None:
    assert decode(b'{"reason":"","agent_id":""}', EndBody) == EndBody()
    form = dict.fromkeys(AgentBody.__struct_fields__, "") | {"acs_user_ids": None, "name": "Dana"}
    assert decode(json.dumps(form).encode(), AgentBody) == AgentBody(name="Dana")


@pytest.mark.parametrize("empty", [None, "", " ", "\t\n", "\u00a0"])
def test_what_is_empty_or_blank_is_passed_over_at_any_depth(empty: str | None) -> None:
    assert decode(json.dumps({"reason": empty, "agent_id": empty}).encode(), EndBody) == EndBody()
    place = {"address": "1 Main St", "latitude": empty, "longitude": empty, "accuracy_m": empty, "at": empty}
    sent = {"desktop_id": "d", "country": empty, "network": empty}
    read = decode(json.dumps(sent | {"location": place}).encode(), DesktopBody)
    assert read == DesktopBody(desktop_id="d", location=LocationBody(address="1 Main St"))
    stated = {"name": "Voice", "work_item_limit": empty, "caller_id": empty}
    profile = decode(json.dumps({"outbound_profile": stated}).encode(), AgentBody).outbound_profile
    assert profile == OutboundProfileBody(name="Voice")
    site = {"site_id": "hq", "country": empty, "networks": empty}
    assert decode(json.dumps({"sites": [site]}).encode(), SetupBody).sites == [SiteEntry(site_id="hq")]


def test_what_must_be_there_is_not_passed_over_where_it_is_blank() -> None:
    with pytest.raises(Malformed) as raised:
        decode(b'{"status":" "}', PresenceBody)
    assert raised.value.field == "status"


@pytest.mark.parametrize("missing", LEAST)
def test_a_missing_field_is_named(missing: str) -> None:
    sent = {name: value for name, value in LEAST.items() if name != missing}
    with pytest.raises(Malformed, match="is missing") as raised:
        decode_dial(json.dumps(sent).encode())
    assert raised.value.field == missing


@pytest.mark.parametrize(
    ("address", "left_out"),
    [(b"Caf\xe9 1", ["location.address"]), (b"\xed\xa0\x80", ["location.address"]), (b"1 Main St\r\nRedmond", [])],
)
def test_no_byte_of_an_optional_field_keeps_a_dial_from_being_taken(address: bytes, left_out: list[str]) -> None:
    place = b'{"latitude":1,"longitude":2,"address":"' + address + b'"}'
    read, ignored = decode_dial(b'{"call_id":"c","agent_id":"a","dialled":"911","location":' + place + b"}")
    assert (read.call_id, read.dialled, list(ignored)) == ("c", "911", left_out)


@pytest.mark.parametrize(
    ("sent", "field"),
    [
        (b"", "body"),
        (b"  \n", "body"),
        (b"{", "body"),
        (b"null", "body"),
        (b"[]", "body"),
        (b'"text"', "body"),
        (b"\xff\xfe", "body"),
        (b'{"call_id":"\xff"}', "call_id"),
        (b'{"call_id":"c","agent_id":"a","dialled":"911","x":' + b"[" * 30_000, "body"),
        (b'{"call_id":' * 10_000 + b"1" + b"}" * 10_000, "call_id"),
        (b'{"call_id":"c","agent_id":"a","dialled":"911"} {}', "body"),
        (b" " * MAX_DIAL_BYTES + b"{}", "body"),
        # Gone through once: from each quote on it would take minutes.
        (b"[" * 100_000 + b'"' + rb"\"" * 400_000, "body"),
    ],
)
def test_what_is_no_such_body_is_malformed(sent: bytes, field: str) -> None:
    with pytest.raises(Malformed) as raised:
        decode_dial(sent)
    assert raised.value.field == field


@pytest.mark.parametrize(
    ("more", "left_out"),
    [
        (b'"location":{"address":"' + b"x" * 70_000 + b'"}', ["location.address"]),
        (b'"x":"' + b"x" * 70_000 + b'"', []),
        (b'"location":' + b"[" * 30_000 + b"]" * 30_000, ["location"]),
        (b'"location":{"address":' + b'{"a":' * 30_000 + b"1" + b"}" * 30_000 + b"}", ["location.address"]),
        (b'"x":' + b"[" * 30_000 + rb'"]\"]"' + b"]" * 30_000, []),
    ],
    ids=["long", "long and unknown", "deep", "deep within", "deep and unknown"],
)
def test_however_long_or_deep_an_optional_field_is_the_dial_is_taken_without_it(
    more: bytes, left_out: list[str]
) -> None:
    read, ignored = decode_dial(b'{"call_id":"c",' + more + b',"agent_id":"a","dialled":"911"}')
    assert (read.call_id, read.agent_id, read.dialled, list(ignored)) == ("c", "a", "911", left_out)


@settings(max_examples=20, deadline=None)
@given(text=st.text('[]{}"\\a,:', max_size=20))
def test_only_what_is_deeper_than_any_field_is_read_as_null(text: str) -> None:
    sent = json.dumps([text, {text: 1}])[:-1] + "," + "[" * 100_000 + "]" * 100_000 + "," + json.dumps(text) + "]"
    first, second, nested, last = loads(sent)
    assert (first, second, last) == (text, {text: 1}, text)
    for _ in range(MAX_DEPTH - 1):
        [nested] = nested
    assert nested is None


@given(sent=st.binary() | st.text().map(str.encode))
def test_any_bytes_are_read_or_malformed(sent: bytes) -> None:
    bodies = (EndBody, TieBody, PresenceBody, AgentBody)
    reads: list[Callable[[bytes], object]] = [decode_dial, *(partial(decode, kind=kind) for kind in bodies)]
    for read in reads:
        try:
            read(sent)
        except Malformed as error:
            str(error).encode()


@pytest.mark.parametrize(
    "raw_id", ["8:acs:one_two", "8:orgid:one", "8:gcch-acs:one_two", "8:teamsvisitor:x", "28:orgid:app"]
)
def test_raw_ids_of_every_cloud(raw_id: str) -> None:
    assert decode_dial(body(acs_user_id=raw_id))[0].acs_user_id == raw_id


def test_an_end_is_the_agents_unless_it_says_otherwise() -> None:
    assert decode_or_default(b"", EndBody).by_agent
    assert decode(b"{}", EndBody).by_agent
    assert not decode(b'{"reason":"dropped"}', EndBody).by_agent
    with pytest.raises(Malformed, match="reason: is none of the values allowed"):
        decode(b'{"reason":"moonstone"}', EndBody)


def test_a_presence_is_one_of_six() -> None:
    assert decode(b'{"status":"be_right_back"}', PresenceBody).status is PresenceStatus.BE_RIGHT_BACK
    with pytest.raises(Malformed, match=r"^status: is none of the values allowed$"):
        decode(b'{"status":"moonstone"}', PresenceBody)


def test_ids_in_paths() -> None:
    assert path_id("a b\x00", "call_id") == "a b\x00"
    # The host hands this one escape on as it stands.
    assert path_id("a%2Fb%2fc%252F", "call_id") == "a/b/c%252F"
    dial = DialBody(call_id="a%2fb", agent_id="c%2Fd", dialled="911", server_call_id="e%2Ff").dial()
    assert (dial.call_id, dial.agent_id, dial.server_call_id) == ("a/b", "c/d", "e/f")
    assert EndBody(agent_id="c%2fd").named_agent() == "c/d"
    for faulty in (None, "", "x" * 601, "\ud800"):
        with pytest.raises(Malformed, match=r"^call_id: "):
            path_id(faulty, "call_id")


UNSEEN = ("   ", "\u200b", "\u00a0\u2060\t", "\x00\x7f", "\u00ad\ufeff")


@pytest.mark.parametrize("unseen", UNSEEN)
def test_an_id_with_nothing_visible_is_refused_wherever_ids_are_compared_by_their_normal_form(unseen: str) -> None:
    sent: Mapping[str, Callable[[], object]] = {
        "agent_id": lambda: decode_dial(body(agent_id=unseen)),
        "data.agent_id": lambda: dial_body({**LEAST, "agent_id": unseen}, "data"),
        "desktop_id": lambda: decode(json.dumps({"desktop_id": unseen}).encode(), DesktopBody),
        "sites[0].site_id": lambda: convert({"site_id": unseen}, SiteEntry, "sites[0]"),
        "site_id": lambda: path_id(unseen, "site_id"),
    }
    for field, read in sent.items():
        with pytest.raises(Malformed) as raised:
            read()
        assert (raised.value.field, unseen in str(raised.value)) == (field, False)
    with pytest.raises(Malformed):
        path_id(unseen, "agent_id")
    with pytest.raises(Malformed):
        decode(json.dumps({"agent_id": unseen}).encode(), DrillBody)
    assert path_id(unseen, "call_id") == unseen, "ids of calls are compared as they are"


@pytest.mark.parametrize("unseen", UNSEEN)
def test_a_desktop_id_of_a_dial_with_nothing_visible_is_left_out_and_the_sign_in_stands_in_for_an_agent_id(
    unseen: str,
) -> None:
    read, ignored = decode_dial(body(agent_id=unseen, desktop_id=unseen), stand_in="oid")
    assert (read.agent_id, read.desktop_id, ignored) == ("oid", None, ("agent_id", "desktop_id"))


@pytest.mark.parametrize("unseen", ["\u200b", "\u00ad\ufeff"])
def test_an_entry_names_no_site_or_id_with_nothing_visible(unseen: str) -> None:
    for field in ("agent_id", "site"):
        with pytest.raises(Malformed) as raised:
            agent_body(**{field: unseen})
        assert raised.value.field == field
    with pytest.raises(Malformed, match="site_id"):
        decode(json.dumps({"site_id": unseen}).encode(), SiteBody)
    with pytest.raises(Malformed, match="agent_id"):
        decode(json.dumps({"agent_id": unseen}).encode(), EndBody)
    assert site_of("a", decode(json.dumps({"networks": [unseen, " "]}).encode(), SiteBody)).networks == ()


# The directory -------------------------------------------------------------------------------------------------------


def agent_body(**fields: Any) -> AgentBody:
    return decode(json.dumps(fields).encode(), AgentBody)


def test_an_agent_there_and_back() -> None:
    sent = agent_body(
        agent_id="a/1",
        name=" Example Agent ",
        entra_object_id="0F0E0D0C-0B0A-4908-8706-050403020100",
        acs_user_ids=["8:acs:one_two", "8:acs:one_two"],
        country="us",
        locale="en-US",
        address="1 Example Street",
        alternate_numbers=["+12025550123"],
        emergency_contacts="desk@example.com; nurse@example.org;; desk@example.com ;",
        dynamics_user_id="1F0E0D0C-0B0A-4908-8706-050403020100",
        site=" north ",
        time_zone="America/New_York",
        outbound_profile={"name": "Outbound", "work_item_limit": 3, "caller_id": "+12025550124"},
    )
    agent = agent_of("a/1", sent)
    assert agent.name == "Example Agent"
    assert agent.entra_object_id == "0f0e0d0c-0b0a-4908-8706-050403020100"
    assert agent.acs_user_ids == ("8:acs:one_two",)
    assert agent.country == "US"
    assert agent.emergency_contacts == ("desk@example.com", "nurse@example.org")
    answer = json.loads(msgspec.json.encode(agent_answer(agent)))
    assert answer["emergency_contacts"] == "desk@example.com; nurse@example.org"
    assert answer["alternate_numbers"] == ["+12025550123"]
    assert agent_of("a/1", decode(json.dumps(answer).encode(), AgentBody)) == agent


@pytest.mark.parametrize("written", ["ana", " ANA ", "a\u200bna", "\uff21\uff2e\uff21"])
def test_an_entry_may_be_put_back_under_another_way_of_writing_its_id(written: str) -> None:
    assert agent_of("ANA", agent_body(agent_id=written)) == Agent(agent_id="ANA")
    assert site_of("ANA", decode(json.dumps({"site_id": written}).encode(), SiteBody)) == Site(site_id="ANA")


@pytest.mark.parametrize("agent_id", ["import", "Export", " import "])
def test_the_names_of_routes_are_no_ids(agent_id: str) -> None:
    with pytest.raises(Malformed, match="name of a route"):
        agent_of(agent_id, agent_body())


@pytest.mark.parametrize("entry_id", [".", "..", " .. ", "\u2025"])
def test_an_entry_that_no_request_could_ask_for_is_refused(entry_id: str) -> None:
    """A file could bring it in, and nothing remove it: `..` and `%2e%2e` are taken out of an address on the way."""
    with pytest.raises(Malformed, match="address"):
        agent_of(entry_id, agent_body())
    with pytest.raises(Malformed, match="address"):
        site_of(entry_id, SiteBody())


@pytest.mark.parametrize("sent", ["0", "51", "-1", "1e1", "\u0665", "x"])
def test_a_page_has_at_most_fifty(sent: str) -> None:
    assert (page_limit(None), page_limit(""), page_limit("7")) == (50, 50, 7)
    with pytest.raises(Malformed):
        page_limit(sent)


@pytest.mark.parametrize("content_type", [None, "text/plain", "application/json"])
def test_contacts_come_as_json_or_as_text(content_type: str | None) -> None:
    sent = b'{"text": "Desk <desk@example.com>, kim@example.com"}'
    assert written_contacts(sent, content_type).kept == ("desk@example.com", "kim@example.com")
    assert written_contacts(b"\xef\xbb\xbfa@example.com;", "text/plain").kept == ("a@example.com",)
    assert written_contacts(b"", content_type) == Contacts()


@pytest.mark.parametrize("content_type", [None, "text/plain", "application/json"])
@pytest.mark.parametrize("sent", [{"emergency_contacts": "a@b.example"}, {"Text": "a@b.example"}, {}, {"text": None}])
def test_contacts_are_cleared_by_an_empty_text_and_by_no_misspelt_field(
    sent: dict[str, object], content_type: str | None
) -> None:
    with pytest.raises(Malformed) as raised:
        written_contacts(json.dumps(sent).encode(), content_type)
    assert raised.value.field == "text"
    for empty in (b'{"text": ""}', b'{"text": " ; "}', b'{"text": []}', b"", b"\xef\xbb\xbf", b" \n"):
        assert written_contacts(empty, content_type) == Contacts()


def test_contacts_may_be_a_list() -> None:
    assert agent_of("a", agent_body(emergency_contacts=["desk@example.com"])).emergency_contacts == (
        "desk@example.com",
    )


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"agent_id": "another"}, "agent_id"),
        ({"entra_object_id": SECRET}, "entra_object_id"),
        ({"acs_user_ids": ["8:acs:x", SECRET]}, "acs_user_ids[1]"),
        *(({"acs_user_ids": ["8:acs:x", each]}, "acs_user_ids[1]") for each in ("8:acs:x;y", "8:live:x", "8:ACS:x")),
        ({"acs_user_ids": ["8:acs:x"] * 11}, "acs_user_ids"),
        ({"alternate_numbers": ["+12025550123", SECRET]}, "alternate_numbers[1]"),
        ({"alternate_numbers": ["+12025550123"] * 11}, "alternate_numbers"),
        ({"alternate_numbers": SECRET}, "alternate_numbers"),
        ({"emergency_contacts": f"desk@example.com; {SECRET}"}, "emergency_contacts[1]"),
        ({"emergency_contacts": ["desk@example.com", SECRET]}, "emergency_contacts[1]"),
        ({"emergency_contacts": ["desk@example.com", 7]}, "emergency_contacts[1]"),
        ({"emergency_contacts": "; ".join(f"a{i}@example.com" for i in range(51))}, "emergency_contacts"),
        ({"emergency_contacts": [f"a{i}@example.com" for i in range(51)]}, "emergency_contacts"),
        ({"emergency_contacts": 7}, "emergency_contacts"),
        ({"name": "x" * 201}, "name"),
        ({"time_zone": SECRET}, "time_zone"),
        ({"time_zone": "../UTC"}, "time_zone"),
        ({"site": "x" * 601}, "site"),
        ({"dynamics_user_id": SECRET}, "dynamics_user_id"),
        ({"outbound_profile": {"caller_id": SECRET}}, "outbound_profile.caller_id"),
        ({"outbound_profile": {"work_item_limit": -1}}, "outbound_profile.work_item_limit"),
        ({"outbound_profile": {"work_item_limit": SECRET}}, "outbound_profile.work_item_limit"),
    ],
)
def test_a_faulty_entry_names_field_and_index(fields: dict[str, Any], field: str) -> None:
    with pytest.raises(Malformed) as raised:
        agent_of("a", agent_body(**fields))
    assert raised.value.field == field
    assert SECRET not in str(raised.value)


@pytest.mark.parametrize("country", ["us", "GB", "xk", "UM"])
def test_a_country_may_be_in_either_case_and_one_that_only_phones_know(country: str) -> None:
    assert decode(json.dumps({"desktop_id": "d", "country": country}).encode(), DesktopBody).report().country == country
    assert decode_dial(body(country=country)) == (DialBody(**LEAST, country=country), ())


@pytest.mark.parametrize("country", ["ZZ", "xx", "UK", "EU"])
def test_a_report_of_a_desktop_in_no_country_is_malformed(country: str) -> None:
    said = decode(json.dumps({"desktop_id": "d", "country": country}).encode(), DesktopBody)
    with pytest.raises(Malformed, match=r"^country: is no country of ISO 3166-1$"):
        said.report()


def test_the_name_of_a_kind_of_devices_is_bounded_because_the_report_is_one_text_of_a_row() -> None:
    kind = "microphones".ljust(MAX_KIND_OF_DEVICE_CHARS, "x")
    sent = {"desktop_id": "d", "devices": {kind: 1}}
    assert decode(json.dumps(sent).encode(), DesktopBody).report().devices == {kind: 1}
    with pytest.raises(Malformed, match=r"^devices: Expected str of length <= 100$") as raised:
        decode(json.dumps(sent | {"devices": {f"{kind}x": 1}}).encode(), DesktopBody)
    assert raised.value.field == "devices"


# The most of everything else; a control character takes six in JSON,.
FULLEST_SITE: dict[str, Any] = {
    "name": "\x01" * 200,
    "address": "\x01" * 500,
    "emergency_contacts": [f"{'x' * 62}{n:02}@{'d' * 60}.{'d' * 60}.{'d' * 57}.example" for n in range(50)],
    "security_desk": [f"8:acs:{n}_{'z' * 198}" for n in range(5)],
}


def test_a_site_is_refused_whose_networks_are_more_than_one_text_of_a_row_holds() -> None:
    site_id, sent = "\x01" * 599 + "a", FULLEST_SITE | {"networks": [f"10.0.{n}.0/24" for n in range(50)]}
    full = site_of(site_id, decode(json.dumps(sent).encode(), SiteBody))
    assert utf16_units(state_text(full)) <= MAX_TEXT_UTF16_UNITS == MAX_SITE_UTF16_UNITS
    spare = MAX_TEXT_UTF16_UNITS - utf16_units(state_text(site_of("hq", SiteBody(networks=["d" * 600]))))
    for letter in ("x", "\u00fc", "\u6771"):
        many = [f"{n:02}".ljust(600, letter) for n in range(spare // 603)]
        fits = site_of("hq", SiteBody(networks=[*many, "d" * 600]))
        assert MAX_TEXT_UTF16_UNITS - 603 < utf16_units(state_text(fits)) <= MAX_TEXT_UTF16_UNITS
        with pytest.raises(Malformed, match=r"^networks: are too long, taken together$"):
            site_of("hq", SiteBody(networks=[*many, "d" * 600, "e" * 600]))


# Answers -------------------------------------------------------------------------------------------------------------


PANEL_OF_A_TEST_CALL = {
    "mode": "emergency",
    "controls": ["device_settings", "end_call"],
    "form_actions": [],
    "banner": "TEST: an emergency test call is in progress.",
    "banner_key": "test_in_progress",
    "presence": "do_not_disturb",
    "callback_number": "+12025550111",
    "expires_at": "2026-11-20T19:00:00Z",
    "fallback": False,
    "say": {
        "address": None,
        "address_source": None,
        "latitude": None,
        "longitude": None,
        "accuracy_m": None,
        "source": "unknown",
        "at": None,
        "confirmed_at": None,
        "callback_number": "+12025550111",
        "number_shown": False,
        "relay_first": False,
    },
    "placeable": "unknown",
    "dial": None,
    "poll_after_s": 2,
}


def test_a_dials_answer_has_the_contracts_fields() -> None:
    expires_at = datetime(2026, 11, 20, 19, 0, tzinfo=UTC)
    told = Answer(
        call_id="c",
        agent_id="a",
        callback_number="+12025550111",
        expires_at=expires_at,
        test=True,
        notified=2,
        ignored=("locale",),
        panel=with_number(emergency_panel(test=True), "+12025550111", expires_at, Situation(), fallback=False),
    )
    answer = json.loads(msgspec.json.encode(call_answer(told)))
    assert answer == {
        "call_id": "c",
        "agent_id": "a",
        "callback_number": "+12025550111",
        "expires_at": "2026-11-20T19:00:00Z",
        "shared": False,
        "foreign": False,
        "test": True,
        "degraded": False,
        "notified": 2,
        "placeable": "unknown",
        "dial": None,
        "ignored": ["locale"],
        "panel": PANEL_OF_A_TEST_CALL,
    }


def test_every_language_has_every_banner_in_words_of_its_own() -> None:
    assert set(BANNERS) == {"en", "es", "fr", "it"}
    for words in BANNERS.values():
        assert set(words) == set(Banner)
    for banner in Banner:
        assert len({words[banner] for words in BANNERS.values()}) == len(BANNERS)


@pytest.mark.parametrize("locale", ["it", "it-IT", "IT_it"])
def test_a_banner_is_in_the_agents_language(locale: str) -> None:
    assert banner_words(Banner.EMERGENCY_IN_PROGRESS, locale) == "È in corso una chiamata di emergenza."


def test_no_banner_tells_an_agent_to_show_as_available() -> None:
    assert "available" not in BANNERS["en"][Banner.HELD_AFTER_DROP].lower(), "that is the name of a presence status"


@pytest.mark.parametrize("locale", [None, "", "en-GB", "tlh", "-", "en_US"])
def test_a_language_that_we_do_not_speak_gets_english(locale: str | None) -> None:
    assert banner_words(Banner.HELD_AFTER_DROP, locale) == BANNERS["en"][Banner.HELD_AFTER_DROP]
    assert banner_words(None, locale) is None


def test_what_is_kept_to_give_presence_back_stays_inside() -> None:
    presence = Presence(
        status=PresenceStatus.DO_NOT_DISTURB, set_by="system", hold_id="h", before=PresenceStatus.BUSY, version="1"
    )
    assert json.loads(msgspec.json.encode(presence_answer(presence))) == {
        "status": "do_not_disturb",
        "set_by": "system",
        "since": None,
    }


@pytest.mark.parametrize(
    ("stored", "told"),
    [
        *(("agent", "agent"), ("supervisor", "supervisor"), ("system", "system"), (None, None), ("somebody", None)),
        # Of rows that the version before wrote.
        *(("admin", "supervisor"), ("machine", "system"), ("emergency", "system")),
    ],
)
def test_who_set_a_presence_is_told_in_the_words_of_today(stored: str | None, told: str | None) -> None:
    assert presence_answer(Presence(status=PresenceStatus.AWAY, set_by=stored)).set_by == told


@pytest.mark.parametrize("agent_id", ["5", "null", '""', r'"\u200b"', r'"\ud800"', "[]", "NaN", f'"{"a" * 601}"'])
def test_no_end_and_no_tie_is_lost_for_an_agent_id_that_cannot_be_used(agent_id: str) -> None:
    end = decode_report(b'{"reason":"dropped","agent_id":%s}' % agent_id.encode(), EndBody)
    assert (end.by_agent, end.named_agent()) == (False, None)
    tie = decode_report(b'{"server_call_id":"s","agent_id":%s}' % agent_id.encode(), TieBody)
    assert (tie.server_call_id, tie.named_agent()) == ("s", None)


@pytest.mark.parametrize("sent", [b"", b"null", b" null\r\n", BOM_UTF8, BOM_UTF8 + b"null"])
def test_a_body_of_which_every_field_has_a_default_may_be_missing_or_null(sent: bytes) -> None:
    assert decode_report(sent, EndBody) == EndBody()
    assert decode_or_default(sent, ReleaseBody) == ReleaseBody()
    with pytest.raises(Malformed):
        decode_report(sent, TieBody)
    with pytest.raises(Malformed):
        decode(sent, ContactsBody)


def test_what_a_report_of_a_call_must_hold_is_asked_for() -> None:
    for body, field in ((b'{"reason":"bored","agent_id":5}', "reason"), (b"[]", "body"), (b"{", "body")):
        with pytest.raises(Malformed) as refused:
            decode_report(body, EndBody)
        assert refused.value.field == field
    with pytest.raises(Malformed):
        decode_report(b"", TieBody)
    assert decode_report(b"", EndBody).by_agent
    assert decode_report(b'{"agent_id":"a%2Fb"}', EndBody).named_agent() == "a/b"
