"""Through the host: more notices than the sender may send come as one message, seen at the e-mail service."""

from collections.abc import Iterator
from datetime import timedelta

import pytest

from tests.integration.used import new_agent, new_id, note
from tests.leaks import Kind
from tests.local import stack
from tests.local.acs import poll
from tests.local.stack import Stack

pytestmark = pytest.mark.process

MINUTE = timedelta(minutes=1)


@pytest.fixture(scope="module")
def narrow(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """A deployment of two workers whose sender may send one message a minute."""
    quota = {"EMAIL_PER_MINUTE": "1"}
    with stack.running(workers=2, settings=quota, folder=tmp_path_factory.mktemp("narrow")) as running:
        yield running


def at_the_next_minute(local: Stack) -> None:
    """Move the clock to where a minute has just begun."""
    now = local.now()
    local.advance(MINUTE - timedelta(seconds=now.second, microseconds=now.microsecond) + timedelta(seconds=1))


def waiting(local: Stack) -> int:
    return sum(row["RowKey"].startswith("waiting|") for row in local.rows()["emergencies"])


def test_what_is_beyond_the_quota_comes_merged_and_shows_nobody_the_others(narrow: Stack) -> None:
    both = [f"{new_id('mark')}@example.com" for _ in range(2)]
    note(*both, kind=Kind.EMAIL)
    agents = [narrow.add_agent(new_agent(emergency_contacts="; ".join(both))) for _ in range(3)]
    at_the_next_minute(narrow)
    for agent in agents:
        assert narrow.softphone(agent).dial(new_id()).notified == 2
    poll(lambda: waiting(narrow) == 2 or None, within_s=20, what="two notices that wait")
    first = narrow.wait_for_email(both[0])
    assert len(narrow.emails_to(both[0])) == 1
    at_the_next_minute(narrow)
    narrow.run_timers("outbox_sweep")
    poll(lambda: len(narrow.emails_to(both[0])) == 2 or None, within_s=20, what="the merged message")
    merged = narrow.emails_to(both[0])[1]
    assert merged.subject == "2 emergency notices in one message"
    assert sorted(merged.recipients) == sorted(both) and waiting(narrow) == 0
    told = [agent.agent_id for agent in agents if agent.agent_id in first.plain_text]
    assert [agent.agent_id in merged.plain_text for agent in agents] == [agent.agent_id not in told for agent in agents]
    assert "notices_merged notices=2 recipients=2" in narrow.logs()["host.log"]
    narrow.run_timers("outbox_sweep")
    assert len(narrow.emails_to(both[0])) == 2
