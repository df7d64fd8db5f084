"""The rows by which agents are listed and searched for, in the table of the directory.

    list|{place}-{agent}   every agent, in the order of lists; holds what a list shows of them
    term|{term}-{agent}    what a search may begin with, holding the same

They are written in the entry's own transaction. Places and terms are the hexadecimal digits of folded text, because a
row's key may not hold everything, and these keep its order; a hyphen sorts before every digit.
"""

from shared.adapters.table import Row, Table, Values, read_state, state_text, with_prefix
from shared.deadlines import Deadline
from shared.domain.agents import Agent, AgentsPage, ListedAgent
from shared.domain.errors import Malformed, Unreadable
from shared.domain.searching import MAX_TERM_BYTES, fold, place_of, terms_of

# One request of Table storage gives no more.
MAX_ROWS_READ = 1000
_HEX = frozenset("0123456789abcdef-")


def search_rows(agent: Agent) -> dict[str, Values]:
    """The rows of an entry, by key."""
    listed = ListedAgent(
        agent_id=agent.agent_id,
        name=agent.name,
        country=agent.country,
        site=agent.site,
        contacts=len(agent.emergency_contacts),
    )
    values: Values = {"schema": 1, "state": state_text(listed)}
    terms = {f"term|{_hex(term)}-{agent.key}": values for term in terms_of(agent.agent_id, agent.name)}
    return {f"list|{_hex(place_of(agent))}-{agent.key}": values, **terms}


def page_of(table: Table, starts_with: str, limit: int, cursor: str, deadline: Deadline) -> AgentsPage:
    """A page, with one request whatever the size of the directory. Raises `Malformed` for a cursor that is none."""
    if not _HEX.issuperset(cursor.removeprefix("~")):
        raise Malformed("cursor", "is not one that a page has given")
    sought = fold(starts_with)
    if not sought:
        return _whole_list(table, limit, cursor, deadline)
    first, end = with_prefix(f"term|{_hex(sought)}")
    further = cursor.startswith("~")
    start = _behind("term|", cursor.removeprefix("~")) if further else first
    rows = table.between(start, end, MAX_ROWS_READ, deadline).result()
    # A list that was begun in one order goes on in it, though more than that fit by now.
    if further or (not cursor and len(rows) == MAX_ROWS_READ):
        return _by_term(rows, sought, limit)
    return _in_order(rows, sought, limit, cursor)


def _whole_list(table: Table, limit: int, cursor: str, deadline: Deadline) -> AgentsPage:
    _, end = with_prefix("list|")
    rows = table.between(_behind("list|", cursor), end, limit + 1, deadline).result()
    return _page(rows, limit, "")


def _in_order(rows: list[Row], sought: str, limit: int, cursor: str) -> AgentsPage:
    """All that fit, each once, in the order of lists."""
    found: dict[str, ListedAgent] = {}
    for row in rows:
        listed = _listed(row)
        if listed is not None and _fits(listed, sought):
            found[f"{_hex(place_of(listed))}-{row.key.rpartition('-')[2]}"] = listed
    places = sorted(place for place in found if place > cursor)
    more = places[limit - 1] if len(places) > limit else None
    return AgentsPage(tuple(found[place] for place in places[:limit]), more)


def _by_term(rows: list[Row], sought: str, limit: int) -> AgentsPage:
    """So many fit that sorting them would mean reading them all: in the order of what was found in them, each once."""
    first_ones = [row for row in rows if _is_first(row, sought)]
    if len(first_ones) <= limit and len(rows) == MAX_ROWS_READ:
        agents = [listed for listed in map(_listed, first_ones) if listed is not None]
        return AgentsPage(tuple(agents), f"~{rows[-1].key.partition('|')[2]}")
    return _page(first_ones, limit, "~")


def _page(rows: list[Row], limit: int, mark: str) -> AgentsPage:
    agents = [listed for listed in map(_listed, rows[:limit]) if listed is not None]
    more = f"{mark}{rows[limit - 1].key.partition('|')[2]}" if len(rows) > limit else None
    return AgentsPage(tuple(agents), more)


def _is_first(row: Row, sought: str) -> bool:
    """Whether this is the first of the agent's rows that the search meets, so that each is told once."""
    listed = _listed(row)
    if listed is None:
        return False
    fitting = [term for term in terms_of(listed.agent_id, listed.name) if term.startswith(sought)]
    return bool(fitting) and row.key.partition("|")[2].partition("-")[0] == min(_hex(term) for term in fitting)


def _fits(listed: ListedAgent, sought: str) -> bool:
    return any(term.startswith(sought) for term in terms_of(listed.agent_id, listed.name))


def _behind(kind: str, cursor: str) -> str:
    # A blank sorts before whatever may follow a key.
    return f"{kind}{cursor} " if cursor else kind


def _hex(text: str) -> str:
    return text.encode("utf-8", "surrogatepass")[:MAX_TERM_BYTES].hex()


def _listed(row: Row) -> ListedAgent | None:
    """What the row shows; None where it cannot be read, so that a list goes on without it."""
    try:
        return read_state(row, ListedAgent)
    except Unreadable:
        return None
