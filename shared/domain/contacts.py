"""Recipients of Emergency Call Notifications, as people write them (S9): one parser for every place that takes them."""

import re
import unicodedata
from collections.abc import Iterable, Iterator

from msgspec import Struct

from shared.domain.words import Words

MAX_CONTACTS = 50
MAX_ADDRESS_CHARS = 254
NO_ADDRESS = Words("is not an e-mail address")
TOO_MANY = f"is beyond the {MAX_CONTACTS} addresses that a list may have"
_PIECES = re.compile(r'"[^"]*"|<[^<>]*>|[^;,\r\n\u2028\u2029"<]+|[;,\r\n\u2028\u2029"<]')
_SEPARATORS = frozenset(";,\r\n\u2028\u2029")
_BRACKETED = re.compile(r"[^<>]*<([^<>]*)>")
_FAMILY_NAME = re.compile(r"(?:[^\W\d_]|[ .'\u2019-])+")
# Most addresses by far: what `email-validator` makes of them is known without importing it, which costs 90 ms.
_PLAIN = re.compile(r"[A-Za-z0-9_+-]+(?:\.[A-Za-z0-9_+-]+)*@(?:[A-Za-z0-9]+(?:-[A-Za-z0-9]+)*\.)+[A-Za-z]+", re.ASCII)
_MAX_PLAIN_LOCAL_CHARS, _MAX_PLAIN_DOMAIN_CHARS = 64, 60
# RFC 6761 and its registry: nobody's mail is delivered there.
_NOWHERE = frozenset({"arpa", "invalid", "local", "localhost", "onion", "test"})


class UnusableContact(Struct, frozen=True):
    """What was written and cannot be used, in words for whoever wrote it; `index` counts from 0 what they wrote."""

    index: int
    text: str
    reason: str


class Contacts(Struct, frozen=True):
    """The addresses of a list, each once whatever its case, and what is none."""

    kept: tuple[str, ...] = ()
    refused: tuple[UnusableContact, ...] = ()


def parse_contacts(text: str) -> Contacts:
    """The addresses in a text: separated by semicolons, and as forgivingly as mail programs write them.

    Commas, blanks, line breaks, doubles, empty entries and display names (`Name <a@b>`) are understood.
    """
    return contacts_in(_entries(text))


def contacts_in(entries: Iterable[str]) -> Contacts:
    """The addresses of a list of texts that hold one each; empty ones are passed over, yet counted."""
    kept: dict[str, str] = {}
    refused: list[UnusableContact] = []
    for index, entry in enumerate(entries):
        if not entry.strip():
            continue
        try:
            address = address_in(entry)
        except ValueError as error:
            refused.append(UnusableContact(index, entry.strip(), str(error)))
            continue
        if address.casefold() not in kept and len(kept) == MAX_CONTACTS:
            refused.append(UnusableContact(index, entry.strip(), TOO_MANY))
            continue
        kept.setdefault(address.casefold(), address)
    return Contacts(tuple(kept.values()), tuple(refused))


def address_in(entry: str) -> str:
    """The address of one entry in the form in which it is kept; raises `ValueError` with the reason.

    Syntax only (RFC 5321, 5322, 6531, 5890): whether there is such a mailbox is not asked.
    """
    bracketed = _BRACKETED.fullmatch(entry.strip())
    address = _visible(bracketed[1] if bracketed else entry).strip()
    return _address(address[7:] if address[:7].lower() == "mailto:" else address)


def is_address(text: str) -> bool:
    """Whether `text` is an e-mail address and nothing besides."""
    try:
        _address(text)
    except ValueError:
        return False
    return True


def _address(text: str) -> str:
    plain = _plain(text)
    if plain is not None:
        return plain
    if len(text) > MAX_ADDRESS_CHARS or "@" not in text:
        raise ValueError(NO_ADDRESS)
    return _validated(text)


def _plain(address: str) -> str | None:
    local, _, domain = address.rpartition("@")
    if len(local) > _MAX_PLAIN_LOCAL_CHARS or len(domain) > _MAX_PLAIN_DOMAIN_CHARS or not _PLAIN.fullmatch(address):
        return None
    domain = domain.lower()
    special = domain.rpartition(".")[2] in _NOWHERE or "--" in domain
    return None if special else f"{local}@{domain}"


def _validated(address: str) -> str:
    from email_validator import EmailNotValidError, validate_email

    try:
        return validate_email(address, check_deliverability=False, strict=True).normalized
    except EmailNotValidError as error:
        raise ValueError(f"{NO_ADDRESS}: {error}") from None


def _visible(text: str) -> str:
    """Without byte order marks and other invisible characters, which come along when text is copied."""
    return text if text.isascii() else "".join(each for each in text if unicodedata.category(each) != "Cf")


def _entries(text: str) -> Iterator[str]:
    before, separator = "", ""
    for piece, ended_by in _pieces(text):
        # `Family, Given <a@b>`, as mail programs write a name that nobody quoted: the comma is part of it.
        of_name = separator == "," and bool(_BRACKETED.fullmatch(piece)) and bool(_FAMILY_NAME.fullmatch(before))
        if before and not of_name:
            yield from _words(before)
        before, separator = piece, ended_by
    yield from _words(before)


def _pieces(text: str) -> Iterator[tuple[str, str]]:
    """What stands between separators, and which one ends it; those in quotes and angle brackets separate nothing."""
    piece = ""
    for token in _PIECES.findall(text):
        if token in _SEPARATORS:
            yield piece.strip(), token
            piece = ""
            continue
        piece += token
        if token[0] == "<" and token[-1] == ">":
            yield piece.strip(), ""
            piece = ""
    yield piece.strip(), ""


def _words(piece: str) -> list[str]:
    """The addresses of a piece in which blanks stand between them; else the piece as it is."""
    words = piece.split()
    return (
        words if len(words) > 1 and all("@" in word for word in words) and "<" not in piece else [piece] * bool(piece)
    )
