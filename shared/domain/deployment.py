"""What the administrators decided, as far as an emergency's course depends on it."""

from msgspec import Struct

from shared.domain.leases import Rules


class Deployment(Struct, frozen=True, kw_only=True):
    """The settings that the use cases follow.

    `callback_numbers` is the pool, E.164; `fallback_number` is answered by people at all hours, None only where the
    setting is missing; `security_desk` holds E.164 numbers or raw ACS identities, the fallback number if empty.
    """

    rules: Rules = Rules()
    countries: frozenset[str] = frozenset({"US", "PR", "CA"})
    callback_numbers: tuple[str, ...] = ()
    fallback_number: str | None = None
    default_contacts: tuple[str, ...] = ()
    security_desk: tuple[str, ...] = ()
    pool_low_water_percent: int = 20
