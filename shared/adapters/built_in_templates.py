"""The templates that come with the product: one form for each kind and part, and its words in each language (B11)."""

import re
from functools import cache
from pathlib import Path

import msgspec

from shared.domain.notice_templates import TemplateKind, TemplateSources

_FOLDER = Path(__file__).parent / "templates"
_PLACE = re.compile(r"\[\[([a-z_0-9]{1,40})\]\]")


@cache
def words(language: str) -> dict[str, str]:
    """All words of one language, by key."""
    return msgspec.json.decode((_FOLDER / f"words.{language}.json").read_bytes(), type=dict[str, str])


@cache
def built_in_sources(kind: TemplateKind, language: str) -> TemplateSources:
    """A built-in template, in the language of templates, as an administrator would read and edit it."""

    def part(name: str) -> str:
        form = (_FOLDER / f"{kind.value}.{name}.j2").read_text(encoding="utf-8")
        return _PLACE.sub(lambda place: words(language)[place[1]], form)

    return TemplateSources(subject=part("subject").strip(), text=part("text"), html=part("html"))
