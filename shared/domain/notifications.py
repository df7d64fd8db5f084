"""The notices that an emergency owes (S7, S9, B6, Kari's Law)."""

from datetime import datetime
from enum import StrEnum

from msgspec import Struct, structs

from shared.domain.emergency_numbers import Placeable
from shared.domain.ids import Key, derived
from shared.domain.locations import ToldLocation

MAX_RECIPIENTS_A_MESSAGE = 50


class NoticeKind(StrEnum):
    """What a notice tells of."""

    CALL = "call"
    CALLBACK_RECEIVED = "callback_received"
    CALLBACK_MISSED = "callback_missed"
    CLOSING = "closing"


class Notice(Struct, frozen=True, kw_only=True):
    """What the contacts must know of one outgoing leg, or of one callback; owed exactly once for each.

    `dialled_at` is when the agent dialled or, of a callback, when the responder did.
    `number_shown`: responders see `callback_number` on their display; `foreign`: it is of another country.
    `claimed`: the agent is not in the directory, or nobody could ask it. `time_zone` is an IANA name, UTC where None.
    `parts`: the notices that this one merges, each of its own emergency; its own facts are then those of the first.
    `word` is what the log calls its emergency by. `thread` names its emergency's thread of mails (`mail_thread`).
    `agent_key`: whose emergency's thread it belongs to, None where it is told of no emergency that is kept.
    `closes`: whose emergency a closing notice says to be over; None in rows of an older version.
    `repeat`: its emergency, or its principal, was told of by another before it; of the sender's quota a part is kept
    for those that are none.
    `give_up_at`: afterwards the number in it may be somebody else's, so it is not sent any more.
    """

    notice_id: Key
    recipients: tuple[str, ...]
    agent_id: str
    agent_name: str | None
    agent_key: Key | None = None
    closes: Key | None = None
    dialled_at: datetime
    callback_number: str
    reachable_until: datetime
    shared: bool
    test: bool
    degraded: bool
    location: ToldLocation
    locale: str | None
    give_up_at: datetime
    kind: NoticeKind = NoticeKind.CALL
    placeable: Placeable = Placeable.UNKNOWN
    number_shown: bool = False
    foreign: bool = False
    drill: bool = False
    claimed: bool = False
    dialled: str = ""
    site: str | None = None
    time_zone: str | None = None
    ended_at: datetime | None = None
    word: str = ""
    thread: str = ""
    repeat: bool = False
    parts: tuple["Notice", ...] = ()

    @property
    def called(self) -> dict[str, str]:
        """What names its emergency in a log line; nothing where that has no word."""
        return {"emergency": self.word} if self.word else {}

    @property
    def mail_thread(self) -> str:
        """The same in all mails of one emergency (B6), "" where it tells of several. Older rows have the word alone."""
        return self.thread or (derived(self.word, "thread") if self.word else "")

    @property
    def happened_at(self) -> datetime:
        """When that happened which it tells of."""
        return self.ended_at or self.dialled_at

    @property
    def singly(self) -> tuple["Notice", ...]:
        """Each notice of one emergency that it consists of."""
        return self.parts or (self,)

    def at(self, now: datetime) -> "Notice":
        """It without the parts that are not to be sent any more, of which nothing stays (B8)."""
        parts = tuple(part for part in self.parts if now < part.give_up_at)
        return self if parts == self.parts else merged(parts, self.notice_id, self.recipients)


def merged(parts: tuple[Notice, ...], notice_id: str, recipients: tuple[str, ...]) -> Notice:
    """One notice for several, which all of these recipients are owed."""
    words, threads = {each.word for each in parts}, {each.mail_thread for each in parts}
    return structs.replace(
        parts[0],
        notice_id=notice_id,
        recipients=recipients,
        agent_key=None,
        closes=None,
        word=parts[0].word if len(words) == 1 else "",
        thread=parts[0].mail_thread if len(threads) == 1 else "",
        give_up_at=max(each.give_up_at for each in parts),
        repeat=all(each.repeat for each in parts),
        parts=parts,
    )


class Delivery(StrEnum):
    """What is known of a message's way to one recipient."""

    ACCEPTED = "accepted"
    DELIVERED = "delivered"
    FAILED = "failed"
    REFUSED = "refused"


def split_list(text: str) -> list[str]:
    """The entries of a setting or field whose entries are separated by semicolons (S9), trimmed, without repeats."""
    return list(dict.fromkeys(entry for entry in (part.strip() for part in text.split(";")) if entry))


def recipients_of(own: tuple[str, ...], default: tuple[str, ...]) -> tuple[str, ...]:
    """The agent's own contacts, else the default ones; each address once, whatever its case."""
    chosen = own or default
    return tuple({address.casefold(): address for address in reversed(chosen)}.values())[::-1]
