"""Do one owed effect, with the ports it needs."""

from msgspec import Struct

from shared.domain.deployment import Deployment
from shared.ports import (
    AgentDirectory,
    CallRouter,
    Clock,
    Deadline,
    EmergencyStore,
    NoticeTemplate,
    Notifier,
    OutageLog,
    PresenceGateway,
    Telemetry,
)
from shared.use_cases.act_in_outage import hold_in_outage, mail_in_outage
from shared.use_cases.continue_callback import continue_callback
from shared.use_cases.deliver_notice import deliver_notice
from shared.use_cases.effects import (
    ContinueCallback,
    DeliverNotice,
    Effect,
    HoldInOutage,
    MailInOutage,
    ReconcilePresence,
)
from shared.use_cases.reconcile_presence import reconcile_presence

EFFECT_WITHIN_S = 20.0


class Performer(Struct, frozen=True, kw_only=True):
    """Everything an effect may touch."""

    emergencies: EmergencyStore
    directory: AgentDirectory
    router: CallRouter
    presence: PresenceGateway
    notifier: Notifier
    template: NoticeTemplate
    outage: OutageLog
    clock: Clock
    deployment: Deployment
    telemetry: Telemetry

    def perform(self, effect: Effect) -> tuple[Effect, ...]:
        """Do it, within 20 s; gives what follows from it.

        It is idempotent; what it raises has been put off in the outbox already, or is still due there.
        """
        deadline = Deadline(self.clock, EFFECT_WITHIN_S)
        match effect:
            case ReconcilePresence(agent_key):
                reconcile_presence(
                    agent_key,
                    emergencies=self.emergencies,
                    presence=self.presence,
                    clock=self.clock,
                    deployment=self.deployment,
                    telemetry=self.telemetry,
                    deadline=deadline,
                )
            case ContinueCallback(callback_id):
                return continue_callback(
                    callback_id,
                    None,
                    emergencies=self.emergencies,
                    directory=self.directory,
                    router=self.router,
                    clock=self.clock,
                    deployment=self.deployment,
                    telemetry=self.telemetry,
                    deadline=deadline,
                )
            case DeliverNotice(owed):
                deliver_notice(
                    owed,
                    emergencies=self.emergencies,
                    notifier=self.notifier,
                    template=self.template,
                    clock=self.clock,
                    telemetry=self.telemetry,
                    deadline=deadline,
                )
            case HoldInOutage(agent_id, hold):
                hold_in_outage(agent_id, hold, presence=self.presence, telemetry=self.telemetry, deadline=deadline)
            case MailInOutage(leg_id, notice):
                mail_in_outage(
                    leg_id,
                    notice,
                    notifier=self.notifier,
                    template=self.template,
                    outage=self.outage,
                    clock=self.clock,
                    telemetry=self.telemetry,
                    deadline=deadline,
                )
        return ()
