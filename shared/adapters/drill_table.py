"""The last drill, in the directory's table (port `Drills`): one row, so that there is one at a time.

    drill|last   when it was, how it stands, its steps and their times; of the agent something only while it runs
    drill|age    when one last passed, or since when this deployment is known; when the log was told

Each write is over the version that was read.
"""

from contextlib import suppress
from datetime import datetime, timedelta

from msgspec import structs

from shared.adapters.emergency_rows import state_values
from shared.adapters.table import Insert, Put, Replace, Row, RowConflict, Table, Write, read_state
from shared.deadlines import Deadline
from shared.domain.drills import FORGOTTEN_AFTER, Drill, DrillAge, DrillState
from shared.domain.errors import Conflict, Unreadable
from shared.domain.stamps import age_of, is_ahead

_LAST = "drill|last"
_AGE = "drill|age"


class DrillTable:
    """Port `Drills`."""

    def __init__(self, table: Table) -> None:
        self._table = table

    def last(self, deadline: Deadline) -> Drill | None:
        """The last drill, which may still run; None where there never was one, or it cannot be read."""
        return self._read(deadline)[1]

    def begin(self, drill: Drill, now: datetime, deadline: Deadline) -> None:
        """Keep a new one in place of the last; `Conflict` while that runs."""
        row, before = self._read(deadline)
        if before is not None and before.state is DrillState.RUNNING and age_of(before.at, now) < FORGOTTEN_AFTER:
            raise Conflict
        self._write(drill, row, deadline)

    def claim(self, drill_id: str, claim: str, now: datetime, until: datetime, deadline: Deadline) -> Drill | None:
        """Take the drill, to play it until then; None where somebody else has it, or it does not run."""
        row, drill = self._read(deadline)
        if row is None or drill is None or drill.drill_id != drill_id or drill.play is None:
            return None
        if drill.play.claim != claim and not drill.is_left_alone(now):
            return None
        taken = structs.replace(drill, play=structs.replace(drill.play, claim=claim, claimed_until=until))
        try:
            self._write(taken, row, deadline)
        except Conflict:
            return None
        return taken

    def keep(self, drill: Drill, claim: str, deadline: Deadline) -> None:
        """Keep how it stands by now; `Conflict` where somebody else has taken it, or another's place is there."""
        row, before = self._read(deadline)
        if row is None or before is None or before.drill_id != drill.drill_id:
            raise Conflict
        if before.play is None or before.play.claim != claim:
            raise Conflict
        self._write(drill, row, deadline)

    def passed(self, at: datetime, deadline: Deadline) -> None:
        """A drill has passed: the log is told so at the next look."""
        self._table.commit([Put(_AGE, state_values(DrillAge(since=at)))], deadline)

    def age_to_tell(self, now: datetime, deadline: Deadline) -> timedelta | None:
        """For how long no drill has passed, where the log is to be told; None where it was told lately."""
        row = self._table.get(_AGE, deadline).result()
        age = DrillAge(since=now)
        if row is not None:
            with suppress(Unreadable):
                age = read_state(row, DrillAge)
        if is_ahead(age.since, now):
            age = DrillAge(since=now)
        if not age.is_to_tell(now):
            return None
        values = state_values(structs.replace(age, told_at=now))
        try:
            self._table.commit([Insert(_AGE, values) if row is None else Replace(_AGE, values, row.version)], deadline)
        except RowConflict:
            # Another process tells it.
            return None
        return now - age.since

    def _read(self, deadline: Deadline) -> tuple[Row | None, Drill | None]:
        row = self._table.get(_LAST, deadline).result()
        try:
            return row, read_state(row, Drill) if row is not None else None
        except Unreadable:
            return row, None

    def _write(self, drill: Drill, row: Row | None, deadline: Deadline) -> None:
        values = state_values(drill)
        write: Write = Insert(_LAST, values) if row is None else Replace(_LAST, values, row.version)
        try:
            self._table.commit([write], deadline)
        except RowConflict:
            raise Conflict from None
