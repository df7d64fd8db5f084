"""Readiness: on a deployment with one fault the first line names it; on a sound one all is ok but what nobody sees."""

from collections.abc import Callable
from functools import partial
from math import factorial

import pytest
from msgspec import structs

from shared.adapters.presence_table import PresenceTable
from shared.adapters.site_table import SiteTable
from shared.adapters.table import Put
from shared.deadlines import Deadline
from shared.domain.agent_checks import KnownOfAgent, agent_checks
from shared.domain.agents import Agent, CapacityProfile, OutboundProfile
from shared.domain.contacts import MAX_CONTACTS
from shared.domain.deployment import PresenceBackend, SettingFault
from shared.domain.deployment_checks import Census, Known, deployment_checks
from shared.domain.dials import Dial
from shared.domain.drills import Drill, DrillState, DrillStep, StepName, StepState
from shared.domain.emergency_numbers import Placeable
from shared.domain.errors import NotFound, Unavailable
from shared.domain.locations import Environment, Location, Permission
from shared.domain.notice_templates import TemplateKind, TemplateSources
from shared.domain.notifications import Delivery
from shared.domain.pool_size import numbers_needed
from shared.domain.presence import Presence, PresenceStatus
from shared.domain.presence_checks import agent_presence_checks
from shared.domain.readiness import Check, CheckState, Readiness
from shared.domain.sender_quota import SenderQuota
from shared.domain.service_checks import Service
from shared.domain.sites import Site, SiteMap
from shared.domain.voice_routes import OwnedNumber, Telephony, VoiceRoute
from shared.domain.words import Words
from shared.ports import Email
from shared.use_cases.end_call import End
from shared.use_cases.report_desktop import DesktopReport
from tests.fakes.house import DEFAULT_CONTACT, House, after, numbers
from tests.fakes.memory_table import MemoryTable

ANA = Agent(
    agent_id="ana",
    name="Ana Example",
    entra_object_id="0f0e0d0c-0b0a-4908-8706-050403020100",
    acs_user_ids=("8:acs:r_ana",),
    country="US",
    address="1 Example Way",
    emergency_contacts=("guard@example.com",),
)
# One more than an entry or a site may be saved with; stored before that was bounded.
# The domain of senders that the service manages; it has no example.
MANAGED = "azurecomm.net"
MANY_CONTACTS = tuple(f"guard{number}@example.com" for number in range(MAX_CONTACTS + 1))
# By nature: no interface tells, in this order.
UNKNOWN_BY_NATURE = {"callback_binding"}
UNKNOWN_OF_AN_AGENT = {"outbound_profile"}


def owned(*bought: str, **fields: bool) -> tuple[OwnedNumber, ...]:
    sound = {"inbound": True, "outbound": True, "of_application": True, **fields}
    return tuple(OwnedNumber(number=each, **sound) for each in bought)


@pytest.fixture
def house() -> House:
    house = House(pool=numbers(4))
    house.tick()
    house.deployment = structs.replace(house.deployment, countries=frozenset({"US"}))
    house.add_agent(ANA)
    house.telephony.known = Telephony(
        routes=(), numbers=owned(*numbers(4)), routes_at=house.clock.now(), numbers_at=house.clock.now()
    )
    report(house)
    mailed = DrillStep(step=StepName.EMAIL, state=StepState.PASSED, ms=3)
    passed = Drill(drill_id="d", at=house.clock.now(), state=DrillState.PASSED, steps=(mailed,))
    house.drills.begin(passed, house.clock.now(), house.within())
    return house


def report(house: House, **fields: object) -> None:
    sound = DesktopReport(
        desktop_id="desk",
        location_permission=Permission.GRANTED,
        country="US",
        location=Location(latitude=47.0, longitude=-122.0),
        environment=Environment.PHYSICAL,
        confirmed=True,
    )
    house.calling.report_desktop("ana", structs.replace(sound, **fields), deadline=house.within())


def states(found: Readiness, *but: str) -> dict[str, CheckState]:
    return {check.id: check.state for check in found.checks if check.id not in but}


def test_a_sound_deployment_is_ok_but_for_what_is_unknown_by_nature(house: House) -> None:
    found = house.administration.show_readiness()
    assert {check.id for check in found.checks if check.state is CheckState.UNKNOWN} == UNKNOWN_BY_NATURE
    assert set(states(found, *UNKNOWN_BY_NATURE).values()) == {CheckState.OK}
    of_ana = house.administration.show_agent_readiness("ana")
    assert {check.id for check in of_ana.checks if check.state is CheckState.UNKNOWN} == UNKNOWN_OF_AN_AGENT
    assert set(states(of_ana, *UNKNOWN_OF_AN_AGENT).values()) == {CheckState.OK}
    with pytest.raises(NotFound):
        house.administration.show_agent_readiness("nobody")


@pytest.mark.parametrize(
    ("quota", "state", "said"),
    [
        (SenderQuota(per_minute=200, per_hour=5_000), CheckState.OK, "5000 messages an hour"),
        (SenderQuota(per_minute=1, per_hour=5_000), CheckState.WARNING, "60 messages an hour"),
        (SenderQuota(per_minute=30, per_hour=100), CheckState.WARNING, "100 messages an hour"),
    ],
)
def test_the_sender_may_send_what_the_settings_allow(
    house: House, quota: SenderQuota, state: CheckState, said: str
) -> None:
    crowd(house)
    house.sender_quota = quota
    [check] = [each for each in house.administration.show_readiness().checks if each.id == "sender_quota"]
    assert (check.state, said in check.reason) == (state, True)


@pytest.mark.parametrize(("graph_mail", "an_hour"), [(False, 10), (True, 5_000)])
def test_a_domain_of_azures_own_sends_no_more_than_it_may_whatever_the_settings_allow(
    house: House, graph_mail: bool, an_hour: int
) -> None:
    crowd(house)
    house.sender_quota = SenderQuota(per_minute=200, per_hour=5_000)
    administration = house.administration
    office = structs.replace(administration.office, sender=f"alerts@sample.{MANAGED}", graph_mail=graph_mail)
    found = structs.replace(administration, office=office).show_readiness()
    [check] = [each for each in found.checks if each.id == "sender_quota"]
    assert f"{an_hour} messages an hour" in check.reason


def no_mail(house: House) -> None:
    def refused(_: Email) -> None:
        raise Unavailable

    house.mail.fail = refused


def no_presence(house: House) -> None:
    presence_away(house)


@pytest.mark.parametrize("fails", [no_mail, no_presence])
@pytest.mark.parametrize(("minutes", "state"), [(0, CheckState.OK), (3, CheckState.WARNING), (12, CheckState.PROBLEM)])
def test_what_fails_again_and_again_is_overdue_since_it_is_owed(
    house: House, fails: Callable[[House], None], minutes: int, state: CheckState
) -> None:
    """Each failure puts it off, so that it is due soon at all times."""
    fails(house)
    house.dial(Dial(call_id="call", agent_id="ana", dialled="911"))
    for _ in range(minutes * 6):
        house.clock.advance(after(seconds=10))
        house.sweep()
    assert states(house.administration.show_readiness())["outbox"] is state


def test_an_end_that_failed_once_is_not_overdue_since_the_call_ended(house: House) -> None:
    """After a drop it is owed ten minutes later, when the hold is over."""
    house.deployment = structs.replace(house.deployment, closing_notices=True)
    house.dial(Dial(call_id="call", agent_id="ana", dialled="911"))
    house.end(End(call_id="call", by_agent=False))
    house.clock.advance(after(minutes=10))
    no_mail(house)
    house.sweep()
    house.clock.advance(after(seconds=10))
    house.sweep()
    assert states(house.administration.show_readiness())["outbox"] is CheckState.OK


def test_a_sender_that_was_changed_since_the_last_drill_has_sent_nothing_yet(house: House) -> None:
    assert states(house.administration.show_readiness())["sender"] is CheckState.OK
    house.deployment = structs.replace(house.deployment, sender_key="another")
    assert states(house.administration.show_readiness())["sender"] is CheckState.UNKNOWN


def test_a_template_that_lacks_what_is_required_is_not_said_to_be_out_of_use(house: House) -> None:
    bad_template(house)
    [check] = [each for each in house.administration.show_readiness().checks if each.id == "template"]
    assert "It is used all the same" in check.reason
    assert house.templates.edited(TemplateKind.CALL, "it") is not None


def test_what_ends_in_2028_is_told_in_an_ok(house: House) -> None:
    [check] = [each for each in house.administration.show_readiness().checks if each.id == "retirement_2028"]
    assert check.state is CheckState.OK and "30 September 2028" in check.reason and "e-mail" in check.reason


def settings(house: House) -> None:
    house.faults = (
        SettingFault(setting="EMAIL_SENDER", problem=Words("is no address"), mend=Words("Set it."), serious=True),
    )


def doubtful(house: House) -> None:
    house.faults = (
        SettingFault(setting="EVENT_SOURCES", problem=Words("is empty"), mend=Words("Set it."), serious=False),
    )


def deployed(**fields: object) -> Callable[[House], None]:
    def change(house: House) -> None:
        house.deployment = structs.replace(house.deployment, **fields)

    return change


def exchange(**fields: object) -> Callable[[House], None]:
    def change(house: House) -> None:
        house.telephony.known = structs.replace(house.telephony.known, **fields)

    return change


def away(house: House) -> None:
    house.line.away = True


def overdue(house: House) -> None:
    house.table.commit([Put("outbox|20261120T160000000000Z|notice|n", {"state": "{"})], house.within())


def broken(house: House) -> None:
    house.table.commit([Put("broken|20261120T170000000000Z|x", {})], house.within())


def no_contacts(house: House) -> None:
    house.add_agent(structs.replace(ANA, emergency_contacts=()))
    deployed(default_contacts=())(house)


def no_identity(house: House) -> None:
    house.add_agent(structs.replace(ANA, acs_user_ids=()))


def bad_template(house: House) -> None:
    house.templates.save(
        TemplateKind.CALL, "it", TemplateSources(subject="x", text="x", html="x"), None, house.within()
    )


def failed_drill(house: House) -> None:
    failed = Drill(drill_id="d", at=house.clock.now(), state=DrillState.FAILED)
    house.drills.begin(failed, house.clock.now(), house.within())


def old_drill(house: House) -> None:
    house.clock.advance(after(days=30))


def overtaken_drill(house: House) -> None:
    overtaken = Drill(drill_id="d", at=house.clock.now(), state=DrillState.OVERTAKEN)
    house.drills.begin(overtaken, house.clock.now(), house.within())


def abroad(house: House) -> None:
    house.add_agent(structs.replace(ANA, agent_id="gus", entra_object_id=None, country="GB"))


def away_for(service: Service) -> Callable[[House], None]:
    def nobody_answers(_: Deadline) -> None:
        raise Unavailable

    def change(house: House) -> None:
        house.pings[service] = nobody_answers

    return change


def queue_at_a_site(house: House) -> None:
    site(house, security_desk=("28:orgid:queue",))


def presence_away(house: House) -> None:
    house.presence = PresenceThatIsAway(MemoryTable(), house.clock, house.keys)


def crowd(house: House) -> None:
    house.sender_quota = SenderQuota()
    house.deployment = structs.replace(house.deployment, callback_numbers=(pool := numbers(101, first=300)))
    exchange(numbers=owned(*pool))(house)
    site(house)
    for number in range(101):
        house.add_agent(structs.replace(ANA, agent_id=f"a{number}", site="north"))


@pytest.mark.parametrize(
    ("fault", "check_id", "state"),
    [
        (settings, "setting", CheckState.PROBLEM),
        (doubtful, "setting", CheckState.WARNING),
        (away, "store", CheckState.PROBLEM),
        (overdue, "outbox", CheckState.PROBLEM),
        (broken, "broken_rows", CheckState.PROBLEM),
        (deployed(fallback_number=None), "fallback", CheckState.PROBLEM),
        (deployed(fallback_number=numbers(4)[0]), "fallback", CheckState.PROBLEM),
        (deployed(security_desk=numbers(4)[:1]), "desk", CheckState.PROBLEM),
        (deployed(security_desk=("28:orgid:queue",)), "desk", CheckState.WARNING),
        (queue_at_a_site, "site_desk", CheckState.WARNING),
        (deployed(callback_events_url=None), "callback_events", CheckState.PROBLEM),
        (exchange(numbers=()), "emergency_path", CheckState.PROBLEM),
        (exchange(routes=None), "emergency_path", CheckState.UNKNOWN),
        (exchange(routes=(VoiceRoute(name="r", number_pattern=r"\p{Nd}"),)), "emergency_path", CheckState.UNKNOWN),
        (exchange(numbers=owned(*numbers(4), inbound=False)), "callback_number", CheckState.PROBLEM),
        (exchange(numbers=owned(*numbers(4), outbound=False)), "callback_number", CheckState.PROBLEM),
        (exchange(numbers=owned(*numbers(4), of_application=False)), "callback_number", CheckState.PROBLEM),
        (abroad, "callback_countries", CheckState.WARNING),
        (away_for(Service.CALLS), "communication_services", CheckState.PROBLEM),
        (away_for(Service.EMAIL), "email_service", CheckState.PROBLEM),
        (presence_away, "presence_service", CheckState.PROBLEM),
        (crowd, "sender_quota", CheckState.WARNING),
        (no_contacts, "contacts", CheckState.PROBLEM),
        (no_identity, "identities", CheckState.WARNING),
        (bad_template, "template", CheckState.PROBLEM),
        (failed_drill, "drill", CheckState.PROBLEM),
        (old_drill, "drill", CheckState.WARNING),
        (overtaken_drill, "drill", CheckState.WARNING),
    ],
)
def test_a_fault_is_named_in_the_first_line(
    house: House, fault: Callable[[House], None], check_id: str, state: CheckState
) -> None:
    fault(house)
    found = house.administration.show_readiness()
    first = found.checks[0]
    assert (first.id, first.state, found.state) == (check_id, state, state)
    assert first.remedy


@pytest.mark.parametrize(
    ("entry", "check_id", "state"),
    [
        ({"emergency_contacts": ()}, None, None),
        ({"address": None}, "address", CheckState.PROBLEM),
        ({"country": "MX"}, "country", CheckState.PROBLEM),
        ({"country": None}, "country", CheckState.WARNING),
        ({"country": "GB"}, "number_country", CheckState.WARNING),
        ({"acs_user_ids": ()}, "identity", CheckState.WARNING),
        ({"entra_object_id": None}, "object_id", CheckState.WARNING),
        ({"alternate_numbers": numbers(1)}, "alternate_numbers", CheckState.PROBLEM),
        ({"emergency_contacts": MANY_CONTACTS}, "contacts", CheckState.WARNING),
        ({"emergency_contacts": MANY_CONTACTS[1:]}, None, None),
    ],
)
def test_what_an_entry_lacks_is_named_first(
    house: House, entry: dict[str, object], check_id: str | None, state: CheckState | None
) -> None:
    house.add_agent(structs.replace(ANA, **entry))
    first = house.administration.show_agent_readiness("ana").checks[0]
    if check_id is None:
        assert first.state is CheckState.UNKNOWN, f"{DEFAULT_CONTACT} is told"
    else:
        assert (first.id, first.state) == (check_id, state)


def site(house: House, **fields: object) -> None:
    sound = Site(
        site_id="North",
        address="1 Example Way",
        country="US",
        networks=("192.0.2.0/24",),
        emergency_contacts=("porter@example.com",),
        security_desk=("+14255550188",),
    )
    house.sites.save(structs.replace(sound, **fields), None, house.within())


def nobody_by_default(house: House) -> None:
    house.deployment = structs.replace(house.deployment, default_contacts=())


class PresenceThatIsAway(PresenceTable):
    def read(self, agent_id: str, deadline: Deadline) -> Presence:
        raise Unavailable


class SitesThatAreAway(SiteTable):
    def all(self, deadline: Deadline) -> list[Site]:
        raise Unavailable


def test_routes_that_the_service_told_long_ago_are_unknown_with_their_age(house: House) -> None:
    read_at = house.clock.now()
    house.tick()
    house.telephony.known = Telephony(numbers=owned(*numbers(4)), numbers_at=read_at)
    house.clock.advance(after(minutes=59))
    assert states(house.administration.show_readiness())["emergency_path"] is CheckState.OK
    house.clock.advance(after(minutes=2))
    [path] = [each for each in house.administration.show_readiness().checks if each.id == "emergency_path"]
    assert (path.state, path.at) == (CheckState.UNKNOWN, read_at)


def test_what_the_entry_lacks_its_site_may_have(house: House) -> None:
    nobody_by_default(house)
    house.add_agent(structs.replace(ANA, site="north", emergency_contacts=(), address=None, country=None))
    without = states(house.administration.show_agent_readiness("ana"))
    assert {"site", "contacts", "address"} <= {each for each, state in without.items() if state is CheckState.PROBLEM}
    assert without["country"] is CheckState.WARNING
    site(house)
    of_ana = states(house.administration.show_agent_readiness("ana"), *UNKNOWN_OF_AN_AGENT)
    assert set(of_ana.values()) == {CheckState.OK}
    of_all = states(house.administration.show_readiness(), *UNKNOWN_BY_NATURE)
    assert set(of_all.values()) == {CheckState.OK}


def test_a_site_that_cannot_be_read_is_unknown_and_so_is_what_it_has(house: House) -> None:
    nobody_by_default(house)
    house.add_agent(structs.replace(ANA, site="north", emergency_contacts=(), address=None, country=None))
    site(house)
    house.sites = SitesThatAreAway(MemoryTable(), house.clock)
    of_ana = states(house.administration.show_agent_readiness("ana"))
    assert of_ana["site"] is CheckState.UNKNOWN and of_ana.keys().isdisjoint({"contacts", "address", "country"})
    assert states(house.administration.show_readiness())["sites"] is CheckState.UNKNOWN


class TelephonyThatTakesAllTheTime:
    """Port `SlowLook`: whoever waits for it has no time left."""

    def __init__(self, house: House) -> None:
        self._house = house

    def begin(self) -> None:
        """It takes longer than anybody waits."""

    def seen(self, deadline: Deadline) -> None:
        self._house.clock.advance(after(seconds=deadline.remaining_s()))


def test_a_platform_that_does_not_answer_takes_no_other_readings_time(house: House) -> None:
    house.add_agent(structs.replace(ANA, site="north", emergency_contacts=(), address=None, country=None))
    nobody_by_default(house)
    site(house)
    administration = house.administration
    slow = structs.replace(administration.office, telephony=TelephonyThatTakesAllTheTime(house))
    found = states(structs.replace(administration, office=slow).show_agent_readiness("ana"))
    assert {"site", "contacts", "address", "desktop"}.isdisjoint(
        each for each, state in found.items() if state in (CheckState.PROBLEM, CheckState.UNKNOWN)
    )


@pytest.mark.parametrize(("sites", "state"), [(None, CheckState.OK), (SiteMap(), CheckState.PROBLEM)])
def test_agents_counted_before_are_not_untold_because_the_sites_are_not_read(
    house: House, sites: SiteMap | None, state: CheckState
) -> None:
    nobody_by_default(house)
    now = house.clock.now()
    at_north = {"north": 1}
    census = Census(
        agents=1,
        by_site=at_north,
        by_country={"US": 1},
        by_state={},
        without_contacts=at_north,
        without_identity=0,
        at=now,
    )
    known = Known(
        deployment=house.deployment, sender=None, faults=(), telephony=Telephony(), census=census, sites=sites
    )
    assert {each.state for each in deployment_checks(known, now) if each.id == "contacts"} == {state}


@pytest.mark.parametrize(
    ("pattern", "countries", "state", "said"),
    [
        (r"^\+?112$", {"US"}, CheckState.WARNING, "112: whether such a call is connected is the carrier's"),
        (r"^\+?112$", {"US", "DE"}, CheckState.WARNING, "112: whether such a call is connected is the carrier's"),
        (r"^\+?\d+$", {"DE"}, CheckState.WARNING, "110, 112: whether such a call is connected is the carrier's"),
        (r"\p{Nd}", {"US"}, CheckState.WARNING, "is the carrier's"),
        (r"^\+?911$", {"US"}, CheckState.PROBLEM, "another telephone has to be used"),
        (None, {"US"}, CheckState.PROBLEM, "another telephone has to be used"),
    ],
)
def test_a_country_where_a_voice_route_takes_the_number_is_a_warning_as_the_dial_there_is_unknown(
    house: House, pattern: str | None, countries: set[str], state: CheckState, said: str
) -> None:
    deployed(countries=frozenset(countries))(house)
    exchange(routes=(VoiceRoute(name="r", number_pattern=pattern),) if pattern else ())(house)
    house.add_agent(structs.replace(ANA, country="DE"))
    site(house, country="DE")
    report(house, country="DE")
    of_ana = {check.id: check for check in house.administration.show_agent_readiness("ana").checks}
    of_all = {check.id: check for check in house.administration.show_readiness().checks}
    for found in (of_ana["country"], of_all["site_country"]):
        assert (found.state, said in found.reason) == (state, True)
    assert ("carrier" in of_ana["desktop"].reason) == (state is CheckState.WARNING)
    dialled = house.dial(Dial(call_id="c", agent_id="ana", dialled="112", country="DE"))
    assert dialled.placeable == (Placeable.UNKNOWN if state is CheckState.WARNING else Placeable.NO)


def test_a_country_that_nobody_knows_is_a_warning_to_correct_it(house: House) -> None:
    house.add_agent(structs.replace(ANA, country="XX"))
    found = {check.id: check for check in house.administration.show_agent_readiness("ana").checks}["country"]
    assert (found.state, found.remedy) == (CheckState.WARNING, "Correct `country`.")


@pytest.mark.parametrize(
    ("fields", "check_id", "state"),
    [
        ({"country": "DE"}, "site_country", CheckState.PROBLEM),
        ({"security_desk": numbers(1)}, "site_desk", CheckState.PROBLEM),
        ({"address": None}, "site_address", CheckState.PROBLEM),
        ({"networks": ()}, "site_networks", CheckState.WARNING),
        ({"emergency_contacts": MANY_CONTACTS}, "site_contacts", CheckState.WARNING),
    ],
)
def test_what_a_site_lacks_is_named_first(
    house: House, fields: dict[str, object], check_id: str, state: CheckState
) -> None:
    site(house, **fields)
    first = house.administration.show_readiness().checks[0]
    assert (first.id, first.subject, first.state) == (check_id, "site:North", state)


def test_a_site_without_contacts_where_nobody_is_told_by_default(house: House) -> None:
    nobody_by_default(house)
    site(house, emergency_contacts=())
    first = house.administration.show_readiness().checks[0]
    assert (first.id, first.subject, first.state) == ("site_contacts", "site:North", CheckState.WARNING)


@pytest.mark.parametrize("written", ["192.0.2.0/24", "192.0.2.9/24", "192.0.2.0/255.255.255.0", "::ffff:192.0.2.0/120"])
def test_two_sites_of_one_network_however_it_was_stored(house: House, written: str) -> None:
    site(house, networks=("192.0.2.0/24",))
    site(house, site_id="South", networks=(written,))
    found = [check for check in house.administration.show_readiness().checks if check.state is CheckState.PROBLEM]
    assert [(each.id, each.subject) for each in found] == [
        ("site_networks", "site:North"),
        ("site_networks", "site:South"),
    ]


def test_entries_that_name_no_site_there_is(house: House) -> None:
    house.add_agent(structs.replace(ANA, site="nowhere"))
    first = house.administration.show_readiness().checks[0]
    assert (first.id, first.subject, first.state) == ("site", "site:nowhere", CheckState.PROBLEM)
    assert first.reason.startswith("1 entries")


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"location_permission": Permission.DENIED}, "location"),
        ({"location_permission": Permission.PROMPT, "location": None}, "allowed"),
        ({"environment": Environment.VIRTUAL}, "virtual"),
        ({"country": "MX"}, "country"),
    ],
)
def test_what_is_wrong_with_a_desktop_is_a_warning(house: House, fields: dict[str, object], said: str) -> None:
    report(house, **fields)
    first = house.administration.show_agent_readiness("ana").checks[0]
    assert (first.id, first.state) == ("desktop", CheckState.WARNING)
    assert said in first.reason


def test_a_location_of_which_nobody_knows_whether_it_may_be_seen_is_unknown_until_a_position_came(house: House) -> None:
    report(house, location_permission=Permission.UNKNOWN, location=None)
    assert states(house.administration.show_agent_readiness("ana"))["desktop"] is CheckState.UNKNOWN
    for permission in (Permission.UNKNOWN, Permission.PROMPT):
        report(house, location_permission=permission)
        assert states(house.administration.show_agent_readiness("ana"))["desktop"] is CheckState.OK


def test_an_old_report_is_a_warning(house: House) -> None:
    house.clock.advance(after(hours=25))
    assert house.administration.show_agent_readiness("ana").checks[0].id == "desktop"


def test_a_bounce_is_a_problem_of_the_address_and_tells_of_no_call(house: House) -> None:
    house.dial(Dial(call_id="c", agent_id="ana", dialled="911"))
    [sent] = house.mail.accepted
    assert house.calling.record_delivery(sent.operation_id, "GUARD@example.com", Delivery.FAILED)
    first = house.administration.show_agent_readiness("ana").checks[0]
    assert (first.id, first.state) == ("deliveries", CheckState.PROBLEM)
    assert "guard" not in first.reason
    assert house.calling.record_delivery(sent.operation_id, "guard@example.com", Delivery.DELIVERED)
    assert states(house.administration.show_agent_readiness("ana"))["deliveries"] is CheckState.OK


@pytest.mark.parametrize("whose", ["site", "default"])
def test_a_bounce_of_whoever_is_told_in_the_agents_stead_is_a_problem_too(house: House, whose: str) -> None:
    house.add_agent(structs.replace(ANA, emergency_contacts=(), site="north" if whose == "site" else None))
    if whose == "site":
        site(house, emergency_contacts=("reception@example.com",))
    house.dial(Dial(call_id="c", agent_id="ana", dialled="911"))
    [sent] = house.mail.accepted
    assert sent.recipients == (("reception@example.com",) if whose == "site" else (DEFAULT_CONTACT,))
    house.calling.record_delivery(sent.operation_id, sent.recipients[0], Delivery.FAILED)
    assert states(house.administration.show_agent_readiness("ana"))["deliveries"] is CheckState.PROBLEM
    house.calling.record_delivery(sent.operation_id, sent.recipients[0], Delivery.DELIVERED)
    assert states(house.administration.show_agent_readiness("ana"))["deliveries"] is CheckState.OK


def test_nothing_is_said_of_every_contact_while_a_sites_was_never_sent_anything(house: House) -> None:
    house.dial(Dial(call_id="c", agent_id="ana", dialled="911"))
    [sent] = house.mail.accepted
    house.calling.record_delivery(sent.operation_id, "guard@example.com", Delivery.DELIVERED)
    site(house, emergency_contacts=("reception@example.com",))
    house.add_agent(structs.replace(ANA, site="north"))
    assert "deliveries" not in states(house.administration.show_agent_readiness("ana"))


def test_nothing_is_said_of_every_contact_while_one_was_never_sent_anything(house: House) -> None:
    house.dial(Dial(call_id="c", agent_id="ana", dialled="911"))
    [sent] = house.mail.accepted
    assert house.calling.record_delivery(sent.operation_id, "guard@example.com", Delivery.DELIVERED)
    house.add_agent(structs.replace(ANA, emergency_contacts=("guard@example.com", "new@example.com")))
    assert "deliveries" not in states(house.administration.show_agent_readiness("ana"))
    house.add_agent(structs.replace(ANA, emergency_contacts=("GUARD@example.com",)))
    assert states(house.administration.show_agent_readiness("ana"))["deliveries"] is CheckState.OK


def test_what_is_kept_of_contacts_goes_with_the_entry(house: House) -> None:
    house.dial(Dial(call_id="c", agent_id="ana", dialled="911"))
    [sent] = house.mail.accepted
    house.calling.record_delivery(sent.operation_id, "guard@example.com", Delivery.DELIVERED)
    assert house.deliveries.of(ANA.agent_id, ["guard@example.com"], house.within())
    house.deliveries.forget(ANA.agent_id, house.within())
    assert house.deliveries.of(ANA.agent_id, ["guard@example.com"], house.within()) == {}


def test_of_somebody_unlisted_no_delivery_is_kept(house: House) -> None:
    house.dial(Dial(call_id="c", agent_id="stranger", dialled="911"))
    sent = house.mail.accepted[-1]
    house.calling.record_delivery(sent.operation_id, DEFAULT_CONTACT, Delivery.FAILED)
    assert house.deliveries.of("stranger", [DEFAULT_CONTACT], house.within()) == {}


def blocking(numbers: int, erlangs: float) -> float:
    """The share of emergencies that would find no number, by Erlang's loss formula as it is written."""
    terms = [erlangs**busy / factorial(busy) for busy in range(numbers + 1)]
    return terms[-1] / sum(terms)


@pytest.mark.parametrize(
    # Erlang's table, to three figures.
    ("lines", "erlangs", "blocked"),
    [(1, 1.0, 0.5), (5, 3.0, 0.110), (10, 5.0, 0.0184), (20, 12.0, 0.00979)],
)
def test_erlangs_formula(lines: int, erlangs: float, blocked: float) -> None:
    assert blocking(lines, erlangs) == pytest.approx(blocked, rel=0.01)


def test_a_pool_is_large_enough_for_a_load_or_says_how_many_are_missing() -> None:
    needed = numbers_needed(3.0, 120)
    assert blocking(needed, 6.0) <= 0.001 < blocking(needed - 1, 6.0)
    assert numbers_needed(0.0, 120) == 1


INBOUND = CapacityProfile(name="Default voice inbound", limit=2)
OUTBOUND = CapacityProfile(name="Default voice outbound", limit=1)


@pytest.mark.parametrize(
    ("found", "stated", "state", "said"),
    [
        ((), None, CheckState.WARNING, "no capacity profile"),
        ((INBOUND, OUTBOUND), None, CheckState.WARNING, "Default voice outbound: 1"),
        ((INBOUND,), OutboundProfile(work_item_limit=3), CheckState.WARNING, "that was stated, 3, is none"),
        ((INBOUND,), OutboundProfile(work_item_limit=2), CheckState.OK, "Default voice inbound: 2"),
        ((INBOUND,), OutboundProfile(name="Outbound"), CheckState.OK, "as read in the contact centre"),
        ((CapacityProfile(name="Chat"),), None, CheckState.OK, "Chat: none"),
        (None, None, CheckState.UNKNOWN, "Nobody has stated"),
        (None, OutboundProfile(work_item_limit=1), CheckState.WARNING, "As an administrator stated"),
    ],
)
def test_what_the_contact_centre_tells_of_capacity_outranks_what_was_stated(
    house: House,
    found: tuple[CapacityProfile, ...] | None,
    stated: OutboundProfile | None,
    state: CheckState,
    said: str,
) -> None:
    known = KnownOfAgent(
        agent=structs.replace(ANA, outbound_profile=stated),
        deployment=house.deployment,
        telephony=Telephony(),
        profiles=found,
    )
    [check] = [each for each in agent_checks(known, house.clock.now()) if each.id == "outbound_profile"]
    assert check.state is state and said in check.reason


class Elsewhere(PresenceTable):
    """Presence in a service outside, as far as readiness asks it."""

    @property
    def embedded(self) -> bool:
        return False

    shown: Presence | None = Presence(status=PresenceStatus.BUSY, native="Busy/InAMeeting")

    def read(self, agent_id: str, deadline: Deadline) -> Presence:
        if self.shown is None:
            raise Unavailable
        return self.shown


def in_graph(house: House, shown: Presence | None = Elsewhere.shown) -> None:
    house.deployment = structs.replace(house.deployment, presence_backend=PresenceBackend.GRAPH)
    house.presence = gateway = Elsewhere(MemoryTable(), house.clock, house.keys)
    gateway.shown = shown


def presence_of_ana(house: House) -> Check:
    [check] = [each for each in house.administration.show_agent_readiness("ana").checks if each.id == "presence"]
    return check


def test_where_presence_lies_is_told_and_what_cannot_be_seen_there(house: House) -> None:
    def told() -> str:
        [check] = [each for each in house.administration.show_readiness().checks if each.id == "presence"]
        assert check.state is CheckState.OK
        return check.reason

    assert "table of ours" in told()
    in_graph(house)
    assert "cannot be seen there" in told()


@pytest.mark.parametrize(
    ("shown", "state", "said"),
    [
        (Presence(status=PresenceStatus.BUSY, native="Busy/InAMeeting"), CheckState.OK, "Busy/InAMeeting"),
        (Presence(status=PresenceStatus.OFFLINE, settable=False), CheckState.PROBLEM, "does not know this agent"),
        (None, CheckState.UNKNOWN, "did not answer"),
    ],
)
def test_whether_an_agents_presence_can_be_held_in_graph(
    house: House, shown: Presence | None, state: CheckState, said: str
) -> None:
    in_graph(house, shown)
    check = presence_of_ana(house)
    assert (check.state, check.subject) == (state, "agent:ana") and said in check.reason


def test_graph_knows_nobody_without_an_object_id(house: House) -> None:
    house.add_agent(structs.replace(ANA, entra_object_id=None))
    assert "presence" not in states(house.administration.show_agent_readiness("ana"))
    in_graph(house)
    check = presence_of_ana(house)
    assert check.state is CheckState.PROBLEM and "entra_object_id" in check.reason
    [agents] = [each for each in house.administration.show_readiness().checks if each.id == "agent_states"]
    assert agents.state is CheckState.PROBLEM, "though nobody asks the service about all agents"


@pytest.mark.parametrize(
    ("user_id", "shown", "state"),
    [
        (None, Elsewhere.shown, CheckState.PROBLEM),
        ("0f0e0d0c-0b0a-4908-8706-0504030201ff", Elsewhere.shown, CheckState.OK),
        (
            "0f0e0d0c-0b0a-4908-8706-0504030201ff",
            Presence(status=PresenceStatus.OFFLINE, settable=False),
            CheckState.UNKNOWN,
        ),
    ],
)
def test_whether_an_agents_presence_can_be_held_in_dynamics(
    house: House, user_id: str | None, shown: Presence | None, state: CheckState
) -> None:
    house.add_agent(structs.replace(ANA, dynamics_user_id=user_id))
    in_graph(house, shown)
    house.deployment = structs.replace(house.deployment, presence_backend=PresenceBackend.DYNAMICS365)
    check = presence_of_ana(house)
    assert check.state is state and (state is CheckState.OK or "dynamics_user_id" in (check.remedy or ""))


def test_a_site_without_contacts_is_told_of_by_default(house: House) -> None:
    site(house, emergency_contacts=())
    assert "site_contacts" not in states(house.administration.show_readiness())


def test_the_path_of_an_agent_follows_from_the_caller_id_that_is_stated(house: House) -> None:
    house.add_agent(structs.replace(ANA, outbound_profile=OutboundProfile(caller_id="+14255550199")))
    [check] = [each for each in house.administration.show_agent_readiness("ana").checks if each.id == "emergency_path"]
    assert (check.state, check.reason.partition(":")[0]) == (CheckState.PROBLEM, "fails")


def test_of_a_presence_that_nobody_asked_for_nothing_is_said(house: House) -> None:
    known = structs.replace(ANA, entra_object_id="0f0e0d0c-0b0a-4908-8706-050403020100")
    checks = partial(agent_presence_checks, known, PresenceBackend.GRAPH, None, house.clock.now())
    assert list(checks(asked=False)) == []
    assert [each.state for each in checks(asked=True)] == [CheckState.UNKNOWN]


def test_the_pool_that_is_needed_follows_from_how_long_a_number_is_kept(house: House) -> None:
    for number in range(400):
        house.add_agent(structs.replace(ANA, agent_id=f"a{number}"))

    def needed(**minutes: int) -> int:
        house.deployment = structs.replace(house.deployment, rules=structs.replace(house.deployment.rules, **minutes))
        house.clock.advance(after(hours=1))
        [pool] = [each for each in house.administration.show_readiness().checks if each.id == "pool"]
        return int(pool.reason.partition("Erlang-B ")[2].partition(" ")[0])

    usual = needed()
    assert needed(after_call_minutes=30) == usual < needed(after_call_minutes=600)
