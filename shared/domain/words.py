"""Sentences that a reader may have in another language: English as it is written, and what it was made of (B11)."""

from collections.abc import Callable, Mapping
from typing import Self

type Value = str | int | tuple[str, ...]


class Words(str):
    """An English text that knows its template and the values in it: the template is the key to its translations.

    It is a text like any other to whoever wants English. A value that is `Words` itself is translated too, one that
    is a tuple becomes a list with commas; any other value is a name, a number or a code, and stays as it is.
    """

    __slots__ = ("template", "values")
    template: str
    values: Mapping[str, Value]

    def __new__(cls, template: str, /, **values: Value) -> Self:
        """The text in English. `template` is a literal, which tests/rules/test_words.py looks for in the catalogues."""
        made = super().__new__(cls, filled(template, values))
        made.template, made.values = template, values
        return made


def filled(template: str, values: Mapping[str, Value], of_value: Callable[[str], str] = str) -> str:
    """The template with its values, each text as `of_value` says it; without values, braces stay as they are."""

    def said(value: Value) -> str:
        if isinstance(value, tuple):
            return ", ".join(map(of_value, value))
        return str(value) if isinstance(value, int) else of_value(value)

    # No regular expression: compiling one takes half a millisecond of every cold start.
    return template.format_map({name: said(value) for name, value in values.items()}) if values else template


def as_words(text: str) -> Words:
    """A sentence without values may be written as a plain literal, which is its own template."""
    return text if isinstance(text, Words) else Words(text)


def remade(text: str, values: Mapping[str, Value]) -> Words:
    """A sentence of which template and values were kept; values that do not fit it are passed over."""
    return Words(text, **values)


def translated(words: Words, catalogue: Mapping[str, str]) -> str:
    """The text as the catalogue has it, by its English template; what the catalogue lacks stays English."""

    def said(value: str) -> str:
        # A plain text is somebody's name or a code, whatever the catalogue would make of it.
        return translated(value, catalogue) if isinstance(value, Words) else value

    return filled(catalogue.get(words.template, words.template), words.values, said)
