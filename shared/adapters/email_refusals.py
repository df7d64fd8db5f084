"""Which recipients an e-mail service names in a refusal."""

import re
from collections.abc import Iterable

_PART_OF_ADDRESS = r"[A-Za-z0-9.!#$%&'*+/=?^_`{|}~@-]"


def named_in(text: str, recipients: Iterable[str]) -> frozenset[str]:
    """Those of `recipients` whose whole address stands in `text`, whatever its case."""
    return frozenset(address for address in recipients if _names(text, address))


def _names(text: str, address: str) -> bool:
    # Whole addresses only: a@b.example must not be taken for aa@b.example.
    pattern = f"(?<!{_PART_OF_ADDRESS}){re.escape(address)}(?![A-Za-z0-9@-])"
    return re.search(pattern, text, re.IGNORECASE) is not None
