"""What a waiting responder hears: one small file per language, in the one format that the service plays."""

import io
import wave
from fnmatch import fnmatch

import azure.functions as func
import pytest

from functions.openapi import openapi
from functions.prompt import FILES, language_in, ui_prompt
from shared.bootstrap import compose, install
from shared.domain.errors import NotFound
from tests.rules.sources import ROOT

MAX_PROMPT_S = 8
MAX_PROMPT_BYTES = 256 * 1024


def ask(file: str, **headers: str) -> func.HttpResponse:
    install(lambda: compose({}))
    answer = ui_prompt(func.HttpRequest(method="GET", url="/", body=b"", route_params={"file": file}, headers=headers))
    assert isinstance(answer, func.HttpResponse)
    return answer


@pytest.mark.parametrize("language", FILES)
def test_each_file_is_what_the_service_plays_and_small(language: str) -> None:
    answer = ask(f"{language}.wav")
    assert (answer.status_code, answer.mimetype) == (200, "audio/wav")
    body = answer.get_body()
    assert len(body) < MAX_PROMPT_BYTES
    with wave.open(io.BytesIO(body)) as sound:
        # WAV files of any other rate, width or number of channels are not documented to be played.
        assert (sound.getnchannels(), sound.getsampwidth(), sound.getframerate()) == (1, 2, 16_000)
        assert 2 < sound.getnframes() / sound.getframerate() < MAX_PROMPT_S


@pytest.mark.parametrize(
    ("file", "language"),
    [
        *(("en.wav", "en"), ("es-MX.wav", "es"), ("FR_ca.WAV", "fr"), ("it.wav", "it")),
        *(("de.wav", "en"), (".wav", "en"), ("..wav", "en"), ("../../host.json.wav", "en"), ("en/../es.wav", "en")),
        *(("\x00.wav", "en"), ("esp.wav", "en")),
    ],
)
def test_the_locale_chooses_the_language_and_never_a_path(file: str, language: str) -> None:
    assert language_in(file) == language


@pytest.mark.parametrize("file", ["", "en", "README.md", "en.wav.mp3", None])
def test_what_is_no_wav_file_is_not_there(file: str | None) -> None:
    with pytest.raises(NotFound):
        language_in(file)
    assert ask(file or "").status_code == 404


def test_anybody_may_keep_it_and_ask_whether_it_changed() -> None:
    first = ask("en.wav")
    assert first.headers["Cache-Control"].startswith("public")
    again = ask("en-US.wav", **{"if-none-match": first.headers["ETag"]})
    assert (again.status_code, again.get_body()) == (304, b"")
    assert ask("it.wav").headers["ETag"] != first.headers["ETag"]


def test_the_files_are_part_of_the_deployed_package() -> None:
    lines = (ROOT / ".funcignore").read_text("utf-8").splitlines()
    left_behind = [line.strip("/") for line in lines if line and not line.startswith("#")]
    for path in FILES.values():
        parts = path.relative_to(ROOT).parts
        assert not [pattern for pattern in left_behind if any(fnmatch(part, pattern) for part in parts)]
    assert {path.name for path in FILES.values()} == {path.name for path in (ROOT / "functions/prompts").glob("*.wav")}


@pytest.mark.parametrize("origin", [None, "https://desk.example.com", "https://other.example.com"])
def test_what_may_be_kept_says_that_it_varies_with_the_site_that_asks(origin: str | None) -> None:
    """Else a copy that was kept without the headers of CORS is what a script of an allowed site is given, all day."""
    install(lambda: compose({"ALLOWED_ORIGINS": "https://desk.example.com"}))
    headers = {"origin": origin} if origin else {}
    for function in (ui_prompt, openapi):
        request = func.HttpRequest(method="GET", url="/", body=b"", route_params={"file": "en.wav"}, headers=headers)
        answer = function(request)
        assert isinstance(answer, func.HttpResponse)
        assert answer.headers["Vary"] == "Origin"
        assert ("Access-Control-Allow-Origin" in answer.headers) is (origin == "https://desk.example.com")
