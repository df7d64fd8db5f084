"""Who a dial or a route is about: what a sign-in says outranks what is claimed (*who speaks for whom*)."""

from collections.abc import Callable, Iterator
from contextlib import suppress
from functools import partial
from itertools import batched

from msgspec import structs

from shared.deadlines import Deadline
from shared.domain.agents import Agent
from shared.domain.callers import Caller, CallerKind, same_agent
from shared.domain.emergencies import Emergency
from shared.domain.errors import NotAllowed, Unreadable
from shared.domain.ids import agent_key_of
from shared.domain.subjects import (
    Subject,
    claimed,
    entry_named,
    impersonated,
    is_own_entry,
    left_behind,
    listed,
    may_have_been_theirs,
    owners_before,
    reported_owner,
    unlisted,
)
from shared.ports import READ_AT_ONCE, AgentDirectory, EmergencyStore, Pending, Stored


def identify_dial(
    agent_id: str, object_id: str | None, *, caller: Caller, directory: AgentDirectory, deadline: Deadline
) -> Subject:
    """Whose emergency a dial is. `object_id` is what a machine or an event says of the agent.

    One reading for whoever names themself rightly, as all do but unlisted agents. Raises `Unavailable`.
    """
    named = directory.find(agent_id, deadline).result()
    if caller.is_agent:
        return _own_dial(agent_id, named, caller, directory, deadline)
    if named is not None:
        return listed(named)
    entries = directory.own(object_id, deadline).result() if object_id else ()
    return listed(entries[0], agent_id) if entries else unlisted(agent_id, reported_owner(caller, object_id))


def _own_dial(
    agent_id: str, named: Agent | None, caller: Caller, directory: AgentDirectory, deadline: Deadline
) -> Subject:
    if named is not None and is_own_entry(caller, named):
        return listed(named)
    own = own_entries(caller, directory, deadline)
    if own:
        return listed(own[0], claimed(agent_id, caller))
    return unlisted(agent_id, caller.owner) if named is None else impersonated(caller, named)


def presumed(agent_id: str, caller: Caller, directory: AgentDirectory | None, object_id: str | None = None) -> Subject:
    """Whose a dial is taken to be as long as nobody can be asked: by what this process knows of its directory.

    An agent of whom it knows nothing is whoever signed in, under the id that they give: never the one who has that id.
    Without a `directory` nothing is known. `object_id` as in `identify_dial`.
    """
    named = directory.last_known(agent_id) if directory is not None else None
    if not caller.is_agent:
        if named is not None:
            return listed(named)
        entries = directory.last_own(object_id) if directory is not None and object_id else ()
        return listed(entries[0], agent_id) if entries else _by_id(agent_id)
    if named is not None and is_own_entry(caller, named):
        return listed(named)
    own = directory.last_own(caller.name) if directory is not None else ()
    if own:
        return listed(entry_named(agent_id, own) or own[0], agent_id)
    if named is not None:
        return impersonated(caller, named)
    return unlisted(agent_id, caller.owner) if caller.agent_id is None else _by_id(caller.agent_id)


def _by_id(agent_id: str) -> Subject:
    return Subject(agent_id=agent_id, key=agent_key_of(agent_id))


def own_entries(caller: Caller, directory: AgentDirectory, deadline: Deadline) -> tuple[Agent, ...]:
    """The directory entries of a signed-in agent, in the order of their ids. Raises `Unavailable`.

    Usually it is one. Several have one object id where an agent was entered anew under another id.
    """
    if caller.agent_id is not None:
        entry = directory.find(caller.agent_id, deadline).result()
        return () if entry is None else (entry,)
    return directory.own(caller.name, deadline).result() if caller.name else ()


def own_entry_named(
    agent_id: str, own: tuple[Agent, ...], *, caller: Caller, directory: AgentDirectory, deadline: Deadline
) -> Agent | None:
    """The entry of this id, where it is the agent's: one of their `own`, else one that they were given since.

    The index of their own object id tells it, so that nothing is read of another's. Raises `Unavailable`.
    """
    named = entry_named(agent_id, own)
    if named is not None or not own or caller.agent_id is not None:
        return named
    is_own = agent_key_of(agent_id) in directory.own_keys(caller.name, deadline).result()
    return directory.find(agent_id, deadline).result() if is_own else None


def id_left(agent_id: str | None, caller: Caller, directory: AgentDirectory, deadline: Deadline) -> Pending[str | None]:
    """The id of an entry that was removed in the middle of an emergency: an agent's own, else the one that is named."""
    if caller.is_agent and caller.agent_id is None:
        return directory.own_left(caller.name, deadline)
    return directory.left(caller.agent_id or agent_id or "", deadline)


def begun_before(
    entry: Agent,
    *,
    caller: Caller,
    emergencies: EmergencyStore,
    directory: AgentDirectory,
    deadline: Deadline,
    emergency: str | None = None,
) -> tuple[Subject, Stored] | None:
    """Their emergency that began under another id than this entry's: it goes on under the key that it has.

    Nothing is read but where `may_have_begun_before` says that there may be one. Raises `Unavailable`.
    """
    if not directory.may_have_begun_before(entry):
        return None
    for subject in _elsewhere(entry, caller, directory, deadline):
        stored = emergencies.find(subject.key, deadline).result()
        if stored.emergency is not None and emergency in (None, stored.emergency.live_id):
            return subject, stored
    if caller.is_agent:
        return None
    theirs = _unlisteds if caller.kind is CallerKind.OFFICE else lambda each: may_have_been_theirs(each.owner, entry)
    subject, stored = _newest_of(entry.agent_id, emergency, emergencies, deadline, theirs)
    found = structs.replace(subject, agent_id=entry.agent_id, entry=entry)
    return None if stored.emergency is None else (found, stored)


def _elsewhere(entry: Agent, caller: Caller, directory: AgentDirectory, deadline: Deadline) -> Iterator[Subject]:
    """What the agent of an entry may have an emergency under besides that."""
    for owner in owners_before(entry, caller):
        yield structs.replace(unlisted(entry.agent_id, owner), entry=entry)
    yield from other_entries(entry, directory, deadline)


def other_entries(entry: Agent, directory: AgentDirectory, deadline: Deadline) -> Iterator[Subject]:
    """The agent of an entry, as of each other one that has their object id, and of the one that had it. Lazy: it reads.

    Their emergency under such a one goes on; the id for every further route is this entry's.
    """
    if not entry.entra_object_id:
        return
    for other in directory.own(entry.entra_object_id, deadline).result():
        if other.key != entry.key:
            yield Subject(agent_id=entry.agent_id, key=other.key, entry=entry, begun_as=other.agent_id)
    left = directory.own_left(entry.entra_object_id, deadline).result()
    if left is not None:
        yield Subject(agent_id=entry.agent_id, key=agent_key_of(left), entry=entry, begun_as=left)


def identify_emergency(
    agent_id: str,
    *,
    caller: Caller,
    emergencies: EmergencyStore,
    directory: AgentDirectory,
    deadline: Deadline,
    emergency: str | None = None,
) -> tuple[Subject, Stored]:
    """Whose emergency `/agents/{agent_id}/…` means, and the emergency. `emergency` is the one that the office named.

    For an agent only their own is ever read, so that neither answer nor time tells of another's. Raises `NotAllowed`,
    `Unavailable`.
    """
    if caller.is_agent:
        return _own_emergency(agent_id, caller, emergencies, directory, deadline)
    entry = directory.find(agent_id, deadline)
    reading = emergencies.find(agent_key_of(agent_id), deadline)
    found, stored = entry.result(), reading.result()
    if found is not None and stored.emergency is not None and emergency in (None, stored.emergency.live_id):
        return listed(found), stored
    if found is not None:
        before = begun_before(
            found,
            caller=caller,
            emergencies=emergencies,
            directory=directory,
            deadline=deadline,
            emergency=emergency,
        )
        return before or (listed(found), stored)
    if stored.emergency is not None and stored.emergency.owner is None:
        # Their entry was removed in the middle of it. One with an owner is another's, under whose key an id may fall.
        return _by_id(agent_id), stored
    if caller.kind is not CallerKind.OFFICE:
        return _newest_reported(agent_id, caller, emergencies, deadline)
    return _newest_of(agent_id, emergency, emergencies, deadline)


def _own_emergency(
    agent_id: str, caller: Caller, emergencies: EmergencyStore, directory: AgentDirectory, deadline: Deadline
) -> tuple[Subject, Stored]:
    own = own_entries(caller, directory, deadline)
    named = own_entry_named(agent_id, own, caller=caller, directory=directory, deadline=deadline)
    if named is None:
        return _without_that_entry(agent_id, own, caller, emergencies, directory, deadline)
    stored = emergencies.find(named.key, deadline).result()
    if stored.emergency is not None:
        return listed(named), stored
    before = begun_before(named, caller=caller, emergencies=emergencies, directory=directory, deadline=deadline)
    return before or (listed(named), stored)


def _without_that_entry(
    agent_id: str,
    own: tuple[Agent, ...],
    caller: Caller,
    emergencies: EmergencyStore,
    directory: AgentDirectory,
    deadline: Deadline,
) -> tuple[Subject, Stored]:
    """By an id that is no entry's of theirs: what a dial was answered with, the removed entry's, or what stands in."""
    entry = next(iter(own), None)
    subject = structs.replace(unlisted(agent_id, caller.owner), entry=entry)
    stored = emergencies.find(subject.key, deadline).result()
    if stored.emergency is not None and any(same_agent(each, agent_id) for each in stored.emergency.answered_ids):
        return subject, stored
    left = id_left(None, caller, directory, deadline).result()
    if left is not None and same_agent(left, agent_id):
        subject = structs.replace(left_behind(left), entry=entry)
        stored = emergencies.find(subject.key, deadline).result()
        if entry is None or stored.emergency is not None:
            return subject, stored
    elif entry is None and left is None and stored.emergency is None and same_agent(caller.stand_in or "", agent_id):
        return subject, stored
    raise NotAllowed


def _anybodys(_emergency: Emergency) -> bool:
    return True


def _unlisteds(emergency: Emergency) -> bool:
    return emergency.owner is not None


def _is_reported(agent_id: str, machine: str, emergency: Emergency) -> bool:
    """By this machine; of a listed agent only by the id that it calls them: another may call somebody else by it."""
    legs = [leg for leg in emergency.legs if leg.reported_by == machine]
    return any(emergency.owner is not None or same_agent(leg.reported_as or "", agent_id) for leg in legs)


def _newest_reported(
    agent_id: str, caller: Caller, emergencies: EmergencyStore, deadline: Deadline
) -> tuple[Subject, Stored]:
    """What this machine reported last: under a key of its own or, where it named the agent's object id, under theirs.

    Raises `Unreadable` where its own row cannot be read: it may be the one that is meant.
    """
    subject = unlisted(agent_id, caller.owner)
    stored = emergencies.find(subject.key, deadline).result()
    there = _newest_of(agent_id, None, emergencies, deadline, partial(_is_reported, agent_id, caller.owner))
    own, theirs = stored.emergency, there[1].emergency
    if theirs is None or (own is not None and own.dialled_at >= theirs.dialled_at):
        return subject, stored
    return there


def _newest_of(
    agent_id: str,
    named: str | None,
    emergencies: EmergencyStore,
    deadline: Deadline,
    meant: Callable[[Emergency], bool] = _anybodys,
) -> tuple[Subject, Stored]:
    """Of all `meant` under an id that had no entry when they began, the one that was named, else the newest."""
    newest: tuple[Emergency, Stored] | None = None
    for stored in all_under(agent_id, emergencies, deadline):
        emergency = stored.emergency
        if emergency is None or (named is not None and emergency.live_id != named):
            continue
        if not meant(emergency):
            continue
        if newest is None or emergency.dialled_at > newest[0].dialled_at:
            newest = (emergency, stored)
    if newest is None:
        return _by_id(agent_id), Stored(None)
    emergency, stored = newest
    # A listed agent goes by their own id, whatever a machine calls them.
    goes_by = agent_id if emergency.owner is not None else emergency.agent_id
    return Subject(agent_id=goes_by, key=emergency.agent_key, owner=emergency.owner), stored


def all_under(agent_id: str, emergencies: EmergencyStore, deadline: Deadline) -> Iterator[Stored]:
    """Every emergency under an id that nobody in the directory has: of as many unlisted agents as claim it."""
    for keys in batched(emergencies.unlisted_of(agent_id, deadline), READ_AT_ONCE, strict=False):
        reads = [emergencies.load(key, deadline) for key in keys]
        for read in reads:
            # One unlisted agent's damaged row hides no other emergency under the same id.
            with suppress(Unreadable):
                yield read.result()
