"""`make demo`: the main job once, end to end, on the local stack, as a timeline.

`PRESENCE=graph` keeps presence in the stand-in of Microsoft Graph, `PRESENCE=dynamics365` in that of Dynamics 365, and
`EMAIL=graph` sends the notices through Graph's: the story is the same, and what is shown is asked there and not of us.

Every line that states something was checked when it was printed. The time in the margin is the story's, hours and
minutes since the dial, on a clock that the demo moves; times in milliseconds are real.
"""

from __future__ import annotations

import argparse
import os
import shutil
import sys
import tempfile
import textwrap
import time
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from pathlib import Path

import httpx
import msgspec

from shared.ports import Holder
from tests.local import stack
from tests.local.acs import CallView, Script, poll
from tests.local.host.process import TimerError
from tests.local.node_packages import InstallError
from tests.local.outside import Letter, Mailer, Where
from tests.local.processes import ChildError, end_on_signals
from tests.local.stack import DANA, DESK, PSAP, Panel, Softphone, Stack

LABEL_WIDTH = 10
MARGIN = " " * 8
TEXT_WIDTH = 110
WINDOW, COOL_DOWN = timedelta(minutes=60), timedelta(minutes=60)
CALL_ID, SERVER_CALL_ID = "call-of-the-demo", "server-call-of-the-demo"
DANAS_OBJECT_ID = "7f1c2a94-0000-4000-8000-0000000000da"
DANAS_USER_ID = "7f1c2a94-0000-4000-8000-0000000365da"
EMERGENCY_CONTROLS = ("device_settings", "end_call")
LEFT_WHEN_ALL_IS_OVER = frozenset({"free", "number", "pool"})


class NotAsItMustBe(Exception):
    """A step of the demo did not show what it must."""


def require(holds: bool, what: str) -> None:
    """Go on only if it holds."""
    if not holds:
        raise NotAsItMustBe(what)


class Timeline:
    """What the demo prints; with a little colour where the output is a terminal."""

    def __init__(self, *, colour: bool) -> None:
        self._colour = colour

    def title(self, text: str) -> None:
        """A line about the whole."""
        print(self._styled(text, "1"), flush=True)

    def step(self, when: str, text: str) -> None:
        """Something happens."""
        indent = " " * len(MARGIN)
        wrapped = textwrap.fill(text, TEXT_WIDTH, initial_indent=indent, subsequent_indent=indent).lstrip()
        print(f"\n{self._styled(when.rjust(len(MARGIN) - 2), '36')}  {self._styled(wrapped, '1')}", flush=True)

    def fact(self, label: str, text: str) -> None:
        """Something that follows from it."""
        lead = f"{MARGIN}  {label.ljust(LABEL_WIDTH)} "
        wrapped = textwrap.fill(text, TEXT_WIDTH, initial_indent=lead, subsequent_indent=" " * len(lead))
        print(wrapped.replace(label, self._styled(label, "32"), 1), flush=True)

    def letter(self, text: str) -> None:
        """The text of a message."""
        for line in text.rstrip().splitlines():
            print(f"{MARGIN}  {' ' * LABEL_WIDTH} {self._styled('|', '2')} {line}".rstrip(), flush=True)

    def end(self, text: str) -> None:
        """The last line."""
        print(f"\n{self._styled(text, '1')}", flush=True)

    def _styled(self, text: str, code: str) -> str:
        return f"\x1b[{code}m{text}\x1b[0m" if self._colour else text


class Story:
    """An agent dials 911, the call drops, the responder calls back, and an hour later the number is free again."""

    def __init__(self, local: Stack, timeline: Timeline, *, presence: Where = "table", email: Mailer = "acs") -> None:
        self._local = local
        self._say = timeline
        dana = msgspec.structs.replace(DANA, entra_object_id=DANAS_OBJECT_ID, dynamics_user_id=DANAS_USER_ID)
        self._dana: Softphone = local.softphone(local.add_agent(dana))
        self._presence = presence
        self._email = email
        self._number = ""
        self._expires_at = local.now()

    def tell(self) -> None:
        """The whole story."""
        self.before()
        self.dial()
        self.mail()
        self.drop()
        self.callback()
        self.end()
        self.expiry()
        self.release()

    def before(self) -> None:
        """An ordinary moment."""
        self._show_available()
        self._local.will_answer(DANA.acs_user_id, after_s=0.0)
        self._local.will_answer(DESK, after_s=0.0)
        require(self._seen() == "available", "Dana's presence must be available before the call")
        require(self._dana.panel().mode == "normal", "Dana's panel must be in its normal mode before the call")
        self._say.step("before", f"{DANA.name} is available and takes customers' calls.")
        self._say.fact("directory", f"when she calls for help, these are told: {DANA.emergency_contacts}")

    def dial(self) -> None:
        """911."""
        began = time.monotonic()
        lent = self._dana.dial(CALL_ID)
        self._number, self._expires_at = lent.callback_number, lent.expires_at
        require(lent.status == httpx.codes.CREATED, f"a first dial must be answered with 201, not {lent.status}")
        require(not lent.degraded and not lent.shared, "the number must be Dana's alone")
        self._say.step("0:00", f"Dana dials 911. Her softphone reports it, and is answered in {ms(lent.took_s)}.")
        minutes = round((lent.expires_at - self._local.now()).total_seconds() / 60)
        require(minutes == WINDOW.total_seconds() / 60, f"the number must be lent for 60 minutes, not {minutes}")
        self._say.fact(
            "number", f"{spoken(self._number)} is lent to her for {minutes} minutes, until {clock(lent.expires_at)}"
        )
        self._wait_for_presence("do_not_disturb")
        self._say.fact("presence", f"available -> do not disturb, seen {ms(time.monotonic() - began)} after the dial")
        panel = self._dana.panel()
        require(panel.mode == "emergency" and panel.controls == EMERGENCY_CONTROLS, "the panel must be restricted")
        require(panel.form_actions == (), "the form must offer neither Save nor Refresh")
        self._say.fact("panel", f'"{panel.banner}" It offers device settings and End call, nothing else')
        self._say_this(panel)

    def _say_this(self, panel: Panel) -> None:
        """What the panel tells Dana to say."""
        say = panel.say
        require(say is not None, "the panel must tell Dana what to say")
        assert say is not None
        require((panel.placeable, panel.dial) == ("yes", "911"), "911 must be placeable from where Dana is")
        where = (say.address, say.address_source, say.source)
        require(where == (DANA.address, "registered", "registered"), "Dana must be told her registered address")
        require(say.callback_number == self._number and not say.number_shown, "she must be told to give her number")
        require(say.relay_first, "in the United States a relay agent answers first, and she must know it")
        self._say.fact(
            "say this",
            f'to the relay agent who answers first, then to the responder: "{say.address}", and '
            f"{spoken(say.callback_number)} to call back, as another number may be on the display",
        )

    def mail(self) -> None:
        """The people who must know."""
        contacts = DANA.emergency_contacts.split("; ")
        email = self._wait_for_letter(1)
        require(set(contacts) <= set(email.recipients), "all contacts must get the message")
        require(len(self._letters()) == 1, "one dial owes one message")
        require(self._number in digits(email.text), "the message must tell the number to call back")
        self._local.wait_until_nothing_is_owed()
        # Graph tells nothing of a message after it has accepted it.
        fate = "delivered to" if self._email == "acs" else "accepted for"
        self._say.fact("e-mail", f"one message, {fate} {len(contacts)} contacts who do not see each other:")
        self._say.letter(f"Subject: {email.subject}\n\n{email.text}")

    def drop(self) -> None:
        """The line breaks."""
        control = self._local.control
        control.call_started(DANA.acs_user_id, SERVER_CALL_ID, at=self._local.now())
        self._dana.tie(CALL_ID, SERVER_CALL_ID)
        self._local.advance(timedelta(minutes=2))
        control.call_ended(DANA.acs_user_id, SERVER_CALL_ID, duration_s=120.0, at=self._local.now())
        poll(lambda: self._dana.panel().mode == "normal" or None, what="the end of the call on the panel")
        self._say.step("0:02", "The call drops. Azure Communication Services reports an end that Dana did not cause.")
        panel = self._dana.panel()
        require(self._seen() == "do_not_disturb", "presence must stay held after a drop")
        require(panel.callback_number == self._number, "the number must stay Dana's")
        require(panel.controls[:2] == ("call_again", "end_hold"), "after a drop, calling again must come first")
        require(panel.say is not None, "what to say must stay for the next call")
        self._say.fact(
            "presence", "stays do not disturb for 10 minutes, so that no customer takes the responder's place"
        )
        self._say.fact("panel", f'"{panel.banner}" It offers Call 911 again first, and to end the hold')

    def callback(self) -> None:
        """The responder tries again."""
        self._local.advance(timedelta(minutes=1))
        took_s, call = self._ring()
        call = self._local.wait_for_answer(call)
        self._say.step("0:03", f"The responder calls {spoken(self._number)} back.")
        require(call.people == [f"4:{PSAP}", DANA.acs_user_id], "the responder must reach Dana")
        self._say.fact("callback", f"past do not disturb, Dana's softphone rings {ms(took_s)} after the call came in")
        self._say.fact("connected", "the responder and Dana, and nobody else; had she not answered, others would ring")
        poll(lambda: self._dana.panel().mode == "emergency" or None, what="the callback on the panel")
        self._say.fact("panel", "restricted again: a callback is part of the emergency")
        self._local.end_callback(call)

    def end(self) -> None:
        """It is over."""
        self._local.advance(timedelta(minutes=4))
        self._dana.release()
        self._wait_for_presence("available")
        self._say.step("0:07", "Help is on its way, the responder hangs up. Dana ends the hold.")
        require(self._dana.panel().mode == "normal", "the panel must be in its normal mode")
        self._say.fact("presence", "do not disturb -> available, as it was before the call")
        self._say.fact("number", "stays hers: a responder may still call")
        contacts = DANA.emergency_contacts.split("; ")
        email = self._wait_for_letter(2)
        require(set(contacts) <= set(email.recipients), "whoever was told of the call must be told that it is over")
        require(self._number not in digits(email.text), "what is over must give no number away")
        self._say.fact("e-mail", f"the {len(contacts)} contacts are told so, with neither number nor place:")
        self._say.letter(f"Subject: {email.subject}")

    def expiry(self) -> None:
        """An hour later."""
        self._local.advance(WINDOW - timedelta(minutes=6))
        self._local.run_timers()
        require(self._dana.panel().callback_number is None, "the lease must have ended")
        require(self._dana.panel().say is None, "what to say must go with the lease")
        self._say.step("1:01", "The 60 minutes are over. The timer takes the number back.")
        expired_at = self._written_expiry()
        require(expired_at == self._expires_at, "the timer must have written that the number expired")
        self._say.fact("timer", f"wrote that the number expired at {clock(self._expires_at)}")
        self._local.control.people(DANA.acs_user_id, Script(behaviour="never"))
        _, call = self._ring()
        require(call.invitations[0].identity == DANA.acs_user_id, "in the cool-down the last holder must still ring")
        self._say.fact("number", "rests for 60 minutes; a late call to it still rings Dana")
        self._local.end_callback(call)
        self._local.advance(timedelta(seconds=30))
        self._local.run_timers("outbox_sweep")
        email = self._wait_for_letter(3)
        require("NOBODY ANSWERED" in email.text, "the contacts must be told of a callback that nobody answered")
        self._say.fact("e-mail", "that caller hung up before anybody answered, so the contacts are told")

    def _written_expiry(self) -> datetime | None:
        """When the lease ended, as the timer wrote it into the rows of the number's holders; None if it did not."""
        holders = [row for row in self._local.rows()["emergencies"] if row["RowKey"].startswith("number|")]
        leases = [msgspec.json.decode(str(row["state"]), type=Holder).lease for row in holders if "state" in row]
        return next((lease.expired_at for lease in leases if lease.number == self._number), None)

    def release(self) -> None:
        """Another hour later."""
        self._local.advance(COOL_DOWN + timedelta(minutes=1))
        self._local.run_timers()
        _, call = self._ring()
        call = self._local.wait_for_answer(call)
        require(call.people[-1] == f"4:{DESK}", "after the cool-down the desk must ring")
        self._say.step("2:02", "The cool-down is over. The number is free for the next emergency.")
        self._say.fact("number", "a call to it now rings the security desk")
        self._local.end_callback(call)
        for _ in range(2):
            self._local.advance(timedelta(minutes=10))
            self._local.run_timers("outbox_sweep", "lease_expiry")
        rows = self._local.rows()["emergencies"]
        kinds = {row["RowKey"].split("|")[0] for row in rows}
        require(kinds <= LEFT_WHEN_ALL_IS_OVER, f"rows are left: {sorted(kinds - LEFT_WHEN_ALL_IS_OVER)}")
        free = sum(row["RowKey"].startswith("free|") for row in rows)
        require(free == len(stack.POOL), f"all {len(stack.POOL)} numbers must be free, not {free}")
        self._require_nothing_left_of_the_hold()
        self._say.fact("storage", f"nothing is left of the call: the table holds {free} free numbers and no more")

    def _require_nothing_left_of_the_hold(self) -> None:
        marks = [row for row in self._local.rows()["presence"] if row["RowKey"].startswith("presencemark|")]
        require(not marks, "no mark of the hold may be left")
        graph = self._local.outside.graph
        if self._presence == "graph" and graph is not None:
            left = graph.presence.left(DANAS_OBJECT_ID)
            require(left == ({}, None), "nothing of the hold may be left in Graph")

    def _show_available(self) -> None:
        """Dana shows that she is available, in the service where her presence lies."""
        graph, dynamics = self._local.outside.graph, self._local.outside.dynamics
        if dynamics is not None:
            dynamics.organisation.sign_in(DANAS_USER_ID)
        elif self._presence == "graph" and graph is not None:
            graph.presence.sign_in(graph.presence.add(DANAS_OBJECT_ID))
        else:
            self._dana.show("available")

    def _seen(self) -> str:
        """What everybody sees of Dana's presence: asked of the service where it lies."""
        if self._presence != "table":
            return self._local.outside.seen(DANAS_OBJECT_ID if self._presence == "graph" else DANAS_USER_ID)
        return self._dana.presence().status

    def _wait_for_presence(self, status: str) -> None:
        poll(lambda: self._seen() == status or None, what=f"presence {status}")

    def _letters(self) -> list[Letter]:
        """Every message that was accepted by the service which sends them."""
        if self._email == "graph":
            return self._local.outside.letters()
        return [Letter(each.recipients, each.subject, each.plain_text) for each in self._local.control.emails()]

    def _wait_for_letter(self, count: int) -> Letter:
        """The last of so many messages to Dana's contacts."""
        contact = DANA.emergency_contacts.split("; ")[0]

        def all_there() -> list[Letter] | None:
            found = [each for each in self._letters() if contact in each.recipients]
            return found if len(found) >= count else None

        return poll(all_there, what=f"{count} messages")[-1]

    def _ring(self) -> tuple[float, CallView]:
        """The responder calls; gives the seconds until a phone rang, and the call as it stood then."""
        began = time.monotonic()
        call = self._local.ring(self._number)
        call = self._local.control.wait_for_call(
            call.server_call_id, lambda seen: bool(seen.invitations), what="somebody who is rung"
        )
        return time.monotonic() - began, call


def spoken(number: str) -> str:
    """A number as people write it."""
    return f"{number[:2]} {number[2:5]} {number[5:8]} {number[8:]}"


def digits(text: str) -> str:
    """The text without what people put between digits."""
    return text.translate(str.maketrans("", "", " ()-"))


def clock(moment: datetime) -> str:
    """A time of day."""
    return f"{moment:%H:%M} UTC"


def ms(seconds: float) -> str:
    """A short time."""
    return f"{seconds * 1000:.0f} ms"


def play(timeline: Timeline, folder: Path, *, presence: Where = "table", email: Mailer = "acs") -> None:
    """Start the stack, tell the story, end the stack."""
    timeline.title("An agent dials 911: the main job once, end to end, on this machine.")
    began = time.monotonic()
    with stack.running(folder=folder, presence=presence, email=email) as local:
        took_s = time.monotonic() - began
        timeline.title(
            f"Storage, telephony, e-mail, events and the app on the Functions runtime: ready in {took_s:.1f} s."
        )
        Story(local, timeline, presence=presence, email=email).tell()
    timeline.end(f"Everything was as it must be. {time.monotonic() - began:.1f} s; nothing is left running.")


def attempt(act: Callable[[], None], folder: Path) -> int:
    """Do it; the exit status, after a message where something went wrong."""
    try:
        act()
    except (NotAsItMustBe, AssertionError, TimerError, ChildError, InstallError, httpx.HTTPError) as error:
        print(f"\nNot as it must be: {error}\nThe logs are in {folder}", file=sys.stderr, flush=True)
        return 1
    except KeyboardInterrupt:
        print("\nEnded by a signal; nothing is left running.", file=sys.stderr, flush=True)
        return 130
    return 0


def main(arguments: Sequence[str] | None = None) -> int:
    """Play the demo; the exit status."""
    parser = argparse.ArgumentParser(prog="make demo", description=__doc__)
    parser.add_argument("--keep-logs", action="store_true", help="keep the logs also when all went well")
    parser.add_argument(
        "--presence", choices=["table", "graph", "dynamics365"], default="table", help="where presence lies"
    )
    parser.add_argument("--email", choices=["acs", "graph"], default="acs", help="what sends the notices")
    chosen = parser.parse_args(arguments)
    end_on_signals()
    folder = Path(tempfile.mkdtemp(prefix="emergency-calling-demo-"))
    colour = sys.stdout.isatty() and "NO_COLOR" not in os.environ
    timeline = Timeline(colour=colour)
    status = attempt(lambda: play(timeline, folder, presence=chosen.presence, email=chosen.email), folder)
    if status == 0 and chosen.keep_logs:
        print(f"The logs are in {folder}")
    elif status != 1:
        shutil.rmtree(folder)
    return status


if __name__ == "__main__":
    sys.exit(main())
