"""The services outside that a deployment may choose, beside the stack: Microsoft Graph, for presence or for mail.

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

from tests.local import identity
from tests.local.acs import LocalAcs
from tests.local.graph import LocalGraph
from tests.local.graph.server import PRESENCE, SEND, SENDER

type Where = Literal["table", "graph"]
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
    clocks: list[Callable[[timedelta], None]] = field(default_factory=list)
    """Each is told when the story's time goes on."""

    def seen(self, user_id: str) -> str:
        """What everybody sees of a user in Graph."""
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
        if "graph" in (presence, email):
            graph = outside.graph = undo.enter_context(LocalGraph.start())
            managed = undo.enter_context(identity.running(key=graph.key))
            managed.roles[graph.url] = [PRESENCE, SEND]
            outside.clocks.append(graph.advance)
            outside.settings |= managed.app_settings() | {
                "GRAPH_URL": graph.url,
                "REQUESTS_CA_BUNDLE": _trusted(folder, acs.ca_file, graph.ca_file),
            }
        if presence == "graph":
            outside.settings["PRESENCE_BACKEND"] = "graph"
        if email == "graph":
            outside.settings |= {"EMAIL_BACKEND": "graph", "EMAIL_SENDER": SENDER}
        yield outside


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
