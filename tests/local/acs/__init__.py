"""A local stand-in for Azure Communication Services: e-mail and Call Automation over TLS, driven by a control API."""

from tests.local.acs.client import Control, LocalAcs, poll
from tests.local.acs.messages import (
    AcceptedEmail,
    CallView,
    EmailRules,
    Fault,
    IncomingCall,
    LoggedRequest,
    Script,
)

__all__ = [
    "AcceptedEmail",
    "CallView",
    "Control",
    "EmailRules",
    "Fault",
    "IncomingCall",
    "LocalAcs",
    "LoggedRequest",
    "Script",
    "poll",
]
