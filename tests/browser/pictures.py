"""Pictures of every page, wide and narrow, light and dark, to be looked at.

python -m tests.browser.pictures FOLDER [panel] [console] [simulator]
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path

from playwright.sync_api import Browser, Page, sync_playwright

from tests.browser import chromium, scene
from tests.browser.desk import Desk, panel
from tests.browser.test_console import SECTIONS
from tests.browser.test_panel import STATES
from tests.local import stack
from tests.local.psap import Simulator
from tests.local.run import signed_in
from tests.local.stack import DANA, Stack

WIDTHS = (1280, 360)
SCHEMES = ("light", "dark")
HEIGHT = 800
DRAWN_MS = 400
FEW = 12
POOL = tuple(f"+1425555{number:04}" for number in range(101, 113))


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


def consoles(browser: Browser, folder: Path) -> None:
    """Each section of the console over the whole stack, with three emergencies."""
    with stack.running(pool=POOL) as local:
        local.will_answer(stack.DESK)
        scene.fill_directory(local, 0, FEW)
        number = scene.three_emergencies(local)
        local.wait_until_nothing_is_owed()
        for width, scheme in looks():
            scene.call_back(local, number)
            for section in SECTIONS:
                with opened(browser, width, scheme) as page:
                    section_of(page, local, section)
                    page.screenshot(path=folder / f"console-{section}-{width}-{scheme}.png", full_page=True)
            # Until the desk has taken the callback, no other rings.
            local.advance(timedelta(minutes=2))
            local.run_timers("outbox_sweep")


def section_of(page: Page, local: Stack, section: str) -> None:
    """Open a section, and what is chosen in it."""
    page.goto(signed_in(local, stack.ADMIN, "/api/ui/console"))
    page.goto(f"{local.url}/ui/console?locale=en#{section}")
    page.wait_for_load_state("networkidle")
    if section == "agents":
        page.get_by_label("Search by the start").fill("exam")
    if section in {"agents", "sites"}:
        page.get_by_role("button", name="North building" if section == "sites" else "Dana Example").first.click()
    if section == "drills":
        page.get_by_label("Agent id").fill(f"agent-{FEW - 1:05}")
        page.get_by_role("button", name="Start the drill").click()
    if section == "templates":
        # Chromium draws a frame once it has been in view.
        page.locator("iframe").scroll_into_view_if_needed()
    page.wait_for_timeout(DRAWN_MS)


def simulators(browser: Browser, folder: Path) -> None:
    """The PSAP simulator while an emergency call is in progress."""
    simulator = Simulator(DANA)
    with stack.running(settings={"ALLOWED_ORIGINS": simulator.url}) as local, simulator.serving(local):
        local.add_agent(DANA)
        local.softphone(DANA).show("available")
        local.will_answer(stack.DESK)
        for width, scheme in looks():
            with opened(browser, width, scheme) as page:
                page.goto(simulator.url)
                desk = page.frame_locator("iframe")
                desk.get_by_label("Number to dial").fill("911")
                desk.get_by_role("button", name="Dial", exact=True).click()
                page.get_by_role("button", name="Answer the call").click()
                page.get_by_text("connected", exact=True).wait_for()
                page.locator("#emails li").first.wait_for()
                desk.get_by_role("region", name="Say this").wait_for()
                page.wait_for_timeout(DRAWN_MS)
                page.screenshot(path=folder / f"simulator-{width}-{scheme}.png", full_page=True)
                # Just after a change of mode it does nothing.
                page.wait_for_timeout(DRAWN_MS)
                desk.get_by_role("button", name="End call").click()
                desk.get_by_role("heading", name="No emergency call").wait_for()


PARTS = {"panel": panels, "console": consoles, "simulator": simulators}


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
