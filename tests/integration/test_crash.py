"""The host is killed right after each of its outgoing requests in turn, and another one takes over (B6, B7).

Whatever went out has been acted on, and the host never learns of it. The next host starts, the softphone repeats its
request, Event Grid redelivers, time passes, the sweeps run: all is as if nothing had happened, and nobody has got more
than one mail more.
"""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx
import msgspec
import pytest

from tests.integration.tapped import Bell, Tapped, settle, tapped_stack
from tests.integration.used import contacts, new_agent, new_id
from tests.local.acs import Fault, poll
from tests.local.host.process import TimerError
from tests.local.stack import Softphone, Stack

pytestmark = [pytest.mark.process, pytest.mark.long]

POOL = tuple(f"+1206555{number:04}" for number in range(100, 110))
MAX_POSITIONS = 40
RECHECKED = timedelta(minutes=3)
TRIES = 3


@dataclass
class Case:
    """One agent's emergency."""

    local: Stack
    phone: Softphone
    call: str = field(default_factory=new_id)
    ringing: dict[str, Any] | None = None
    delivered: bool = False


@dataclass(frozen=True)
class Moment:
    """What is cut off: how a case comes to it, and the act itself, which is repeated until it is answered."""

    name: str
    before: Callable[[Case], None]
    act: Callable[[Case], None]


@dataclass(frozen=True)
class Outcome:
    """What can be seen of a case in the end, and the mails that were accepted for each recipient."""

    presence: str
    panel: str
    has_number: bool
    rows: Counter[str]
    mails: tuple[int, ...]


def nothing(_: Case) -> None:
    return


def dials(case: Case) -> None:
    case.phone.dial(case.call)


def ends(case: Case) -> None:
    case.phone.end(case.call)


def drops(case: Case) -> None:
    case.phone.end(case.call, "dropped")


def dialled(case: Case) -> None:
    dials(case)
    settle(case.local)


def hold_is_over(case: Case) -> None:
    dialled(case)
    drops(case)
    settle(case.local)
    case.local.advance(timedelta(minutes=11))


def lease_is_over(case: Case) -> None:
    dialled(case)
    ends(case)
    settle(case.local)
    case.local.advance(timedelta(hours=3))


def rings(case: Case) -> None:
    """A responder calls; the event of it is delivered by hand, because Event Grid itself would try it twice only."""
    local = case.local
    if case.ringing is None:
        local.control.event_grid(held=True)
        local.will_answer(case.phone.agent.acs_user_id)
        number = case.phone.panel().callback_number
        call = local.ring(number or "")
        data = {
            "to": {"rawId": f"4:{number}"},
            "from": {"rawId": "4:anonymous"},
            "serverCallId": call.server_call_id,
            "correlationId": call.correlation_id,
            "incomingCallContext": call.contexts[0],
        }
        case.ringing = {
            "id": new_id("event"),
            "topic": local.source,
            "subject": "",
            "data": data,
            "dataVersion": "1.0",
            "eventType": "Microsoft.Communication.IncomingCall",
            "eventTime": local.now().isoformat(),
        }


def ends_at_a_human(case: Case) -> bool:
    """One round of what goes on anyway: hosts are restarted, events come again, the sweep runs."""
    local, agent = case.local, case.phone.agent.acs_user_id
    if local.host.child.returncode is not None:
        restart(local)
    assert case.ringing is not None
    with suppress(httpx.HTTPError, TimerError):
        if not case.delivered:
            case.delivered = local.deliver("incoming_call_event", case.ringing) == httpx.codes.ACCEPTED
        local.run_timers("outbox_sweep")
    return agent in local.control.call(case.ringing["data"]["serverCallId"]).people


def sweeps(case: Case) -> None:
    case.local.run_timers()


MOMENTS = (
    Moment("dial", nothing, dials),
    Moment("end", dialled, ends),
    Moment("drop", dialled, drops),
    Moment("sweep of a hold", hold_is_over, sweeps),
    Moment("sweep of a lease", lease_is_over, sweeps),
)


@pytest.fixture(scope="module")
def mortal(tmp_path_factory: pytest.TempPathFactory, log_folders: list[Path]) -> Iterator[Tapped]:
    """A stack whose host can be killed at each of its requests."""
    folder = tmp_path_factory.mktemp("crash")
    log_folders.append(folder)
    with tapped_stack(folder, pool=POOL) as running:
        yield running


class Killer:
    """Kills the host once, at the moment that it is told."""

    def __init__(self, local: Stack) -> None:
        self._local = local
        self._once = threading.Lock()
        self.struck = threading.Event()

    def strike(self, *_: object) -> None:
        """Kill, and say so when it is done."""
        if self._once.acquire(blocking=False):
            self._local.host.child.kill()
            self.struck.set()

    def disarm(self) -> None:
        """Kill no more; a kill that has begun is over by then."""
        if not self._once.acquire(blocking=False):
            assert self.struck.wait(5)


def restart(local: Stack) -> None:
    local.stop_host()
    local.start_host()


def fresh_case(local: Stack) -> Case:
    if local.host.child.returncode is not None:
        # The test before has failed in the middle.
        restart(local)
        local.forget_emergencies()
    local.forget_telephony()
    local.control.event_grid(time_scale=50)
    phone = local.softphone(local.add_agent(new_agent()))
    phone.show("available")
    return Case(local, phone)


def act_until_answered(moment: Moment, case: Case, killer: Killer) -> None:
    """The act, once more for every host that dies of it."""
    for _ in range(TRIES):
        try:
            moment.act(case)
        except (httpx.HTTPError, TimerError, AssertionError):
            if not killer.struck.wait(1):
                raise
        else:
            # What follows the answer may be what kills.
            poll(lambda: killer.struck.is_set() or nothing_owed(case.local) or None, what="effects")
            killer.disarm()
        if case.local.host.child.returncode is None:
            return
        restart(case.local)
    raise AssertionError(f"{moment.name}: not answered")


def nothing_owed(local: Stack) -> bool:
    return not any(row["RowKey"].startswith(("outbox|", "ladder|")) for row in local.rows()["emergencies"])


def outcome(case: Case) -> Outcome:
    """How all stands when everything that was owed has been done."""
    local, agent = case.local, case.phone.agent
    settle(local)
    local.advance(RECHECKED)
    local.run_timers()
    settle(local)
    panel = case.phone.panel()
    rows = {row["RowKey"]: row for row in local.rows()["emergencies"]}
    emergencies = [row for key, row in rows.items() if key.startswith("agent|")]
    own = next((row for row in emergencies if f'"{agent.agent_id}"' in row["state"]), None)
    index = msgspec.json.decode(own["index"]) if own else []
    assert set(index) <= set(rows), "what a row says is there"
    return Outcome(
        presence=case.phone.presence().status,
        panel=panel.mode,
        has_number=panel.callback_number is not None,
        rows=Counter(key.split("|")[0] for key in rows),
        mails=tuple(len(local.emails_to(contact)) for contact in contacts(agent)),
    )


def played(tapped: Tapped, moment: Moment, arm: Callable[[Killer], None]) -> tuple[Outcome, bool]:
    """A case from beginning to end, and whether the host was killed in it."""
    local, tap = tapped
    case = fresh_case(local)
    killer = Killer(local)
    moment.before(case)
    tap.reset()
    arm(killer)
    act_until_answered(moment, case, killer)
    tap.reset()
    local.control.clear_faults()
    seen = outcome(case)
    local.forget_emergencies()
    return seen, killer.struck.is_set()


@pytest.mark.parametrize("moment", MOMENTS, ids=lambda moment: moment.name)
def test_a_crash_after_any_request_comes_to_the_same(
    mortal: Tapped, moment: Moment, capsys: pytest.CaptureFixture[str]
) -> None:
    expected, _ = played(mortal, moment, lambda _: None)
    struck_at: Counter[str] = Counter()
    for position in range(1, MAX_POSITIONS):
        seen, struck = played(mortal, moment, lambda killer, n=position: mortal.tap.on(n, killer.strike))  # type: ignore[misc]
        if not struck:
            break
        struck_at["storage"] += 1
        require_same(expected, seen, f"after request {position} to storage")
    for position in range(MAX_POSITIONS):
        with ExitStack() as bells:

            def arm(killer: Killer, skip: int = position, bells: ExitStack = bells) -> None:
                bell = bells.enter_context(Bell(killer.strike))
                mortal.local.control.fault(Fault(kind="notify", when="after", url=bell.url, skip=skip, times=1))

            seen, struck = played(mortal, moment, arm)
        if not struck:
            break
        struck_at["services"] += 1
        require_same(expected, seen, f"after request {position + 1} to communication services")
    with capsys.disabled():
        print(f"\n  {moment.name}: {dict(struck_at)}", end="")
    assert struck_at["storage"] > 0


@pytest.mark.parametrize("side", ["storage", "services"])
def test_a_callback_ends_at_a_human_after_a_crash_at_any_request(
    mortal: Tapped, side: str, capsys: pytest.CaptureFixture[str]
) -> None:
    local, tap = mortal
    for position in range(MAX_POSITIONS):
        case = fresh_case(local)
        dialled(case)
        rings(case)
        killer = Killer(local)
        tap.reset()
        with ExitStack() as bells:
            if side == "storage":
                tap.on(position + 1, killer.strike)
            else:
                bell = bells.enter_context(Bell(killer.strike))
                local.control.fault(Fault(kind="notify", when="after", url=bell.url, skip=position, times=1))
            poll(lambda case=case: ends_at_a_human(case) or None, within_s=60, what="a human")  # type: ignore[misc]
            tap.reset()
            local.control.clear_faults()
            killer.disarm()
        if not killer.struck.is_set():
            break
        assert case.ringing is not None
        local.control.end_call(case.ringing["data"]["serverCallId"])
        restart(local)
        local.forget_emergencies()
    with capsys.disabled():
        print(f"\n  killed after {position} requests to {side}", end="")
    assert position > 0


def require_same(expected: Outcome, seen: Outcome, where: str) -> None:
    assert (seen.presence, seen.panel, seen.has_number, seen.rows) == (
        expected.presence,
        expected.panel,
        expected.has_number,
        expected.rows,
    ), where
    more = [after - before for before, after in zip(expected.mails, seen.mails, strict=True)]
    assert all(0 <= each <= 1 for each in more), f"{where}: {more} mails more"
