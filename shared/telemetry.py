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

from msgspec import Struct

STANDARD_OUTPUT = 1
INVALID = "invalid"
# No count, percentage or duration in milliseconds is larger; every phone number is.
LARGEST_NUMBER = 100_000_000
_WORD = re.compile(r"(?!.*\d{7})[a-z0-9_.-]{1,40}")
_SDK_LOGGERS = ("azure.core.pipeline.policies.http_logging_policy", "azure.identity", "urllib3")


class Entry(Struct, frozen=True):
    """What belongs to an event: the level it is logged at and the facts that it may carry."""

    level: int
    facts: frozenset[str]


def _entry(level: int, *facts: str) -> Entry:
    return Entry(level, frozenset(facts))


VOCABULARY: dict[str, Entry] = {
    "dial_recorded": _entry(logging.INFO, "shared", "test", "degraded", "notified", "ms", "emergency"),
    "dial_prefix_trimmed": _entry(logging.WARNING, "kind"),
    "dial_clock_wrong": _entry(logging.ERROR),
    "field_ignored": _entry(logging.WARNING, "field"),
    "start_stale": _entry(logging.WARNING),
    "end_recorded": _entry(logging.INFO, "kind", "emergency"),
    "leg_timed_out": _entry(logging.WARNING, "emergency"),
    "leg_ended_by_supervisor": _entry(logging.WARNING, "emergency"),
    "tie_recorded": _entry(logging.INFO, "kind", "emergency"),
    "callback_routed": _entry(logging.INFO, "rung", "emergency"),
    "callback_answered": _entry(logging.INFO, "ms", "late_ms", "emergency"),
    "callback_rung": _entry(logging.INFO, "rung", "people", "emergency"),
    "callback_joined": _entry(logging.INFO, "rung", "emergency"),
    "callback_over": _entry(logging.INFO, "answered", "emergency"),
    "callback_left_alone": _entry(logging.INFO),
    "callback_failed": _entry(logging.ERROR, "reason", "emergency"),
    "notice_sent": _entry(logging.INFO, "recipients", "attempt", "emergency"),
    "notice_retried": _entry(logging.WARNING, "attempt", "emergency"),
    "notice_given_up": _entry(logging.ERROR, "emergency"),
    "unlisted_bounded": _entry(logging.ERROR),
    "line_full": _entry(logging.WARNING),
    "notice_rationed": _entry(logging.WARNING),
    "notice_waits": _entry(logging.WARNING, "emergency"),
    "notices_merged": _entry(logging.INFO, "notices", "recipients"),
    "email_blocked": _entry(logging.ERROR, "reason"),
    "recipient_refused": _entry(logging.ERROR, "emergency"),
    "delivery_report": _entry(logging.INFO, "status"),
    "notice_passed_on": _entry(logging.WARNING, "recipients", "emergency"),
    "call_judged": _entry(logging.INFO, "kind"),
    "recording_deleted": _entry(logging.WARNING, "chunks", "gone", "attempt"),
    "recording_held_back": _entry(logging.WARNING, "kind", "chunks"),
    "recording_left": _entry(logging.WARNING, "kind"),
    "recording_retried": _entry(logging.WARNING, "attempt"),
    "recording_refused": _entry(logging.ERROR, "kind"),
    "recording_given_up": _entry(logging.ERROR, "chunks"),
    "recording_stopped": _entry(logging.WARNING),
    "presence_held": _entry(logging.INFO, "emergency"),
    "presence_restored": _entry(logging.INFO, "emergency"),
    "presence_left": _entry(logging.INFO, "emergency"),
    "presence_failed": _entry(logging.ERROR, "emergency"),
    "presence_blocked": _entry(logging.ERROR, "reason"),
    "pool_low": _entry(logging.WARNING, "free_percent"),
    "pool_exhausted": _entry(logging.ERROR, "free_percent"),
    "lease_expired": _entry(logging.INFO, "emergency"),
    "number_released": _entry(logging.INFO, "emergency"),
    "sweep": _entry(logging.INFO, "due", "done", "ms"),
    "outbox": _entry(logging.INFO, "owed", "oldest_s"),
    "outbox_sweep": _entry(logging.INFO, "done"),
    "row_set_aside": _entry(logging.ERROR, "kind"),
    "event_rejected": _entry(logging.WARNING, "function", "error", "field"),
    "event_source_unknown": _entry(logging.WARNING, "function"),
    "setting_faulty": _entry(logging.ERROR, "setting"),
    "setting_doubtful": _entry(logging.WARNING, "setting"),
    "store_away": _entry(logging.ERROR, "ms"),
    "breaker_open": _entry(logging.ERROR),
    "effect_failed": _entry(logging.ERROR, "effect", "error"),
    "request_rejected": _entry(logging.WARNING, "function", "status", "error", "field"),
    "storage_failed": _entry(logging.WARNING, "ms"),
    "unforeseen_error": _entry(logging.ERROR, "function", "error"),
    "template_failed": _entry(logging.ERROR),
    "administered": _entry(logging.INFO, "kind", "change", "by"),
    "drill_started": _entry(logging.INFO, "recipients"),
    "drill_step": _entry(logging.INFO, "step", "state", "ms"),
    "drill_over": _entry(logging.INFO, "outcome", "ms"),
    "drill_age": _entry(logging.INFO, "days"),
    "undeclared": _entry(logging.ERROR, "event"),
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
            self._say(logging.ERROR, f"undeclared event={spoken(event)}")
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
