"""What the directory knows of an agent, as far as an emergency and its administrators need it."""

from msgspec import Struct

from shared.domain.ids import agent_key_of, normal_id

# Each is a route beside those of the entries.
RESERVED_IDS = frozenset({"import", "export"})


class OutboundProfile(Struct, frozen=True, kw_only=True):
    """What an administrator states of the agent's outbound profile in the contact centre; `caller_id` is E.164."""

    name: str | None = None
    work_item_limit: int | None = None
    caller_id: str | None = None


class CapacityProfile(Struct, frozen=True, kw_only=True):
    """A capacity profile that an agent has in the contact centre; `limit` is its work item limit, None where unset."""

    name: str
    limit: int | None = None


class Agent(Struct, frozen=True, kw_only=True):
    """A directory entry.

    `acs_user_ids` are raw ACS identities (`8:acs:…`), the first being rung first; `country` is ISO 3166-1 alpha-2;
    `alternate_numbers` are E.164; `emergency_contacts` are e-mail addresses (S9); `site` is a site's id (B14), which
    need not exist; `time_zone` is an IANA name.
    """

    agent_id: str
    name: str | None = None
    entra_object_id: str | None = None
    dynamics_user_id: str | None = None
    acs_user_ids: tuple[str, ...] = ()
    country: str | None = None
    locale: str | None = None
    address: str | None = None
    site: str | None = None
    time_zone: str | None = None
    alternate_numbers: tuple[str, ...] = ()
    emergency_contacts: tuple[str, ...] = ()
    outbound_profile: OutboundProfile | None = None

    @property
    def key(self) -> str:
        """The key of everything that is stored about this agent's emergencies."""
        return agent_key_of(self.agent_id)


class ListedAgent(Struct, frozen=True, kw_only=True):
    """What a list shows of an entry; `contacts` is how many there are."""

    agent_id: str
    name: str | None = None
    country: str | None = None
    site: str | None = None
    contacts: int = 0


class AgentsPage(Struct, frozen=True):
    """A page of a list, and where the next one begins; None at the end."""

    agents: tuple[ListedAgent, ...]
    cursor: str | None = None


def is_reserved(agent_id: str) -> bool:
    """Whether no agent can have this id."""
    return normal_id(agent_id) in RESERVED_IDS
