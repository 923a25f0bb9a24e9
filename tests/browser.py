"""A real headless Chromium for tests of the page, by Playwright. Pages are watched: an error on the console, a breach
of the content security policy or a request to another host fails the test that opened them.
"""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Browser, Page, expect, sync_playwright

expect.set_options(timeout=10_000)  # ms; a machine busy with other tests takes its time

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")


@contextmanager
def chromium() -> Iterator[Browser]:
    """Return a browser; skip the test if no Chromium is installed, and fail it in CI."""
    if CHROMIUM is None:
        reason = "no Chromium here: apt-get install chromium"
        pytest.fail(reason) if os.environ.get("CI") else pytest.skip(reason)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox", "--disable-gpu"])
        try:
            yield browser
        finally:
            browser.close()


@contextmanager
def open_page(browser: Browser, url: str, expected: tuple[str, ...] = (), **context) -> Iterator[Page]:
    """Return a watched page at `url` in a context of its own. `context` as for `new_page`, `expected` as for
    `watched`."""
    with new_page(browser, **context) as page, watched(page, url, expected):
        page.goto(url)
        yield page


@contextmanager
def new_page(browser: Browser, **context) -> Iterator[Page]:
    """Return an empty page in a context of its own, allowed to use the clipboard. `context`: `locale`, `viewport`,
    `color_scheme` … as Playwright has them.
    """
    settings = {"locale": "en-GB", "viewport": {"width": 1280, "height": 900}, **context}
    with browser.new_context(**settings) as session:
        session.grant_permissions(["clipboard-read", "clipboard-write"])
        session.set_default_timeout(10_000)
        yield session.new_page()


@contextmanager
def watched(page: Page, url: str, expected: tuple[str, ...] = ()) -> Iterator[None]:
    """Fails at its end when the page had trouble meanwhile. `expected`: parts of console errors that the test brings
    about itself (to Chromium every 503 is one).
    """
    host = urlsplit(url).netloc
    troubles: list[str] = []

    def stated(message):  # breaches of the content security policy are console errors too
        if message.type in ("error", "warning") and not any(part in message.text for part in expected):
            troubles.append(f"console {message.type}: {message.text}")

    def thrown(error):
        troubles.append(f"uncaught: {error}")

    def requested(request):
        parts = urlsplit(request.url)
        if parts.scheme not in ("data", "blob") and parts.netloc != host:
            troubles.append(f"request to another host: {request.url}")

    listeners = {"console": stated, "pageerror": thrown, "request": requested}
    for event, listener in listeners.items():
        page.on(event, listener)
    try:
        yield
    finally:
        for event, listener in listeners.items():
            page.remove_listener(event, listener)
    assert not troubles, troubles
