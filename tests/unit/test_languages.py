"""The language of an answer is the one that is asked for; whatever else is asked for is answered in English."""

import json
from typing import Any

import azure.functions as func
import msgspec
import pytest

from functions.languages import MAX_ACCEPT_LANGUAGE_CHARS, best_language, catalogue, spoken, spoken_answer
from functions.problems import answer, problem, unprocessable
from shared.domain.errors import Faulty
from shared.domain.notice_templates import LANGUAGES
from shared.domain.readiness import Check, CheckState, warning
from shared.domain.words import Words, as_words, translated
from tests.unit.test_problems import Counted

ALLOWED = "https://desk.example.com"
SLOW = warning("store", Words("Table storage took {ms} ms.", ms=900), "Ask again in a minute.", None)


def asking(**headers: str) -> func.HttpRequest:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return func.HttpRequest("GET", "https://example.com/api/manage/readiness", headers=named, body=b"")


def read(response: func.HttpResponse) -> Any:
    return json.loads(response.get_body())


@pytest.mark.parametrize(
    ("accepted", "language"),
    [
        (None, "en"),
        ("", "en"),
        ("fr", "fr"),
        ("fr-CA", "fr"),
        ("FR-ca", "fr"),
        ("es-419, es;q=0.9", "es"),
        ("de, it;q=0.5", "it"),
        ("de", "en"),
        ("en-GB,en;q=0.9,fr;q=0.8", "en"),
        ("en;q=0.2, fr;q=0.8, it;q=0.5", "fr"),
        ("fr;q=0.8,it;q=0.8", "fr"),
        ("fr; q=0.1, es ; q=0.2", "es"),
        ("fr-CA;q=0.1, fr;q=0.9, es;q=0.5", "fr"),
        ("fr;q=0", "en"),
        ("fr;q=0, it;q=0.001", "it"),
        ("fr;q=0.000", "en"),
        ("*", "en"),
        ("*;q=0.5, fr;q=0.1", "en"),
        ("it, *;q=0.1", "it"),
        ("zh-Hant-TW-x-private, it-IT", "it"),
    ],
)
def test_the_language_that_is_weighed_most_is_taken(accepted: str | None, language: str) -> None:
    assert best_language(accepted) == language


@pytest.mark.parametrize(
    "accepted",
    [
        "fr" + ",fr" * MAX_ACCEPT_LANGUAGE_CHARS,
        "fr;q=1.5",
        "fr;q=nan",
        "fr;q=inf",
        "fr;q=-1",
        "fr;q=0.12345",
        "fr;q=",
        "fr;level=1",
        "fr_CA",
        "français",
        "fr\x00",
        "٣",
        ",,;;==--**",
        "../../../etc/passwd",
        "fr-" * 300,
        "\ud83d",
    ],
    ids=lambda text: ascii(text[:12]),
)
def test_what_is_malformed_is_passed_over(accepted: str) -> None:
    assert best_language(accepted) == "en"
    assert best_language(f"it, {accepted}") in ("it", "en")


def test_what_is_malformed_takes_nothing_from_what_is_not() -> None:
    assert best_language("fr;q=2, ;;, it;q=0.3, xx-yy;q=, en;q=0.1") == "it"


def test_a_sentence_is_text_in_english_and_has_translations() -> None:
    words = Words("{countries}: {state} of {count}", countries=("US", "FR"), state=Words("none"), count=2)
    assert words == "US, FR: none of 2"
    own = {"{countries}: {state} of {count}": "{count} {state} ({countries})", "none": "aucun", "US": "never"}
    assert translated(words, own) == "2 aucun (US, FR)", "names are no sentences"
    assert translated(words, {}) == words
    assert as_words(words) is words and as_words("Fine.").template == "Fine."


def test_values_are_never_templates() -> None:
    words = Words("{name}: {limit}", name="{limit}{name}", limit=1)
    assert words == "{limit}{name}: 1"
    assert translated(words, {"{name}: {limit}": "{limit}, {name}"}) == "1, {limit}{name}"
    assert Words("Ask {agent_id}.") == "Ask {agent_id}.", "without values braces stay"


@pytest.mark.parametrize("language", LANGUAGES)
def test_an_answer_is_in_the_language_asked_for_and_says_so(language: str) -> None:
    response = spoken_answer(asking(accept_language=f"{language}-XX"), SLOW)
    assert SLOW.remedy is not None
    assert read(response)["reason"] == translated(SLOW.reason, catalogue(language))
    assert read(response)["remedy"] == translated(SLOW.remedy, catalogue(language))
    assert (read(response)["reason"] == "Table storage took 900 ms.") is (language == "en")
    headers = response.headers
    assert (headers["Content-Language"], headers["Vary"]) == (language, "Accept-Language")
    assert headers["Cache-Control"] == "no-store", "no cache can mix languages"


def test_what_has_no_translation_is_in_english() -> None:
    check = Check(id="x", state=CheckState.OK, reason=Words("Nobody translated {this}.", this="it"))
    assert json.loads(spoken(check, "fr"))["reason"] == "Nobody translated it."


def test_what_is_no_sentence_is_still_refused() -> None:
    with pytest.raises((NotImplementedError, TypeError)):
        spoken({"at": object()}, "fr")
    with pytest.raises(TypeError):
        msgspec.json.encode(Words("Only `spoken` says in which language."))


def test_another_site_is_told_by_both_headers_it_varies_with() -> None:
    response = answer(
        lambda req: spoken_answer(req, SLOW), asking(origin=ALLOWED, accept_language="fr"), Counted(), [ALLOWED]
    )
    assert response.headers["Vary"] == "Accept-Language, Origin"
    assert response.headers["Access-Control-Allow-Origin"] == ALLOWED


def test_what_a_form_shows_of_a_refusal_is_in_the_language_asked_for() -> None:
    lint = [{"message": Words("is missing")}]
    told = problem(Faulty(Words("The template must not be saved."), lint=lint), "fr")
    assert read(told)["lint"] == [{"message": "manque"}]
    assert read(told)["detail"] == "Le modèle ne peut pas être enregistré."
    assert (told.headers["Content-Language"], told.headers["Vary"]) == ("fr", "Accept-Language")
    told = unprocessable("faulty", Words("has rows that cannot be used"), asked_by=asking(accept_language="it"))
    assert (read(told)["detail"], told.headers["Content-Language"]) == ("ha righe che non si possono usare", "it")
    plain = unprocessable("no-contact", "holds no e-mail address")
    assert "Content-Language" not in plain.headers and read(plain)["detail"] == "holds no e-mail address"
