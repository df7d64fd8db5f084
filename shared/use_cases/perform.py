"""Do one owed effect, with the ports it needs."""

from contextlib import suppress

from msgspec import Struct

from shared.deadlines import Clock, Deadline
from shared.domain.deployment import Deployment
from shared.domain.errors import EmergencyCallingError
from shared.domain.ids import key_of
from shared.ports import (
    AgentDirectory,
    CallRouter,
    EmergencyStore,
    NoticeTemplate,
    Notifier,
    OutageLog,
    OwedNotice,
    PresenceGateway,
    RecordingOutbox,
    RecordingStore,
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
    ReturnPresence,
    SettleHeldRecordings,
    SettleRecording,
    StopRecording,
)
from shared.use_cases.reconcile_presence import reconcile_presence
from shared.use_cases.return_presence import return_presence
from shared.use_cases.settle_recording import settle_held_recordings, settle_recording
from shared.use_cases.stop_recording import stop_recording

EFFECT_WITHIN_S = 20.0
# Presence may lie in the very store that is away; then the next agent's must not wait for this one's.
HOLD_IN_OUTAGE_WITHIN_S = 3.0


class Performer(Struct, frozen=True, kw_only=True):
    """Everything an effect may touch."""

    emergencies: EmergencyStore
    directory: AgentDirectory
    router: CallRouter
    presence: PresenceGateway
    notifier: Notifier
    template: NoticeTemplate
    recording_outbox: RecordingOutbox
    recordings: RecordingStore
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
            case ContinueCallback(callback_id):
                return self._continue_callback(callback_id, deadline)
            case ReconcilePresence(agent_key):
                self._reconcile_presence(agent_key, deadline)
            case DeliverNotice(owed):
                self._deliver_notice(owed, deadline)
            case HoldInOutage() | MailInOutage():
                self._act_in_outage(effect, deadline)
            case ReturnPresence(agent_id, hold_id):
                self._return_presence(agent_id, hold_id, deadline)
            case SettleRecording() | SettleHeldRecordings() | StopRecording():
                self._keep_unrecorded(effect, deadline)
        return ()

    def _reconcile_presence(self, agent_key: str, deadline: Deadline) -> None:
        reconcile_presence(
            agent_key,
            emergencies=self.emergencies,
            presence=self.presence,
            clock=self.clock,
            deployment=self.deployment,
            telemetry=self.telemetry,
            deadline=deadline,
        )

    def _continue_callback(self, callback_id: str, deadline: Deadline) -> tuple[Effect, ...]:
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

    def _deliver_notice(self, owed: OwedNotice, deadline: Deadline) -> None:
        deliver_notice(
            owed,
            emergencies=self.emergencies,
            notifier=self.notifier,
            template=self.template,
            clock=self.clock,
            telemetry=self.telemetry,
            deadline=deadline,
        )

    def _act_in_outage(self, effect: HoldInOutage | MailInOutage, deadline: Deadline) -> None:
        match effect:
            case HoldInOutage(agent_id, hold):
                hold_in_outage(
                    agent_id,
                    hold,
                    presence=self.presence,
                    outage=self.outage,
                    clock=self.clock,
                    telemetry=self.telemetry,
                    deadline=Deadline(self.clock, HOLD_IN_OUTAGE_WITHIN_S),
                )
                # The store may know the dial by now, and even its end: then nobody else would give this back.
                with suppress(EmergencyCallingError):
                    self._reconcile_presence(key_of(agent_id), Deadline(self.clock, HOLD_IN_OUTAGE_WITHIN_S))
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

    def _return_presence(self, agent_id: str, hold_id: str, deadline: Deadline) -> None:
        return_presence(agent_id, hold_id, emergencies=self.emergencies, presence=self.presence, deadline=deadline)

    def _keep_unrecorded(
        self, effect: SettleRecording | SettleHeldRecordings | StopRecording, deadline: Deadline
    ) -> None:
        match effect:
            case SettleRecording(owed):
                settle_recording(
                    owed,
                    emergencies=self.emergencies,
                    outbox=self.recording_outbox,
                    recordings=self.recordings,
                    clock=self.clock,
                    deployment=self.deployment,
                    telemetry=self.telemetry,
                    deadline=deadline,
                )
            case SettleHeldRecordings(agent_key):
                settle_held_recordings(
                    agent_key,
                    emergencies=self.emergencies,
                    outbox=self.recording_outbox,
                    recordings=self.recordings,
                    clock=self.clock,
                    deployment=self.deployment,
                    telemetry=self.telemetry,
                    deadline=deadline,
                )
            case StopRecording(recording_id):
                stop_recording(recording_id, recordings=self.recordings, telemetry=self.telemetry, deadline=deadline)
