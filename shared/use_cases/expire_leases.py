"""What time alone brings about: timed-out legs, holds that end, numbers that come free (S3, B2, B5, B8)."""

from collections.abc import Callable, Iterator, Sequence
from datetime import datetime

from shared.deadlines import Clock, Deadline
from shared.domain.deployment import Deployment
from shared.domain.dials import kept_tracked
from shared.domain.emergencies import (
    GIVE_PRESENCE_UP_AFTER,
    Emergency,
    Leg,
    due_at,
    may_be_forgotten,
    settle,
    standing,
    timed_out_legs,
    with_expiry,
    with_timed_out_told,
)
from shared.domain.errors import Conflict, EmergencyCallingError, Unreadable
from shared.domain.leases import called
from shared.domain.pool import low_water_of
from shared.domain.presence import Hold
from shared.ports import (
    MAX_DISCARDED_AT_ONCE,
    Broken,
    Change,
    Dispatch,
    Due,
    EmergencyStore,
    NumberPool,
    PresenceGateway,
    Stored,
    Telemetry,
)
from shared.use_cases.change_emergency import owed_to
from shared.use_cases.effects import Effect
from shared.use_cases.find_holders import is_held_by_another
from shared.use_cases.load_emergencies import load_emergencies
from shared.use_cases.set_aside import set_aside
from shared.use_cases.steps import LEASE_EXPIRY, Steps

DUE_AT_ONCE = 100


def expire_leases(
    *,
    emergencies: EmergencyStore,
    numbers: NumberPool,
    presence: PresenceGateway,
    clock: Clock,
    deployment: Deployment,
    telemetry: Telemetry,
    steps: Steps,
    deadline: Deadline,
) -> tuple[Effect, ...]:
    """Do whatever is due, longest overdue first, until nothing is or the deadline has passed. Idempotent.

    Whatever one of its `steps` meets with, the others have their turn.

    Emergencies come first: unlisted agents can have thousands of rows kept that are only to be removed (ends of calls
    that nobody started), which have a queue of their own.
    """
    began = clock.monotonic()
    sweep = _Sweep(emergencies, presence, clock, deployment, telemetry, deadline)
    with steps.step():
        numbers.sync_pool(clock.now(), deadline)
    with steps.step():
        emergencies.look_again(clock.now(), deadline)
    with steps.step():
        for batch in sweep.batches(emergencies.due, DUE_AT_ONCE):
            for due in batch:
                sweep.move(due)
    with steps.step():
        _watch_low_water(numbers, deployment, telemetry, deadline)
    with steps.step():
        for batch in sweep.batches(emergencies.bare, MAX_DISCARDED_AT_ONCE):
            sweep.remove(batch)
    # Said whatever failed: the alert `silence` reads the absence of this line as a timer that does not run.
    ms = round((clock.monotonic() - began) * 1000)
    telemetry.emit("sweep", due=sweep.moved, done=steps.all_done, ms=ms)
    return tuple(sweep.effects)


class _Sweep:
    """One run: what it may touch, and what came of it."""

    def __init__(
        self,
        emergencies: EmergencyStore,
        presence: PresenceGateway,
        clock: Clock,
        deployment: Deployment,
        telemetry: Telemetry,
        deadline: Deadline,
    ) -> None:
        self._emergencies = emergencies
        self._presence = presence
        self._clock = clock
        self._rules = deployment.rules
        self._telemetry = telemetry
        self._deadline = deadline
        self.effects: list[Effect] = []
        self.moved = 0

    def batches(self, read: Callable[[datetime, int, Deadline, str], list[Due]], limit: int) -> Iterator[list[Due]]:
        """Whatever is due by now. What cannot be moved keeps nobody behind it waiting: it reads on behind the last."""
        after = ""
        while not self._deadline.passed():
            batch = read(self._clock.now(), limit, self._deadline, after)
            yield batch
            if len(batch) < limit:
                return
            after = batch[-1].row

    def remove(self, batch: list[Due]) -> None:
        """Remove all of these together; where that cannot be, each in a try of its own."""
        mails = [due for due in batch if due.subject == "mail"]
        others = [due for due in batch if due.subject != "mail"]
        try:
            if others:
                self._emergencies.discard_all(others, self._deadline)
            self.moved += len(others)
        except Exception:  # noqa: BLE001 - each is tried alone, and what fails then is counted
            mails = batch
        for due in mails:
            self.move(due)

    def move(self, due: Due) -> None:
        """Bring about what is due, and count it. Whatever one of them meets with, the others have their turn."""
        now = self._clock.now()
        try:
            self._move(due, now)
        except EmergencyCallingError:
            # Somebody else is at it, or a request was lost: it is still due.
            pass
        except Exception as error:  # noqa: BLE001 - one emergency that nobody foresaw ends no other's lease late
            self._telemetry.emit("unforeseen_error", function=LEASE_EXPIRY, error=type(error).__name__)

    def _move(self, due: Due, now: datetime) -> None:
        try:
            self.moved += self._bring_about(due, now)
        except Unreadable as unreadable:
            broken = Broken(row=due.row, kind=unreadable.kind)
            set_aside(broken, self._emergencies, now, self._telemetry, self._deadline)

    def _bring_about(self, due: Due, now: datetime) -> bool:
        """Whether anything moved."""
        if not due.subject:
            raise Unreadable("due")
        if due.subject == "mail":
            return self._forget_mail(due, now)
        if due.subject != "agent":
            self._emergencies.discard(due, self._deadline)
            return True
        while True:
            stored = self._emergencies.load(due.key, self._deadline).result()
            if stored.emergency is None or due.row not in stored.index:
                return False
            try:
                return self._advance(stored, stored.emergency, now)
            except Conflict:
                # A look at the presence, or a notice, is written at any time: no lease ends a minute later for that.
                self._deadline.require()

    def _forget_mail(self, due: Due, now: datetime) -> bool:
        """Forget a message's way to its recipients, unless the emergency that it tells of goes on (B6, B8)."""
        known = self._emergencies.dispatch(due, self._deadline)
        until = self._tracked_until(known[0], now) if known is not None else None
        if known is None or until is None:
            self._emergencies.discard(due, self._deadline)
        else:
            self._emergencies.track_on(due, *known, until, self._deadline)
        return True

    def _tracked_until(self, dispatch: Dispatch, now: datetime) -> datetime | None:
        notices = dispatch.notice.singly if dispatch.notice is not None else ()
        stored = load_emergencies(dispatch.agent_keys, emergencies=self._emergencies, deadline=self._deadline)
        known = {each.emergency.agent_key: each.emergency for each in stored if each.emergency is not None}
        untils = [kept_tracked(each, known.get(each.agent_key or ""), self._rules, now) for each in notices]
        kept = [until for until in untils if until is not None]
        # Of a merged one nothing is kept beyond the first that is over (B8).
        return min(kept, default=None) if len(kept) == len(untils) else None

    def _advance(self, stored: Stored, emergency: Emergency, now: datetime) -> bool:
        assert emergency.lease is not None
        settled = with_expiry(settle(emergency, self._rules, now), self._rules, now)
        if may_be_forgotten(settled, self._rules, now):
            return self._forget(stored, emergency, settled, now)
        stands = standing(settled, self._rules, now)
        timed_out = timed_out_legs(settled, stands, self._rules)
        settled = with_timed_out_told(settled, timed_out)
        if settled == emergency and due_at(settled, stands, self._rules, now) <= now:
            return False
        self._emergencies.commit(Change(stored=stored, emergency=settled, now=now), self._deadline)
        self._tell_timed_out(emergency, timed_out)
        self._tell_expiry(emergency, settled)
        self.effects += owed_to(settled)
        return True

    def _forget(self, stored: Stored, emergency: Emergency, settled: Emergency, now: datetime) -> bool:
        """Leave nothing behind. The presence comes first: afterwards nobody would know that anything is left in it."""
        assert emergency.lease is not None
        if emergency.hold is not None:
            try:
                left = self._is_left(emergency, emergency.hold, now)
            except EmergencyCallingError:
                self._telemetry.emit("presence_failed", **called(emergency.lease))
                left = True
            if left and now < emergency.lease.released_at(self._rules) + GIVE_PRESENCE_UP_AFTER:
                return False
        self._emergencies.forget(stored, now, self._deadline)
        stands = standing(settled, self._rules, now)
        self._tell_timed_out(emergency, timed_out_legs(settled, stands, self._rules))
        self._tell_expiry(emergency, settled)
        self._telemetry.emit("number_released", **called(emergency.lease))
        return True

    def _is_left(self, emergency: Emergency, hold: Hold, now: datetime) -> bool:
        """Take the hold out of the presence, unless that is another's, too; whether anything of it may still land."""
        if is_held_by_another(emergency, self._rules, now, emergencies=self._emergencies, deadline=self._deadline):
            return False
        return self._presence.forget(emergency.presence_id, hold.hold_id, self._deadline) is not None

    def _tell_timed_out(self, emergency: Emergency, legs: Sequence[Leg]) -> None:
        for _ in legs:
            self._telemetry.emit("leg_timed_out", **called(emergency.lease))

    def _tell_expiry(self, before: Emergency, after: Emergency) -> None:
        """Say that the number has left the agent, once: by whoever wrote it."""
        assert before.lease is not None and after.lease is not None
        had_number = not after.lease.fallback
        if had_number and before.lease.expired_at is None and after.lease.expired_at is not None:
            self._telemetry.emit("lease_expired", **called(after.lease))


def _watch_low_water(numbers: NumberPool, deployment: Deployment, telemetry: Telemetry, deadline: Deadline) -> None:
    pool = len(deployment.callback_numbers)
    low_water = low_water_of(pool, deployment.pool_low_water_percent)
    free = numbers.free_count(low_water + 1, deadline)
    if pool and free <= low_water:
        telemetry.emit("pool_exhausted" if free == 0 else "pool_low", free_percent=free * 100 // pool)
