"""What a waiting responder hears while people are being rung (B11); `prompts/README.md` has the words."""

import functools
from pathlib import Path
from types import MappingProxyType

import azure.functions as func

from functions.http import entity_tag, matches
from functions.problems import answered
from shared.domain.errors import NotFound
from shared.domain.notice_templates import LANGUAGES, language_of

# Whoever fetches one may keep it for a day: it is the same for everybody, and holds nothing of anybody. But for the
# headers of CORS: one that was kept without them must not be what a script of an allowed site is given.
CACHED = {"Cache-Control": "public, max-age=86400", "X-Content-Type-Options": "nosniff", "Vary": "Origin"}
WAV = "audio/wav"
SUFFIX = ".wav"
# The only files that are ever opened: no part of a request becomes part of a path.
FILES: MappingProxyType[str, Path] = MappingProxyType(
    {language: Path(__file__).parent / "prompts" / f"{language}{SUFFIX}" for language in LANGUAGES}
)

blueprint = func.Blueprint()


@blueprint.route(route="ui/prompts/{file}", methods=["GET", "HEAD"], auth_level=func.AuthLevel.ANONYMOUS)
@answered
def ui_prompt(req: func.HttpRequest) -> func.HttpResponse:
    """The prompt in the language of `{locale}.wav` (BCP 47), else in English; 304 where the caller has it already."""
    sound, tag = _prompt(language_in(req.route_params.get("file")))
    headers = {**CACHED, "ETag": tag}
    if matches(req.headers.get("if-none-match"), tag):
        return func.HttpResponse(status_code=304, headers=headers)
    return func.HttpResponse(sound, headers=headers, mimetype=WAV)


def language_in(file: str | None) -> str:
    """The language of the prompt that `file` asks for; raises `NotFound` for what is no WAV file."""
    locale, suffix = (file or "")[: -len(SUFFIX)], (file or "")[-len(SUFFIX) :]
    if suffix.lower() != SUFFIX:
        raise NotFound
    return language_of(locale)


@functools.cache
def _prompt(language: str) -> tuple[bytes, str]:
    sound = FILES[language].read_bytes()
    return sound, entity_tag(sound.hex())
