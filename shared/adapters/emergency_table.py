"""The emergencies of a deployment over one partition of a table (port `EmergencyStore`)."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from datetime import datetime, timedelta
from itertools import batched

from msgspec import structs

from shared.adapters.broken_rows import look_again, set_aside
from shared.adapters.drill_mail import drill_mail, forget_drill_mail
from shared.adapters.emergency_rows import (
    GUESSED,
    SCHEMA,
    agent_row,
    alone_rows,
    bare_row,
    by_rank,
    call_row,
    callback_due_row,
    callback_row,
    callback_values,
    dispatch_due_row,
    emergency_values,
    holder_row,
    index_rows,
    leg_row,
    mail_values,
    map_readable,
    moment,
    moment_in,
    notice_row,
    read_call,
    read_callback,
    read_dispatch,
    read_moment,
    read_owed_notice,
    read_stored,
    read_waiting_notice,
    state_values,
    waiting_row,
)
from shared.adapters.numbers_table import NumbersTable, lent
from shared.adapters.table import (
    MAX_ROWS_A_COMMIT,
    Delete,
    Insert,
    Miss,
    Put,
    Read,
    Replace,
    Row,
    RowConflict,
    Table,
    Values,
    Write,
    key_in,
    kind_of,
    read_row,
    with_prefix,
)
from shared.deadlines import Deadline
from shared.domain.emergencies import FIRST_TRY_WITHIN, notice_failing_since, presence_failing_since, without_lease
from shared.domain.errors import CallIdTaken, Conflict, TooManyRows, Unavailable, Unreadable
from shared.domain.identities import raw_identity
from shared.domain.ids import agent_key_of, key_of
from shared.domain.leases import Rules
from shared.domain.notifications import Delivery, Notice
from shared.domain.pool import RATION_WINDOW_MINUTES
from shared.ports import (
    READ_AT_ONCE,
    Broken,
    CallbackChange,
    CallOwner,
    Change,
    Committed,
    Dispatch,
    DrillMail,
    Due,
    GoingOn,
    Keys,
    Owed,
    OwedNotice,
    Pending,
    Stored,
    StoredCallback,
    WaitingNotice,
)

# A page of the service, and as many unlisted agents as one machine may have: nobody's own is beyond it.
MAX_OWNERS_READ = 1000
MAX_EMERGENCIES_SHOWN = 5_000
# Of what is owed, so much is looked at to say since when: what is due first has failed least.
MAX_OWED_JUDGED = 200
MAX_CALLBACKS_READ = 1000
MAX_LOOKS_READ = 250
# A recording may be of any of these agents' emergencies.
MAX_UNTIED_READ = 1000
# With them go the emergency's own row, the number's slot, and its free row.
MAX_ROWS_FORGOTTEN_AT_ONCE = MAX_ROWS_A_COMMIT - 4
_KEPT_LAST = ("due|", "number|", "share|", "rest|")
# By then a sweep has taken up whatever could be used, and moved it.
SUSPECT_AFTER = timedelta(minutes=1)

_BARE: Values = {"schema": SCHEMA}


class _FirstThereIs:
    """Port `Pending`: of several readings of one emergency, the first that found it."""

    def __init__(self, reads: Sequence[Pending[Stored]]) -> None:
        self._reads = reads

    def result(self) -> Stored:
        found = [read.result() for read in self._reads]
        return next((stored for stored in found if stored.emergency is not None), found[0])


def anybody_unlisted(table: Table, deadline: Deadline) -> bool:
    """Whether an unlisted agent has an emergency, or a listed one by an id of a machine's. Raises `Unavailable`."""
    return bool(table.between(*with_prefix("unlisted|"), 1, deadline).result())


class EmergencyTable:
    """The emergencies' store. What a transition does to the numbers is for `numbers` to say, over the same table."""

    def __init__(
        self,
        table: Table,
        *,
        numbers: NumbersTable,
        rules: Rules,
        keys: Keys,
        most_shown: int = MAX_EMERGENCIES_SHOWN,
    ) -> None:
        self._table = table
        self._most_shown = most_shown
        self._keys = keys
        self._numbers = numbers
        self._rules = rules

    # Reading

    def find(self, name: str, deadline: Deadline) -> Pending[Stored]:
        """The emergency of this name, under whichever of its keys it is stored."""
        reads = [self.load(key, deadline) for key in self.keys_of(name, deadline)]
        return reads[0] if len(reads) == 1 else _FirstThereIs(reads)

    def keys_of(self, name: str, deadline: Deadline) -> tuple[str, ...]:
        """Every key under which something of this name may be stored, the first for what is new."""
        return self._keys.ring(deadline).all(name)

    def load(self, agent_key: str, deadline: Deadline) -> Pending[Stored]:
        """An agent's emergency."""
        return Read(self._table.get(agent_row(agent_key), deadline), read_stored)

    def calls(self, call_key: str, deadline: Deadline) -> list[CallOwner]:
        """Everything recorded under a call id: one call, unless several agents reported the same id."""
        return [read_call(row) for row in self._prefixed(call_row(call_key), MAX_OWNERS_READ, deadline)]

    def owners_of_server_call(self, server_key: str, deadline: Deadline) -> list[str]:
        """The keys of the agents whose emergencies know this server call."""
        rows = self._prefixed(f"server|{server_key}|", MAX_OWNERS_READ, deadline)
        return [_last(row.key) for row in by_rank(rows)]

    def owners_of_starter(self, starter: str, deadline: Deadline) -> list[str]:
        """The keys of the agents of this raw ACS identity who have a leg without an exact tie."""
        return self._named("starter", key_of(raw_identity(starter)), deadline)

    def unlisted_of(self, agent_id: str, deadline: Deadline) -> list[str]:
        """The keys of the emergencies under an id that nobody in the directory has."""
        return self._named("unlisted", agent_key_of(agent_id), deadline)

    def _named(self, kind: str, name: str, deadline: Deadline) -> list[str]:
        """What the rows of this kind and name end with."""
        prefixes = self._keys.ring(deadline).prefixes(name, kind)
        reads = [self._table.between(*with_prefix(each), MAX_OWNERS_READ, deadline) for each in prefixes]
        return [_last(row.key) for row in by_rank(row for read in reads for row in read.result())]

    def agents_untied(self, deadline: Deadline) -> list[str]:
        """The keys of the agents, of any identity, who have a leg of which no server call is known."""
        # Of the version before there are only rows by identity.
        reads = [self._table.between(*with_prefix(kind), MAX_UNTIED_READ, deadline) for kind in ("untied|", "starter|")]
        rows = by_rank(row for read in reads for row in read.result() if GUESSED not in row.key)
        return list(dict.fromkeys(_last(row.key) for row in rows))

    def going_on(self, deadline: Deadline) -> GoingOn:
        """Every emergency that is kept, with its notices; what cannot be read is left out."""
        agents, mails, outbox, waiting = (
            # One more than is shown tells whether that is all of them.
            self._table.between(*with_prefix(f"{kind}|"), self._most_shown + 1, deadline)
            for kind in ("agent", "mail", "outbox", "waiting")
        )
        kept = agents.result()
        stored = map_readable(read_stored, kept[: self._most_shown])
        owed = [row for row in outbox.result() if row.key.split("|")[2:3] == ["notice"]]
        return GoingOn(
            emergencies=tuple(each.emergency for each in stored if each.emergency is not None),
            owed=tuple(each.notice for each in map_readable(read_owed_notice, [*owed, *waiting.result()])),
            dispatches=tuple(map_readable(read_dispatch, mails.result())),
            cut_at=self._most_shown if len(kept) > self._most_shown else None,
        )

    def _prefixed(self, prefix: str, limit: int, deadline: Deadline) -> list[Row]:
        return self._table.between(*with_prefix(prefix), limit, deadline).result()

    # Writing

    def commit(self, change: Change, deadline: Deadline) -> Committed:
        """Apply a transition; raises `CallIdTaken`, `TooManyRows` or `Conflict`, and then nothing was written."""
        index = index_rows(change.emergency, self._rules, change.now, self._keys.ring(deadline))
        writes = self._writes(change, index, deadline)
        versions = self._commit(change, writes, deadline)
        version = versions[agent_row(change.emergency.agent_key)]
        return Committed(Stored(change.emergency, version, tuple(sorted(index))), _owed_notice(change))

    def _writes(self, change: Change, index: Mapping[str, Values], deadline: Deadline) -> list[Write]:
        stored, own = change.stored, agent_row(change.emergency.agent_key)
        values = emergency_values(change.emergency, index)
        return _once_a_row(
            [
                *self._call_writes(change, index),
                Replace(own, values, stored.version) if stored.version else Insert(own, values),
                *_index_writes(stored.index, index, change),
                *self._loan_writes(change, deadline),
                *_owed_writes(change),
            ]
        )

    def _commit(self, change: Change, writes: Sequence[Write], deadline: Deadline) -> Mapping[str, str | None]:
        lent = False
        try:
            _require_room(writes)
            versions = self._apply(writes, deadline)
        except RowConflict as conflict:
            if conflict.index < _proofs(change):
                raise CallIdTaken from None
            if change.loan is not None and conflict.miss is not Miss.EXISTS:
                self._numbers.forget()
            raise Conflict from None
        else:
            lent = True
            return versions
        finally:
            if change.loan is not None:
                self._numbers.over(change.loan, lent=lent)

    def _apply(self, writes: Sequence[Write], deadline: Deadline) -> Mapping[str, str | None]:
        """Commit all of it; gives the new versions. That a row to be removed is gone already keeps nobody's call."""
        while writes:
            try:
                versions = self._table.commit(writes, deadline)
            except RowConflict as conflict:
                missed = writes[conflict.index]
                if conflict.miss is not Miss.MISSING or not isinstance(missed, Delete) or missed.version is not None:
                    raise
                deadline.require()
                writes = [write for write in writes if write is not missed]
            else:
                return {write.key: version for write, version in zip(writes, versions, strict=True)}
        return {}

    def _call_writes(self, change: Change, index: Mapping[str, Values]) -> Iterable[Write]:
        """What proves that the ids of new legs are as they were read comes first (`_proofs`)."""
        legs, ends = _rows_of_new_legs(change), _ends_taken(change)
        for row in legs:
            yield Replace(row, index[row], ends[row].version) if row in ends else Insert(row, index[row])
        yield from (Delete(row, end.version) for row, end in ends.items() if row not in legs)
        for row, end in ends.items():
            assert end.expires_at is not None
            yield Delete(bare_row(end.expires_at, "call", key_of(row)))

    def _loan_writes(self, change: Change, deadline: Deadline) -> Iterable[Write]:
        if change.loan is None:
            return
        if change.loan.held_by and _last(change.loan.held_by) == change.emergency.agent_key:
            # Another dial of theirs was recorded since their emergency was read, and its number is theirs.
            raise Conflict
        yield from lent(change.loan)
        for holder in change.loan.from_holders:
            if holder.emergency is not None and holder.emergency.agent_key != change.emergency.agent_key:
                yield from self._taken_from(holder, change.now, deadline)

    def _taken_from(self, holder: Stored, now: datetime, deadline: Deadline) -> Iterable[Write]:
        assert holder.emergency is not None
        emergency = without_lease(holder.emergency)
        index = index_rows(emergency, self._rules, now, self._keys.ring(deadline))
        yield Replace(agent_row(emergency.agent_key), emergency_values(emergency, index), holder.version)
        yield from _moved(holder.index, index)

    def keep_end(self, end: CallOwner, deadline: Deadline) -> None:
        """Record the end of a call that nobody has started yet; raises `CallIdTaken` if it is known by now."""
        assert end.expires_at is not None
        row, values = call_row(end.call_key, end.apart), state_values(structs.replace(end, version=None))
        own = Replace(row, values, end.version) if end.version else Insert(row, values)
        due = bare_row(end.expires_at, "call", key_of(row))
        try:
            self._table.commit([own, Put(due, {"schema": SCHEMA, "row": row})], deadline)
        except RowConflict:
            raise CallIdTaken from None

    def forget(self, stored: Stored, now: datetime, deadline: Deadline) -> None:
        """Release the number and remove every row that tells of this emergency (B8)."""
        stored = self._shed(stored, deadline)
        emergency = stored.emergency
        assert emergency is not None
        writes: list[Write] = [Delete(agent_row(emergency.agent_key), stored.version)]
        writes += [Delete(key) for key in stored.index]
        if emergency.lease is not None and not emergency.lease.lost:
            writes += self._numbers.given_back(emergency.lease.number, emergency.agent_key, now, deadline)
        self._apply(writes, deadline)

    def _shed(self, stored: Stored, deadline: Deadline) -> Stored:
        """Remove what tells of an emergency that has too many rows for one transaction, as far as need be.

        The rows that keep it due and its number held go last: whoever stops half way leaves it to the next sweep.
        """
        emergency = stored.emergency
        assert emergency is not None
        own = agent_row(emergency.agent_key)
        while len(stored.index) > MAX_ROWS_FORGOTTEN_AT_ONCE:
            gone = [row for row in stored.index if not row.startswith(_KEPT_LAST)][:MAX_ROWS_FORGOTTEN_AT_ONCE]
            kept = tuple(row for row in stored.index if row not in gone)
            values = emergency_values(emergency, dict.fromkeys(kept, _BARE))
            shed: list[Write] = [Replace(own, values, stored.version), *(Delete(row) for row in gone)]
            stored = Stored(emergency, self._apply(shed, deadline)[own], kept)
        return stored

    # Callbacks

    def callback(self, callback_id: str, deadline: Deadline) -> Pending[StoredCallback]:
        """A responder's callback."""
        return Read(self._table.get(callback_row(callback_id), deadline), read_callback)

    def commit_callback(self, change: CallbackChange, deadline: Deadline) -> tuple[OwedNotice, ...]:
        """Apply a transition of a callback and of what it touches; raises `Conflict`, and then nothing was written."""
        stored, callback = change.stored, change.callback
        own, due = callback_row(callback.callback_id), callback_due_row(change.due_at, callback)
        values = callback_values(callback, due)
        writes: list[Write] = [Replace(own, values, stored.version) if stored.version else Insert(own, values)]
        if stored.due_row != due:
            writes += [Delete(stored.due_row)] if stored.due_row is not None else []
            writes.append(Put(due, {"schema": SCHEMA, "row": own}))
        for each in change.emergencies:
            index = index_rows(each.emergency, self._rules, each.now, self._keys.ring(deadline))
            writes += self._writes(each, index, deadline)
        self._apply(writes, deadline)
        return tuple(owed for each in change.emergencies if (owed := _owed_notice(each)) is not None)

    def forget_callback(self, stored: StoredCallback, deadline: Deadline) -> None:
        """Remove a callback and what brings it up; `Conflict` if it changed meanwhile."""
        if stored.callback is None:
            return
        due = [Delete(stored.due_row)] if stored.due_row is not None else []
        self._apply([Delete(callback_row(stored.callback.callback_id), stored.version), *due], deadline)

    # Drills

    def drill_mail(self, deadline: Deadline) -> DrillMail:
        """What is owed of drills' notices, and what was sent of them."""
        return drill_mail(self._table, deadline)

    def forget_drill_mail(self, deadline: Deadline) -> None:
        """Remove all of it: nothing of a drill is sent or tracked any more."""
        forget_drill_mail(self._table, deadline)

    # What time and the outbox bring up

    def due(self, now: datetime, limit: int, deadline: Deadline, after: str = "") -> list[Due]:
        """What time alone brought up, longest overdue first; `after` is the row of the last one seen."""
        return self._due("due", now, limit, deadline, after)

    def bare(self, now: datetime, limit: int, deadline: Deadline, after: str = "") -> list[Due]:
        """What is only to be removed by now, likewise."""
        return self._due("bare", now, limit, deadline, after)

    def _due(self, kind: str, now: datetime, limit: int, deadline: Deadline, after: str) -> list[Due]:
        first = f"{after} " if after else f"{kind}|"
        rows = self._table.between(first, f"{kind}|{moment(now)}~", limit, deadline).result()
        return [_due(row) for row in rows]

    def discard_all(self, dues: Sequence[Due], deadline: Deadline) -> None:
        """As `discard`, all in one transaction: at most `MAX_DISCARDED_AT_ONCE`."""
        reads = [self._table.get(due.key, deadline) for due in dues if due.key]
        if len(reads) < len(dues):
            raise Unreadable("bare")
        writes = [write for due, read in zip(dues, reads, strict=True) for write in _discarded(due, read.result())]
        self._table.commit(list({write.key: write for write in writes}.values()), deadline)

    def discard(self, due: Due, deadline: Deadline) -> None:
        """Remove something that is kept for a time only, and its due row; `Conflict` if either changed meanwhile.

        Of what is needed still, only the due row: a late start has made a call of the end that was kept.
        """
        self._table.commit(_discarded(due, self._table.get(due.key, deadline).result()), deadline)

    def dispatch(self, due: Due, deadline: Deadline) -> tuple[Dispatch, str] | None:
        """The message whose way is due to be forgotten, as it is now, with its version; None where nobody can tell."""
        row = self._table.get(due.key, deadline).result()
        found = [(dispatch, row.version) for dispatch in map_readable(read_dispatch, [row])] if row is not None else []
        return next(iter(found), None)

    def track_on(self, due: Due, dispatch: Dispatch, version: str, until: datetime, deadline: Deadline) -> None:
        """Keep what is known of this message's way until then; `Conflict` if either changed meanwhile."""
        kept = structs.replace(dispatch, expires_at=until)
        self._table.commit(
            [
                Delete(due.row, due.version),
                Replace(due.key, mail_values(kept), version),
                Put(dispatch_due_row(kept), {"schema": SCHEMA, "row": due.key}),
            ],
            deadline,
        )

    def set_aside(self, broken: Broken, now: datetime, deadline: Deadline) -> None:
        """Let no sweep meet it again before it can be read; `Conflict` if somebody else changed it meanwhile."""
        set_aside(self._table, broken.row, now, deadline)

    def look_again(self, now: datetime, deadline: Deadline) -> None:
        """Take up what was set aside and can be read by now; forget what nobody could read for days."""
        look_again(self._table, now, deadline)

    def owed(self, now: datetime, limit: int, deadline: Deadline) -> Owed:
        """What is owed by now: the callbacks, and so many of the presences to be reconciled and of the notices."""
        # A responder who waits does not stand in line behind a service that is away.
        reading = self._table.between("ladder|", f"ladder|{moment(now)}~", MAX_CALLBACKS_READ, deadline)
        # Of a crisis every presence that is held is to be looked at every 30 s, which is three sweeps.
        looks = self._table.between("look|", f"look|{moment(now)}~", MAX_LOOKS_READ, deadline)
        others = self._table.between("outbox|", f"outbox|{moment(now)}~", limit, deadline).result()
        rows = [*reading.result(), *others, *looks.result()]
        broken = self._broken(rows, now, deadline)
        presences: list[str] = []
        closings: list[str] = []
        notices: list[OwedNotice] = []
        callbacks: list[str] = []
        for row in rows:
            match row.key.split("|"):
                case _ if row.key in broken:
                    continue
                case ["outbox", _, "notice", _]:
                    notices.append(read_owed_notice(row))
                case ["outbox", _, "presence", agent_key] | ["look", _, agent_key]:
                    presences.append(agent_key)
                case ["look", _, agent_key, "closing"]:
                    closings.append(agent_key)
                case [_, _, callback_id]:
                    callbacks.append(callback_id)
                case _:
                    pass
        return Owed(
            presences=tuple(dict.fromkeys(presences)),
            closings=tuple(closings),
            notices=tuple(notices),
            callbacks=tuple(callbacks),
            broken=tuple(broken.values()),
            oldest_due_at=min(map_readable(read_moment, rows), default=None),
        )

    def _broken(self, rows: Iterable[Row], now: datetime, deadline: Deadline) -> dict[str, Broken]:
        """Those that cannot be used, by key. What they name is looked at only where no sweep has moved them yet."""
        overdue = moment(now - SUSPECT_AFTER)
        broken: dict[str, Broken] = {}
        for some in batched(rows, READ_AT_ONCE, strict=False):
            suspected = [(row, self._named_by(row, overdue, deadline)) for row in some]
            for row, named in suspected:
                try:
                    read_moment(row)
                    named()
                except Unreadable as unreadable:
                    broken[row.key] = Broken(row=row.key, kind=unreadable.kind)
                except Unavailable:
                    # Whoever takes it up reads it again.
                    continue
        return broken

    def _named_by(self, row: Row, overdue: str, deadline: Deadline) -> Callable[[], object]:
        """Raises `Unreadable` where the row, or the one that it names, cannot be read."""
        match row.key.split("|"):
            case ["outbox", _, "notice", _]:
                return lambda: read_owed_notice(row)
            case ["outbox", at, "presence", agent_key] | ["look", at, agent_key] | ["look", at, agent_key, "closing"]:
                return self.load(agent_key, deadline).result if at < overdue else _nothing
            case ["ladder", at, callback_id]:
                return self.callback(callback_id, deadline).result if at < overdue else _nothing
            case _:
                return lambda: _no_such(row)

    def claim(self, owed: OwedNotice, until: datetime, deadline: Deadline) -> OwedNotice:
        """Put an owed notice off so that nobody else tries it meanwhile; `Conflict` if somebody else has it."""
        row, attempts = notice_row(until, owed.notice.notice_id), owed.attempts + 1
        writes: list[Write] = [
            Delete(owed.row, owed.version),
            Insert(row, mail_values(owed.notice, attempts=attempts)),
        ]
        versions = self._table.commit(writes, deadline)
        return OwedNotice(row=row, due_at=until, version=versions[1], attempts=attempts, notice=owed.notice)

    def put_off(
        self, owed: OwedNotice, rest: Notice, until: datetime, dispatches: Sequence[Dispatch], deadline: Deadline
    ) -> None:
        """What was sent is tracked; the rest of the notice is owed further, from `until` on."""
        row, values = notice_row(until, rest.notice_id), mail_values(rest, attempts=owed.attempts + 1)
        writes: list[Write] = [Delete(owed.row, owed.version), Insert(row, values)]
        if row == owed.row:
            # The claim has put it off to that very moment already, and a commit takes each row once.
            writes = [Replace(row, values, owed.version)]
        self._table.commit([*writes, *_tracked(dispatches)], deadline)

    def strike_off(
        self, owed: OwedNotice, dispatches: Sequence[Dispatch], deadline: Deadline, *, told: Change | None = None
    ) -> OwedNotice | None:
        """The notice was sent, or can never be: it is owed no more, and its dispatches are tracked.

        `told` is what its emergency makes of that, in the same transaction; gives the notice that is owed by it. Raises
        `Conflict`, `TooManyRows`.
        """
        writes: list[Write] = [Delete(owed.row, owed.version), *_tracked(dispatches)]
        if told is not None:
            index = index_rows(told.emergency, self._rules, told.now, self._keys.ring(deadline))
            writes += self._writes(told, index, deadline)
            _require_room(writes)
        # A notice that is gone is somebody else's: no reason to go on without its row.
        self._table.commit(writes, deadline)
        return _owed_notice(told) if told is not None else None

    def let_wait(
        self,
        owed: OwedNotice,
        rest: Notice,
        dispatches: Sequence[Dispatch],
        deadline: Deadline,
        *,
        first_word: bool,
        begun: bool,
    ) -> None:
        """The rest of the notice waits for the sender's quota; what was sent is tracked."""
        values = mail_values(rest, attempts=max(owed.attempts, 1) if begun else 0, first_word=int(first_word))
        writes: list[Write] = [Delete(owed.row, owed.version), Insert(waiting_row(rest), values)]
        self._table.commit([*writes, *_tracked(dispatches)], deadline)

    def waiting(self, limit: int, deadline: Deadline) -> list[WaitingNotice | Broken]:
        """What waits for the sender's quota, oldest first."""
        found: list[WaitingNotice | Broken] = []
        for row in self._prefixed("waiting|", limit, deadline):
            try:
                found.append(read_waiting_notice(row))
            except Unreadable as unreadable:
                found.append(Broken(row=row.key, kind=unreadable.kind))
        return found

    def merge(
        self, parts: Sequence[WaitingNotice], merged: Notice, until: datetime, deadline: Deadline
    ) -> tuple[OwedNotice, tuple[WaitingNotice, ...]]:
        """Make what waits a notice of its own, claimed until then; `Conflict` if somebody else has any of it."""
        row, attempts = notice_row(until, merged.notice_id), max(each.owed.attempts for each in parts) + 1
        kept = [structs.replace(each, owed=_without(each.owed, merged.recipients)) for each in parts]
        writes: list[Write] = [Insert(row, mail_values(merged, attempts=attempts)), *map(_waits_on, kept)]
        versions = self._table.commit(writes, deadline)
        owed = OwedNotice(row=row, due_at=until, version=versions[0], attempts=attempts, notice=merged)
        waits = (
            structs.replace(each, owed=structs.replace(each.owed, version=version))
            for each, version in zip(kept, versions[1:], strict=True)
            if version is not None
        )
        return owed, tuple(waits)

    def state_of_outbox(self, deadline: Deadline) -> tuple[datetime | None, int]:
        """Since when the oldest thing owed is due, and how many rows were set aside because nobody can read them.

        What fails is due later each time: of that, since when it is owed.
        """
        outbox, waiting = (
            self._table.between(*with_prefix(kind), limit, deadline)
            for kind, limit in (("outbox|", MAX_OWED_JUDGED), ("waiting|", 1))
        )
        broken = self._table.between(*with_prefix("broken|"), MAX_EMERGENCIES_SHOWN, deadline)
        since = [*map_readable(read_moment, waiting.result()), *self._owed_since(outbox.result(), deadline)]
        return min(since, default=None), len(broken.result())

    def _owed_since(self, rows: Sequence[Row], deadline: Deadline) -> Iterable[datetime]:
        yield from map_readable(read_moment, rows)
        kinds = [(row, row.key.split("|")[2:]) for row in rows]
        for owed in map_readable(read_owed_notice, [row for row, kind in kinds if kind[:1] == ["notice"]]):
            yield notice_failing_since(owed.due_at, owed.attempts)
        presences = [(row, kind[1]) for row, kind in kinds if kind[:1] == ["presence"] and kind[1:]][:READ_AT_ONCE]
        for row, emergency in [(row, self.load(agent_key, deadline)) for row, agent_key in presences]:
            with suppress(Unreadable):
                known = emergency.result().emergency
                if known is not None:
                    yield presence_failing_since(read_moment(row), known.presence_attempts)

    def record_delivery(
        self, operation_id: str, recipient: str, delivery: Delivery, deadline: Deadline
    ) -> Dispatch | None:
        """Note a delivery report with its message; None when that is none of ours, or forgotten."""
        while True:
            row = self._table.get(_mail_row(operation_id), deadline).result()
            if row is None:
                return None
            dispatch = read_dispatch(row)
            known = {address.casefold(): address for address in dispatch.deliveries}
            address = known.get(recipient.casefold())
            if address is None or dispatch.deliveries[address] is delivery:
                return dispatch if address is not None else None
            noted = structs.replace(dispatch, deliveries=dispatch.deliveries | {address: delivery})
            try:
                self._table.commit([Replace(row.key, mail_values(noted), row.version)], deadline)
            except RowConflict:
                deadline.require()
            else:
                return noted


def _once_a_row(writes: Sequence[Write]) -> list[Write]:
    """A transaction (EGT) writes a row once: a place that passes from one emergency to another is replaced.

    That it is the other's still, the version of the other's own row proves.
    """
    gone = {write.key for write in writes if isinstance(write, Delete)}
    inserted = (write for write in writes if isinstance(write, Insert) and write.key in gone)
    passed_on = {write.key: Put(write.key, write.values) for write in inserted}
    kept = (write for write in writes if not (isinstance(write, Delete) and write.key in passed_on))
    return [passed_on.get(write.key, write) for write in kept]


def _proofs(change: Change) -> int:
    """How many of the first writes prove what was read of the ids of new legs; `_apply` leaves none of them out."""
    return len({*_rows_of_new_legs(change), *_ends_taken(change)})


def _rows_of_new_legs(change: Change) -> list[str]:
    return [leg_row(new.leg, change.emergency.agent_key) for new in change.new_legs]


def _ends_taken(change: Change) -> dict[str, CallOwner]:
    """The ends without a start that new legs replace, by row: none is left to end another call of the same id."""
    return {call_row(end.call_key, end.apart): end for new in change.new_legs for end in new.late_for}


def _require_room(writes: Sequence[Write]) -> None:
    if len(writes) > MAX_ROWS_A_COMMIT:
        raise TooManyRows


def _index_writes(before: Sequence[str], index: Mapping[str, Values], change: Change) -> Iterable[Write]:
    written_first = _rows_of_new_legs(change)
    alone = alone_rows(change.emergency)
    for write in _moved(before, index):
        if write.key in written_first:
            continue
        # A place among the unknown is taken by one: whoever comes second must look again.
        yield Insert(write.key, write.values) if isinstance(write, Put) and write.key in alone else write
    lease = change.emergency.lease
    if lease is not None and not lease.lost:
        # Also where it has not changed: a broken one keeps no responder away for longer than to the next transition.
        row = holder_row(lease.number, change.emergency.agent_key)
        if row in before:
            yield Put(row, index[row])


def _moved(before: Sequence[str], index: Mapping[str, Values]) -> Iterable[Put | Delete]:
    yield from (Delete(key) for key in before if key not in index)
    yield from (Put(key, values) for key, values in index.items() if key not in before)


def _owed_notice(change: Change) -> OwedNotice | None:
    if change.notice is None or change.notice_from is not None:
        return None
    due_at = change.now + FIRST_TRY_WITHIN
    row = notice_row(due_at, change.notice.notice_id)
    return OwedNotice(row=row, due_at=due_at, version=None, attempts=0, notice=change.notice)


def _owed_writes(change: Change) -> Iterable[Write]:
    if change.notice is not None and change.notice_from is not None:
        row = notice_row(change.notice_from, change.notice.notice_id)
        yield Put(row, mail_values(change.notice, attempts=0))
    elif change.notice is not None:
        row = notice_row(change.now + FIRST_TRY_WITHIN, change.notice.notice_id)
        yield Insert(row, mail_values(change.notice, attempts=0))
    if change.ration_row is not None:
        over = moment_in(change.ration_row) + timedelta(minutes=RATION_WINDOW_MINUTES)
        yield Insert(change.ration_row, _BARE)
        yield Put(bare_row(over, "ration", key_of(change.ration_row)), {"schema": SCHEMA, "row": change.ration_row})


def _tracked(dispatches: Sequence[Dispatch]) -> Iterable[Write]:
    for dispatch in dispatches:
        row = _mail_row(dispatch.operation_id)
        yield Put(row, mail_values(dispatch))
        yield Put(dispatch_due_row(dispatch), {"schema": SCHEMA, "row": row})


def _without(owed: OwedNotice, recipients: Sequence[str]) -> OwedNotice:
    served = {address.casefold() for address in recipients}
    left = tuple(address for address in owed.notice.recipients if address.casefold() not in served)
    return structs.replace(owed, notice=structs.replace(owed.notice, recipients=left))


def _waits_on(waiting: WaitingNotice) -> Write:
    """What is left of a notice waits on; nothing does where nobody is left."""
    owed = waiting.owed
    if not owed.notice.recipients or owed.version is None:
        return Delete(owed.row, owed.version)
    values = mail_values(owed.notice, attempts=owed.attempts, first_word=int(waiting.first_word))
    return Replace(owed.row, values, owed.version)


def _mail_row(operation_id: str) -> str:
    # A delivery report brings the id back from outside, in any case, and perhaps one that no key can hold.
    return f"mail|{key_of(operation_id.casefold())}"


def _nothing() -> None:
    """Nothing is suspected."""


def _no_such(row: Row) -> None:
    """No key that this code writes."""
    raise Unreadable(kind_of(row.key))


def _due(row: Row) -> Due:
    """Where nobody can tell what the row brings up, the subject is empty."""
    try:
        read_moment(row)
        subject, key = read_row(row, _brought_up)
    except Unreadable:
        subject = key = ""
    return Due(row=row.key, version=row.version, subject=subject, key=key)


def _brought_up(row: Row) -> tuple[str, str]:
    match row.key.split("|"):
        case [_, _, "agent", key]:
            return "agent", key
        case [_, _, subject, _] if kind_of(str(row.values.get("row"))) == subject:
            return subject, key_in(row, "row")
        case [_, _, "mail", key]:
            return "mail", _mail_row(key)
        case [_, _, "callback", key]:
            return "callback", callback_row(key)
        case _:
            return "", ""


def _discarded(due: Due, row: Row | None) -> list[Delete]:
    writes = [Delete(due.row, due.version)]
    if row is not None and not _needed(due, row):
        writes.append(Delete(row.key, row.version))
    return writes


def _needed(due: Due, row: Row) -> bool:
    """Whether what the due row names must stay all the same."""
    match due.subject:
        case "call":
            return read_call(row).agent_key is not None
        case "callback":
            return read_callback(row).due_row != due.row
        case "mail":
            return any(dispatch_due_row(dispatch) != due.row for dispatch in map_readable(read_dispatch, [row]))
        case _:
            return False


def _last(key: str) -> str:
    return key.rsplit("|", 1)[1]
