"""Whose emergency it is: a directory entry's, or that of (agent id, principal) (*who speaks for whom*)."""

from collections.abc import Mapping, Sequence

from msgspec import Struct

from shared.domain.agents import Agent
from shared.domain.callers import Caller, CallerKind, is_of_an_agent, owner_named, same_agent
from shared.domain.ids import agent_key_of, key_of, normal_id


class Subject(Struct, frozen=True, kw_only=True):
    """The one whom a dial, or a route, is about.

    `agent_id` is the id for every further route. `owner` is whose the emergency of an unlisted agent is,
    None for a listed one; `key` is what all rows of the emergency are stored under. `begun_as` is the id of the other
    entry of theirs that it began under: presence is held by that. `ignored`: what was claimed and not used. `named` is
    another's entry without an object id that an agent named: it may be rung, and no more.
    """

    agent_id: str
    key: str
    entry: Agent | None = None
    owner: str | None = None
    begun_as: str | None = None
    ignored: tuple[str, ...] = ()
    named: Agent | None = None

    @property
    def presence_id(self) -> str:
        """The id under which presence services know them."""
        return presence_id_of(self.begun_as or self.agent_id, self.owner)

    @property
    def principal(self) -> str | None:
        """Who they are when they sign in themself (`Caller.owner`), as far as that is known."""
        object_id = self.entry.entra_object_id if self.entry else None
        return owner_named(object_id) if object_id else self.owner


def presence_id_of(agent_id: str, owner: str | None) -> str:
    """An unlisted agent's presence is that of who signed in: what they claim to be called may be somebody else."""
    kind, _, object_id = (owner or "").partition(":")
    return object_id if kind == CallerKind.AGENT.value and object_id else agent_id


def listed(entry: Agent, said: str | None = None) -> Subject:
    """An agent of the directory; `said` is the id by which they were named."""
    return Subject(agent_id=entry.agent_id, key=entry.key, entry=entry, ignored=unused(said, entry.agent_id))


def unused(said: str | None, agent_id: str) -> tuple[str, ...]:
    """What is ignored of a dial that names this agent by what it `said`."""
    return () if said is None or same_agent(said, agent_id) else ("agent_id",)


def claimed(agent_id: str, caller: Caller) -> str | None:
    """The id that a dial names its agent by; None where it is only what stands in for one."""
    return None if agent_id == caller.stand_in else agent_id


def entry_named(agent_id: str, entries: Sequence[Agent]) -> Agent | None:
    """The entry of this id among these; None where there is none."""
    return next((entry for entry in entries if same_agent(entry.agent_id, agent_id)), None)


def unlisted(agent_id: str, owner: str) -> Subject:
    """An agent of whom the directory knows nothing: an agent's own are one, whatever id they give."""
    return Subject(agent_id=agent_id, key=unlisted_key(agent_id, owner), owner=owner)


def unlisted_key(agent_id: str, owner: str) -> str:
    """What the emergency of (agent id, owner) is stored under; of an agent there is only one."""
    if is_of_an_agent(owner):
        return key_of(owner)
    return key_of(f"{owner}|{normal_id(agent_id)}")


def names_meant(agent_id: str, owner: str) -> dict[str, str | None]:
    """The names of the emergencies that a machine or source (`owner`) can mean by an id, with whose each is."""
    return {agent_key_of(agent_id): None, unlisted_key(agent_id, owner): owner}


def meant(names: Mapping[str, str | None]) -> tuple[str, ...]:
    """These names, each in one with whose it is: `agent_key_of` of a made-up id may be the name of another's."""
    return tuple(key_of(f"{owner or ''}|{name}") for name, owner in names.items())


def impersonated(caller: Caller, entry: Agent) -> Subject:
    """An unlisted agent who named an entry that is not theirs, or not known to be theirs."""
    own = unlisted(caller.stand_in or "", caller.owner)
    named = entry if entry.entra_object_id is None else None
    return Subject(agent_id=own.agent_id, key=own.key, owner=own.owner, ignored=("agent_id",), named=named)


def left_behind(agent_id: str, said: str | None = None) -> Subject:
    """One whose entry was removed in the middle of their emergency, which goes on; `said` as in `listed`."""
    return Subject(agent_id=agent_id, key=agent_key_of(agent_id), ignored=unused(said, agent_id))


def owners_before(entry: Agent, caller: Caller) -> tuple[str, ...]:
    """Whose an emergency is, under whatever id it began before its agent had this entry, as the caller may know it."""
    if caller.is_agent:
        return (caller.owner,)
    return (owner_named(entry.entra_object_id),) if entry.entra_object_id else ()


def may_have_been_theirs(owner: str | None, entry: Agent) -> bool:
    """Whether an emergency under the id of an entry, from before it was made, may be that agent's.

    A machine named them, as every machine may now that they are listed, or it is theirs by their object id. Another
    agent who claimed the id is somebody else, and so is one of another entry (None) whom a machine called by it.
    """
    if owner is None or not is_of_an_agent(owner):
        return owner is not None
    return entry.entra_object_id is not None and owner == owner_named(entry.entra_object_id)


def is_own_entry(caller: Caller, entry: Agent) -> bool:
    """Whether the entry is the agent's own: by what their sign-in knows, else by their object id."""
    if caller.agent_id is not None:
        return same_agent(caller.agent_id, entry.agent_id)
    return bool(caller.name) and (entry.entra_object_id or "").lower() == caller.name.lower()


def reported_owner(caller: Caller, object_id: str | None) -> str:
    """Whose the emergency is that a machine or an event reports of an unlisted agent."""
    return owner_named(object_id) if object_id else caller.owner


def may_speak_for(caller: Caller, owner: str | None) -> bool:
    """Whether a machine, a source or the office may end or tie a call of such an emergency."""
    if owner is None or caller.kind is CallerKind.OFFICE:
        return True
    # An unlisted agent of one machine is nobody of another's; those whom an object id names are anybody's to report.
    return owner == caller.owner or is_of_an_agent(owner)
