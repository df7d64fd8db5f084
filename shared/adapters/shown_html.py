"""What a reader sees of a page: its text, without comments, attributes and the elements that are not shown."""

import re
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
# As templates hide a line of preview. What is white on white, or outside the page, is not seen here.
_HIDES = re.compile(
    r"(?:^|;)\s*(?:display\s*:\s*none|visibility\s*:\s*(?:hidden|collapse)|(?:font-size|opacity)\s*:\s*0[a-z%.0]*)\s*(?:!|;|$)",
    re.IGNORECASE,
)


def shown(html: str) -> str:
    """The text of a page that is shown, with a blank for each tag."""
    page = _Page()
    # Not closed: the parser would then take an unfinished comment or tag for text, which browsers drop. The line break
    # ends an unfinished character reference.
    page.feed(f"{html}\n")
    return " ".join(page.texts)


class _Page(HTMLParser):
    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.texts: list[str] = []
        self._within: list[str] = []
        self._open: list[str] = []
        self._hidden: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag not in _VOID and (self._hidden or (not self._within and _is_hidden(attrs))):
            self._hidden.append(tag)
            return
        if tag not in _VOID:
            self._open.append(tag)
        if self._within == ["head"] and tag not in _OF_A_HEAD:
            self._within.clear()
        if tag in _NEVER_SHOWN and (tag in _NESTS or tag not in self._within):
            self._within.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        # HTML passes over the slash: `<script/>` is as open as `<script>`.
        self.handle_starttag(tag, attrs)

    def handle_endtag(self, tag: str) -> None:
        if tag in self._hidden:
            # With it those within that were not closed.
            while self._hidden.pop() != tag:
                pass
            return
        if tag in self._open:
            # Whatever is within it ends there too, hidden or not.
            self._hidden.clear()
            while self._open.pop() != tag:
                pass
        if self._within[-1:] == [tag]:
            self._within.pop()

    def handle_data(self, data: str) -> None:
        if not self._within and not self._hidden:
            self.texts.append(data)


def _is_hidden(attrs: list[tuple[str, str | None]]) -> bool:
    said = dict(attrs)
    return "hidden" in said or _HIDES.search(said.get("style") or "") is not None
