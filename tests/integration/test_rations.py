"""Through the host: what a flood of one principal sends, closing notices included, and the victim beside it.

The sender may send what ACS's documented quota of a custom domain allows.
"""

from collections.abc import Iterator
from datetime import timedelta
from uuid import uuid4

import pytest

from tests.integration.used import contacts, new_agent, new_id
from tests.local import stack
from tests.local.acs import AcceptedEmail
from tests.local.stack import DEFAULT_CONTACT, MACHINE, Stack

pytestmark = pytest.mark.process

TEN_MINUTES = timedelta(minutes=10)


@pytest.fixture(scope="module")
def limited(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """A deployment with the documented quota."""
    quota = {"EMAIL_PER_MINUTE": "30", "EMAIL_PER_HOUR": "100"}
    with stack.running(settings=quota, folder=tmp_path_factory.mktemp("limited")) as running:
        yield running


def at_the_next_ten_minutes(local: Stack) -> None:
    """Move the clock to where ten minutes of a ration have just begun."""
    now = local.now()
    gone = timedelta(minutes=now.minute % 10, seconds=now.second, microseconds=now.microsecond)
    local.advance(TEN_MINUTES - gone + timedelta(seconds=1))


def told_of(local: Stack, agent_id: str) -> list[AcceptedEmail]:
    return [email for email in local.emails_to(DEFAULT_CONTACT) if agent_id in email.plain_text]


def test_who_dials_and_ends_again_and_again_takes_the_senders_hour_from_nobody(limited: Stack) -> None:
    victim = limited.add_agent(new_agent())
    stranger = limited.softphone(new_agent())
    at_the_next_ten_minutes(limited)
    for _ in range(12):
        call = new_id()
        stranger.dial(call)
        stranger.end(call)
        limited.run_timers("outbox_sweep")
    limited.softphone(victim).dial(new_id())
    limited.wait_for_email(contacts(victim)[0])
    limited.run_timers("outbox_sweep")
    sent = told_of(limited, stranger.agent.agent_id)
    assert 5 < len(sent) <= 10, "five of dials, and at most as many closings"
    at_the_next_ten_minutes(limited)
    for _ in range(3):
        limited.run_timers("outbox_sweep")
        limited.wait_until_nothing_is_owed()
    assert len(told_of(limited, stranger.agent.agent_id)) == len(sent) + 2, "one for all the others, and its closing"


def test_object_ids_that_a_machine_makes_up_bring_it_no_further_ration(limited: Stack) -> None:
    at_the_next_ten_minutes(limited)
    flood = [new_id("agent") for _ in range(34)]
    for agent_id in flood:
        body = {"call_id": new_id(), "agent_id": agent_id, "dialled": "911", "entra_object_id": str(uuid4())}
        assert limited.ask("POST", "emergency-calls", body, principal=MACHINE).status_code == 201
    for _ in range(3):
        # What the sender's minute kept waiting.
        limited.advance(timedelta(minutes=1))
        limited.run_timers("outbox_sweep")
        limited.wait_until_nothing_is_owed()
    assert sum(bool(told_of(limited, agent_id)) for agent_id in flood) == 30
