"""Whether agents' presence can be held in the service where it lies, and what cannot be seen there (S10, S2, S8)."""

from collections.abc import Iterator
from datetime import datetime

from shared.domain.agents import Agent
from shared.domain.deployment import PresenceBackend
from shared.domain.presence import Presence
from shared.domain.readiness import DEPLOYMENT, Check, ok, problem, unknown
from shared.domain.words import Words

CHECK = "presence"
_SEEN: dict[PresenceBackend, Words] = {
    PresenceBackend.TABLE: Words(
        "Presence lies in a table of ours: whoever routes customers' calls must read it there."
    ),
    PresenceBackend.GRAPH: Words(
        "Presence lies in Microsoft Graph. Who changed one, and what an agent prefers behind another state, cannot be "
        "seen there: a preference that hides the hold is replaced, and given back as the state that it showed. A hold "
        "ends by itself after an hour. In an outage of the store only those can be held whose object id is known by "
        "sign-in, by the dial, or from before."
    ),
    PresenceBackend.DYNAMICS365: Words(
        "Presence lies in Dynamics 365. Agents are held while they are signed in there, else at the next sign-in; in "
        "an outage of the store only those whom this process remembers, and where the host dies in it, too, they come "
        "back to Away. Whether a workstream gives work to Busy - DND as well cannot be seen."
    ),
}


def presence_checks(backend: PresenceBackend, now: datetime) -> Iterator[Check]:
    """What an administrator has to know of the service."""
    yield ok(CHECK, _SEEN[backend], now, DEPLOYMENT)


def agent_presence_checks(
    agent: Agent, backend: PresenceBackend, shown: Presence | None, now: datetime, *, asked: bool
) -> Iterator[Check]:
    """Whether this agent's presence can be held.

    `shown` is what the service shows, None where it did not answer; `asked`: whether anybody asked it.
    """
    subject = f"agent:{agent.agent_id}"
    if backend is PresenceBackend.TABLE:
        return
    field, known = _id_of(agent, backend)
    if known is None:
        reason = Words(
            "The presence service knows agents by `{field}`, and the entry has none: nothing can be held.", field=field
        )
        yield problem(CHECK, reason, Words("Add `{field}`.", field=field), now, subject)
        return
    if not asked:
        return
    if shown is None:
        reason = Words("The presence service did not answer for this agent in time.")
        yield unknown(CHECK, reason, "Look at the check `presence_service`, and ask again in a minute.", None, subject)
    elif not shown.settable:
        yield _not_settable(backend, now, subject)
    else:
        status = shown.native or shown.status.value
        yield ok(CHECK, Words("The presence service shows {status}.", status=status), now, subject)


def _id_of(agent: Agent, backend: PresenceBackend) -> tuple[str, str | None]:
    """The field of an entry by which the service knows agents, and what this one has there."""
    if backend is PresenceBackend.DYNAMICS365:
        return "dynamics_user_id", agent.dynamics_user_id
    return "entra_object_id", agent.entra_object_id


def _not_settable(backend: PresenceBackend, now: datetime, subject: str) -> Check:
    if backend is PresenceBackend.DYNAMICS365:
        reason = Words(
            "The agent is not signed in to Dynamics 365, or not known there: they are held at the next sign-in."
        )
        return unknown(
            CHECK, reason, "Have the agent sign in; compare `dynamics_user_id` with `systemuserid`.", now, subject
        )
    return problem(
        CHECK,
        "The presence service does not know this agent, or keeps no presence of them: nothing can be held.",
        "Compare the id in the entry with the directory's; look whether the agent has a licence for Teams.",
        now,
        subject,
    )
