"""Every adapter that signs in as the app, and the app, in the environment of the process that runs this.

The SDK reads that environment of its own accord, so that a test which varies it needs a process for each.
"""

import json
import os
import sys
from collections.abc import Callable, Mapping
from uuid import uuid4

from shared.adapters.acs_calls import AcsCalls
from shared.adapters.acs_email import AcsEmail
from shared.adapters.acs_recordings import AcsRecordings
from shared.adapters.acs_telephony import AcsTelephony
from shared.adapters.bearer_client import BearerService
from shared.adapters.graph_email import GraphEmail
from shared.adapters.sdk_table import SdkTable
from shared.adapters.system_clock import SystemClock
from shared.adapters.table_account import TableAccount
from shared.bootstrap import compose
from shared.deadlines import Deadline
from shared.domain.dials import Dial
from shared.ports import Email
from tests.fakes.house import everybody

CLOCK = SystemClock()
NOWHERE, SENDER, RECORDING = "https://127.0.0.1:1", "a@b.example", "https://us-storage.asm.skype.com/v1/objects/example"


def soon() -> Deadline:
    return Deadline(CLOCK, 5.0)


def message() -> Email:
    return Email(operation_id=str(uuid4()), recipients=(SENDER,), subject="Subject", text="Text", html="Text")


def outcomes() -> dict[str, str]:
    """What came of each request and each warm-up: the class of the error, or `done`."""
    table = SdkTable(TableAccount(clock=CLOCK, endpoint=NOWHERE), table_name="table", partition="p")
    calls, email = AcsCalls(clock=CLOCK, endpoint=NOWHERE), AcsEmail(sender=SENDER, clock=CLOCK, endpoint=NOWHERE)
    recordings, telephony = AcsRecordings(endpoint=NOWHERE), AcsTelephony(clock=CLOCK, endpoint=NOWHERE)
    graph_email = GraphEmail(sender=SENDER, url=NOWHERE, clock=CLOCK)
    bearer = BearerService("presence", url=NOWHERE, clock=CLOCK, threads=1)
    asks: Mapping[str, Callable[[], object]] = {
        "table": lambda: table.get("row", soon()).result(),
        "table warm-up": table.warm_up,
        "calls": lambda: calls.redirect("context", "+14255550100", origin="o", deadline=soon()),
        "calls warm-up": calls.warm_up,
        "email": lambda: email.send(message(), soon()),
        "email warm-up": email.warm_up,
        "deletion": lambda: recordings.delete(RECORDING, soon()),
        "stop": lambda: recordings.stop("recording", soon()),
        "telephony": lambda: telephony.read(soon()),
        "graph email": lambda: graph_email.send(message(), soon()),
        "graph email warm-up": graph_email.warm_up,
        "presence": lambda: bearer.ask("GET", "/", soon()),
        "presence warm-up": bearer.warm_up,
    }
    return {name: _outcome(ask) for name, ask in asks.items()}


def _outcome(ask: Callable[[], object]) -> str:
    try:
        ask()
    except Exception as error:  # noqa: BLE001 - which one it is, is the question
        return type(error).__name__
    return "done"


def composed() -> dict[str, object]:
    """What the app says of its settings, and how it answers a dial."""
    app = compose(os.environ)
    app.warm_up.finish()
    dial = Dial(call_id="c", agent_id="a", dialled="911", country="US")
    answer = app.calling.start_call(dial, caller=everybody())
    return {
        "valid": app.settings.valid,
        "faulty": sorted({fault.setting for fault in app.settings.faults if fault.setting.startswith("AZURE_")}),
        "degraded": answer.degraded,
    }


def sdk_refuses(environment: Mapping[str, str]) -> bool:
    """Whether the SDK's own parsers refuse such an environment."""
    from shared.adapters.timely_http import new_managed_credential

    before = dict(os.environ)
    os.environ.update(environment)
    try:
        new_managed_credential()
    except ValueError:
        return True
    finally:
        os.environ.clear()
        os.environ.update(before)
    return False


if __name__ == "__main__":
    # Environments to try come as JSON; without any it is this process's own that counts.
    tried = json.load(sys.stdin)
    print(json.dumps([sdk_refuses(each) for each in tried] if tried else {"outcomes": outcomes(), "app": composed()}))
