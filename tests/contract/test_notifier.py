"""Port `Notifier`: what both e-mail services keep, each over TLS against its local stand-in."""

import json
import time
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any, Protocol
from uuid import uuid4

import pytest
from azure.core.credentials import AccessToken

from shared.adapters.acs_email import AcsEmail
from shared.adapters.acs_service import MENDING_S
from shared.adapters.graph_email import GraphEmail
from shared.adapters.system_clock import SystemClock
from shared.deadlines import Deadline
from shared.domain.errors import RecipientsRefused, Refused, Unavailable
from shared.ports import Email
from tests.contract.table_servers import DEEP, never_answers, serving, trickles
from tests.local import acs, graph
from tests.local.acs import EmailRules, LocalAcs
from tests.local.graph import LocalGraph
from tests.local.processes import free_ports

CLOCK = SystemClock()
SENDER = "emergency@alerts.example.com"
DESK, CHIEF, NURSE = "desk@example.com", "chief@example.com", "o'nurse+1@example.com"
NOBODY = "nobody@alerts.example.com"


@dataclass(frozen=True)
class Sent:
    """A message as the service has accepted it; `to` without the sender's own address."""

    to: list[str]
    hidden: list[str]
    subject: str
    html: str
    important: bool


class Service(Protocol):
    """A service, as the suite needs it."""

    def adapter(self, *, sender: str | None = SENDER) -> AcsEmail | GraphEmail: ...

    def sent(self) -> list[Sent]: ...

    def refuse(self, *addresses: str) -> None: ...

    def fail(self, status: int, *, body: str | None = None, retry_after_s: int | None = None) -> None: ...

    def hang(self) -> None: ...


class Acs:
    """Communication Services."""

    def __init__(self, running: LocalAcs) -> None:
        self._acs = running
        running.control.reset()

    def adapter(self, *, sender: str | None = SENDER) -> AcsEmail:
        return AcsEmail(
            sender=sender, clock=CLOCK, connection_string=self._acs.connection_string, ca_bundle=self._acs.ca_file
        )

    def sent(self) -> list[Sent]:
        accepted = self._acs.control.emails()
        return [
            Sent(each.to, each.bcc, each.subject, each.html or "", each.headers["x-priority"] == "1")
            for each in accepted
            if not each.cc
        ]

    def refuse(self, *addresses: str) -> None:
        self._acs.control.email_rules(EmailRules(refused=list(addresses)))

    def fail(self, status: int, *, body: str | None = None, retry_after_s: int | None = None) -> None:
        fault = acs.Fault(status=status, retry_after_s=retry_after_s, times=1)
        if body is not None:
            fault = acs.Fault(operation="email", kind="body", status=status, body=body, times=1)
        self._acs.control.fault(fault)

    def hang(self) -> None:
        self._acs.control.fault(acs.Fault(kind="hang", times=1))


class Tokens:
    """A credential that the stand-in believes, or does not."""

    def __init__(self, running: LocalGraph, **claims: Any) -> None:
        self._graph = running
        self._claims = claims
        self.scopes: list[str] = []

    def get_token(self, *scopes: str, **_: Any) -> AccessToken:
        self.scopes += scopes
        return AccessToken(self._graph.token(**self._claims), int(time.time()) + 3600)


class Graph:
    """Microsoft Graph."""

    def __init__(self, running: LocalGraph) -> None:
        self._graph = running
        running.reset()

    def adapter(self, *, sender: str | None = SENDER) -> GraphEmail:
        running = self._graph
        tokens = Tokens(running)
        return GraphEmail(
            sender=sender, url=running.url, clock=CLOCK, ca_bundle=running.ca_file, credential=lambda: tokens
        )

    def sent(self) -> list[Sent]:
        return [
            Sent(
                [address for address in each.to if address != SENDER],
                each.bcc,
                each.subject,
                each.content if each.content_type == "html" else "",
                each.importance == "high",
            )
            for each in self._graph.mail.accepted
            if not each.cc
        ]

    def refuse(self, *addresses: str) -> None:
        self._graph.mail.refused = set(addresses)

    def fail(self, status: int, *, body: str | None = None, retry_after_s: int | None = None) -> None:
        self._graph.faults.append(graph.Fault(status=status, body=body, retry_after_s=retry_after_s))

    def hang(self) -> None:
        self._graph.faults.append(graph.Fault(kind="hang"))


@pytest.fixture(scope="module")
def stand_ins() -> Iterator[tuple[LocalAcs, LocalGraph]]:
    with ExitStack() as stack:
        yield stack.enter_context(LocalAcs.start()), stack.enter_context(LocalGraph.start())


@pytest.fixture(params=["acs", "graph"])
def service(request: pytest.FixtureRequest, stand_ins: tuple[LocalAcs, LocalGraph]) -> Service:
    return Acs(stand_ins[0]) if request.param == "acs" else Graph(stand_ins[1])


@pytest.fixture
def notifier(service: Service) -> Iterator[AcsEmail | GraphEmail]:
    adapter = service.adapter()
    yield adapter
    adapter.close()


def an_email(*recipients: str, **fields: Any) -> Email:
    facts = {"operation_id": str(uuid4()), "subject": "Sübject", "text": "Text", "html": "<p>Téxt</p>", **fields}
    return Email(recipients=recipients, **facts)


def send(notifier: AcsEmail | GraphEmail, *recipients: str, seconds: float = 10.0, **fields: Any) -> Email:
    message = an_email(*recipients, **fields)
    notifier.send(message, Deadline(CLOCK, seconds))
    return message


@pytest.mark.process
class TestBoth:
    def test_several_recipients_do_not_see_one_another(self, service: Service, notifier: AcsEmail | GraphEmail) -> None:
        send(notifier, DESK, CHIEF, NURSE)
        assert service.sent() == [Sent([], [DESK, CHIEF, NURSE], "Sübject", "<p>Téxt</p>", important=True)]

    def test_a_single_recipient_is_written_to(self, service: Service, notifier: AcsEmail | GraphEmail) -> None:
        send(notifier, NURSE)
        assert service.sent() == [Sent([NURSE], [], "Sübject", "<p>Téxt</p>", important=True)]

    def test_fifty_recipients_are_one_message(self, service: Service, notifier: AcsEmail | GraphEmail) -> None:
        send(notifier, *(f"contact-{number}@example.com" for number in range(50)))
        [sent] = service.sent()
        assert len(sent.hidden) == 50

    def test_a_repeat_is_the_same_message(self, service: Service, notifier: AcsEmail | GraphEmail) -> None:
        message = send(notifier, DESK)
        notifier.send(message, Deadline(CLOCK, 10))
        send(notifier, DESK)
        assert len(service.sent()) == 2

    def test_what_failed_is_sent_by_the_repeat(self, service: Service, notifier: AcsEmail | GraphEmail) -> None:
        message = an_email(DESK)
        service.fail(503)
        with pytest.raises(Unavailable):
            notifier.send(message, Deadline(CLOCK, 10))
        notifier.send(message, Deadline(CLOCK, 10))
        assert len(service.sent()) == 1

    def test_refused_recipients_are_named_whatever_their_case(
        self, service: Service, notifier: AcsEmail | GraphEmail
    ) -> None:
        service.refuse(CHIEF)
        with pytest.raises(RecipientsRefused) as caught:
            send(notifier, DESK, CHIEF.upper(), f"x{CHIEF}")
        assert caught.value.addresses == {CHIEF.upper()}
        assert CHIEF.upper() not in str(caught.value)
        assert caught.value.__cause__ is None and caught.value.__suppress_context__
        assert service.sent() == []

    def test_a_refused_recipient_is_named_however_json_writes_the_address(
        self, service: Service, notifier: AcsEmail | GraphEmail
    ) -> None:
        # As the serializer of .NET writes an apostrophe and a plus sign.
        body = json.dumps({"error": {"code": "InvalidEmailAddress", "message": f"Invalid: {NURSE}"}})
        service.fail(400, body=body.replace("'", "\\u0027").replace("+", "\\u002B"))
        with pytest.raises(RecipientsRefused) as caught:
            send(notifier, DESK, NURSE)
        assert caught.value.addresses == {NURSE}

    def test_a_refusal_that_names_nobody_is_perhaps_a_recipients(
        self, service: Service, notifier: AcsEmail | GraphEmail
    ) -> None:
        service.fail(400, body=json.dumps({"error": {"code": "ErrorInvalidRecipients", "message": "One is wrong."}}))
        with pytest.raises(Refused) as caught:
            send(notifier, DESK, CHIEF)
        assert not isinstance(caught.value, RecipientsRefused)

    @pytest.mark.parametrize("status", [401, 403, 404, 405, 409, 413, 415, 422])
    def test_no_other_status_than_400_is_about_a_recipient(
        self, service: Service, notifier: AcsEmail | GraphEmail, status: int
    ) -> None:
        if status == 409 and isinstance(notifier, AcsEmail):
            pytest.skip("Communication Services so says that an earlier try is under way (`test_acs_email.py`)")
        # A token that was not taken is fetched anew, once.
        for _ in range(2 if status == 401 else 1):
            service.fail(status, body=json.dumps({"error": {"code": "Whatever", "message": f"Not {DESK}"}}))
        with pytest.raises(Unavailable) as caught:
            send(notifier, DESK, CHIEF)
        assert (caught.value.reason, caught.value.retry_after_s) == ("whatever", MENDING_S)
        assert caught.value.undone, "it answered"
        assert DESK not in str(caught.value)

    def test_throttled_is_unavailable_for_as_long_as_the_service_says(
        self, service: Service, notifier: AcsEmail | GraphEmail
    ) -> None:
        service.fail(429, retry_after_s=42)
        begun = time.monotonic()
        with pytest.raises(Unavailable) as caught:
            send(notifier, DESK)
        assert (caught.value.retry_after_s, caught.value.reason, caught.value.undone) == (42, "quota", True)
        assert time.monotonic() - begun < 5

    @pytest.mark.parametrize("status", [500, 502, 503, 504])
    def test_what_passes_is_nobodys_to_mend(
        self, service: Service, notifier: AcsEmail | GraphEmail, status: int
    ) -> None:
        service.fail(status)
        with pytest.raises(Unavailable) as caught:
            send(notifier, DESK)
        assert caught.value.reason == ""
        # Graph may have sent it after any of the others, and would not know it again.
        assert caught.value.undone is (status == 503 or isinstance(notifier, AcsEmail))

    @pytest.mark.parametrize("body", ["", "null", "[]", "<html>", DEEP])
    def test_what_says_200_is_not_the_service(
        self, service: Service, notifier: AcsEmail | GraphEmail, body: str
    ) -> None:
        service.fail(200, body=body)
        with pytest.raises(Unavailable) as caught:
            send(notifier, DESK)
        assert service.sent() == [] and not caught.value.undone

    def test_a_sender_that_may_not_send_is_for_somebody_to_mend(self, service: Service) -> None:
        adapter = service.adapter(sender=NOBODY)
        with pytest.raises(Unavailable) as caught:
            send(adapter, DESK, CHIEF)
        assert caught.value.reason and caught.value.retry_after_s == MENDING_S
        adapter.close()

    def test_a_service_that_hangs_holds_nobody_beyond_the_deadline(
        self, service: Service, notifier: AcsEmail | GraphEmail
    ) -> None:
        notifier.warm_up()
        service.hang()
        begun = time.monotonic()
        with pytest.raises(Unavailable) as caught:
            send(notifier, DESK, seconds=0.8)
        assert time.monotonic() - begun < 2 and not caught.value.undone

    def test_without_a_sender_it_is_for_somebody_to_mend(self, service: Service) -> None:
        with pytest.raises(Unavailable) as caught:
            send(service.adapter(sender=None), DESK)
        assert caught.value.reason == "no_sender" and caught.value.undone

    @pytest.mark.parametrize("count", [0, 51])
    def test_too_few_and_too_many_recipients(self, notifier: AcsEmail | GraphEmail, count: int) -> None:
        with pytest.raises(ValueError, match="recipients"):
            send(notifier, *(f"a{number}@example.com" for number in range(count)))


@pytest.mark.parametrize("backend", ["acs", "graph"])
def test_where_nobody_listens_nothing_was_sent(backend: str, stand_ins: Any) -> None:
    [port] = free_ports(1)
    url = f"https://127.0.0.1:{port}"
    tokens = Tokens(stand_ins[1])
    adapter = (
        AcsEmail(sender=SENDER, clock=CLOCK, connection_string=f"endpoint={url}/;accesskey=c2VjcmV0")
        if backend == "acs"
        else GraphEmail(sender=SENDER, url=url, clock=CLOCK, credential=lambda: tokens)
    )
    with pytest.raises(Unavailable) as caught:
        send(adapter, DESK)
    assert caught.value.undone
    adapter.close()


@pytest.mark.parametrize("trouble", [never_answers, trickles])
def test_the_deadline_holds_where_the_service_talks_no_tls(trouble: Any, stand_ins: Any) -> None:
    with serving(trouble) as server:
        tokens = Tokens(stand_ins[1])
        adapter = GraphEmail(
            sender=SENDER, url=f"https://127.0.0.1:{server.port}", clock=CLOCK, credential=lambda: tokens
        )
        adapter.warm_up()
        begun = time.monotonic()
        with pytest.raises(Unavailable):
            send(adapter, DESK, seconds=0.4)
        assert time.monotonic() - begun < 2
        adapter.close()
