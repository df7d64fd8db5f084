"""As deployed: no key anywhere. Tables, calls and mail by the app's managed identity; and what happens when that fails.

Tokens come from a stand-in for App Service's identity endpoint; Azurite and the stand-in of Communication Services
look at them, and refuse whoever brings none.
"""

from __future__ import annotations

import ssl
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import httpx
import pytest

from tests.integration.used import contacts, new_agent, new_id
from tests.local import azurite, identity
from tests.local.acs import LocalAcs, poll
from tests.local.identity import Behaviour, ManagedIdentity
from tests.local.stack import FALLBACK, POOL, Softphone, Stack, example_settings

pytestmark = pytest.mark.process
BUDGET_S = 0.9
# What a test machine that is busy adds to the budget of an answer.
BUSY_S = 1.5
PATIENCE_S = 60.0
# In the last four to five minutes of a token the SDK's client asks its credential for another with each request.
ASKED_EACH_TIME_S = 240


@contextmanager
def deployed(
    folder: Path, behaviour: Behaviour = "answer", lifetime_s: int = identity.LIFETIME_S
) -> Iterator[tuple[Stack, ManagedIdentity]]:
    """The stack with the settings that infra deploys; no connection string."""
    with ExitStack() as undo:
        storage = undo.enter_context(azurite.running(services=["table"], identity=True))
        acs = undo.enter_context(LocalAcs.start(log=folder / "acs.log"))
        managed = undo.enter_context(identity.running(key=acs.ready.access_key))
        managed.behaviour, managed.lifetime_s = behaviour, lifetime_s
        trusted = folder / "trusted.pem"
        assert storage.ca_file
        trusted.write_text(Path(storage.ca_file).read_text("utf-8") + Path(acs.ca_file).read_text("utf-8"), "utf-8")
        settings = example_settings(storage, acs) | managed.app_settings()
        settings |= {
            "TABLES_CONNECTION_STRING": "",
            "TABLES_ENDPOINT": storage.url(),
            "COMMUNICATION_SERVICES_CONNECTION_STRING": "",
            "COMMUNICATION_SERVICES_ENDPOINT": acs.ready.endpoint,
            "REQUESTS_CA_BUNDLE": str(trusted),
        }
        local = Stack(storage, acs, settings, folder)
        undo.callback(local.close)
        local.start_host(well=behaviour == "answer")
        yield local, managed


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Stack, ManagedIdentity]]:
    with deployed(tmp_path_factory.mktemp("identity")) as made:
        yield made


def test_tables_calls_and_mail_by_the_managed_identity(running: tuple[Stack, ManagedIdentity]) -> None:
    local, managed = running
    dana = local.softphone(local.add_agent(new_agent()))
    local.will_answer(dana.agent.acs_user_id)
    dana.show("available")
    lent = dana.dial(new_id())
    assert lent.callback_number in POOL
    for contact in contacts(dana.agent):
        local.wait_for_email(contact)
    dana.wait_for_presence("do_not_disturb")
    local.end_callback(local.wait_for_answer(local.ring(lent.callback_number)))
    resources = {resource.rstrip("/") for resource in managed.asked}
    assert resources == {"https://storage.azure.com", "https://communication.azure.com"}
    assert managed.refused == []
    assert "AccountKey" not in " ".join(local.settings.values())


def test_a_token_is_kept_and_not_asked_for_with_each_request(running: tuple[Stack, ManagedIdentity]) -> None:
    local, managed = running
    before = len(managed.asked)
    dana = local.softphone(local.add_agent(new_agent()))
    for _ in range(3):
        dana.dial(new_id())
    assert len(managed.asked) == before


def test_the_services_refuse_whoever_brings_no_token(running: tuple[Stack, ManagedIdentity]) -> None:
    local, managed = running
    address = f"{local.settings['TABLES_ENDPOINT']}/emergencies"
    trust = ssl.create_default_context(cafile=local.settings["REQUESTS_CA_BUNDLE"])
    forged = {"Authorization": "Bearer nonsense", "x-ms-version": "2019-02-02"}
    assert httpx.get(address, headers=forged, verify=trust).status_code in (401, 403)
    calls = f"{local.settings['COMMUNICATION_SERVICES_ENDPOINT']}/calling/callConnections/1?api-version=2025-05-15"
    foreign = {"Authorization": f"Bearer {managed.token('https://storage.azure.com')}"}
    assert httpx.get(calls, headers=foreign, verify=trust).status_code == 401


def test_an_endpoint_that_hangs_takes_nothing_away_while_the_tokens_live(tmp_path: Path) -> None:
    with deployed(tmp_path, lifetime_s=ASKED_EACH_TIME_S) as (local, managed):
        dana = local.softphone(local.add_agent(new_agent()))
        local.will_answer(dana.agent.acs_user_id)
        local.end_callback(local.wait_for_answer(local.ring(dana.dial(new_id()).callback_number)))
        for contact in contacts(dana.agent):
            local.wait_for_email(contact)
        managed.behaviour = "hang"
        robin = local.softphone(local.add_agent(new_agent()))
        local.will_answer(robin.agent.acs_user_id)
        lent = robin.dial(new_id())
        assert lent.callback_number in POOL and not lent.degraded
        local.end_callback(local.wait_for_answer(local.ring(lent.callback_number)))
        for contact in contacts(robin.agent):
            local.wait_for_email(contact)


LONG = pytest.mark.long


@pytest.mark.parametrize(
    "behaviour", ["hang", "refuse", pytest.param("fail", marks=LONG), pytest.param("nonsense", marks=LONG)]
)
def test_without_its_identity_the_app_is_degraded_and_hangs_nowhere(behaviour: Behaviour, tmp_path: Path) -> None:
    with deployed(tmp_path, behaviour) as (local, managed):
        dana = Softphone(local, new_agent())
        # The first one pays for the imports of a cold process.
        dana.dial(new_id())
        for _ in range(3):
            began = time.monotonic()
            lent = dana.dial(new_id())
            took_s = time.monotonic() - began
            assert (lent.callback_number, lent.degraded) == (FALLBACK, True)
            assert took_s < BUDGET_S + BUSY_S
        assert httpx.get(f"{local.host.url}/api/health", timeout=PATIENCE_S).status_code == 503
        managed.behaviour = "answer"
        managed.ended.set()

        def mended() -> bool:
            return not dana.dial(new_id()).degraded

        poll(mended, within_s=PATIENCE_S, what="a dial that is recorded once the identity is back")
