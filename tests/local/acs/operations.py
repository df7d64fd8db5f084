"""Names of the services' operations, by method and path: what faults and the request log speak of."""

from __future__ import annotations

import re

_CALL = r"/calling/callConnections/[^/:]+"
_RECORDING = r"/calling/recordings/[^/:]+"
_OPERATIONS = [
    ("email", "POST", r"/emails:send"),
    ("email_status", "GET", r"/emails/operations/[^/]+"),
    ("answer", "POST", r"/calling/callConnections:answer"),
    ("redirect", "POST", r"/calling/callConnections:redirect"),
    ("reject", "POST", r"/calling/callConnections:reject"),
    ("connect", "POST", r"/calling/callConnections:connect"),
    ("participants", "GET", _CALL + r"/participants(/.+)?"),
    ("add", "POST", _CALL + r"/participants:add"),
    ("remove", "POST", _CALL + r"/participants:remove"),
    ("cancel_add", "POST", _CALL + r"/participants:cancelAddParticipant"),
    ("mute", "POST", _CALL + r"/participants:mute"),
    ("play", "POST", _CALL + r":play"),
    ("cancel_media", "POST", _CALL + r":cancelAllMediaOperations"),
    ("terminate", "POST", _CALL + r":terminate"),
    ("get_call", "GET", _CALL),
    ("hang_up", "DELETE", _CALL),
    ("recording_start", "POST", r"/calling/recordings"),
    ("recording_pause", "POST", _RECORDING + r":pause"),
    ("recording_resume", "POST", _RECORDING + r":resume"),
    ("recording_state", "GET", _RECORDING),
    ("recording_stop", "DELETE", _RECORDING),
    ("recording_delete", "DELETE", r"/v1/objects/[^/]+"),
    ("routes", "GET", r"/sip"),
    ("numbers", "GET", r"/phoneNumbers"),
    ("keys", "GET", r"/calling/keys"),
]
_COMPILED = [(name, method, re.compile(pattern)) for name, method, pattern in _OPERATIONS]


def operation_of(method: str, path: str) -> str:
    """The operation's name, or `unknown`."""
    for name, expected, pattern in _COMPILED:
        if method == expected and pattern.fullmatch(path):
            return name
    return "unknown"
