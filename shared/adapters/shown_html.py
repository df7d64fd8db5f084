"""What a reader sees of a page: its text, without comments, attributes and the elements that are not shown."""

import re
from collections import Counter
from html.parser import HTMLParser

_NEVER_SHOWN = frozenset({"head", "script", "style", "template", "title"})
# One within another of its kind: the first end is the inner one's.
_NESTS = frozenset({"template"})
# Any other element begins the body, where the head was not closed (HTML standard, 13.2.6.4.4).
_OF_A_HEAD = frozenset({"base", "link", "meta", "noscript", "script", "style", "template", "title"})
# They have no end tag (HTML standard, 13.1.2).
_VOID = frozenset(
    {"area", "base", "br", "col", "embed", "hr", "img", "input", "link", "meta", "source", "track", "wbr"}
)
# What is within is there for programs that cannot do what the element is for, or is offered and not shown.
_FALLBACK_WITHIN = frozenset(
    {"audio", "canvas", "datalist", "iframe", "noembed", "noframes", "noscript", "object", "video"}
)
# Until the reader opens it, only its summary is shown.
_FOLDED = "details"
_SHOWN_OF_FOLDED = "summary"
# Stands for a folded element while its summary is open; no tag has such a name.
_PARTLY_FOLDED = "details, folded"
# As templates hide a line of preview. What is white on white, or outside the page, is not seen here.
_HIDES = re.compile(
    r"""(?:^|;)\s*(?:
        display\s*:\s*none | visibility\s*:\s*(?:hidden|collapse) | mso-hide\s*:\s*all
        | (?:font-size|opacity)\s*:\s*0[a-z%.0]*
    )\s*(?:!|;|$)""",
    re.IGNORECASE | re.VERBOSE,
)
# Without the second, what is in an element of no size is shown beyond its edge.
_NO_SIZE = re.compile(r"(?:^|;)\s*(?:max-)?(?:height|width)\s*:\s*0[a-z%.0]*\s*(?:!|;|$)", re.IGNORECASE)
_CUT_OFF = re.compile(r"(?:^|;)\s*overflow(?:-[xy])?\s*:\s*(?:hidden|clip)\b", re.IGNORECASE)
# Of these a size is the least: they grow with what is in them.
_OF_A_TABLE = frozenset({"table", "tbody", "td", "tfoot", "th", "thead", "tr"})


class UnreadablePage(ValueError):
    """Python's parser cannot read it, such as the number of a character that has thousands of digits."""


def shown(html: str) -> str:
    """The text of a page that is shown, with a blank for each tag. Raises `UnreadablePage`."""
    page = _Page()
    try:
        # Not closed: the parser would then take an unfinished comment or tag for text, which browsers drop. The line
        # break ends an unfinished character reference.
        page.feed(f"{html}\n")
    except (ValueError, AssertionError) as error:
        raise UnreadablePage from error
    return " ".join(page.texts)


class _Tags:
    """Elements that are open, the innermost last. Counted, since a page may hold tens of thousands of them."""

    def __init__(self) -> None:
        self.names: list[str] = []
        self._count: Counter[str] = Counter()

    def __bool__(self) -> bool:
        return bool(self.names)

    def __contains__(self, tag: str) -> bool:
        return self._count[tag] > 0

    def begin(self, tag: str) -> None:
        self.names.append(tag)
        self._count[tag] += 1

    def end(self, tag: str) -> None:
        """It ends, and with it those within that were not closed."""
        while (last := self.names.pop()) != tag:
            self._count[last] -= 1
        self._count[tag] -= 1

    def clear(self) -> None:
        self.names.clear()
        self._count.clear()


class _Page(HTMLParser):
    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.texts: list[str] = []
        self._within, self._open, self._hidden = _Tags(), _Tags(), _Tags()

    def parse_html_declaration(self, i: int) -> int:
        # Python's fails an assertion at `<![ x]>`. To a browser all of `<![` is a comment up to the next `>`
        # (HTML standard, 13.2.5.42), the conditions of Outlook too.
        return self.parse_bogus_comment(i) if self.rawdata.startswith("<![", i) else super().parse_html_declaration(i)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag == _SHOWN_OF_FOLDED and self._hidden.names == [_FOLDED]:
            self._hidden.clear()
            self._open.begin(_PARTLY_FOLDED)
        if tag not in _VOID and (self._hidden or (not self._within and _is_hidden(tag, attrs))):
            self._hidden.begin(tag)
            return
        if tag not in _VOID:
            self._open.begin(tag)
        if self._within.names == ["head"] and tag not in _OF_A_HEAD:
            self._within.clear()
        if tag in _NEVER_SHOWN and (tag in _NESTS or tag not in self._within):
            self._within.begin(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        # HTML passes over the slash: `<script/>` is as open as `<script>`.
        self.handle_starttag(tag, attrs)

    def handle_endtag(self, tag: str) -> None:
        if tag in self._hidden:
            self._hidden.end(tag)
            return
        if tag in self._open:
            # Whatever is within it ends there too, hidden or not.
            self._hidden.clear()
            self._open.end(tag)
            if self._open.names[-1:] == [_PARTLY_FOLDED]:
                self._open.end(_PARTLY_FOLDED)
                self._hidden.begin(_FOLDED)
        if self._within.names[-1:] == [tag]:
            self._within.end(tag)

    def handle_data(self, data: str) -> None:
        if not self._within and not self._hidden:
            self.texts.append(data)


def _is_hidden(tag: str, attrs: list[tuple[str, str | None]]) -> bool:
    said = dict(attrs)
    if tag in _FALLBACK_WITHIN or (tag == _FOLDED and "open" not in said):
        return True
    style = said.get("style") or ""
    if "hidden" in said or _HIDES.search(style):
        return True
    return tag not in _OF_A_TABLE and bool(_NO_SIZE.search(style) and _CUT_OFF.search(style))
