"""`make run`: the local stack in the foreground until Ctrl-C, with an example agent in the directory."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from contextlib import suppress

from tests.local import stack
from tests.local.acs.control import TOKEN_HEADER
from tests.local.node_packages import InstallError
from tests.local.processes import ChildError, end_on_signals
from tests.local.psap import Simulator
from tests.local.stack import DANA, PSAP, SIGN_IN, Stack

DEFAULT_PORT = 7071


def main(arguments: Sequence[str] | None = None) -> int:
    """Serve until a signal comes; the exit status."""
    parser = argparse.ArgumentParser(prog="make run", description=__doc__)
    parser.add_argument("--port", type=int, default=DEFAULT_PORT, help="of the function app; 0 takes a free one")
    parser.add_argument("--workers", type=int, default=1, help="processes of the function app")
    chosen = parser.parse_args(arguments)
    end_on_signals()
    try:
        with suppress(KeyboardInterrupt):
            _serve(chosen.port, chosen.workers)
    except (ChildError, InstallError) as error:
        print(error, file=sys.stderr)
        return 1
    return 0


def _serve(port: int, workers: int) -> None:
    simulator = Simulator(DANA)
    settings = {"ALLOWED_ORIGINS": simulator.url}
    with (
        stack.running(settings=settings, port=port, workers=workers, ticking=True) as local,
        simulator.serving(local),
    ):
        dana = local.softphone(local.add_agent(DANA))
        dana.show("available")
        local.will_answer(DANA.acs_user_id)
        local.will_answer(stack.DESK)
        print(ready_line(local, simulator), flush=True)
        print(examples(local), flush=True)
        local.host.child.wait(None)
        raise ChildError("the function app ended by itself")


def ready_line(local: Stack, simulator: Simulator) -> str:
    """Where everything is, on one line; the pages of the product sign in by the way."""
    panel = signed_in(local, f"{stack.AGENT};{DANA.agent_id}", f"/api/ui/panel?agent={DANA.agent_id}")
    console = signed_in(local, stack.ADMIN, "/api/ui/console")
    return f"ready: API {local.url} | panel {panel} | console {console} | PSAP {simulator.url} | Ctrl-C ends it"


def signed_in(local: Stack, principal: str, page: str) -> str:
    """The address that signs a browser in and goes on to a page."""
    return f"{local.url.removesuffix('/api')}/dev/sign-in?as={principal}&to={page}"


def examples(local: Stack) -> str:
    """Commands that play the main job by hand."""
    api, ready = local.url, local.acs.ready
    sign_in = f"-H '{SIGN_IN}: {stack.AGENT};{DANA.agent_id}'"
    control = f"--cacert {ready.ca_file} -H '{TOKEN_HEADER}: {ready.control_token}' {ready.endpoint}/control"
    dial = f'{{"call_id":"call-1","agent_id":"{DANA.agent_id}","dialled":"911"}}'
    ring = f'{{"caller":"{PSAP}","dialled":"+1..."}}'
    return f"""
{DANA.name} dials 911; the answer names the number that was lent:
  curl -s {sign_in} -d '{dial}' {api}/emergency-calls
What her panel and her presence show, and the e-mail:
  curl -s {sign_in} {api}/agents/{DANA.agent_id}/panel
  curl -s {sign_in} {api}/agents/{DANA.agent_id}/presence
  curl -s {control}/emails
The responder calls back (with the number lent as "dialled"), and whom the call has reached:
  curl -s -d '{ring}' {control}/calls
  curl -s {control}/calls
The call ends:
  curl -s {sign_in} -X POST {api}/emergency-calls/call-1/end
"""


if __name__ == "__main__":
    sys.exit(main())
