"""How many messages the sender was granted, in the directory's table (port `MailQuota`).

    sent|   the counts of this minute and this hour, of all processes together

Beside the emergencies, not among them: in a crisis their partition has enough to do.
"""

import threading
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, suppress
from datetime import datetime
from functools import reduce

from shared.adapters.table import Insert, Put, Replace, RowConflict, Table, Values, read_state, state_text
from shared.deadlines import Clock, Deadline
from shared.domain.errors import Unavailable, Unreadable
from shared.domain.sender_quota import SenderQuota, Sent, given_back, grant

SCHEMA = 1
ROW = "sent|"
# A notice does not wait for its count: by then the store counts as away.
COUNTED_WITHIN_S = 2.0
# Nobody waits for it, but those who are to be counted wait meanwhile.
GIVEN_BACK_WITHIN_S = 0.5


class SentTable:
    """Port `MailQuota`. In an outage of the store this process counts for itself, up to a third."""

    def __init__(
        self,
        table: Table,
        quota: SenderQuota,
        clock: Clock,
        make_lock: Callable[[], AbstractContextManager[object]] = threading.Lock,
    ) -> None:
        self._table = table
        self._quota = quota
        self._clock = clock
        self._lock, self._one_counts = make_lock(), make_lock()
        # How many messages of this process wait to be counted, and how many were counted for those who wait: first
        # words, and repeats.
        self._waiting, self._in_hand = {False: 0, True: 0}, {False: 0, True: 0}
        self._sent_in_outage = Sent()
        # When they were taken that were not sent, as far as the row still counts them.
        self._unsent: list[datetime] = []
        # As this process wrote it last, with its version: where nobody counts beside it, it need not be read again.
        self._known: tuple[Sent, str] | None = None

    def take(self, wanted: int, deadline: Deadline, *, in_turn: bool = False, repeat: bool = False) -> int:
        """How many of so many messages may be sent now."""
        within = Deadline(self._clock, min(COUNTED_WITHIN_S, deadline.remaining_s()))
        try:
            if wanted == 1 and not in_turn:
                return self._take_one(within, repeat=repeat)
            return self._take(wanted, within, in_turn=in_turn, repeat=repeat)
        except Unavailable:
            return self.take_in_outage(wanted)

    def _take_one(self, deadline: Deadline, *, repeat: bool) -> int:
        """One message, counted by whoever comes first for all of this process who wait.

        Each for itself, a crowd would meet on the row's version and count again and again.
        """
        with self._lock:
            self._waiting[repeat] += 1
        with self._one_counts:
            with self._lock:
                self._waiting[repeat] -= 1
                others = self._waiting[repeat]
            if not self._in_hand[repeat]:
                self._in_hand[repeat] = self._take(1 + others, deadline, in_turn=False, repeat=repeat)
            granted = min(1, self._in_hand[repeat])
            self._in_hand[repeat] -= granted
            return granted

    def _take(self, wanted: int, deadline: Deadline, *, in_turn: bool, repeat: bool) -> int:
        quota = self._quota.for_repeats if repeat else self._quota
        while True:
            granted = self._try(wanted, quota, self._clock.now(), deadline, in_turn=in_turn)
            if granted is not None:
                return granted
            if deadline.passed():
                # The store answers, and others count: this is no outage. Whatever gets none waits for the sweep.
                return 0

    def _try(self, wanted: int, quota: SenderQuota, now: datetime, deadline: Deadline, *, in_turn: bool) -> int | None:
        """None where another process counted meanwhile, or may have."""
        known, self._known = self._known, None
        sent, version = known or self._read(deadline)
        with self._lock:
            unsent, self._unsent = self._unsent, []
        left = reduce(given_back, unsent, sent)
        granted, after = grant(left, quota, wanted, now, in_turn=in_turn)
        if known is not None and granted < wanted:
            # Whoever gets less than they asked for gets it by what there is, not by what this process remembers.
            self._keep(unsent)
            return None
        if left == sent and (after == sent or (granted == 0 and after.short_at == sent.short_at)):
            return granted
        values = _values(after)
        write = Replace(ROW, values, version) if version else Insert(ROW, values)
        try:
            [written] = self._table.commit([write], deadline)
        except RowConflict:
            # After any other failure it may have been written: given back twice, others would send more than there is.
            self._keep(unsent)
            return None
        self._known = (after, written) if written else None
        return granted

    def _read(self, deadline: Deadline) -> tuple[Sent, str | None]:
        row = self._table.get(ROW, deadline).result()
        try:
            return (read_state(row, Sent), row.version) if row is not None else (Sent(), None)
        except Unreadable:
            # Counted anew: a row that cannot be read must not silence us.
            return Sent(), self._table.commit([Put(ROW, _values(Sent()))], deadline)[0]

    def take_in_outage(self, wanted: int) -> int:
        """The same without the store."""
        with self._lock:
            granted, self._sent_in_outage = grant(
                self._sent_in_outage, self._quota.third, wanted, self._clock.now(), in_turn=True
            )
        return granted

    def give_back(self, taken_at: datetime, deadline: Deadline) -> None:
        """One that was taken then was not sent."""
        with self._lock:
            # Whichever of the two counts it was taken from, their sum is right.
            before, self._sent_in_outage = self._sent_in_outage, given_back(self._sent_in_outage, taken_at)
            if self._sent_in_outage != before:
                return
            self._unsent.append(taken_at)
        within = Deadline(self._clock, min(GIVEN_BACK_WITHIN_S, deadline.remaining_s()))
        # Of a crowd the first one writes for itself, and the second one for all the others.
        with self._one_counts:
            if self._unsent and not within.passed():
                with suppress(Unavailable):
                    self._try(0, self._quota, self._clock.now(), within, in_turn=False)

    def _keep(self, unsent: Sequence[datetime]) -> None:
        with self._lock:
            self._unsent += unsent


def _values(sent: Sent) -> Values:
    return {"schema": SCHEMA, "state": state_text(sent)}
