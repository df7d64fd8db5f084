"""The bodies of the HTTP routes, both ways (contract, HTTP)."""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Annotated, Literal

from msgspec import Meta, Struct, json, structs

from functions.wire import decoding
from functions.wire.banners import banner_words
from functions.wire.decoding import decode, plain_id
from shared.domain.agents import Agent, OutboundProfile, is_reserved
from shared.domain.contacts import MAX_CONTACTS, NO_ADDRESS, TOO_MANY, Contacts, contacts_in, parse_contacts
from shared.domain.countries import is_place
from shared.domain.dials import Dial
from shared.domain.emergency_numbers import MAX_DIALLED_CHARACTERS, Placeable
from shared.domain.errors import Malformed
from shared.domain.identities import USER_PATTERN, is_desk
from shared.domain.ids import normal_id
from shared.domain.locations import Desktop, Environment, Location, Permission
from shared.domain.panels import Banner, Panel
from shared.domain.phone_numbers import is_e164
from shared.domain.presence import Presence, PresenceStatus, SetBy
from shared.domain.principals import ROLES, Principal
from shared.domain.sites import Site, ip_address_in, is_meant_as_network, network_of
from shared.domain.situations import Say
from shared.domain.words import Words
from shared.use_cases.answer_dial import Answer
from shared.use_cases.report_desktop import MAX_KINDS_OF_DEVICES, DesktopReport

MAX_ID_CHARS = 600
AGENT_ID = "agent_id"
MAX_AGO_MS = 24 * 3600 * 1000
MAX_RAW_ID_CHARS = 300
MAX_SERVER_CALL_ID_CHARS = 1024
MAX_ADDRESS_CHARS = 500
MAX_LOCALE_CHARS = 35
MAX_NAME_CHARS = 200
MAX_NETWORK_CHARS = 60
MAX_DEVICES = 1000
MAX_KIND_OF_DEVICE_CHARS = 100
MAX_NUMBERS = 10
MAX_IDENTITIES = 10
MAX_CONTACTS_CHARS = 32_000
MAX_ITEMS = 1000
MAX_WORK_ITEMS = 1000
MAX_A_PAGE = 50
MAX_NETWORKS = 50
MAX_DESKS = 5
# Of a site as JSON, in UTF-16 units: a text of a row holds no more. Everything but the networks fits in any case.
MAX_SITE_UTF16_UNITS = 32_768
MAX_TIME_ZONE_CHARS = 60
# Taken out of an address on the way (RFC 3986, 5.2.4), percent-encoded too.
DOT_SEGMENTS = frozenset({".", ".."})

type Id = Annotated[str, Meta(min_length=1, max_length=MAX_ID_CHARS)]
# Numbers have no place here.
type RawId = Annotated[str, Meta(pattern=USER_PATTERN, max_length=MAX_RAW_ID_CHARS)]
type Country = Annotated[str, Meta(pattern=r"\A[A-Za-z]{2}\Z")]
# `report` asks whether it is one: a pattern of 252 would say nothing to whoever reads the description.
type Place = Annotated[str, Meta(pattern=r"\A[A-Za-z]{2}\Z", description="A country of ISO 3166-1, or AC, TA or XK.")]
type Locale = Annotated[str, Meta(max_length=MAX_LOCALE_CHARS)]
type Address = Annotated[str, Meta(max_length=MAX_ADDRESS_CHARS)]
type ServerCallId = Annotated[str, Meta(min_length=1, max_length=MAX_SERVER_CALL_ID_CHARS)]
type Moment = Annotated[datetime, Meta(tz=True)]
type Count = Annotated[int, Meta(ge=0, le=MAX_DEVICES)]
type KindOfDevice = Annotated[str, Meta(max_length=MAX_KIND_OF_DEVICE_CHARS)]
type ObjectId = Annotated[str, Meta(pattern=r"\A[0-9A-Fa-f]{8}(-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}\Z")]
# What a list of contacts is written as: text with semicolons (S9), or one address an item.
type Written = Annotated[str, Meta(max_length=MAX_CONTACTS_CHARS)] | Annotated[list[str], Meta(max_length=MAX_ITEMS)]


# What comes in -------------------------------------------------------------------------------------------------------


class LocationBody(Struct, frozen=True, kw_only=True):
    """Where the desktop sees itself: degrees, metres, and when it looked."""

    address: Address | None = None
    latitude: Annotated[float, Meta(ge=-90, le=90)] | None = None
    longitude: Annotated[float, Meta(ge=-180, le=180)] | None = None
    accuracy_m: Annotated[float, Meta(ge=0)] | None = None
    at: Moment | None = None

    def location(self) -> Location:
        """The location in the domain's words."""
        return Location(
            address=(self.address or "").strip() or None,
            latitude=self.latitude,
            longitude=self.longitude,
            accuracy_m=self.accuracy_m,
            at=self.at,
        )


class DialBody(Struct, frozen=True, kw_only=True):
    """`POST /emergency-calls`, and the data of `EmergencyCalling.CallStarted`; `dial_body` reads it."""

    call_id: Id
    agent_id: Id
    dialled: Annotated[str, Meta(min_length=1, max_length=MAX_DIALLED_CHARACTERS)]
    dialled_at: Moment | None = None
    dialled_ago_ms: Annotated[float, Meta(ge=0, le=MAX_AGO_MS)] | None = None
    country: Country | None = None
    acs_user_id: RawId | None = None
    server_call_id: ServerCallId | None = None
    location: LocationBody | None = None
    locale: Locale | None = None
    desktop_id: Id | None = None
    caller_id_ours: bool = False
    entra_object_id: ObjectId | None = None

    def dial(self, ignored: tuple[str, ...] = ()) -> Dial:
        """The dial in the use case's words; `ignored` are the fields that could not be used."""
        ago_ms = self.dialled_ago_ms
        return Dial(
            call_id=plain_id(self.call_id),
            agent_id=plain_id(self.agent_id),
            dialled=self.dialled,
            dialled_at=self.dialled_at,
            dialled_ago=None if ago_ms is None else timedelta(milliseconds=ago_ms),
            country=self.country,
            acs_user_id=self.acs_user_id,
            server_call_id=plain_id(self.server_call_id) if self.server_call_id else None,
            location=self.location.location() if self.location else None,
            locale=self.locale,
            desktop_id=plain_id(self.desktop_id) if self.desktop_id else None,
            caller_id_ours=self.caller_id_ours,
            entra_object_id=self.entra_object_id,
            ignored=ignored,
        )


class TieBody(Struct, frozen=True, kw_only=True):
    """`PATCH /emergency-calls/{call_id}`."""

    server_call_id: ServerCallId
    agent_id: Id | None = None

    def named_agent(self) -> str | None:
        """Whose call is meant, where the reporter says so."""
        return plain_id(self.agent_id) if self.agent_id else None


class EndBody(Struct, frozen=True, kw_only=True):
    """`POST /emergency-calls/{call_id}/end`; a drop is an end that the agent did not cause (B5)."""

    reason: Literal["agent", "dropped"] = "agent"
    agent_id: Id | None = None

    @property
    def by_agent(self) -> bool:
        """Whether the agent ended the call."""
        return self.reason == "agent"

    def named_agent(self) -> str | None:
        """Whose call is meant, where the reporter says so."""
        return plain_id(self.agent_id) if self.agent_id else None


class DesktopBody(Struct, frozen=True, kw_only=True):
    """`PUT /agents/{agent_id}/desktop`: what one desktop sees of itself (B15)."""

    desktop_id: Id
    location_permission: Permission = Permission.UNKNOWN
    country: Place | None = None
    location: LocationBody | None = None
    network: Annotated[str, Meta(max_length=MAX_NETWORK_CHARS)] | None = None
    environment: Environment = Environment.UNKNOWN
    confirmed: bool = False
    devices: Annotated[dict[KindOfDevice, Count], Meta(max_length=MAX_KINDS_OF_DEVICES)] = {}
    at: Moment | None = None

    def report(self) -> DesktopReport:
        """The report in the use case's words; raises `Malformed` where country or network are none."""
        if self.country is not None and not is_place(self.country):
            raise Malformed("country", "is no country of ISO 3166-1")
        return DesktopReport(
            desktop_id=plain_id(self.desktop_id),
            location_permission=self.location_permission,
            country=self.country,
            location=self.location.location() if self.location else None,
            network=_ip_address(self.network),
            environment=self.environment,
            confirmed=self.confirmed,
            devices=self.devices,
            at=self.at,
        )


class ReleaseBody(Struct, frozen=True, kw_only=True):
    """`POST /agents/{agent_id}/release`; `legs`: a supervisor also ends legs that nobody ended."""

    legs: bool = False


class PresenceBody(Struct, frozen=True, kw_only=True):
    """`PUT /agents/{agent_id}/presence`; `set_by` by default follows from the role."""

    status: PresenceStatus
    set_by: Literal["agent", "supervisor", "system"] | None = None


class OutboundProfileBody(Struct, frozen=True, kw_only=True):
    """What an administrator states of an agent's outbound profile."""

    name: Annotated[str, Meta(max_length=MAX_NAME_CHARS)] | None = None
    work_item_limit: Annotated[int, Meta(ge=0, le=MAX_WORK_ITEMS)] | None = None
    caller_id: str | None = None

    def profile(self) -> OutboundProfile | None:
        """The profile in the domain's words, None where nothing is stated; raises `Malformed`."""
        if self.caller_id is not None and not is_e164(self.caller_id):
            raise Malformed("outbound_profile.caller_id", "is not a number in E.164 form")
        stated = OutboundProfile(
            name=_trimmed(self.name), work_item_limit=self.work_item_limit, caller_id=self.caller_id
        )
        return stated if stated != OutboundProfile() else None


class AgentBody(Struct, frozen=True, kw_only=True):
    """`PUT /manage/agents/{id}`; contacts are text with semicolons (S9), or a list."""

    agent_id: str | None = None
    name: Annotated[str, Meta(max_length=MAX_NAME_CHARS)] | None = None
    entra_object_id: ObjectId | None = None
    dynamics_user_id: ObjectId | None = None
    acs_user_ids: Annotated[list[RawId], Meta(max_length=MAX_IDENTITIES)] = []
    country: Country | None = None
    locale: Locale | None = None
    address: Address | None = None
    site: Id | None = None
    time_zone: Annotated[str, Meta(max_length=MAX_TIME_ZONE_CHARS)] | None = None
    alternate_numbers: Annotated[list[str], Meta(max_length=MAX_NUMBERS)] = []
    emergency_contacts: Written = ""
    outbound_profile: OutboundProfileBody | None = None


class SiteBody(Struct, frozen=True, kw_only=True):
    """`PUT /manage/sites/{id}`; a network is a CIDR network or a desktop's id."""

    site_id: str | None = None
    name: Annotated[str, Meta(max_length=MAX_NAME_CHARS)] | None = None
    address: Address | None = None
    country: Country | None = None
    time_zone: Annotated[str, Meta(max_length=MAX_TIME_ZONE_CHARS)] | None = None
    networks: Annotated[list[Id], Meta(max_length=MAX_NETWORKS)] = []
    emergency_contacts: Written = ""
    security_desk: Annotated[list[str], Meta(max_length=MAX_DESKS)] = []


class ContactsBody(Struct, frozen=True, kw_only=True):
    """`PUT /manage/agents/{id}/emergency-contacts`, as JSON; `text` has no default, which would clear the list."""

    text: Written


def decode_dial(body: bytes, *, stand_in: str | None = None) -> tuple[DialBody, tuple[str, ...]]:
    """A dial as `dial_body` reads it, from text that need not be JSON in every part of it that is not used.

    `stand_in` is the agent id of a caller whose sign-in says who they are.
    """
    return dial_body(decoding.loosely_parsed(body, decoding.MAX_DIAL_BYTES), stand_in=stand_in)


def dial_body(sent: object, field: str = "", *, stand_in: str | None = None) -> tuple[DialBody, tuple[str, ...]]:
    """A dial, and the names of its optional fields that are empty or faulty, which are left out.

    Nobody's emergency fails for a longitude of 237. Raises `Malformed` for what must be sound.
    """
    said = decoding.mapping(sent, field or decoding.WHOLE)
    place = said.get("location")
    location, faulty_in_place = _place(place)
    ignored = [f"location.{name}" if name else "location" for name in faulty_in_place]
    said = {**said, "location": None}
    if stand_in is not None and not _is_id(said.get("agent_id")):
        ignored += ["agent_id"] if said.get("agent_id") is not None else []
        said["agent_id"] = stand_in
    body, faulty = decoding.convert_leniently(said, DialBody, field)
    if body.country is not None and not is_place(body.country):
        # What is registered counts then, as where none was said.
        body, faulty = structs.replace(body, country=None), (*faulty, "country")
    return structs.replace(body, location=location), tuple(sorted({*ignored, *faulty}))


def _place(sent: object) -> tuple[LocationBody | None, tuple[str, ...]]:
    """The location, and the names of its faulty fields; "" for the whole, where it tells no place and none is faulty.

    A sound field that alone tells no place (a latitude without a longitude, an accuracy) is not named by itself.
    """
    if sent is None:
        return None, ()
    if not isinstance(sent, Mapping):
        return None, ("",)
    place, faulty = decoding.convert_leniently(sent, LocationBody)
    return (place, faulty) if faulty or place.location().known else (None, ("",))


def _is_id(sent: object) -> bool:
    try:
        decoding.text(sent, "agent_id", MAX_ID_CHARS)
    except Malformed:
        return False
    return True


def decode_report[T: TieBody | EndBody](body: bytes, kind: type[T]) -> T:
    """What is reported of a call, an end or a tie; an end may have no body, or null. Raises `Malformed`."""
    sent = {} if kind is EndBody and decoding.says_nothing(body) else decoding.loosely_parsed(body)
    return report_in(decoding.mapping(sent, decoding.WHOLE), kind)


def report_in[T: TieBody | EndBody](sent: Mapping[str, object], kind: type[T], field: str = "") -> T:
    """A report of a call without an `agent_id` that cannot be used: nobody's end is lost for that."""
    agent_id, others = sent.get(AGENT_ID), {name: value for name, value in sent.items() if name != AGENT_ID}
    named = {AGENT_ID: agent_id} if _is_id(agent_id) else {}
    return decoding.convert({**others, **named}, kind, field)


def decode_or_default[T](body: bytes, kind: type[T]) -> T:
    """As `decode`, for a body that may be left out altogether, or be null, as every field of it has a default."""
    return kind() if decoding.says_nothing(body) else decode(body, kind)


def path_id(value: str | None, field: str) -> str:
    """An id from the path, decoded: 1 to 600 characters, for a call of any content; raises `Malformed`."""
    return plain_id(decoding.text(value or None, field, MAX_ID_CHARS))


def agent_of(agent_id: str, body: AgentBody) -> Agent:
    """The directory entry that an administrator sent for `agent_id`; raises `Malformed` naming field and index.

    The body may write the id differently, as an entry does that was read under another spelling; the path's is kept.
    """
    if body.agent_id is not None and not _same_id(body.agent_id, agent_id):
        raise Malformed("agent_id", "is not the one in the path")
    if is_reserved(agent_id):
        raise Malformed("agent_id", "is the name of a route")
    _require_address(agent_id, "agent_id")
    return Agent(
        agent_id=agent_id,
        name=_trimmed(body.name),
        entra_object_id=body.entra_object_id.lower() if body.entra_object_id else None,
        dynamics_user_id=body.dynamics_user_id.lower() if body.dynamics_user_id else None,
        acs_user_ids=tuple(dict.fromkeys(body.acs_user_ids)),
        country=body.country.upper() if body.country else None,
        locale=_trimmed(body.locale),
        address=_trimmed(body.address),
        site=_trimmed(plain_id(body.site)) if body.site else None,
        time_zone=time_zone_of(body.time_zone),
        alternate_numbers=_alternate_numbers(body.alternate_numbers),
        emergency_contacts=contacts_of(body.emergency_contacts),
        outbound_profile=body.outbound_profile.profile() if body.outbound_profile else None,
    )


def _require_address(entry_id: str, field: str) -> None:
    """Raises `Malformed` for an id by which no request could ask for the entry: it would never be removed again."""
    if normal_id(entry_id) in DOT_SEGMENTS:
        raise Malformed(field, "cannot stand in an address")


def _same_id(in_body: str, in_path: str) -> bool:
    """Whether an id from a body is the one in the path, by the form in which the stores compare them."""
    return normal_id(plain_id(in_body)) == normal_id(in_path)


def time_zone_of(sent: str | None) -> str | None:
    """An IANA name; raises `Malformed` for one that nobody knows."""
    name = _trimmed(sent)
    if name is not None and not _is_time_zone(name):
        raise Malformed("time_zone", "is not the IANA name of a time zone")
    return name


def _is_time_zone(name: str) -> bool:
    from zoneinfo import ZoneInfo

    try:
        return ZoneInfo(name).key == name
    except (LookupError, ValueError, OSError):
        return False


def page_limit(sent: str | None) -> int:
    """How many a page of a list may have; raises `Malformed`."""
    text = (sent or "").strip() or str(MAX_A_PAGE)
    if not (text.isascii() and text.isdigit() and len(text) <= len(str(MAX_A_PAGE)) and 0 < int(text) <= MAX_A_PAGE):
        raise Malformed("limit", Words("is not a whole number from {least} to {most}", least=1, most=MAX_A_PAGE))
    return int(text)


def site_of(site_id: str, body: SiteBody) -> Site:
    """The site that an administrator sent for `site_id`; raises `Malformed` naming field and index.

    As in `agent_of` the body may write the id differently, and the path's spelling is kept.
    """
    if body.site_id is not None and not _same_id(body.site_id, site_id):
        raise Malformed("site_id", "is not the one in the path")
    _require_address(site_id, "site_id")
    for index, each in enumerate(body.security_desk):
        if not is_desk(each):
            raise Malformed(f"security_desk[{index}]", "is neither a number in E.164 form nor an ACS user id")
    networks = [_network(each, f"networks[{index}]") for index, each in enumerate(body.networks) if normal_id(each)]
    site = Site(
        site_id=site_id,
        name=_trimmed(body.name),
        address=_trimmed(body.address),
        country=body.country.upper() if body.country else None,
        time_zone=time_zone_of(body.time_zone),
        networks=tuple(dict.fromkeys(networks)),
        emergency_contacts=contacts_of(body.emergency_contacts),
        security_desk=tuple(dict.fromkeys(body.security_desk)),
    )
    if len(json.encode(site).decode().encode("utf-16-le")) > 2 * MAX_SITE_UTF16_UNITS:
        raise Malformed("networks", "are too long, taken together")
    return site


def _network(sent: str, field: str) -> str:
    network = network_of(sent)
    if network is None and is_meant_as_network(sent):
        raise Malformed(field, "is neither a CIDR network nor the id of a desktop")
    return network or plain_id(sent).strip()


def contacts_of(sent: str | list[str], field: str = "emergency_contacts") -> tuple[str, ...]:
    """The e-mail addresses of a text or a list, without repeats; raises `Malformed` naming the first faulty one."""
    found = read_contacts(sent)
    if any(each.reason == TOO_MANY for each in found.refused):
        raise Malformed(field, Words("holds more than {most} addresses", most=MAX_CONTACTS))
    for each in found.refused:
        raise Malformed(f"{field}[{each.index}]", NO_ADDRESS)
    return found.kept


def read_contacts(sent: str | list[str]) -> Contacts:
    """What a text or a list of contacts holds, and what of it cannot be used."""
    return parse_contacts(sent) if isinstance(sent, str) else contacts_in(sent)


def written_contacts(body: bytes, content_type: str | None) -> Contacts:
    """The contacts that a body holds, none where there is no body: JSON where it says so or looks like it, else text.

    Raises `Malformed` where the JSON has no `text`.
    """
    text = decoding.plain_text(body)
    is_json = "json" in (content_type or "").lower() or text.lstrip().startswith("{")
    return read_contacts(decode(body, ContactsBody).text if is_json and text else text)


def _ip_address(text: str | None) -> str | None:
    if text is None:
        return None
    found = ip_address_in(text)
    if found is None:
        raise Malformed("network", "is not an IP address")
    return str(found)


def _alternate_numbers(numbers: list[str]) -> tuple[str, ...]:
    for index, number in enumerate(numbers):
        if not is_e164(number):
            raise Malformed(f"alternate_numbers[{index}]", "is not a number in E.164 form")
    return tuple(dict.fromkeys(numbers))


def _trimmed(text: str | None) -> str | None:
    return (text or "").strip() or None


# What goes out -------------------------------------------------------------------------------------------------------


class PanelAnswer(Struct, frozen=True, kw_only=True):
    """`GET /agents/{agent_id}/panel`; `banner` is in the agent's language, `poll_after_s` in seconds.

    `banner_key` names the banner in any language; `presence` is null while it is not held by us. `fallback`: the
    callback number is the fallback number, which other people answer, and not the agent.
    """

    mode: str
    controls: tuple[str, ...]
    form_actions: tuple[str, ...]
    banner: str | None
    banner_key: Banner | None
    presence: PresenceStatus | None
    callback_number: str | None
    expires_at: datetime | None
    fallback: bool
    say: Say | None
    placeable: Placeable
    dial: str | None
    poll_after_s: int


class CallAnswer(Struct, frozen=True, kw_only=True):
    """What a dial is answered with; `notified` counts the recipients who are owed a notice.

    `ignored` names the optional fields of the dial that could not be used. The number is null where no number at all is
    configured.
    """

    call_id: str
    agent_id: str
    callback_number: str | None
    expires_at: datetime | None
    shared: bool
    foreign: bool
    test: bool
    degraded: bool
    notified: int
    placeable: Placeable
    dial: str | None
    ignored: tuple[str, ...]
    panel: PanelAnswer


class TieAnswer(Struct, frozen=True):
    """`PATCH /emergency-calls/{call_id}`."""

    call_id: str


class EndAnswer(Struct, frozen=True, kw_only=True):
    """`POST /emergency-calls/{call_id}/end`; `known` is false while nobody has reported the call's start."""

    call_id: str
    known: bool


class ReleaseAnswer(Struct, frozen=True):
    """`POST /agents/{agent_id}/release`."""

    agent_id: str


class MeAnswer(Struct, frozen=True, kw_only=True):
    """`GET /me`; what is not known of the caller is null."""

    agent_id: str | None
    name: str | None
    roles: tuple[str, ...]
    locale: str | None


class PresenceAnswer(Struct, frozen=True, kw_only=True):
    """`GET/PUT /agents/{agent_id}/presence`."""

    status: PresenceStatus
    set_by: str | None
    since: datetime | None


class DesktopAnswer(Struct, frozen=True, kw_only=True):
    """`GET/PUT /agents/{agent_id}/desktop`: what is kept of one desktop, and the site that follows from it."""

    desktop_id: str
    location_permission: Permission
    country: str | None
    location: Location | None
    network: str | None
    environment: Environment
    devices: dict[str, int]
    at: datetime
    confirmed: bool
    confirmed_at: datetime | None
    confirmed_location: Location | None
    site: str | None


class AgentAnswer(Struct, frozen=True, kw_only=True):
    """`GET/PUT /manage/agents/{id}`."""

    agent_id: str
    name: str | None
    entra_object_id: str | None
    dynamics_user_id: str | None
    acs_user_ids: tuple[str, ...]
    country: str | None
    locale: str | None
    address: str | None
    site: str | None
    time_zone: str | None
    alternate_numbers: tuple[str, ...]
    emergency_contacts: str
    outbound_profile: OutboundProfile | None


class SitesAnswer(Struct, frozen=True):
    """`GET /manage/sites`."""

    sites: Sequence[Site]


class RefusedContact(Struct, frozen=True):
    """An entry of a list of contacts that is no address, and why."""

    text: str
    reason: str


class ContactsAnswer(Struct, frozen=True, kw_only=True):
    """`PUT /manage/agents/{id}/emergency-contacts`: what was kept, and what was refused."""

    kept: tuple[str, ...]
    refused: tuple[RefusedContact, ...]


def contacts_answer(contacts: Contacts) -> ContactsAnswer:
    """What was made of a list of contacts."""
    refused = tuple(RefusedContact(each.text, each.reason) for each in contacts.refused)
    return ContactsAnswer(kept=contacts.kept, refused=refused)


def call_answer(answer: Answer) -> CallAnswer:
    """The answer to a dial."""
    return CallAnswer(
        call_id=answer.call_id,
        agent_id=answer.agent_id,
        callback_number=answer.callback_number,
        expires_at=answer.expires_at,
        shared=answer.shared,
        foreign=answer.foreign,
        test=answer.test,
        degraded=answer.degraded,
        notified=answer.notified,
        placeable=answer.placeable,
        dial=answer.dial,
        ignored=answer.ignored,
        panel=panel_answer(answer.panel, answer.locale),
    )


def panel_answer(panel: Panel, locale: str | None = None) -> PanelAnswer:
    """The panel in the contract's words, its banner in the language of `locale` (BCP 47)."""
    return PanelAnswer(
        mode=panel.mode.value,
        controls=panel.controls,
        form_actions=panel.form_actions,
        banner=banner_words(panel.banner, locale),
        banner_key=panel.banner,
        presence=panel.presence,
        callback_number=panel.callback_number,
        expires_at=panel.expires_at,
        fallback=panel.fallback,
        say=panel.say,
        placeable=panel.placeable,
        dial=panel.dial,
        poll_after_s=panel.poll_after_s,
    )


def me_answer(principal: Principal, entry: Agent | None) -> MeAnswer:
    """Who is signed in, with the roles that this product knows."""
    return MeAnswer(
        agent_id=entry.agent_id if entry else None,
        name=entry.name if entry else None,
        roles=tuple(sorted(principal.roles & ROLES)),
        locale=entry.locale if entry else None,
    )


def presence_answer(presence: Presence) -> PresenceAnswer:
    """An agent's presence; what we keep to give it back later is nobody else's business."""
    by = presence.changed_by
    return PresenceAnswer(
        status=presence.status, set_by=None if by is SetBy.UNKNOWN else by.value, since=presence.since
    )


def desktop_answer(desktop: Desktop, site: Site | None, now: datetime) -> DesktopAnswer:
    """What is kept of a desktop, and where that is; `confirmed` while the agent's confirmation holds (B15)."""
    confirmation = desktop.confirmed(now)
    return DesktopAnswer(
        desktop_id=desktop.desktop_id,
        location_permission=desktop.location_permission,
        country=desktop.country,
        location=desktop.location,
        network=desktop.network,
        environment=desktop.environment,
        devices=desktop.devices,
        at=desktop.at,
        confirmed=confirmation is not None,
        confirmed_at=confirmation.at if confirmation else None,
        confirmed_location=confirmation.location if confirmation else None,
        site=site.site_id if site else None,
    )


class HealthAnswer(Struct, frozen=True, kw_only=True):
    """`GET /health`."""

    status: Literal["ok", "unavailable"]
    settings_valid: bool
    table_reachable: bool


def health_answer(*, settings_valid: bool, table_reachable: bool) -> HealthAnswer:
    """What anybody may know of the deployment's health."""
    return HealthAnswer(
        status="ok" if table_reachable else "unavailable",
        settings_valid=settings_valid,
        table_reachable=table_reachable,
    )


def agent_answer(agent: Agent) -> AgentAnswer:
    """A directory entry as an administrator sees it; the contacts are text with semicolons (S9)."""
    return AgentAnswer(
        agent_id=agent.agent_id,
        name=agent.name,
        entra_object_id=agent.entra_object_id,
        dynamics_user_id=agent.dynamics_user_id,
        acs_user_ids=agent.acs_user_ids,
        country=agent.country,
        locale=agent.locale,
        address=agent.address,
        site=agent.site,
        time_zone=agent.time_zone,
        alternate_numbers=agent.alternate_numbers,
        emergency_contacts="; ".join(agent.emergency_contacts),
        outbound_profile=agent.outbound_profile,
    )
