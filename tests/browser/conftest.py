"""One Chromium for all tests here; a context for each. A message on the console or a broken policy fails the test."""

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, BrowserContext, ConsoleMessage, Page, expect, sync_playwright

from tests.browser import chromium
from tests.browser.desk import Desk
from tests.local import node_packages

HERE = Path(__file__).parent
PATIENCE_MS = 10_000
FLAGS = ("--use-fake-ui-for-media-stream", "--use-fake-device-for-media-stream")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if item.path.is_relative_to(HERE):
            item.add_marker(pytest.mark.process)


@pytest.fixture(scope="package")
def browser() -> Iterator[Browser]:
    """A running Chromium; BROWSER=skip leaves out what needs one.

    For this package only: Playwright's event loop runs in the main thread, where others could start none of theirs.
    """
    if os.environ.get("BROWSER") == "skip":
        pytest.skip("BROWSER=skip")
    # A context's own timeout is not that of what is expected of its pages.
    expect.set_options(timeout=PATIENCE_MS)
    with sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=chromium.find(), args=list(FLAGS))
        yield started
        started.close()


@pytest.fixture
def context(browser: Browser) -> Iterator[BrowserContext]:
    """A browser as new: no cookie, no storage."""
    made = browser.new_context(viewport={"width": 1280, "height": 800}, locale="en-US", timezone_id="UTC")
    made.set_default_timeout(PATIENCE_MS)
    yield made
    made.close()


@pytest.fixture
def said() -> list[str]:
    """What pages said on their consoles; a test that expects something empties it."""
    return []


@pytest.fixture
def page(context: BrowserContext, said: list[str]) -> Iterator[Page]:
    """A page that must not say anything on its console, nor break its policy (Chromium says that there too)."""

    def hear(message: ConsoleMessage) -> None:
        said.append(message.text)

    context.on("console", hear)
    context.on("weberror", lambda error: said.append(str(error.error)))
    yield context.new_page()
    assert said == []


@pytest.fixture
def store_may_be_slow(page: Page, said: list[str]) -> Iterator[None]:
    """On a busy machine storage takes longer than a poll waits for it: 503, and Chromium says so on the console."""
    yield
    said[:] = [each for each in said if not (each.startswith("Failed to load resource") and "503" in each)]


@pytest.fixture(scope="session")
def modules() -> Path:
    """The npm packages of the development lock."""
    return node_packages.node_modules(node_packages.find_node())


@pytest.fixture(scope="session")
def desk_server() -> Iterator[Desk]:
    """A site with the dialer on it, and an API whose answers are scripted."""
    with Desk.running() as desk:
        yield desk


@pytest.fixture
def desk(desk_server: Desk) -> Desk:
    """The same, as new."""
    desk_server.reset()
    return desk_server


@pytest.fixture(scope="session")
def axe(modules: Path) -> Callable[[Page], list[str]]:
    """What axe-core finds against WCAG 2.2 AA on a page; the driver runs it, past the page's policy."""
    source = (modules / "axe-core" / "axe.min.js").read_text("utf-8")
    tags = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"]

    def find(page: Page) -> list[str]:
        page.evaluate(f"() => {{ if (!window.axe) {{ {source} }} }}")
        found = page.evaluate("(values) => axe.run({ runOnly: { type: 'tag', values } })", tags)
        return [
            f"{fault['id']}: {node['html']} {node.get('failureSummary', '')}"
            for fault in found["violations"]
            for node in fault["nodes"]
        ]

    return find
