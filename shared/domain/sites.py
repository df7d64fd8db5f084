"""Sites: where a desktop is now decides who is told and which desk rings (specification B14)."""

import re
from collections.abc import Iterable
from datetime import datetime
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network

from msgspec import Struct

from shared.domain.errors import Malformed
from shared.domain.ids import key_of, normal_id
from shared.domain.locations import OLD_AFTER, Desktop
from shared.domain.stamps import age_of

MAX_SITES = 1000
# Of an IPv6 address, what stands before an IPv4 one that is written so.
_MAPPED_BITS = 96
# What stands before a mask, the end of a range or another entry.
_SEPARATOR = re.compile(r"[/\\,;\s-]")
# The id of a desktop may be a number, or two with a dot (`3.14`): only of a private network two groups are a prefix.
_LIKE_A_NETWORK = re.compile(
    r"\d{1,3}(?:\.\d{1,3}){2,3}|(?:\d{1,3}\.){1,3}|10\.\d{1,3}|172\.(?:1[6-9]|2\d|3[01])|192\.168"
    r"|(?=.*[*x])(?:\d{1,3}|\*)(?:\.(?:\d{1,3}|[*x]+)){0,3}|x(?:\.x){3}|[0-9a-f]{1,4}(?::[0-9a-f]{0,4}){0,7}:\*",
    re.ASCII | re.IGNORECASE,
)
_WITH_A_MASK = re.compile(r"(?:10|\d{1,3}(?:\.\d{1,3}){1,3})\s*/", re.ASCII)


class Site(Struct, frozen=True, kw_only=True):
    """A place of work.

    `country` is ISO 3166-1 alpha-2, `time_zone` an IANA name, `networks` are CIDR networks or ids of desktops,
    `emergency_contacts` e-mail addresses, `security_desk` E.164 numbers or raw ACS identities.
    """

    site_id: str
    name: str | None = None
    address: str | None = None
    country: str | None = None
    time_zone: str | None = None
    networks: tuple[str, ...] = ()
    emergency_contacts: tuple[str, ...] = ()
    security_desk: tuple[str, ...] = ()

    @property
    def key(self) -> str:
        """The key of what is stored of this site."""
        return site_key_of(self.site_id)


def site_key_of(site_id: str) -> str:
    """The key of a site, however its id is written."""
    return key_of(normal_id(site_id))


def require_room(known: Iterable[Site], more: Iterable[Site]) -> None:
    """Raise `Malformed` where there would be more than `MAX_SITES` with these too."""
    if len({site.key for site in (*known, *more)}) > MAX_SITES:
        raise Malformed("sites", f"would be more than the {MAX_SITES} that there may be")


def network_of(text: str) -> str | None:
    """A network as it is kept: a CIDR network, whatever bits of a host it was written with; None where it is none."""
    try:
        parsed = ip_network("/".join(map(str.strip, text.split("/"))), strict=False)
    except ValueError:
        return None
    mapped = parsed.network_address.ipv4_mapped if isinstance(parsed, IPv6Network) else None
    if mapped is None or parsed.prefixlen < _MAPPED_BITS:
        return str(parsed)
    # As the addresses of clients are read (`ip_address_in`).
    return str(IPv4Network((mapped, parsed.prefixlen - _MAPPED_BITS)))


def is_meant_as_network(text: str) -> bool:
    """Whether a text that is no CIDR network was meant as one: a range, a prefix, a wildcard, a mask that there is not.

    As the id of a desktop, which is what else stands among networks, it would be that of nobody's.
    """
    whole = text.strip()
    begins = _SEPARATOR.split(whole, maxsplit=1)[0].strip("[]")
    of_several = begins != whole and ip_address_in(begins) is not None
    return of_several or bool(_LIKE_A_NETWORK.fullmatch(begins) or _WITH_A_MASK.match(whole))


class SiteMap:
    """All sites, made ready for looking one up."""

    def __init__(self, sites: Iterable[Site] = ()) -> None:
        self.sites = tuple(sorted(sites, key=lambda each: each.site_id))
        self._by_key = {site.key: site for site in self.sites}
        self._by_desktop: dict[str, Site] = {}
        # Narrowest first: of several networks that hold an address, the longest prefix wins.
        self._networks: dict[tuple[int, int], dict[int, Site]] = {}
        for site in self.sites:
            for each in site.networks:
                self._place(each, site)
        self._widths = sorted(self._networks, key=lambda width: -width[1])

    def _place(self, network: str, site: Site) -> None:
        kept = network_of(network)
        if kept is None:
            self._by_desktop.setdefault(normal_id(network), site)
            return
        parsed = ip_network(kept)
        width = (parsed.version, parsed.prefixlen)
        self._networks.setdefault(width, {}).setdefault(int(parsed.network_address), site)

    def named(self, site_id: str | None) -> Site | None:
        """The site of this id, if there is one."""
        return self._by_key.get(site_key_of(site_id)) if site_id else None

    def of_desktop(self, desktop_id: str | None) -> Site | None:
        """The site that names this desktop."""
        return self._by_desktop.get(normal_id(desktop_id)) if desktop_id else None

    def of_address(self, address: str | None) -> Site | None:
        """The site whose network holds this IP address, the narrowest of several."""
        if not address or not self._widths:
            return None
        parsed = ip_address_in(address)
        if parsed is None:
            return None
        bits = parsed.max_prefixlen
        for version, length in self._widths:
            if version == parsed.version:
                start = int(parsed) >> (bits - length) << (bits - length)
                found = self._networks[version, length].get(start)
                if found is not None:
                    return found
        return None


def ip_address_in(text: str) -> IPv4Address | IPv6Address | None:
    """The IP address that the text is, None where it is none.

    A socket for both versions writes a client's IPv4 address as IPv6 (RFC 4291, 2.5.5.2): no network of IPv4 holds it.
    """
    try:
        parsed = ip_address(text.strip())
    except ValueError:
        return None
    mapped = parsed.ipv4_mapped if isinstance(parsed, IPv6Address) else None
    return mapped or parsed


def site_now(
    sites: SiteMap,
    *,
    desktop_id: str | None,
    desktop: Desktop | None,
    client: str | None,
    registered: str | None,
    now: datetime,
) -> Site | None:
    """The site where a desktop is now: by its id, else by its network, else the one that is registered (B14).

    `desktop` is what it reported, `client` the address that the request came from, which counts where it reported no
    network. A desktop known to be virtual or behind a VPN has the network of the data centre, and none of its own.
    """
    named = desktop.desktop_id if desktop is not None else desktop_id
    network = client
    if desktop is not None and desktop.network and age_of(desktop.at, now) <= OLD_AFTER:
        network = desktop.network
    if desktop is not None and desktop.environment.misleads:
        network = None
    return sites.of_desktop(named) or sites.of_address(network) or sites.named(registered)
