"""The simulator's server: an agent's desk, whose calls go to the stand-in for Communication Services, and the PSAP."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
import msgspec
import uvicorn
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import FileResponse, JSONResponse, Response
from starlette.routing import Route

from tests.local import stack
from tests.local.acs import CallView, Script
from tests.local.stack import PSAP, Agent, Stack

HERE = Path(__file__).parent
PRODUCT_UI = HERE.parents[2] / "functions" / "ui"
FILES = {"": "simulator.html", "desk": "desk.html", "simulator.js": "", "desk.js": "", "simulator.css": ""}
SHARED = ("dom.js",)
START_S = 10.0
WITHHELD = "anonymous"
# What the calling SDK would say: the far end hung up, and the agent hung up.
FAR_END, OWN_END = {"code": 0, "subCode": 560000}, {"code": 0, "subCode": 0}


class Line(msgspec.Struct, kw_only=True):
    """An outgoing call of the agent's softphone."""

    line_id: str
    server_call_id: str
    dialled: str
    state: str = "Ringing"
    reason: dict[str, int] | None = None


class Simulator:
    """Both sides, on a stack that runs."""

    def __init__(self, agent: Agent) -> None:
        self._agent = agent
        self._local: Stack | None = None
        self._lines: list[Line] = []
        self._online = True
        self._at_desk = False
        self._socket = socket.socket()
        self._socket.bind(("127.0.0.1", 0))

    @property
    def url(self) -> str:
        """Where it is, known before it serves: the function app must allow this origin."""
        return f"http://127.0.0.1:{self._socket.getsockname()[1]}"

    @contextmanager
    def serving(self, local: Stack) -> Iterator[None]:
        """Serve until the end of the block."""
        self._local = local
        server = uvicorn.Server(uvicorn.Config(self._application(), log_level="critical", timeout_graceful_shutdown=1))
        thread = threading.Thread(target=server.run, kwargs={"sockets": [self._socket]}, daemon=True)
        thread.start()
        started = time.monotonic()
        while not server.started:
            if time.monotonic() - started > START_S:
                raise TimeoutError("the simulator does not start")
            # The server tells of its start by this flag only.
            time.sleep(0.01)
        try:
            yield
        finally:
            server.should_exit = True
            thread.join(START_S)

    @property
    def local(self) -> Stack:
        """The stack that is played on."""
        assert self._local is not None, "the simulator does not serve yet"
        return self._local

    def _application(self) -> Starlette:
        actions: dict[str, Callable[[Any], object]] = {
            "state": lambda _: self.state(),
            "dial": lambda body: self.dial(str(body["dialled"])),
            "connect": lambda body: self.connect(body["line"]),
            "drop": lambda body: self.end_line(body["line"], by_agent=False),
            "hang-up": lambda body: self.end_line(body["line"], by_agent=True),
            "ring": lambda body: self.ring(withheld=bool(body.get("withheld"))),
            "answer": lambda body: self.local.control.pick_up(body["call"], self._agent.acs_user_id),
            "leave": lambda body: self.local.control.hang_up(body["call"], self._agent.acs_user_id),
            "end-callback": lambda body: self.local.control.end_call(body["call"]),
            "online": lambda body: self.set_online(bool(body["online"])),
            "sit-down": lambda _: self.sit(at_desk=True),
            "leave-desk": lambda _: self.sit(at_desk=False),
        }

        def route(name: str) -> Route:
            async def act(request: Request) -> Response:
                raw = await request.body()
                body = msgspec.json.decode(raw) if raw else {}
                done = await run_in_threadpool(actions[name], body)
                return JSONResponse(msgspec.to_builtins(done))

            return Route(f"/do/{name}", act, methods=["POST"])

        return Starlette(
            routes=[
                *(route(name) for name in actions),
                Route("/settings.json", self._settings),
                *(Route(f"/{path}", _file(HERE / (file or path))) for path, file in FILES.items()),
                *(Route(f"/{name}", _file(PRODUCT_UI / name)) for name in SHARED),
            ]
        )

    async def _settings(self, _: Request) -> Response:
        """What the pages need to find the product."""
        return JSONResponse(
            {
                "api": self.local.url,
                "agent_id": self._agent.agent_id,
                "name": self._agent.name,
                "country": self._agent.country,
                "token": f"{stack.AGENT};{self._agent.agent_id}",
            }
        )

    # The agent's softphone

    def dial(self, dialled: str) -> Line:
        """The softphone places a call; the PSAP's line rings."""
        line = Line(line_id=uuid4().hex, server_call_id=uuid4().hex, dialled=dialled)
        self.local.control.user_call(self._agent.acs_user_id, line.server_call_id, uuid4().hex)
        self.local.control.call_started(self._agent.acs_user_id, line.server_call_id)
        self._lines.append(line)
        return line

    def connect(self, line_id: str) -> Line:
        """The PSAP answers."""
        line = self._line(line_id)
        if line.state == "Ringing":
            line.state = "Connected"
        return line

    def end_line(self, line_id: str, *, by_agent: bool) -> Line:
        """The call ends: the agent hung up, or it dropped."""
        line = self._line(line_id)
        if line.state != "Disconnected":
            line.state, line.reason = "Disconnected", OWN_END if by_agent else FAR_END
            self.local.control.end_call(line.server_call_id)
            ended_by = {"ended_by": self._agent.acs_user_id} if by_agent else {}
            self.local.control.call_ended(self._agent.acs_user_id, line.server_call_id, **ended_by)
        return line

    def set_online(self, online: bool) -> bool:
        """The agent's softphone is there, or is not, so that a callback goes on to others."""
        self._online = online
        self._script()
        return online

    def sit(self, *, at_desk: bool) -> bool:
        """The agent's tab was opened or closed; while it is open the agent answers by hand."""
        self._at_desk = at_desk
        self._script()
        return at_desk

    def _script(self) -> None:
        there = self._online and self._at_desk
        self.local.control.people(self._agent.acs_user_id, Script(behaviour="by_hand" if there else "offline"))

    def _line(self, line_id: str) -> Line:
        return next(line for line in self._lines if line.line_id == line_id)

    # The PSAP

    def ring(self, *, withheld: bool) -> CallView:
        """The responder dials the number that the agent was lent."""
        number = self._panel().get("callback_number")
        if not number:
            raise ValueError("no number is lent")
        return self.local.ring(number, caller=WITHHELD if withheld else PSAP)

    def state(self) -> dict[str, Any]:
        """Everything that either side can see."""
        lines = [line for line in self._lines if line.state != "Disconnected"]
        callbacks = [call for call in self.local.control.calls() if call.dialled and call.state != "over"]
        return {
            "online": self._online,
            "lines": msgspec.to_builtins(self._lines[-5:]),
            "open": [line.line_id for line in lines],
            "callbacks": [self._callback(call) for call in callbacks],
            "presence": self._ask("presence").get("status"),
            "panel": self._panel(),
            "emails": [
                {"number": mail.number, "subject": mail.subject, "to": len(mail.recipients), "text": mail.plain_text}
                for mail in self.local.control.emails()[-10:]
            ],
        }

    def _callback(self, call: CallView) -> dict[str, Any]:
        mine = [each for each in call.invitations if each.identity == self._agent.acs_user_id]
        return {
            "call": call.server_call_id,
            "caller": call.caller.removeprefix("4:"),
            "rings_agent": any(each.state == "ringing" for each in mine),
            "agent_in": self._agent.acs_user_id in call.people,
            "people": [who.removeprefix("4:") for who in call.people if who != self._agent.acs_user_id],
            "ringing": [each.identity.removeprefix("4:") for each in call.invitations if each.state == "ringing"],
        }

    def _panel(self) -> dict[str, Any]:
        return self._ask("panel")

    def _ask(self, what: str) -> dict[str, Any]:
        # A host that restarts is away for a moment; the page shows what it has.
        with suppress(httpx.HTTPError):
            answer = self.local.ask("GET", f"agents/{self._agent.agent_id}/{what}", principal=stack.MACHINE)
            if answer.is_success:
                found: dict[str, Any] = answer.json()
                return found
        return {}


def _file(path: Path) -> Callable[[Request], Awaitable[Response]]:
    async def serve(_: Request) -> Response:
        return FileResponse(path, headers={"Cache-Control": "no-store"})

    return serve
