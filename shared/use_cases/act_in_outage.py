"""What is done for a dial at once, though the store is away (B1)."""

from shared.domain.notifications import Notice
from shared.domain.presence import Hold, held_presence
from shared.ports import Clock, Deadline, NoticeTemplate, Notifier, OutageLog, PresenceGateway, Telemetry
from shared.use_cases.deliver_notice import Sending


def hold_in_outage(
    agent_id: str, hold: Hold, *, presence: PresenceGateway, telemetry: Telemetry, deadline: Deadline
) -> None:
    """Set Do not disturb, carrying what it replaces; the repeated request finds the mark and takes it over."""
    current = presence.read(agent_id, deadline)
    if current.hold_id is None:
        presence.write(agent_id, held_presence(hold, current), deadline)
        telemetry.emit("presence_held")


def mail_in_outage(
    leg_id: str,
    notice: Notice,
    *,
    notifier: Notifier,
    template: NoticeTemplate,
    outage: OutageLog,
    clock: Clock,
    telemetry: Telemetry,
    deadline: Deadline,
) -> None:
    """Mail the default contacts. Its message ids are those of the notice that will be owed: a repeat is the same."""
    sending = Sending(notice, template.render(notice, clock.now()), notifier, telemetry)
    sending.send_to_all(deadline)
    outage.note_mailed(leg_id)
    telemetry.emit("notice_sent", recipients=len(notice.recipients), attempt=1)
