"""The whole local stack as one context manager: storage, telephony and mail, events, and the function app.

    with stack.running() as local:
        dana = local.softphone(local.add_agent(DANA))
        lent = dana.dial("call-1")
        local.ring(lent.callback_number)

Everything is real but the services that cost money: the app runs on the library that the cloud's Python worker runs,
its SDK clients talk to Azurite and, over TLS, to a stand-in for Azure Communication Services, whose events reach it
through an Event Grid webhook.
"""

from __future__ import annotations

import re
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import msgspec
from azure.data.tables import TableServiceClient

from tests.local import azurite, outside
from tests.local.acs import AcceptedEmail, CallView, Control, LocalAcs, Script, poll
from tests.local.azurite import Azurite
from tests.local.host import process as host_process
from tests.local.host.process import HostProcess, TimerError
from tests.local.outside import Mailer, Outside, Where

# From the range that is reserved for examples.
POOL = tuple(f"+1425555{number:04}" for number in range(101, 105))
FALLBACK = "+14255550100"
DESK = "+14255550199"
PSAP = "+14255550190"
DEFAULT_CONTACT = "security@example.com"

AGENT, SUPERVISOR, ADMIN, MACHINE = (f"EmergencyCalling.{role}" for role in ("Agent", "Supervisor", "Admin", "Machine"))
SIGN_IN = "X-Development-Principal"
TIMERS = ("lease_expiry", "outbox_sweep")
DELIVERY_REPORT = "Microsoft.Communication.EmailDeliveryReportReceived"
PATIENCE_S = 15.0
# A timer would have run by then.
SWEPT_AFTER_S = 3.0
TIMER_PATIENCE_S = 60.0
LONG_AFTER = timedelta(days=2)
MIN_SWEEPS, MAX_SWEEPS = 3, 8
LEFT_IN_THE_END = {"free", "number", "pool"}

type Row = Mapping[str, Any]


# What is owed on the tenth minute sharp: a notice beyond a principal's ration.
RATIONED = re.compile(r"outbox\|\d{8}T\d{3}0{9}Z\|notice\|")


class Agent(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A directory entry, as an administrator sends it."""

    agent_id: str
    name: str | None = None
    entra_object_id: str | None = None
    dynamics_user_id: str | None = None
    acs_user_ids: tuple[str, ...] = ()
    country: str | None = None
    locale: str | None = None
    address: str | None = None
    alternate_numbers: tuple[str, ...] = ()
    emergency_contacts: str = ""

    @property
    def acs_user_id(self) -> str:
        """The identity that their softphone uses."""
        return self.acs_user_ids[0]


DANA = Agent(
    agent_id="agent-dana",
    name="Dana Example",
    acs_user_ids=("8:acs:7f1c2a94-5d0e-4b61-9a3c-2e8d4f60b7a1_00000020-dana",),
    country="US",
    address="1 Example Street, Redmond, WA 98052",
    emergency_contacts="supervisor@example.com; guard@example.com",
)


class Say(msgspec.Struct, frozen=True, kw_only=True):
    """What the agent is to tell the responder."""

    address: str | None
    address_source: str | None
    source: str
    callback_number: str
    number_shown: bool
    relay_first: bool


class Panel(msgspec.Struct, frozen=True, kw_only=True):
    """What the communication panel shows."""

    mode: str
    controls: tuple[str, ...]
    form_actions: tuple[str, ...]
    banner: str | None
    banner_key: str | None
    presence: str | None
    callback_number: str | None
    expires_at: datetime | None
    fallback: bool
    say: Say | None
    placeable: str
    dial: str | None
    poll_after_s: int


class Lent(msgspec.Struct, frozen=True, kw_only=True):
    """The answer to a dial; `status` and `took_s` are of the HTTP exchange."""

    call_id: str
    agent_id: str
    callback_number: str
    expires_at: datetime
    shared: bool
    test: bool
    degraded: bool
    notified: int
    panel: Panel
    status: int = 0
    took_s: float = 0.0


class Presence(msgspec.Struct, frozen=True, kw_only=True):
    """An agent's presence, as the embedded service tells it."""

    status: str
    set_by: str | None = None
    since: datetime | None = None


class Softphone:
    """An agent's desktop: what it reports and what it shows, signed in as that agent."""

    def __init__(self, local: Stack, agent: Agent) -> None:
        self.agent = agent
        self._local = local
        self._principal = f"{AGENT};{agent.agent_id}"

    def ask(self, method: str, path: str, body: object = None, **options: Any) -> httpx.Response:
        """Any request, as this agent."""
        return self._local.ask(method, path, body, principal=self._principal, **options)

    def dial(self, call_id: str, dialled: str = "911", **fields: object) -> Lent:
        """Report a dial; fails unless it was taken."""
        body = {"call_id": call_id, "agent_id": self.agent.agent_id, "dialled": dialled} | fields
        answer = self.ask("POST", "emergency-calls", body).raise_for_status()
        lent = msgspec.json.decode(answer.content, type=Lent)
        return msgspec.structs.replace(lent, status=answer.status_code, took_s=answer.elapsed.total_seconds())

    def tie(self, call_id: str, server_call_id: str) -> None:
        """Report which server call it is."""
        self.ask("PATCH", f"emergency-calls/{call_id}", {"server_call_id": server_call_id}).raise_for_status()

    def end(self, call_id: str, reason: str = "agent") -> int:
        """Report the end of a call; gives the status, 202 for a call that is not known yet."""
        answer = self.ask("POST", f"emergency-calls/{call_id}/end", {"reason": reason}).raise_for_status()
        return answer.status_code

    def release(self) -> None:
        """End the hold after a drop."""
        self.ask("POST", f"agents/{self.agent.agent_id}/release").raise_for_status()

    def panel(self) -> Panel:
        """What the panel shows now; where storage takes too long for one look, it looks again, as the page does."""

        def shown() -> Panel | None:
            answer = self.ask("GET", f"agents/{self.agent.agent_id}/panel")
            if answer.status_code == httpx.codes.SERVICE_UNAVAILABLE:
                return None
            return msgspec.json.decode(answer.raise_for_status().content, type=Panel)

        return poll(shown, what="the panel")

    def show(self, status: str) -> None:
        """Set the agent's own presence."""
        self.ask("PUT", f"agents/{self.agent.agent_id}/presence", {"status": status}).raise_for_status()

    def presence(self) -> Presence:
        """The agent's presence now."""
        answer = self.ask("GET", f"agents/{self.agent.agent_id}/presence").raise_for_status()
        return msgspec.json.decode(answer.content, type=Presence)

    def wait_for_presence(self, status: str, *, within_s: float = PATIENCE_S) -> None:
        """Wait until the agent's presence is `status`; AssertionError when the time is up."""
        poll(lambda: self.presence().status == status or None, within_s=within_s, what=f"presence {status}")


class Stack:
    """A running stack; made by `running`."""

    def __init__(self, storage: Azurite, acs: LocalAcs, settings: Mapping[str, str], folder: Path) -> None:
        self.storage = storage
        self.acs = acs
        self.settings = dict(settings)
        self.folder = folder
        self._hosts = ExitStack()
        self._host: HostProcess | None = None
        self.http = httpx.Client(timeout=PATIENCE_S, trust_env=False)
        self._tables = TableServiceClient.from_connection_string(storage.connection_string)
        self._ahead = timedelta(0)
        self._port = 0
        self.outside = Outside()

    # Parts

    @property
    def host(self) -> HostProcess:
        """The host that serves the app."""
        assert self._host is not None, "the host is not running"
        return self._host

    @property
    def control(self) -> Control:
        """What the telephony, the mail service and Event Grid are made to do."""
        return self.acs.control

    @property
    def source(self) -> str:
        """The resource whose events count."""
        return self.acs.ready.event_source

    def start_host(
        self,
        settings: Mapping[str, str] | None = None,
        *,
        workers: int = 1,
        ticking: bool = False,
        take_up: bool | None = None,
        restart_delays_s: Sequence[float] | None = None,
        port: int = 0,
        well: bool = True,
    ) -> None:
        """Start the host, with settings besides the stack's own, at the time that the stack has come to.

        A host that starts again does so on the port of the one before, as a deployment keeps its address. Unless it is
        expected to be `well`, nobody waits until it is.
        """
        environment = {**self.settings, **(settings or {})}
        port = port or self._port
        log = self.folder / "host.log"
        running = host_process.running(
            environment=environment,
            workers=workers,
            ticking=ticking,
            take_up=take_up,
            restart_delays_s=restart_delays_s,
            port=port,
            log=log,
        )
        self._host = self._hosts.enter_context(running)
        self._port = httpx.URL(self.host.url).port or 0
        if self._ahead:
            self._move_clock(self._ahead)
        self.control.deliver_to(self.host.url)
        if well:
            self._warm_up(workers)
            # In the cloud the timer of the first minute does this.
            self.run_timers("lease_expiry")

    def stop_host(self) -> None:
        """End the host, and wait until it has ended."""
        self._hosts.close()
        self._host = None

    def close(self) -> None:
        """End what this object has started."""
        self.stop_host()
        self.http.close()
        self._tables.close()
        (self.folder / "azurite.log").write_text(self.storage.child.output())

    def _warm_up(self, workers: int) -> None:
        """Let each worker pay for its imports: an always-ready instance has done so before the first dial."""
        warm: set[int] = set()

        def all_warm() -> bool:
            # Both requests travel on one connection, and so reach one worker.
            with httpx.Client(base_url=self.host.url, timeout=PATIENCE_S, trust_env=False) as one:
                pid = one.get("/admin/host/status").json()["pid"]
                if one.get("/api/health").is_success:
                    warm.add(pid)
            return len(warm) == workers

        poll(all_warm, within_s=PATIENCE_S, what="healthy workers")

    # Requests

    @property
    def url(self) -> str:
        """Where the API is, without a slash at the end."""
        return f"{self.host.url}/api"

    def ask(
        self,
        method: str,
        path: str,
        body: object = None,
        *,
        principal: str | None = None,
        headers: Mapping[str, str] | None = None,
        content: bytes | None = None,
    ) -> httpx.Response:
        """A request of somebody (`role[;role][;agent_id]`), or of nobody; `content` is sent as it stands."""
        sent = dict(headers or {}) | ({SIGN_IN: principal} if principal is not None else {})
        if content is None and body is not None:
            content = msgspec.json.encode(body)
        return self.http.request(method, f"{self.url}/{path}", content=content, headers=sent)

    def add_agent(self, agent: Agent) -> Agent:
        """Enter an agent in the directory."""
        path = f"manage/agents/{agent.agent_id}"
        self.ask("PUT", path, msgspec.to_builtins(agent), principal=ADMIN).raise_for_status()
        return agent

    def softphone(self, agent: Agent) -> Softphone:
        """The desktop of an agent."""
        return Softphone(self, agent)

    def deliver(self, function_name: str, events: object) -> int:
        """Post one event, or a list, to a function as Event Grid does; 202, or 500 if one failed."""
        address = f"{self.host.url}/runtime/webhooks/EventGrid"
        kind, query = {"aeg-event-type": "Notification"}, {"functionName": function_name}
        return self.http.post(address, params=query, headers=kind, json=events).status_code

    # The outside world

    def ring(self, number: str, *, caller: str = PSAP, **fields: Any) -> CallView:
        """Somebody calls a number or an identity; returns at once, while it rings."""
        return self.control.incoming_call(caller, number, **fields)

    def will_answer(self, identity: str, *, after_s: float = 0.1) -> None:
        """Whoever this is answers each call from now on."""
        self.control.people(identity, Script(behaviour="answers", after_s=after_s))

    def wait_for_answer(self, call: CallView, *, within_s: float = PATIENCE_S) -> CallView:
        """Wait until somebody has answered the call."""
        return self.control.wait_for_call(
            # The app is on the call before anybody is, and is not one of the people.
            call.server_call_id,
            lambda seen: len(seen.people) > 1,
            within_s=within_s,
            what="an answer",
        )

    def end_callback(self, call: CallView) -> None:
        """The call ends for everyone; waits until the app was told."""
        seen = self.control.end_call(call.server_call_id)

        def told() -> bool:
            return any(
                each.type == "CallDisconnected" and each.call_connection_id == seen.call_connection_id
                for each in self.control.mid_call_deliveries()
            )

        poll(told, within_s=PATIENCE_S, what="the end of the callback")

    def emails_to(self, address: str) -> list[AcceptedEmail]:
        """The messages accepted for an address."""
        return [email for email in self.control.emails() if address in email.recipients]

    def wait_for_email(self, address: str, *, count: int = 1, within_s: float = PATIENCE_S) -> AcceptedEmail:
        """The last of at least `count` messages for an address, as soon as they are there."""
        found = poll(
            lambda: mails if len(mails := self.emails_to(address)) >= count else None,
            within_s=within_s,
            what=f"{count} messages",
        )
        return found[-1]

    # Time

    def now(self) -> datetime:
        """The time that the app and the telephony believe it is."""
        return datetime.now(UTC) + self._ahead

    def advance(self, by: timedelta) -> None:
        """Let time pass, for the app and for the telephony; timers do not run because of it."""
        self._ahead += by
        self._move_clock(by)
        self.control.clock(advance_s=by.total_seconds())
        for advance in self.outside.clocks:
            advance(by)

    def host_is_moved_on(self, by: timedelta) -> bool:
        """As `advance`, where a worker may have died just now: False, and nothing has changed, where it was asked."""
        try:
            self._move_clock(by)
        except httpx.HTTPStatusError:
            return False
        self._ahead += by
        self.control.clock(advance_s=by.total_seconds())
        return True

    def run_timers(self, *names: str) -> None:
        """Run these timer functions now, or all of them, and wait for their ends; TimerError when one fails."""
        for name in names or TIMERS:
            if self._administer(f"functions/{name}?wait=1", {}).status_code != httpx.codes.ACCEPTED:
                raise TimerError(name)

    def _move_clock(self, by: timedelta) -> None:
        self._administer("clock", {"advance_s": by.total_seconds()}).raise_for_status()

    def _administer(self, path: str, body: object) -> httpx.Response:
        # Over the connection that is kept: a client for each request would cost 50 ms.
        key = {"x-functions-key": self.host.master_key}
        return self.http.post(f"{self.host.url}/admin/{path}", headers=key, json=body, timeout=TIMER_PATIENCE_S)

    def forget_telephony(self) -> None:
        """Let the telephony, the mail service and Event Grid forget everything, faults and rules too."""
        self.control.reset()
        self.control.clock(advance_s=self._ahead.total_seconds())

    def forget_emergencies(self) -> None:
        """Let so much time pass that nothing is left of any emergency."""
        for sweeps in range(1, MAX_SWEEPS + 1):
            self.advance(LONG_AFTER)
            self.run_timers()
            kinds = {row["RowKey"].split("|")[0] for row in self.rows()["emergencies"]}
            if sweeps >= MIN_SWEEPS and kinds <= LEFT_IN_THE_END:
                return

    # What is kept

    def rows(self) -> dict[str, list[Row]]:
        """Every row of every table, without the service's own marks, in the order of their keys."""
        names = sorted(table.name for table in self._tables.list_tables())
        return {name: [dict(row) for row in self._tables.get_table_client(name).list_entities()] for name in names}

    def wait_until_nothing_is_owed(self) -> None:
        """Wait until every effect is done, and what came of every message was reported.

        But for notices beyond a principal's ration, which are owed at the end of its ten minutes, and for the look 90 s
        after a call that ended before its Do not disturb was noted: it is for what an instance that died may have sent.
        What takes longer than `SWEPT_AFTER_S` is swept, as it is where timers run: on a busy machine a try may fail,
        and is put off.
        """
        owed: list[str] = []
        sweep_at = time.monotonic() + SWEPT_AFTER_S

        def nothing_is_owed() -> bool:
            nonlocal sweep_at
            owed[:] = self._still_owed()
            if owed and time.monotonic() > sweep_at:
                self.run_timers("outbox_sweep")
                sweep_at = time.monotonic() + SWEPT_AFTER_S
            return not owed

        poll(nothing_is_owed, within_s=2 * PATIENCE_S, what=lambda: f"an end of what is owed ({', '.join(owed)})")
        self.control.wait_until_delivered()

    def _still_owed(self) -> list[str]:
        """What is owed, without its id, and how many delivery reports lack."""
        rows = self.rows()["emergencies"]
        looked_at = {row["RowKey"].removeprefix("agent|") for row in rows if _is_looked_at_once_more(row)}
        keys = [row["RowKey"] for row in rows if row["RowKey"].startswith("outbox|")]
        looks = {key for key in keys if "|presence|" in key and key.rpartition("|")[2] in looked_at}
        owed = ["|".join(key.split("|")[:3]) for key in keys if key not in looks and RATIONED.match(key) is None]
        expected = sum(len(email.recipients) for email in self.control.emails())
        reported = sum(
            each.event_type == DELIVERY_REPORT and each.status == httpx.codes.ACCEPTED
            for each in self.control.deliveries()
        )
        return owed + ([f"{expected - reported} delivery reports"] if reported < expected else [])

    def logs(self) -> dict[str, str]:
        """All that the processes of this stack have said so far."""
        files = {path.name: path.read_text(errors="replace") for path in sorted(self.folder.glob("*.log"))}
        return files | {"azurite.log": self.storage.child.output()}


def _is_looked_at_once_more(row: Row) -> bool:
    """Whether it is an emergency whose presence was returned, never in vain, and is looked at for a late mark."""
    state = str(row.get("state"))
    said = ('"held":false', '"presence_attempts":0', '"look_again_at":"')
    return row["RowKey"].startswith("agent|") and all(each in state for each in said)


@contextmanager
def running(
    *,
    settings: Mapping[str, str] | None = None,
    pool: Sequence[str] = POOL,
    workers: int = 1,
    ticking: bool = False,
    port: int = 0,
    folder: Path | None = None,
    storage: Azurite | None = None,
    presence: Where = "table",
    email: Mailer = "acs",
) -> Iterator[Stack]:
    """Run the stack until the end of the block.

    Args:
        settings: app settings besides the example ones, or in their place.
        pool: the callback numbers.
        workers: processes of the host.
        ticking: let timers run by their schedules; else only `run_timers` runs them.
        port: of the host; 0 takes a free one.
        folder: where the logs go; None keeps them only as long as the stack runs.
        storage: one that runs already; None starts one of its own.
        presence: where it lies, the app's table or a service outside.
        email: what sends the notices.
    """
    with ExitStack() as undo:
        if folder is None:
            folder = Path(undo.enter_context(tempfile.TemporaryDirectory(prefix="emergency-calling-")))
        if storage is None:
            storage = undo.enter_context(azurite.running(services=["table"]))
        acs = undo.enter_context(LocalAcs.start(log=folder / "acs.log"))
        services = undo.enter_context(outside.running(folder, acs, presence=presence, email=email))
        chosen = example_settings(storage, acs, pool) | services.settings | dict(settings or {})
        local = Stack(storage, acs, chosen, folder)
        local.outside = services
        undo.callback(local.close)
        local.start_host(workers=workers, ticking=ticking, port=port)
        yield local


def example_settings(storage: Azurite, acs: LocalAcs, pool: Sequence[str] = POOL) -> dict[str, str]:
    """The app settings of a deployment on this storage and these communication services."""
    return {
        **acs.app_settings(),
        "TABLES_CONNECTION_STRING": storage.connection_string,
        "CALLBACK_NUMBERS": ";".join(pool),
        "FALLBACK_CALLBACK_NUMBER": FALLBACK,
        "SECURITY_DESK": DESK,
        "EMERGENCY_CONTACTS": DEFAULT_CONTACT,
        "EXPIRY_SCHEDULE": "0 * * * * *",
        "OUTBOX_SCHEDULE": "*/10 * * * * *",
    }
