"""The Event Grid subscriptions that a deployment has: each function with its event types and limits."""

from __future__ import annotations

from tests.local.acs.events import PREFIX
from tests.local.event_grid import Subscription, function_subscription

CUSTOM = "EmergencyCalling."


def function_subscriptions(host: str) -> list[Subscription]:
    """The subscriptions of every Event Grid function on a host such as `http://127.0.0.1:7071`."""
    return [
        function_subscription(host, "call_started_event", PREFIX + "CallStarted", CUSTOM + "CallStarted"),
        function_subscription(host, "call_ended_event", PREFIX + "CallEnded", CUSTOM + "CallEnded"),
        # An incoming call rings for 30 s; a later try would find nobody.
        function_subscription(
            host, "incoming_call_event", PREFIX + "IncomingCall", max_attempts=2, time_to_live_s=60.0
        ),
        function_subscription(host, "recording_file_status_event", PREFIX + "RecordingFileStatusUpdated"),
        function_subscription(host, "email_delivery_report_event", PREFIX + "EmailDeliveryReportReceived"),
    ]
