"""The directory as CSV: spreadsheets' habits, faults by line and column, and the way there and back."""

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from msgspec import structs

from functions.wire.decoding import convert, plain_id
from functions.wire.directory_csv import (
    COLUMNS,
    MAX_FAULTS,
    MAX_LINES,
    MAX_NAMED_COLUMNS,
    MAX_ROWS,
    read,
    written,
)
from functions.wire.http import AgentBody, agent_of
from shared.adapters.agent_table import MAX_LOOKED_AT
from shared.domain.agents import Agent, OutboundProfile
from shared.domain.errors import Malformed

FULL = Agent(
    agent_id="a-1",
    name='Dana "D", Example',
    entra_object_id="0f0e0d0c-0b0a-4908-8706-050403020100",
    dynamics_user_id="1f0e0d0c-0b0a-4908-8706-050403020100",
    acs_user_ids=("8:acs:one_two", "8:acs:three_four"),
    country="US",
    locale="en-US",
    address="1 Example Street\nFloor 2",
    site="north",
    time_zone="America/New_York",
    alternate_numbers=("+12025550123", "+12025550124"),
    emergency_contacts=("a@example.com", "b@example.com"),
    outbound_profile=OutboundProfile(name="Voice", work_item_limit=0, caller_id="+12025550125"),
)


def back(body: bytes) -> list[Agent]:
    found = read(body)
    assert found.faults == ()
    return [row.change.over(None) for row in found.rows]


def test_what_is_written_is_read_and_written_again_as_the_same_bytes() -> None:
    agents = [Agent(agent_id="z"), FULL, Agent(agent_id="=1+1", name="'=x", address="@home")]
    body = written(agents)
    assert body.startswith(b"\xef\xbb\xbfagent_id,name,") and body.endswith(b"\r\n")
    assert b"\r\n'=1+1,''=x," in body and b",'@home," in body and b",'+12025550123; +12025550124," in body
    assert back(body) == sorted(agents, key=lambda each: each.agent_id)
    assert written(back(body)) == body


def test_an_escaped_slash_in_an_id_is_a_slash_as_in_every_body_and_address() -> None:
    [one] = read(b"agent_id,site\nteam%2FA-1,north%2fwing\n").rows
    assert (one.change.agent_id, one.change.fields["site"]) == ("team/A-1", "north/wing")
    [fault] = read(b"agent_id\nteam%2FA-1\nteam/a-1\n").faults
    assert (fault.line, fault.reason) == (3, "is that of line 2 too")


@pytest.mark.parametrize(
    ("cell", "kept"), [("1", 1), ("1000", 1000), ("0" * 5000 + "7", 7), ("1001", None), ("9" * 5000, None)]
)
def test_a_limit_of_any_number_of_digits_is_read_or_faulty(cell: str, kept: int | None) -> None:
    """Python refuses to make a number of more than 4,300 digits."""
    found = read(f"agent_id,outbound_profile_work_item_limit\na,{cell}\n".encode())
    if kept is None:
        assert [(each.column, each.reason) for each in found.faults] == [
            ("outbound_profile_work_item_limit", "Expected int <= 1000")
        ]
    else:
        assert [row.change.profile for row in found.rows] == [{"work_item_limit": kept}]


TEXT = st.text(st.characters(codec="utf-8", exclude_categories=("Cc", "Cs", "Zl", "Zp")), min_size=1, max_size=20)


@given(TEXT.filter(lambda each: each.strip()), TEXT)
@example("%2F", "Dana")
def test_any_name_comes_back(agent_id: str, name: str) -> None:
    # No entry has an id with that escape.
    agent = Agent(agent_id=plain_id(agent_id.strip()), name=name.strip() or None)
    found = read(written([agent]))
    assert [row.change.over(None) for row in found.rows] == [agent] or found.faults


ID = st.text("aZ09_.-;,", min_size=1, max_size=12)


@given(st.lists(ID, min_size=1, max_size=3))
@example([";"])
@example(["a;b", "c"])
def test_any_identity_that_an_entry_may_have_comes_back(said: list[str]) -> None:
    sent = {"acs_user_ids": [f"8:acs:{each}" for each in said]}
    try:
        agent = agent_of("a", convert(sent, AgentBody, ""))
    except Malformed:
        assert not {*"".join(said)}.isdisjoint(";,")
        return
    assert back(written([agent])) == [agent]


@pytest.mark.parametrize(
    "body",
    [
        "agent_id;name;emergency_contacts\r\na;Dana;a@example.com, b@example.com\r\n",
        'sep=;\r\nagent_id;name;emergency_contacts\r\na;Dana;"a@example.com\nb@example.com"\r\n',
        "\ufeffAgent_ID,name,emergency_contacts,,\na,Dana,a@example.com; B <b@example.com>,,\n\n,,,,\n",
        "agent_id\tname\temergency_contacts\na\tDana\ta@example.com b@example.com",
        "\nagent_id;name;emergency_contacts\na;Dana;a@example.com, b@example.com\n",
        "\r\n,,\r\nSEP=;\r\n\r\nagent_id;name;emergency_contacts\r\na;Dana;a@example.com, b@example.com\r\n",
        "sep=\t\nagent_id\tname\temergency_contacts\na\tDana\ta@example.com, b@example.com\n",
        "sep=;\ragent_id;name;emergency_contacts\ra;Dana;a@example.com, b@example.com\r",
    ],
)
def test_spreadsheets_habits_are_understood(body: str) -> None:
    contacts = ("a@example.com", "b@example.com")
    assert back(body.encode()) == [Agent(agent_id="a", name="Dana", emergency_contacts=contacts)]


def test_a_missing_column_leaves_its_field_and_an_empty_cell_clears_it() -> None:
    [row] = read(b"agent_id,name,outbound_profile_work_item_limit\nA-1,,\n").rows
    after = row.change.over(FULL)
    assert after.name is None
    assert after.outbound_profile == OutboundProfile(name="Voice", caller_id="+12025550125")
    assert (after.address, after.agent_id) == (FULL.address, "a-1")


def test_every_fault_is_told_by_line_and_column() -> None:
    body = (
        b"agent_id,name,country,emergency_contacts,alternate_numbers\n"
        b'a,"two\nlines",US,,\n'
        b"b,B,USA,nobody,911\n"
        b"A ,again,US,,\n"
        b"import,C,US,,\n"
        b'c,C,"U.S."\n'
        b"d,D,US,,,more\n"
        b",E,US,,\n"
    )
    found = read(body)
    assert [row.change.agent_id for row in found.rows] == ["a"]
    assert [(fault.line, fault.column) for fault in found.faults] == [
        *((4, "country"), (4, "emergency_contacts"), (4, "alternate_numbers")),
        *((5, "agent_id"), (6, "agent_id"), (7, "country"), (8, None), (9, "agent_id")),
    ]
    assert all("nobody" not in fault.reason for fault in found.faults)


def test_separators_that_a_spreadsheet_leaves_out_clear_nothing() -> None:
    """Excel writes none behind the last cell that any of sixteen rows has; the export ends in mostly empty columns."""
    header = ",".join(COLUMNS)
    rows = read(f"{header}\r\na-1,Dana\r\nb,Ben,,,,US\r\nc\r\n".encode())
    assert rows.faults == ()
    first, second, third = (row.change for row in rows.rows)
    assert first.over(FULL) == structs.replace(FULL, name="Dana")
    assert (second.over(FULL).country, second.over(FULL).address) == ("US", FULL.address)
    assert second.over(FULL).entra_object_id is None, "an empty cell clears"
    assert third.over(FULL) == FULL


@pytest.mark.parametrize(
    ("body", "line", "column"),
    [
        # Nothing says that the file did not go on.
        ("agent_id,name,country\na,Ana,US\nb,Be", 3, "country"),
        ("agent_id,,country\na,,US\nb", 3, None),
        # Nobody's.
        ("name,agent_id,country\nAna,a,US\nBen\n", 3, "agent_id"),
    ],
)
def test_a_record_that_is_cut_or_nobodys_is_a_fault(body: str, line: int, column: str | None) -> None:
    found = read(body.encode())
    assert [row.change.agent_id for row in found.rows] == ["a"]
    assert [(each.line, each.column) for each in found.faults] == [(line, column)]


def test_a_file_that_ends_within_quotes_is_refused() -> None:
    assert [each.line for each in read(b'agent_id,name,country\na,Ana,US\nb,"Be\n').faults] == [3]


@pytest.mark.parametrize(
    ("body", "line", "column"),
    [
        ("", 1, None),
        ("\n\n", 1, None),
        ("sep=;\n", 1, None),
        ("name\nDana\n", 1, "agent_id"),
        ("agent_id,nick\na,b\n", 1, "nick"),
        ("agent_id,Nick\na,b\n", 1, "Nick"),
        ("agent_id,name,Name\na,b,c\n", 1, "name"),
        ("agent_id,Name,name\na,b,c\n", 1, "Name"),
        ("sep=;\r\nagent_id;nick\r\na;b\r\n", 2, "nick"),
        ("\n\nname\nDana\n", 3, "agent_id"),
        ("\n,,\nsep=;\n\nagent_id;Name;NAME\na;b;c\n", 5, "Name"),
    ],
)
def test_a_faulty_header_is_told_by_its_line_and_in_its_words(body: str, line: int, column: str | None) -> None:
    found = read(body.encode())
    assert found.rows == () and [(fault.line, fault.column) for fault in found.faults] == [(line, column)]


def test_an_id_with_nothing_visible_is_a_fault_of_its_cell() -> None:
    body = "agent_id,site\n \u200b,north\na,\u2060\nb,\n"
    found = read(body.encode())
    assert [(fault.line, fault.column) for fault in found.faults] == [(2, "agent_id"), (3, "site")]
    assert [row.change.agent_id for row in found.rows] == ["b"]


def test_a_fault_of_a_row_is_told_by_its_line_and_in_the_headers_words() -> None:
    body = b"\nsep=;\n\nAgent_ID; Country ;\n\na;USA;\nA;US;\nb"
    assert [(fault.line, fault.column) for fault in read(body).faults] == [
        *((6, "Country"), (7, "Agent_ID"), (8, "Country")),
    ]


def test_a_quote_that_is_not_closed_is_a_fault_and_no_utf_8_is_malformed() -> None:
    assert [fault.line for fault in read(b'agent_id,name\na,b\nc,"d\n').faults] == [3]
    with pytest.raises(Malformed):
        read("agent_id\né".encode("latin-1"))
    assert len(COLUMNS) == 15


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (
            "agent_id," + ",".join(f"c{n}" for n in range(MAX_NAMED_COLUMNS)),
            f"has more than {MAX_NAMED_COLUMNS} columns",
        ),
        ("agent_id" + "\n" * (MAX_LINES + 1), f"has more than {MAX_LINES} lines"),
        ("agent_id" + "\r\n" * (MAX_LINES + 1), f"has more than {MAX_LINES} lines"),
        ("agent_id" + "\r" * (MAX_LINES + 1), f"has more than {MAX_LINES} lines"),
        ("agent_id\n" + "a\n" * (MAX_ROWS + 1), f"holds more than {MAX_ROWS} entries"),
        # 16 MB of rubbish each.
        ("a," * 8_000_000, f"has more than {MAX_NAMED_COLUMNS} columns"),
        ("agent_id," + "," * 16_000_000, f"has more than {MAX_NAMED_COLUMNS} columns"),
        ("\n" * 16_000_000, f"has more than {MAX_LINES} lines"),
    ],
    ids=["columns", "lf", "crlf", "cr", "rows", "many-columns", "many-nameless-columns", "many-lines"],
)
def test_a_file_that_can_be_no_directory_is_refused_as_a_whole(body: str, reason: str) -> None:
    """It took minutes to judge: the time grew with the square of the columns."""
    with pytest.raises(Malformed) as caught:
        read(body.encode())
    assert (caught.value.field, caught.value.reason) == ("body", reason)


def test_whatever_is_exported_may_be_imported() -> None:
    assert MAX_ROWS == MAX_LOOKED_AT and len(COLUMNS) <= MAX_NAMED_COLUMNS


def test_columns_without_a_name_are_as_many_as_a_spreadsheet_likes() -> None:
    assert back(b"agent_id" + b"," * 1_000 + b"\na" + b"," * 1_000) == [Agent(agent_id="a")]


def test_behind_a_thousand_faults_a_file_is_not_read_any_more() -> None:
    faulty = [f"a{n},USA" for n in range(2 * MAX_FAULTS)]
    found = read("\n".join(["agent_id,country", *faulty[:MAX_FAULTS], "b,US"]).encode())
    assert (len(found.faults), len(found.rows)) == (MAX_FAULTS, 1)
    found = read("\n".join(["agent_id,country", *faulty]).encode())
    assert {each.column for each in found.faults[:-1]} == {"country"} and len(found.faults) == MAX_FAULTS + 2
    assert found.faults[-1].line == MAX_FAULTS + 3 and found.faults[-1].reason.startswith("is not read from here on")


def test_separators_that_a_spreadsheet_leaves_behind_a_record_are_no_cells() -> None:
    found = read(b"agent_id,name\r\na,Ana,,\r\nb,Ben, ,x\r\n")
    assert [row.change.agent_id for row in found.rows] == ["a"]
    assert [(each.line, each.column) for each in found.faults] == [(3, None)]
