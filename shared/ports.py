"""What the use cases need of the world. Every method says which errors of `shared.domain.errors` it raises.

Everything that may wait takes a `Deadline` and raises `Unavailable` when it passes.
"""

from collections.abc import Callable, Collection, Hashable, Mapping, Sequence
from contextlib import AbstractContextManager
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Protocol

from msgspec import Struct

from shared.deadlines import Deadline
from shared.domain.agents import Agent, AgentsPage, CapacityProfile
from shared.domain.callbacks import Callback
from shared.domain.callers import Caller
from shared.domain.confidentiality import Recording
from shared.domain.drills import Drill
from shared.domain.emergencies import Emergency, Leg, Reach, UnlistedEmergencyPlace
from shared.domain.ids import Key
from shared.domain.imports import AgentChange, Import
from shared.domain.keys import KeyRing
from shared.domain.leases import Lease
from shared.domain.locations import Desktop
from shared.domain.notice_templates import Fault, TemplateKind, TemplateSources
from shared.domain.notifications import Delivery, Notice
from shared.domain.pool_numbers import NumberLeases
from shared.domain.presence import OutageHold, Presence
from shared.domain.principals import Principal
from shared.domain.service_checks import Service, ServiceAnswer
from shared.domain.sites import Site, SiteMap
from shared.domain.situations import Situation
from shared.domain.voice_routes import RoutesRead, Telephony


class Pending[T](Protocol):
    """An answer that is on its way."""

    def result(self) -> T:
        """Wait for it, until the deadline it was asked with; raises what the asking met."""
        ...


class Answered[T](Struct, frozen=True):
    """Port `Pending`: what is known already."""

    answer: T

    def result(self) -> T:
        """At once."""
        return self.answer


class SignIn(Protocol):
    """Who is calling, from what the platform or the local host says of a request."""

    def principal(self, headers: Mapping[str, str]) -> Principal | None:
        """The caller, or None where nobody is signed in. Header names are in lower case."""
        ...


# The emergencies' store ----------------------------------------------------------------------------------------------


class Stored(Struct, frozen=True):
    """An emergency as it was read, with the mark that a conditional write needs (None for a new one).

    `index` are the rows that were written along with it: the store's own business.
    """

    emergency: Emergency | None
    version: str | None = None
    index: tuple[str, ...] = ()


class CallOwner(Struct, frozen=True, kw_only=True):
    """What is recorded under a call id: whose call it is, or that it ended before anybody said that it started.

    `call_key` is the key of the id; `apart` that of whom it is recorded for where something else was recorded under the
    id already. `owner` is whose the emergency is where the agent is not in the directory; `reported_by` the machine or
    source that reported the call, None for an agent. `ended_at` and `by_agent` are set for an end without a start;
    `ended_by` is then the agent's principal that reported it, None for a machine or a source, and `ended_for` the keys
    of the names by which that one meant an agent, None where it named nobody; `expires_at` is when that is forgotten.
    """

    call_key: Key
    apart: Key | None = None
    agent_key: Key | None = None
    owner: str | None = None
    leg_id: str | None = None
    reported_by: str | None = None
    ended_at: datetime | None = None
    by_agent: bool = False
    ended_by: str | None = None
    ended_for: tuple[Key, ...] | None = None
    expires_at: datetime | None = None
    version: str | None = None


class LoanKind(StrEnum):
    """Where a number to lend comes from, in the order of B2."""

    FREE = "free"
    NEW = "new"
    RESTING = "resting"
    SHARED = "shared"


class Loan(Struct, frozen=True, kw_only=True):
    """A number that may be lent, and what must still be so when it is.

    `row` and `version` are the free row that the lending takes away; `from_holders` the emergencies whose number rests;
    `held_by` is the row that says that somebody holds a number which is shared, or `version` that of its slot where no
    holder can be read; `unlisted_number_place` is the place among those of unlisted agents that it takes.
    """

    number: str
    kind: LoanKind
    row: str = ""
    version: str = ""
    from_holders: tuple[Stored, ...] = ()
    held_by: str = ""
    unlisted_number_place: int | None = None


class UnlistedShare(Struct, frozen=True, kw_only=True):
    """A place among the numbers of unlisted agents; None where they hold enough `numbers`."""

    place: int | None
    numbers: tuple[str, ...] = ()


class Ration(Struct, frozen=True, kw_only=True):
    """A row for one notice of a principal, None when they have had enough for now; `first` of these ten minutes."""

    row: str | None
    first: bool


class NewLeg(Struct, frozen=True):
    """A leg whose call id nobody may have recorded yet; `late_for` are the ends without a start that it replaces."""

    leg: Leg
    late_for: tuple[CallOwner, ...] = ()


class Change(Struct, frozen=True, kw_only=True):
    """One transition of one emergency, applied whole or not at all.

    `ration_row` is what an unlisted agent's notice takes. `notice_from` is from when on a notice beyond a ration may be
    sent, None for at once; one that is owed from then on already is replaced by it.
    """

    stored: Stored
    emergency: Emergency
    now: datetime
    loan: Loan | None = None
    new_legs: tuple[NewLeg, ...] = ()
    notice: Notice | None = None
    ration_row: str | None = None
    notice_from: datetime | None = None


class StoredCallback(Struct, frozen=True):
    """A callback as it was read, with the mark that a conditional write needs (None for a new one).

    `due_row` says when the sweep takes it up: the store's own business.
    """

    callback: Callback | None
    version: str | None = None
    due_row: str | None = None


class CallbackChange(Struct, frozen=True, kw_only=True):
    """One transition of a callback and of the emergencies that it touches, applied whole or not at all.

    `due_at` is when the sweep is to take the callback up or, of a closed one, to forget it.
    """

    stored: StoredCallback
    callback: Callback
    due_at: datetime
    emergencies: tuple[Change, ...] = ()


class OwedNotice(Struct, frozen=True, kw_only=True):
    """A notice in the outbox, and how often it was tried.

    Until `due_at` it is left to whoever committed it (then `version` is None) or claimed it.
    """

    row: str
    due_at: datetime
    version: str | None
    attempts: int
    notice: Notice


class WaitingNotice(Struct, frozen=True, kw_only=True):
    """A notice that the sender's quota keeps waiting; `first_word`: it tells somebody of its emergency first."""

    owed: OwedNotice
    first_word: bool


class Broken(Struct, frozen=True, kw_only=True):
    """A row that brings something up that cannot be read.

    `row` is the store's name for it, `kind` the kind of the row that cannot be read: all that may be said of it.
    """

    row: str
    kind: str


class Committed(Struct, frozen=True):
    """A transition that was applied: what is kept now, and the notice that is owed, for its first try."""

    stored: Stored
    notice: OwedNotice | None = None


class Owed(Struct, frozen=True, kw_only=True):
    """What the outbox holds: the keys of agents whose presence is to be reconciled, notices, and ids of callbacks.

    `closings`: keys of agents of whose emergency somebody may have to be told that it is over. `broken` is what cannot
    be used. `oldest_due_at` is when the longest overdue of all was due; None where nothing is.
    """

    presences: tuple[str, ...]
    notices: tuple[OwedNotice, ...]
    closings: tuple[str, ...] = ()
    callbacks: tuple[str, ...] = ()
    broken: tuple[Broken, ...] = ()
    oldest_due_at: datetime | None = None


class Holder(Struct, frozen=True, kw_only=True):
    """Somebody whom a callback to a number may reach."""

    agent_id: str
    agent_key: Key
    lease: Lease
    reach: Reach


class Dispatch(Struct, frozen=True, kw_only=True):
    """A message that the e-mail service accepted, and what is known of its way to each recipient; or whom it refused.

    `agent_key` names the emergency that it is about, None in rows of an older version and where `notice`, which it
    carries, merges those of several. `drill`: it is a drill's.
    """

    operation_id: Key
    deliveries: dict[str, Delivery]
    expires_at: datetime
    agent_key: Key | None = None
    drill: bool = False
    notice: Notice | None = None

    @property
    def agent_keys(self) -> tuple[str, ...]:
        """The emergencies that it is about."""
        named = (self.agent_key, *(part.agent_key for part in (self.notice.parts if self.notice is not None else ())))
        return tuple(dict.fromkeys(key for key in named if key is not None))


class DrillMail(Struct, frozen=True):
    """What the outbox and the record of messages hold of drills."""

    owed: tuple[OwedNotice, ...] = ()
    sent: tuple[Dispatch, ...] = ()


class GoingOn(Struct, frozen=True, kw_only=True):
    """What the live board is made from: every emergency that is kept, the notices owed, the messages sent.

    `cut_at`: more emergencies are kept than this many, which were read; None where all were.
    """

    emergencies: tuple[Emergency, ...]
    owed: tuple[Notice, ...]
    dispatches: tuple[Dispatch, ...]
    cut_at: int | None = None


class Due(Struct, frozen=True, kw_only=True):
    """Something that time alone brought up: `subject` says what kind of thing, `key` which."""

    row: str
    version: str
    subject: str
    key: str


# So many rows are asked for at once by whoever reads one after another of hundreds: a process has some three hundred
# places for requests to storage, and a dial that finds none is answered as in an outage.
READ_AT_ONCE = 16
# Two rows each, in a transaction of a hundred.
MAX_DISCARDED_AT_ONCE = 48


class Keys(Protocol):
    """The secrets of the keys of people."""

    def ring(self, deadline: Deadline) -> KeyRing:
        """All of them; raises `Unavailable` where this process has not read them yet and cannot."""
        ...


class EmergencyStore(Protocol):
    """The emergencies of a deployment. Everything raises `Unavailable`; what writes raises `Conflict`.

    A *name* is what `agent_key_of` or `unlisted_key` makes of who somebody is; an *agent key* what the rows of an
    emergency are stored under, which follows from the name by a secret.
    """

    def find(self, name: str, deadline: Deadline) -> Pending[Stored]:
        """The emergency of this name, under whichever of its keys it is stored."""
        ...

    def keys_of(self, name: str, deadline: Deadline) -> tuple[str, ...]:
        """Every key under which something of this name may be stored, the first for what is new."""
        ...

    def load(self, agent_key: str, deadline: Deadline) -> Pending[Stored]:
        """An agent's emergency."""
        ...

    def calls(self, call_key: str, deadline: Deadline) -> list[CallOwner]:
        """Everything recorded under a call id."""
        ...

    def owners_of_server_call(self, server_key: str, deadline: Deadline) -> list[str]:
        """The keys of the agents whose emergencies know this server call."""
        ...

    def owners_of_starter(self, starter: str, deadline: Deadline) -> list[str]:
        """The keys of the agents of this raw ACS identity who have a leg without an exact tie."""
        ...

    def unlisted_of(self, agent_id: str, deadline: Deadline) -> list[str]:
        """The keys of the emergencies under an id that nobody in the directory has."""
        ...

    def agents_untied(self, deadline: Deadline) -> list[str]:
        """The keys of the agents, of any identity, who have a leg of which no server call is known."""
        ...

    def keep_end(self, end: CallOwner, deadline: Deadline) -> None:
        """Record the end of a call that nobody has started yet; raises `CallIdTaken` if it is known by now."""
        ...

    def commit(self, change: Change, deadline: Deadline) -> Committed:
        """Apply a transition; raises `CallIdTaken`, `TooManyRows` or `Conflict`, and then nothing was written."""
        ...

    def going_on(self, deadline: Deadline) -> GoingOn:
        """Every emergency that is kept, with its notices; what cannot be read is left out."""
        ...

    def callback(self, callback_id: str, deadline: Deadline) -> Pending[StoredCallback]:
        """A responder's callback."""
        ...

    def commit_callback(self, change: CallbackChange, deadline: Deadline) -> tuple[OwedNotice, ...]:
        """Apply a transition of a callback and of what it touches, and give the notices that are owed now.

        Raises `Conflict`, and then nothing was written.
        """
        ...

    def forget_callback(self, stored: StoredCallback, deadline: Deadline) -> None:
        """Remove a callback and what brings it up; `Conflict` if it changed meanwhile."""
        ...

    def drill_mail(self, deadline: Deadline) -> DrillMail:
        """What is owed of drills' notices, and what was sent of them."""
        ...

    def forget_drill_mail(self, deadline: Deadline) -> None:
        """Remove all of it: nothing of a drill is sent or tracked any more."""
        ...

    def due(self, now: datetime, limit: int, deadline: Deadline, after: str = "") -> list[Due]:
        """What time alone brought up, longest overdue first; `after` is the row of the last one seen."""
        ...

    def bare(self, now: datetime, limit: int, deadline: Deadline, after: str = "") -> list[Due]:
        """What is only to be removed by now, likewise: it has a queue of its own."""
        ...

    def discard_all(self, dues: Sequence[Due], deadline: Deadline) -> None:
        """As `discard`, at most `MAX_DISCARDED_AT_ONCE` in one transaction; then nothing was done if one changed."""
        ...

    def forget(self, stored: Stored, now: datetime, deadline: Deadline) -> None:
        """Release the number and remove every row that tells of this emergency."""
        ...

    def dispatch(self, due: Due, deadline: Deadline) -> tuple[Dispatch, str] | None:
        """The message whose way is due to be forgotten, with its version; None where nobody can tell."""
        ...

    def track_on(self, due: Due, dispatch: Dispatch, version: str, until: datetime, deadline: Deadline) -> None:
        """Keep what is known of this message's way until then; `Conflict` if either changed meanwhile."""
        ...

    def discard(self, due: Due, deadline: Deadline) -> None:
        """Remove something that is kept for a time only (an end without a start, a dispatch) and its due row.

        `Conflict` if either changed meanwhile; what is needed by now stays.
        """
        ...

    def set_aside(self, broken: Broken, now: datetime, deadline: Deadline) -> None:
        """Let no sweep meet it again before it can be read; `Conflict` if somebody else changed it meanwhile."""
        ...

    def look_again(self, now: datetime, deadline: Deadline) -> None:
        """Take up what was set aside and can be read by now; forget what nobody could read for days."""
        ...

    def owed(self, now: datetime, limit: int, deadline: Deadline) -> Owed:
        """What is owed by now: the callbacks, and at most `limit` others, longest overdue first."""
        ...

    def claim(self, owed: OwedNotice, until: datetime, deadline: Deadline) -> OwedNotice:
        """Put an owed notice off so that nobody else tries it meanwhile; `Conflict` if somebody else has it."""
        ...

    def put_off(
        self, owed: OwedNotice, rest: Notice, until: datetime, dispatches: Sequence[Dispatch], deadline: Deadline
    ) -> None:
        """What was sent is tracked; the rest of the notice is owed further, from `until` on."""
        ...

    def strike_off(
        self, owed: OwedNotice, dispatches: Sequence[Dispatch], deadline: Deadline, *, told: Change | None = None
    ) -> OwedNotice | None:
        """The notice was sent, or can never be: it is owed no more, and its dispatches are tracked.

        `told` is what its emergency makes of that, in the same transaction; gives the notice that it owes. `Conflict`:
        somebody else has the notice, or moved the emergency; then nothing was written.
        """
        ...

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
        """The rest of the notice waits for the sender's quota; `begun`: it may have been sent. Else as `put_off`."""
        ...

    def waiting(self, limit: int, deadline: Deadline) -> list[WaitingNotice | Broken]:
        """What waits for the sender's quota, oldest first."""
        ...

    def merge(
        self, parts: Sequence[WaitingNotice], merged: Notice, until: datetime, deadline: Deadline
    ) -> tuple[OwedNotice, tuple[WaitingNotice, ...]]:
        """Make what waits a notice of its own, claimed until then; gives it, and what waits on for others."""
        ...

    def record_delivery(
        self, operation_id: str, recipient: str, delivery: Delivery, deadline: Deadline
    ) -> Dispatch | None:
        """Note a delivery report with its message; None when that is none of ours, or forgotten."""
        ...

    def state_of_outbox(self, deadline: Deadline) -> tuple[datetime | None, int]:
        """Since when the oldest thing owed is due, and how many rows were set aside because nobody can read them."""
        ...


class NumberPool(Protocol):
    """The callback numbers (B2): lending one is part of a transition of `EmergencyStore`. All raise `Unavailable`."""

    def expect_loan(self, country: str | None, deadline: Deadline) -> None:
        """A dial is coming, as far as is known from this country: begin to read what it may need."""
        ...

    def loan(
        self,
        *,
        country: str | None,
        unlisted_share: UnlistedShare | None,
        now: datetime,
        deadline: Deadline,
        takes: bool = True,
    ) -> Loan:
        """A number to lend: free, else resting, else shared; `NotFound` when there is no pool at all.

        One of the caller's `country` (ISO 3166-1) goes before a foreign one, which goes before a shared one.
        `unlisted_share` is for unlisted agents. `takes`: whether a resting number may be taken from those who held it
        last.
        """
        ...

    def unlisted_share(self, deadline: Deadline) -> Pending[UnlistedShare]:
        """Whether unlisted agents may have one more number between them."""
        ...

    def unlisted_emergency_place(self, caller: Caller, deadline: Deadline) -> Pending[UnlistedEmergencyPlace | None]:
        """A place for an unlisted agent's emergency that the caller reports; None where there are enough."""
        ...

    def ration(
        self, owner: str | None, now: datetime, deadline: Deadline, besides: Collection[str] = ()
    ) -> Pending[Ration]:
        """What is left of the ration of this unlisted principal.

        `besides`: rows that the same transition takes already.
        """
        ...

    def holders(self, number: str, deadline: Deadline) -> list[Holder] | None:
        """Who holds or last held a number, newest lease first; None if it is not of the pool and nobody does."""
        ...

    def knows(self, number: str, deadline: Deadline) -> Pending[bool]:
        """Whether it is a number of any host's pool, or one that left the pool and is lent still."""
        ...

    def is_of_a_pool(self, number: str, now: datetime) -> bool:
        """Whether any host has it in its setting, as far as this one has learned lately; no request."""
        ...

    def all_leases(self, deadline: Deadline) -> list[NumberLeases]:
        """Every number that the store knows, with the leases that are kept of it."""
        ...

    def free_count(self, limit: int, deadline: Deadline) -> int:
        """How many numbers are free, counted up to `limit`."""
        ...

    def register_pool(self, now: datetime, deadline: Deadline) -> None:
        """Tell other hosts which numbers this one has in its setting: they take none of them away."""
        ...

    def sync_pool(self, now: datetime, deadline: Deadline) -> None:
        """Bring the pool in line with the setting, where that has not been done yet."""
        ...


# The others ----------------------------------------------------------------------------------------------------------


class AgentDirectory(Protocol):
    """The agents that an administrator entered."""

    def find(self, agent_id: str, deadline: Deadline) -> Pending[Agent | None]:
        """An agent's entry, which may be a minute old."""
        ...

    def is_empty(self, deadline: Deadline) -> Pending[bool]:
        """Whether nobody has been entered yet."""
        ...

    def recent(self, agent_id: str) -> Agent | None:
        """The entry as this process read it within the last minute, None where it did not; reads nothing."""
        ...

    def last_known(self, agent_id: str) -> Agent | None:
        """The entry as this process read it last, however long ago that was; reads nothing."""
        ...

    def last_own(self, object_id: str) -> tuple[Agent, ...]:
        """The entries with this object id as this process read them last, however long ago; reads nothing."""
        ...

    def read(self, agent_id: str, deadline: Deadline) -> tuple[Agent, str] | None:
        """An agent's entry as it is now, with its version."""
        ...

    def own(self, object_id: str, deadline: Deadline) -> Pending[tuple[Agent, ...]]:
        """The entries with this Microsoft Entra object id, in the order of their ids; they may be a minute old."""
        ...

    def own_keys(self, object_id: str, deadline: Deadline) -> Pending[list[str]]:
        """The keys of all entries with this Microsoft Entra object id, as they are now."""
        ...

    def may_have_begun_before(self, agent: Agent) -> bool:
        """Whether an emergency of theirs may have begun under another id than this entry's; reads nothing."""
        ...

    def left(self, agent_id: str, deadline: Deadline) -> Pending[str | None]:
        """The id of this entry, where it was removed and something may be left of that person."""
        ...

    def own_left(self, object_id: str, deadline: Deadline) -> Pending[str | None]:
        """As `left`, of the entry that had this Microsoft Entra object id; None where that id is another's by now."""
        ...

    def holders_of(self, identity: str, deadline: Deadline) -> Pending[list[str]]:
        """The keys of the agents to whom an entry gives this raw ACS identity."""
        ...

    def save(self, agent: Agent, version: str | None, deadline: Deadline) -> str:
        """Write an entry: any if `version` is None, else only over that version (`Conflict`). Gives the new version."""
        ...


class Entries(Protocol):
    """The entries of a directory as they were at one moment, each with its version; only who gave it reads it."""

    def __len__(self) -> int:
        """How many there are."""
        ...


class ImportChunk(Struct, frozen=True):
    """A piece of an import that waits to be done."""

    name: str
    changes: list[AgentChange]


class AgentRegister(AgentDirectory, Protocol):
    """The directory as administrators see it. Everything raises `Unavailable`."""

    def remove(self, agent_id: str, version: str | None, deadline: Deadline) -> None:
        """Remove an entry: any if `version` is None, else only that version (`Conflict`). Raises `NotFound`.

        Whatever else is kept of that person is `leaving` from then on.
        """
        ...

    def leaving(self, deadline: Deadline) -> list[str]:
        """The ids of some whose entries were removed, of whom something may be left."""
        ...

    def forget_left(self, agent_id: str, deadline: Deadline) -> None:
        """Nothing is left of that person, or they are back."""
        ...

    def listed(self, starts_with: str, limit: int, cursor: str, deadline: Deadline) -> AgentsPage:
        """A page of the agents whose id, name or a word of it begins so, in the order of names; "" lists all.

        The cost of a page does not grow with the directory. Raises `Malformed` for a cursor that is none.
        """
        ...

    def all_after(self, agent_key: str, limit: int, deadline: Deadline) -> list[Agent]:
        """The next entries in the order of their keys, from behind this one on; such as cannot be read are left out."""
        ...

    def look(self, deadline: Deadline) -> Entries:
        """All entries as they are now, for `apply`."""
        ...

    def apply(self, changes: Sequence[AgentChange], entries: Entries | None, deadline: Deadline) -> int:
        """Write what an import says of these agents; gives of how many. Without `entries` each is read."""
        ...

    def reindex(self, deadline: Deadline) -> int:
        """Let some entries of an earlier version be found by searches; gives how many were not."""
        ...


class Imports(Protocol):
    """Imports of the directory that go on, piece by piece. Everything raises `Unavailable`."""

    def begin(self, operation_id: str, changes: Sequence[AgentChange], now: datetime, deadline: Deadline) -> None:
        """Keep what is to be done, unless it is under way, or somebody else is at it."""
        ...

    def read(self, operation_id: str, deadline: Deadline) -> Import | None:
        """How far it is; None where there is none of this id."""
        ...

    def running(self, now: datetime, deadline: Deadline) -> list[str]:
        """The ids of imports that are to be carried on, the oldest first; forgets others that began long ago."""
        ...

    def next_chunks(self, operation_id: str, deadline: Deadline) -> list[ImportChunk]:
        """The next pieces; none where nothing is left. A piece that cannot be read is empty."""
        ...

    def chunks_done(self, operation_id: str, chunks: Sequence[str], done: int, deadline: Deadline) -> None:
        """So many entries of these pieces are written; once, whoever says it."""
        ...

    def close(self, operation_id: str, deadline: Deadline) -> None:
        """Nothing is left to do of it: it is done, or failed where some rows could not be."""
        ...


class SiteRegister(Protocol):
    """The sites of a deployment (B14). Everything raises `Unavailable`."""

    def known(self, deadline: Deadline) -> Pending[SiteMap]:
        """All sites, which may be a minute old, or older while they cannot be read."""
        ...

    def all(self, deadline: Deadline) -> list[Site]:
        """All sites as they are now, in the order of their ids."""
        ...

    def read(self, site_id: str, deadline: Deadline) -> tuple[Site, str] | None:
        """A site as it is now, with its version."""
        ...

    def save(self, site: Site, version: str | None, deadline: Deadline) -> str:
        """Write a site: any if `version` is None, a new one if it is empty, else only over that version (`Conflict`).

        Gives the new version.
        """
        ...

    def save_all(self, sites: Sequence[Site], deadline: Deadline) -> None:
        """Write these over whatever is there. Raises `Malformed` where there would be too many."""
        ...

    def remove(self, site_id: str, version: str | None, deadline: Deadline) -> None:
        """Remove a site: any if `version` is None, else only that version. Raises `NotFound`, `Conflict`."""
        ...


class Desktops(Protocol):
    """What agents' desktops reported of themselves (B15). Everything raises `Unavailable`."""

    def of(self, agent_id: str, deadline: Deadline) -> Pending[tuple[Desktop, ...]]:
        """What the agent's desktops reported, the latest first."""
        ...

    def seen_from(self, client: str, deadline: Deadline) -> str:
        """What is kept of the network of an agent's own IP address: a keyed hash."""
        ...

    def save(self, agent_id: str, report: Desktop, deadline: Deadline) -> Desktop:
        """Keep a report, with the confirmation before it where it brings none; gives what is kept now."""
        ...

    def forget(self, agent_id: str, deadline: Deadline) -> None:
        """Remove everything that this agent's desktops reported."""
        ...

    def of_all(self, deadline: Deadline) -> Callable[[str], tuple[Desktop, ...]]:
        """All reports at once, to be asked as `of` is. Raises `Unavailable`."""
        ...

    def remove_old(self, now: datetime, deadline: Deadline) -> int:
        """Remove reports that are older than they may be kept; gives how many."""
        ...


class Deliveries(Protocol):
    """How the last message to each contact of an agent fared. Everything raises `Unavailable`."""

    def note(self, agent_id: str, address: str, delivery: Delivery, deadline: Deadline) -> None:
        """Keep the state, if the agent has an entry."""
        ...

    def of(self, agent_id: str, addresses: Sequence[str], deadline: Deadline) -> dict[str, Delivery]:
        """The last state of each of these addresses of which one is known."""
        ...

    def of_all(self, deadline: Deadline) -> Callable[[str, Sequence[str]], dict[str, Delivery]]:
        """All states at once, to be asked as `of` is."""
        ...

    def forget(self, agent_id: str, deadline: Deadline) -> None:
        """Remove all that is kept of this agent's contacts."""
        ...


class SlowLook[T](Protocol):
    """A look at something that may take longer than whoever asks can wait."""

    def begin(self) -> None:
        """Look in the background, unless what was seen last is young."""
        ...

    def seen(self, deadline: Deadline) -> T | None:
        """What was seen last, waiting until the deadline for a look that is under way; None where nothing was yet."""
        ...


class Services(Protocol):
    """The services that an emergency needs, asked whether they are there."""

    def begin(self) -> None:
        """Ask all of them at once, unless they were asked some seconds ago."""
        ...

    def reached(self, deadline: Deadline) -> Mapping[Service, ServiceAnswer | None]:
        """What came of it; what is not answered by the deadline is as it was before, None where it never was."""
        ...


class TelephonyReader(Protocol):
    """What the platform says of voice routes and of the numbers bought."""

    def read(self, deadline: Deadline) -> Telephony:
        """What is known, read anew where that is some minutes old; what is not answered in time is as it was."""
        ...


class VoiceRoutes(Protocol):
    """The voice routes as last read, kept for all processes."""

    def remembered(self) -> RoutesRead | None:
        """The routes as last read, None where this process knows of no reading; asks nobody."""
        ...

    def keep(self, read: RoutesRead, deadline: Deadline) -> None:
        """Remember these and store them; does nothing for what is not newer. Raises `Unavailable`."""
        ...


class Drills(Protocol):
    """The last drill, which may still run. Everything raises `Unavailable`."""

    def last(self, deadline: Deadline) -> Drill | None:
        """The last drill; None where there never was one."""
        ...

    def begin(self, drill: Drill, now: datetime, deadline: Deadline) -> None:
        """Keep a new one in place of the last; `Conflict` while that runs."""
        ...

    def claim(self, drill_id: str, claim: str, now: datetime, until: datetime, deadline: Deadline) -> Drill | None:
        """Take the drill, to play it until then; None where somebody else has it, or it does not run."""
        ...

    def keep(self, drill: Drill, claim: str, deadline: Deadline) -> None:
        """Keep how it stands by now; `Conflict` where somebody else has taken it."""
        ...

    def passed(self, at: datetime, deadline: Deadline) -> None:
        """A drill has passed."""
        ...

    def age_to_tell(self, now: datetime, deadline: Deadline) -> timedelta | None:
        """For how long no drill has passed, where the log is to be told of it; None where it was told lately."""
        ...


class PresenceGateway(Protocol):
    """A presence service. Everything raises `Unavailable`, with a `reason` where somebody has to mend something.

    What the service cannot carry of a hold (whose it is, what it found) its gateway keeps in a row of ours, written
    before the service is asked.
    """

    @property
    def embedded(self) -> bool:
        """Whether it is our own, whose presence is set by our routes."""
        ...

    def in_outage(self, object_id: str | None) -> "PresenceGateway":
        """The same service for a hold while the store is away: nothing is looked up or kept there.

        Where it ends by itself, it does so sooner. `object_id`: the Microsoft Entra object id of whom it is for.
        """
        ...

    def read(self, agent_id: str, deadline: Deadline) -> Presence:
        """The agent's presence now; an agent it has never heard of is offline."""
        ...

    def write(self, agent_id: str, presence: Presence, deadline: Deadline) -> Presence:
        """Set it; where the service can, only over `presence.version` (`Conflict`). Gives it with its new version."""
        ...

    def forget(self, agent_id: str, hold_id: str, deadline: Deadline) -> datetime | None:
        """Leave nothing of this hold, neither in the agent's presence nor behind it.

        If it is still in place it ends with it. Gives when to do so once more, where something of it may still land or
        show until then; None where nothing is left. `Conflict`: somebody else changed it meanwhile.
        """
        ...

    def remove(self, agent_id: str, deadline: Deadline) -> None:
        """Keep nothing here of this agent, who has left; what a service outside keeps is its own."""
        ...

    def ping(self, deadline: Deadline) -> None:
        """See that the service answers, and lets the app set presences (`Refused`); nobody's is touched."""
        ...


class OutboundProfiles(Protocol):
    """What the contact centre itself knows of whether an agent may call out."""

    def of(self, agent: Agent, deadline: Deadline) -> tuple[CapacityProfile, ...]:
        """The agent's capacity profiles there. Raises `Unavailable`."""
        ...


class Email(Struct, frozen=True, kw_only=True):
    """One message to recipients who do not see one another; `operation_id` makes a repeat the same message.

    `thread` is the same in all messages of one emergency (B6), "" where that has no name of its own.
    """

    operation_id: str
    recipients: tuple[str, ...]
    subject: str
    text: str
    html: str
    thread: str = ""


class Notifier(Protocol):
    """The e-mail service. `reports`: it tells later how each recipient's message fared."""

    reports: bool

    def send(self, email: Email, deadline: Deadline) -> None:
        """Hand a message over. `Unavailable` (with its Retry-After): later; with a `reason`, it does not serve us.

        `RecipientsRefused` names the addresses that the service will not take. `Refused`: perhaps for a recipient.
        """
        ...


class MailQuota(Protocol):
    """How many messages the sender may send, of all processes together. Nothing here raises."""

    def take(self, wanted: int, deadline: Deadline, *, in_turn: bool = False, repeat: bool = False) -> int:
        """How many of so many messages may be sent now; `in_turn`: they waited already.

        `repeat`: they are no first words, for which a part of the quota is kept.
        Where the store cannot count, what this process may send in an outage.
        """
        ...

    def take_in_outage(self, wanted: int) -> int:
        """The same without the store: each process has a third."""
        ...

    def give_back(self, taken_at: datetime, deadline: Deadline) -> None:
        """One that was taken then, or later, was not sent: it counts no more, as far as its minute and hour last.

        What cannot be counted by the deadline is, with whatever this process counts next.
        """
        ...


class RenderedNotice(Struct, frozen=True):
    """A notice in words."""

    subject: str
    text: str
    html: str


class NoticeTemplate(Protocol):
    """The Emergency Call Notification Template."""

    def render(self, notice: Notice, now: datetime) -> RenderedNotice:
        """The words of a notice. It never fails: where an edited template does, the built-in one serves (B6)."""
        ...


class StoredTemplate(Struct, frozen=True, kw_only=True):
    """A template and its version; `edited`: an administrator put it in place of the built-in one."""

    sources: TemplateSources
    version: str
    edited: bool


class Templates(Protocol):
    """The templates that administrators write (S7): one for each kind and language, over the built-in ones."""

    def read(self, kind: TemplateKind, language: str, deadline: Deadline) -> StoredTemplate:
        """The template as it is now. Raises `Unavailable`."""
        ...

    def save(
        self, kind: TemplateKind, language: str, sources: TemplateSources, over: str | None, deadline: Deadline
    ) -> StoredTemplate:
        """Put it in place: any if `over` is None, else only over that version (`Conflict`). Raises `Unavailable`."""
        ...

    def remove(self, kind: TemplateKind, language: str, over: str | None, deadline: Deadline) -> None:
        """The built-in one again; that it is already is as good. Raises `Conflict`, `Unavailable`."""
        ...

    def lint(self, sources: TemplateSources, kind: TemplateKind) -> list[Fault]:
        """Why a template may not be saved; nothing where it may (B6)."""
        ...

    def preview(
        self, sources: TemplateSources, kind: TemplateKind, language: str, now: datetime
    ) -> RenderedNotice | None:
        """A notice with sample facts; None where the template is not in the language, or cannot be rendered."""
        ...


class Invite(Struct, frozen=True, kw_only=True):
    """Somebody to be rung and added to a call: a raw ACS identity, or an E.164 number called from `caller_id`.

    `invitation_id` comes back with the events of this invitation, and goes to the softphone with the mark that this is
    an emergency callback.
    """

    connection_id: str
    invitation_id: str
    target: str
    ring_s: int
    caller_id: str | None


class CallRouter(Protocol):
    """Call control."""

    def redirect(self, incoming_call_context: str, target: str, *, origin: str, deadline: Deadline) -> None:
        """Send an incoming call on to `target` (raw ACS identity or E.164), once for each `origin`.

        `Unavailable`: try again. `Refused`: the call is gone, or the target cannot be had.
        """
        ...

    def answer(
        self, incoming_call_context: str, events_url: str, *, operation_context: str, origin: str, deadline: Deadline
    ) -> str:
        """Answer an incoming call, once for each `origin`; gives the connection's id. Its events go to `events_url`.

        `Unavailable`: try again; it may have been answered. `Refused`: it cannot be answered any more.
        """
        ...

    def invite(self, invite: Invite, deadline: Deadline) -> Pending[str]:
        """Ring somebody and add them when they answer, once for each invitation id; gives call control's name for it.

        `NotFound`: the call is over. `Refused`: the target cannot be had. `Unavailable`: try again.
        """
        ...

    def cancel(self, connection_id: str, handle: str, *, origin: str, deadline: Deadline) -> None:
        """Stop ringing somebody. `NotFound`: the call is over. `Refused`: they ring no more. `Unavailable`: later."""
        ...

    def people(self, connection_id: str, deadline: Deadline) -> frozenset[str]:
        """Who is on the call now, as raw identities. Raises `NotFound`, `Refused`, `Unavailable`."""
        ...

    def play(self, connection_id: str, url: str, *, origin: str, deadline: Deadline) -> None:
        """Play a sound file to everyone on the call. Raises `NotFound`, `Refused`, `Unavailable`."""
        ...


class CallEventGuard(Protocol):
    """Whether an event of a call was sent by call control."""

    def require(self, authorization: str | None, deadline: Deadline) -> None:
        """Raise `NotSignedIn` unless the header holds a token that call control made for us and for now.

        `Unavailable`: nobody can tell at the moment.
        """
        ...


class RecordingStore(Protocol):
    """Where the communication service keeps recordings."""

    def delete(self, location: str, deadline: Deadline) -> None:
        """Delete one file; `location` is the delete location that its event named.

        `NotFound`: it is gone already. `Unavailable`: try again. `Refused`: it is not the service's to delete.
        """
        ...

    def stop(self, recording_id: str, deadline: Deadline) -> None:
        """Stop a recording that runs. `NotFound`: it runs no more. `Unavailable`: try again. `Refused`: never."""
        ...


class OwedRecording(Struct, frozen=True, kw_only=True):
    """A recording in the outbox, when it is due, and how often it was tried."""

    version: str
    due_at: datetime
    attempts: int
    recording: Recording


class RecordingOutbox(Protocol):
    """The recordings that are to be deleted or held back. Everything raises `Unavailable`."""

    def owe(self, recording: Recording, until: datetime, deadline: Deadline) -> OwedRecording | None:
        """Keep it, due at `until`; None where it is kept already."""
        ...

    def owed(self, now: datetime, limit: int, deadline: Deadline) -> list[OwedRecording | Broken]:
        """What is due by now, longest overdue first."""
        ...

    def set_aside(self, broken: Broken, now: datetime, deadline: Deadline) -> None:
        """Let no sweep meet it again before it can be read; `Conflict` if somebody else changed it meanwhile."""
        ...

    def held_for(self, agent_key: str, limit: int, deadline: Deadline) -> list[OwedRecording]:
        """What may be of this agent's emergency and is held back."""
        ...

    def put_off(
        self, owed: OwedRecording, rest: Recording, until: datetime, attempts: int, deadline: Deadline
    ) -> OwedRecording:
        """The rest of it is due again at `until`, after so many tries. `Conflict`: somebody else has it."""
        ...

    def strike_off(self, owed: OwedRecording, deadline: Deadline) -> None:
        """Nothing is left of it, here either. `Conflict`: somebody else has it."""
        ...


class Telemetry(Protocol):
    """Counts and outcomes; what may be said is listed in `shared.telemetry`."""

    def emit(self, event: str, **facts: str | int | float | bool) -> None:
        """Say that something happened, with facts that are neither personal nor ids."""
        ...


class OutageDial(Struct, frozen=True, kw_only=True):
    """A dial that was answered without the store.

    `by` is `Caller.owner` of the one who reported it, `owner` that of an agent without an entry whose object id was
    named: they are shown it as well. `established`: it was known whose dial it is; else nobody but those two is shown
    it. `agent_key` is the key of the id that it was answered with, `call_key` that of its call id; `identity` is the
    ACS identity that it said, and `server_key` the key of the server call; `names` are `DialFacts.names`.
    """

    agent_key: str
    call_key: str
    identity: str | None = None
    server_key: str | None = None
    expires_at: datetime
    test: bool
    situation: Situation = Situation()
    by: str = ""
    owner: str | None = None
    established: bool = True
    names: Mapping[str, str | None] = {}


class OutageLog(Protocol):
    """What this process did for agents while the store was away: in memory, bounded, for the window's length.

    `dial_key` is `DialFacts.outage_key`.
    """

    def mailed(self, dial_key: str) -> bool:
        """Whether a notice of this dial was sent in an outage, or is on its way."""
        ...

    def claim_mail(self, dial_key: str) -> bool:
        """Whether this dial's notice is the caller's to send; a repeated request must not send it twice."""
        ...

    def grants_mail(self, dial_key: str, principal: str, most: int, now: datetime, *, counts: bool = True) -> bool:
        """Whether a principal may cause this dial's notice, one of so many in ten minutes; the same if repeated.

        Unless it `counts`, none is taken.
        """
        ...

    def return_mail(self, dial_key: str) -> None:
        """The notice could not be sent: the next request may try."""
        ...

    def mail_accepted(self, dial_key: str, addresses: Sequence[str]) -> None:
        """The notice was accepted for these."""
        ...

    def mailed_to(self, dial_key: str) -> tuple[str, ...]:
        """For whom this dial's notice was accepted."""
        ...

    def recorded(self, dial_key: str, agent_key: str) -> None:
        """A dial that was answered without the store is recorded, and what it is of is stored under this key."""
        ...

    def recorded_under(self, dial_key: str) -> str | None:
        """Under which key; None as long as this process does not know."""
        ...

    def dialled(self, agent_id: str, dial: OutageDial) -> None:
        """This agent dialled and was answered without the store."""
        ...

    def dialling(self, agent_id: str, now: datetime, by: str | None = None) -> OutageDial | None:
        """The emergency that this agent's panel shows although the store knows nothing of it; None once expired.

        Only what was reported by the owner `by`, or is theirs, unless that is None: then the latest that is
        established, whoever reported it.
        """
        ...

    def all_dialling(self, now: datetime) -> list[OutageDial]:
        """Every such dial, whoever reported it, the latest of each who did."""
        ...

    def holding(self, dial_key: str, hold: OutageHold) -> None:
        """Presence was set for this dial; the hold carries what it found."""
        ...

    def held(self, dial_key: str) -> OutageHold | None:
        """What the hold for this dial found; None where this process set none."""
        ...

    def over(self, by: str, call_key: str) -> None:
        """The store knows this call by now, as reported by this owner; not a later one, nor an earlier."""
        ...


class Allowances(Protocol):
    """So much for each principal in ten minutes: in memory, bounded."""

    def grants(self, principal: str, most: int, now: datetime) -> bool:
        """Whether this principal may once more."""
        ...


# Who goes first ------------------------------------------------------------------------------------------------------


class Share(Struct, frozen=True, kw_only=True):
    """What one principal may have of a line: so many who wait and, of those who come, a `burst` and then `per_s`.

    `burst` None: as many as come.
    """

    most_waiting: int
    burst: int | None = None
    per_s: float = 0.0


class Turns(Protocol):
    """So many at a time; the others wait in line, and principals take turns."""

    def turn(
        self, principal: str | None = None, *, sender: str | None = None, share: Share | None = None
    ) -> AbstractContextManager[bool]:
        """Whether it was one's turn in time; the turn lasts until the end of the block.

        `principal` None: one of their own; `sender` None: the principal. Raises `LineFull` where the principal has had
        its `share`.
        """
        ...

    def give_back(self, principal: str) -> None:
        """What came last was not the principal's to answer for, and does not count for their pace."""
        ...

    def wait_until_quiet(self, most_s: float) -> None:
        """Stand back while anybody has a turn or waits for one, but not longer than `most_s`."""
        ...


class SharedLook(Protocol):
    """One look for all who ask at once."""

    def ask(self, look: Callable[[], bool]) -> bool:
        """What `look` sees now or, while somebody else looks, what was seen last."""
        ...


class Repeats(Protocol):
    """What was answered without the store is done again by this process, until the store has it."""

    def keep(self, principal: str, key: str, again: Callable[[], bool], most: int) -> None:
        """Call `again` until it says that it is done: the latest for each `key`, and the latest `most` of a principal.

        Principals take turns.
        """
        ...


class Answers[A](Protocol):
    """What this process has answered lately, by who asked what."""

    def keep(self, key: str, answer: A) -> None:
        """The latest for each key."""
        ...

    def given(self, key: str) -> A | None:
        """What was answered lately; None where nothing was, or too long ago."""
        ...


class Effects[E: Hashable](Protocol):
    """Does what is owed beside whoever owes it, each effect in a try of its own.

    `perform` does one and gives those that follow from it; what it raises is left to the outbox.
    """

    def start(self, effects: Sequence[E], perform: Callable[[E], Sequence[E]]) -> None:
        """Begin all at once, after the answer that they follow from; nobody waits."""
        ...

    def finish(self, effects: Sequence[E], perform: Callable[[E], Sequence[E]]) -> None:
        """Begin all at once and wait for them; what takes too long goes on, and the outbox has it in any case."""
        ...
