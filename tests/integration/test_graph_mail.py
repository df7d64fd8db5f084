"""Notices through Microsoft Graph, from the dial to the mailbox, by the token of the identity endpoint."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import pytest

from tests.integration.used import contacts, new_agent, new_id
from tests.local import azurite, identity
from tests.local.acs import LocalAcs, poll
from tests.local.graph import AcceptedMail, Fault, LocalGraph
from tests.local.graph.server import SEND, SENDER
from tests.local.stack import Softphone, Stack, example_settings

pytestmark = pytest.mark.process
BUDGET_S = 0.9
# What a test machine that is busy adds to the budget of an answer.
BUSY_S = 1.5


@dataclass(frozen=True)
class Mailing:
    """The stack, and Graph beside it."""

    local: Stack
    graph: LocalGraph
    asked: list[str]

    def softphone(self) -> Softphone:
        """An agent with two contacts."""
        return self.local.softphone(self.local.add_agent(new_agent()))

    def mails_to(self, phone: Softphone) -> list[AcceptedMail]:
        """What was accepted for the agent's contacts."""
        return [mail for mail in self.graph.mail.accepted if set(contacts(phone.agent)) <= {*mail.to, *mail.bcc}]

    def wait_for_mails(self, phone: Softphone, count: int) -> list[AcceptedMail]:
        """Wait until there are so many."""
        poll(lambda: len(self.mails_to(phone)) >= count or None, within_s=20, what=f"{count} messages")
        return self.mails_to(phone)


@pytest.fixture(scope="module")
def mailing(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mailing]:
    folder = tmp_path_factory.mktemp("graph")
    with ExitStack() as undo:
        storage = undo.enter_context(azurite.running(services=["table"]))
        acs = undo.enter_context(LocalAcs.start(log=folder / "acs.log"))
        graph = undo.enter_context(LocalGraph.start())
        managed = undo.enter_context(identity.running(key=graph.key))
        managed.roles[graph.url] = [SEND]
        trusted = folder / "trusted.pem"
        trusted.write_text("".join(Path(each).read_text("utf-8") for each in (acs.ca_file, graph.ca_file)), "utf-8")
        settings = example_settings(storage, acs) | managed.app_settings()
        settings |= {
            "EMAIL_BACKEND": "graph",
            "EMAIL_SENDER": SENDER,
            "GRAPH_URL": graph.url,
            "REQUESTS_CA_BUNDLE": str(trusted),
        }
        local = Stack(storage, acs, settings, folder)
        undo.callback(local.close)
        local.start_host()
        yield Mailing(local, graph, managed.asked)


def test_the_contacts_are_told_by_graph_and_by_nobody_else(mailing: Mailing) -> None:
    dana = mailing.softphone()
    lent = dana.dial(new_id())
    [mail] = mailing.wait_for_mails(dana, 1)
    assert (mail.mailbox, mail.to, set(mail.bcc)) == (SENDER, [SENDER], set(contacts(dana.agent)))
    assert lent.callback_number.removeprefix("+1")[-4:] in mail.content
    assert (mail.content_type, mail.importance, mail.saved) == ("html", "high", False)
    assert mailing.local.control.emails() == []


def test_the_messages_of_one_emergency_are_one_thread(mailing: Mailing) -> None:
    dana, lee = mailing.softphone(), mailing.softphone()
    calls = new_id(), new_id()
    for call in calls:
        dana.dial(call)
    lee.dial(new_id())
    mailing.wait_for_mails(dana, 2)
    # An end before a mail is struck off leaves its closing word to the sweep.
    mailing.local.wait_until_nothing_is_owed()
    for call in calls:
        dana.end(call)
    first, second, closing = [mail.properties for mail in mailing.wait_for_mails(dana, 3)]
    [other] = [mail.properties for mail in mailing.wait_for_mails(lee, 1)]
    assert first and first == second == closing != other


def test_one_token_for_graph_and_none_for_each_message(mailing: Mailing) -> None:
    dana = mailing.softphone()
    dana.dial(new_id())
    mailing.wait_for_mails(dana, 1)
    assert set(mailing.asked) == {mailing.graph.url}
    assert len(mailing.asked) == 1


@pytest.mark.parametrize("fault", [Fault("hang"), Fault("status", 401)])
def test_graph_in_trouble_delays_no_dial_and_the_outbox_sends(mailing: Mailing, fault: Fault) -> None:
    dana = mailing.softphone()
    mailing.graph.faults.append(fault)
    began = time.monotonic()
    lent = dana.dial(new_id())
    assert time.monotonic() - began < BUDGET_S + BUSY_S and not lent.degraded
    dana.wait_for_presence("do_not_disturb")
    poll(lambda: not mailing.graph.faults or None, within_s=20, what="the try that fails")

    def sent() -> bool:
        mailing.local.advance(timedelta(seconds=40))
        mailing.local.run_timers("outbox_sweep")
        return bool(mailing.mails_to(dana))

    poll(lambda: sent() or None, within_s=60, what="the message, once Graph is back")
    assert len(mailing.mails_to(dana)) == 1


def test_nothing_personal_is_logged(mailing: Mailing) -> None:
    """A refusal names whom it means; no log may."""
    dana = mailing.softphone()
    body = '{"error": {"code": "ErrorAccessDenied", "message": "' + contacts(dana.agent)[0] + '"}}'
    mailing.graph.faults.append(Fault("status", 403, body))
    dana.dial(new_id())
    told = "erroraccessdenied"
    poll(lambda: told in mailing.local.logs()["host.log"] or None, within_s=20, what=told)
    said = mailing.local.logs()["host.log"]
    assert "email_blocked" in said
    assert not [contact for contact in (*contacts(dana.agent), SENDER) if contact in said]
