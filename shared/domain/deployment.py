"""What the administrators decided, as far as an emergency's course depends on it."""

from enum import StrEnum

from msgspec import Struct

from shared.domain.callbacks import Ladder
from shared.domain.ids import Key
from shared.domain.leases import Rules
from shared.domain.words import Words


class CallbackNotices(StrEnum):
    """Which callbacks the contacts are told of."""

    NONE = "none"
    MISSED = "missed"
    ALL = "all"


class PresenceBackend(StrEnum):
    """Where agents' presence lies: in a table of ours, or where their telephony is."""

    TABLE = "table"
    GRAPH = "graph"
    DYNAMICS365 = "dynamics365"


class SettingFault(Struct, frozen=True, kw_only=True):
    """What is wrong with a setting and how to mend it, without its value.

    Unless it is `serious`, everything works, but less surely.
    """

    setting: str
    problem: Words
    mend: Words
    serious: bool


class Deployment(Struct, frozen=True, kw_only=True):
    """The settings that the use cases follow.

    `callback_numbers` is the pool, E.164; `fallback_number` is answered by people at all hours, None only where the
    setting is missing; `security_desk` holds E.164 numbers or raw ACS identities, the fallback number if empty.
    `callback_events_url` is where call control reports on a callback, None where it cannot or could not be believed:
    then callbacks are sent on instead of answered. `prompt_url` is a sound file for a responder who waits. `time_zone`
    is an IANA name. `sender_key` is the key of who sends notices, by which service.
    """

    rules: Rules = Rules()
    countries: frozenset[str] = frozenset({"US", "PR", "CA"})
    callback_numbers: tuple[str, ...] = ()
    fallback_number: str | None = None
    default_contacts: tuple[str, ...] = ()
    security_desk: tuple[str, ...] = ()
    pool_low_water_percent: int = 20
    callback_notices: CallbackNotices = CallbackNotices.MISSED
    closing_notices: bool = True
    presence_backend: PresenceBackend = PresenceBackend.TABLE
    time_zone: str = "UTC"
    callback_events_url: str | None = None
    prompt_url: str | None = None
    sender_key: Key = ""

    @property
    def ladder(self) -> Ladder:
        """Whom every callback reaches in the end."""
        return Ladder(self.security_desk, self.fallback_number)
