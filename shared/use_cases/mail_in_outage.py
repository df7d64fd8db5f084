"""The default contacts of a dial are told at once, though the store is away (B1)."""

from shared.deadlines import Clock, Deadline
from shared.domain.errors import EmergencyCallingError
from shared.domain.notifications import Notice
from shared.ports import NoticeTemplate, Notifier, OutageLog, Telemetry
from shared.use_cases.deliver_notice import Sending


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
    if sending.accepted:
        telemetry.emit("notice_sent", recipients=sending.accepted, attempt=1)
