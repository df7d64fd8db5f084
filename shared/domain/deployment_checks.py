"""What is looked at for the whole deployment (S10, B10)."""

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime, timedelta

from msgspec import Struct

from shared.domain.deployment import Deployment, SettingFault
from shared.domain.drills import Drill, DrillState, StepName, StepState, state_of
from shared.domain.identities import is_application
from shared.domain.notice_templates import Fault, TemplateKind
from shared.domain.path_checks import binding_check, emergency_path, number_checks
from shared.domain.pool_size import numbers_needed
from shared.domain.presence_checks import presence_checks
from shared.domain.readiness import Check, CheckState, ok, problem, unknown, warning
from shared.domain.sender_quota import SenderQuota
from shared.domain.service_checks import SLOW_MS, Service, ServiceAnswer, service_checks
from shared.domain.site_checks import DESK_IS_NO_PERSON, NAME_A_PERSON, site_checks
from shared.domain.sites import SiteMap
from shared.domain.stamps import age_of
from shared.domain.voice_routes import Telephony
from shared.domain.words import Words

OVERDUE, LONG_OVERDUE = timedelta(minutes=1), timedelta(minutes=10)
# As the alert `drill-overdue` has it.
DRILL_EVERY = timedelta(days=30)
# What a deployment of so many agents has to expect on a bad day: one in a hundred agents within an hour.
AGENTS_AN_EMERGENCY = 100
OF_THE_SETTING = Words("The keys of people in the tables are made with KEY_SECRETS.")
OF_THE_TABLE = Words("The keys of people are made with a secret that was made once and is kept in the table.")
# What Communication Services documents for a domain of Azure's, whose quota it does not raise.
MANAGED_AN_HOUR = 10


class StoreFacts(Struct, frozen=True, kw_only=True):
    """What the store says of itself: how long it took, the oldest thing owed, how many rows nobody can read."""

    ms: int
    oldest_owed_at: datetime | None
    broken_rows: int


class Census(Struct, frozen=True, kw_only=True):
    """How many agents the directory has, in all, at each site, in each country and state, and when they were counted.

    Sites are told by their ids, "" stands for none, as it does for a country that nobody stated; `without_contacts` are
    those who have none of their own.
    """

    agents: int
    by_site: Mapping[str, int]
    by_country: Mapping[str, int]
    by_state: Mapping[CheckState, int]
    without_contacts: Mapping[str, int]
    without_identity: int
    at: datetime

    @property
    def largest_site(self) -> int:
        """How many agents the largest site has."""
        return max((agents for site, agents in self.by_site.items() if site), default=0)


class Known(Struct, frozen=True, kw_only=True):
    """All that is known when somebody asks; None where it was not answered."""

    deployment: Deployment
    sender: str | None
    sender_quota: SenderQuota = SenderQuota()
    graph_mail: bool = False
    faults: tuple[SettingFault, ...]
    telephony: Telephony
    store: StoreFacts | None = None
    census: Census | None = None
    faulty_templates: Mapping[tuple[TemplateKind, str], Sequence[Fault]] | None = None
    drill: Drill | None = None
    drill_known: bool = False
    sites: SiteMap | None = None
    secrets_set: bool = False
    services: Mapping[Service, ServiceAnswer | None] = {}


def deployment_checks(known: Known, now: datetime) -> Iterator[Check]:
    """Every check of the deployment."""
    yield from _settings(known.faults, now)
    yield ok("key_secrets", OF_THE_SETTING if known.secrets_set else OF_THE_TABLE, now)
    yield from _store(known.store, now)
    yield from service_checks(known.services)
    yield from presence_checks(known.deployment.presence_backend, now)
    yield from _ladder(known.deployment, now)
    yield _pool(known.deployment, known.census, now)
    yield from _census(known)
    by_site = known.census.by_site if known.census else {}
    yield from site_checks(known.sites, known.deployment, known.telephony, by_site, now)
    yield emergency_path(known.deployment.callback_numbers, known.telephony)
    countries = known.census.by_country if known.census else ()
    yield from number_checks(known.deployment.callback_numbers, countries, known.telephony)
    yield binding_check()
    yield _sender(known, now)
    yield from _quota(known)
    yield ok("mailbox", "Not applicable: notices are sent by EMAIL_SENDER, agents' own mailboxes are not used.", now)
    yield from _templates(known.faulty_templates, now)
    yield _drill(known, now)
    yield _retirement(known, now)
    yield from _states(known.census)


def _retirement(known: Known, now: datetime) -> Check:
    return ok(
        "retirement_2028",
        Words(
            "The platform ends direct routing, numbers bought from it, and its e-mail on 30 September 2028; calling "
            "from the browser and Call Automation go on with Teams Phone only. Used here: {used}.",
            used=tuple(_used(known)),
        ),
        now,
    )


def _used(known: Known) -> Iterator[Words]:
    yield Words("calling from the browser")
    yield Words("Call Automation")
    if known.sender and not known.graph_mail:
        yield Words("e-mail of Communication Services")
    if known.telephony.routes:
        yield Words("direct routing")
    if known.telephony.numbers:
        yield Words("numbers bought from the platform")


def _settings(faults: Sequence[SettingFault], now: datetime) -> Iterator[Check]:
    for fault in faults:
        make = problem if fault.serious else warning
        reason = Words("{setting}: {problem}", setting=fault.setting, problem=fault.problem)
        yield make("setting", reason, fault.mend, now)
    if not faults:
        yield ok("settings", "Every setting is as it must be.", now)


def _store(store: StoreFacts | None, now: datetime) -> Iterator[Check]:
    if store is None:
        yield problem(
            "store", "Table storage does not answer.", "Look at the storage account, its network and the roles.", now
        )
        return
    if store.ms > SLOW_MS:
        reason = Words("Table storage took {ms} ms.", ms=store.ms)
        yield warning("store", reason, "Look at its latency and throttling.", now)
    else:
        yield ok("store", Words("Table storage answered in {ms} ms.", ms=store.ms), now)
    late = now - store.oldest_owed_at if store.oldest_owed_at is not None else timedelta(0)
    if late > OVERDUE:
        make = problem if late > LONG_OVERDUE else warning
        yield make(
            "outbox",
            Words(
                "What is owed longest is overdue by {minutes} minutes: a notice or a presence.",
                minutes=int(late.total_seconds() // 60),
            ),
            "Look at the log for what fails (email_blocked, presence_failed) and whether the timers run.",
            now,
        )
    else:
        yield ok("outbox", "Nothing that is owed is overdue.", now)
    if store.broken_rows:
        yield problem(
            "broken_rows",
            Words("{rows} rows cannot be read and were set aside.", rows=store.broken_rows),
            "Look in the log for row_set_aside; go back to the version that wrote them, or wait: they are looked at "
            "again every ten minutes.",
            now,
        )
    else:
        yield ok("broken_rows", "Every row can be read.", now)


def _ladder(deployment: Deployment, now: datetime) -> Iterator[Check]:
    pool = set(deployment.callback_numbers)
    if deployment.fallback_number is None:
        yield problem(
            "fallback", "There is no fallback number.", "Set FALLBACK_CALLBACK_NUMBER to one that people answer.", now
        )
    elif deployment.fallback_number in pool:
        yield problem(
            "fallback",
            "The fallback number is one of the pool: a callback would go round for ever.",
            "Set FALLBACK_CALLBACK_NUMBER to a number that people answer at all hours.",
            now,
        )
    else:
        yield ok("fallback", "The fallback number is none of the pool; that people answer it, only a call shows.", now)
    if pool & set(deployment.security_desk):
        yield problem("desk", "A number of the desk is one of the pool.", "Take it out of SECURITY_DESK.", now)
    elif any(map(is_application, deployment.security_desk)):
        yield warning("desk", DESK_IS_NO_PERSON, NAME_A_PERSON, now)
    elif not deployment.security_desk:
        yield ok("desk", "There is no desk: the fallback number stands in for it.", now)
    else:
        yield ok("desk", "The desk is none of the pool.", now)
    if deployment.callback_events_url is None:
        yield problem(
            "callback_events",
            "Events of a callback cannot come here or be verified: callbacks are only sent on, to one person.",
            "Set PUBLIC_BASE_URL and COMMUNICATION_SERVICES_RESOURCE_ID; correct or remove CALL_AUTOMATION_ISSUER and "
            "CALL_AUTOMATION_KEYS_URL.",
            now,
        )
    else:
        yield ok("callback_events", "Events of callbacks have an address here and can be verified.", now)


def _pool(deployment: Deployment, census: Census | None, now: datetime) -> Check:
    numbers = len(deployment.callback_numbers)
    if numbers == 0:
        return problem("pool", "There is no callback number.", "Set CALLBACK_NUMBERS.", now)
    if census is None:
        return unknown("pool", "The directory could not be counted.", "Ask again in a minute.", None)
    largest = census.largest_site
    rules = deployment.rules
    kept_minutes = max(rules.window_minutes, rules.after_call_minutes) + rules.cool_down_minutes
    by_load = numbers_needed(census.agents / AGENTS_AN_EMERGENCY, kept_minutes) if census.agents else 1
    needed = max(largest, by_load)
    if numbers >= needed:
        reason = Words(
            "{numbers} numbers; the largest site has {largest} agents, by Erlang-B {by_load} are needed.",
            numbers=numbers,
            largest=largest,
            by_load=by_load,
        )
        return ok("pool", reason, census.at)
    return warning(
        "pool",
        Words(
            "{numbers} numbers; the largest site has {largest} agents, by Erlang-B {by_load} are needed: beyond that, "
            "numbers are shared.",
            numbers=numbers,
            largest=largest,
            by_load=by_load,
        ),
        Words("Add {lacking} numbers.", lacking=needed - numbers),
        census.at,
    )


def _census(known: Known) -> Iterator[Check]:
    census = known.census
    if census is None:
        yield unknown("agents", "The directory could not be read in time.", "Ask again in a minute.", None)
        return
    if not census.agents:
        yield warning("agents", "The directory has no agent: everybody is unlisted.", "Add agents.", census.at)
        return
    untold = _untold(known, census)
    if untold:
        yield problem(
            "contacts",
            Words(
                "{untold} of {agents} agents have no contacts, nor has their site, and there are no default ones.",
                untold=untold,
                agents=census.agents,
            ),
            "Set EMERGENCY_CONTACTS, or give each agent or site contacts.",
            census.at,
        )
    else:
        yield ok("contacts", "For every agent somebody is told.", census.at)
    if census.without_identity:
        yield warning(
            "identities",
            Words(
                "{without} of {agents} agents have neither an ACS identity nor an alternate number: callbacks ring "
                "what their softphone names at the dial, else the desk.",
                without=census.without_identity,
                agents=census.agents,
            ),
            "Add `acs_user_ids` or `alternate_numbers` to their entries.",
            census.at,
        )
    else:
        yield ok("identities", "Every agent can be rung.", census.at)


def _untold(known: Known, census: Census) -> int:
    """How many agents there are of whose calls nobody is told: neither their own, nor their site's, nor default."""
    if known.deployment.default_contacts:
        return 0

    def may_tell(named: str) -> bool:
        if known.sites is None:
            # What was not read tells nothing against it.
            return bool(named)
        site = known.sites.named(named)
        return site is not None and bool(site.emergency_contacts)

    return sum(agents for each, agents in census.without_contacts.items() if not may_tell(each))


def _states(census: Census | None) -> Iterator[Check]:
    """How many agents are in each state: each of them is told of in their own readiness."""
    if census is None or not census.agents:
        return
    said = Words(
        "{agents} agents, by the worst of each one's checks: {problem} problem, {warning} warning, {unknown} unknown, "
        "{ok} ok.",
        agents=census.agents,
        **{state.value: census.by_state.get(state, 0) for state in CheckState},
    )
    remedy = Words("Ask for the readiness of each agent, /manage/agents/{agent_id}/readiness.")
    if census.by_state.get(CheckState.PROBLEM):
        yield problem("agent_states", said, remedy, census.at)
    elif census.by_state.get(CheckState.WARNING):
        yield warning("agent_states", said, remedy, census.at)
    else:
        yield ok("agent_states", said, census.at)


def _quota(known: Known) -> Iterator[Check]:
    """Whether everybody at the largest site can be told of within an hour."""
    if known.sender is None or known.census is None:
        return
    largest = known.census.largest_site
    an_hour = known.sender_quota.most_an_hour
    if _is_managed(known.sender) and not known.graph_mail:
        an_hour = min(an_hour, MANAGED_AN_HOUR)
    if largest > an_hour:
        yield warning(
            "sender_quota",
            Words(
                "The sender may send {an_hour} messages an hour, and the largest site has {largest} agents: should all "
                "of them dial, notices beyond that are late or merged.",
                an_hour=an_hour,
                largest=largest,
            ),
            "Ask for a higher quota of the sender or its domain, then raise EMAIL_PER_MINUTE and EMAIL_PER_HOUR.",
            known.census.at,
        )
    else:
        reason = Words(
            "{an_hour} messages an hour, {largest} agents at the largest site.", an_hour=an_hour, largest=largest
        )
        yield ok("sender_quota", reason, known.census.at)


def _is_managed(sender: str) -> bool:
    return sender.casefold().endswith(".azurecomm.net")


def _sender(known: Known, now: datetime) -> Check:
    sender, drill = known.sender, known.drill
    if sender is None:
        return problem("sender", "There is no sender: nobody is told of a call.", "Set EMAIL_SENDER.", now)
    if _is_managed(sender) and not known.graph_mail:
        return warning(
            "sender",
            "The sender's domain is managed by Azure: it may send 5 messages a minute and 10 an hour.",
            "Verify a domain of your own; it may send 30 a minute and 100 an hour, and more when asked for.",
            now,
        )
    by_it = drill is not None and drill.sender_key == known.deployment.sender_key
    if drill is not None and by_it and state_of(drill, StepName.EMAIL) is StepState.PASSED:
        return ok("sender", "The e-mail service took a message from it in the last drill.", drill.at)
    return unknown(
        "sender", "Whether the e-mail service takes messages from it shows when one is sent.", "Run a drill.", None
    )


def _templates(faulty: Mapping[tuple[TemplateKind, str], Sequence[Fault]] | None, now: datetime) -> Iterator[Check]:
    if faulty is None:
        yield unknown("templates", "The templates could not be read in time.", "Ask again in a minute.", None)
        return
    for (kind, language), faults in faulty.items():
        yield problem(
            "template",
            Words(
                "The template {kind}, {language} could not be saved as it is ({code}). It is used all the same; only "
                "where it cannot be rendered, the built-in one serves.",
                kind=kind.value,
                language=language,
                code=faults[0].code,
            ),
            "Edit it, or take the built-in one again.",
            now,
        )
    if not faulty:
        yield ok("templates", "Every template can be used.", now)


def _drill(known: Known, now: datetime) -> Check:
    remedy = Words("Run a drill, and dial 933 from a desk.")
    if not known.drill_known:
        return unknown("drill", "The last drill could not be read in time.", "Ask again in a minute.", None)
    drill = known.drill
    if drill is None:
        return warning("drill", "There never was a drill.", remedy, now)
    if drill.state is DrillState.RUNNING:
        return ok("drill", "A drill is being played.", drill.at)
    day = f"{drill.at:%Y-%m-%d}"
    if drill.state is DrillState.FAILED:
        return problem("drill", Words("The last drill, on {day}, failed.", day=day), remedy, drill.at)
    if age_of(drill.at, now) >= DRILL_EVERY:
        return warning("drill", Words("The last drill was on {day}.", day=day), remedy, drill.at)
    if drill.state is DrillState.OVERTAKEN:
        return warning("drill", Words("The last drill, on {day}, ended as overtaken.", day=day), remedy, drill.at)
    return ok("drill", Words("The last drill, on {day}, ended as passed.", day=day), drill.at)
