"""One sound example of each operation: what is sent, and what is answered. Tests read them with the app's own types."""

import hashlib
from collections.abc import Mapping
from typing import Any

AT, LATER = "2026-11-20T18:00:00Z", "2026-11-20T19:00:00Z"
AGENT_ID, SITE_ID, CALL_ID = "agent-dana", "north", "call-1"
DRILL_ID = "6a0f4c1e-3b7d-4b52-9a55-1c2d3e4f5a6b"
CSV_FILE = "agent_id,name,emergency_contacts\r\nagent-eve,Eve Example,desk@example.com\r\n"
DIGEST = hashlib.sha256(CSV_FILE.encode()).hexdigest()

_PANEL = {
    "mode": "emergency",
    "controls": ["device_settings", "end_call"],
    "form_actions": [],
    "banner": "An emergency call is in progress.",
    "banner_key": "emergency_in_progress",
    "presence": "do_not_disturb",
    "callback_number": "+14255550100",
    "expires_at": LATER,
    "fallback": False,
    "say": {
        "address": "1 Example Way, floor 2, Redmond, WA 98052",
        "address_source": "registered",
        "latitude": None,
        "longitude": None,
        "accuracy_m": None,
        "source": "registered",
        "at": None,
        "confirmed_at": None,
        "callback_number": "+14255550100",
        "number_shown": False,
        "relay_first": True,
    },
    "placeable": "yes",
    "dial": "911",
    "poll_after_s": 2,
}
_CALL = {
    "call_id": CALL_ID,
    "agent_id": AGENT_ID,
    "callback_number": "+14255550100",
    "expires_at": LATER,
    "shared": False,
    "foreign": False,
    "test": False,
    "degraded": False,
    "notified": 1,
    "placeable": "yes",
    "dial": "911",
    "ignored": [],
    "panel": _PANEL,
}
_PRESENCE = {"status": "available", "set_by": "agent", "since": AT}
_DESKTOP = {
    "desktop_id": "desk-7",
    "location_permission": "granted",
    "country": "US",
    "location": {"address": None, "latitude": 47.6, "longitude": -122.1, "accuracy_m": 20.0, "at": AT},
    "network": "192.0.2.7",
    "environment": "physical",
    "devices": {"microphones": 1},
    "at": AT,
    "confirmed": True,
    "confirmed_at": AT,
    "confirmed_location": None,
    "site": SITE_ID,
}
_PROFILE = {"name": "Outbound US", "work_item_limit": 2, "caller_id": "+14255550100"}
_ENTRY = {
    "name": "Dana Example",
    "entra_object_id": "0f0e0d0c-0b0a-4908-8706-050403020100",
    "acs_user_ids": ["8:acs:r_dana"],
    "country": "US",
    "locale": "en-US",
    "address": "1 Example Way, floor 2, Redmond, WA 98052",
    "site": SITE_ID,
    "time_zone": "America/Los_Angeles",
    "alternate_numbers": ["+14255550177"],
    "emergency_contacts": "guard@example.com; desk@example.com",
    "outbound_profile": _PROFILE,
}
_AGENT = {"agent_id": AGENT_ID, "dynamics_user_id": None, **_ENTRY}
_SITE = {
    "name": "North",
    "address": "1 Example Way, Redmond, WA 98052",
    "country": "US",
    "time_zone": "America/Los_Angeles",
    "networks": ["192.0.2.0/24", "desk-7"],
    "emergency_contacts": ["porter@example.com"],
    "security_desk": ["+14255550188"],
}
_WHOLE_SITE = {"site_id": SITE_ID, **_SITE}
_LINES = (
    "{{ agent }} dialled {{ dialled }} at {{ dialled_time }}. Call back: {{ callback_number }}. "
    '{% if location_known %}{{ location_address | default("no address") }} {{ location_latitude }} '
    "{{ location_longitude }}{% else %}The location is unknown.{% endif %}"
)
_TEMPLATE = {"subject": "Emergency call by {{ agent }}", "text": _LINES, "html": f"<p>{_LINES}</p>"}
_SETUP = {"sites": [_WHOLE_SITE], "templates": [{"kind": "call", "locale": "en", **_TEMPLATE}]}
_CHECK = {
    "id": "fallback",
    "subject": "deployment",
    "state": "problem",
    "reason": "There is no fallback number.",
    "remedy": "Set FALLBACK_CALLBACK_NUMBER to one that people answer.",
    "at": AT,
}
_READINESS = {"state": "problem", "at": AT, "checks": [_CHECK]}
_OF_AGENT = {"path": {"agent_id": AGENT_ID}}
_OF_SITE = {"path": {"site_id": SITE_ID}}
_OF_TEMPLATE = {"query": {"kind": "call", "locale": "en"}}

EXAMPLES: Mapping[str, Mapping[str, Any]] = {
    "call_started": {
        "body": {"call_id": CALL_ID, "agent_id": AGENT_ID, "dialled": "911", "desktop_id": "desk-7"},
        "answers": {200: _CALL, 201: _CALL},
    },
    "call_updated": {
        "path": {"call_id": CALL_ID},
        "body": {"server_call_id": "server-call-1"},
        "answers": {200: {"call_id": CALL_ID}},
    },
    "call_ended": {
        "path": {"call_id": CALL_ID},
        "body": {"reason": "agent"},
        "answers": {200: {"call_id": CALL_ID, "known": True}, 202: {"call_id": CALL_ID, "known": False}},
    },
    "presence_released": {**_OF_AGENT, "body": {"legs": False}, "answers": {200: {"agent_id": AGENT_ID}}},
    "panel_state": {**_OF_AGENT, "answers": {200: _PANEL}},
    "desktop_read": {**_OF_AGENT, "query": {"desktop_id": "desk-7"}, "answers": {200: _DESKTOP}},
    "desktop_reported": {
        **_OF_AGENT,
        "body": {
            "desktop_id": "desk-7",
            "location_permission": "granted",
            "country": "US",
            "location": {"latitude": 47.6, "longitude": -122.1, "accuracy_m": 20.0},
            "network": "192.0.2.7",
            "environment": "physical",
            "confirmed": True,
            "devices": {"microphones": 1},
        },
        "answers": {200: _DESKTOP},
    },
    "presence_state": {**_OF_AGENT, "answers": {200: _PRESENCE}},
    "presence_set": {**_OF_AGENT, "body": {"status": "available"}, "answers": {200: _PRESENCE}},
    "me": {
        "answers": {
            200: {
                "agent_id": AGENT_ID,
                "name": "Dana Example",
                "roles": ["EmergencyCalling.Agent"],
                "locale": "en-US",
            }
        }
    },
    "call_policy": {
        "query": {"server_call_id": "server-call-1", "started_by": "8:acs:r_dana"},
        "answers": {
            200: {
                "emergency": True,
                "record": False,
                "store_activity": False,
                "transcribe": False,
                "monitor": False,
                "join": False,
                "force_close": False,
                "survey": False,
            }
        },
    },
    "admin_agent_read": {**_OF_AGENT, "answers": {200: _AGENT}},
    "admin_agent_saved": {**_OF_AGENT, "body": _ENTRY, "answers": {200: _AGENT, 201: _AGENT}},
    "admin_agent_removed": {"path": {"agent_id": "agent-who-left"}, "answers": {}},
    "admin_emergency_contacts_saved": {
        **_OF_AGENT,
        "body": {"text": "supervisor@example.com; Front Desk <desk@example.com>"},
        "answers": {200: {"kept": ["supervisor@example.com", "desk@example.com"], "refused": []}},
        "members": {"kept": [], "refused": [{"text": "nobody", "reason": "is no e-mail address"}]},
    },
    "admin_agents_listed": {
        "query": {"starts_with": "da", "limit": 50},
        "answers": {
            200: {
                "agents": [
                    {"agent_id": AGENT_ID, "name": "Dana Example", "country": "US", "site": SITE_ID, "contacts": 2}
                ],
                "cursor": None,
            }
        },
    },
    "admin_agents_imported": {
        "query": {"digest": DIGEST},
        "body": CSV_FILE,
        "answers": {
            200: {
                "digest": DIGEST,
                "rows": 1,
                "new": 1,
                "changed": 0,
                "unchanged": 0,
                "faults": [],
                "faults_total": 0,
                "doubts": [{"line": 2, "column": "entra_object_id", "reason": "is that of the entry agent-dana too"}],
                "doubts_total": 1,
            },
            202: {"operation_id": DIGEST[:32]},
        },
        "members": {"faults": [{"line": 2, "column": "country", "reason": "is none"}], "faults_total": 1},
    },
    "admin_agents_import_read": {
        "path": {"operation_id": DIGEST[:32]},
        "answers": {200: {"operation_id": DIGEST[:32], "state": "done", "done": 1, "rows": 1}},
    },
    "admin_agents_exported": {"answers": {200: CSV_FILE}},
    "admin_sites_listed": {"answers": {200: {"sites": [_WHOLE_SITE]}}},
    "admin_site_read": {**_OF_SITE, "answers": {200: _WHOLE_SITE}},
    "admin_site_saved": {**_OF_SITE, "body": _SITE, "answers": {200: _WHOLE_SITE, 201: _WHOLE_SITE}},
    "admin_site_removed": {"path": {"site_id": "closed-site"}, "answers": {}},
    "admin_setup_exported": {"answers": {200: _SETUP}},
    "admin_setup_imported": {
        "query": {"dry_run": "1"},
        "body": _SETUP,
        "answers": {
            200: {
                "sites": {"new": 1, "changed": 0, "unchanged": 0},
                "templates": {"new": 0, "changed": 0, "unchanged": 1},
            }
        },
        "members": {"faults": [{"at": "sites[3].country", "reason": "does not have the form required"}]},
    },
    "admin_emergencies": {
        "answers": {
            200: [
                {
                    "emergency": "3f0c",
                    "agent_id": AGENT_ID,
                    "name": "Dana Example",
                    "site": "North",
                    "since": AT,
                    "mode": "emergency",
                    "presence": "do_not_disturb",
                    "callback_number": "+14255550100",
                    "expires_at": LATER,
                    "shared": False,
                    "test": False,
                    "drill": False,
                    "notices": [{"recipient": "guard@example.com", "state": "delivered"}],
                    "hold_until": None,
                }
            ]
        }
    },
    "admin_callback_numbers": {
        "answers": {
            200: {"numbers": [{"number": "+14255550100", "country": "US", "state": "resting", "expired_at": AT}]}
        }
    },
    "admin_readiness": {"answers": {200: _READINESS}},
    "admin_agent_readiness": {**_OF_AGENT, "answers": {200: _READINESS}},
    "admin_notification_template_read": {**_OF_TEMPLATE, "answers": {200: _TEMPLATE}},
    "admin_notification_template_saved": {
        **_OF_TEMPLATE,
        "body": _TEMPLATE,
        "answers": {200: _TEMPLATE},
        "members": {"lint": [{"code": "no_number", "part": "text", "line": 1, "message": "names no callback number"}]},
    },
    "admin_notification_template_removed": {**_OF_TEMPLATE, "answers": {}},
    "admin_notification_template_preview": {
        **_OF_TEMPLATE,
        "body": _TEMPLATE,
        "answers": {
            200: {
                "subject": "Emergency call by Alex Example",
                "text": "Alex Example dialled 911 at 18:00 UTC. Call back: +14255550100. 1 Example Way",
                "html": "<p>Alex Example dialled 911 at 18:00 UTC. Call back: +14255550100. 1 Example Way</p>",
                "lint": [],
            }
        },
    },
    "admin_drill_started": {
        "body": {"agent_id": AGENT_ID, "recipients": "drill@example.com"},
        "answers": {202: {"drill_id": DRILL_ID}},
    },
    "admin_drill_read": {
        "path": {"drill_id": DRILL_ID},
        "answers": {
            200: {
                "drill_id": DRILL_ID,
                "at": AT,
                "state": "running",
                "steps": [
                    {"step": "lease", "state": "passed", "ms": 42, "reason": None},
                    {"step": "presence", "state": "running", "ms": None, "reason": None},
                ],
            }
        },
    },
    "health": {
        "answers": {
            200: {"status": "ok", "settings_valid": True, "table_reachable": True},
            503: {"status": "unavailable", "settings_valid": True, "table_reachable": False},
        }
    },
}
