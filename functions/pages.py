"""The pages, their scripts and their styles (S5, S7, S9, S10): anybody may have them, because they hold no data.

The scripts are kept as standard modules and served joined: a page is one document, one script and one style, since the
HTTP functions of a deployment scale as one group and a desk's reload must not cost a dial its place.
"""

import functools
import gzip
import hashlib
import json
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from types import MappingProxyType

import azure.functions as func
from msgspec import Struct

from functions.http import entity_tag, matches
from functions.problems import answered
from functions.this_app import composed
from shared.domain.errors import NotFound

FOLDER = Path(__file__).parent / "ui"
# The runtime library adds the charset; nosniff makes a wrong type fatal to a module.
JAVASCRIPT, CSS, HTML = "text/javascript", "text/css", "text/html"

# The only names that are ever opened: no part of a request becomes part of a path. What is served under a name is that
# file with all that it imports, or, of a style, the files listed.
SCRIPTS = ("emergency-dialer.js", "emergency-panel.js", "panel-page.js", "console-page.js", "preview.js")
STYLES = MappingProxyType({"panel.css": ("tokens.css", "panel.css"), "console.css": ("tokens.css", "console.css")})

REVALIDATED = "no-cache"
FOR_EVER = "public, max-age=31536000, immutable"
EVERYWHERE = MappingProxyType(
    {
        "X-Content-Type-Options": "nosniff",
        "Strict-Transport-Security": "max-age=31536000",
    }
)
# A host page on another site loads a module by CORS, whoever it is; compressed here, since the platform's front end
# compresses nothing.
OF_FILES = MappingProxyType(
    {
        "Access-Control-Allow-Origin": "*",
        "Cross-Origin-Resource-Policy": "cross-origin",
        "Vary": "Accept-Encoding",
    }
)
OF_PAGES = MappingProxyType(
    {
        # Not `no-referrer`: App Service's own check of forged requests looks for Origin or Referer.
        "Referrer-Policy": "same-origin",
        "Cross-Origin-Resource-Policy": "same-origin",
        "Vary": "Accept-Encoding, Origin",
    }
)
STRICT = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'; require-trusted-types-for 'script'; trusted-types 'none'"
)
# Mail has styles of its own, and what an administrator writes into a template may not run here.
SANDBOXED = (
    "sandbox allow-scripts; default-src 'none'; script-src 'self'; style-src 'unsafe-inline'; img-src data:; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'self'"
)
# The panel lists microphones and speakers, keeps the screen on during an emergency, and asks once for a position.
PANEL_MAY = ("microphone", "speaker-selection", "screen-wake-lock", "geolocation", "autoplay")
NOBODY_MAY = ("camera", "display-capture")

blueprint = func.Blueprint()


class Served(Struct, frozen=True):
    """A file as it goes out: plain and compressed, each with an entity tag of its own, made once per process."""

    mimetype: str
    plain: bytes
    packed: bytes
    digest: str


@blueprint.route(route="ui/panel", methods=["GET", "HEAD"], auth_level=func.AuthLevel.ANONYMOUS)
@answered
def ui_panel(req: func.HttpRequest) -> func.HttpResponse:
    """The communication panel as a page; the sites of ALLOWED_ORIGINS may show it in a frame."""
    embedders = frame_ancestors(composed().settings.allowed_origins)
    headers = {
        "Content-Security-Policy": f"{STRICT}; frame-ancestors {embedders}",
        "Permissions-Policy": _permissions(mine=PANEL_MAY, nobodys=NOBODY_MAY),
    }
    return _answer(req, document("panel.html"), {**OF_PAGES, **headers}, REVALIDATED)


@blueprint.route(route="ui/console", methods=["GET", "HEAD"], auth_level=func.AuthLevel.ANONYMOUS)
@answered
def ui_console(req: func.HttpRequest) -> func.HttpResponse:
    """The administrators' console; no other site may show it in a frame."""
    headers = {
        "Content-Security-Policy": f"{STRICT}; frame-src 'self'; frame-ancestors 'none'",
        "Permissions-Policy": _permissions(mine=(), nobodys=(*PANEL_MAY, *NOBODY_MAY)),
        "Cross-Origin-Opener-Policy": "same-origin",
    }
    return _answer(req, document("console.html"), {**OF_PAGES, **headers}, REVALIDATED)


@blueprint.route(route="ui/preview", methods=["GET", "HEAD"], auth_level=func.AuthLevel.ANONYMOUS)
@answered
def ui_preview(req: func.HttpRequest) -> func.HttpResponse:
    """An empty page, in a sandbox, into which the console posts a rendered notification."""
    headers = {
        "Content-Security-Policy": SANDBOXED,
        "Permissions-Policy": _permissions(mine=(), nobodys=(*PANEL_MAY, *NOBODY_MAY)),
    }
    return _answer(req, document("preview.html"), {**OF_PAGES, **headers}, REVALIDATED)


@blueprint.route(route="ui/{file}", methods=["GET", "HEAD"], auth_level=func.AuthLevel.ANONYMOUS)
@answered
def ui_file(req: func.HttpRequest) -> func.HttpResponse:
    """A script or style at its stable name: asked for again each time, and mostly a 304."""
    return _answer(req, served(req.route_params.get("file")), OF_FILES, REVALIDATED)


@blueprint.route(route="ui/{digest}/{file}", methods=["GET", "HEAD"], auth_level=func.AuthLevel.ANONYMOUS)
@answered
def ui_pinned_file(req: func.HttpRequest) -> func.HttpResponse:
    """A script or style under the digest of its content, to be kept for ever.

    The digest of another version gives the file as it is now, not to be kept: during a roll-out a page of the new
    version may ask a process of the old one.
    """
    file = served(req.route_params.get("file"))
    lasting = req.route_params.get("digest") == file.digest
    return _answer(req, file, OF_FILES, FOR_EVER if lasting else REVALIDATED)


def frame_ancestors(allowed_origins: Iterable[str]) -> str:
    """Who may frame the panel: ourselves and each listed origin; never a wildcard, under which any tenant could."""
    exact = (origin.rstrip("/") for origin in allowed_origins if "*" not in origin)
    return " ".join(["'self'", *exact])


def _permissions(*, mine: Iterable[str], nobodys: Iterable[str]) -> str:
    return ", ".join([*(f"{name}=(self)" for name in mine), *(f"{name}=()" for name in nobodys)])


def _answer(req: func.HttpRequest, file: Served, headers: Mapping[str, str], kept: str) -> func.HttpResponse:
    packs = accepts_gzip(req.headers.get("accept-encoding"))
    body = file.packed if packs else file.plain
    tag = entity_tag(f"{file.digest}{'+gzip' if packs else ''}")
    sent = {**EVERYWHERE, **headers, "Cache-Control": kept, "ETag": tag}
    if matches(req.headers.get("if-none-match"), tag):
        return func.HttpResponse(status_code=304, headers=sent)
    if packs:
        sent["Content-Encoding"] = "gzip"
    return func.HttpResponse(body, headers=sent, mimetype=file.mimetype)


def accepts_gzip(header: str | None) -> bool:
    """Whether `Accept-Encoding` takes gzip (RFC 9110, 12.5.3); a weight of zero refuses it."""
    for part in (header or "").lower().split(","):
        coding, _, weight = part.partition(";")
        if coding.strip() in {"gzip", "*"}:
            return re.fullmatch(r"\s*q\s*=\s*0(\.0*)?\s*", weight) is None
    return False


# What is served ------------------------------------------------------------------------------------------------------


def served(name: str | None) -> Served:
    """A script or style; raises `NotFound` for any other name."""
    if name is None or (name not in SCRIPTS and name not in STYLES):
        raise NotFound
    return _file(name)


@functools.cache
def _file(name: str) -> Served:
    if name in STYLES:
        return _packed("\n".join(_read(part) for part in STYLES[name]), CSS)
    return _packed(join(name), JAVASCRIPT)


@functools.cache
def document(name: str) -> Served:
    """A page; `ui:NAME` in it becomes the address of that file under its digest."""

    def pinned(match: re.Match[str]) -> str:
        return f"{served(match[1]).digest}/{match[1]}"

    return _packed(re.sub(r"ui:([\w.-]+)", pinned, _read(name)), HTML)


def _packed(text: str, mimetype: str) -> Served:
    plain = text.encode()
    packed = gzip.compress(plain, mtime=0)
    return Served(mimetype, plain, packed, hashlib.sha256(plain).hexdigest()[:16])


def _read(name: str) -> str:
    return (FOLDER / name).read_text("utf-8")


# Joining modules -----------------------------------------------------------------------------------------------------

_IMPORT = re.compile(
    r'^import (?P<what>\w+|\{[^}]*\}) from "\./(?P<file>[\w.-]+)"(?: with \{ type: "(?:css|json)" \})?;\n', re.MULTILINE
)
_EXPORT = re.compile(r"^export (?=(?:async )?function |class |const |let )", re.MULTILINE)


def join(root: str) -> str:
    """A module and all that it imports as one module, which exports what the root exports.

    Understood are `import { names } from "./file.js"`, and `import name from "./file"` of JSON and CSS. All share one
    scope: no two of a page's modules may declare the same name at the top, and none renames what it imports.
    """
    imported: list[str] = []
    _collect(root, imported, {root})
    return "\n".join([*imported, _IMPORT.sub("", _read(root))])


def _collect(importer: str, parts: list[str], seen: set[str]) -> None:
    """Append what `importer` imports, each file once, before whatever uses it."""
    for found in _IMPORT.finditer(_read(importer)):
        file = found["file"]
        if file in seen:
            continue
        seen.add(file)
        if file.endswith(".js"):
            _collect(file, parts, seen)
            parts.append(_EXPORT.sub("", _IMPORT.sub("", _read(file))))
        else:
            parts.append(_constant(found["what"], file))


def _constant(name: str, file: str) -> str:
    if file.endswith(".css"):
        return f"const {name} = new CSSStyleSheet();\n{name}.replaceSync({json.dumps(_read(file))});\n"
    return f"const {name} = {json.dumps(json.loads(_read(file)), ensure_ascii=False)};\n"
