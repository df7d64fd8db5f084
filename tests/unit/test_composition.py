"""What is proven is what ships: simulator and core in memory are made of the deployed parts, but for the rim."""

import pytest
from msgspec import structs

from shared.bootstrap import compose
from shared.domain.deployment_checks import Known, deployment_checks
from shared.domain.readiness import CheckState
from shared.domain.voice_routes import Telephony
from shared.emergency_calling import EmergencyCalling
from tests.fakes.house import DAWN, House
from tests.simulator.processes import WatchedEffects
from tests.simulator.world import World

SETTINGS = {
    "TABLES_CONNECTION_STRING": "UseDevelopmentStorage=true",
    "CALLBACK_NUMBERS": "+14255550100;+14255550101",
    "FALLBACK_CALLBACK_NUMBER": "+14255550199",
    "EMERGENCY_CONTACTS": "desk@example.com",
}
# What stands for the world itself: services, time, chance, secrets, and who hears the log.
RIM = {
    "clock",
    "telemetry",
    "router",
    "telephony",
    "keys",
    "notifier",
    "template",
    "recordings",
    "store_alive",
    "words",
    "prepare",
}
# Of the simulator: a line to the deployed presence table, and the deployed crews, watched.
SIMULATED = {"presence": "LinePresence", "effects": "WatchedEffects"}
# Of the core in memory: effects are done before anybody is answered, and repeats when a test says so.
IN_MEMORY = {"effects": "DoneAtOnce", "repeats": "Kept"}


def parts(calling: EmergencyCalling) -> dict[str, str]:
    return {name: type(part).__name__ for name, part in structs.asdict(calling).items()}


def simulated() -> EmergencyCalling:
    return World(1, brief=True).processes[0].calling


def in_memory() -> EmergencyCalling:
    return House().calling


@pytest.mark.parametrize(
    ("made", "differs"), [(simulated, SIMULATED), (in_memory, IN_MEMORY)], ids=["simulator", "core in memory"]
)
def test_all_parts_but_the_rim_are_those_that_are_deployed(made: object, differs: dict[str, str]) -> None:
    assert callable(made)
    calling = made()
    deployed, stands_in = parts(compose(SETTINGS).calling), parts(calling)
    assert set(deployed) == set(stands_in)
    other = {name: kind for name, kind in stands_in.items() if name not in RIM and kind != deployed[name]}
    assert other == differs
    assert calling.budgets == compose(SETTINGS).calling.budgets


def test_what_is_watched_in_the_simulator_are_the_deployed_crews() -> None:
    watched = simulated().effects
    assert isinstance(watched, WatchedEffects)
    assert type(watched.crews) is type(compose(SETTINGS).calling.effects)


def test_dials_take_turns_in_the_simulator_as_they_do_deployed() -> None:
    def turns(calling: EmergencyCalling) -> list[object]:
        lines = [vars(turns) for turns in (calling.dials, calling.polls, calling.ends)]
        return [(each["_free"], each["_most_each"], each["_wait_s"]) for each in lines]

    assert turns(simulated()) == turns(compose(SETTINGS).calling)


VERIFIABLE = SETTINGS | {
    "COMMUNICATION_SERVICES_RESOURCE_ID": "7f1c2a94-5d0e-4b61-9a3c-2e8d4f60b7a1",
    "PUBLIC_BASE_URL": "https://app.example.com",
}


@pytest.mark.parametrize("sound", [{}, {"CALL_AUTOMATION_ISSUER": " "}, {"CALL_AUTOMATION_KEYS_URL": ""}])
def test_callbacks_are_answered_where_their_events_can_be_verified(sound: dict[str, str]) -> None:
    url = compose(VERIFIABLE | sound).calling.deployment.callback_events_url
    assert url == "https://app.example.com/api/call-automation-events"


@pytest.mark.parametrize(
    "faulty",
    [
        {"PUBLIC_BASE_URL": ""},
        {"COMMUNICATION_SERVICES_RESOURCE_ID": "acs"},
        {"CALL_AUTOMATION_ISSUER": "the cloud"},
        {"CALL_AUTOMATION_KEYS_URL": "http://keys.example.com"},
    ],
)
def test_callbacks_are_sent_on_where_no_event_of_theirs_can_be_believed(faulty: dict[str, str]) -> None:
    deployment = compose(VERIFIABLE | faulty).calling.deployment
    assert deployment.callback_events_url is None
    known = Known(deployment=deployment, sender=None, faults=(), telephony=Telephony())
    [check] = [each for each in deployment_checks(known, DAWN) if each.id == "callback_events"]
    [setting] = faulty
    assert check.state is CheckState.PROBLEM and setting in str(check.remedy)
