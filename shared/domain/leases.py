"""How long a callback number stays with an agent (S3, B2, B3)."""

import functools
from datetime import datetime, timedelta

from msgspec import Struct, structs

from shared.domain.ids import Key


@functools.cache
def _minutes(count: int) -> timedelta:
    return timedelta(minutes=count)


class Rules(Struct, frozen=True, kw_only=True):
    """The times that administrators set, all in minutes; 0 after the call and of rest: 60 minutes to the letter."""

    window_minutes: int = 60
    after_call_minutes: int = 30
    cool_down_minutes: int = 60
    hold_after_drop_minutes: int = 10
    max_call_minutes: int = 240

    @property
    def window(self) -> timedelta:
        """From dialling: the lease's least length, and how late a start still counts."""
        return _minutes(self.window_minutes)

    @property
    def after_call(self) -> timedelta:
        """From the last leg's end (RFC 6881, ED-68)."""
        return _minutes(self.after_call_minutes)

    @property
    def cool_down(self) -> timedelta:
        """From the lease's end until the number counts as free again."""
        return _minutes(self.cool_down_minutes)

    @property
    def hold_after_drop(self) -> timedelta:
        """How long presence stays held after a drop (B5)."""
        return _minutes(self.hold_after_drop_minutes)

    @property
    def max_call(self) -> timedelta:
        """When a leg whose end was never reported counts as dropped."""
        return _minutes(self.max_call_minutes)


# A drill is over within five minutes, also where nobody carries it on; then nothing of it is protected, or rests (B9).
RULES_OF_DRILLS = Rules(
    window_minutes=5, after_call_minutes=0, cool_down_minutes=0, hold_after_drop_minutes=0, max_call_minutes=5
)
# What the log calls a drill begins so.
DRILL_WORD = "drill"


class Lease(Struct, frozen=True, kw_only=True):
    """The binding of one callback number to one agent.

    `epoch` names this one lending of the number. `shared`: others held the number when it was lent. `busy_until` is
    set while a leg is in progress: the moment at which that leg would count as dropped. `kept_until`: what was
    promised at dialling, from which a shorter window takes nothing; nor does a shorter time after the call or of rest
    from what was set since, `kept_after_call_minutes` and `kept_cool_down_minutes` (0 in rows of an older version).
    `expired_at`: when it ended, once the timer has written that; whether it lives is computed all the same. `lost`:
    the number is not this agent's: it was lent again in its cool-down or, where it is the `fallback` number, none of
    the pool could be had. `word` is what the log calls this emergency by, at random; `thread` is the thread of its
    mails, "" in rows of an older version. `drill`: it is a drill's, and any real dial may have its number.
    """

    number: Key
    epoch: str
    shared: bool
    lent_at: datetime
    dialled_at: datetime
    last_ended_at: datetime | None = None
    busy_until: datetime | None = None
    kept_until: datetime | None = None
    kept_after_call_minutes: int = 0
    kept_cool_down_minutes: int = 0
    expired_at: datetime | None = None
    lost: bool = False
    fallback: bool = False
    word: str = ""
    thread: str = ""
    drill: bool = False

    def own(self, rules: Rules) -> Rules:
        """The rules that hold for this lease: the longest times after the call and of rest that were set since."""
        if self.drill:
            return RULES_OF_DRILLS
        after_call_minutes = max(rules.after_call_minutes, self.kept_after_call_minutes)
        cool_down_minutes = max(rules.cool_down_minutes, self.kept_cool_down_minutes)
        if (after_call_minutes, cool_down_minutes) == (rules.after_call_minutes, rules.cool_down_minutes):
            return rules
        return structs.replace(rules, after_call_minutes=after_call_minutes, cool_down_minutes=cool_down_minutes)

    def promised_until(self, rules: Rules) -> datetime:
        """The earliest end that the agent and the responder can rely on; later legs only move it further out."""
        window_ends, after_call = self.window_ends_at(rules), self.own(rules).after_call
        return window_ends if self.last_ended_at is None else max(window_ends, self.last_ended_at + after_call)

    def expires_at(self, rules: Rules, now: datetime) -> datetime | None:
        """What is told of its end: None where a leg in progress keeps the number beyond what was promised (B3)."""
        promised = self.promised_until(rules)
        return promised if now < promised else None

    def reachable_until(self, rules: Rules, now: datetime) -> datetime:
        """Until when a responder reaches the agent at least; a leg beyond the promise, as if it ended now."""
        promised = self.promised_until(rules)
        return promised if now < promised or self.busy_until is None else now + self.own(rules).after_call

    def kept_until_at_least(self, rules: Rules, now: datetime) -> datetime:
        """When nothing of it is kept any more should its call end now: what is kept so long never outlives it (B8)."""
        return self.reachable_until(rules, now) + self.own(rules).cool_down

    def window_ends_at(self, rules: Rules) -> datetime:
        """When the time from dialling is over, by the longest window that was set since."""
        window_ends = self.dialled_at + self.own(rules).window
        return window_ends if self.kept_until is None else max(window_ends, self.kept_until)

    def ends_at(self, rules: Rules) -> datetime:
        """When the lease ends if nothing more happens: never while a leg is in progress (B3)."""
        quiet_since = self.busy_until or self.last_ended_at
        window_ends = self.window_ends_at(rules)
        return window_ends if quiet_since is None else max(window_ends, quiet_since + self.own(rules).after_call)

    def lives(self, rules: Rules, now: datetime) -> bool:
        """Whether the number is still this agent's, computed whenever it is asked (B2)."""
        return not self.lost and self.lasts(rules, now)

    @property
    def taken(self) -> bool:
        """Whether the number was lent to somebody else: then nothing is told of it any more."""
        return self.lost and not self.fallback

    def lasts(self, rules: Rules, now: datetime) -> bool:
        """Whether what was said at the dial still holds: of the number or, where none was had, of the fallback one."""
        return not self.taken and now < self.ends_at(rules)

    def keeps_number(self, rules: Rules, now: datetime) -> bool:
        """Whether nobody else may be lent the number while another can be: a drill's is as good as free (B2, B9)."""
        return not self.drill and self.lives(rules, now)

    def in_a_call(self, now: datetime) -> bool:
        """Whether a leg on this number is in progress."""
        return self.busy_until is not None and now < self.busy_until

    def released_at(self, rules: Rules) -> datetime:
        """When the number's cool-down is over and nothing of the lease is kept any more."""
        rules = self.own(rules)
        return self.ends_at(rules) + rules.cool_down


def called(lease: Lease | None) -> dict[str, str]:
    """What names the emergency in a log line, and nobody in it; nothing where it has no word."""
    return {"emergency": lease.word} if lease is not None and lease.word else {}
