"""What is Graph's own in e-mail: tokens, the mailbox's limits, threads, and copies that are recognised."""

import subprocess
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor, wait
from datetime import timedelta
from typing import Any

import pytest
from azure.core.credentials import AccessToken
from azure.identity import CredentialUnavailableError

from shared.adapters.acs_service import MENDING_S
from shared.adapters.graph_email import MAX_ACCEPTED_KEPT, REQUESTS_AT_ONCE, GraphEmail
from shared.bootstrap import MAILS_AT_ONCE
from shared.deadlines import Clock, Deadline
from shared.domain.errors import Refused, Unavailable
from tests.contract.test_notifier import CHIEF, CLOCK, DESK, SENDER, Tokens, an_email, send
from tests.fakes.house import HandClock
from tests.local.graph import Fault, LocalGraph
from tests.local.graph.errors import GraphError
from tests.rules.sources import ROOT

pytestmark = pytest.mark.process


@pytest.fixture(scope="module")
def running() -> Iterator[LocalGraph]:
    with LocalGraph.start() as graph:
        yield graph


@pytest.fixture
def graph(running: LocalGraph) -> LocalGraph:
    running.reset()
    return running


def line(graph: LocalGraph, tokens: Any = None, *, sender: str = SENDER, clock: Clock = CLOCK) -> GraphEmail:
    tokens = tokens or Tokens(graph)
    return GraphEmail(sender=sender, url=graph.url, clock=clock, ca_bundle=graph.ca_file, credential=lambda: tokens)


class NoIdentity:
    """A credential without an identity behind it."""

    def get_token(self, *_: str, **__: Any) -> Any:
        raise CredentialUnavailableError(message="no identity")


def test_a_message_is_sent_once_as_long_as_a_repeat_may_come_and_its_id_may_be_another_days(graph: LocalGraph) -> None:
    clock = HandClock()
    adapter = line(graph, clock=clock)
    for _ in range(2):
        send(adapter, DESK, operation_id="the-same")
    assert len(graph.mail.accepted) == 1
    clock.advance(timedelta(hours=20))
    send(adapter, DESK, operation_id="the-same")
    assert len(graph.mail.accepted) == 2


class TestTokens:
    def test_a_tokens_resource_is_the_origin_of_the_service(self, graph: LocalGraph) -> None:
        tokens = Tokens(graph)
        send(line(graph, tokens), DESK)
        assert tokens.scopes == [f"{graph.url}/.default"]

    def test_one_token_serves_many_messages(self, graph: LocalGraph) -> None:
        tokens = Tokens(graph)
        adapter = line(graph, tokens)
        for _ in range(3):
            send(adapter, DESK)
        assert len(tokens.scopes) == 1

    def test_a_ping_sends_nothing_and_tells_of_an_identity_that_gets_none(self, graph: LocalGraph) -> None:
        line(graph).ping(Deadline(CLOCK, 5))
        assert graph.mail.accepted == []
        with pytest.raises(Unavailable) as caught:
            line(graph, NoIdentity()).ping(Deadline(CLOCK, 5))
        assert caught.value.reason == "identity"

    def test_the_warm_up_fetches_one(self, graph: LocalGraph) -> None:
        tokens = Tokens(graph)
        line(graph, tokens).warm_up()
        assert len(tokens.scopes) == 1 and graph.requests == []

    @pytest.mark.parametrize(
        ("claims", "reason"),
        [
            ({"roles": []}, "erroraccessdenied"),
            ({"roles": ["Mail.Read"]}, "erroraccessdenied"),
            ({"audience": "https://graph.example"}, "invalidauthenticationtoken"),
            ({"for_s": -60}, "invalidauthenticationtoken"),
        ],
    )
    def test_a_right_that_is_missing_keeps_the_notice_owed(
        self, graph: LocalGraph, claims: dict[str, Any], reason: str
    ) -> None:
        with pytest.raises(Unavailable) as caught:
            send(line(graph, Tokens(graph, **claims)), DESK)
        assert (caught.value.reason, caught.value.retry_after_s) == (reason, MENDING_S)

    def test_a_token_that_is_not_taken_is_replaced_once(self, graph: LocalGraph) -> None:
        tokens = Tokens(graph)
        adapter = line(graph, tokens)
        graph.faults.append(Fault(status=401))
        send(adapter, DESK)
        assert len(graph.mail.accepted) == 1 and len(tokens.scopes) == 2

    def test_an_identity_that_gets_no_token_is_no_refusal_of_the_message(self, graph: LocalGraph) -> None:
        adapter = line(graph, NoIdentity())
        for attempt in (lambda: send(adapter, DESK), adapter.warm_up):
            with pytest.raises(Unavailable) as caught:
                attempt()
            assert (caught.value.reason, caught.value.retry_after_s) == ("identity", MENDING_S)
            assert caught.value.undone
            assert caught.value.__suppress_context__
        assert graph.requests == []


class TestRefusals:
    @pytest.mark.parametrize("code", ["ErrorSendAsDenied", "ErrorMessageSizeExceeded", "RequestBodyRead"])
    def test_a_400_about_the_sender_or_the_request_is_no_recipients(self, graph: LocalGraph, code: str) -> None:
        graph.mail.blocked = GraphError(400, code, f"{DESK} cannot be written to by this sender")
        with pytest.raises(Unavailable) as caught:
            send(line(graph), DESK, CHIEF)
        assert caught.value.reason == code.lower()

    @pytest.mark.parametrize("status", [400, 403])
    def test_a_mailbox_that_may_send_no_more_is_a_matter_of_quota(self, graph: LocalGraph, status: int) -> None:
        graph.mail.blocked = GraphError(status, "ErrorExceededMessageLimit", "The limit is exceeded.")
        with pytest.raises(Unavailable) as caught:
            send(line(graph), DESK)
        assert caught.value.reason == "quota" and caught.value.undone

    def test_a_refusal_that_does_not_say_whom_it_means(self, graph: LocalGraph) -> None:
        graph.mail.refused, graph.mail.names_refused = {CHIEF}, False
        with pytest.raises(Refused) as caught:
            send(line(graph), DESK, CHIEF)
        assert caught.value.code == "ErrorInvalidRecipients"

    def test_a_mailbox_of_an_unusual_name(self, graph: LocalGraph) -> None:
        odd = "o'neil/../#?@alerts.example.com"
        graph.mail.addresses = {odd}
        send(line(graph, sender=odd), DESK)
        assert [each.mailbox for each in graph.mail.accepted] == [odd]


class TestLimits:
    def test_four_requests_at_once_and_no_more(self, graph: LocalGraph) -> None:
        adapter = line(graph)
        with ThreadPoolExecutor(20) as executor:
            list(executor.map(lambda _: send(adapter, DESK), range(20)))
        assert 1 <= graph.mail.most_seen_at_once <= REQUESTS_AT_ONCE == 4
        assert len(graph.mail.accepted) == 20

    def test_beyond_thirty_a_minute_the_rest_waits_for_the_minute(self, graph: LocalGraph) -> None:
        adapter = line(graph)
        for _ in range(30):
            send(adapter, DESK)
        message = an_email(DESK)
        with pytest.raises(Unavailable) as caught:
            adapter.send(message, Deadline(CLOCK, 10))
        assert caught.value.reason == "quota" and 50 < caught.value.retry_after_s <= 61
        graph.ahead_s += caught.value.retry_after_s
        adapter.send(message, Deadline(CLOCK, 10))
        assert len(graph.mail.accepted) == 31


class TestCrowds:
    def test_all_mails_of_a_process_find_a_place_and_four_at_once_are_sent(self, graph: LocalGraph) -> None:
        """Whoever found none had been counted in the sender's quota, and was not even asked for."""
        gate = threading.Event()

        class Gate(Tokens):
            def get_token(self, *scopes: str, **options: Any) -> AccessToken:
                gate.wait(5)
                return super().get_token(*scopes, **options)

        adapter = line(graph, Gate(graph))
        with ThreadPoolExecutor(MAILS_AT_ONCE) as crew:
            sent = [crew.submit(send, adapter, DESK) for _ in range(MAILS_AT_ONCE)]
            wait(sent, timeout=0.5)
            gate.set()
            for each in sent:
                each.result()
        assert len(graph.mail.accepted) == MAILS_AT_ONCE
        assert graph.mail.most_seen_at_once <= REQUESTS_AT_ONCE


class TestMessages:
    def test_nothing_is_kept_among_the_sent(self, graph: LocalGraph) -> None:
        send(line(graph), DESK)
        assert [each.saved for each in graph.mail.accepted] == [False]

    def test_of_several_recipients_the_sender_alone_is_seen(self, graph: LocalGraph) -> None:
        send(line(graph), DESK, SENDER.upper(), CHIEF)
        [accepted] = graph.mail.accepted
        assert (accepted.to, accepted.cc, accepted.bcc) == ([SENDER], [], [DESK, CHIEF])

    def test_messages_of_one_emergency_are_one_thread(self, graph: LocalGraph) -> None:
        adapter = line(graph)
        for thread in ("one", "one", "two", ""):
            send(adapter, DESK, thread=thread)
        one, again, two, alone = [each.properties for each in graph.mail.accepted]
        root = "<one@alerts.example.com>"
        assert one == again == {"String 0x1039": root, "String 0x1042": root}
        assert two["String 0x1042"] != root and alone == {}

    def test_the_copy_of_a_lost_answer_is_recognised(self, graph: LocalGraph) -> None:
        """Done, and the answer lost: the repeat is sent, under the same Message-ID; another message has another."""
        adapter, message = line(graph), an_email(DESK)
        graph.faults.append(Fault("lost"))
        with pytest.raises(Unavailable):
            adapter.send(message, Deadline(CLOCK, 10))
        adapter.send(message, Deadline(CLOCK, 10))
        line(graph).send(message, Deadline(CLOCK, 10))
        send(adapter, DESK)
        first, second, third, other = [each.message_id for each in graph.mail.accepted]
        assert first and first == second == third != other

    def test_what_is_remembered_is_bounded(self, graph: LocalGraph) -> None:
        adapter, messages = line(graph), [an_email(DESK) for _ in range(MAX_ACCEPTED_KEPT + 1)]
        for message in messages:
            graph.ahead_s += 3
            adapter.send(message, Deadline(CLOCK, 10))
        before = len(graph.requests)
        adapter.send(messages[-1], Deadline(CLOCK, 10))
        assert len(graph.requests) == before
        adapter.send(messages[0], Deadline(CLOCK, 10))
        assert len(graph.requests) == before + 1


def test_without_an_address_of_graph_it_is_for_somebody_to_mend() -> None:
    adapter = GraphEmail(sender=SENDER, url=None, clock=CLOCK)
    with pytest.raises(Unavailable) as caught:
        send(adapter, DESK)
    assert caught.value.reason == "settings"
    adapter.close()


@pytest.mark.parametrize(("backend", "loaded"), [("acs", False), ("graph", True)])
def test_a_backend_that_is_not_chosen_costs_no_import(backend: str, loaded: bool) -> None:
    code = (
        "import sys; from shared.bootstrap import compose; "
        f"compose({{'EMAIL_BACKEND': {backend!r}}}); print('shared.adapters.graph_email' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == str(loaded)
