"""How many agents the directory has, and where; counted now and then, for readiness alone (port `CensusTaker`)."""

import threading
from collections import Counter

from shared.adapters.emergency_rows import map_readable
from shared.adapters.table import Table, read_long_state, with_prefix
from shared.deadlines import Clock, Deadline
from shared.domain.agents import Agent
from shared.domain.deployment_checks import Census
from shared.domain.errors import Unavailable
from shared.domain.ids import normal_id

REMEMBERED_S = 300.0
MAX_AGENTS = 100_000


class DirectoryCensus:
    """Port `CensusTaker`. A count is remembered for some minutes, and served with its age where none can be made."""

    def __init__(self, table: Table, clock: Clock) -> None:
        self._table = table
        self._clock = clock
        self._lock = threading.Lock()
        self._known: tuple[Census, float] | None = None

    def count(self, deadline: Deadline) -> Census:
        """The count, which may be some minutes old. Raises `Unavailable` where there never was one."""
        with self._lock:
            known = self._known
        if known is not None and self._clock.monotonic() < known[1]:
            return known[0]
        try:
            census = self._counted(deadline)
        except Unavailable:
            if known is None:
                raise
            return known[0]
        with self._lock:
            self._known = census, self._clock.monotonic() + REMEMBERED_S
        return census

    def _counted(self, deadline: Deadline) -> Census:
        rows = self._table.between(*with_prefix("entry|"), MAX_AGENTS, deadline).result()
        by_site: Counter[str] = Counter()
        without_contacts: Counter[str] = Counter()
        agents = without_identity = 0
        for agent in map_readable(lambda row: read_long_state(row, Agent), rows):
            agents += 1
            site = normal_id(agent.site or "")
            by_site[site] += 1
            without_contacts[site] += not agent.emergency_contacts
            without_identity += not (agent.acs_user_ids or agent.alternate_numbers)
        return Census(
            agents=agents,
            by_site=by_site,
            without_contacts=without_contacts,
            without_identity=without_identity,
            at=self._clock.now(),
        )
