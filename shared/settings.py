"""The app settings: read once, every fault reported at once in words that say how to mend it.

A fault never stops an emergency (B1): a faulty entry is left out, and the rest or the default is used. No fault ever
repeats a value, which may be a number, an address or a key (B8).
"""

import base64
import binascii
import re
from collections.abc import Callable, Mapping, Sequence
from datetime import timedelta
from enum import StrEnum
from typing import Literal
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from msgspec import Struct

from shared.domain.contacts import MAX_CONTACTS, TOO_MANY, is_address, parse_contacts
from shared.domain.countries import COUNTRIES, WITHOUT_EMERGENCY_NUMBER
from shared.domain.deployment import CallbackNotices, PresenceBackend, SettingFault
from shared.domain.identities import is_desk
from shared.domain.ids import ascii_lower, guid_of
from shared.domain.keys import Secret
from shared.domain.leases import Rules
from shared.domain.notifications import split_list
from shared.domain.phone_numbers import is_e164
from shared.domain.schedules import is_schedule, largest_gap
from shared.domain.sender_quota import SenderQuota
from shared.domain.words import Words

MAX_CALLBACK_NUMBERS = 10_000
MAX_DESKS = 20
MAX_SOURCES = 100
MAX_ORIGINS = 100
MAX_MESSAGES = 999_999
MAX_PLACES_TOLD = 5
MAX_SETTING_CHARS = 256 * 1024
MIN_MINUTES, MAX_MINUTES = 10, 1440
# With 0 the documented behaviour is had to the letter: lent for 60 minutes, presence back after any end.
MIN_AFTERWARDS_MINUTES = 0
ISSUER = "https://acscallautomation.communication.azure.com"
GRAPH_URL = "https://graph.microsoft.com"
KEYS_URL = "https://acscallautomation.communication.azure.com/calling/keys"
MAX_SOURCE_CHARACTERS = 1024
# Shorter ones can be tried out one after another against a key of somebody who is known.
MIN_SECRET_CHARS, MAX_SECRET_CHARS, MAX_SECRETS = 16, 256, 8
_SECRET = re.compile(rf"[\x21-\x7e]{{{MIN_SECRET_CHARS},{MAX_SECRET_CHARS}}}")
_HOST = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9.-]{0,252}[A-Za-z0-9])?", re.ASCII)
_LOOPBACK = ("localhost", "127.0.0.1")
# The alert `silence` wants a run of each timer in five minutes; what is owed is tried again at least once a minute.
RUN_EVERY = {"EXPIRY_SCHEDULE": timedelta(minutes=4), "OUTBOX_SCHEDULE": timedelta(minutes=1)}
# What the SDK reads of the environment of its own accord when the app signs in (azure-identity,
# `DefaultAzureCredential`); it makes no credential at all where one of them is faulty.
_CREDENTIALS = frozenset(
    f"{name}credential"
    for name in (
        *("environment", "workloadidentity", "managedidentity", "visualstudiocode", "azurecli", "azuredevelopercli"),
        *("azurepowershell", "interactivebrowser"),
    )
) | {"", "dev", "prod"}
_TENANT = re.compile(r"[A-Za-z0-9.-]*", re.ASCII)
_DEFAULT_PORTS = {"https": 443, "http": 80}


class Setting(Struct, frozen=True):
    """A setting as administrators know it. `default` is "" where there is none."""

    name: str
    default: str
    meaning: str
    required: bool = False


SETTINGS = (
    Setting(
        "COMMUNICATION_SERVICES_CONNECTION_STRING", "", "Communication Services, with a key (or the endpoint below)"
    ),
    Setting("COMMUNICATION_SERVICES_ENDPOINT", "", "Communication Services, with the app's managed identity"),
    Setting(
        "COMMUNICATION_SERVICES_RESOURCE_ID", "", "its immutable id, the audience of callback tokens", required=True
    ),
    Setting("TABLES_CONNECTION_STRING", "", "Table storage or Cosmos DB for Table, with a key (or the endpoint below)"),
    Setting("TABLES_ENDPOINT", "", "Table storage or Cosmos DB for Table, with the app's managed identity"),
    Setting("EVENT_SOURCES", "", "resource ids whose events count; empty: any source, reported as a warning"),
    Setting("CALL_AUTOMATION_ISSUER", ISSUER, "who signs mid-call events"),
    Setting("CALL_AUTOMATION_KEYS_URL", KEYS_URL, "where the keys of that issuer are"),
    Setting("CALLBACK_NUMBERS", "", "the pool of callback numbers, E.164", required=True),
    Setting("FALLBACK_CALLBACK_NUMBER", "", "answered by people at all hours, E.164", required=True),
    Setting("CALLBACK_WINDOW_MINUTES", "60", "how long a number stays with an agent after dialling, at least"),
    Setting("CALLBACK_AFTER_CALL_MINUTES", "30", "how long it stays after the last call ended, at least"),
    Setting("CALLBACK_COOL_DOWN_MINUTES", "60", "how long it rests before it counts as free"),
    Setting("HOLD_AFTER_DROP_MINUTES", "10", "how long presence stays held after a dropped call"),
    Setting("MAX_CALL_MINUTES", "240", "when a call whose end was never reported counts as dropped"),
    Setting("EMERGENCY_COUNTRIES", "US;PR;CA", "countries whose emergency numbers count, ISO 3166-1 alpha-2"),
    Setting("EMERGENCY_CONTACTS", "", "e-mail addresses for agents without contacts of their own"),
    Setting("SECURITY_DESK", "", "E.164 numbers or ACS user ids; empty: the fallback number"),
    Setting("CALLBACK_NOTICES", "missed", "which callbacks the contacts are told of: none, missed or all"),
    Setting("CLOSING_NOTICES", "on", "whether the contacts are told that it is over: on or off"),
    Setting("TIME_ZONE", "UTC", "IANA name: the zone of the times in notices"),
    Setting("EMAIL_SENDER", "", "the verified sender address of notifications", required=True),
    Setting("EMAIL_BACKEND", "acs", "what sends notifications: acs, or graph as the mailbox of the sender"),
    Setting("EMAIL_PER_MINUTE", "30", "messages a minute; beyond it those to one recipient are merged, and wait"),
    Setting("EMAIL_PER_HOUR", "100", "messages an hour, likewise"),
    Setting("GRAPH_URL", GRAPH_URL, "Microsoft Graph; another address in sovereign clouds"),
    Setting("PUBLIC_BASE_URL", "", "where Communication Services reaches the app; empty: from WEBSITE_HOSTNAME"),
    Setting("ALLOWED_ORIGINS", "", "sites that may embed the panel and call the API"),
    Setting("PRESENCE_BACKEND", "table", "the presence service: table, graph (that of Microsoft Teams) or dynamics365"),
    Setting(
        "DYNAMICS365_URL",
        "",
        "the Dynamics 365 organisation, `https://….crm.dynamics.com`; needed with `PRESENCE_BACKEND=dynamics365`",
    ),
    Setting(
        "KEY_SECRETS",
        "",
        "secrets for hashing people's ids in storage: the first is used for new rows, all for reading; empty: the app "
        "generates one and keeps it in the table",
    ),
    Setting("POOL_LOW_WATER", "20", "per cent of free numbers below which an alarm is raised"),
    Setting("EXPIRY_SCHEDULE", "0 * * * * *", "when leases are tidied up, NCRONTAB", required=True),
    Setting("OUTBOX_SCHEDULE", "*/10 * * * * *", "when owed effects are tried again, NCRONTAB", required=True),
)
_DEFAULTS = {setting.name: setting.default for setting in SETTINGS}


class ServiceAccess(Struct, frozen=True):
    """How to reach a service: a connection string with a key, or an endpoint with the app's identity, or neither."""

    connection_string: str | None = None
    endpoint: str | None = None

    def __repr__(self) -> str:
        # The key must not end in a log by way of an error message.
        kind = "connection string" if self.connection_string else "endpoint" if self.endpoint else "not configured"
        return f"ServiceAccess({kind})"


class EmailBackend(StrEnum):
    """What sends notifications."""

    ACS = "acs"
    GRAPH = "graph"


class Settings(Struct, frozen=True, kw_only=True):
    """Every app setting, checked. Numbers are E.164; origins as browsers write them.

    `event_sources` are in ASCII lower case; None for any source. `callbacks_from_anywhere` where an entry of them was
    left out: it may have been the one that reports callbacks. Of who signs mid-call events, and of where the keys are,
    None stands for a setting that cannot be used: then nobody's events count.
    `security_desk` holds the fallback number where no desk is set. `ca_bundle` is a file of further certificate
    authorities (`REQUESTS_CA_BUNDLE`, for the local stack). `pool_low_water` is in per cent. `graph_url` and
    `dynamics365_url` are origins; None stands for a setting that cannot be used. `client_id` is that of the app's
    identity, as the platform tells it. `own_origins` are those of our own pages: `public_base_url` may
    be another app's, which serves callbacks alone, and so that of the app's host name is among them.
    """

    communication: ServiceAccess = ServiceAccess()
    communication_resource_id: str | None = None
    tables: ServiceAccess = ServiceAccess()
    event_sources: tuple[str, ...] | None = None
    callbacks_from_anywhere: bool = False
    call_automation_issuer: str | None = ISSUER
    call_automation_keys_url: str | None = KEYS_URL
    callback_numbers: tuple[str, ...] = ()
    fallback_callback_number: str | None = None
    rules: Rules = Rules()
    countries: frozenset[str] = frozenset({"US", "PR", "CA"})
    emergency_contacts: tuple[str, ...] = ()
    security_desk: tuple[str, ...] = ()
    callback_notices: CallbackNotices = CallbackNotices.MISSED
    closing_notices: bool = True
    time_zone: str = "UTC"
    email_sender: str | None = None
    email_backend: EmailBackend = EmailBackend.ACS
    sender_quota: SenderQuota = SenderQuota()
    presence_backend: PresenceBackend = PresenceBackend.TABLE
    graph_url: str | None = GRAPH_URL
    dynamics365_url: str | None = None
    public_base_url: str | None = None
    own_origins: tuple[str, ...] = ()
    allowed_origins: tuple[str, ...] = ()
    key_secrets: tuple[Secret, ...] = ()
    pool_low_water: int = 20
    sign_in_enabled: bool = False
    client_id: str | None = None
    ca_bundle: str | None = None
    faults: tuple[SettingFault, ...] = ()

    @property
    def valid(self) -> bool:
        """Whether nothing is wrong; a warning alone is no fault."""
        return not any(fault.serious for fault in self.faults)


def read_settings(environment: Mapping[str, str]) -> Settings:
    """The settings in `environment`. It never raises: what is wrong stands in `faults`."""
    read = _Reader(environment)
    fallback = read.fallback_number()
    pool = read.pool(fallback)
    sources, some_left_out = read.event_sources()
    communication = read.service(
        "COMMUNICATION_SERVICES", _communication_connection, Words("does not hold an endpoint and accesskey")
    )
    tables = read.service("TABLES", _tables_connection, Words("does not hold an AccountName and AccountKey"))
    presence_backend, email_backend = read.presence_backend(), read.email_backend()
    public_base_url = read.public_base_url()
    in_microsoft365 = presence_backend is not PresenceBackend.TABLE or email_backend is EmailBackend.GRAPH
    if communication.endpoint or tables.endpoint or in_microsoft365:
        read.sign_in()
    read.check_schedule("EXPIRY_SCHEDULE")
    read.check_schedule("OUTBOX_SCHEDULE")
    return Settings(
        communication=communication,
        communication_resource_id=read.resource_id(),
        tables=tables,
        event_sources=sources,
        callbacks_from_anywhere=some_left_out,
        call_automation_issuer=read.signer("CALL_AUTOMATION_ISSUER"),
        call_automation_keys_url=read.signer("CALL_AUTOMATION_KEYS_URL"),
        callback_numbers=pool,
        fallback_callback_number=fallback,
        rules=read.rules(),
        countries=read.countries(),
        emergency_contacts=read.contacts(),
        security_desk=read.security_desk(pool, fallback),
        callback_notices=read.callback_notices(),
        closing_notices=read.closing_notices(),
        time_zone=read.time_zone(),
        email_sender=read.email_sender(),
        email_backend=email_backend,
        sender_quota=read.sender_quota(),
        presence_backend=presence_backend,
        graph_url=read.graph_url(),
        dynamics365_url=read.dynamics365_url(presence_backend),
        public_base_url=public_base_url,
        own_origins=read.own_origins(public_base_url),
        allowed_origins=read.allowed_origins(),
        key_secrets=read.key_secrets(),
        pool_low_water=read.whole("POOL_LOW_WATER", 0, 100),
        sign_in_enabled=read.sign_in_enabled(),
        client_id=read.client_id(presence_backend),
        ca_bundle=read.text("REQUESTS_CA_BUNDLE"),
        faults=tuple(read.faults),
    )


class _Reader:
    """Reads one setting at a time and remembers what is wrong."""

    def __init__(self, environment: Mapping[str, str]) -> None:
        self._environment = environment
        self.faults: list[SettingFault] = []

    def fault(self, setting: str, problem: Words, mend: Words, *, serious: bool = True) -> None:
        self.faults.append(SettingFault(setting=setting, problem=problem, mend=mend, serious=serious))

    def text(self, name: str) -> str | None:
        text = self._environment.get(name, "").strip()
        if len(text) > MAX_SETTING_CHARS:
            self.fault(name, Words("is too long"), Words("keep it below {most} characters", most=MAX_SETTING_CHARS))
            return None
        if text.startswith("@Microsoft.KeyVault("):
            unresolved = Words("is a Key Vault reference that was not resolved")
            self.fault(name, unresolved, Words("let the app's identity read the secret"))
            return None
        return text or None

    def entries(self, name: str, valid: Callable[[str], bool], what: Words, most: int) -> tuple[str, ...]:
        """The entries of a list, without the faulty ones, which are reported by their places."""
        found = split_list(self.text(name) or "")
        if len(found) > most:
            too_many = Words("has more than {most} entries; the first {most} are used", most=most)
            self.fault(name, too_many, Words("remove the others"))
            found = found[:most]
        faulty = [place for place, entry in enumerate(found, start=1) if not valid(entry)]
        self._left_out(name, faulty, what)
        left_out = set(faulty)
        return tuple(entry for place, entry in enumerate(found, start=1) if place not in left_out)

    def _left_out(self, name: str, faulty: Sequence[int], what: Words) -> None:
        if faulty:
            told = tuple(map(str, faulty[:MAX_PLACES_TOLD]))
            more = len(faulty) > MAX_PLACES_TOLD
            places = (Words("{places} and others", places=told),) if more else told
            self.fault(
                name,
                Words("entry {places} is not {what} and was left out", places=places, what=what),
                Words("make each entry {what}, with ; between", what=what),
            )

    def contacts(self) -> tuple[str, ...]:
        name = "EMERGENCY_CONTACTS"
        found = parse_contacts(self.text(name) or "")
        if any(each.reason == TOO_MANY for each in found.refused):
            self.fault(
                name,
                Words("has more than {most} entries; the first {most} are used", most=MAX_CONTACTS),
                Words("remove some"),
            )
        faulty = [each.index + 1 for each in found.refused if each.reason != TOO_MANY]
        self._left_out(name, faulty, Words("an e-mail address"))
        return found.kept

    def whole(self, name: str, least: int, most: int) -> int:
        default = int(_DEFAULTS[name])
        text = self.text(name)
        if text is None:
            return default
        number = int(text) if text.isascii() and text.isdigit() and len(text) <= len(str(most)) + 3 else -1
        if least <= number <= most:
            return number
        self.fault(
            name,
            Words(
                "is not a whole number from {least} to {most}; {default} is used",
                least=least,
                most=most,
                default=default,
            ),
            Words("set {least} to {most}", least=least, most=most),
        )
        return default

    def rules(self) -> Rules:
        return Rules(
            window_minutes=self.whole("CALLBACK_WINDOW_MINUTES", MIN_MINUTES, MAX_MINUTES),
            after_call_minutes=self.whole("CALLBACK_AFTER_CALL_MINUTES", MIN_AFTERWARDS_MINUTES, MAX_MINUTES),
            cool_down_minutes=self.whole("CALLBACK_COOL_DOWN_MINUTES", MIN_AFTERWARDS_MINUTES, MAX_MINUTES),
            hold_after_drop_minutes=self.whole("HOLD_AFTER_DROP_MINUTES", MIN_AFTERWARDS_MINUTES, MAX_MINUTES),
            max_call_minutes=self.whole("MAX_CALL_MINUTES", MIN_MINUTES, MAX_MINUTES),
        )

    def sender_quota(self) -> SenderQuota:
        return SenderQuota(
            per_minute=self.whole("EMAIL_PER_MINUTE", 1, MAX_MESSAGES),
            per_hour=self.whole("EMAIL_PER_HOUR", 1, MAX_MESSAGES),
        )

    def fallback_number(self) -> str | None:
        name = "FALLBACK_CALLBACK_NUMBER"
        number = self.text(name)
        mend = Words("set a number in E.164 form, such as +14255550100, that people answer at all hours")
        if number is None:
            self.fault(
                name,
                Words("is missing: when no state can be read, a caller gets no number and a callback no desk"),
                mend,
            )
        elif not is_e164(number):
            self.fault(name, Words("is not a number in E.164 form and is not used"), mend)
        else:
            return number
        return None

    def pool(self, fallback: str | None) -> tuple[str, ...]:
        name = "CALLBACK_NUMBERS"
        numbers = self.entries(name, is_e164, Words("a number in E.164 form"), MAX_CALLBACK_NUMBERS)
        if fallback in numbers:
            self.fault(name, Words("holds the fallback number, which was left out"), Words("keep the two apart"))
        pool = tuple(number for number in numbers if number != fallback)
        if not pool:
            self.fault(
                name, Words("holds no number: every caller gets the fallback number"), Words("set the numbers to lend")
            )
        return pool

    def security_desk(self, pool: tuple[str, ...], fallback: str | None) -> tuple[str, ...]:
        name = "SECURITY_DESK"
        desks = self.entries(name, is_desk, Words("an E.164 number or an ACS user id"), MAX_DESKS)
        if not set(desks).isdisjoint(pool):
            mend = Words("name numbers that people answer, not callback numbers")
            self.fault(
                name,
                Words("holds a number of the pool, which was left out: a callback to it would go in circles"),
                mend,
            )
        lent = set(pool)
        desks = tuple(desk for desk in desks if desk not in lent)
        return desks or ((fallback,) if fallback else ())

    def countries(self) -> frozenset[str]:
        name = "EMERGENCY_COUNTRIES"
        usable = COUNTRIES - WITHOUT_EMERGENCY_NUMBER
        what = Words("an ISO 3166-1 alpha-2 country with a known emergency number")
        found = self.entries(name, lambda entry: entry.upper() in usable, what, 300)
        return frozenset(entry.upper() for entry in found) or frozenset(split_list(_DEFAULTS[name]))

    def event_sources(self) -> tuple[tuple[str, ...] | None, bool]:
        """The sources whose events count, None for any; and whether an entry was left out."""
        name = "EVENT_SOURCES"
        if not self._environment.get(name, "").strip():
            mend = Words("list the resource ids of the Communication Services resource and of your own topic")
            self.fault(name, Words("is empty: events of any source count"), mend, serious=False)
            return None, False
        before = len(self.faults)
        what = Words("a resource id such as /subscriptions/…")
        found = self.entries(name, _is_resource_id, what, MAX_SOURCES)
        if not found:
            # Not as if it were empty: a faulty setting never opens a door.
            mend = Words("list resource ids, with ; between, or leave it empty")
            self.fault(
                name, Words("holds no entry that can be used: no events count but those of incoming calls"), mend
            )
        sources = (ascii_lower(entry.removesuffix("/")) for entry in found)
        return tuple(dict.fromkeys(sources)), len(self.faults) > before

    def allowed_origins(self) -> tuple[str, ...]:
        name, what = "ALLOWED_ORIGINS", Words("an origin such as https://example.com")
        found = self.entries(name, lambda entry: origin_of(entry) is not None, what, MAX_ORIGINS)
        return tuple(dict.fromkeys(origin for entry in found if (origin := origin_of(entry)) is not None))

    def callback_notices(self) -> CallbackNotices:
        name = "CALLBACK_NOTICES"
        text = (self.text(name) or _DEFAULTS[name]).casefold()
        try:
            return CallbackNotices(text)
        except ValueError:
            self.fault(name, Words("is none of the values known; missed is used"), Words("set none, missed or all"))
            return CallbackNotices.MISSED

    def time_zone(self) -> str:
        name = "TIME_ZONE"
        text = self.text(name) or _DEFAULTS[name]
        try:
            return ZoneInfo(text).key
        except (ValueError, OSError, ZoneInfoNotFoundError):
            self.fault(name, Words("is no IANA time zone; UTC is used"), Words("set a name such as America/New_York"))
            return _DEFAULTS[name]

    def closing_notices(self) -> bool:
        name = "CLOSING_NOTICES"
        text = (self.text(name) or _DEFAULTS[name]).casefold()
        if text not in {"on", "off"}:
            self.fault(name, Words("is none of the values known; on is used"), Words("set on or off"))
        return text != "off"

    def key_secrets(self) -> tuple[Secret, ...]:
        what = Words(
            "a secret of {least} to {most} characters without blanks",
            least=MIN_SECRET_CHARS,
            most=MAX_SECRET_CHARS,
        )
        found = self.entries("KEY_SECRETS", lambda entry: _SECRET.fullmatch(entry) is not None, what, MAX_SECRETS)
        return tuple(dict.fromkeys(map(Secret, found)))

    def email_sender(self) -> str | None:
        name = "EMAIL_SENDER"
        sender = self.text(name)
        mend = Words(
            "set donotreply@ of a verified domain that is connected to the Communication Services resource;"
            " another address needs a raised quota, and has to be added to the domain; with graph set the mailbox"
        )
        if sender is None:
            self.fault(name, Words("is missing: no notification can be sent"), mend)
        elif not is_address(sender):
            self.fault(name, Words("is not a plain e-mail address: no notification can be sent"), mend)
        else:
            return sender
        return None

    def email_backend(self) -> EmailBackend:
        name = "EMAIL_BACKEND"
        try:
            return EmailBackend((self.text(name) or _DEFAULTS[name]).casefold())
        except ValueError:
            self.fault(name, Words("is none of the values known; acs is used"), Words("set acs or graph"))
            return EmailBackend.ACS

    def graph_url(self) -> str | None:
        name = "GRAPH_URL"
        if not self._environment.get(name, "").strip():
            return GRAPH_URL
        # A token's resource is this origin: with a path Graph would refuse the token.
        origin = origin_of(self.text(name) or "")
        if origin is None:
            self.fault(
                name,
                Words("is not the origin of an https address"),
                Words("set an address such as {address}", address=GRAPH_URL),
            )
        return origin

    def resource_id(self) -> str | None:
        name = "COMMUNICATION_SERVICES_RESOURCE_ID"
        resource_id = self.text(name)
        if resource_id is not None and (known := guid_of(resource_id)) is not None:
            return known
        problem = (
            Words("is missing: the events of a callback cannot be verified")
            if resource_id is None
            else Words("is not a GUID: the events of a callback cannot be verified")
        )
        mend = Words("set the immutable resource id that the portal shows for the Communication Services resource")
        self.fault(name, problem, mend)
        return None

    def service(self, prefix: str, usable: Callable[[str], str | None], unusable: Words) -> ServiceAccess:
        with_key, with_identity = f"{prefix}_CONNECTION_STRING", f"{prefix}_ENDPOINT"
        connection, endpoint = self.text(with_key), self.url(with_identity)
        if connection is not None and (connection := usable(connection)) is None:
            self.fault(with_key, unusable, Words("copy the connection string from the portal"))
        if connection and endpoint:
            self.fault(
                with_identity,
                Words("is not used, because there is a connection string"),
                Words("remove one"),
                serious=False,
            )
            endpoint = None
        if (
            not (connection or endpoint)
            and not self._environment.get(with_key, "").strip()
            and not self._environment.get(with_identity, "").strip()
        ):
            self.fault(with_identity, Words("is missing, and so is the connection string"), Words("set one of the two"))
        return ServiceAccess(connection, endpoint)

    def signer(self, name: Literal["CALL_AUTOMATION_ISSUER", "CALL_AUTOMATION_KEYS_URL"]) -> str | None:
        """Whose events are believed; None where the setting cannot be used, not the public cloud's in its place."""
        return self.url(name) if self._environment.get(name, "").strip() else _DEFAULTS[name]

    def url(self, name: str) -> str | None:
        url = self.text(name)
        if url is None or _is_url(url):
            return url.rstrip("/") if url else None
        self.fault(name, Words("is not an https address"), Words("set an address that begins with https://"))
        return None

    def sign_in(self) -> None:
        """See that the SDK takes what it reads itself: else nothing that the app has to sign in for can be reached."""
        read = self._environment.get
        if read("AZURE_TOKEN_CREDENTIALS", "").strip().lower() not in _CREDENTIALS:
            mend = Words("set ManagedIdentityCredential, as infra does")
            self.fault("AZURE_TOKEN_CREDENTIALS", Words("is none of the values known: the app cannot sign in"), mend)
        if _TENANT.fullmatch(read("AZURE_TENANT_ID", "")) is None:
            mend = Words("set the tenant's id or domain, or remove it: a managed identity needs none")
            self.fault("AZURE_TENANT_ID", Words("is no tenant's id: the app cannot sign in with a secret"), mend)
        if not _is_authority(read("AZURE_AUTHORITY_HOST", "")):
            mend = Words("set a host such as login.microsoftonline.com, or remove it")
            self.fault("AZURE_AUTHORITY_HOST", Words("is not an https address: the app cannot sign in"), mend)
        self._identity_to_sign_in_with()

    def _identity_to_sign_in_with(self) -> None:
        """See that the identity is named where it has to be.

        An identity of the system needs no name. One that the user assigned is not found without it; that it is such a
        one shows in how the host signs in to its own storage.
        """
        name = "AZURE_CLIENT_ID"
        mend = Words("set AZURE_CLIENT_ID to the client id of the app's identity, as infra does")
        named = self._environment.get(name, "").strip()
        if named and guid_of(named) is None:
            self.fault(name, Words("is not a GUID: the app cannot sign in"), mend)
        elif not named and self._environment.get("AzureWebJobsStorage__clientId", "").strip():
            self.fault(name, Words("is missing: the app cannot sign in with the identity assigned to it"), mend)

    def sign_in_enabled(self) -> bool:
        """Whether the platform says that its authentication is on.

        The fault names what is deployed: with `WEBSITE_AUTH_ENABLED` set by hand anybody could forge who they are.
        """
        enabled = (self.text("WEBSITE_AUTH_ENABLED") or "").casefold() in ("true", "1")
        if not enabled and self._is_deployed():
            self.fault(
                "AUTH_CLIENT_ID",
                Words("is not in force: App Service authentication is off, and every dial over HTTP is refused"),
                Words("deploy the infrastructure with it; an app setting of that name does nothing"),
            )
        return enabled

    def _is_deployed(self) -> bool:
        """Whether the platform has given the app a name that others reach it by."""
        host = self._environment.get("WEBSITE_HOSTNAME", "").strip()
        return bool(host) and host.split(":")[0] not in _LOOPBACK

    def own_origins(self, public_base_url: str | None) -> tuple[str, ...]:
        parts = urlsplit(public_base_url or "")
        both = (origin_of(f"{parts.scheme}://{parts.netloc}"), self._host_origin())
        return tuple(dict.fromkeys(origin for origin in both if origin is not None))

    def _host_origin(self) -> str | None:
        """That of the name which the platform gives the app."""
        host = self._environment.get("WEBSITE_HOSTNAME", "").strip()
        scheme = "http" if host.split(":")[0] in _LOOPBACK else "https"
        return origin_of(f"{scheme}://{host}")

    def public_base_url(self) -> str | None:
        url = self.url("PUBLIC_BASE_URL") or self._host_origin()
        if url is None:
            mend = Words("set the address under which Communication Services reaches the app")
            self.fault("PUBLIC_BASE_URL", Words("is not known: a callback's events cannot reach the app"), mend)
        return url

    def presence_backend(self) -> PresenceBackend:
        name = "PRESENCE_BACKEND"
        try:
            return PresenceBackend((self.text(name) or _DEFAULTS[name]).casefold())
        except ValueError:
            self.fault(
                name, Words("is none of the values known; table is used"), Words("set table, graph or dynamics365")
            )
            return PresenceBackend.TABLE

    def dynamics365_url(self, presence_backend: PresenceBackend) -> str | None:
        name = "DYNAMICS365_URL"
        mend = Words("set the organisation's address, such as https://contoso.crm.dynamics.com")
        text = self.text(name)
        if text is None:
            if presence_backend is PresenceBackend.DYNAMICS365:
                self.fault(
                    "PRESENCE_BACKEND",
                    Words("is dynamics365, and DYNAMICS365_URL is missing: nothing can be held"),
                    mend,
                )
            return None
        origin = origin_of(text)
        if origin is None:
            self.fault(name, Words("is not the origin of an https address"), mend)
        return origin

    def client_id(self, presence_backend: PresenceBackend) -> str | None:
        """That of the identity that infra gives the app; Graph names the sessions of an application by it."""
        name = "AZURE_CLIENT_ID"
        text = self.text(name)
        known = guid_of(text) if text is not None else None
        if known is None and presence_backend is PresenceBackend.GRAPH:
            mend = Words("set AZURE_CLIENT_ID to the client id of the app's identity, as infra does")
            self.fault("PRESENCE_BACKEND", Words("is graph, and the app's own client id is not known"), mend)
        return known

    def check_schedule(self, name: Literal["EXPIRY_SCHEDULE", "OUTBOX_SCHEDULE"]) -> None:
        """See that the host, which alone reads a timer's schedule, can, and runs the timer often enough."""
        text = self.text(name)
        mend = Words("set six NCRONTAB fields, such as {schedule}", schedule=_DEFAULTS[name])
        if text is None:
            self.fault(name, Words("is missing: the timer cannot be indexed"), mend)
        elif not is_schedule(text):
            self.fault(name, Words("is not an NCRONTAB schedule: the timer cannot be indexed"), mend)
        elif largest_gap(text) > RUN_EVERY[name]:
            seconds = RUN_EVERY[name] // timedelta(seconds=1)
            seldom = Words("lets more than {seconds} s pass between two runs: what is due waits", seconds=seconds)
            self.fault(name, seldom, mend, serious=False)


def origin_of(url: str) -> str | None:
    """The origin of an https address, or of an http one of this machine, as browsers write it (RFC 6454, 6.2).

    None for what is no bare origin; one slash after it is passed over, and so is the port that goes without saying.
    """
    bare = url.removesuffix("/")
    if not _is_url(bare, bare=True):
        return None
    parts = urlsplit(ascii_lower(bare))
    port = "" if parts.port in (None, _DEFAULT_PORTS[parts.scheme]) else f":{parts.port}"
    return f"{parts.scheme}://{parts.hostname}{port}"


def _is_url(text: str, *, bare: bool = False) -> bool:
    """Whether it is an https address, or an http one of this machine; `bare` without anything after the host."""
    try:
        parts = urlsplit(text)
        host, _ = parts.hostname or "", parts.port
    except ValueError:
        return False
    # Not `parts.query`: that of an address with a bare `?` at its end is empty, and a path put behind it would be one.
    plain = text.isascii() and text.isprintable() and not set(" ?#") & set(text) and "@" not in parts.netloc
    safe = parts.scheme == "https" or (parts.scheme == "http" and host in _LOOPBACK)
    alone = not (bare and parts.path)
    return plain and safe and alone and _HOST.fullmatch(host) is not None


def _is_resource_id(text: str) -> bool:
    # The name of a resource group may have letters outside ASCII. No blank but " " counts as printable.
    return text.startswith("/") and 1 < len(text) <= MAX_SOURCE_CHARACTERS and text.isprintable() and " " not in text


def _is_authority(text: str) -> bool:
    try:
        return urlsplit(text).scheme in ("", "https") and not set("?#") & set(text)
    except ValueError:
        return False


def _parts_of(connection: str) -> dict[str, str]:
    pairs = (part.partition("=") for part in connection.split(";"))
    return {name.strip().casefold(): value.strip() for name, _, value in pairs if value}


def _is_key(text: str) -> bool:
    try:
        return bool(base64.b64decode(text, validate=True))
    except (binascii.Error, ValueError):
        return False


def _communication_connection(text: str) -> str | None:
    """The connection string as its SDK's parser reads it, from a text in which blanks and empty parts may stand.

    That parser takes a blank for a part of a name, and whatever follows the host for a part of the host that it signs.
    """
    parts = _parts_of(text)
    endpoint, key = parts.get("endpoint", "").rstrip("/"), parts.get("accesskey", "")
    return f"endpoint={endpoint};accesskey={key}" if _is_url(endpoint, bare=True) and _is_key(key) else None


_DEVELOPMENT = "UseDevelopmentStorage=true"
_OF_TABLES = (
    "DefaultEndpointsProtocol",
    "AccountName",
    "AccountKey",
    "SharedAccessSignature",
    "TableEndpoint",
    "EndpointSuffix",
)


def _tables_connection(text: str) -> str | None:
    """The connection string as its SDK's parser reads it: that one refuses blanks, empty parts and a proxy."""
    parts = _parts_of(text)
    if "usedevelopmentstorage" in parts:
        return _DEVELOPMENT if len(parts) == 1 and parts["usedevelopmentstorage"].casefold() == "true" else None
    if not _is_tables_connection(parts):
        return None
    return ";".join(f"{name}={parts[name.casefold()]}" for name in _OF_TABLES if parts.get(name.casefold()))


def _is_tables_connection(parts: Mapping[str, str]) -> bool:
    endpoint = parts.get("tableendpoint")
    if endpoint is None:
        # What is signed with the account's key goes over TLS, wherever it goes.
        safe = parts.get("defaultendpointsprotocol", "https").casefold() == "https"
    else:
        safe = _is_url(endpoint)
    keyed = bool(parts.get("accountname")) and _is_key(parts.get("accountkey", ""))
    return safe and (keyed or bool(endpoint and parts.get("sharedaccesssignature")))
