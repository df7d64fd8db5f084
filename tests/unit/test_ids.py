"""Keys of ids from outside."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.domain.ids import KEY_HEX_DIGITS, ascii_lower, key_of


@pytest.mark.parametrize(
    ("sent", "arrived"),
    [
        # As the Functions host rewrites text of an event that looks like a time.
        ("2026-11-20T23:00:00+02:00", "2026-11-20T21:00:00+00:00"),
        ("2026-11-20T21:00:00.120Z", "2026-11-20T21:00:00.12Z"),
        ("2026-11-20T21:00:00.000Z", "2026-11-20T21:00:00Z"),
        ("2026-11-20T21:00:00.1000", "2026-11-20T21:00:00.1"),
        ("2026-11-20T23:30:00+0230", "2026-11-20T21:00:00+00:00"),
        ("2026-11-20T23:00:00-02", "2026-11-21T01:00:00+00:00"),
    ],
)
def test_an_id_that_looks_like_a_time_has_one_key(sent: str, arrived: str) -> None:
    assert key_of(sent) == key_of(arrived)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("2026-11-20T21:00:00Z", "2026-11-20T21:00:01Z"),
        ("2026-11-20T21:00:00.1Z", "2026-11-20T21:00:00.2Z"),
        ("2026-11-20", "2026-11-20T00:00:00Z"),
        ("2026-11-20 21:00:00Z", "2026-11-20T21:00:00Z"),
        ("2026-13-40T21:00:00.0Z", "2026-13-40T21:00:00Z"),
        ("a2026-11-20T21:00:00.0Z", "a2026-11-20T21:00:00Z"),
        ("0001-01-01T00:00:00+23:00", "0001-01-01T00:00:00Z"),
        ("a/b", "a%2Fb"),
        ("1.10", "1.1"),
    ],
)
def test_other_ids_are_different_ids(one: str, other: str) -> None:
    assert key_of(one) != key_of(other)


@given(
    st.text(st.characters(exclude_categories=())) | st.from_regex(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d.*", fullmatch=True)
)
def test_every_id_has_a_key(outside_id: str) -> None:
    key = key_of(outside_id)
    assert len(key) == KEY_HEX_DIGITS and key == key_of(outside_id)


def test_only_ascii_has_another_case() -> None:
    others = "\N{KELVIN SIGN}\N{LATIN CAPITAL LETTER SHARP S}\N{LATIN CAPITAL LETTER E WITH ACUTE}"
    assert ascii_lower(f"AZ{others}") == f"az{others}"
