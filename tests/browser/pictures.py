"""Pictures of every page, wide and narrow, light and dark, to be looked at.

python -m tests.browser.pictures FOLDER [panel] [console] [simulator]
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from playwright.sync_api import Browser, Page, sync_playwright

from tests.browser import chromium
from tests.browser.desk import Desk, panel
from tests.browser.test_panel import STATES

WIDTHS = (1280, 360)
SCHEMES = ("light", "dark")
HEIGHT = 800
DRAWN_MS = 400
LANGUAGES = ("en", "it", "fr", "es")


@contextmanager
def opened(browser: Browser, width: int, scheme: str, locale: str = "en-US") -> Iterator[Page]:
    """A page of a browser as new, so wide, in light or dark."""
    look = {"color_scheme": scheme, "viewport": {"width": width, "height": HEIGHT}, "reduced_motion": "reduce"}
    context = browser.new_context(**look, locale=locale, timezone_id="America/Los_Angeles")  # type: ignore[arg-type]
    yield context.new_page()
    context.close()


def looks() -> Iterator[tuple[int, str]]:
    """Each width in each scheme."""
    return ((width, scheme) for width in WIDTHS for scheme in SCHEMES)


def panels(browser: Browser, folder: Path) -> None:
    """The panel in every mode, and with a server that is away."""
    states = {name: shown for name, (shown, _, _) in STATES.items()} | {"where": panel()}
    with Desk.running() as desk:
        for (width, scheme), (name, shown) in ((look, state) for look in looks() for state in states.items()):
            desk.reset()
            desk.panel = shown
            if name == "where":
                desk.others["PUT agents/agent-1/desktop"] = {"confirmed": False}
            with opened(browser, width, scheme) as page:
                page.goto(f"{desk.address}/api/ui/panel?agent=agent-1&desktop=desktop-1&locale=en")
                page.wait_for_timeout(DRAWN_MS)
                page.screenshot(path=folder / f"panel-{name.replace(' ', '-')}-{width}-{scheme}.png", full_page=True)


PARTS = {"panel": panels}


def main(arguments: Sequence[str] | None = None) -> int:
    """Take the pictures of these parts, or of all; the exit status."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("parts", nargs="*", default=list(PARTS))
    chosen = parser.parse_args(arguments)
    chosen.folder.mkdir(parents=True, exist_ok=True)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium.find())
        for part in chosen.parts:
            PARTS[part](browser, chosen.folder)
        browser.close()
    return 0


if __name__ == "__main__":
    sys.exit(main())
