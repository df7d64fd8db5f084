"""The language of an answer: the one that the request asks for, where we speak it (B11; RFC 9110, 12.5.4)."""

import re
from collections.abc import Mapping
from functools import cache
from pathlib import Path

import azure.functions as func
import msgspec

from functions.http import JSON, PRIVATE
from shared.domain.notice_templates import DEFAULT_LANGUAGE, LANGUAGES
from shared.domain.words import Words, translated

# Browsers send some fifty characters; what is longer asks for nothing that anybody could have chosen.
MAX_ACCEPT_LANGUAGE_CHARS = 1_000
# The `Vary` of what is said in the language asked for.
OF_LANGUAGES = "Accept-Language"
_FOLDER = Path(__file__).parent / "words"


def language_asked(req: func.HttpRequest) -> str:
    """The language of our four that `Accept-Language` weighs most, the first of several; else English."""
    return best_language(req.headers.get("accept-language"))


def best_language(accepted: str | None) -> str:
    """As above, of the header's text. Whoever takes any language (`*`) gets English; the malformed is passed over."""
    if not accepted or len(accepted) > MAX_ACCEPT_LANGUAGE_CHARS:
        return DEFAULT_LANGUAGE
    asked_for = _asked_for()
    found = (asked_for.fullmatch(part.strip()) for part in accepted.split(","))
    weights: dict[str, float] = {}
    for asked in found:
        language = DEFAULT_LANGUAGE if asked and asked[1] == "*" else asked[1].lower() if asked else ""
        if asked and language in LANGUAGES:
            # fr-CA and fr are both French: the one that is wanted more tells how much that is.
            weights[language] = max(weights.get(language, 0.0), float(asked[2] or 1))
    best = max(weights, key=weights.__getitem__, default=DEFAULT_LANGUAGE)
    return best if weights.get(best) else DEFAULT_LANGUAGE


@cache
def _asked_for() -> re.Pattern[str]:
    """A language with its weight. Compiled at first use: a cold start must not pay for it."""
    return re.compile(r"(\*|[A-Za-z]{1,8})(?:-[A-Za-z0-9]{1,8})*\s*(?:;\s*[qQ]=(0(?:\.[0-9]{0,3})?|1(?:\.0{0,3})?))?")


def spoken_answer(req: func.HttpRequest, document: object) -> func.HttpResponse:
    """`document` as JSON, its sentences (`Words`) in the language asked for, which the answer names.

    All other texts are as they are. No cache keeps it (`no-store`); `Vary` tells those that do all the same.
    """
    language = language_asked(req)
    headers = {**PRIVATE, **spoken_headers(language)}
    return func.HttpResponse(spoken(document, language), headers=headers, mimetype=JSON)


def spoken(document: object, language: str) -> bytes:
    """`document` as JSON, its sentences in this language."""

    def said(value: object) -> str:
        # What `msgspec` cannot encode comes here, a kind of `str` as well.
        if isinstance(value, Words):
            return translated(value, catalogue(language))
        raise NotImplementedError(type(value).__name__)

    return msgspec.json.encode(document, enc_hook=said)


def spoken_headers(language: str) -> dict[str, str]:
    """What tells a reader's voice which language it is, and a cache that another one may be asked for."""
    return {"Content-Language": language, "Vary": OF_LANGUAGES}


@cache
def catalogue(language: str) -> Mapping[str, str]:
    """The translations of one language by their English templates, read at first use; none of English."""
    if language == DEFAULT_LANGUAGE:
        return {}
    return msgspec.json.decode((_FOLDER / f"{language}.json").read_bytes(), type=dict[str, str])
