"""What is done for a dial at once, though the store is away (B1)."""

from shared.deadlines import Clock, Deadline
from shared.domain.errors import EmergencyCallingError
from shared.domain.notifications import Notice
from shared.domain.presence import Hold, held_presence
from shared.ports import NoticeTemplate, Notifier, OutageLog, PresenceGateway, Telemetry
from shared.use_cases.deliver_notice import Sending


def hold_in_outage(
    agent_id: str,
    hold: Hold,
    *,
    presence: PresenceGateway,
    outage: OutageLog,
    clock: Clock,
    telemetry: Telemetry,
    deadline: Deadline,
) -> None:
    """Set Do not disturb, carrying what it replaces; the repeated request finds the mark and takes it over."""
    if outage.dialling(agent_id, clock.now()) is None:
        # Late: the store knows the call by now, and may know its end, after which nobody would take the mark away.
        return
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
    """Mail the default contacts, once. Its message ids are those of the notice that will be owed."""
    if not outage.claim_mail(leg_id):
        return
    sending = Sending(notice, template.render(notice, clock.now()), notifier, telemetry)
    try:
        sending.send_to_all(deadline)
    except EmergencyCallingError:
        outage.return_mail(leg_id)
        raise
    telemetry.emit("notice_sent", recipients=len(notice.recipients), attempt=1)
