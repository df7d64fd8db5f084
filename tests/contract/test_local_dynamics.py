"""The stand-in of Dataverse is as strict as the documents: tokens, roles, OData, limits, and what it does by itself."""

from __future__ import annotations

import ssl
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from http.client import RemoteDisconnected
from typing import Any, ClassVar

import httpx
import pytest

from tests.local.dynamics import AVAILABLE, AWAY, BUSY_DND, INACTIVE, OFFLINE, TRAINING, Fault, LocalDynamics
from tests.local.dynamics.limits import MAX_AT_ONCE, MAX_REQUESTS

pytestmark = pytest.mark.process
AGENT = "22222222-0000-0000-0000-00000000000a"
SUPERVISOR = "22222222-0000-0000-0000-00000000000b"
ODATA = {"OData-Version": "4.0", "OData-MaxVersion": "4.0", "Accept": "application/json"}
STATUS = f"msdyn_agentstatuses?$filter=_msdyn_agentid_value eq {AGENT}"


@pytest.fixture(scope="module")
def running() -> Iterator[LocalDynamics]:
    with LocalDynamics.start() as dynamics:
        yield dynamics


@pytest.fixture
def dynamics(running: LocalDynamics) -> LocalDynamics:
    running.reset()
    running.organisation.sign_in(AGENT)
    return running


@pytest.fixture(autouse=True)
def closed() -> Iterator[None]:
    yield
    while Client.made:
        Client.made.pop().http.close()


class Client:
    """Somebody with a token."""

    made: ClassVar[list[Client]] = []

    def __init__(self, dynamics: LocalDynamics, token: str | None = None, **headers: str) -> None:
        sent = ODATA | {"Authorization": f"Bearer {token or dynamics.token()}"} | headers
        trusted = ssl.create_default_context(cafile=dynamics.ca_file)
        base = f"{dynamics.url}/api/data/v9.2/"
        self.http = httpx.Client(base_url=base, headers=sent, verify=trusted, timeout=10, trust_env=False)
        self.made.append(self)

    def get(self, target: str) -> httpx.Response:
        return self.http.get(target)

    def status(self) -> dict[str, Any]:
        [row] = self.get(STATUS).raise_for_status().json()["value"]
        return dict(row)

    def modify(self, presence: str, agent: str = AGENT, **more: str) -> httpx.Response:
        body = {"ApiVersion": "1.0", "AgentId": agent, "PresenceId": presence} | more
        return self.http.post("CCaaS_ModifyAgentPresence", json=body)


def wait_until(holds: Callable[[], bool]) -> None:
    """Wait for what the threads of the stand-in do."""
    until = time.monotonic() + 10
    while not holds():
        assert time.monotonic() < until, "not in time"
        time.sleep(0.01)


def code_of(answer: httpx.Response) -> tuple[int, str]:
    return answer.status_code, answer.json()["error"]["code"]


class TestWhoMay:
    @pytest.mark.parametrize("claims", [{"audience": "https://other.example"}, {"for_s": -60}])
    def test_a_token_is_for_this_organisation(self, dynamics: LocalDynamics, claims: dict[str, Any]) -> None:
        answer = Client(dynamics, dynamics.token(**claims)).get(STATUS)
        assert answer.status_code == 401 and "Bearer" in answer.headers["WWW-Authenticate"]

    def test_an_application_that_is_no_user_here(self, dynamics: LocalDynamics) -> None:
        answer = Client(dynamics, dynamics.token(app_id="00000000-0000-0000-0000-0000000000ff")).get("WhoAmI")
        assert code_of(answer) == (403, "0x80072560")

    def test_without_the_role_neither_a_look_nor_a_set(self, dynamics: LocalDynamics) -> None:
        dynamics.organisation.privileged.clear()
        client = Client(dynamics)
        assert code_of(client.get(STATUS)) == code_of(client.modify(BUSY_DND)) == (403, "0x80040220")
        assert client.get("WhoAmI").json()["UserId"] == dynamics.organisation.own_user

    @pytest.mark.parametrize("header", ["MSCRMCallerID", "CallerObjectId"])
    def test_whoever_impersonates_has_what_both_have(self, dynamics: LocalDynamics, header: str) -> None:
        client = Client(dynamics, **{header: AGENT})
        assert code_of(client.modify(BUSY_DND)) == (403, "0x80040220")
        assert dynamics.requests[-1].impersonates == AGENT
        dynamics.organisation.privileged.add(AGENT)
        assert client.modify(BUSY_DND).status_code == 200

    def test_an_organisation_that_does_not_allow_the_api(self, dynamics: LocalDynamics) -> None:
        dynamics.organisation.api_refuses = 405
        assert Client(dynamics).modify(BUSY_DND).status_code == 405


class TestOData:
    def test_a_row_as_it_is_documented(self, dynamics: LocalDynamics) -> None:
        answer = Client(dynamics).get(STATUS)
        assert answer.headers["OData-Version"] == "4.0"
        [row] = answer.json()["value"]
        assert row["@odata.etag"].startswith('W/"')
        assert (row["_msdyn_currentpresenceid_value"], row["msdyn_isagentloggedin"]) == (AVAILABLE, True)
        assert "msdyn_currentpresenceid" not in row, "only what is expanded comes along"

    def test_what_is_expanded_and_selected(self, dynamics: LocalDynamics) -> None:
        more = "&$select=msdyn_isagentloggedin&$expand=msdyn_currentpresenceid($select=msdyn_basepresencestatus)"
        [row] = Client(dynamics).get(STATUS + more).json()["value"]
        assert {name for name in row if not name.startswith("@")} == {
            "msdyn_isagentloggedin",
            "msdyn_currentpresenceid",
        }
        assert row["msdyn_currentpresenceid"] == {"msdyn_basepresencestatus": 192360000}

    @pytest.mark.parametrize(
        "target",
        [
            "msdyn_agentstatuses",
            STATUS + "&$select=msdyn_nothing",
            STATUS + "&$expand=msdyn_nothing($select=msdyn_name)",
            STATUS + "&$expand=msdyn_currentpresenceid($select=msdyn_nothing)",
            STATUS + "&$search=x",
            "msdyn_agentstatuses?$filter=_msdyn_agentid_value eq 'text'",
        ],
    )
    def test_what_it_cannot_read_is_refused(self, dynamics: LocalDynamics, target: str) -> None:
        assert Client(dynamics).get(target).status_code == 400

    def test_a_column_that_an_older_organisation_does_not_have(self, dynamics: LocalDynamics) -> None:
        column = "_msdyn_presencemodifiedbyuserid_value"
        assert Client(dynamics).get(f"{STATUS}&$select={column}").status_code == 200
        dynamics.organisation.names_users = False
        assert Client(dynamics).get(f"{STATUS}&$select={column}").status_code == 400

    def test_a_table_that_there_is_not(self, dynamics: LocalDynamics) -> None:
        assert Client(dynamics).get("msdyn_nothings").status_code == 404

    @pytest.mark.parametrize("header", ["OData-Version", "OData-MaxVersion"])
    def test_the_version_is_to_be_named(self, dynamics: LocalDynamics, header: str) -> None:
        assert Client(dynamics, **{header: ""}).get(STATUS).status_code == 400

    @pytest.mark.parametrize(
        "more", [{"PresenceId": "text"}, {"AgentId": "text"}, {"ApiVersion": "2.0"}, {"Comment": "more"}]
    )
    def test_the_arguments_of_a_set(self, dynamics: LocalDynamics, more: dict[str, str]) -> None:
        assert Client(dynamics).modify(BUSY_DND, **more).status_code == 400
        assert dynamics.organisation.presence(AGENT) == "Available"

    def test_a_presence_that_nobody_can_choose(self, dynamics: LocalDynamics) -> None:
        assert Client(dynamics).modify(INACTIVE).status_code == 400

    def test_the_table_is_not_written_directly(self, dynamics: LocalDynamics) -> None:
        assert Client(dynamics).http.patch(STATUS, json={}).status_code == 405


class TestPresence:
    def test_a_set_is_done_and_says_by_whom(self, dynamics: LocalDynamics) -> None:
        client = Client(dynamics)
        before = client.status()
        answer = client.modify(BUSY_DND)
        assert (answer.status_code, answer.content) == (200, b"")
        after = client.status()
        assert after["_msdyn_currentpresenceid_value"] == BUSY_DND
        assert after["_msdyn_presencemodifiedbyuserid_value"] == dynamics.organisation.own_user
        assert after["@odata.etag"] != before["@odata.etag"]

    def test_who_changed_it(self, dynamics: LocalDynamics) -> None:
        client = Client(dynamics)
        said = [client.status()["msdyn_presencemodifiedby"]]
        dynamics.organisation.choose(AGENT, AWAY)
        said.append(client.status()["msdyn_presencemodifiedby"])
        dynamics.organisation.assign(AGENT, AVAILABLE, SUPERVISOR)
        said.append(client.status()["msdyn_presencemodifiedby"])
        assert said == ["SYSTEM", "AGENT", "SUPERVISOR"]
        dynamics.organisation.choose(AGENT, TRAINING)
        assert client.status()["_msdyn_presencemodifiedbyuserid_value"] == AGENT

    @pytest.mark.parametrize(("away_s", "restored"), [(120, "Busy DND"), (180, "Available")])
    def test_a_disconnection_is_offline_at_once_and_for_a_while_undone(
        self, dynamics: LocalDynamics, away_s: int, restored: str
    ) -> None:
        client = Client(dynamics)
        client.modify(BUSY_DND)
        dynamics.organisation.disconnect(AGENT)
        row = client.status()
        assert (row["_msdyn_currentpresenceid_value"], row["msdyn_isagentloggedin"]) == (OFFLINE, False)
        dynamics.advance(away_s)
        dynamics.organisation.reconnect(AGENT)
        assert dynamics.organisation.presence(AGENT) == restored

    def test_capacity_changes_it(self, dynamics: LocalDynamics) -> None:
        dynamics.organisation.recalculate(AGENT, AWAY)
        assert Client(dynamics).status()["msdyn_presencemodifiedby"] == "SYSTEM"

    @pytest.mark.parametrize("status", [200, 400, 404])
    def test_who_is_not_signed_in_is_not_set(self, dynamics: LocalDynamics, status: int) -> None:
        dynamics.organisation.sign_out(AGENT)
        dynamics.organisation.signed_out_status = status
        assert Client(dynamics).modify(BUSY_DND).status_code == status
        assert dynamics.organisation.presence(AGENT) == "Offline"

    def test_who_never_signed_in_has_no_row(self, dynamics: LocalDynamics) -> None:
        nobody = "22222222-0000-0000-0000-0000000000ff"
        client = Client(dynamics)
        assert client.get(STATUS.replace(AGENT, nobody)).json()["value"] == []
        assert client.modify(BUSY_DND, nobody).status_code == 404

    def test_a_read_may_lag(self, dynamics: LocalDynamics) -> None:
        dynamics.advance(60)
        dynamics.organisation.lag = timedelta(seconds=5)
        client = Client(dynamics)
        client.modify(BUSY_DND)
        assert client.status()["_msdyn_currentpresenceid_value"] == AVAILABLE
        dynamics.advance(6)
        assert client.status()["_msdyn_currentpresenceid_value"] == BUSY_DND


class TestLimitsAndFaults:
    def test_six_thousand_requests_in_five_minutes(self, dynamics: LocalDynamics) -> None:
        for _ in range(MAX_REQUESTS):
            with dynamics.limits.request():
                pass
        dynamics.limits.execution_s = 0.0
        answer = Client(dynamics).get(STATUS)
        assert code_of(answer) == (429, "0x80072322") and int(answer.headers["Retry-After"]) > 200
        dynamics.advance(301)
        assert Client(dynamics).get(STATUS).status_code == 200

    def test_twenty_minutes_of_execution(self, dynamics: LocalDynamics) -> None:
        dynamics.limits.execution_s = 700.0
        client = Client(dynamics)
        assert client.get(STATUS).status_code == 200
        assert code_of(client.get(STATUS)) == (429, "0x80072321")

    def test_fifty_two_at_once(self, dynamics: LocalDynamics) -> None:
        dynamics.faults += [Fault("hang")] * MAX_AT_ONCE
        with ThreadPoolExecutor(MAX_AT_ONCE) as executor:
            hanging = [executor.submit(Client(dynamics).get, STATUS) for _ in range(MAX_AT_ONCE)]
            wait_until(lambda: not dynamics.faults)
            assert code_of(Client(dynamics).get(STATUS)) == (429, "0x80072326")
            dynamics.reset()
            assert all(isinstance(each.exception(), httpx.HTTPError) for each in hanging)

    def test_faults_in_their_order(self, dynamics: LocalDynamics) -> None:
        client = Client(dynamics)
        dynamics.faults += [None, Fault("status", 503, retry_after_s=7), Fault("body", body="<html>"), Fault("drop")]
        assert client.get(STATUS).status_code == 200
        assert client.get(STATUS).headers["Retry-After"] == "7"
        assert client.get(STATUS).text == "<html>"
        with pytest.raises((httpx.HTTPError, RemoteDisconnected)):
            client.get(STATUS)
        assert dynamics.count("msdyn_agentstatuses") == 4

    @pytest.mark.parametrize(("kind", "shown"), [("lost", "Busy DND"), ("late", "Available")])
    def test_a_set_whose_answer_does_not_come(self, dynamics: LocalDynamics, kind: Any, shown: str) -> None:
        dynamics.faults.append(Fault(kind))
        with pytest.raises(httpx.HTTPError):
            Client(dynamics).modify(BUSY_DND)
        assert dynamics.organisation.presence(AGENT) == shown
        assert dynamics.land() == (kind == "late")
        assert dynamics.organisation.presence(AGENT) == "Busy DND"
