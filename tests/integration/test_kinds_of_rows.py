"""What the host writes to storage while a whole story runs is of kinds that the tests of broken rows break."""

import re
from pathlib import Path

import pytest

from tests.integration.tapped import tapped_stack
from tests.local.demo import Story, Timeline
from tests.local.outside import Where
from tests.unit.test_broken_rows import KINDS, OF_KEYS, OF_SERVICES_OUTSIDE

pytestmark = [pytest.mark.process, pytest.mark.long]

# In the address of a write, and in the body of one, where keys of new rows stand.
_ROW_KEY = re.compile(rb"""RowKey(?:='|": ?")([a-z]+)""")
OF_ANY_STORY = {
    *("agent", "bare", "call", "callback", "due", "entry", "free", "identity", "ladder", "list", "look", "mail"),
    *("number", "outbox", "pool", "rest", "sent", "server", "share", "starter", "term"),
}
PRESENCE: dict[Where, str] = {"table": "presence", "graph": "presencemark"}


@pytest.mark.parametrize("where", PRESENCE)
def test_the_host_writes_no_kind_of_row_that_is_never_broken(where: Where, tmp_path: Path) -> None:
    written: set[str] = set()

    def collect(head: bytes, body: bytes) -> None:
        if not head.startswith(b"GET "):
            written.update(found.decode() for found in _ROW_KEY.findall(head + body))

    with tapped_stack(tmp_path, label=collect, presence=where) as (local, _):
        Story(local, Timeline(colour=False), presence=where).tell()
    assert written <= {*KINDS, *OF_SERVICES_OUTSIDE, *OF_KEYS}
    assert {*OF_ANY_STORY, PRESENCE[where]} <= written
