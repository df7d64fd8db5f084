"""The last drill, in the directory's table: one row, so that there is one at a time (port `Drills`).

drill|last   when it was, how it stands, its steps and their times; nothing of the agent

"""

from datetime import datetime, timedelta

from shared.adapters.emergency_rows import state_values
from shared.adapters.table import Insert, Replace, RowConflict, Table, Values, read_state
from shared.deadlines import Deadline
from shared.domain.drills import Drill, DrillState
from shared.domain.errors import Conflict, Unreadable

# A process that dies in the middle leaves a drill that nobody ends.
GIVEN_UP_AFTER = timedelta(minutes=5)
_LAST = "drill|last"


class DrillTable:
    """Port `Drills`."""

    def __init__(self, table: Table) -> None:
        self._table = table

    def last(self, deadline: Deadline) -> Drill | None:
        """The last drill, which may still run."""
        row = self._table.get(_LAST, deadline).result()
        try:
            return read_state(row, Drill) if row is not None else None
        except Unreadable:
            return None

    def begin(self, drill: Drill, now: datetime, deadline: Deadline) -> None:
        """Keep a new one in place of the last; `Conflict` while that runs."""
        row = self._table.get(_LAST, deadline).result()
        values: Values = state_values(drill)
        before = self.last(deadline) if row is not None else None
        if before is not None and before.state is DrillState.RUNNING and now - before.at < GIVEN_UP_AFTER:
            raise Conflict
        try:
            self._table.commit(
                [Insert(_LAST, values) if row is None else Replace(_LAST, values, row.version)], deadline
            )
        except RowConflict:
            raise Conflict from None

    def keep(self, drill: Drill, deadline: Deadline) -> None:
        """Keep how it stands by now; one that another has taken the place of is kept no more."""
        row = self._table.get(_LAST, deadline).result()
        before = self.last(deadline)
        if row is None or (before is not None and before.drill_id != drill.drill_id):
            return
        try:
            self._table.commit([Replace(_LAST, state_values(drill), row.version)], deadline)
        except RowConflict:
            raise Conflict from None
