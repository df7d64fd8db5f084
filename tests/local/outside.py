"""The services outside that a deployment may choose, beside the stack: Microsoft Graph and Dynamics 365.

    with outside.running(folder, acs, presence="graph", email="graph") as services:
        settings |= services.settings

Their tokens come from the stand-in of App Service's identity endpoint. Here it is known what to ask each of them, so
that whoever tells a story asks the service itself and not the app.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from html import unescape
from pathlib import Path
from typing import Literal

from tests.local import dynamics, identity
from tests.local.acs import LocalAcs
from tests.local.dynamics import LocalDynamics
from tests.local.graph import LocalGraph
from tests.local.graph.server import PRESENCE, SEND, SENDER

type Where = Literal["table", "graph", "dynamics365"]
type Mailer = Literal["acs", "graph"]
# What Graph calls what the app's own presence service calls otherwise.
_STATUSES = {
    "Available": "available",
    "Busy": "busy",
    "DoNotDisturb": "do_not_disturb",
    "BeRightBack": "be_right_back",
    "Away": "away",
    "Offline": "offline",
}
# The same of Dynamics 365, which has no Be right back.
_ROWS = {
    dynamics.AVAILABLE: "available",
    dynamics.BUSY: "busy",
    dynamics.BUSY_DND: "do_not_disturb",
    dynamics.AWAY: "away",
    dynamics.OFFLINE: "offline",
}


@dataclass(frozen=True)
class Letter:
    """A message as its service accepted it."""

    recipients: list[str]
    subject: str
    text: str


@dataclass
class Outside:
    """What runs beside the stack, and the app settings that choose it."""

    settings: dict[str, str] = field(default_factory=dict)
    graph: LocalGraph | None = None
    dynamics: LocalDynamics | None = None
    tokens: list[str] = field(default_factory=list)
    """The resources that the app has fetched tokens for."""
    clocks: list[Callable[[timedelta], None]] = field(default_factory=list)
    """Each is told when the story's time goes on."""

    def seen(self, user_id: str) -> str:
        """What everybody sees of a user where presence lies outside."""
        if self.dynamics is not None:
            row = self.dynamics.organisation.status(user_id)
            return "offline" if row is None else _ROWS.get(row.presence_id, row.presence_id)
        assert self.graph is not None, "presence lies in Graph"
        return _STATUSES[self.graph.presence.merged(user_id)[0]]

    def letters(self) -> list[Letter]:
        """The messages that Graph accepted; their words without the marks of HTML."""
        assert self.graph is not None, "notices are sent by Graph"
        return [
            Letter([each for each in (*mail.to, *mail.bcc) if each != SENDER], mail.subject, plain(mail.content))
            for mail in self.graph.mail.accepted
        ]


@contextmanager
def running(folder: Path, acs: LocalAcs, *, presence: Where = "table", email: Mailer = "acs") -> Iterator[Outside]:
    """Run what is chosen until the end of the block; nothing where the app needs nothing outside."""
    outside = Outside()
    with ExitStack() as undo:
        authorities = [acs.ca_file]
        if "graph" in (presence, email):
            graph = outside.graph = undo.enter_context(LocalGraph.start())
            outside.clocks.append(graph.advance)
            outside.settings["GRAPH_URL"] = graph.url
            authorities.append(graph.ca_file)
        if presence == "dynamics365":
            organisation = outside.dynamics = undo.enter_context(LocalDynamics.start())
            outside.clocks.append(lambda by: organisation.advance(by.total_seconds()))
            outside.settings |= {"PRESENCE_BACKEND": presence, "DYNAMICS365_URL": organisation.url}
            authorities.append(organisation.ca_file)
        if len(authorities) > 1:
            outside.settings |= undo.enter_context(_identity(outside))
            outside.settings["REQUESTS_CA_BUNDLE"] = _trusted(folder, *authorities)
        if presence == "graph":
            outside.settings["PRESENCE_BACKEND"] = "graph"
        if email == "graph":
            outside.settings |= {"EMAIL_BACKEND": "graph", "EMAIL_SENDER": SENDER}
        yield outside


@contextmanager
def _identity(outside: Outside) -> Iterator[dict[str, str]]:
    """The app's identity, whose tokens all that runs outside believes; the settings that the platform gives it."""
    key = next(each.key for each in (outside.graph, outside.dynamics) if each is not None)
    with identity.running(key=key) as managed:
        outside.tokens = managed.asked
        if outside.graph is not None:
            managed.roles[outside.graph.url] = [PRESENCE, SEND]
        if outside.dynamics is not None:
            outside.dynamics.key = key
        yield managed.app_settings()


def _trusted(folder: Path, *authorities: str) -> str:
    bundle = folder / "trusted.pem"
    bundle.write_text("".join(Path(each).read_text("utf-8") for each in authorities), "utf-8")
    return str(bundle)


def plain(html: str) -> str:
    """The words of a page."""
    text = re.sub(r"<(style|title)\b.*?</\1>", "", html, flags=re.DOTALL | re.IGNORECASE)
    text = re.sub(r"<(?:br|/p|/div|/tr|/li|/h\d)\b[^>]*>", "\n", text, flags=re.IGNORECASE)
    lines = (" ".join(line.split()) for line in unescape(re.sub(r"<[^>]+>", "", text)).splitlines())
    return "\n".join(line for line in lines if line)
