"""A transaction's answer, read by what was sent: one that speaks of other writes is none."""

import pytest

from shared.adapters.entity_group import decode
from shared.adapters.table import Delete

WRITES = [Delete("a"), Delete("b")]


def refused_at(place: str) -> bytes:
    """The answer of Table storage that blames the write at `place`."""
    error = f'{{"odata.error":{{"code":"EntityAlreadyExists","message":{{"value":"{place}:The entity exists."}}}}}}'
    head = "Content-Type: application/http\r\n\r\nHTTP/1.1 409 Conflict\r\n\r\n"
    return f"--changesetresponse_1\r\n{head}{error}\r\n--changesetresponse_1--".encode()


@pytest.mark.parametrize("place", ["0", "1"])
def test_the_write_that_is_to_blame(place: str) -> None:
    refusal = decode(refused_at(place), WRITES)
    assert not isinstance(refusal, list) and (refusal.index, refusal.status) == (int(place), 409)


@pytest.mark.parametrize("place", ["2", "99", "999999", "9" * 5000])
def test_a_write_that_was_never_sent_is_to_blame_for_nothing(place: str) -> None:
    refusal = decode(refused_at(place), WRITES)
    assert not isinstance(refusal, list) and (refusal.index, refusal.status) == (0, 502)
