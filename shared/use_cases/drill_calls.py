"""Call control of a drill: it takes on whatever is asked, and nothing rings anywhere (B9)."""

# ruff: noqa: ARG002 - what is asked matters to nobody here

from shared.deadlines import Deadline
from shared.domain.ids import derived
from shared.ports import Answered, Invite


class DrillCalls:
    """Port `CallRouter`. It is given to a drill only, and knows no service: no real call passes through it."""

    def redirect(self, incoming_call_context: str, target: str, *, origin: str, deadline: Deadline) -> None:
        """There is no call to send on."""

    def answer(
        self, incoming_call_context: str, events_url: str, *, operation_context: str, origin: str, deadline: Deadline
    ) -> str:
        """The id of a connection that call control has never heard of."""
        return derived(origin, "drill")

    def invite(self, invite: Invite, deadline: Deadline) -> Answered[str]:
        """Taken on, and rung nowhere."""
        return Answered(derived(invite.invitation_id, "drill"))

    def cancel(self, connection_id: str, handle: str, *, origin: str, deadline: Deadline) -> None:
        """Nobody rings."""

    def people(self, connection_id: str, deadline: Deadline) -> frozenset[str]:
        """Nobody: a drill's callback that is left alone is over two minutes later."""
        return frozenset()

    def play(self, connection_id: str, url: str, *, origin: str, deadline: Deadline) -> None:
        """Nobody listens."""
