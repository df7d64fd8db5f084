"""The pages and their files: what they may do in a browser, how they are kept, and that nothing else is opened."""

import gzip
import json
import re
from collections.abc import Callable
from fnmatch import fnmatch

import azure.functions as func
import pytest

from functions import pages
from functions.pages import FOLDER, SCRIPTS, STYLES, accepts_gzip, frame_ancestors, join
from functions.wire.banners import BANNERS
from shared.bootstrap import compose, install
from shared.domain.notice_templates import LANGUAGES
from shared.domain.panels import Banner
from tests.rules.sources import ROOT

HOST_PAGE = "https://desk.example.com"
PAGES: dict[str, Callable[[func.HttpRequest], func.HttpResponse]] = {
    "panel": pages.ui_panel,
    "console": pages.ui_console,
    "preview": pages.ui_preview,
}
FILES = (*SCRIPTS, *STYLES)


def ask(
    function: Callable[[func.HttpRequest], func.HttpResponse], *, method: str = "GET", digest: str = "", **headers: str
) -> func.HttpResponse:
    install(lambda: compose({"ALLOWED_ORIGINS": HOST_PAGE}))
    named = {name.replace("_", "-"): value for name, value in headers.items() if name != "file"}
    route = {"file": headers.get("file", ""), "digest": digest}
    return function(func.HttpRequest(method=method, url="/", body=b"", route_params=route, headers=named))


def policy(page: str) -> dict[str, str]:
    text = ask(PAGES[page]).headers["Content-Security-Policy"]
    return dict((*part.split(maxsplit=1), "")[:2] for part in text.split("; "))


def test_the_panel_runs_nothing_but_its_own_and_is_framed_by_listed_sites_only() -> None:
    assert policy("panel") == {
        "default-src": "'none'",
        "script-src": "'self'",
        "style-src": "'self'",
        "img-src": "'self' data:",
        "connect-src": "'self'",
        "base-uri": "'none'",
        "form-action": "'none'",
        "require-trusted-types-for": "'script'",
        "trusted-types": "'none'",
        "frame-ancestors": f"'self' {HOST_PAGE}",
    }


def test_the_console_is_framed_by_nobody_and_the_preview_is_a_sandbox() -> None:
    console, preview = policy("console"), policy("preview")
    assert (console["frame-ancestors"], console["frame-src"]) == ("'none'", "'self'")
    assert console["trusted-types"] == "'none'"
    assert (preview["sandbox"], preview["default-src"], preview["script-src"]) == ("allow-scripts", "'none'", "'self'")
    assert "allow-same-origin" not in str(preview) and "connect-src" not in preview


def test_a_wildcard_frames_nothing() -> None:
    # Under it any tenant of the same service could lay a page of its own over End call.
    assert frame_ancestors(["https://*.example.com", "https://a.example.com/"]) == "'self' https://a.example.com"


@pytest.mark.parametrize("page", PAGES)
def test_each_page_says_what_a_browser_may_do_with_it(page: str) -> None:
    headers = ask(PAGES[page]).headers
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["Strict-Transport-Security"] == "max-age=31536000"
    assert headers["Referrer-Policy"] == "same-origin"
    assert headers["Cross-Origin-Resource-Policy"] == "same-origin"
    assert headers["Cache-Control"] == "no-cache"
    assert headers["Vary"] == "Accept-Encoding, Origin"
    assert headers.get("Cross-Origin-Opener-Policy") == ("same-origin" if page == "console" else None)
    assert "X-Frame-Options" not in headers
    allowed = headers["Permissions-Policy"]
    assert ("microphone=(self)" in allowed) is (page == "panel")
    assert "camera=()" in allowed


@pytest.mark.parametrize("file", FILES)
def test_each_file_may_be_imported_by_any_site_and_kept_by_its_digest(file: str) -> None:
    answer = ask(pages.ui_file, file=file, origin=HOST_PAGE)
    assert answer.headers["Access-Control-Allow-Origin"] == "*"
    assert answer.headers["Cross-Origin-Resource-Policy"] == "cross-origin"
    assert answer.headers["Cache-Control"] == "no-cache"
    assert answer.headers["Vary"] == "Accept-Encoding"
    assert answer.mimetype == ("text/css" if file.endswith(".css") else "text/javascript")
    digest = pages.served(file).digest
    assert "immutable" in ask(pages.ui_pinned_file, file=file, digest=digest).headers["Cache-Control"]
    other = ask(pages.ui_pinned_file, file=file, digest="0" * 16)
    assert (other.status_code, other.headers["Cache-Control"]) == (200, "no-cache")
    assert other.get_body() == answer.get_body()


@pytest.mark.parametrize("file", ["", "README.md", "panel.html", "panel-state.js", "../pages.py", "..", "EN.JSON"])
def test_only_listed_names_are_opened(file: str) -> None:
    assert ask(pages.ui_file, file=file).status_code == 404
    assert ask(pages.ui_pinned_file, file=file, digest="0").status_code == 404


@pytest.mark.parametrize("page", PAGES)
def test_compressed_and_plain_have_tags_of_their_own(page: str) -> None:
    plain, packed = ask(PAGES[page]), ask(PAGES[page], accept_encoding="br, gzip")
    assert packed.headers["Content-Encoding"] == "gzip" and "Content-Encoding" not in plain.headers
    assert gzip.decompress(packed.get_body()) == plain.get_body()
    assert packed.headers["ETag"] != plain.headers["ETag"]
    again = ask(PAGES[page], accept_encoding="gzip", if_none_match=packed.headers["ETag"])
    assert (again.status_code, again.get_body()) == (304, b"")
    assert ask(PAGES[page], if_none_match=packed.headers["ETag"]).status_code == 200


@pytest.mark.parametrize(
    ("header", "takes"),
    [("gzip", True), ("br, gzip;q=0.5", True), ("*", True), ("gzip;q=0", False), ("br", False), ("", False)],
)
def test_who_takes_gzip(header: str, takes: bool) -> None:
    assert accepts_gzip(header) is takes


@pytest.mark.parametrize("page", PAGES)
def test_a_page_is_one_document_with_pinned_files_of_ours(page: str) -> None:
    body = ask(PAGES[page]).get_body().decode()
    assert "ui:" not in body
    addresses = re.findall(r'(?:src|href)="([^"]+)"', body)
    files = [address for address in addresses if not address.startswith("data:")]
    assert len(files) == (1 if page == "preview" else 2)
    for address in files:
        digest, name = address.split("/")
        assert pages.served(name).digest == digest


# Joining -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("script", SCRIPTS)
def test_a_joined_script_imports_nothing_and_declares_each_name_once(script: str) -> None:
    text = join(script)
    assert not re.search(r"^\s*import\b(?!\.)", text, re.MULTILINE)
    declared = re.findall(
        r"^(?:export )?(?:async )?(?:function\*?|class|const|let) (\w+)", text, re.MULTILINE
    ) + re.findall(r"^const \{ (.+?) \} =", text, re.MULTILINE)
    assert len(declared) == len(set(declared)), sorted(name for name in declared if declared.count(name) > 1)


def test_every_file_of_the_pages_is_served() -> None:
    joined = "".join(join(script) for script in SCRIPTS)
    parts = {part for style in STYLES.values() for part in style}
    for path in FOLDER.iterdir():
        if path.suffix == ".js":
            first = next(line for line in path.read_text("utf-8").splitlines() if line.startswith("//"))
            assert first in joined, path.name
        elif path.suffix == ".css":
            assert path.name in parts or json.dumps(path.read_text("utf-8")) in joined, path.name
        elif path.suffix == ".json":
            assert next(iter(json.loads(path.read_text("utf-8")).values())) in joined, path.name
        else:
            assert path.suffix == ".html", path.name


def test_the_files_are_part_of_the_deployed_package() -> None:
    lines = (ROOT / ".funcignore").read_text("utf-8").splitlines()
    left_behind = [line.strip("/") for line in lines if line and not line.startswith("#")]
    for path in FOLDER.iterdir():
        parts = path.relative_to(ROOT).parts
        assert not [pattern for pattern in left_behind if any(fnmatch(part, pattern) for part in parts)]


# Words ---------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", sorted({path.name.split(".")[0] for path in FOLDER.glob("*.en.json")}))
def test_every_language_has_the_same_words_and_places_to_fill(kind: str) -> None:
    read = {language: json.loads((FOLDER / f"{kind}.{language}.json").read_text("utf-8")) for language in LANGUAGES}
    for language, words in read.items():
        assert words.keys() == read["en"].keys(), language
        for key, text in words.items():
            places = sorted(re.findall(r"\{\w+\}", text))
            assert places == sorted(re.findall(r"\{\w+\}", read["en"][key])), (language, key)
            assert text.strip(), (language, key)


@pytest.mark.parametrize("language", BANNERS)
def test_the_panel_says_a_banner_as_the_server_does(language: str) -> None:
    """The panel's own words stand in where the server is away: two wordings of one state would be read out twice."""
    words = json.loads((FOLDER / f"messages.{language}.json").read_text("utf-8"))
    assert {banner: words.get(banner) for banner in Banner} == BANNERS[language]
