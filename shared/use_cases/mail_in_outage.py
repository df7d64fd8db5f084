"""The default contacts of a dial are told at once, though the store is away (B1)."""

from msgspec import structs

from shared.deadlines import Clock, Deadline
from shared.domain.errors import Rationed
from shared.domain.ids import derived
from shared.domain.notifications import Notice
from shared.ports import MailQuota, NoticeTemplate, Notifier, OutageLog, Telemetry
from shared.use_cases.deliver_notice import Sending
from shared.use_cases.sender_grants import SenderGrants


def mail_in_outage(
    dial_key: str,
    notice: Notice,
    *,
    notifier: Notifier,
    quota: MailQuota,
    template: NoticeTemplate,
    outage: OutageLog,
    clock: Clock,
    telemetry: Telemetry,
    deadline: Deadline,
) -> None:
    """Mail the default contacts, once, as far as this process's part of the sender's quota goes.

    Its messages are others than those of the notice that will be owed, which says the number that is lent and where the
    agent is: as the same ones the service would not send those. Whom it reached is told, too, when it is over.
    """
    words = template.render(notice, clock.now())
    if not outage.claim_mail(dial_key):
        return
    bare = structs.replace(notice, notice_id=derived(notice.notice_id, "outage"))
    grants = SenderGrants(lambda: quota.take_in_outage(1), quota, clock)
    sending = Sending(bare, words, notifier, telemetry, grants)
    try:
        sending.send_to_all(deadline)
    except Exception as failure:
        # The dial is repeated until the store has it, and each repeat tries: also what failed as nobody foresaw.
        outage.return_mail(dial_key)
        if not isinstance(failure, Rationed):
            raise
        telemetry.emit("notice_waits", **notice.called)
    finally:
        outage.mail_accepted(dial_key, [address for dispatch in sending.dispatches for address in dispatch.deliveries])
        grants.give_back(deadline)
    if sending.accepted:
        telemetry.emit("notice_sent", recipients=sending.accepted, attempt=1)
