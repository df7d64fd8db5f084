"""Who asks for something, and for whom they may speak (contract, *Who is who*)."""

from enum import StrEnum

from msgspec import Struct

from shared.domain.ids import normal_id


class CallerKind(StrEnum):
    """What lets somebody in, the narrowest first."""

    AGENT = "agent"
    OFFICE = "office"
    MACHINE = "machine"
    SOURCE = "source"


class Caller(Struct, frozen=True, kw_only=True):
    """A signed-in person or machine, or a source of events that was checked.

    `name` is a person's or an application's Microsoft Entra object id, of a source its resource id; empty where the
    sign-in has none. `agent_id` is set only where the sign-in itself knows the agent.
    """

    kind: CallerKind
    name: str = ""
    agent_id: str | None = None

    @property
    def is_agent(self) -> bool:
        """Whether they speak for themself only: their sign-in says who they are, whatever they claim."""
        return self.kind is CallerKind.AGENT

    @property
    def owner(self) -> str:
        """What the emergencies of unlisted agents, whom they report, belong to."""
        return f"{self.kind.value}:{self.name.lower()}"

    @property
    def stand_in(self) -> str | None:
        """The id of an agent who names none: what their sign-in knows, else their object id; None for others."""
        return (self.agent_id or self.name.lower() or None) if self.is_agent else None


def owner_named(object_id: str) -> str:
    """The owner that is the agent with this Microsoft Entra object id, whoever reports their emergency."""
    return f"{CallerKind.AGENT.value}:{object_id.lower()}"


def is_of_an_agent(owner: str) -> bool:
    """Whether the owner is an agent, who has one emergency, whatever id they give; not all of whom a machine speaks."""
    return owner.startswith(f"{CallerKind.AGENT.value}:")


def same_agent(one: str, other: str) -> bool:
    """Whether two ids are one agent's, however they are written."""
    return normal_id(one) == normal_id(other)
