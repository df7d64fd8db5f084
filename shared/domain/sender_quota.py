"""How many messages the sender may send, and how many of them were sent (B6): for all processes together.

Counted by the clock's minute and hour, not by the last sixty seconds: whoever has to wait is then served when the
minute is over, or the hour where that one is spent. Across such an edge the service may see up to twice as many; what
it refuses for that is tried again.
"""

from datetime import UTC, datetime, timedelta

from msgspec import Struct, structs

from shared.domain.stamps import is_ahead

MINUTE = timedelta(minutes=1)
# It is stored, and a time at the edge of the calendar is taken for damage.
_LONG_AGO = datetime(2000, 1, 1, tzinfo=UTC)


class SenderQuota(Struct, frozen=True):
    """Messages a minute and an hour, whatever number of recipients each has."""

    per_minute: int = 30
    per_hour: int = 100

    @property
    def for_repeats(self) -> "SenderQuota":
        """Without the quarter that is kept for first words, so that one principal's flood never takes all of it."""
        return SenderQuota(self.per_minute - self.per_minute // 4, self.per_hour - self.per_hour // 4)

    @property
    def most_an_hour(self) -> int:
        """How many an hour has at most: of a quota of few a minute, fewer than `per_hour`."""
        return min(self.per_hour, self.per_minute * 60)

    @property
    def third(self) -> "SenderQuota":
        """What each process may send while nobody can count for all, one at least: there are rarely more than three."""
        return SenderQuota(max(1, self.per_minute // 3), max(1, self.per_hour // 3))


class Sent(Struct, frozen=True, kw_only=True):
    """How many messages were granted in the minute and in the hour that began then.

    `short_at` is the last minute in which the quota was too small for what was wanted.
    """

    minute: datetime = _LONG_AGO
    in_minute: int = 0
    hour: datetime = _LONG_AGO
    in_hour: int = 0
    short_at: datetime = _LONG_AGO


def grant(sent: Sent, quota: SenderQuota, wanted: int, now: datetime, *, in_turn: bool) -> tuple[int, Sent]:
    """How many of the wanted messages may be sent now, and what was sent then.

    Once somebody had to wait, only those in turn are served, for the rest of that minute and the next one: else what is
    new would go before what waits, and in a message of its own.
    """
    sent = _by_now(sent, now)
    if not in_turn and is_crisis(sent, now):
        return 0, sent
    left = min(quota.per_minute - sent.in_minute, quota.per_hour - sent.in_hour)
    granted = max(0, min(wanted, left))
    return granted, structs.replace(
        sent,
        in_minute=sent.in_minute + granted,
        in_hour=sent.in_hour + granted,
        short_at=sent.minute if granted < wanted else sent.short_at,
    )


def is_crisis(sent: Sent, now: datetime) -> bool:
    """Whether more was wanted than the quota allows, in this minute or in the last one."""
    sent = _by_now(sent, now)
    return sent.minute - sent.short_at <= MINUTE


def given_back(sent: Sent, taken_at: datetime) -> Sent:
    """Without one that was taken then and not sent; counts of another minute or hour than that are left as they are."""
    minute, hour = _window(taken_at)
    return structs.replace(
        sent,
        in_minute=max(0, sent.in_minute - (minute == sent.minute)),
        in_hour=max(0, sent.in_hour - (hour == sent.hour)),
    )


def _window(at: datetime) -> tuple[datetime, datetime]:
    """When the clock's minute and hour began."""
    minute = at.replace(second=0, microsecond=0)
    return minute, minute.replace(minute=0)


def _by_now(sent: Sent, now: datetime) -> Sent:
    """The counts of this minute and hour. A clock that runs behind another one opens no window again.

    One that ran ahead of all others by more than that is not believed: it would silence them until its hour came.
    """
    minute, hour = _window(now)
    if any(is_ahead(each, minute) for each in (sent.minute, sent.hour, sent.short_at)):
        sent = Sent()
    if minute > sent.minute:
        sent = structs.replace(sent, minute=minute, in_minute=0)
    return structs.replace(sent, hour=hour, in_hour=0) if hour > sent.hour else sent
