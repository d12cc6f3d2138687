"""A real Chromium without a window: that of the system, or the one that Playwright was told to install."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from playwright.sync_api import Browser, sync_playwright

NAMES = ("chromium", "chromium-browser", "chromium-headless-shell", "google-chrome", "google-chrome-stable", "chrome")


@contextmanager
def chromium() -> Iterator[Browser]:
    """A browser for the length of a block; tests skip, with the reason, where there is none."""
    with sync_playwright() as playwright:
        own = Path(playwright.chromium.executable_path)
        found = next((path for name in NAMES if (path := shutil.which(name))), None) or (own.exists() and str(own))
        if not found:
            pytest.skip("there is no Chromium: apt-get install chromium, or playwright install chromium")
        # Containers have little shared memory.
        browser = playwright.chromium.launch(executable_path=found, args=["--disable-dev-shm-usage"])
        try:
            yield browser
        finally:
            browser.close()
