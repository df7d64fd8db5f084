"""What a reader sees of a page: its text, without comments, attributes and the elements that are never shown."""

from html.parser import HTMLParser

_NEVER_SHOWN = frozenset({"head", "script", "style", "template", "title"})
# One within another of its kind: the first end is the inner one's.
_NESTS = frozenset({"template"})
# Any other element begins the body, where the head was not closed (HTML standard, 13.2.6.4.4).
_OF_A_HEAD = frozenset({"base", "link", "meta", "noscript", "script", "style", "template", "title"})


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

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:  # noqa: ARG002 - not shown
        if self._within == ["head"] and tag not in _OF_A_HEAD:
            self._within.clear()
        if tag in _NEVER_SHOWN and (tag in _NESTS or tag not in self._within):
            self._within.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        # HTML passes over the slash: `<script/>` is as open as `<script>`.
        self.handle_starttag(tag, attrs)

    def handle_endtag(self, tag: str) -> None:
        if self._within[-1:] == [tag]:
            self._within.pop()

    def handle_data(self, data: str) -> None:
        if not self._within:
            self.texts.append(data)
