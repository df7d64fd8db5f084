"""Who may do what with whose record: every route about an agent by whose it is by every role, through the host.

An Agent gets one answer for whatever is not their own, whether it exists or not: status, headers and body are equal
but for ids, and so is the time that it takes (specification, *who speaks for whom*).
"""

from __future__ import annotations

import random
import re
import statistics
import time
from collections.abc import Callable, Iterator, Mapping
from typing import NamedTuple
from uuid import uuid4

import httpx
import pytest

from tests.integration.used import new_agent, new_id, note
from tests.leaks import Kind
from tests.local.stack import ADMIN, AGENT, MACHINE, SUPERVISOR, Stack

pytestmark = pytest.mark.process

UNTOLD_HEADERS = {"date", "server", "connection", "x-request-id", "content-length"}
# Ids and times, which differ between answers that tell the same.
VARIES = re.compile(r'"(call_id|agent_id|expires_at|at)":"[^"]*"')
IN_THE_DIRECTORY = ("listed", "another's listed", "without object id")
TIMED, ROUNDS = 200, 3


class Record(NamedTuple):
    """Somebody's record: the id for the routes, and a call of theirs."""

    agent_id: str
    call_id: str


class Scene(NamedTuple):
    """Who there is: records by whose they are, and who asks."""

    local: Stack
    records: Mapping[str, Record]
    dana: str
    eve: str


def signed_in(object_id: str) -> str:
    """An Agent's sign-in as Microsoft Entra gives it: an object id, and no more."""
    return f"{AGENT};oid:{object_id}"


def new_object_id() -> str:
    made = str(uuid4())
    note(made, kind=Kind.AGENT)
    return made


@pytest.fixture(scope="module")
def scene(wide_stack: Stack) -> Iterator[Scene]:
    """All of them are in an emergency, but for the one of whom nobody knows."""
    local, dana, eve, zoe = wide_stack, new_object_id(), new_object_id(), new_object_id()
    listed = new_agent(entra_object_id=dana)
    another = new_agent(entra_object_id=new_object_id())
    nameless = new_agent()
    for agent in (listed, another, nameless):
        local.add_agent(agent)
    records = {
        "listed": Record(listed.agent_id, dialled(local, listed.agent_id, signed_in(dana))),
        "unlisted": Record(own := new_id("agent"), dialled(local, own, signed_in(eve))),
        "another's listed": Record(another.agent_id, dialled(local, another.agent_id, MACHINE)),
        "another's unlisted": Record(other := new_id("agent"), dialled(local, other, signed_in(zoe))),
        "a machine's unlisted": Record(served := new_id("agent"), dialled(local, served, MACHINE)),
        "without object id": Record(nameless.agent_id, dialled(local, nameless.agent_id, MACHINE)),
        "unknown": Record(new_id("agent"), new_id()),
    }
    local.wait_until_nothing_is_owed()
    yield Scene(local, records, dana, eve)
    for record in records.values():
        local.ask("POST", f"agents/{record.agent_id}/release", {"legs": True}, principal=SUPERVISOR)
    local.wait_until_nothing_is_owed()


def dialled(local: Stack, agent_id: str, principal: str) -> str:
    body = {"call_id": new_id(), "agent_id": agent_id, "dialled": "911"}
    answer = local.ask("POST", "emergency-calls", body, principal=principal).raise_for_status().json()
    assert (answer["agent_id"], answer["ignored"], answer["degraded"]) == (agent_id, [], False)
    return str(body["call_id"])


def named(each: Record) -> object:
    return {"call_id": new_id(), "agent_id": each.agent_id, "dialled": "911", "country": "US"}


def nothing(_each: Record) -> object:
    return None


class Route(NamedTuple):
    """A request about a record; `others` is the status of the answer about whatever is not the asking Agent's own.

    `begins`: it begins a call of whoever asks, who is somebody new each time.
    """

    method: str
    path: Callable[[Record], str]
    body: Callable[[Record], object] = nothing
    listed_only: bool = False
    others: int = 403
    begins: bool = False


ROUTES = {
    "panel_state": Route("GET", lambda each: f"agents/{each.agent_id}/panel"),
    "presence_state": Route("GET", lambda each: f"agents/{each.agent_id}/presence"),
    "presence_set": Route("PUT", lambda each: f"agents/{each.agent_id}/presence", lambda _: {"status": "busy"}),
    "presence_released": Route("POST", lambda each: f"agents/{each.agent_id}/release"),
    "desktop_reported": Route(
        "PUT", lambda each: f"agents/{each.agent_id}/desktop", lambda _: {"desktop_id": "walk"}, listed_only=True
    ),
    "desktop_read": Route("GET", lambda each: f"agents/{each.agent_id}/desktop", listed_only=True),
    "call_updated": Route("PATCH", lambda each: f"emergency-calls/{each.call_id}", lambda _: {"server_call_id": "s"}),
    "call_ended": Route("POST", lambda each: f"emergency-calls/{each.call_id}/end", others=202),
    "call_started": Route("POST", lambda _: "emergency-calls", named, others=201, begins=True),
}  # fmt: skip


TIMED_ROUTES = ("panel_state", "presence_released", "presence_state", "desktop_read", "call_updated", "call_ended")
# The others do something for whoever's it is.
TIMED_OWN = ("panel_state",)


def asked(scene: Scene, route: str, record: str, principal: str) -> httpx.Response:
    how, whose = ROUTES[route], scene.records[record]
    return scene.local.ask(how.method, how.path(whose), how.body(whose), principal=principal)


def told(answer: httpx.Response) -> tuple[int, dict[str, str], str]:
    """All that an answer tells, but for ids and times."""
    headers = {name: value for name, value in answer.headers.items() if name.lower() not in UNTOLD_HEADERS}
    return answer.status_code, headers, VARIES.sub(r'"\1":…', answer.text)


def who_asks(scene: Scene, asking: str, *, anew: bool) -> str:
    """The object id of whoever signs in."""
    if not anew:
        return {"listed": scene.dana, "unlisted": scene.eve}.get(asking) or new_object_id()
    made = new_object_id()
    if asking == "listed":
        scene.local.add_agent(new_agent(entra_object_id=made))
    return made


@pytest.mark.parametrize("asking", ["listed", "unlisted", "nobody's"])
@pytest.mark.parametrize("route", ROUTES)
def test_an_agent_gets_one_answer_for_whatever_is_not_their_own(scene: Scene, route: str, asking: str) -> None:
    how = ROUTES[route]
    principal = signed_in(who_asks(scene, asking, anew=how.begins))
    if how.begins:
        # A redial keeps the number, so that none of the answers below is that of a first dial.
        asked(scene, route, "unknown", principal)
    others = [record for record in scene.records if record != asking]
    answers = {record: told(asked(scene, route, record, principal)) for record in others}
    assert {answer[0] for answer in answers.values()} == {how.others}
    if how.begins and asking != "listed":
        # Who is in the directory is no secret here: an id that is somebody's is not used (contract, *Who is who*).
        assert len({str(answers.pop(record)) for record in IN_THE_DIRECTORY if record in answers}) == 1
    assert len({str(answer) for answer in answers.values()}) == 1, answers


@pytest.mark.parametrize("asking", ["listed", "unlisted"])
@pytest.mark.parametrize("route", ROUTES)
def test_an_agent_may_do_all_that_is_their_own(scene: Scene, route: str, asking: str) -> None:
    how = ROUTES[route]
    who = signed_in(scene.dana if asking == "listed" else scene.eve)
    if route == "call_ended":
        own = scene.records[asking]
        scene = scene._replace(records={asking: own._replace(call_id=dialled(scene.local, own.agent_id, who))})
    answer = asked(scene, route, asking, who)
    if asking == "unlisted" and how.listed_only:
        # What is kept beside the directory is kept of those who are in it.
        assert answer.status_code == 403
    elif route == "desktop_read":
        assert answer.status_code in (200, 404)
    else:
        assert answer.status_code == (201 if how.begins else 200)


def test_an_end_of_what_is_not_ones_own_is_kept_and_tells_nothing(scene: Scene) -> None:
    answers = {}
    for record, whose in scene.records.items():
        for principal in (signed_in(scene.dana), signed_in(scene.eve)):
            if record not in ("listed", "unlisted"):
                answer = scene.local.ask("POST", f"emergency-calls/{whose.call_id}/end", principal=principal)
                plain = answer.text.replace(whose.call_id, "ID")
                answers[record, principal] = (answer.status_code, plain)
    assert set(answers.values()) == {(202, '{"call_id":"ID","known":false}')}, answers
    for record in ("another's listed", "a machine's unlisted", "without object id"):
        panel = asked(scene, "panel_state", record, MACHINE).json()
        assert panel["mode"] == "emergency", record


@pytest.mark.parametrize("route", ["panel_state", "presence_released", "call_updated"])
def test_a_machine_learns_nothing_of_whom_another_reported(scene: Scene, route: str) -> None:
    """Nor may it speak for them; whom an object id names is anybody's to report."""
    other = f"{MACHINE};oid:{new_object_id()}"
    records = ["a machine's unlisted", "unknown"] + (["another's unlisted"] if route == "panel_state" else [])
    answers = {record: told(asked(scene, route, record, other)) for record in records}
    assert len({str(answer) for answer in answers.values()}) == 1, answers
    for record in ("listed", "another's listed", "without object id"):
        status = asked(scene, route, record, other).status_code
        assert status == (403 if route == "presence_released" else 200), record
    if route != "presence_released":
        assert asked(scene, route, "a machine's unlisted", MACHINE).status_code == 200


@pytest.mark.parametrize("principal", [SUPERVISOR, ADMIN], ids=["supervisor", "admin"])
@pytest.mark.parametrize("record", ["listed", "unlisted", "another's unlisted", "a machine's unlisted"])
def test_the_office_sees_everybodys(scene: Scene, record: str, principal: str) -> None:
    answer = asked(scene, "panel_state", record, principal)
    assert answer.status_code == 200 and answer.json()["mode"] == "emergency"
    assert asked(scene, "presence_state", record, principal).status_code == 200
    assert asked(scene, "call_updated", record, principal).status_code == 403
    assert asked(scene, "desktop_read", record, principal).status_code == 403


@pytest.mark.long
@pytest.mark.parametrize("asking", ["listed", "unlisted"])
@pytest.mark.parametrize("route", TIMED_ROUTES)
def test_the_time_that_an_answer_takes_tells_nothing(
    scene: Scene, route: str, asking: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """200 of each in turn: own, another's and unknown; medians within 10 %. Chance does not show three times over."""
    kinds = ["another's listed", "another's unlisted", "unknown", *([asking] if route in TIMED_OWN else [])]
    principal = signed_in(who_asks(scene, asking, anew=False))
    taken: dict[str, list[float]] = {kind: [] for kind in kinds}
    chance = random.Random(7)
    for _ in range(ROUNDS):
        for _ in range(TIMED):
            # In another order each time: what came before an answer must tell nothing either.
            for kind in chance.sample(kinds, len(kinds)):
                began = time.perf_counter()
                asked(scene, route, kind, principal)
                taken[kind].append(time.perf_counter() - began)
        medians = {kind: statistics.median(each) * 1000 for kind, each in taken.items()}
        with capsys.disabled():
            print("", *(f"\n  {route}, {asking} asks, {kind}: {ms:.2f} ms" for kind, ms in medians.items()))
        if max(medians.values()) <= 1.1 * min(medians.values()):
            return
    raise AssertionError(medians)
