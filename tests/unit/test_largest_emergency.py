"""An emergency with the most of everything that may be stored: its row takes several texts, and its story goes on.

Table storage takes 32,768 UTF-16 units in one text, 1 MiB in a row and 4 MiB in a transaction; Cosmos DB for Table
takes 2 MiB in each of the two.
"""

from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import suppress
from datetime import timedelta
from functools import partial

import pytest
from msgspec import structs

from shared.adapters.emergency_rows import emergency_values, read_stored
from shared.adapters.table import MAX_TEXT_UTF16_UNITS, Delete, Row, Values, Write, kind_of
from shared.deadlines import Deadline
from shared.domain.agents import Agent
from shared.domain.contacts import MAX_ADDRESS_CHARS, MAX_CONTACTS, parse_contacts
from shared.domain.dials import Dial
from shared.domain.emergencies import MAX_LEGS, MAX_SIGHTINGS, MAX_TOLD
from shared.domain.errors import Conflict, RecipientsRefused, TooManyRows, Unavailable, Unreadable
from shared.domain.locations import Location
from shared.domain.notifications import NoticeKind
from shared.domain.sites import Site
from shared.ports import Email
from shared.use_cases.effects import DeliverNotice
from shared.use_cases.end_call import End
from shared.use_cases.see_server_call import ServerCall
from tests.fakes.house import House, after
from tests.fakes.memory_table import MemoryTable

MIB = 1024 * 1024
AGENT = "d" * 600
IDENTITIES = tuple(f"8:acs:{n:02}_{'z' * 291}" for n in range(10))
STARTER = IDENTITIES[0]


def address(of: str, place: int) -> str:
    """One of the longest that a contact may have."""
    local = f"{of}{place:02}".ljust(64, "x")
    domain = ".".join(["d" * 60] * 3)
    return f"{local}@{domain[: MAX_ADDRESS_CHARS - len(local) - 1 - len('.example')]}.example"


OWN = tuple(address("own", place) for place in range(MAX_CONTACTS))
OF_SITE = tuple(address("site", place) for place in range(MAX_CONTACTS))
OF_OTHER_SITE = tuple(address("othr", place) for place in range(MAX_CONTACTS))
OF_THE_DESK = tuple(address("desk", place) for place in range(MAX_CONTACTS))
ALL = (*OWN, *OF_SITE, *OF_OTHER_SITE, *OF_THE_DESK)


class ScaledTable(MemoryTable):
    """A table that weighs its rows and transactions, and refuses what `refuse` raises for."""

    def __init__(self) -> None:
        super().__init__()
        self.heaviest_row = self.heaviest_commit = self.most_texts_a_row = 0
        self.refuse: Callable[[Sequence[Write]], None] = lambda _writes: None

    def commit(self, writes: Sequence[Write], deadline: Deadline) -> list[str | None]:
        self.refuse(writes)
        stored = [write.values for write in writes if not isinstance(write, Delete)]
        weights = [sum(map(_weight, values.items())) for values in stored]
        self.heaviest_row = max(self.heaviest_row, *weights, 0)
        self.heaviest_commit = max(self.heaviest_commit, sum(weights))
        texts = [int(each.values.get("parts", 1)) for each in writes if not isinstance(each, Delete)]
        self.most_texts_a_row = max(self.most_texts_a_row, *texts, 0)
        return super().commit(writes, deadline)


def _weight(named: tuple[str, str | int | bool]) -> int:
    """In bytes, each text in UTF-16."""
    name, value = named
    return 2 * (len(name) + len(str(value))) + 16


def house_with_the_most(table: MemoryTable) -> House:
    house = House(table=table)
    house.deployment = structs.replace(house.deployment, closing_notices=True, default_contacts=OF_THE_DESK)
    site = Site(
        site_id="hq",
        name="H" * 200,
        address="x" * 500,
        country="US",
        emergency_contacts=OF_SITE,
        security_desk=IDENTITIES[:5],
    )
    house.sites.save(site, None, house.within())
    other = structs.replace(site, site_id="other", name="O" * 200, emergency_contacts=OF_OTHER_SITE)
    house.sites.save(other, None, house.within())
    agent = Agent(
        agent_id=AGENT,
        name="D" * 200,
        address="x" * 500,
        country="US",
        site="hq",
        emergency_contacts=OWN,
        acs_user_ids=IDENTITIES,
        alternate_numbers=tuple(f"+1425555{7000 + n}" for n in range(10)),
    )
    house.add_agent(agent)
    house.tick()
    return house


def move(house: House, site: str) -> None:
    """The agent is entered at another site."""
    entered = house.directory.read(AGENT, house.within())
    assert entered is not None
    house.add_agent(structs.replace(entered[0], site=site))


def refuse_the_first(email: Email) -> None:
    """Their notice goes on to the default contacts."""
    if OWN[0] in email.recipients:
        raise RecipientsRefused(frozenset({OWN[0]}))


def dial(house: House, place: int) -> None:
    location = Location(address="y" * 500, latitude=47.1234567, longitude=-122.1234567, accuracy_m=12.5)
    answer = house.dial(
        Dial(
            call_id=f"call-{place}",
            agent_id=AGENT,
            dialled="911",
            country="US",
            location=location,
            server_call_id=f"server-{place}",
        )
    )
    assert not answer.degraded
    house.tie(f"call-{place}", f"other-{place}")
    for server_call_id in (f"server-{place}", f"seen-{place}"):
        call = ServerCall(
            server_call_id=server_call_id,
            starter=STARTER,
            at=house.clock.now(),
            ended=False,
            correlation_id=f"correlated-{server_call_id}",
        )
        house.see(call)


def live(house: House, minutes: int) -> None:
    for _ in range(minutes * 6):
        house.clock.advance(timedelta(seconds=10))
        house.sweep()
        house.tick()


def received(house: House, kind: NoticeKind) -> Counter[str]:
    return Counter(to for email in house.mail.accepted if email.subject == kind for to in email.recipients)


def own_row(house: House) -> Row:
    [row] = house.table.between("agent|", "agent|~", 10, house.within()).result()
    return row


def test_the_addresses_are_the_longest_that_are_accepted() -> None:
    assert parse_contacts(";".join(OWN)).kept == OWN and {*map(len, ALL)} == {MAX_ADDRESS_CHARS}
    assert len(set(ALL)) == MAX_TOLD


def test_an_emergency_with_the_most_of_everything_is_told_once_closed_once_and_forgotten() -> None:
    table = ScaledTable()
    house = house_with_the_most(table)
    for place in range(MAX_LEGS):
        if place == MAX_LEGS // 2:
            move(house, "other")
        if place == MAX_LEGS - 1:
            house.mail.fail = refuse_the_first
        dial(house, place)
        live(house, 1)
        house.end(End(call_id=f"call-{place}", by_agent=False, agent_id=AGENT))
        house.clock.advance(after(minutes=1))
    emergency = house.emergency(AGENT)
    assert emergency is not None and emergency.thread is not None
    assert (len(emergency.legs), len(emergency.sightings)) == (MAX_LEGS, MAX_SIGHTINGS)
    assert len(emergency.thread.told) == MAX_TOLD
    told, half = received(house, NoticeKind.CALL), MAX_LEGS // 2
    to_each = {OWN[0]: MAX_LEGS - 1, **dict.fromkeys(OWN[1:], MAX_LEGS), **dict.fromkeys(OF_THE_DESK, 1)}
    assert told == to_each | dict.fromkeys((*OF_SITE, *OF_OTHER_SITE), half)
    house.mail.fail = lambda _email: None
    live(house, 12)
    assert received(house, NoticeKind.CLOSING) == Counter(ALL), "exactly one to each"
    live(house, 130)
    assert received(house, NoticeKind.CALL) == told, "nothing was sent twice"
    assert received(house, NoticeKind.CLOSING) == Counter(ALL)
    assert {kind_of(row) for row in house.rows()} == {"free", "number", "pool"}
    assert house.telemetry.count("unforeseen_error") == 0
    assert table.most_texts_a_row > 1
    assert table.heaviest_row < MIB and table.heaviest_commit < 2 * MIB


def test_a_small_emergency_is_stored_as_the_version_before_reads_it() -> None:
    house = House()
    house.add_agent(Agent(agent_id=AGENT, emergency_contacts=("guard@example.com",)))
    house.tick()
    house.dial(Dial(call_id="call-1", agent_id=AGENT, dialled="911"))
    row = own_row(house)
    assert row.values.keys() == {"schema", "state", "index"} and row.values["schema"] == 2


@pytest.mark.parametrize("name", ["é" * 9, "\U0001f6a8" * 9], ids=ascii)
def test_a_row_is_parted_just_where_one_text_would_be_too_long(name: str) -> None:
    """Letters beyond the basic plane count twice, also where a part ends between them."""
    table = MemoryTable()
    house = house_with_the_most(table)
    dial(house, 1)
    live(house, 1)
    stored = read_stored(own_row(house))
    assert stored.emergency is not None and stored.emergency.thread is not None
    for spare in range(-40, 40):
        filled = _filled(house, MAX_TEXT_UTF16_UNITS + spare, name)
        assert ("state" in filled) == (spare <= 0)
        read = read_stored(Row(own_row(house).key, filled, "1")).emergency
        assert read is not None and read.agent_id.startswith(name)


def _filled(house: House, units: int, name: str) -> Values:
    """The row of an emergency whose text has so many UTF-16 units."""
    stored = read_stored(own_row(house)).emergency
    assert stored is not None
    short = structs.replace(stored, agent_id=name, thread=None, situation=None)
    missing = units - len(str(emergency_values(short, {})["state"]).encode("utf-16-le")) // 2
    return emergency_values(structs.replace(short, agent_id=name + "x" * missing), {})


# What was accepted is owed no more -----------------------------------------------------------------------------------


ERRORS: list[Callable[[], Exception]] = [
    ValueError,
    RuntimeError,
    Unavailable,
    Conflict,
    TooManyRows,
    lambda: Unreadable("agent"),
]


def nothing_can_be_told(error: Callable[[], Exception], *, for_s: float = 24 * 3600) -> House:
    """A house where a notice to a hundred is owed and, for so long, no row of an emergency can be written."""
    table = ScaledTable()
    house = house_with_the_most(table)
    house.performs = False
    house.dial(Dial(call_id="call-1", agent_id=AGENT, dialled="911", country="US"))
    house.performs = True
    owed, house.owed = house.owed, []
    notices = [effect for effect in owed if isinstance(effect, DeliverNotice)]
    house.do(effect for effect in owed if effect not in notices)

    until = house.clock.now() + timedelta(seconds=for_s)

    def refuse(writes: Sequence[Write]) -> None:
        if house.clock.now() < until and any(kind_of(write.key) == "agent" for write in writes):
            house.clock.advance(timedelta(seconds=0.4))
            raise error()

    table.refuse = refuse
    house.owed += notices
    return house


def perform_and_sweep(house: House) -> None:
    """What is owed is performed, and whatever is owed still is taken up by many sweeps."""
    attempts: list[Callable[[], None]] = [partial(house.do, house.owed), *[house.sweep] * 60]
    for attempt in attempts:
        with suppress(ValueError, RuntimeError):
            attempt()
        house.clock.advance(timedelta(seconds=30))


@pytest.mark.parametrize("error", ERRORS)
def test_what_was_accepted_is_struck_off_alone_where_its_emergency_cannot_be_told(
    error: Callable[[], Exception],
) -> None:
    """Else it is sent again and again until the lease is over."""
    house = nothing_can_be_told(error)
    perform_and_sweep(house)
    assert received(house, NoticeKind.CALL) == Counter([*OWN, *OF_SITE])
    assert not [row for row in house.rows() if row.startswith("outbox|") and "|notice|" in row]


@pytest.mark.parametrize("error", ERRORS)
def test_only_the_rest_is_owed_further_where_its_emergency_cannot_be_told(error: Callable[[], Exception]) -> None:
    house = nothing_can_be_told(error, for_s=20)
    until = house.clock.now() + timedelta(seconds=20)

    def fail(email: Email) -> None:
        if house.clock.now() < until and not set(OWN) & set(email.recipients):
            raise Unavailable

    house.mail.fail = fail
    perform_and_sweep(house)
    assert received(house, NoticeKind.CALL) == Counter([*OWN, *OF_SITE])
    assert not [row for row in house.rows() if row.startswith("outbox|") and "|notice|" in row]
