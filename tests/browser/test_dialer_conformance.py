"""The scripted agent behaves as the calling SDK does: the same is played on both, the SDK without any network."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, Route

from tests.browser.desk import Desk

BUNDLED = """
export { CallClient } from "@azure/communication-calling";
export { AzureCommunicationTokenCredential } from "@azure/communication-common";
"""
SDK_START_MS = 40_000
# As much of a token as the client itself looks at: when it ends, and whose it is. Nobody signed it.
REAL = """async () => {
  const { CallClient, AzureCommunicationTokenCredential } = await import("/sdk.js");
  const part = (value) => btoa(JSON.stringify(value)).replaceAll("=", "");
  const resourceId = "7f1c2a94-5d0e-4b61-9a3c-2e8d4f60b7a1";
  const exp = Math.round(Date.now() / 1000) + 86400;
  const claims = { skypeid: `acs:${resourceId}_00000020-dana`, acsScope: "voip", resourceId, exp };
  const token = `${part({ alg: "RS256" })}.${part(claims)}.c2ln`;
  const client = new CallClient();
  window.agent = await client.createCallAgent(new AzureCommunicationTokenCredential(token), {
    emergencyCallOptions: { countryCode: "US" },
  });
}"""
STAND_IN = """async () => {
  const { StandInAgent } = await import("/ui/stand-in-agent.js");
  const fails = { steps: [[2, "Connecting"], [1500, "Disconnected", { code: 490, subCode: 4525 }]] };
  window.agent = new StandInAgent(fails);
}"""
FAILS = """async () => {
  const call = window.agent.startCall([{ phoneNumber: "933" }], { alternateCallerId: { phoneNumber: "abc" } });
  const seen = [call.state];
  const ended = new Promise((resolve) => {
    call.on("stateChanged", () => { seen.push(call.state); if (call.state === "Disconnected") resolve(); });
  });
  const tooEarly = await call.info.getServerCallId().then(() => "an id", (error) => error.code);
  await ended;
  return { seen, tooEarly, code: call.callEndReason.code };
}"""
HUNG_UP = """async ({ afterMs }) => {
  const call = window.agent.startCall([{ phoneNumber: "933" }]);
  const seen = [];
  const ended = new Promise((resolve) => {
    call.on("stateChanged", () => { seen.push(call.state); if (call.state === "Disconnected") resolve(); });
  });
  await new Promise((resolve) => setTimeout(resolve, afterMs));
  await call.hangUp();
  await ended;
  return { seen, code: call.callEndReason.code, subCode: call.callEndReason.subCode };
}"""
# The page around hangs up a call that the dialer placed, past the dialer.
CANCELLED = """async ({ api, afterMs }) => {
  const { createEmergencyDialer } = await import("/ui/emergency-dialer.js");
  const calls = [];
  const callAgent = {
    on: (...given) => window.agent.on(...given),
    off: (...given) => window.agent.off(...given),
    startCall: (...given) => { calls.push(window.agent.startCall(...given)); return calls.at(-1); },
  };
  const dialer = createEmergencyDialer({ api, callAgent, country: "US" });
  dialer.dial("911");
  await new Promise((resolve) => setTimeout(resolve, afterMs));
  await calls[0].hangUp();
  const deadline = performance.now() + 20000;
  while (dialer.state.phase !== "ended" && performance.now() < deadline) await new Promise((r) => setTimeout(r, 50));
  return { phase: dialer.state.phase, ended: dialer.state.ended, placed: calls.length };
}"""
DIALLED = """async ({ api }) => {
  const { createEmergencyDialer } = await import("/ui/emergency-dialer.js");
  const dialer = createEmergencyDialer({ api, callAgent: window.agent, country: "US" });
  dialer.dial("911");
  const deadline = performance.now() + 20000;
  while (dialer.state.phase !== "ended" && performance.now() < deadline) await new Promise((r) => setTimeout(r, 50));
  return { phase: dialer.state.phase, ended: dialer.state.ended };
}"""


@pytest.fixture(scope="module")
def sdk(modules: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The calling SDK as one module; a development dependency that is never shipped."""
    folder = tmp_path_factory.mktemp("sdk")
    (folder / "node_modules").symlink_to(modules)
    (folder / "entry.js").write_text(BUNDLED, "utf-8")
    bundle = ("--bundle", "--format=esm", "--outfile=sdk.js", "--log-level=error")
    subprocess.run([str(modules / ".bin" / "esbuild"), "entry.js", *bundle], cwd=folder, check=True, timeout=120)
    return folder / "sdk.js"


@pytest.fixture(scope="module", params=["real", "stand-in"])
def agent(request: pytest.FixtureRequest, browser: Browser, desk_server: Desk, sdk: Path) -> Iterator[Page]:
    """A page with a calling agent on it, from which nothing but the desk can be reached."""
    context = browser.new_context()
    context.set_default_timeout(SDK_START_MS)

    address = at_localhost(desk_server)

    def reach(route: Route) -> None:
        if route.request.url == f"{address}/sdk.js":
            route.fulfill(path=sdk, content_type="text/javascript")
        elif route.request.url.startswith(address):
            route.continue_()
        else:
            route.abort()

    page = context.new_page()
    page.route("**/*", reach)
    page.goto(address)
    page.evaluate(REAL if request.param == "real" else STAND_IN)
    yield page
    context.close()


def at_localhost(desk: Desk) -> str:
    """The desk's address by name: the SDK runs on a plain page only where its host is called so."""
    return desk.address.replace("127.0.0.1", "localhost")


def play(agent: Page, script: str, **given: object) -> dict[str, Any]:
    answer: dict[str, Any] = agent.evaluate(script, given)
    return answer


def wait_for_the_end(agent: Page, desk: Desk) -> None:
    """Until the dialer told the end, or a test fails for want of it."""
    for _ in range(100):
        if desk.ends:
            return
        agent.wait_for_timeout(50)


def test_a_dial_that_fails_throws_nothing_and_the_servers_id_comes_later(agent: Page) -> None:
    failed = play(agent, FAILS)
    assert failed["seen"][0] == "None" and failed["seen"][-2:] == ["Connecting", "Disconnected"], json.dumps(failed)
    assert (failed["tooEarly"], failed["code"]) == (404, 490)


@pytest.mark.parametrize("after_ms", [20, 500])
def test_a_call_hung_up_while_it_connects_is_disconnecting_and_ends_with_a_code_of_its_caller(
    agent: Page, after_ms: int
) -> None:
    ended = play(agent, HUNG_UP, afterMs=after_ms)
    assert ended["seen"] == ["Connecting", "Disconnecting", "Disconnected"], json.dumps(ended)
    # Which of the two depends on how far the SDK has come, not on the clock.
    assert (ended["code"], ended["subCode"]) in {(0, 0), (0, 4501)}, json.dumps(ended)


@pytest.mark.parametrize("after_ms", [20, 500])
def test_a_call_that_the_page_hangs_up_while_it_connects_is_not_placed_again(
    agent: Page, desk: Desk, after_ms: int
) -> None:
    cancelled = play(agent, CANCELLED, api=f"{at_localhost(desk)}/api", afterMs=after_ms)
    assert cancelled == {"phase": "ended", "ended": "dropped", "placed": 1}
    wait_for_the_end(agent, desk)
    assert desk.ends == ["dropped"]


def test_the_dialer_tries_twice_and_reports_a_drop(agent: Page, desk: Desk) -> None:
    dialled = play(agent, DIALLED, api=f"{at_localhost(desk)}/api")
    assert (dialled["phase"], dialled["ended"]) == ("ended", "dropped")
    wait_for_the_end(agent, desk)
    assert desk.ends == ["dropped"] and len(desk.reports) == 1
