"""Readiness over the wire: each deployment has one fault, in its settings, its store or a service, named beforehand."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from datetime import timedelta

import pytest
from azure.data.tables import TableServiceClient
from msgspec import structs

from shared.administration import AdministrationBudgets
from shared.bootstrap import App, compose
from shared.deadlines import Deadline
from shared.domain.agents import Agent
from shared.domain.drills import Drill, DrillState, DrillStep, StepName, StepState
from shared.domain.locations import Environment, Location, Permission
from shared.domain.notice_templates import TemplateKind, TemplateSources
from shared.domain.readiness import CheckState, Readiness
from shared.domain.sites import Site
from shared.use_cases.report_desktop import DesktopReport
from tests.local import azurite
from tests.local.acs import Fault, LocalAcs
from tests.local.acs.messages import RouteSetup, TelephonySetup

pytestmark = pytest.mark.process

POOL = ("+14255550100", "+14255550101", "+14255550102")
FALLBACK, DESK, CARRIERS = "+14255550199", "+14255550198", "+14255550177"
WITHIN_S = 10.0
BUSY_S = 1.5
MANAGED = ".azurecomm.net"
DANA = Agent(
    agent_id="dana",
    name="Dana Example",
    entra_object_id="0f0e0d0c-0b0a-4908-8706-050403020100",
    acs_user_ids=("8:acs:r_dana",),
    country="US",
    site="north",
    emergency_contacts=("guard@example.com",),
)
NORTH = Site(
    site_id="north",
    address="1 Example Way",
    country="US",
    networks=("192.0.2.0/24",),
    emergency_contacts=("porter@example.com",),
    security_desk=(DESK,),
)
UNKNOWN_BY_NATURE = {"callback_binding"}


class Deployment:
    """A deployment that is sound until a test breaks it; the app is composed anew each time it is asked for."""

    def __init__(self, storage: str, acs: LocalAcs) -> None:
        self.acs = acs
        self.tables = TableServiceClient.from_connection_string(storage)
        self.settings = {
            "TABLES_CONNECTION_STRING": storage,
            "COMMUNICATION_SERVICES_CONNECTION_STRING": acs.connection_string,
            "COMMUNICATION_SERVICES_RESOURCE_ID": acs.ready.resource_id,
            "REQUESTS_CA_BUNDLE": acs.ca_file,
            "CALLBACK_NUMBERS": ";".join(POOL),
            "FALLBACK_CALLBACK_NUMBER": FALLBACK,
            "SECURITY_DESK": DESK,
            "EMERGENCY_CONTACTS": "desk@example.com",
            "EMAIL_SENDER": "emergency@alerts.example.com",
            "EVENT_SOURCES": acs.ready.event_source,
            "PUBLIC_BASE_URL": "https://app.example.com",
            "EXPIRY_SCHEDULE": "0 * * * * *",
            "OUTBOX_SCHEDULE": "*/10 * * * * *",
            "WEBSITE_HOSTNAME": "app.example.com",
            "WEBSITE_AUTH_ENABLED": "True",
        }
        acs.control.reset()
        acs.control.telephony(TelephonySetup(numbers=[*POOL]))
        self.app = self.composed()
        self.clock = self.app.calling.clock
        self._wipe()
        self.agents(DANA)
        self.site()
        self.report()
        self.drill(DrillState.PASSED)
        self.app.calling.expire_leases()

    def composed(self) -> App:
        return compose(self.settings)

    def within(self) -> Deadline:
        return Deadline(self.clock, WITHIN_S)

    def _wipe(self) -> None:
        for name in ("emergencies", "agents", "presence"):
            table = self.tables.create_table_if_not_exists(name)
            for row in list(table.list_entities(select=["PartitionKey", "RowKey"])):
                table.delete_entity(row["PartitionKey"], row["RowKey"])

    def plant(self, table: str, key: str, **values: str) -> None:
        row = {"PartitionKey": "deployment", "RowKey": key, **values}
        self.tables.get_table_client(table).upsert_entity(row)

    def agents(self, *agents: Agent) -> None:
        for agent in agents:
            self.app.calling.directory.save(agent, None, self.within())

    def site(self, **fields: object) -> None:
        self.app.calling.sites.save(structs.replace(NORTH, **fields), None, self.within())

    def report(self, **fields: object) -> None:
        sound = DesktopReport(
            desktop_id="desk",
            location_permission=Permission.GRANTED,
            country="US",
            location=Location(latitude=47.0, longitude=-122.0),
            environment=Environment.PHYSICAL,
            confirmed=True,
        )
        self.app.calling.report_desktop("dana", structs.replace(sound, **fields), deadline=self.within())

    def drill(self, state: DrillState, ago: timedelta = timedelta(0)) -> None:
        mailed = DrillStep(step=StepName.EMAIL, state=StepState.PASSED, ms=3)
        at = self.clock.now() - ago
        sender_key = self.app.calling.deployment.sender_key
        drill = Drill(drill_id="d", at=at, state=state, steps=(mailed,), sender_key=sender_key)
        self.app.administration.office.drills.begin(drill, at, self.within())

    def readiness(self) -> Readiness:
        return self.composed().administration.show_readiness()

    def of_dana(self) -> Readiness:
        return self.composed().administration.show_agent_readiness("dana")


@pytest.fixture(scope="module")
def services() -> Iterator[tuple[str, LocalAcs]]:
    with ExitStack() as undo:
        storage = undo.enter_context(azurite.running(services=("table",)))
        yield storage.connection_string, undo.enter_context(LocalAcs.start())


@pytest.fixture
def made(services: tuple[str, LocalAcs]) -> Deployment:
    return Deployment(*services)


def setting(name: str, value: str) -> Callable[[Deployment], None]:
    def change(made: Deployment) -> None:
        made.settings[name] = value

    return change


def numbers(**fields: object) -> Callable[[Deployment], None]:
    def change(made: Deployment) -> None:
        made.acs.control.telephony(structs.replace(TelephonySetup(numbers=[*POOL]), **fields))

    return change


def fault(struck: Fault) -> Callable[[Deployment], None]:
    return lambda made: made.acs.control.fault(struck)


def never_read_routes(made: Deployment) -> None:
    made.tables.get_table_client("agents").delete_entity("deployment", "sip|routes")
    made.acs.control.fault(Fault(operation="routes", status=403))


def row(table: str, key: str, **values: str) -> Callable[[Deployment], None]:
    def change(made: Deployment) -> None:
        made.plant(table, key, **values)

    return change


def site(**fields: object) -> Callable[[Deployment], None]:
    return lambda made: made.site(**fields)


def entry(**fields: object) -> Callable[[Deployment], None]:
    return lambda made: made.agents(structs.replace(DANA, **fields))


def report(**fields: object) -> Callable[[Deployment], None]:
    return lambda made: made.report(**fields)


def template(made: Deployment) -> None:
    sources = TemplateSources(subject="x", text="x", html="x")
    made.app.administration.templates.save(TemplateKind.CALL, "it", sources, None, made.within())


def storage_away(made: Deployment) -> None:
    made.settings["TABLES_CONNECTION_STRING"] = made.settings["TABLES_CONNECTION_STRING"].replace(
        "TableEndpoint=", "TableEndpoint=http://127.0.0.1:9/"
    )


OF_ALL = {
    # In the settings.
    "no fallback": (setting("FALLBACK_CALLBACK_NUMBER", ""), "setting"),
    "fallback of the pool": (setting("FALLBACK_CALLBACK_NUMBER", POOL[0]), "setting"),
    "desk of the pool": (setting("SECURITY_DESK", POOL[1]), "setting"),
    "no sender": (setting("EMAIL_SENDER", ""), "setting"),
    "a contact that is none": (setting("EMERGENCY_CONTACTS", "desk@example.com; nobody"), "setting"),
    "an unknown zone": (setting("TIME_ZONE", "Mars/Olympus"), "setting"),
    "no pool": (setting("CALLBACK_NUMBERS", ""), "setting"),
    "events from anywhere": (setting("EVENT_SOURCES", ""), "setting"),
    "a managed sender": (setting("EMAIL_SENDER", f"donotreply@example{MANAGED}"), "sender"),
    "sign-in that is off": (setting("WEBSITE_AUTH_ENABLED", "False"), "setting"),
    "a timer that runs once a year": (setting("OUTBOX_SCHEDULE", "0 0 0 1 1 *"), "setting"),
    "a key that is not theirs": (setting("COMMUNICATION_SERVICES_CONNECTION_STRING", ""), "setting"),
    # In the store.
    "a notice that is overdue": (row("emergencies", "outbox|20261120T160000000000Z|notice|n", state="{"), "outbox"),
    "a row that nobody can read": (row("emergencies", "broken|20261120T170000000000Z|x"), "broken_rows"),
    "storage away": (storage_away, "store"),
    "a template that cannot be used": (template, "template"),
    "a drill that failed": (lambda made: made.drill(DrillState.FAILED), "drill"),
    "a drill long ago": (lambda made: made.drill(DrillState.PASSED, timedelta(days=30)), "drill"),
    "a drill that a call overtook": (lambda made: made.drill(DrillState.OVERTAKEN), "drill"),
    "a site without an address": (site(address=None), "site_address"),
    "a site abroad": (site(country="DE"), "site_country"),
    "a site's desk of the pool": (site(security_desk=POOL[:1]), "site_desk"),
    "an entry of no site": (entry(site="nowhere"), "site"),
    "nobody to ring": (entry(acs_user_ids=()), "identities"),
    "an agent elsewhere": (entry(country="GB"), "callback_countries"),
    # In the services.
    "no number bought": (numbers(numbers=[]), "emergency_path"),
    "a number of another resource": (
        numbers(numbers=[*POOL[:2]], routes=[RouteSetup(name="r", pattern="^911$")]),
        "callback_number",
    ),
    "a number that cannot be called": (numbers(calling={POOL[0]: "outbound"}), "callback_number"),
    "a number that cannot call": (numbers(calling={POOL[0]: "inbound"}), "callback_number"),
    "a person's number": (numbers(of_persons=[POOL[0]]), "callback_number"),
    "a pattern of .NET's own": (numbers(routes=[RouteSetup(name="r", pattern=r"\p{Nd}+")]), "emergency_path"),
    "routes that cannot be read": (never_read_routes, "emergency_path"),
    "numbers that cannot be read": (fault(Fault(operation="numbers", status=403)), "emergency_path"),
    "call control away": (fault(Fault(operation="get_call", status=503)), "communication_services"),
    "call control not for us": (fault(Fault(operation="get_call", status=403)), "communication_services"),
    "e-mail away": (fault(Fault(operation="email_status", kind="drop")), "email_service"),
    "e-mail not for us": (fault(Fault(operation="email_status", status=401)), "email_service"),
}
OF_ONE = {
    "nobody signed in": (entry(entra_object_id=None), "object_id"),
    "nothing to ring": (entry(acs_user_ids=()), "identity"),
    "an alternate number of the pool": (entry(alternate_numbers=POOL[:1]), "alternate_numbers"),
    "abroad": (entry(country="MX"), "country"),
    "no such site": (entry(site="nowhere", address="1 Example Way"), "site"),
    "no location allowed": (report(location_permission=Permission.DENIED), "desktop"),
    "a virtual desktop": (report(environment=Environment.VIRTUAL), "desktop"),
    "a desktop abroad": (report(country="MX"), "desktop"),
}


@pytest.fixture(autouse=True)
def end_faults(services: tuple[str, LocalAcs]) -> Iterator[None]:
    yield
    services[1].control.clear_faults()


def test_a_sound_deployment_is_ok_but_for_what_nobody_can_see(made: Deployment) -> None:
    found = made.readiness()
    states = {check.id: check.state for check in found.checks}
    assert {name for name, state in states.items() if state is not CheckState.OK} == UNKNOWN_BY_NATURE
    assert {check.id for check in made.of_dana().checks if check.state is not CheckState.OK} == {"outbound_profile"}


@pytest.mark.parametrize("name", OF_ALL)
def test_a_fault_is_named_in_the_first_line(made: Deployment, name: str) -> None:
    change, check_id = OF_ALL[name]
    change(made)
    first = made.readiness().checks[0]
    assert (first.id, bool(first.remedy)) == (check_id, True)
    assert first.state is not CheckState.OK


@pytest.mark.parametrize("name", OF_ONE)
def test_a_fault_of_one_agent_is_named_in_the_first_line(made: Deployment, name: str) -> None:
    change, check_id = OF_ONE[name]
    change(made)
    first = made.of_dana().checks[0]
    assert (first.id, bool(first.remedy)) == (check_id, True)


def test_a_service_that_hangs_keeps_nobody_waiting_and_its_check_unknown(made: Deployment) -> None:
    made.acs.control.fault(Fault(operation="any", kind="hang"))
    administration = made.composed().administration
    began = made.clock.monotonic()
    found = administration.show_readiness()
    assert made.clock.monotonic() - began < AdministrationBudgets().show_readiness_s + BUSY_S
    unknown = {check.id for check in found.checks if check.state is CheckState.UNKNOWN}
    assert {"communication_services", "email_service"} <= unknown
    # What the timer read before stands, with its age.
    [path] = [check for check in found.checks if check.id == "emergency_path"]
    assert path.at is None or path.at <= made.clock.now()
