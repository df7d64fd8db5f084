"""A row of any kind that cannot be used stops nobody else (architecture, "A row that cannot be used")."""

import ast
import re
from collections.abc import Callable, Iterator, Sequence
from datetime import datetime
from functools import partial
from pathlib import Path

import pytest
from msgspec import structs

import shared.adapters
from shared.adapters.agent_table import AgentTable
from shared.adapters.broken_rows import KEPT_FOR, LOOK_AGAIN_AFTER
from shared.adapters.built_in_templates import built_in_sources
from shared.adapters.delivery_table import DeliveryTable
from shared.adapters.desktop_table import DesktopTable
from shared.adapters.drill_table import DrillTable
from shared.adapters.emergency_rows import emergency_values, read_holder, state_values
from shared.adapters.emergency_table import EmergencyTable
from shared.adapters.import_table import ImportTable
from shared.adapters.key_table import KeyTable
from shared.adapters.notification_template import NotificationTemplate
from shared.adapters.presence_table import PresenceTable
from shared.adapters.sent_table import SentTable
from shared.adapters.site_table import SiteTable
from shared.adapters.table import Put, Row, Values, Write, kind_of
from shared.adapters.template_table import TemplateTable
from shared.adapters.voice_route_table import VoiceRouteTable
from shared.deadlines import Deadline
from shared.domain.agents import Agent
from shared.domain.dials import Dial
from shared.domain.drills import Drill
from shared.domain.errors import EmergencyCallingError, Unavailable
from shared.domain.ids import key_of
from shared.domain.imports import AgentChange
from shared.domain.locations import Location
from shared.domain.notice_templates import TemplateKind
from shared.domain.notifications import Delivery
from shared.domain.presence import PresenceStatus
from shared.domain.sender_quota import SenderQuota
from shared.domain.sites import Site
from shared.domain.voice_routes import Telephony
from shared.ports import Answered, Broken
from shared.use_cases.answer_dial import Answer
from shared.use_cases.effects import ReconcilePresence
from shared.use_cases.end_call import End
from shared.use_cases.refuse_recording import RecordedFiles
from shared.use_cases.report_desktop import DesktopReport
from tests.fakes.house import PLENTY, House, after, numbers
from tests.fakes.memory_table import MemoryTable

ADAPTERS = Path(shared.adapters.__file__).parent
NOT_ROWS = {"redirect"}
# Marks of holds in services outside, which `tests/contract/test_graph_presence.py` breaks: the embedded one needs none.
OF_SERVICES_OUTSIDE = {"presencemark"}
# The secret of a deployment that has none in its settings, which has a test of its own.
OF_KEYS = {"keyring"}
BREAKAGES: dict[str, Values] = {
    "emptied": {},
    "damaged": {"state": "{", "index": "[", "row": 7, "parts": "x", "due": True, "attempts": "many", "number": ""},
    "of a later version": {"schema": 9, "state": '{"v":9}', "index": '{"v":9}', "row": "v9", "parts": 1, "state0": "9"},
    "another's": {"schema": 1, "state": "null", "index": "[]", "row": "pool", "parts": 0, "due": "due|", "leaves": 1},
}


def rewritten(values: Values, pattern: str, by: str) -> Values:
    """The same with these words in all of its texts."""
    return {name: re.sub(pattern, by, value) if isinstance(value, str) else value for name, value in values.items()}


def unsafe_keys(values: Values) -> Values:
    """The same, but that each key and each number that rows are named by could be none."""
    for key in (r"\b[0-9a-f]{32}\b", r"\b[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}\b", r'(?<=")\+\d{7,}'):
        values = rewritten(values, key, "a/b")
    return values


# What decodes and cannot be used: there are rows without anything of the kind.
SUBTLE: dict[str, Callable[[Values], Values]] = {
    "times without a zone": partial(rewritten, pattern=r'(:\d\d(?:\.\d+)?)Z"', by=r'\1"'),
    "times at the edge": partial(rewritten, pattern=r'"\d{4}-\d\d-\d\dT[^"]*"', by='"9999-12-31T23:59:59Z"'),
    "times at the other edge": partial(rewritten, pattern=r'"\d{4}-\d\d-\d\dT[^"]*"', by='"0001-01-01T00:00:00Z"'),
    "keys that can be none": unsafe_keys,
}
# Keys that this code never writes, of the ranges that it sweeps or lends from.
STRANGE_KEYS = [
    *("outbox|1|notice|x", "outbox|2026", "outbox|"),
    *("look|1|x", "look|20261101T000000000000|x", "ladder|1|x", "waiting|1|notice|x", "waiting|x", "deletion|1|x"),
    *("due|1|agent|x", "due|1", "bare|1|call|x", "bare|20261101T000000000000Z|x", "broken|1|x", "pool|x"),
    *("free|1", "free|US|1", "free|US|1|2", "rest|US|1|2|3", "share|US|1|2|3", "reported|1|x", "unknown|x"),
]
STAY = ("free|", "rest|", "share|", "unknown|")
# Keys that no request of ours can name, which another tool wrote.
UNNAMED_KEYS = [
    *("due|20250101T|é", "due|20250101T000000000000Z|agent|é", "bare|20250101T000000000000Z|call|é", "ladder|1|é"),
    *("look|20250101T000000000000Z|é", "outbox|20250101T000000000000Z|presence|é", "deletion|1|é", "broken|1|é"),
    *("outbox|20250101T000000000000Z|notice|é", "waiting|20250101T000000000000Z|notice|é", "reported|20250101|é|x"),
]


class KeptTable(MemoryTable):
    """A table that remembers the kinds of all rows that were ever written to it. `asked` hears what is read."""

    def __init__(self, kinds: set[str]) -> None:
        super().__init__()
        self._kinds = kinds
        self.asked: Callable[[str], None] = lambda _kind: None

    def get(self, key: str, deadline: Deadline) -> Answered[Row | None]:
        self.asked(kind_of(key))
        return super().get(key, deadline)

    def between(self, first: str, end: str, limit: int, deadline: Deadline) -> Answered[list[Row]]:
        self.asked(kind_of(first))
        return super().between(first, end, limit, deadline)

    def commit(self, writes: Sequence[Write], deadline: Deadline) -> list[str | None]:
        self._kinds |= {kind_of(write.key) for write in writes}
        return super().commit(writes, deadline)


class Story:
    """A deployment in the middle of everything; all that ana has may break, and ben must not notice."""

    def __init__(self) -> None:
        self.kinds: set[str] = set()
        self.tables = [KeptTable(self.kinds) for _ in range(3)]
        self.house = house = House(pool=numbers(6), table=self.tables[0])
        house.directory = AgentTable(self.tables[1], house.clock)
        house.desktops = DesktopTable(self.tables[1], house.keys)
        house.routes = VoiceRouteTable(self.tables[1], house.clock)
        house.sites = SiteTable(self.tables[1], house.clock, house.routes)
        house.presence = PresenceTable(self.tables[2], house.clock, house.keys)
        house.templates = TemplateTable(self.tables[1], house.clock)
        house.template = NotificationTemplate(house.templates.edited, house.telemetry)
        house.deliveries = DeliveryTable(self.tables[1], house.keys)
        house.drills = DrillTable(self.tables[1])
        house.directory_table = self.tables[1]
        house.mail_quota = SentTable(self.tables[1], PLENTY, house.clock)
        house.telephony.known = Telephony(routes=(), routes_at=house.clock.now())
        house.drills.begin(Drill(drill_id="d", at=house.clock.now()), house.clock.now(), house.within())
        for kind in TemplateKind:
            house.templates.save(kind, "en", built_in_sources(kind, "it"), None, house.within())
        house.tick()
        for name in ("ana", "ben"):
            house.add_agent(agent(name))
            house.show(name, PresenceStatus.AVAILABLE)
            report = DesktopReport(desktop_id=f"desk-{name}", location=Location(address="1 Example Street"))
            house.calling.report_desktop(name, report, deadline=house.within())
        house.imports = ImportTable(self.tables[1])
        house.performs = False
        changes = [AgentChange(agent_id="ida", fields={"name": "Ida"})]
        house.calling.begin_import("0f" * 16, changes, deadline=house.within())
        house.owed.clear()
        house.performs = True
        house.sites.save(Site(site_id="north", networks=("192.0.2.0/24",)), None, house.within())
        self.until_the_middle()

    def until_the_middle(self) -> None:
        house = self.house
        house.end(End(call_id="early/1", by_agent=True, agent_id="ana"))
        self.dial("zoe", "1")
        house.add_agent(agent("zed"))
        self.dial("zed", "1")
        house.calling.remove_agent("zed", None, deadline=house.within())
        lent = self.dial("ana", "1").callback_number
        sent = next(each for each in house.mail.accepted if "ana@example.com" in each.recipients)
        house.calling.record_delivery(sent.operation_id, "ana@example.com", Delivery.DELIVERED)
        files = RecordedFiles(
            recording_id="r", call_id="c", server_call_id="s", locations=("l",), began_at=house.clock.now()
        )
        house.recorded(files)
        house.end(End(call_id="ana/1", by_agent=False, agent_id="ana"))
        house.responder_calls(lent)
        house.tie("ana/1", "server-1")
        self.one_waits()
        house.performs = False
        self.dial("ana", "2")
        house.end(End(call_id="ana/2", by_agent=False, agent_id="ana"))
        house.performs = True

    def one_waits(self) -> None:
        """A notice of ana's is beyond the sender's quota, which is large enough again for all that follow."""
        house, plenty = self.house, self.house.mail_quota
        house.mail_quota = SentTable(self.tables[1], SenderQuota(1, 1), house.clock)
        self.dial("ana", "beyond")
        house.end(End(call_id="ana/beyond", by_agent=False, agent_id="ana"))
        house.clock.advance(after(minutes=2))
        house.mail_quota = plenty

    def dial(self, name: str, call: str) -> Answer:
        return self.house.dial(
            Dial(call_id=f"{name}/{call}", agent_id=name, dialled="911", country="US", acs_user_id=f"8:acs:r_{name}")
        )

    def rows(self) -> Iterator[tuple[MemoryTable, Row]]:
        for table in self.tables:
            for row in table.between("!", "~", 100_000, self.house.within()).result():
                yield table, row

    def of_ana(self, kind: str) -> list[tuple[MemoryTable, Row]]:
        """Ana's rows of this kind, or where none names her one of them."""
        of_kind = [(table, row) for table, row in self.rows() if kind_of(row.key) == kind]
        return [each for each in of_kind if key_of("ana") in each[1].key] or of_kind[:1]

    def damage(self, kind: str, change: Callable[[Values], Values]) -> int:
        """Damage those; gives how many."""
        of_ana = self.of_ana(kind)
        for table, row in of_ana:
            table.commit([Put(row.key, change(row.values))], self.house.within())
        return len(of_ana)

    def timers(self, minutes: int, every: int = 1) -> None:
        for _ in range(0, minutes, every):
            self.house.clock.advance(after(minutes=every))
            self.house.sweep()
            self.house.tick()

    def bens_emergency(self) -> None:
        """Ben's whole story, in which nothing is missing."""
        house = self.house
        answer = self.dial("ben", "1")
        assert not answer.degraded and not answer.shared and answer.callback_number is not None
        assert house.status("ben") is PresenceStatus.DO_NOT_DISTURB
        assert "ben@example.com" in house.mail.received()
        board = house.administration.show_board().emergencies
        assert house.administration.show_readiness().checks
        assert house.administration.show_agent_readiness("ben").checks
        assert "ben" in {each.agent_id for each in board}
        assert len(house.administration.list_numbers()) == len(house.deployment.callback_numbers)
        assert house.call_back(answer.callback_number) == "8:acs:r_ben"
        house.end(End(call_id="ben/1", by_agent=True, agent_id="ben"))
        assert house.status("ben") is PresenceStatus.AVAILABLE
        self.timers(200, every=10)
        assert house.emergency("ben") is None, "his lease and its cool-down are over"
        assert any(answer.callback_number.strip("+") in key for key in house.rows() if key.startswith("free|"))

    def anas_requests(self) -> None:
        """They get an answer, if only that of an outage."""
        self.dial("ana", "3")
        for ask in (lambda: self.house.panel("ana"), lambda: self.house.end(End(call_id="ana/3", by_agent=True))):
            try:
                ask()
            except EmergencyCallingError:
                continue


class NoShelf(EmergencyTable):
    """A store that can set nothing aside."""

    def set_aside(self, broken: Broken, now: datetime, deadline: Deadline) -> None:
        raise ValueError


def agent(name: str) -> Agent:
    return Agent(
        agent_id=name,
        entra_object_id=f"object-{name}",
        acs_user_ids=(f"8:acs:r_{name}",),
        emergency_contacts=(f"{name}@example.com",),
        country="US",
    )


def kinds_in_the_code() -> set[str]:
    """What keys begin with, as they are spelled in the adapters."""
    found: set[str] = set()
    for path in ADAPTERS.glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.Constant) and isinstance(node.value, str):
                head, bar, _ = node.value.partition("|")
                found |= {head} if bar and head.isalpha() and head.islower() else set()
            match node:
                case ast.Assign(targets=[ast.Name(id=name)], value=ast.Constant(value=str() as key)):
                    found |= {kind_of(key)} if name == "ROW" or name.endswith("_ROW") else set()
                case _:
                    pass
    assert found >= OF_SERVICES_OUTSIDE | OF_KEYS
    return found - NOT_ROWS - OF_SERVICES_OUTSIDE - OF_KEYS


KINDS = sorted(kinds_in_the_code())


def test_the_kinds_in_the_code_are_those_that_whole_stories_write() -> None:
    story = Story()
    story.damage("agent", lambda _: {})
    story.bens_emergency()
    assert story.kinds == set(KINDS)


def in_the_middle(kind: str) -> Story:
    """A story in which there is a row of the kind."""
    story = Story()
    if kind == "broken":
        story.damage("agent", lambda _: {})
        story.timers(12)
    return story


def subtle_cases() -> list[tuple[str, str]]:
    """Each kind with each breakage that changes a row of it."""
    story, later = in_the_middle("agent"), in_the_middle("broken")
    values = {kind: [row.values for _, row in (later if kind == "broken" else story).of_ana(kind)] for kind in KINDS}
    return [
        (kind, name)
        for kind in KINDS
        for name, change in SUBTLE.items()
        if values[kind] != list(map(change, values[kind]))
    ]


@pytest.mark.parametrize("breakage", BREAKAGES)
@pytest.mark.parametrize("kind", KINDS)
def test_a_broken_row_stops_nobody_else(kind: str, breakage: str) -> None:
    story = in_the_middle(kind)
    assert story.damage(kind, lambda _: BREAKAGES[breakage]), "there is one in the middle of the story"
    nobody_else_is_stopped(story)


@pytest.mark.parametrize(("kind", "breakage"), subtle_cases())
def test_a_row_that_decodes_and_cannot_be_used_stops_nobody_else(kind: str, breakage: str) -> None:
    story = in_the_middle(kind)
    story.damage(kind, SUBTLE[breakage])
    nobody_else_is_stopped(story)


@pytest.mark.parametrize("key", STRANGE_KEYS)
def test_a_row_of_a_key_that_this_code_never_writes_stops_nobody(key: str) -> None:
    story = Story()
    like = next((row.values for _, row in story.rows() if kind_of(row.key) == kind_of(key)), {})
    story.tables[1 if key.startswith("reported|") else 0].commit([Put(key, like)], story.house.within())
    nobody_else_is_stopped(story)
    story.house.clock.advance(after(minutes=24 * 60))
    story.timers(2)
    assert key.startswith(STAY) or key not in {row.key for _, row in story.rows()}, "no sweep meets it again"


@pytest.mark.parametrize("key", UNNAMED_KEYS)
def test_a_row_that_no_request_can_name_stops_nobody(key: str) -> None:
    story = Story()
    like = next((row.values for _, row in story.rows() if kind_of(row.key) == kind_of(key)), {})
    story.tables[1 if key.startswith("reported|") else 0].plant(key, like)
    story.house.desktops = DesktopTable(story.tables[1], story.house.keys)
    nobody_else_is_stopped(story)


@pytest.mark.parametrize("kind", KINDS)
def test_a_row_like_another_that_no_request_can_name_stops_nobody_else(kind: str) -> None:
    story = in_the_middle(kind)
    for table, row in story.of_ana(kind):
        front, bar, _ = row.key.rpartition("|")
        table.plant(f"{front}|é" if bar else f"{row.key}|é", row.values)
    story.house.judge("server-1")
    nobody_else_is_stopped(story)


def with_a_fresh_process(house: House, keyring: MemoryTable) -> None:
    """Another process of the same deployment comes up, which has read no secret yet."""
    house.keys = KeyTable(keyring, house.clock, (), telemetry=house.telemetry)
    house.lend_from(house.deployment.callback_numbers)
    house.presence = PresenceTable(house.presence_rows, house.clock, house.keys)


@pytest.mark.parametrize("breakage", BREAKAGES)
def test_a_broken_keyring_is_an_outage_until_it_can_be_read_and_is_never_written_over(breakage: str) -> None:
    house, keyring = House(), MemoryTable()
    with_a_fresh_process(house, keyring)
    house.add_agent(agent("ana"))
    house.show("ana", PresenceStatus.AVAILABLE)
    house.tick()
    number = house.dial(Dial(call_id="1", agent_id="ana", dialled="911")).callback_number
    house.clock.advance(after(minutes=2))
    whole = keyring.get("keyring", house.within()).result()
    assert whole is not None
    keyring.commit([Put("keyring", BREAKAGES[breakage])], house.within())
    with_a_fresh_process(house, keyring)
    assert house.dial(Dial(call_id="2", agent_id="ana", dialled="911")).degraded
    house.clock.advance(after(hours=8))
    house.tick()
    house.sweep()
    kept = keyring.get("keyring", house.within()).result()
    assert kept is not None and kept.values == BREAKAGES[breakage]
    assert "broken" not in map(kind_of, house.rows()), "every row but the keyring is sound"
    assert house.telemetry.events.count(("row_set_aside", {"kind": "keyring"})) == 1, "once for each process"
    assert house.telemetry.count("unforeseen_error") == 0
    keyring.commit([Put("keyring", whole.values)], house.within())
    again = house.dial(Dial(call_id="3", agent_id="ana", dialled="911"))
    assert (again.degraded, again.callback_number) == (False, number)
    for call_id in ("1", "2", "3"):
        house.end(End(call_id=call_id, by_agent=True, agent_id="ana"))
    assert house.status("ana") is PresenceStatus.AVAILABLE


def test_a_free_row_that_names_no_number_costs_no_dial_a_try() -> None:
    house, requests = House(pool=numbers(2)), list[str]()
    house.tick()
    house.table.commit([Put(f"free|US|1|{n}", {"schema": 1}) for n in range(40)], house.within())
    house.performs = False
    house.line.asked = requests.append
    answer = house.dial(Dial(call_id="call-1", agent_id="agent-dana", dialled="911", country="US"))
    assert answer.callback_number in numbers(2) and requests.count("commit") == 1


def nobody_else_is_stopped(story: Story) -> None:
    story.anas_requests()
    story.bens_emergency()
    story.anas_requests()
    assert story.house.telemetry.count("unforeseen_error") == 0


# What each step of a timer's run reads first.
STEPS = [
    *(("tick", kind) for kind in ("pool", "broken", "due", "free", "bare", "reported", "leaving", "pass", "drill")),
    *(("sweep", kind) for kind in ("outbox", "waiting", "deletion", "importing", "drill")),
]
QUIET = ("reported", "leaving", "pass", "waiting", "importing", "drill")


@pytest.mark.parametrize(("timer", "kind"), STEPS)
@pytest.mark.parametrize("error", [RuntimeError, Unavailable])
def test_whatever_a_step_of_a_timer_meets_with_the_next_has_its_turn(
    timer: str, kind: str, error: type[Exception]
) -> None:
    story, asked = Story(), set[str]()
    house = story.house
    house.desktops = DesktopTable(story.tables[1], house.keys)
    run = house.tick if timer == "tick" else house.sweep

    def hear(each: str) -> None:
        asked.add(each)
        if each == kind:
            raise error("+14255550100")

    for table in story.tables:
        table.asked = hear
    before = len(house.telemetry.events)
    if error is RuntimeError or kind in QUIET:
        run()
    else:
        with pytest.raises(Unavailable):
            run()
    assert {each for name, each in STEPS if name == timer} <= asked
    said = [fields for name, fields in house.telemetry.events[before:] if name == "unforeseen_error"]
    function = "lease_expiry" if timer == "tick" else "outbox_sweep"
    told = {"function": function, "error": "RuntimeError"}
    assert all(each == told for each in said) and bool(said) == (error is RuntimeError)


def test_fifty_broken_notices_at_the_head_of_the_outbox_keep_no_other_waiting() -> None:
    story = Story()
    house = story.house
    rows = [f"outbox|20261101T000000000000Z|notice|{n:02}" for n in range(50)]
    house.table.commit([Put(row, {"state": "{"}) for row in rows], house.within())
    house.performs = False
    story.dial("ben", "1")
    house.performs = True
    story.timers(3)
    assert "ben@example.com" in house.mail.received()
    assert not set(rows) & set(house.rows())
    assert house.telemetry.events.count(("row_set_aside", {"kind": "outbox"})) == 50


def test_a_hundred_leases_that_cannot_be_read_end_no_other_late() -> None:
    story = Story()
    house = story.house
    for n in range(120):
        writes = [Put(f"agent|broken-{n}", {}), Put(f"due|20261101T000000000000Z|agent|broken-{n}", {})]
        house.table.commit(writes, house.within())
    story.bens_emergency()


def test_an_agent_whose_row_can_be_read_again_has_service_again_and_the_timer_ends_the_lease() -> None:
    story = Story()
    house = story.house
    [(table, row)] = [(table, row) for table, row in story.rows() if row.key == f"agent|{key_of('ana')}"]
    table.commit([Put(row.key, {"state": "{"})], house.within())
    story.timers(12)
    assert story.dial("ana", "3").degraded
    table.commit([Put(row.key, row.values)], house.within())
    assert not story.dial("ana", "3").degraded
    house.end(End(call_id="ana/3", by_agent=True, agent_id="ana"))
    story.timers(200)
    assert house.emergency("ana") is None
    assert not [key for key in house.rows() if key.startswith("broken|")]
    assert house.status("ana") is PresenceStatus.AVAILABLE


def over(house: House, table: MemoryTable, agent_id: str) -> bool:
    """Whether their emergency is gone an hour after its window, whatever row of another tool's is due first."""
    table.plant("due|2025", {"naïve": 1})
    house.dial(Dial(call_id="call-1", agent_id=agent_id, dialled="911"))
    house.end(End(call_id="call-1", by_agent=True, agent_id=agent_id))
    for _ in range(3):
        house.clock.advance(after(hours=3))
        house.tick()
    return house.emergency(agent_id) is None


def test_a_row_with_a_value_that_cannot_be_written_again_is_set_aside_without_it() -> None:
    table = MemoryTable()
    house = House(table=table)
    assert over(house, table, "ana")
    assert "due|2025" not in house.rows() and house.telemetry.count("row_set_aside") == 1
    assert house.telemetry.count("unforeseen_error") == 0


def test_a_due_row_that_cannot_be_set_aside_keeps_none_behind_it() -> None:
    table = MemoryTable()
    house = House(table=table)
    house.emergencies = NoShelf(house.line, numbers=house.numbers, rules=house.deployment.rules, keys=house.keys)
    assert over(house, table, "ana")
    assert house.telemetry.events.count(("unforeseen_error", {"function": "lease_expiry", "error": "ValueError"})) > 0


def test_what_nobody_could_read_for_days_is_gone_in_the_end() -> None:
    story = Story()
    house = story.house
    index = next(row.values["index"] for _, row in story.rows() if row.key == f"agent|{key_of('ana')}")
    story.damage("agent", lambda _: {"state": "{", "index": index})
    story.damage("outbox", lambda _: {"state": "{"})
    story.timers(30)
    house.clock.advance(KEPT_FOR)
    for _ in range(3):
        story.timers(1)
        house.clock.advance(LOOK_AGAIN_AFTER)
    assert not [key for key in house.rows() if key_of("ana") in key or key.startswith("broken|")]
    story.timers(200)
    free = [key for key in house.rows() if key.startswith("free|")]
    assert len(free) == len(house.deployment.callback_numbers)


def test_a_holders_row_that_cannot_be_read_is_written_anew_with_the_next_transition() -> None:
    house = House()
    house.performs = False
    house.dial(Dial(call_id="call-1", agent_id="agent-dana", dialled="911"))
    [row] = [row for row in house.rows() if row.startswith("number|") and not row.endswith("|")]
    whole = house.table.get(row, house.within()).result()
    house.table.commit([Put(row, {"state": "{"})], house.within())
    presence = next(effect for effect in house.owed if isinstance(effect, ReconcilePresence))
    assert house.perform(presence), "which changes nothing of what the row says"
    mended = house.table.get(row, house.within()).result()
    assert whole is not None and mended is not None
    assert read_holder(mended).agent_key == read_holder(whole).agent_key


@pytest.mark.parametrize(
    "strange_time", ["2026-11-20T18:00:00", "0001-01-01T00:00:00+00:00", "9999-12-31T23:59:59+00:00"]
)
def test_what_could_not_be_read_back_is_not_written(strange_time: str) -> None:
    house = House()
    house.dial(Dial(call_id="call-1", agent_id="agent-dana", dialled="911"))
    emergency = house.emergency("agent-dana")
    assert emergency is not None and emergency.hold is not None and emergency_values(emergency, {})
    hold = structs.replace(emergency.hold, before_since=datetime.fromisoformat(strange_time))
    with pytest.raises(ValueError, match="a time that is kept"):
        emergency_values(structs.replace(emergency, hold=hold), {})
    with pytest.raises(ValueError, match="a time that is kept"):
        state_values(hold)


def test_structs_are_written_by_what_refuses_those_that_could_not_be_read_back() -> None:
    """By `state_text` of the table; what else is encoded holds no time."""
    encoded = {
        (path.name, ast.unparse(call.args[0]))
        for path in ADAPTERS.glob("*.py")
        for call in ast.walk(ast.parse(path.read_text()))
        if isinstance(call, ast.Call) and ast.unparse(call.func) == "msgspec.json.encode"
    }
    assert encoded == {
        ("table.py", "state"),
        ("emergency_rows.py", "sorted(index)"),
        ("agent_table.py", "agent_id"),
    }
