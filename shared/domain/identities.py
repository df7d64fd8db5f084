"""People as Communication Services names them: raw identities, compared in one normal form."""

from collections.abc import Iterable

from shared.domain.phone_numbers import is_e164

PHONE_PREFIX = "4:"
_SUFFIX = "_"


def raw_identity(target: str) -> str:
    """A number or raw identity in the form in which people are compared.

    An E.164 number is `4:{number}`. A number that is on a call already has a suffix of its own there
    (`4:+14255550188_1b2c3d4e`) and is the same number. The ids of users, visitors and bots are GUIDs, in any case.
    """
    number = number_in(target)
    return f"{PHONE_PREFIX}{number}" if number is not None else target.casefold()


def number_in(target: str) -> str | None:
    """The E.164 number of a number or a raw identity; None where it is somebody without one."""
    number = target.removeprefix(PHONE_PREFIX).partition(_SUFFIX)[0]
    return number if is_e164(number) else None


def raw_identities(targets: Iterable[str]) -> frozenset[str]:
    """Each as `raw_identity` has it."""
    return frozenset(map(raw_identity, targets))
