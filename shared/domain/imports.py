"""An import of the directory, which goes on for longer than a request may (contract, *Administration*)."""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from enum import StrEnum

from msgspec import Struct, structs

from shared.domain.agents import Agent, OutboundProfile
from shared.domain.ids import Key
from shared.domain.setup import Outlook
from shared.domain.stamps import age_of

PROFILE = "outbound_profile_"
# Keeping the largest file takes seconds.
BEGUN_WITHIN = timedelta(minutes=10)


class AgentChange(Struct, frozen=True, kw_only=True):
    """What an import says of one agent: the fields of an entry that it speaks of, and no others.

    `profile` are those of the outbound profile.
    """

    agent_id: str
    fields: Mapping[str, str | tuple[str, ...] | None] = {}
    profile: Mapping[str, str | int | None] = {}

    def over(self, before: Agent | None) -> Agent:
        """The entry from now on: what the import says, over what it does not speak of."""
        base = before or Agent(agent_id=self.agent_id)
        profile = structs.replace(base.outbound_profile or OutboundProfile(), **self.profile)
        stated = profile if profile != OutboundProfile() else None
        return structs.replace(base, **self.fields, outbound_profile=stated)


class ImportOutlook(Outlook, frozen=True):
    """What an import would do; `sharing` names, by place in the import, another entry that has the same object id."""

    sharing: Mapping[int, str] = {}


def by_object_id(entries: Iterable[Agent]) -> Mapping[str, list[Agent]]:
    """Which entries have one Microsoft Entra object id, by `object_id_of`."""
    found = defaultdict[str, list[Agent]](list)
    for entry in entries:
        if (object_id := object_id_of(entry)) is not None:
            found[object_id].append(entry)
    return found


def object_id_of(entry: Agent) -> str | None:
    """The Microsoft Entra object id of an entry, in the one form in which these are compared."""
    return entry.entra_object_id.casefold() if entry.entra_object_id else None


class ImportState(StrEnum):
    """How far an import is."""

    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"


class Import(Struct, frozen=True, kw_only=True):
    """An import: `done` of `rows` are in the directory; `chunks` is how many pieces wait, or waited, in the table.

    Until it is `whole`, only a part of them may be there.
    """

    operation_id: Key
    began_at: datetime
    rows: int
    chunks: int
    done: int = 0
    state: ImportState = ImportState.RUNNING
    whole: bool = True

    @property
    def is_under_way(self) -> bool:
        """Whether it is to be carried on."""
        return self.whole and self.state is ImportState.RUNNING

    def as_seen(self, now: datetime) -> "Import":
        """What whoever asks is told: one that was cut while it began has failed, and is to be sent once more."""
        cut = not self.whole and age_of(self.began_at, now) > BEGUN_WITHIN
        return structs.replace(self, state=ImportState.FAILED) if cut else self
