"""What a page can look like: each language in each colour scheme, narrow and wide; a few at once, all when asked."""

from __future__ import annotations

from itertools import product

import pytest
from playwright.sync_api import Page

from shared.domain.notice_templates import LANGUAGES

SCHEMES = ("light", "dark", "forced")
WIDTHS = (1280, 320)
HEIGHT = 800
# Each value of each of the three is among these.
AT_ONCE = {
    ("en", "light", 1280),
    ("en", "forced", 320),
    ("es", "dark", 320),
    ("fr", "light", 320),
    ("it", "dark", 1280),
}
EVERY_LOOK = [
    pytest.param(*look, marks=() if look in AT_ONCE else pytest.mark.long)
    for look in product(LANGUAGES, SCHEMES, WIDTHS)
]


def put_on(page: Page, scheme: str, width: int) -> None:
    """Show pages in this scheme, so wide, without motion."""
    page.emulate_media(
        color_scheme="dark" if scheme == "dark" else "light",
        forced_colors="active" if scheme == "forced" else "none",
        reduced_motion="reduce",
    )
    page.set_viewport_size({"width": width, "height": HEIGHT})


def is_too_wide(page: Page) -> bool:
    """Whether somebody must scroll sideways to read the page."""
    return bool(page.evaluate("() => document.documentElement.scrollWidth > innerWidth"))


def without_network_words(said: list[str]) -> None:
    """Chromium reports each failed request on the console by itself."""
    said[:] = [each for each in said if not each.startswith("Failed to load resource")]
