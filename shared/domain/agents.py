"""What the directory knows of an agent, as far as an emergency needs it."""

from msgspec import Struct

from shared.domain.ids import agent_key_of


class Agent(Struct, frozen=True, kw_only=True):
    """A directory entry.

    `acs_user_ids` are raw ACS identities (`8:acs:…`), the first being rung first; `country` is ISO 3166-1 alpha-2;
    `alternate_numbers` are E.164; `emergency_contacts` are e-mail addresses (S9).
    """

    agent_id: str
    name: str | None = None
    entra_object_id: str | None = None
    acs_user_ids: tuple[str, ...] = ()
    country: str | None = None
    locale: str | None = None
    address: str | None = None
    alternate_numbers: tuple[str, ...] = ()
    emergency_contacts: tuple[str, ...] = ()

    @property
    def key(self) -> str:
        """The key of everything that is stored about this agent's emergencies."""
        return agent_key_of(self.agent_id)
