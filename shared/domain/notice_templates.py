"""The Emergency Call Notification Template: its kinds, its facts, and what a template may say (contract, *Notices*)."""

from enum import StrEnum
from typing import Literal, get_args

from msgspec import Struct

from shared.domain.words import Words

type Language = Literal["en", "es", "fr", "it"]
LANGUAGES: tuple[Language, ...] = get_args(Language.__value__)
DEFAULT_LANGUAGE = "en"
MAX_SUBJECT_CHARACTERS = 1_000
MAX_PART_CHARACTERS = 100_000

# What a template knows, all of them flat: texts are one line each, empty where there is nothing to say.
TEXT_FACTS = frozenset(
    {
        "agent",
        "agent_id",
        "kind",
        "dialled",
        "dialled_at",
        "dialled_time",
        "callback_number",
        "reachable_until",
        "placeable",
        "late",
        "site",
        "location_address",
        "location_latitude",
        "location_longitude",
        "location_accuracy",
        "location_source",
        "location_at",
        "ended_at",
    }
)
FLAG_FACTS = frozenset(
    {
        "claimed",
        "test",
        "drill",
        "number_shown",
        "shared",
        "foreign",
        "degraded",
        "location_known",
        "location_conveyed",
    }
)
FACTS = TEXT_FACTS | FLAG_FACTS
# A notice that it is over has neither number nor place (B6): a template that names them could not be rendered.
NOT_IN_CLOSING = frozenset(
    {fact for fact in FACTS if fact.startswith("location_")}
    | {"callback_number", "number_shown", "reachable_until", "shared", "foreign", "site"}
)


class TemplateKind(StrEnum):
    """What a template is for: the call, a callback (answered or missed), and that it is over."""

    CALL = "call"
    CALLBACK = "callback"
    CLOSING = "closing"

    @property
    def facts(self) -> frozenset[str]:
        """The facts that a template of this kind may name."""
        return FACTS - NOT_IN_CLOSING if self is TemplateKind.CLOSING else FACTS


class TemplateSources(Struct, frozen=True, kw_only=True):
    """A template as an administrator writes it: its subject, its plain text, its HTML."""

    subject: str
    text: str
    html: str

    def parts(self) -> dict[str, str]:
        """The sources by the name of their part."""
        return {"subject": self.subject, "text": self.text, "html": self.html}


class Fault(Struct, frozen=True, kw_only=True):
    """Why a template may not be saved: `line` counts from 1 within `part`."""

    code: str
    part: str
    line: int
    message: Words


def language_of(locale: str | None) -> str:
    """The language that we speak to somebody with this locale (BCP 47): English where we do not speak theirs (B11)."""
    language = (locale or DEFAULT_LANGUAGE).replace("_", "-").partition("-")[0].lower()
    return language if language in LANGUAGES else DEFAULT_LANGUAGE
