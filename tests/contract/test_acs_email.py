"""The e-mail adapter against the local stand-in, over TLS: the real SDK, the real wire."""

import json
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any
from uuid import uuid4

import pytest
from msgspec import structs

from shared.adapters.acs_email import AcsEmail
from shared.adapters.acs_service import MENDING_S
from shared.adapters.system_clock import SystemClock
from shared.deadlines import Deadline
from shared.domain.errors import Unavailable
from shared.ports import Email
from tests.contract.table_servers import DEEP, never_answers, serving, trickles
from tests.local.acs import EmailRules, Fault, LocalAcs
from tests.local.acs.messages import LoggedRequest
from tests.local.clock import MovableClock

CLOCK = SystemClock()
SENDER = "emergency@alerts.example.com"
DESK, CHIEF, NURSE = "desk@example.com", "chief@example.com", "o'nurse+1@example.com"


@pytest.fixture(scope="module")
def service() -> Iterator[LocalAcs]:
    with LocalAcs.start() as running:
        yield running


@dataclass
class Line:
    """The adapter, and the stand-in behind it."""

    email: AcsEmail
    acs: LocalAcs

    def send(self, *recipients: str, seconds: float = 10.0, **fields: Any) -> Email:
        message = an_email(*(recipients or (DESK,)), **fields)
        self.email.send(message, Deadline(CLOCK, seconds))
        return message


def an_email(*recipients: str, **fields: Any) -> Email:
    facts = {"operation_id": str(uuid4()), "subject": "Subject", "text": "Text", "html": "<p>Text</p>", **fields}
    return Email(recipients=recipients, **facts)


@pytest.fixture
def line(service: LocalAcs) -> Iterator[Line]:
    service.control.reset()
    adapter = AcsEmail(
        sender=SENDER, clock=CLOCK, connection_string=service.connection_string, ca_bundle=service.ca_file
    )
    yield Line(adapter, service)
    adapter.close()


@pytest.mark.process
class TestSending:
    def test_the_message_as_the_service_sees_it(self, line: Line) -> None:
        sent = line.send(DESK, CHIEF, NURSE, subject="Sübject")
        [accepted] = line.acs.control.emails()
        assert accepted.operation_id == sent.operation_id
        assert (accepted.to, accepted.cc, accepted.bcc) == ([], [], [DESK, CHIEF, NURSE])
        assert (accepted.subject, accepted.plain_text, accepted.html) == ("Sübject", "Text", "<p>Text</p>")
        assert accepted.sender == SENDER
        assert accepted.headers["x-priority"] == "1"
        assert accepted.tracking_disabled

    def test_a_repeat_is_the_same_message(self, line: Line) -> None:
        sent = line.send(DESK)
        line.email.send(sent, Deadline(CLOCK, 10))
        assert len(line.acs.control.emails()) == 1

    def test_fifty_at_once(self, line: Line) -> None:
        with ThreadPoolExecutor(50) as executor:
            list(executor.map(lambda _: line.send(DESK), range(50)))
        assert len(line.acs.control.emails()) == 50

    def test_fifty_recipients_cost_one_request(self, line: Line) -> None:
        line.send(*(f"contact-{number}@example.com" for number in range(50)))
        [accepted] = line.acs.control.emails()
        assert len(line.acs.control.requests("email")) == 1
        assert (len(accepted.to), len(accepted.cc), len(accepted.bcc)) == (0, 0, 50)

    def test_one_request_and_no_polling(self, line: Line) -> None:
        before = len(line.acs.control.requests())
        line.send(DESK)
        assert len(line.acs.control.requests()) == before + 1


@pytest.mark.process
class TestRefusals:
    def test_a_sender_that_is_not_known_is_refused(self, service: LocalAcs) -> None:
        adapter = AcsEmail(
            sender="a@b.example", clock=CLOCK, connection_string=service.connection_string, ca_bundle=service.ca_file
        )
        with pytest.raises(Unavailable) as caught:
            adapter.send(an_email(DESK, CHIEF), Deadline(CLOCK, 10))
        assert caught.value.reason == "domainnotlinked" and caught.value.retry_after_s == MENDING_S
        adapter.close()

    def test_a_sender_name_that_is_not_known_is_nobodys_fault(self, line: Line) -> None:
        line.acs.control.email_rules(EmailRules(senders=["another@alerts.example.com"]))
        with pytest.raises(Unavailable) as caught:
            line.send(DESK, CHIEF)
        assert caught.value.reason == "invalidsenderusername"

    def test_a_repeat_of_what_was_refused_is_another_request(self, line: Line) -> None:
        line.acs.control.email_rules(EmailRules(senders=[]))
        message = an_email(DESK, CHIEF)
        for _ in range(2):
            with pytest.raises(Unavailable):
                line.email.send(message, Deadline(CLOCK, 10))
        line.acs.control.email_rules(EmailRules())
        for _ in range(2):
            line.email.send(message, Deadline(CLOCK, 10))
        assert len(line.acs.control.emails()) == 1
        assert [each.repeated for each in line.acs.control.requests("email")] == [False, False, False, True]

    def test_a_repeat_of_what_was_throttled_is_another_request(self, line: Line) -> None:
        """The service repeats a 429 to the same request for five minutes, whatever the quota allows by then."""
        line.acs.control.email_rules(EmailRules(messages_per_minute=1))
        line.send(CHIEF)
        message = an_email(DESK)
        with pytest.raises(Unavailable) as caught:
            line.email.send(message, Deadline(CLOCK, 10))
        assert caught.value.reason == "quota"
        line.acs.control.clock(advance_s=61)
        for _ in range(2):
            line.email.send(message, Deadline(CLOCK, 10))
        assert [each.to for each in line.acs.control.emails()] == [[CHIEF], [DESK]]

    def test_what_is_throttled_after_a_try_without_an_answer_is_still_the_same_request(self, line: Line) -> None:
        """That try may have sent it, and a limit may be counted before a repeat is known for one."""
        message = an_email(DESK)
        line.acs.control.fault(Fault(operation="email", kind="drop", when="after", times=1))
        line.acs.control.fault(Fault(operation="email", kind="throttle", skip=1, times=1))
        for reason in ("", "quota"):
            with pytest.raises(Unavailable) as caught:
                line.email.send(message, Deadline(CLOCK, 10))
            assert caught.value.reason == reason
        line.email.send(message, Deadline(CLOCK, 10))
        assert len(line.acs.control.emails()) == 1

    @pytest.mark.parametrize("body", ["", "null", "[]", "{}", "<html>", '{"status": "Running"}', '{"id": null}', DEEP])
    def test_what_says_202_without_an_operation_is_not_the_service(self, line: Line, body: str) -> None:
        line.acs.control.fault(Fault(operation="email", kind="body", status=202, body=body))
        with pytest.raises(Unavailable) as caught:
            line.send(DESK)
        assert caught.value.__suppress_context__ or not caught.value.__context__

    @pytest.mark.parametrize(
        ("operation", "reason"),
        [
            ({"status": "Failed", "error": {"code": "DomainNotLinked", "message": DESK}}, "domainnotlinked"),
            ({"status": "Failed", "error": {"code": f"no {DESK}"}}, "operation_failed"),
            ({"status": "Failed", "error": {"code": "A" * 41}}, "operation_failed"),
            ({"status": "Failed", "error": {"code": 14255550100}}, "operation_failed"),
            ({"status": "failed", "error": None}, "operation_failed"),
            ({"status": "Canceled", "error": []}, "operation_failed"),
            ({"status": "Suspended"}, "operation_failed"),
            ({"status": 1}, "operation_failed"),
            ({"status": ["Failed"]}, "operation_failed"),
        ],
    )
    def test_an_operation_that_has_failed_is_no_message_sent_and_the_next_try_is_another_request(
        self, line: Line, operation: dict[str, object], reason: str
    ) -> None:
        message, body = an_email(DESK), json.dumps({"id": "one", **operation})
        line.email.send(message, Deadline(CLOCK, 10))
        line.acs.control.fault(Fault(operation="email", kind="body", status=202, body=body, times=1))
        with pytest.raises(Unavailable) as caught:
            line.email.send(message, Deadline(CLOCK, 10))
        assert (caught.value.reason, caught.value.retry_after_s) == (reason, MENDING_S)
        assert DESK not in str(caught.value)
        line.email.send(message, Deadline(CLOCK, 10))
        assert not line.acs.control.requests("email")[-1].repeated

    @pytest.mark.parametrize("status", ["NotStarted", "Running", "Succeeded", "running", None])
    def test_an_operation_that_runs_or_says_nothing_is_a_message_sent(self, line: Line, status: str | None) -> None:
        body = json.dumps({"id": "one", "status": status})
        line.acs.control.fault(Fault(operation="email", kind="body", status=202, body=body, times=1))
        line.send(DESK)
        [asked] = line.acs.control.requests("email")
        assert not asked.repeated

    def test_what_is_dropped_for_its_recipients_alone_counts_as_sent(self, line: Line) -> None:
        """Nobody has to mend the service; the reports that follow pass the notice on to the default contacts."""
        dropped = {"code": "EmailDroppedAllRecipientsSuppressed", "message": "All recipients were suppressed."}
        body = json.dumps({"id": "one", "status": "Failed", "error": dropped})
        line.acs.control.fault(Fault(operation="email", kind="body", status=202, body=body, times=1))
        line.send(DESK)
        [asked] = line.acs.control.requests("email")
        assert not asked.repeated

    def test_a_request_that_is_still_under_way_is_asked_for_again_and_not_made_twice(self, line: Line) -> None:
        message = an_email(DESK)
        line.acs.control.fault(Fault(operation="email", kind="drop", when="after", times=1))
        with pytest.raises(Unavailable):
            line.email.send(message, Deadline(CLOCK, 10))
        line.acs.control.fault(Fault(operation="email", status=409, times=1))
        with pytest.raises(Unavailable) as caught:
            line.email.send(message, Deadline(CLOCK, 10))
        assert caught.value.reason == "" and caught.value.retry_after_s < MENDING_S
        line.email.send(message, Deadline(CLOCK, 10))
        assert len(line.acs.control.emails()) == 1

    def test_a_message_in_other_words_is_another_request(self, line: Line) -> None:
        """The service refuses a repeat that does not match; "late by 12 minutes" is 13 in the next try."""
        message = an_email(DESK, CHIEF, text="late by 12 minutes")
        line.email.send(message, Deadline(CLOCK, 10))
        line.email.send(structs.replace(message, text="late by 13 minutes"), Deadline(CLOCK, 10))
        assert [each.repeated for each in line.acs.control.requests("email")] == [False, False]


@pytest.mark.process
class TestWhenItWasFirstSent:
    def test_a_repeat_says_when_the_first_one_was(self, service: LocalAcs) -> None:
        first, repeat = self._sent_twice(service, seconds_between=100)
        assert first.first_sent == repeat.first_sent
        assert repeat.repeated

    def test_beyond_what_the_service_remembers_it_is_first_sent_anew(self, service: LocalAcs) -> None:
        first, later = self._sent_twice(service, seconds_between=400)
        assert first.first_sent != later.first_sent
        assert not later.repeated and later.status == 202

    @staticmethod
    def _sent_twice(service: LocalAcs, *, seconds_between: int) -> list[LoggedRequest]:
        service.control.reset()
        clock, message = MovableClock(), an_email(DESK)
        adapter = AcsEmail(
            sender=SENDER, clock=clock, connection_string=service.connection_string, ca_bundle=service.ca_file
        )
        adapter.send(message, Deadline(CLOCK, 10))
        clock.advance(seconds_between)
        service.control.clock(advance_s=seconds_between)
        adapter.send(message, Deadline(CLOCK, 10))
        adapter.close()
        return service.control.requests("email")


def elsewhere(port: int) -> AcsEmail:
    adapter = AcsEmail(
        sender=SENDER, clock=CLOCK, connection_string=f"endpoint=https://127.0.0.1:{port}/;accesskey=c2VjcmV0"
    )
    adapter.warm_up()
    return adapter


@pytest.mark.parametrize("trouble", [never_answers, trickles])
def test_the_deadline_holds(trouble: Any) -> None:
    with serving(trouble) as server:
        adapter = elsewhere(server.port)
        begun = time.monotonic()
        with pytest.raises(Unavailable):
            adapter.send(an_email(DESK), Deadline(CLOCK, 0.4))
        assert time.monotonic() - begun < 2
        adapter.close()


@pytest.mark.process
@pytest.mark.parametrize("kind", ["trickle", "hang", "drop"])
def test_the_deadline_holds_over_tls(line: Line, kind: Any) -> None:
    line.email.warm_up()
    line.acs.control.fault(Fault(kind=kind))
    begun = time.monotonic()
    with pytest.raises(Unavailable):
        line.send(DESK, seconds=0.8)
    assert time.monotonic() - begun < 2
    line.acs.control.clear_faults()


def test_without_sender_or_service_it_is_for_somebody_to_mend() -> None:
    nowhere = AcsEmail(sender=None, clock=CLOCK)
    with pytest.raises(Unavailable) as caught:
        nowhere.send(an_email(DESK), Deadline(CLOCK, 1))
    assert caught.value.reason == "no_sender"
    unconfigured = AcsEmail(sender=SENDER, clock=CLOCK)
    with pytest.raises(Unavailable) as caught:
        unconfigured.send(an_email(DESK), Deadline(CLOCK, 5))
    assert caught.value.reason == "settings" and caught.value.undone
    unconfigured.close()
