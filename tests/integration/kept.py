"""What a stack's storage gives away when every emergency is over for good: it must be nothing (B8)."""

from __future__ import annotations

from collections.abc import Callable

from tests.integration.used import USED
from tests.leaks import Kind, Leak, Scanner
from tests.leaks_storage import StorageReader
from tests.local.stack import Stack

# Directory data stays, and so do the presences of those in it; nothing in either may link an agent to an emergency.
OF_AN_EMERGENCY = {Kind.CALL, Kind.LOCATION}


def assert_nothing_is_kept(local: Stack) -> None:
    """Let all time pass, run the sweeps to their end, and read everything there is."""
    local.forget_emergencies()
    kept = given_away(local)
    assert kept == {}, kept


def given_away(local: Stack) -> dict[str, list[Leak]]:
    """The findings in the storage, by place."""
    reader = StorageReader(local.storage)
    try:
        texts = reader.everything()
    finally:
        reader.close()
    found = {place: [leak for scan in _scans(place, local) for leak in scan(text)] for place, text in texts.items()}
    return {place: leaks for place, leaks in found.items() if leaks}


def _scans(place: str, local: Stack) -> list[Callable[[str], list[Leak]]]:
    of_an_emergency = Scanner(USED, kinds=OF_AN_EMERGENCY).scan
    match place:
        case "table/emergencies":
            # The pool is a setting, and its free numbers are rows.
            return [Scanner(USED, but=set(local.settings["CALLBACK_NUMBERS"].split(";"))).scan]
        case "table/agents":
            return [of_an_emergency]
        case "table/presence":
            # Of those in the directory rows stay, under keys that nobody can guess.
            return [Scanner(USED).scan]
        case _:
            return [Scanner(USED).scan]
