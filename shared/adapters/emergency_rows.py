"""The rows of the emergencies' partition: names, and what each emergency looks like as rows.

    agent|{agent}                           the emergency itself; its version fences every transition
    call|{call}                             whose call an id is, or that it ended before it started
    call|{call}|{agent}                     likewise, where something else is recorded under the id already; of an end
                                            without a start, by who told it of whom
    server|{call}|{rank}|{agent}            who claims a server call, or for whom it was seen
    starter|{identity}|{rank}|{agent}       who has an untied leg and would start its server call by this identity
    starter|{identity}|{rank}|guess|{agent} who has none, but one whose server call is inferred
    untied|{rank}|{agent}                   who has an untied leg, whatever the identity
    number|{digits}|                        the slot, rewritten by whatever lends the number; `leaves`: no longer in
                                            the pool
    number|{digits}|{agent}                 a holder of the number, with all that a callback needs
    free|{zone}|{since}|{digits}            a number that may be lent, and since when
    rest|{zone}|{lease_end}|{digits}|{agent}
                                            a held number whose legs are all over, and when its lease ends: from then
                                            on it may be taken from this holder; of a drill, at once
    share|{zone}|{rank}|{digits}|{agent}    a held number that may be shared: the rank is the end of the last leg,
                                            during a leg "9" and the time of the dial, which sorts last, of a drill
                                            when the number was lent
    due|{at}|{subject}|{key}                what time alone brings up
    bare|{at}|{subject}|{key}               what is only to be removed then: unlisted agents can have thousands of rows
                                            kept, and no hold and no lease ends later for that
    callback|{id}                           a responder's callback, while it lasts; then its id alone, for `call_policy`
    ladder|{at}|{id}                        when the sweep moves a callback on, if nothing else has
    outbox|{at}|presence|{agent}            an owed reconciling of a presence
    outbox|{at}|notice|{id}                 an owed notice
    waiting|{at}|notice|{id}                a notice that waits for the sender's quota; `at` is when what it tells of
                                            happened
    look|{at}|{agent}                       when to check that a held presence is still what we set
    look|{at}|{agent}|closing               when to check whether somebody must be told that it is over
    unlisted|{agent}|{key}                  an emergency under an id that nobody in the directory has: each that a dial
                                            of an unlisted agent was answered with, or that a machine calls a listed one
    outside|{principals}|{place}            a place among the bounded emergencies of unlisted agents
    unknown|{place}                         a place among the numbers that unlisted agents may hold
    ration|{window}|{principal}|{place}     a notice that an unlisted principal caused in ten minutes
    recording|{recording}                   files to be deleted or held back
    deletion|{at}|{recording}               when that is due
    held|{agent}|{recording}                whose emergency those files may be of
    mail|{operation}                        a message's way to its recipients
    pool                                    which CALLBACK_NUMBERS the slots stand for
    pool|{hash}                             the numbers in one setting of CALLBACK_NUMBERS, and when a host with that
                                            setting was last seen
    broken|{at}|{key}                       one of the above that nobody could use: when it is looked at again

The rank of `server`, `starter` and `untied` (`Emergency.rank`) sorts agents of the directory first, so that a page of
rows that unlisted agents fill never hides them. A zone is the country of the number: a caller is lent one of their own
first.
Outside ids are hashed in every key, those of people with a secret (KEY_SECRETS).

An emergency's own row lists the index rows that were written with it, so that the
next transition removes exactly those, also when another version of this code wrote them.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime

import msgspec

from shared.adapters.table import (
    MAX_TEXT_UTF16_UNITS,
    Row,
    Values,
    key_in,
    kind_of,
    long_state_values,
    read_long_state,
    read_row,
    read_state,
    require_key,
    state_text,
    utf16_units,
)
from shared.domain.callbacks import Callback
from shared.domain.confidentiality import Recording
from shared.domain.emergencies import (
    Emergency,
    Leg,
    Standing,
    UnlistedEmergencyPlace,
    closings_due,
    due_at,
    standing,
    with_threads_apart,
)
from shared.domain.errors import Unreadable
from shared.domain.identities import raw_identity
from shared.domain.ids import agent_key_of, key_of
from shared.domain.keys import KeyRing
from shared.domain.leases import Lease, Rules
from shared.domain.notifications import Notice
from shared.domain.phone_numbers import digits_of, is_e164
from shared.domain.pool import NumberUse, Rest, zone_of_number
from shared.ports import CallOwner, Dispatch, Holder, OwedNotice, OwedRecording, Stored, StoredCallback, WaitingNotice

SCHEMA = 1
# Of an emergency's own row; the first one held the keys of the rows of its calls and places.
EMERGENCY_SCHEMA = 2
BUSY_RANK = "9"
POOL_ROW = "pool"
GUESSED = "|guess|"
# What begins the keys of rows that are kept of people.
ROWS_OF_PEOPLE = "agent|", "call|"
OUT_OF_LINE: Values = {"schema": SCHEMA, "pool": ""}
RESTS_LONGEST = datetime(2000, 1, 1, tzinfo=UTC)
_INDEX = msgspec.json.Decoder(tuple[str, ...])
_MOMENT = "%04d%02d%02dT%02d%02d%02d%06dZ"


def moment(at: datetime) -> str:
    """A time in a key: fixed width, so that keys sort by it."""
    utc = at.astimezone(UTC)
    return _MOMENT % (utc.year, utc.month, utc.day, utc.hour, utc.minute, utc.second, utc.microsecond)


def moment_in(key: str) -> datetime:
    """The time in the second part of a key."""
    return moment_of(key.split("|")[1])


def read_moment(row: Row) -> datetime:
    """The time in the second part of the row's key; raises `Unreadable` for a key that this code does not write."""
    return read_row(row, lambda each: moment_in(each.key))


def moment_of(text: str) -> datetime:
    """The time that `moment` wrote."""
    return datetime.fromisoformat(f"{text[:15]}.{text[15:]}")


def agent_row(agent_key: str) -> str:
    """Where an agent's emergency is."""
    return f"agent|{agent_key}"


def call_row(call_key: str, apart: str | None = None) -> str:
    """Where a call id is recorded; `apart`: beside what else is recorded under it, under this key as well."""
    return f"call|{call_key}" if apart is None else f"call|{call_key}|{apart}"


def leg_row(leg: Leg, agent_key: str) -> str:
    """Where the call id of a leg of this agent's is recorded."""
    return call_row(leg.call_key, agent_key if leg.apart else None)


def slot_row(number: str) -> str:
    """A number's slot, which sorts before its holders."""
    return f"number|{digits_of(number)}|"


def holder_row(number: str, agent_key: str) -> str:
    """A holder of a number."""
    return f"number|{digits_of(number)}|{agent_key}"


def free_row(number: str, since: datetime) -> str:
    """A number that may be lent, the longest free first."""
    return f"free|{zone_of_number(number)}|{moment(since)}|{digits_of(number)}"


def number_in(key: str) -> str:
    """The number that a `free` key is about; raises `LookupError`, `ValueError` for one that this code never wrote."""
    number = "+" + _without_zone(key).split("|")[2]
    if not is_e164(number):
        raise ValueError("a free key names a number")
    return number


def by_free_number(rows: Iterable[Row]) -> dict[str, Row]:
    """What is free, by number; without rows whose keys this code never wrote."""
    return dict(map_readable(lambda row: (number_in(row.key), row), rows))


def _without_zone(key: str) -> str:
    """The key as the version before this one wrote it, without the zone of its number."""
    kind, _, rest = key.partition("|")
    zone, _, unzoned = rest.partition("|")
    return f"{kind}|{unzoned}" if zone.isalpha() else key


def has_zone(key: str) -> bool:
    """Whether the key says of which zone its number is."""
    return _without_zone(key) != key


def unlisted_number_row(place: int) -> str:
    """A place among the numbers that unlisted agents may hold together."""
    return f"unknown|{place:05}"


def unlisted_emergency_row(place: UnlistedEmergencyPlace) -> str:
    """A place among the emergencies of unlisted agents whom these principals report."""
    return f"outside|{place.principals}|{place.number:04}"


def alone_rows(emergency: Emergency) -> dict[str, Values]:
    """The places that the emergency takes: each is one emergency's alone."""
    rows: dict[str, Values] = {}
    if emergency.unlisted_emergency_place is not None:
        rows[unlisted_emergency_row(emergency.unlisted_emergency_place)] = {"schema": SCHEMA}
    lease = emergency.lease
    if emergency.unlisted_number_place is not None and lease is not None and not lease.lost and not lease.drill:
        rows[unlisted_number_row(emergency.unlisted_number_place)] = {"schema": SCHEMA, "number": lease.number}
    return rows


def ration_row(window: datetime, owner_key: str, place: int) -> str:
    """A notice that this principal may cause in this window."""
    return f"ration|{moment(window)}|{owner_key}|{place:02}"


def read_use(row: Row) -> NumberUse:
    """What a `share` row says of its number."""
    _, rank, digits, _ = _without_zone(row.key).split("|", 3)
    if rank.startswith(BUSY_RANK):
        return NumberUse("+" + digits, moment_of(rank.removeprefix(BUSY_RANK)), busy=True)
    return NumberUse("+" + digits, moment_of(rank), busy=False)


def by_shared_number(rows: Iterable[Row]) -> dict[str, str]:
    """A `share` row of each number that somebody holds: of its holders the most active one's, which sorts last."""
    return dict(map_readable(lambda row: (read_use(row).number, row.key), rows))


def read_rest(row: Row) -> Rest:
    """What a `rest` row says of its number."""
    _, at, digits, _ = _without_zone(row.key).split("|", 3)
    return Rest("+" + digits, moment_of(at))


def map_readable[T](read: Callable[[Row], T], rows: Iterable[Row]) -> Iterator[T]:
    """What the rows say, but for those that cannot be read: they keep nobody's call."""
    for row in rows:
        try:
            yield read_row(row, read)
        except Unreadable:
            continue


def due_row(at: datetime, subject: str, key: str) -> str:
    """Something that time alone brings up."""
    return f"due|{moment(at)}|{subject}|{key}"


def bare_row(at: datetime, subject: str, key: str) -> str:
    """Something that is only to be removed when its time has come."""
    return f"bare|{moment(at)}|{subject}|{key}"


def notice_row(at: datetime, notice_id: str) -> str:
    """An owed notice."""
    return f"outbox|{moment(at)}|notice|{notice_id}"


def waiting_row(notice: Notice) -> str:
    """A notice that the sender's quota keeps waiting."""
    return f"waiting|{moment(notice.happened_at)}|notice|{notice.notice_id}"


def presence_row(at: datetime, agent_key: str) -> str:
    """An owed reconciling of an agent's presence."""
    return f"outbox|{moment(at)}|presence|{agent_key}"


def look_row(at: datetime, agent_key: str) -> str:
    """A look at a presence that is held."""
    return f"look|{moment(at)}|{agent_key}"


def closing_row(at: datetime, agent_key: str) -> str:
    """A look at whom must be told that an emergency is over."""
    return f"look|{moment(at)}|{agent_key}|closing"


def callback_row(callback_id: str) -> str:
    """Where a callback is."""
    return f"callback|{callback_id}"


def dispatch_due_row(dispatch: Dispatch) -> str:
    """When a message's way to its recipients is to be forgotten."""
    return bare_row(dispatch.expires_at, "mail", dispatch.operation_id)


def callback_due_row(at: datetime, callback: Callback) -> str:
    """A callback that the sweep is to take up or, of a closed one, to forget."""
    if callback.closed:
        return bare_row(at, "callback", callback.callback_id)
    return f"ladder|{moment(at)}|{callback.callback_id}"


def state_values(state: msgspec.Struct, **more: str | int) -> Values:
    """A row that holds `state`, with its schema version; raises `ValueError` where `read_state` would refuse it."""
    return {"schema": SCHEMA, "state": state_text(state), **more}


def mail_values(state: Notice | Dispatch, **more: str | int) -> Values:
    """A row that holds `state`, of however many notices it is made."""
    return _values_of_any_length(state, SCHEMA, **more)


def _values_of_any_length(state: msgspec.Struct, schema: int, **more: str | int) -> Values:
    """A row that holds `state`: in several texts where one cannot hold it.

    In one wherever that can be, because the version before reads an emergency or a callback in no other form.
    """
    text = state_text(state)
    short = utf16_units(text) <= MAX_TEXT_UTF16_UNITS
    return {"schema": schema, "state": text, **more} if short else {**long_state_values(state, schema=schema), **more}


def read_state_of_any_length[T](row: Row, kind: type[T]) -> T:
    """What is in one text or in several; raises `Unreadable`."""
    return read_long_state(row, kind) if "parts" in row.values else read_state(row, kind)


def index_rows(emergency: Emergency, rules: Rules, now: datetime, ring: KeyRing) -> dict[str, Values]:
    """Every row that belongs to the emergency besides its own."""
    key, stands = emergency.agent_key, standing(emergency, rules, now)
    bare: Values = {"schema": SCHEMA}
    rows = {leg_row(leg, key): state_values(_owner_of(leg, emergency)) for leg in emergency.legs}
    rows |= _rows_for_events(emergency, stands, ring)
    rows |= {f"unlisted|{ring.first(agent_key_of(each))}|{key}": bare for each in emergency.ids_without_entry}
    rows |= alone_rows(emergency)
    rows |= _number_rows(emergency, rules)
    rows[due_row(due_at(emergency, stands, rules, now), "agent", key)] = bare
    if emergency.presence_due_at is not None:
        rows[presence_row(emergency.presence_due_at, key)] = bare
    if emergency.presence_look_at is not None:
        rows[look_row(emergency.presence_look_at, key)] = bare
    rows |= {closing_row(at, key): bare for at in closings_due(emergency, stands, rules)}
    return rows


def _rows_for_events(emergency: Emergency, stands: Standing, ring: KeyRing) -> dict[str, Values]:
    """By which an event of a server call, or of a recording, finds the emergency."""
    # The version before reads the rank in the row, and finds a row of whatever is between its prefix and the agent.
    last = f"{emergency.rank}|{emergency.agent_key}"
    ranked: Values = {"schema": SCHEMA, "rank": emergency.rank}
    rows = {f"server|{server_key}|{last}": ranked for server_key in _server_keys(emergency)}
    if stands.untied or stands.guessed:
        # What has all its calls, some by a guess, matters to events of its starter alone.
        found_by = last if stands.untied else f"{emergency.rank}{GUESSED}{emergency.agent_key}"
        names = (key_of(raw_identity(starter)) for starter in emergency.starters)
        rows |= {f"starter|{ring.first(name)}|{found_by}": ranked for name in names}
    if stands.untied and emergency.starters:
        rows[f"untied|{last}"] = ranked
    return rows


def by_rank(rows: Iterable[Row]) -> list[Row]:
    """Index rows in the order in which an event is to look at them; those of an older version come first."""
    return sorted(rows, key=lambda row: rank if isinstance(rank := row.values.get("rank"), int) else 0)


def _owner_of(leg: Leg, emergency: Emergency) -> CallOwner:
    apart = emergency.agent_key if leg.apart else None
    return CallOwner(
        call_key=leg.call_key,
        apart=apart,
        agent_key=emergency.agent_key,
        owner=emergency.owner,
        leg_id=leg.leg_id,
        reported_by=leg.reported_by,
    )


def _server_keys(emergency: Emergency) -> set[str]:
    claimed = {claim for leg in emergency.legs for claim in leg.claims}
    seen = {sighting.server_key for sighting in emergency.sightings}
    correlated = {sighting.correlation_key for sighting in emergency.sightings if sighting.correlation_key}
    return claimed | seen | correlated


def _number_rows(emergency: Emergency, rules: Rules) -> dict[str, Values]:
    lease, key = emergency.lease, emergency.agent_key
    if lease is None or lease.lost:
        return {}
    digits, zone = digits_of(lease.number), zone_of_number(lease.number)
    holder = Holder(agent_id=emergency.agent_id, agent_key=key, lease=lease, reach=emergency.reach)
    rows: dict[str, Values] = {
        holder_row(lease.number, key): state_values(holder),
        share_row(lease, key): share_values(),
    }
    if lease.drill:
        # As one that has rested longest of all: a dial that finds nothing free takes it from the drill.
        rows[f"rest|{zone}|{moment(RESTS_LONGEST)}|{digits}|{key}"] = {"schema": SCHEMA}
    elif _idle_since(lease):
        rows[f"rest|{zone}|{moment(lease.ends_at(rules))}|{digits}|{key}"] = {"schema": SCHEMA}
    return rows


def share_row(lease: Lease, agent_key: str) -> str:
    """That this agent holds the number, which may be shared; there for as long as they hold it and nothing changes."""
    # Those in a call come last of all that can be shared (B2), the longest in it first.
    idle_since = lease.lent_at if lease.drill else _idle_since(lease)
    rank = moment(idle_since) if idle_since else BUSY_RANK + moment(lease.dialled_at)
    return f"share|{zone_of_number(lease.number)}|{rank}|{digits_of(lease.number)}|{agent_key}"


def share_values() -> Values:
    """All that stands in such a row: to rewrite it changes nothing."""
    return {"schema": SCHEMA}


def _idle_since(lease: Lease) -> datetime | None:
    return None if lease.busy_until else lease.last_ended_at


def emergency_values(emergency: Emergency, index: Mapping[str, Values]) -> Values:
    """The emergency's own row."""
    listed = msgspec.json.encode(sorted(index)).decode()
    return _values_of_any_length(emergency, EMERGENCY_SCHEMA, index=listed)


def callback_values(callback: Callback, due: str) -> Values:
    """A responder's callback; `due` is the row that brings it up."""
    return _values_of_any_length(callback, SCHEMA, due=due)


def read_stored(row: Row | None) -> Stored:
    """The emergency in its row."""
    if row is None:
        return Stored(None)
    first = row.values.get("schema") == SCHEMA
    emergency = read_row(row, _read_first_schema) if first else read_state_of_any_length(row, Emergency)
    if emergency.lease is None or agent_row(emergency.agent_key) != row.key:
        # It decodes, and is no emergency that this code has written.
        raise Unreadable(kind_of(row.key))
    return Stored(with_threads_apart(emergency), row.version, read_row(row, listed_index))


def _read_first_schema(row: Row) -> Emergency:
    """The emergency in a row of the version before, made of the keys in it."""
    state = msgspec.json.decode(str(row.values["state"]))
    for leg in state["legs"]:
        _, leg["call_key"], *apart = leg["call_row"].split("|")
        leg["apart"] = bool(apart)
    if state.get("quota") is not None:
        state["quota_place"] = int(state["quota"].split("|")[1])
    if state.get("place") is not None:
        _, principals, number = state["place"].split("|")
        state["outside_place"] = {"principals": principals, "number": int(number)}
    return msgspec.convert(state, Emergency)


def recording_row(recording_key: str) -> str:
    """Where a recording is that is to be deleted or held back."""
    return f"recording|{recording_key}"


def read_recording(row: Row) -> OwedRecording:
    """A recording that is to be deleted or held back."""
    recording = read_state(row, Recording)
    due_at = read_row(row, lambda each: moment_in(str(each.values["due"])))
    attempts = read_row(row, lambda each: int(each.values.get("attempts", 0)))
    return OwedRecording(version=row.version, due_at=due_at, attempts=attempts, recording=recording)


def listed_index(row: Row) -> tuple[str, ...]:
    """The index rows that were written with an emergency; raises `ValueError` where one of them can be none."""
    listed = _INDEX.decode(str(row.values["index"]))
    for key in listed:
        require_key(key)
    return listed


def read_call(row: Row) -> CallOwner:
    """What is recorded under a call id: which one, the row's own key says."""

    def read(each: Row) -> CallOwner:
        _, call_key, *apart = each.key.split("|")
        said = msgspec.json.decode(str(each.values["state"]), type=dict[str, object])
        named = {"call_key": call_key, "apart": apart[0] if apart else None, "version": each.version}
        return msgspec.convert(said | named, CallOwner)

    return read_row(row, read)


def read_holder(row: Row) -> Holder:
    """A holder of a number."""
    return read_state(row, Holder)


def read_callback(row: Row | None) -> StoredCallback:
    """The callback in its row."""
    if row is None:
        return StoredCallback(None)
    callback, due = read_state_of_any_length(row, Callback), read_row(row, lambda each: key_in(each, "due"))
    return StoredCallback(callback, row.version, due)


class OfNumber(msgspec.Struct, frozen=True):
    """A number's slot, None if it is not of the pool; its holders, the newest lease first; how many cannot be read."""

    slot: Row | None
    holders: list[Holder]
    unreadable: int = 0


def read_slot_and_holders(number: str, rows: Sequence[Row]) -> OfNumber:
    """What the rows say of the number. A holder that cannot be read keeps no callback from the others."""
    slot = next((row for row in rows if row.key == slot_row(number)), None)
    holders: list[Holder] = []
    unreadable = 0
    for row in rows:
        if row.key == slot_row(number):
            continue
        try:
            holders.append(read_holder(row))
        except Unreadable:
            unreadable += 1
    return OfNumber(slot, sorted(holders, key=lambda holder: holder.lease.dialled_at, reverse=True), unreadable)


def slots_and_held(rows: Iterable[Row]) -> tuple[dict[str, Row], set[str]]:
    """All numbers' slots, and the numbers that somebody holds."""
    slots: dict[str, Row] = {}
    held: set[str] = set()
    for row in rows:
        digits, _, holder = row.key.partition("|")[2].partition("|")
        if holder:
            held.add("+" + digits)
        else:
            slots["+" + digits] = row
    return slots, held


def read_dispatch(row: Row) -> Dispatch:
    """A message's way to its recipients."""
    return read_state_of_any_length(row, Dispatch)


def read_owed_notice(row: Row) -> OwedNotice:
    """An owed notice."""
    notice = read_state_of_any_length(row, Notice)
    attempts = read_row(row, lambda each: int(each.values.get("attempts", 0)))
    return OwedNotice(row=row.key, due_at=read_moment(row), version=row.version, attempts=attempts, notice=notice)


def read_waiting_notice(row: Row) -> WaitingNotice:
    """A notice that waits; one that was tried may have been sent."""
    first_word = read_row(row, lambda each: bool(each.values.get("first_word")))
    return WaitingNotice(owed=read_owed_notice(row), first_word=first_word)
