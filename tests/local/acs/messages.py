"""What the control API says and understands: one set of types for the server and for the typed client."""

from __future__ import annotations

from typing import Any, Literal

import msgspec

from tests.local.event_grid import Chaos, Subscription

type Json = dict[str, Any]

Operation = Literal[
    "any", "email", "email_status", "answer", "redirect", "reject", "connect", "get_call", "participants", "add",
    "remove", "cancel_add", "mute", "play", "cancel_media", "hang_up", "terminate", "recording_start",
    "recording_state", "recording_stop", "recording_pause", "recording_resume", "recording_delete",
    "routes", "numbers", "keys",
]  # fmt: skip
FaultKind = Literal["latency", "status", "throttle", "drop", "hang", "trickle", "notify", "body"]
Behaviour = Literal["answers", "never", "declines", "busy", "offline", "by_hand"]
TokenKind = Literal[
    "good",
    "forged",
    "expired",
    "alg_none",
    "wrong_audience",
    "wrong_issuer",
    "unknown_key",
    "not_yet_valid",
    "unsigned",
]


class Fault(msgspec.Struct, frozen=True, kw_only=True):
    """One way to misbehave, for the next `times` requests of an operation (None: until cleared).

    `when` says whether the fault strikes before the service has acted or after; `notify` posts to `url` and waits for
    the answer, so that a test can kill the caller at exactly that moment. `skip` lets that many requests pass first.
    `body` is an answer of `status` that holds `body`, whatever that is; with `location` it leads there.
    """

    operation: Operation = "any"
    kind: FaultKind = "status"
    when: Literal["before", "after"] = "before"
    status: int = 503
    retry_after_s: int | None = None
    seconds: float = 0.0
    url: str = ""
    body: str = ""
    location: str = ""
    skip: int = 0
    times: int | None = None


class LoggedRequest(msgspec.Struct, kw_only=True):
    """One request as the stand-in saw it: never its body, its query or an id from its path.

    `first_sent` is its Repeatability-First-Sent.
    """

    number: int
    operation: str
    arrived: float
    finished: float | None = None
    status: int | None = None
    fault: str | None = None
    repeated: bool = False
    first_sent: str | None = None


class RouteSetup(msgspec.Struct, kw_only=True):
    """A voice route of direct routing."""

    name: str
    pattern: str
    trunks: list[str] = msgspec.field(default_factory=lambda: ["sbc.example.com"])


class TelephonySetup(msgspec.Struct, kw_only=True):
    """The voice routes in order, the numbers bought; `calling` is what those can that are not `inbound+outbound`."""

    routes: list[RouteSetup] = msgspec.field(default_factory=list)
    numbers: list[str] = msgspec.field(default_factory=list)
    calling: dict[str, str] = msgspec.field(default_factory=dict)
    of_persons: list[str] = msgspec.field(default_factory=list)


class Dialled(msgspec.Struct, kw_only=True):
    """Somebody dials an emergency number with this caller id."""

    number: str
    caller_id: str


class Placed(msgspec.Struct, kw_only=True):
    """What became of it: the trunk's by a voice route, the platform's own emergency service, or nothing."""

    path: Literal["direct_routing", "direct_offer", "fails"]
    route: str | None = None


class EmailRules(msgspec.Struct, kw_only=True):
    """How the e-mail service treats senders, recipients and the number of messages; addresses in lower case.

    `refused` addresses make the service refuse the whole message; `outcomes` is the delivery status per address
    (as written: the services use any case); a repeated Operation-Id is sent again unless `one_send_per_operation`,
    because no document promises otherwise.
    """

    senders: list[str] = msgspec.field(default_factory=lambda: ["emergency@alerts.example.com"])
    refused: list[str] = msgspec.field(default_factory=list)
    outcomes: dict[str, str] = msgspec.field(default_factory=dict)
    report_after_s: float = 0.2
    report_time_field: Literal["deliveryAttemptTimeStamp", "deliveryAttemptTimestamp"] = "deliveryAttemptTimeStamp"
    reports_as_cloud_events: bool = False
    messages_per_minute: int | None = None
    messages_per_hour: int | None = None
    one_send_per_operation: bool = False


class AcceptedEmail(msgspec.Struct, kw_only=True):
    """One message that the service took on; a message taken twice is here twice."""

    number: int
    operation_id: str
    sender: str
    to: list[str]
    cc: list[str]
    bcc: list[str]
    subject: str
    plain_text: str
    html: str
    headers: dict[str, str]
    accepted_at: str
    tracking_disabled: bool = False

    @property
    def recipients(self) -> list[str]:
        """Everyone the message goes to, in the order to, cc, bcc."""
        return [*self.to, *self.cc, *self.bcc]


class Script(msgspec.Struct, frozen=True, kw_only=True):
    """What a person does with one invitation: when they react, and whether they drop out again.

    `drops_out_after_s` is time in the call; `stays_after_caller_s` how long they stay when the caller has gone
    (None: for good). Who answers `by_hand` does so when `calls/{id}/answer` says it. `asserted_id` is the suffix under
    which a number is listed that is on another call too.
    """

    behaviour: Behaviour = "never"
    after_s: float = 1.0
    drops_out_after_s: float | None = None
    stays_after_caller_s: float | None = 2.0
    asserted_id: str | None = None


class People(msgspec.Struct, frozen=True):
    """Scripts of one identity, one per invitation; the last one holds for all later invitations."""

    identity: str
    scripts: list[Script]


class IncomingCall(msgspec.Struct, frozen=True, kw_only=True):
    """A caller dials one of our numbers or users; identities are raw ids or E.164 numbers."""

    caller: str
    dialled: str
    display_name: str = ""
    sip_headers: dict[str, str] = msgspec.field(default_factory=dict)
    cloud_event: bool = False
    with_kind: bool = True
    rings_for_s: float = 30.0


class UserCall(msgspec.Struct, frozen=True, kw_only=True):
    """A call that a user started in the Calling SDK: once known, it can be connected to and recorded."""

    starter: str
    server_call_id: str
    correlation_id: str


class Invitation(msgspec.Struct, kw_only=True):
    """One add-participant operation or one redirect, as it stands."""

    invitation_id: str
    identity: str
    state: Literal["ringing", "joined", "failed", "cancelled", "left"]
    operation_context: str | None = None
    caller_id: str | None = None
    timeout_s: float = 30.0
    headers: dict[str, str] = msgspec.field(default_factory=dict)


class CallView(msgspec.Struct, kw_only=True):
    """A call as the network sees it: who is in it now and who was rung, in order."""

    server_call_id: str
    correlation_id: str
    caller: str
    dialled: str
    state: Literal["ringing", "redirected", "connecting", "connected", "over"]
    why_over: str | None = None
    call_connection_id: str | None = None
    people: list[str] = msgspec.field(default_factory=list)
    invitations: list[Invitation] = msgspec.field(default_factory=list)
    played: list[str] = msgspec.field(default_factory=list)
    contexts: list[str] = msgspec.field(default_factory=list)


class MidCallRules(msgspec.Struct, kw_only=True):
    """How mid-call events are sent: how often, with which token, and what the network does to them."""

    token: TokenKind = "good"
    attempts: int = 1
    lose: float = 0.0
    duplicate: float = 0.0
    delay_s: float = 0.0
    seed: int = 0


class MidCallDelivery(msgspec.Struct, kw_only=True):
    """One try to deliver a mid-call event: its type and what became of it; status None means no answer."""

    type: str
    call_connection_id: str
    operation_context: str | None
    status: int | None
    lost: bool = False


class EventDelivery(msgspec.Struct, kw_only=True):
    """One try to deliver an Event Grid event."""

    event_id: str
    event_type: str
    subscription: str
    attempt: int
    status: int | None
    dead_lettered: bool = False


class EventGridRules(msgspec.Struct, kw_only=True):
    """How the deliverer behaves: its speed, its faults, whether deliveries are held back, and released in any order."""

    time_scale: float = 1.0
    chaos: Chaos = msgspec.field(default_factory=Chaos)
    held: bool = False
    shuffled: bool = False


class Subscriptions(msgspec.Struct, frozen=True):
    """The complete set of Event Grid subscriptions; it replaces the one before."""

    subscriptions: list[Subscription]


class ClockMove(msgspec.Struct, frozen=True, kw_only=True):
    """Make the service's durations pass `speed` times as fast, or move its clock on by `advance_s` at once."""

    speed: float | None = None
    advance_s: float = 0.0


class Recording(msgspec.Struct, kw_only=True):
    """One recording, by the call it belongs to."""

    recording_id: str
    server_call_id: str
    state: Literal["active", "inactive"]


class Ready(msgspec.Struct, frozen=True, kw_only=True):
    """What a caller needs to know to use a running stand-in; the one line it prints when it listens."""

    endpoint: str
    access_key: str
    control_token: str
    ca_file: str
    resource_id: str
    event_source: str
    issuer: str
    sender: str
