"""What is sent when more notices are owed than the sender may send (B6): what first, and what in one message."""

from collections.abc import Iterable, Sequence
from datetime import datetime
from itertools import batched

from msgspec import Struct

from shared.domain.emergencies import Emergency
from shared.domain.ids import derived
from shared.domain.notifications import MAX_RECIPIENTS_A_MESSAGE, Notice, NoticeKind, merged

# A message that somebody still reads, and a transaction that takes all of it.
MAX_NOTICES_A_MESSAGE = 20


class Waiting(Struct, frozen=True, kw_only=True):
    """A notice that the sender's quota keeps waiting.

    `first_word`: somebody whom it is for was told nothing of that emergency yet. `begun`: it may have been sent, so
    that it stays the message that it was.
    """

    notice: Notice
    first_word: bool
    begun: bool = False

    @property
    def urgency(self) -> tuple[bool, datetime, str]:
        """First words before repeats, each oldest first."""
        return (not self.first_word, self.notice.happened_at, self.notice.notice_id)


class Message(Struct, frozen=True):
    """What goes out as one: these recipients are all owed all of these notices, oldest first."""

    recipients: tuple[str, ...]
    waiting: tuple[Waiting, ...]

    @property
    def notice(self) -> Notice:
        """The notice to send: what waited itself where that is all of it, else one whose id follows from its parts."""
        notices = tuple(each.notice for each in self.waiting)
        first = notices[0]
        if len(notices) == 1 and len(self.recipients) == len(first.recipients):
            return first
        parts = (*(each.notice_id for each in notices), *self.recipients)
        return merged(notices, derived("|".join(parts), "merged"), self.recipients)


def is_first_word(notice: Notice, emergency: Emergency | None) -> bool:
    """Whether anybody whom the notice is for was told nothing of this emergency yet; where nobody knows, a call is.

    Whoever was told of a test alone was told nothing of the real call after it; nor was whoever heard that an earlier
    call is over.
    """
    if notice.kind is NoticeKind.CLOSING:
        return False
    threads = () if emergency is None else (emergency.thread, emergency.test_thread if notice.test else None)
    known = [thread for thread in threads if thread is not None]
    if not known:
        return notice.kind is NoticeKind.CALL
    aware = {address.casefold() for thread in known for address in thread.aware}
    return any(address.casefold() not in aware for address in notice.recipients)


def messages(waiting: Iterable[Waiting]) -> list[Message]:
    """Everything that waits, as few messages to each recipient as can be, the most urgent first.

    A test is merged with tests only, so that the subject may say so; what was begun with nothing.
    """
    begun: list[Waiting] = []
    kinds: dict[bool, list[Waiting]] = {}
    for each in sorted(waiting, key=lambda each: each.urgency):
        (begun if each.begun else kinds.setdefault(each.notice.test, [])).append(each)
    found = [Message(each.notice.recipients, (each,)) for each in begun]
    found += [message for kind in kinds.values() for message in _merged(kind)]
    return sorted(found, key=lambda message: min(each.urgency for each in message.waiting))


def _merged(waiting: Sequence[Waiting]) -> Iterable[Message]:
    """One message for all recipients who are owed the same, whatever the case of their addresses."""
    owed: dict[str, list[Waiting]] = {}
    spelled: dict[str, str] = {}
    for each in waiting:
        for address in each.notice.recipients:
            owed.setdefault(address.casefold(), []).append(each)
            spelled.setdefault(address.casefold(), address)
    groups: dict[tuple[str, ...], tuple[tuple[Waiting, ...], list[str]]] = {}
    for folded, theirs in owed.items():
        for some in batched(theirs, MAX_NOTICES_A_MESSAGE, strict=False):
            ids = tuple(each.notice.notice_id for each in some)
            groups.setdefault(ids, (some, []))[1].append(spelled[folded])
    for some, recipients in groups.values():
        oldest_first = tuple(sorted(some, key=lambda each: (each.notice.happened_at, each.notice.notice_id)))
        for group in batched(recipients, MAX_RECIPIENTS_A_MESSAGE, strict=False):
            yield Message(group, oldest_first)
