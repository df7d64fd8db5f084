"""People as Communication Services names them: raw identities, compared in one normal form."""

import re
from collections.abc import Iterable

from shared.domain.phone_numbers import is_e164

PHONE_PREFIX, APPLICATION_PREFIX = "4:", "28:"
_SUFFIX = "_"
# The users and applications that the SDK can ring (`identifier_from_raw_id`, which minds the case of a kind): those of
# Communication Services, of Microsoft Teams and of the sovereign clouds. Any other is an `UnknownIdentifier` to it.
USER_PATTERN = (
    r"\A(?:8:(?:acs|dod-acs|gcch-acs|spool|orgid|dod|gcch|teamsvisitor)|28:(?:orgid|dod|gcch)):[A-Za-z0-9_.-]{1,200}\Z"
)
_USER = re.compile(USER_PATTERN)


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


def is_user(text: str) -> bool:
    """Whether it is the raw identity of a user or an application that can be rung."""
    return _USER.match(text) is not None


def is_desk(text: str) -> bool:
    """Whether a callback can be sent there: an E.164 number, or the raw identity of a user or an application."""
    return is_e164(text) or is_user(text)


def is_application(text: str) -> bool:
    """Whether it is a call queue, an auto attendant or a bot of Microsoft Teams: no person, and it answers at once."""
    return text.startswith(APPLICATION_PREFIX)


def raw_identities(targets: Iterable[str]) -> frozenset[str]:
    """Each as `raw_identity` has it."""
    return frozenset(map(raw_identity, targets))
