"""What may be said in the log: every event, how grave it is, and which facts go with it (B8).

A fact is a number, a yes or no, or one short word. Everything else is replaced, because a log line must never carry
a phone number, a name, an address or a location. `emergency` is a random word for one emergency, kept with its lease
and gone with it: it names nobody.
"""

import logging
import math
import os
import re
from collections.abc import Callable
from contextlib import suppress
from enum import StrEnum

from msgspec import Struct

STANDARD_OUTPUT = 1
INVALID = "invalid"
# No count, percentage or duration in milliseconds is larger; every phone number is.
LARGEST_NUMBER = 100_000_000
_WORD = re.compile(r"(?!.*\d{7})[a-z0-9_.-]{1,40}")
_SDK_LOGGERS = ("azure.core.pipeline.policies.http_logging_policy", "azure.identity", "urllib3")


class Event(StrEnum):
    """The names of all events."""

    DIAL_RECORDED = "dial_recorded"
    DIAL_PREFIX_TRIMMED = "dial_prefix_trimmed"
    DIAL_CLOCK_WRONG = "dial_clock_wrong"
    FIELD_IGNORED = "field_ignored"
    START_STALE = "start_stale"
    END_RECORDED = "end_recorded"
    LEG_TIMED_OUT = "leg_timed_out"
    LEG_ENDED_BY_SUPERVISOR = "leg_ended_by_supervisor"
    TIE_RECORDED = "tie_recorded"
    CALLBACK_ROUTED = "callback_routed"
    CALLBACK_ANSWERED = "callback_answered"
    CALLBACK_RUNG = "callback_rung"
    CALLBACK_JOINED = "callback_joined"
    CALLBACK_OVER = "callback_over"
    CALLBACK_LEFT_ALONE = "callback_left_alone"
    CALLBACK_FAILED = "callback_failed"
    NOTICE_SENT = "notice_sent"
    NOTICE_RETRIED = "notice_retried"
    NOTICE_GIVEN_UP = "notice_given_up"
    UNLISTED_BOUNDED = "unlisted_bounded"
    LINE_FULL = "line_full"
    NOTICE_RATIONED = "notice_rationed"
    NOTICE_WAITS = "notice_waits"
    NOTICES_MERGED = "notices_merged"
    EMAIL_BLOCKED = "email_blocked"
    RECIPIENT_REFUSED = "recipient_refused"
    DELIVERY_REPORT = "delivery_report"
    NOTICE_PASSED_ON = "notice_passed_on"
    CALL_JUDGED = "call_judged"
    RECORDING_DELETED = "recording_deleted"
    RECORDING_HELD_BACK = "recording_held_back"
    RECORDING_LEFT = "recording_left"
    RECORDING_RETRIED = "recording_retried"
    RECORDING_REFUSED = "recording_refused"
    RECORDING_GIVEN_UP = "recording_given_up"
    RECORDING_STOPPED = "recording_stopped"
    PRESENCE_HELD = "presence_held"
    PRESENCE_RESTORED = "presence_restored"
    PRESENCE_LEFT = "presence_left"
    PRESENCE_FAILED = "presence_failed"
    PRESENCE_BLOCKED = "presence_blocked"
    POOL_LOW = "pool_low"
    POOL_EXHAUSTED = "pool_exhausted"
    LEASE_EXPIRED = "lease_expired"
    NUMBER_RELEASED = "number_released"
    SWEEP = "sweep"
    OUTBOX = "outbox"
    ROW_SET_ASIDE = "row_set_aside"
    EVENT_REJECTED = "event_rejected"
    EVENT_SOURCE_UNKNOWN = "event_source_unknown"
    SETTING_FAULTY = "setting_faulty"
    SETTING_DOUBTFUL = "setting_doubtful"
    STORE_AWAY = "store_away"
    BREAKER_OPEN = "breaker_open"
    EFFECT_FAILED = "effect_failed"
    REQUEST_REJECTED = "request_rejected"
    STORAGE_FAILED = "storage_failed"
    UNFORESEEN_ERROR = "unforeseen_error"
    TEMPLATE_FAILED = "template_failed"
    ADMINISTERED = "administered"
    DRILL_STARTED = "drill_started"
    DRILL_STEP = "drill_step"
    DRILL_OVER = "drill_over"
    DRILL_AGE = "drill_age"
    UNDECLARED = "undeclared"


class Entry(Struct, frozen=True):
    """What belongs to an event: the level it is logged at and the facts that it may carry."""

    level: int
    facts: frozenset[str]


def _entry(level: int, *facts: str) -> Entry:
    return Entry(level, frozenset(facts))


VOCABULARY: dict[str, Entry] = {
    Event.DIAL_RECORDED: _entry(logging.INFO, "shared", "test", "degraded", "notified", "ms", "emergency"),
    Event.DIAL_PREFIX_TRIMMED: _entry(logging.WARNING, "kind"),
    Event.DIAL_CLOCK_WRONG: _entry(logging.ERROR),
    Event.FIELD_IGNORED: _entry(logging.WARNING, "field"),
    Event.START_STALE: _entry(logging.WARNING),
    Event.END_RECORDED: _entry(logging.INFO, "kind", "emergency"),
    Event.LEG_TIMED_OUT: _entry(logging.WARNING, "emergency"),
    Event.LEG_ENDED_BY_SUPERVISOR: _entry(logging.WARNING, "emergency"),
    Event.TIE_RECORDED: _entry(logging.INFO, "kind", "emergency"),
    Event.CALLBACK_ROUTED: _entry(logging.INFO, "rung", "emergency"),
    Event.CALLBACK_ANSWERED: _entry(logging.INFO, "ms", "late_ms", "emergency"),
    Event.CALLBACK_RUNG: _entry(logging.INFO, "rung", "people", "emergency"),
    Event.CALLBACK_JOINED: _entry(logging.INFO, "rung", "emergency"),
    Event.CALLBACK_OVER: _entry(logging.INFO, "answered", "emergency"),
    Event.CALLBACK_LEFT_ALONE: _entry(logging.INFO),
    Event.CALLBACK_FAILED: _entry(logging.ERROR, "reason", "emergency"),
    Event.NOTICE_SENT: _entry(logging.INFO, "recipients", "attempt", "emergency"),
    Event.NOTICE_RETRIED: _entry(logging.WARNING, "attempt", "emergency"),
    Event.NOTICE_GIVEN_UP: _entry(logging.ERROR, "emergency"),
    Event.UNLISTED_BOUNDED: _entry(logging.ERROR),
    Event.LINE_FULL: _entry(logging.WARNING),
    Event.NOTICE_RATIONED: _entry(logging.WARNING),
    Event.NOTICE_WAITS: _entry(logging.WARNING, "emergency"),
    Event.NOTICES_MERGED: _entry(logging.INFO, "notices", "recipients"),
    Event.EMAIL_BLOCKED: _entry(logging.ERROR, "reason"),
    Event.RECIPIENT_REFUSED: _entry(logging.ERROR, "emergency"),
    Event.DELIVERY_REPORT: _entry(logging.INFO, "status"),
    Event.NOTICE_PASSED_ON: _entry(logging.WARNING, "recipients", "emergency"),
    Event.CALL_JUDGED: _entry(logging.INFO, "kind"),
    Event.RECORDING_DELETED: _entry(logging.WARNING, "chunks", "gone", "attempt"),
    Event.RECORDING_HELD_BACK: _entry(logging.WARNING, "kind", "chunks"),
    Event.RECORDING_LEFT: _entry(logging.WARNING, "kind"),
    Event.RECORDING_RETRIED: _entry(logging.WARNING, "attempt"),
    Event.RECORDING_REFUSED: _entry(logging.ERROR, "kind"),
    Event.RECORDING_GIVEN_UP: _entry(logging.ERROR, "chunks"),
    Event.RECORDING_STOPPED: _entry(logging.WARNING),
    Event.PRESENCE_HELD: _entry(logging.INFO, "emergency"),
    Event.PRESENCE_RESTORED: _entry(logging.INFO, "emergency"),
    Event.PRESENCE_LEFT: _entry(logging.INFO, "emergency"),
    Event.PRESENCE_FAILED: _entry(logging.ERROR, "emergency"),
    Event.PRESENCE_BLOCKED: _entry(logging.ERROR, "reason"),
    Event.POOL_LOW: _entry(logging.WARNING, "free_percent"),
    Event.POOL_EXHAUSTED: _entry(logging.ERROR, "free_percent"),
    Event.LEASE_EXPIRED: _entry(logging.INFO, "emergency"),
    Event.NUMBER_RELEASED: _entry(logging.INFO, "emergency"),
    Event.SWEEP: _entry(logging.INFO, "due", "done", "ms"),
    Event.OUTBOX: _entry(logging.INFO, "owed", "oldest_s"),
    Event.ROW_SET_ASIDE: _entry(logging.ERROR, "kind"),
    Event.EVENT_REJECTED: _entry(logging.WARNING, "function", "error", "field"),
    Event.EVENT_SOURCE_UNKNOWN: _entry(logging.WARNING),
    Event.SETTING_FAULTY: _entry(logging.ERROR, "setting"),
    Event.SETTING_DOUBTFUL: _entry(logging.WARNING, "setting"),
    Event.STORE_AWAY: _entry(logging.ERROR, "ms"),
    Event.BREAKER_OPEN: _entry(logging.ERROR),
    Event.EFFECT_FAILED: _entry(logging.ERROR, "effect", "error"),
    Event.REQUEST_REJECTED: _entry(logging.WARNING, "function", "status", "error", "field"),
    Event.STORAGE_FAILED: _entry(logging.WARNING, "ms"),
    Event.UNFORESEEN_ERROR: _entry(logging.ERROR, "function", "error"),
    Event.TEMPLATE_FAILED: _entry(logging.ERROR),
    Event.ADMINISTERED: _entry(logging.INFO, "kind", "change", "by"),
    Event.DRILL_STARTED: _entry(logging.INFO, "recipients"),
    Event.DRILL_STEP: _entry(logging.INFO, "step", "state", "ms"),
    Event.DRILL_OVER: _entry(logging.INFO, "outcome", "ms"),
    Event.DRILL_AGE: _entry(logging.INFO, "days"),
    Event.UNDECLARED: _entry(logging.ERROR, "event"),
}


def print_line(line: bytes) -> None:
    """Write one line to standard output with one system call, so that lines of many threads never mix.

    The kernel writes up to PIPE_BUF (4096) bytes to a pipe in one piece; no line is as long. A closed pipe loses the
    line: nobody is there to read it, and no request may fail of it.
    """
    with suppress(OSError):
        os.write(STANDARD_OUTPUT, line)


class LogTelemetry:
    """Port `Telemetry`: one line an event, `LEVEL event key=value …`, level first: INFO, WARNING or ERROR.

    Printed, because the Functions host drops a record of `logging` whose invocation is over, and effects begin after
    the answer. What is printed arrives at any time, each line as a trace of the category `Host.Function.Console`.
    """

    def __init__(self, write: Callable[[bytes], object] = print_line) -> None:
        self._write = write

    def emit(self, event: str, **facts: str | float | bool) -> None:
        """Say that something happened. It never raises; what the vocabulary does not know is left out."""
        entry = VOCABULARY.get(event)
        if entry is None:
            self._say(logging.ERROR, f"{Event.UNDECLARED.value} event={spoken(event)}")
            return
        said = "".join(f" {name}={spoken(value)}" for name, value in facts.items() if name in entry.facts)
        self._say(entry.level, f"{event!s}{said}")

    def _say(self, level: int, text: str) -> None:
        self._write(f"{logging.getLevelName(level)} {text}\n".encode())


def spoken(value: object) -> str:
    """A fact as the log says it; `invalid` for anything that could be personal."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int):
        return str(value) if abs(value) < LARGEST_NUMBER else INVALID
    if isinstance(value, float):
        return f"{value:.1f}" if math.isfinite(value) and abs(value) < LARGEST_NUMBER else INVALID
    word = value.lower() if isinstance(value, str) else ""
    return word if _WORD.fullmatch(word) else INVALID


def quiet_sdk_logging() -> None:
    """Keep the SDKs from logging every request: azure-core prints addresses, and with them the keys of rows."""
    for name in _SDK_LOGGERS:
        logging.getLogger(name).setLevel(logging.WARNING)
