"""Recipients as people write them (S9)."""

import pytest
from email_validator import validate_email
from hypothesis import given
from hypothesis import strategies as st

from shared.domain.contacts import MAX_CONTACTS, TOO_MANY, contacts_in, is_address, parse_contacts


@pytest.mark.parametrize(
    ("text", "kept"),
    [
        ("a@example.com; b@example.org", ("a@example.com", "b@example.org")),
        ("a@example.com, b@example.org", ("a@example.com", "b@example.org")),
        ("a@example.com b@example.org", ("a@example.com", "b@example.org")),
        ("a@example.com\r\nb@example.org\n", ("a@example.com", "b@example.org")),
        (";; a@example.com ;\t; A@Example.COM;", ("a@example.com",)),
        ("Dana Example <dana@example.com>; <desk@example.com>", ("dana@example.com", "desk@example.com")),
        ('"Example; Dana, Jr." <dana@example.com>', ("dana@example.com",)),
        ("Example, Dana <dana@example.com>; Roe, Kim <kim@example.com>", ("dana@example.com", "kim@example.com")),
        ("Dana <dana@example.com> Kim <kim@example.com>", ("dana@example.com", "kim@example.com")),
        ("mailto:dana@example.com", ("dana@example.com",)),
        ("\ufeffdana@example.com\u200b;\u00a0kim@example.com", ("dana@example.com", "kim@example.com")),
        ("info@b\u00fccher.example.com", ("info@b\u00fccher.example.com",)),
        ("info@xn--bcher-kva.example.com", ("info@b\u00fccher.example.com",)),
        ("o'neil+911@mail.example.org", ("o'neil+911@mail.example.org",)),
        ("", ()),
    ],
)
def test_what_people_write_is_understood(text: str, kept: tuple[str, ...]) -> None:
    found = parse_contacts(text)
    assert (found.kept, found.refused) == (kept, ())


@pytest.mark.parametrize(
    "faulty",
    [
        *("nobody", "a@", "@example.com", "a@b", "a b@example.com", "a..b@example.com", "a@-bad.example.com"),
        *("a@localhost", "a@exa mple.com", "a@example.com>", "<", "+12065550100", f"{'a' * 65}@example.com"),
        *("a@example.c_m", "\x00@example.com"),
    ],
)
def test_what_is_no_address_is_told_with_its_place_and_reason(faulty: str) -> None:
    found = parse_contacts(f"a@example.com; {faulty} ;b@example.com")
    assert found.kept == ("a@example.com", "b@example.com")
    [refused] = found.refused
    assert (refused.index, refused.text) == (1, faulty)
    assert refused.reason.startswith("is not an e-mail address")
    assert not is_address(faulty)


def test_a_list_has_at_most_so_many() -> None:
    written = [f"a{number}@example.com" for number in range(MAX_CONTACTS + 2)]
    found = parse_contacts("; ".join([*written, written[0]]))
    assert found.kept == tuple(written[:MAX_CONTACTS])
    assert [(each.index, each.reason) for each in found.refused] == [(50, TOO_MANY), (51, TOO_MANY)]


def test_a_list_is_counted_as_it_was_sent() -> None:
    found = contacts_in(["", "a@example.com", "no", "Dana <A@example.com>"])
    assert found.kept == ("a@example.com",)
    assert [each.index for each in found.refused] == [2]


@given(st.from_regex(r"[a-zA-Z0-9_+-]{1,9}(\.[a-z0-9]{1,5}){0,2}@[a-zA-Z0-9]{1,8}(-[a-z0-9]{1,4}){0,2}\.[a-zA-Z]{2,4}",
                     fullmatch=True))  # fmt: skip
def test_the_short_way_gives_what_the_library_gives(address: str) -> None:
    assert parse_contacts(address).kept == (validate_email(address, check_deliverability=False).normalized,)


@given(st.text(max_size=80))
def test_whatever_is_written_is_read(text: str) -> None:
    found = parse_contacts(text)
    assert parse_contacts("; ".join(found.kept)).kept == found.kept
