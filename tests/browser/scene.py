"""A busy hour on a whole stack: a large directory, three emergencies and a site, to be watched in the console."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

from shared.adapters.agent_table import _writes_of
from shared.adapters.sdk_table import SdkTable
from shared.adapters.system_clock import SystemClock
from shared.adapters.table import MAX_ROWS_A_COMMIT, Write
from shared.adapters.table_account import TableAccount
from shared.deadlines import Deadline
from shared.domain import agents as directory
from tests.local import stack
from tests.local.acs import Script, poll
from tests.local.stack import DANA, Agent, Stack

LEE = Agent(
    agent_id="agent-lee",
    name="Lee Example",
    acs_user_ids=("8:acs:7f1c2a94-5d0e-4b61-9a3c-2e8d4f60b7a1_00000020-lee",),
    address="1 Example Street, Redmond, WA 98052",
    emergency_contacts="supervisor@example.com",
)
ROBIN = Agent(
    agent_id="agent-robin",
    name="Robin Example",
    acs_user_ids=("8:acs:7f1c2a94-5d0e-4b61-9a3c-2e8d4f60b7a1_00000020-robin",),
    address="2 Example Street, Redmond, WA 98052",
    emergency_contacts="guard@example.com",
)
SITE = {
    "site_id": "north",
    "name": "North building",
    "address": "1 Example Street, Redmond, WA 98052",
    "country": "US",
    "time_zone": "America/Los_Angeles",
    "networks": ["192.0.2.0/24"],
    "emergency_contacts": ["guard@example.com"],
    "security_desk": [stack.DESK],
}
LONG_ENOUGH_S = 120.0
AT_ONCE = 4


def fill_directory(local: Stack, first: int, count: int) -> None:
    """Enter agents with their index rows, as many in a transaction as there may be."""
    clock = SystemClock()
    account = TableAccount(clock=clock, connection_string=local.storage.connection_string)
    table = SdkTable(account, table_name="agents", partition="deployment")
    groups: list[list[Write]] = [[]]
    for number in range(first, first + count):
        writes = _writes_of(_one_of_many(number), None)
        if len(groups[-1]) + len(writes) > MAX_ROWS_A_COMMIT:
            groups.append([])
        groups[-1] += writes
    with ThreadPoolExecutor(AT_ONCE) as threads:
        list(threads.map(lambda writes: table.commit(writes, Deadline(clock, LONG_ENOUGH_S)), groups))
    table.close()


def _one_of_many(number: int) -> directory.Agent:
    return directory.Agent(agent_id=f"agent-{number:05}", name=f"Agent Example {number:05}", country="US", site="north")


def three_emergencies(local: Stack) -> str:
    """One call in progress, one hold after a drop, one test after a drop; gives the number lent for the test."""
    local.ask("PUT", "manage/sites/north", SITE, principal=stack.ADMIN).raise_for_status()
    for agent in (DANA, LEE, ROBIN):
        local.add_agent(agent)
        local.softphone(agent).show("available")
    local.control.people(ROBIN.acs_user_id, Script(behaviour="by_hand"))
    local.softphone(LEE).dial("call-of-lee")
    local.softphone(LEE).end("call-of-lee", "dropped")
    robins = local.softphone(ROBIN).dial("call-of-robin", "933")
    local.softphone(ROBIN).end("call-of-robin", "dropped")
    local.softphone(DANA).dial("call-of-dana")
    return robins.callback_number


def call_back(local: Stack, number: str) -> None:
    """The responder calls a number back; it rings at the agent, for fifteen seconds."""
    call = local.ring(number)

    def rings() -> bool:
        return any(each.state == "ringing" for each in local.control.call(call.server_call_id).invitations)

    poll(rings, what="a ring")
