"""The payloads of this folder, as the Functions runtime hands them on."""

import json
from pathlib import Path
from typing import Any

from azure.functions import eventgrid, meta

from functions.wire.event_grid import Event, TelephonyEvent, replace_event_decoder, telephony_event

_FOLDER = Path(__file__).parent
ACCEPTED: dict[str, dict[str, Any]] = json.loads((_FOLDER / "accepted.json").read_text("utf-8"))
REJECTED: dict[str, dict[str, Any]] = json.loads((_FOLDER / "rejected.json").read_text("utf-8"))


def bound(payload: object) -> Event:
    """The event that a function is given for this payload."""
    replace_event_decoder()
    datum = meta.Datum(json.dumps(payload), "json")
    event: Event = eventgrid.EventGridEventInConverter.decode(datum, trigger_metadata={})
    return event


def accepted(name: str) -> TelephonyEvent:
    """One of the variants that are known to occur."""
    return telephony_event(bound(ACCEPTED[name]))
