"""Starting the stand-in as a child process, and telling it what the outside world does."""

from __future__ import annotations

import contextlib
import ssl
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import msgspec

from tests.local import processes
from tests.local.acs import events, messages
from tests.local.acs.control import TOKEN_HEADER
from tests.local.acs.identities import raw_id
from tests.local.acs.messages import (
    AcceptedEmail,
    CallView,
    EmailRules,
    EventDelivery,
    EventGridRules,
    Fault,
    IncomingCall,
    Json,
    LoggedRequest,
    MidCallDelivery,
    MidCallRules,
    Ready,
    Recording,
    Script,
    TokenKind,
    UserCall,
)
from tests.local.acs.subscriptions import function_subscriptions
from tests.local.event_grid import Chaos, Subscription

ROOT = Path(__file__).resolve().parents[3]


def poll[T](
    look: Callable[[], T | None], *, within_s: float = 10.0, what: str | Callable[[], str] = "what is awaited"
) -> T:
    """Look again and again until there is something to see; AssertionError, which says `what`, when the time is up."""
    deadline = time.monotonic() + within_s
    while True:
        if (seen := look()) is not None and seen is not False:
            return seen
        if time.monotonic() > deadline:
            raise AssertionError(f"{what if isinstance(what, str) else what()}: not within {within_s} s")
        time.sleep(0.02)


class Control:
    """The control API, typed. Identities are raw ids or E.164 numbers."""

    def __init__(self, ready: Ready) -> None:
        self._ready = ready
        self._http = httpx.Client(
            base_url=ready.endpoint,
            verify=ssl.create_default_context(cafile=ready.ca_file),
            headers={TOKEN_HEADER: ready.control_token},
            timeout=30,
        )

    def close(self) -> None:
        """Let the connection go."""
        self._http.close()

    # Faults and the request log

    def fault(self, fault: Fault) -> None:
        """Put a fault in force."""
        self._send("POST", "faults", fault)

    def clear_faults(self) -> None:
        """End all faults; what hangs is dropped."""
        self._send("DELETE", "faults")

    def requests(self, operation: str | None = None) -> list[LoggedRequest]:
        """The service requests so far, or those of one operation."""
        log = self._get("requests", list[LoggedRequest])
        return [entry for entry in log if operation in (None, entry.operation)]

    # E-mail

    def emails(self) -> list[AcceptedEmail]:
        """Every message accepted, in order, repeats too."""
        return self._get("emails", list[AcceptedEmail])

    def email_rules(self, rules: EmailRules) -> None:
        """Replace the e-mail service's rules."""
        self._send("PUT", "emails/rules", rules)

    def telephony(self, setup: messages.TelephonySetup) -> None:
        """Replace the voice routes and the numbers bought."""
        self._send("PUT", "telephony", setup)

    def dialled(self, number: str, caller_id: str) -> messages.Placed:
        """Let somebody dial an emergency number; gives what became of it."""
        return self._make("telephony/dialled", messages.Dialled(number=number, caller_id=caller_id), messages.Placed)

    # Calls

    def people(self, identity: str, *scripts: Script) -> None:
        """Script what a person does with each invitation; the last script holds for all later ones."""
        self._send("PUT", "people", messages.People(raw_id(identity), list(scripts)))

    def incoming_call(self, caller: str, dialled: str, **fields: Any) -> CallView:
        """Let somebody call one of our numbers or users; `fields` as in `IncomingCall`."""
        return self._make("calls", IncomingCall(caller=caller, dialled=dialled, **fields), CallView)

    def user_call(self, starter: str, server_call_id: str, correlation_id: str) -> CallView:
        """Make a user's own call known to the service, so that it can be connected to and recorded."""
        started = UserCall(starter=starter, server_call_id=server_call_id, correlation_id=correlation_id)
        return self._make("user-calls", started, CallView)

    def calls(self) -> list[CallView]:
        """Every call so far."""
        return self._get("calls", list[CallView])

    def call(self, server_call_id: str) -> CallView:
        """One call as it stands."""
        return self._get(f"calls/{server_call_id}", CallView)

    def pick_up(self, server_call_id: str, identity: str) -> CallView:
        """Somebody who is rung and answers by hand does so now."""
        return self._make(f"calls/{server_call_id}/answer", {"identity": identity}, CallView)

    def hang_up(self, server_call_id: str, identity: str | None = None) -> CallView:
        """The caller hangs up, or whoever is named."""
        return self._make(f"calls/{server_call_id}/leave", {"identity": identity}, CallView)

    def end_call(self, server_call_id: str) -> CallView:
        """End a call for everyone."""
        return self._make(f"calls/{server_call_id}/end", {}, CallView)

    def wait_for_call(
        self, server_call_id: str, until: Callable[[CallView], bool], *, within_s: float = 10.0, what: str = "the call"
    ) -> CallView:
        """Wait until a call stands as it should."""

        def look() -> CallView | None:
            call = self.call(server_call_id)
            return call if until(call) else None

        return poll(look, within_s=within_s, what=what)

    def record(self, server_call_id: str) -> Recording:
        """Somebody else starts to record a call."""
        return self._make(f"calls/{server_call_id}/record", {}, Recording)

    def recordings(self) -> list[Recording]:
        """Every recording."""
        return self._get("recordings", list[Recording])

    def deleted_documents(self) -> list[str]:
        """The recorded files deleted, by document id."""
        return self._get("recordings/deleted", list[str])

    # Event Grid

    def publish(self, *published: Json) -> None:
        """Hand events to Event Grid; `tests.local.acs.events` makes them."""
        self._send("POST", "events", list(published))

    def call_started(self, starter: str, server_call_id: str, **fields: Any) -> Json:
        """Publish a CallStarted (`fields` as in `events.call_started`) and return it, for a redelivery."""
        event = events.call_started(
            source=self._ready.event_source, starter=starter, server_call_id=server_call_id, **fields
        )
        self.publish(event)
        return event

    def call_ended(self, starter: str, server_call_id: str, **fields: Any) -> Json:
        """Publish a CallEnded (`fields` as in `events.call_ended`) and return it, for a redelivery."""
        event = events.call_ended(
            source=self._ready.event_source, starter=starter, server_call_id=server_call_id, **fields
        )
        self.publish(event)
        return event

    def deliver_to(self, host: str) -> None:
        """Subscribe every Event Grid function of a Functions host."""
        self.subscribe(*function_subscriptions(host))

    def subscribe(self, *subscriptions: Subscription) -> None:
        """Replace the subscriptions."""
        self._send("PUT", "subscriptions", messages.Subscriptions(list(subscriptions)))

    def event_grid(
        self, *, time_scale: float = 1.0, chaos: Chaos | None = None, held: bool = False, shuffled: bool = False
    ) -> None:
        """Change how Event Grid delivers: its speed, its chaos, whether deliveries are held, or released shuffled."""
        rules = EventGridRules(time_scale=time_scale, chaos=chaos or Chaos(), held=held, shuffled=shuffled)
        self._send("PUT", "event-grid", rules)

    def deliveries(self) -> list[EventDelivery]:
        """Every delivery attempt."""
        return self._get("event-grid/deliveries", list[EventDelivery])

    def wait_until_delivered(self, *, within_s: float = 60.0) -> None:
        """Wait until Event Grid has nothing left to deliver; what fails comes again after 10 s, and 30 s after that."""
        poll(lambda: self._get("event-grid/pending", int) == 0, within_s=within_s, what="deliveries")

    # Mid-call events, keys and the clock

    def mid_call_rules(self, **rules: Any) -> None:
        """Change how mid-call events are sent; fields as in `MidCallRules`."""
        self._send("PUT", "mid-call", MidCallRules(**rules))

    def mid_call_deliveries(self) -> list[MidCallDelivery]:
        """Every try to deliver a mid-call event."""
        return self._get("mid-call", list[MidCallDelivery])

    def mid_call_events(self) -> list[Json]:
        """Every mid-call event sent, whole."""
        return self._get("mid-call/events", list[dict[str, Any]])

    def send_mid_call(self, callback_uri: str, event: Json) -> None:
        """Send a mid-call event once more, or one made up, with the token that the rules say."""
        self._send("POST", "mid-call/events", {"callback_uri": callback_uri, "event": event})

    def rotate_keys(self, *, keep_old: bool = True) -> None:
        """Sign with a new key from now on."""
        self._send("POST", "keys/rotate", {"keep_old": keep_old})

    def token(self, kind: TokenKind = "good") -> str:
        """A token for mid-call events, good or bad in the way named."""
        return self._get(f"token/{kind}", str)

    def clock(self, *, speed: float | None = None, advance_s: float = 0.0) -> None:
        """Make the service's durations pass faster, or let seconds pass at once."""
        self._send("POST", "clock", messages.ClockMove(speed=speed, advance_s=advance_s))

    def reset(self) -> None:
        """Forget everything but the keys and the subscriptions; the clock goes as the machine's again."""
        self._send("POST", "reset")

    def _get[T](self, path: str, kind: type[T]) -> T:
        return msgspec.json.decode(self._send("GET", path), type=kind)

    def _make[T](self, path: str, body: object, kind: type[T]) -> T:
        return msgspec.json.decode(self._send("POST", path, body), type=kind)

    def _send(self, method: str, path: str, body: object = None) -> bytes:
        answer = self._http.request(method, f"/control/{path}", content=msgspec.json.encode(body))
        answer.raise_for_status()
        return answer.content


class LocalAcs:
    """A running stand-in: how to reach it, and the control of it."""

    def __init__(self, ready: Ready, child: processes.Child) -> None:
        self.ready = ready
        self.child = child
        self.control = Control(ready)

    @classmethod
    @contextlib.contextmanager
    def start(cls, *, port: int = 0, webhook_base: str | None = None, log: Path | None = None) -> Iterator[LocalAcs]:
        """Run the stand-in as a child process for as long as the context lasts.

        `webhook_base` is the Functions host for Event Grid; it can be given later with `control.deliver_to`.
        """
        with tempfile.TemporaryDirectory(prefix="acs-") as folder:
            command = [sys.executable, "-m", "tests.local.acs", "--port", str(port)]
            command += ["--ca-file", str(Path(folder) / "ca.pem")]
            command += ["--webhook-base", webhook_base] if webhook_base else []
            with processes.start(command, name="the ACS stand-in", cwd=ROOT, log=log) as child:
                child.wait_until(lambda: _ready_line(child) is not None, what="it listened")
                acs = cls(msgspec.json.decode(_ready_line(child) or "", type=Ready), child)
                try:
                    yield acs
                finally:
                    acs.control.close()

    @property
    def connection_string(self) -> str:
        """As the portal shows it."""
        return f"endpoint={self.ready.endpoint}/;accesskey={self.ready.access_key}"

    @property
    def ca_file(self) -> str:
        """The PEM file to trust, for `connection_verify` or REQUESTS_CA_BUNDLE."""
        return self.ready.ca_file

    @property
    def keys_url(self) -> str:
        """Where the keys of mid-call tokens are."""
        return f"{self.ready.endpoint}/calling/keys"

    def app_settings(self) -> dict[str, str]:
        """The app settings that point an application at this stand-in."""
        return {
            "COMMUNICATION_SERVICES_CONNECTION_STRING": self.connection_string,
            "COMMUNICATION_SERVICES_RESOURCE_ID": self.ready.resource_id,
            "EVENT_SOURCES": f"{self.ready.event_source};{events.CUSTOM_TOPIC}",
            "CALL_AUTOMATION_ISSUER": self.ready.issuer,
            "CALL_AUTOMATION_KEYS_URL": self.keys_url,
            "EMAIL_SENDER": self.ready.sender,
            # More is dialled here in an hour than anywhere: what looks at the sender's quota sets one.
            "EMAIL_PER_MINUTE": "10000",
            "EMAIL_PER_HOUR": "100000",
            "REQUESTS_CA_BUNDLE": self.ca_file,
            "SSL_CERT_FILE": self.ca_file,
        }


def _ready_line(child: processes.Child) -> str | None:
    """The line of the log that says how to reach the stand-in; the last one, as a log may be appended to."""
    lines = [line for line in child.output().splitlines() if line.startswith('{"endpoint":')]
    return lines[-1] if lines else None
