"""A deployed app, asked from outside: whether it is well, whether it is idle, and whether a drill passes.

    python infra/live.py smoke  --address URL
    python infra/live.py idle   --address URL [--wait-minutes 30] [--even-if-down]
    python infra/live.py drill  --address URL --agent AGENT_ID
    python infra/live.py replay --address URL --file DEAD_LETTER

`smoke` asks for the health and posts what Communication Services posts: a well-formed token of another issuer. The
answer must be the app's own problem document; where App Service's sign-in answers in its place, no callback would ever
go on, and nobody would notice before a responder calls. With a token in ACCESS_TOKEN it asks too who is signed in, and
says whether sign-in works. `idle` waits until no emergency is in progress; with
`--even-if-down` it lets pass an app that answers nothing, which is how one goes back from a version that is down.
`drill` plays the whole chain for an agent. Both need a token with the role EmergencyCalling.Admin in ACCESS_TOKEN:

    az account get-access-token --resource api://CLIENT_ID --query accessToken -o tsv

`replay` hands the events of a dead letter to the function that they were for, with the key in EVENT_GRID_KEY:

    az functionapp keys list --name APP --resource-group GROUP --query systemKeys.eventgrid_extension -o tsv
"""

from __future__ import annotations

import argparse
import base64
import json
import os
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

TIMEOUT_S = 30
HEALTH_TRIES, HEALTH_PAUSE_S = 20, 15
IDLE_PAUSE_S = 30
# A drill whose process dies is taken up once its claim lapses, and cleaned up after minutes (shared/domain/drills.py).
DRILL_TRIES, DRILL_PAUSE_S = 240, 2
DOWN_TRIES, DOWN_PAUSE_S = 4, 15
PROBLEM = "application/problem+json"
SUBSCRIPTIONS = Path(__file__).with_name("subscriptions.json")
# What Event Grid adds to an event that it gives up.
ADDED = ("deadletter", "deliveryattempts", "lastdelivery", "lasthttpstatus", "publishtime")


@dataclass(frozen=True)
class Answer:
    """A status, the type of what came, and what came."""

    status: int
    content_type: str
    body: str

    def json(self) -> Any:
        """The document in it; an empty one where there is none."""
        try:
            return json.loads(self.body)
        except ValueError:
            return {}


type Ask = Callable[[str, str, Mapping[str, str], object], Answer]


def main() -> None:
    """Ask, and end with status 1 where something is wrong."""
    arguments = _parsed()
    told = COMMANDS[arguments.command](asker(arguments.address), time.sleep, arguments)
    if told:
        sys.exit(told)


def asker(address: str) -> Ask:
    """Requests to one app, over https alone."""
    if not address.startswith("https://"):
        sys.exit("--address must begin with https://")

    def ask(method: str, path: str, headers: Mapping[str, str], body: object) -> Answer:
        data = None if body is None else json.dumps(body).encode()
        sent = {"Content-Type": "application/json", **headers}
        place = path if path.startswith("/") else f"/api/{path}"
        request = urllib.request.Request(f"{address.rstrip('/')}{place}", data, sent, method=method)  # noqa: S310
        try:
            with urllib.request.urlopen(request, timeout=TIMEOUT_S) as answer:  # noqa: S310 - https, see above
                return Answer(answer.status, answer.headers.get_content_type(), answer.read().decode())
        except urllib.error.HTTPError as error:
            return Answer(error.code, error.headers.get_content_type(), error.read().decode(errors="replace"))
        except OSError as error:
            return Answer(0, "", str(error))

    return ask


def smoke(ask: Ask, pause: Callable[[float], None], arguments: argparse.Namespace) -> str:  # noqa: ARG001
    """What is wrong with a deployment as anybody sees it; empty where nothing is."""
    health = Answer(0, "", "")
    for _ in range(HEALTH_TRIES):
        health = ask("GET", "health", {}, None)
        if health.status == 200:  # noqa: PLR2004
            break
        # A new instance pays for its start; role assignments take minutes to be known.
        pause(HEALTH_PAUSE_S)
    else:
        return f"health answers {health.status}: {health.body[:200]}"
    if not health.json().get("settings_valid"):
        return "a setting is faulty: see setting_faulty in the log, or /api/manage/readiness"
    foreign = ask("POST", "call-automation-events", {"Authorization": f"Bearer {foreign_token()}"}, [])
    if foreign.status == 401 and foreign.content_type == PROBLEM:  # noqa: PLR2004
        print("well, and the events of a call reach the app")
        return sign_in(ask)
    return (
        f"the events of a call do not reach the app: {foreign.status} {foreign.content_type or 'without a type'}. "
        "App Service's sign-in answers in its place; see OPERATIONS.md, Callbacks go dead"
    )


def sign_in(ask: Ask) -> str:
    """What is wrong with the sign-in of people and machines; empty where it works, or cannot be tried."""
    if not os.environ.get("ACCESS_TOKEN"):
        print("sign-in was not tried: ACCESS_TOKEN is not set")
        return ""
    signed_in = ask("GET", "me", _signed_in(), None)
    # Of a page of a sign-in that somebody put before the app the status would be the same.
    if signed_in.status == 200 and isinstance(roles := signed_in.json().get("roles"), list):  # noqa: PLR2004
        print(f"sign-in works, with the roles: {', '.join(roles) or 'none'}")
        return ""
    return (
        f"sign-in does not work: /api/me answers {signed_in.status}. Is AUTH_CLIENT_ID that of the app registration,"
        " and ACCESS_TOKEN a token of it, not expired?"
    )


def foreign_token() -> str:
    """A token in every way but that nobody issued it."""

    def part(document: Mapping[str, Any]) -> str:
        return base64.urlsafe_b64encode(json.dumps(document).encode()).decode().rstrip("=")

    claims = {"iss": "https://issuer.invalid", "aud": "nobody", "exp": int(time.time()) + 600}
    return f"{part({'alg': 'RS256', 'typ': 'JWT', 'kid': 'none'})}.{part(claims)}.{part({})}"


def idle(ask: Ask, pause: Callable[[float], None], arguments: argparse.Namespace) -> str:
    """Wait until nobody is in an emergency; what is wrong where that does not come."""
    if arguments.even_if_down and is_down(ask, pause):
        print("the app answers nothing: nobody can be asked, and no emergency is served by it")
        return ""
    tries = max(1, int(arguments.wait_minutes * 60 / IDLE_PAUSE_S))
    for number in range(tries):
        board = ask("GET", "manage/emergencies", _signed_in(), None)
        if board.status != 200:  # noqa: PLR2004
            return f"the live board answers {board.status}: is ACCESS_TOKEN set, and has it EmergencyCalling.Admin?"
        found = board.json()
        emergencies = found if isinstance(found, list) else found.get("emergencies", [None])
        if not emergencies:
            print("no emergency in progress")
            return ""
        print(f"{len(emergencies)} in progress: waiting", flush=True)
        if number + 1 < tries:
            pause(IDLE_PAUSE_S)
    return "an emergency is still in progress: nothing was deployed"


def is_down(ask: Ask, pause: Callable[[float], None]) -> bool:
    """Whether the live board is not served at all, time after time. A refusal is an answer."""
    for number in range(DOWN_TRIES):
        status = ask("GET", "manage/emergencies", _signed_in(), None).status
        if 0 < status < 500:  # noqa: PLR2004
            return False
        if number + 1 < DOWN_TRIES:
            pause(DOWN_PAUSE_S)
    return True


def replay(ask: Ask, pause: Callable[[float], None], arguments: argparse.Namespace) -> str:  # noqa: ARG001
    """Hand each event of a dead letter over once more; what is wrong where one is not taken."""
    letter = json.loads(Path(arguments.file).read_text("utf-8"))
    for event in letter if isinstance(letter, list) else [letter]:
        kind = event.get("eventType") or event.get("type") or ""
        function = functions_of_events().get(kind)
        if function is None:
            return f"no subscription brings events of the type {kind or 'that is missing'}"
        bare = {name: value for name, value in event.items() if not name.lower().startswith(ADDED)}
        headers = {"aeg-event-type": "Notification", "x-functions-key": os.environ.get("EVENT_GRID_KEY", "")}
        answer = ask("POST", f"/runtime/webhooks/EventGrid?functionName={function}", headers, [bare])
        if answer.status not in (200, 202):
            return f"{function} answers {answer.status}: is EVENT_GRID_KEY set?"
        print(f"{function} took an event")
    return ""


def functions_of_events() -> dict[str, str]:
    """The function that each type of event is for."""
    subscriptions = json.loads(SUBSCRIPTIONS.read_text("utf-8"))
    return {kind: each["function"] for group in subscriptions.values() for each in group for kind in each["types"]}


def drill(ask: Ask, pause: Callable[[float], None], arguments: argparse.Namespace) -> str:
    """Play the whole chain; what is wrong where a step fails."""
    started = ask("POST", "manage/drills", _signed_in(), {"agent_id": arguments.agent})
    if started.status != 202:  # noqa: PLR2004
        return f"the drill was not started: {started.status}"
    drill_id = started.json()["drill_id"]
    for _ in range(DRILL_TRIES):
        report = ask("GET", f"manage/drills/{drill_id}", _signed_in(), None).json()
        if report.get("state", "running") != "running":
            for step in report.get("steps", ()):
                print(f"{step['step']}: {step['state']} {step.get('ms', '')}")
            # A real call in the middle of it wins, and is no fault of the deployment.
            return "" if report["state"] in ("passed", "overtaken") else f"the drill {report['state']}"
        pause(DRILL_PAUSE_S)
    return "the drill does not end"


def _signed_in() -> dict[str, str]:
    return {"Authorization": f"Bearer {os.environ.get('ACCESS_TOKEN', '')}"}


COMMANDS: dict[str, Callable[[Ask, Callable[[float], None], argparse.Namespace], str]] = {
    "smoke": smoke,
    "idle": idle,
    "drill": drill,
    "replay": replay,
}


def _parsed() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python infra/live.py", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    commands = parser.add_subparsers(dest="command", required=True)
    for name in COMMANDS:
        command = commands.add_parser(name)
        command.add_argument("--address", required=True, help="of the app, such as https://func-….azurewebsites.net")
        if name == "idle":
            command.add_argument("--wait-minutes", type=float, default=30)
            command.add_argument("--even-if-down", action="store_true", help="go on where the app answers nothing")
        if name == "replay":
            command.add_argument("--file", required=True, help="a dead letter, as Event Grid wrote it")
        if name == "drill":
            command.add_argument("--agent", required=True, help="whose chain is played")
    return parser.parse_args()


if __name__ == "__main__":
    main()
