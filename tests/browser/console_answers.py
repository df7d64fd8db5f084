"""Made-up answers of the administration's routes, in the contract's shapes."""

from __future__ import annotations

from typing import Any

ADMIN = {"agent_id": None, "name": "Ada Example", "roles": ["EmergencyCalling.Admin"], "locale": None}
AGENT = {
    "agent_id": "agent-1",
    "name": "Dana Example",
    "entra_object_id": None,
    "dynamics_user_id": None,
    "acs_user_ids": [],
    "country": "US",
    "locale": "en-US",
    "address": "1 Example Street",
    "site": "north",
    "time_zone": None,
    "alternate_numbers": ["+14255550180"],
    "emergency_contacts": "supervisor@example.com; guard@example.com",
    "outbound_profile": {"name": "Voice", "work_item_limit": 1, "caller_id": None},
}
SITE = {
    "site_id": "north",
    "name": "North building",
    "address": "1 Example Street, Redmond, WA 98052",
    "country": "US",
    "time_zone": "America/Los_Angeles",
    "networks": ["192.0.2.0/24"],
    "emergency_contacts": ["guard@example.com"],
    "security_desk": ["+14255550199"],
}


def emergency(number: int, **fields: Any) -> dict[str, Any]:
    """A row of the live board."""
    return {
        "emergency": f"opaque-{number}",
        "agent_id": f"agent-{number}",
        "name": f"Agent Example {number}",
        "site": "North building",
        "since": "2026-11-26T02:00:00Z",
        "mode": "emergency",
        "presence": "do_not_disturb",
        "callback_number": f"+1425555{100 + number:04}",
        "expires_at": "2026-11-26T03:00:00Z",
        "shared": False,
        "test": False,
        "drill": False,
        "notices": [
            {"recipient": "supervisor@example.com", "state": "delivered"},
            {"recipient": "guard@example.com", "state": "failed"},
        ],
        "hold_until": None,
        **fields,
    }


BOARD = [
    emergency(1),
    emergency(2, mode="normal", hold_until="2026-11-26T02:20:00Z", shared=True, site=None),
    emergency(3, mode="ringing", test=True, notices=[{"recipient": "guard@example.com", "state": "owed"}]),
]


def agents(count: int) -> dict[str, Any]:
    """A page of the directory."""
    listed = [
        {"agent_id": f"agent-{n}", "name": f"Agent Example {n}", "country": "US", "site": "north", "contacts": n % 3}
        for n in range(count)
    ]
    return {"agents": listed, "cursor": "more"}


READINESS = {
    "state": "problem",
    "at": "2026-11-26T02:00:00Z",
    "checks": [
        {
            "id": "emergency_path",
            "subject": "deployment",
            "state": "problem",
            "reason": "fails: no voice route takes 911, and the caller id is no number bought from Microsoft.",
            "remedy": "Add a voice route for 911, or buy a number.",
            "at": "2026-11-26T02:00:00Z",
        },
        {"id": "pool", "subject": "deployment", "state": "warning", "reason": "3 of 20 are free.", "remedy": "Add 10."},
        {"id": "mailbox", "subject": "site:north", "state": "unknown", "reason": "Not read yet.", "remedy": None},
        {"id": "sender", "subject": "deployment", "state": "ok", "reason": "A verified domain.", "remedy": None},
    ],
}
NUMBERS = {
    "numbers": [
        {"number": f"+1425555{100 + n:04}", "country": "US", "state": state, "expired_at": None}
        for n, state in enumerate(("free", "lent", "resting", "shared", "leaving"))
    ]
}
TEMPLATE = {
    "subject": "EMERGENCY CALL by {{ agent }}",
    "text": "EMERGENCY CALL\n{{ agent }} dialled an emergency number.\n",
    "html": "<h1>EMERGENCY CALL</h1>\n<p>{{ agent }}</p>\n",
}
RENDERED = {
    "subject": "EMERGENCY CALL by Dana Example",
    "text": "EMERGENCY CALL\nDana Example dialled an emergency number.\n",
    "html": "<style>h1 { color: rgb(1, 2, 3); }</style><h1>EMERGENCY CALL</h1><script>parent.postMessage('ran', '*')"
    "</script><img src=x onerror=\"document.body.textContent='ran'\"><p>Dana Example</p>",
    "lint": [{"code": "missing", "part": "text", "line": 2, "message": "The callback number is missing."}],
}
DRILL_STEPS: list[dict[str, Any]] = [
    {"step": step, "state": "passed", "ms": ms, "reason": None}
    for step, ms in (
        ("lease", 12),
        ("presence", 140),
        ("email", 310),
        ("callback", 95),
        ("restore", 80),
        ("release", 9),
    )
]
DRILL: dict[str, Any] = {
    "drill_id": "drill-1",
    "at": "2026-11-26T09:00:00Z",
    "state": "passed",
    "steps": DRILL_STEPS,
}


def answers() -> dict[str, Any]:
    """All of them, for an administrator."""
    return {
        "GET me": ADMIN,
        "GET manage/emergencies": BOARD,
        "GET manage/agents": agents(50),
        "GET manage/agents/agent-1": AGENT,
        "GET manage/sites": {"sites": [SITE]},
        "GET manage/sites/north": SITE,
        "GET manage/notification-template": TEMPLATE,
        "POST manage/notification-template/preview": RENDERED,
        "GET manage/readiness": READINESS,
        "GET manage/callback-numbers": NUMBERS,
        "POST manage/drills": {"drill_id": "drill-1"},
        "GET manage/drills/drill-1": DRILL,
        "GET manage/drills/last": 204,
    }
