"""Reports in a real Chromium: offline, light and dark, narrow, by keyboard, and looked through by axe-core."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe
from chromium import chromium
from playwright.sync_api import Browser, Page

from dnmf.report.page import write_report

pytestmark = pytest.mark.process

# What axe-core calls a fault that keeps somebody from reading a page.
SERIOUS = ("serious", "critical")

# A phone's width and height.
PHONE = {"width": 360, "height": 740}

COLOURS = "(({color, backgroundColor}) => [color, backgroundColor])(getComputedStyle(document.body))"


@pytest.fixture(scope="module", name="browser")
def _browser() -> Iterator[Browser]:
    with chromium() as found:
        yield found


@pytest.fixture
def reports(plain: Path, named: Path, ranked: Path) -> dict[str, Path]:
    """One run with curves, one with hard names, and a comparison of ranks."""
    return {"plain": plain, "named": named, "ranks": ranked}


@pytest.fixture
def opened(
    browser: Browser, reports: dict[str, Path], tmp_path: Path
) -> Iterator[Callable[..., tuple[Page, list[str]]]]:
    """Opens the report of one of these offline, and gives the page and what it asked for and complained of."""
    context = browser.new_context(offline=True)

    def open_(name: str) -> tuple[Page, list[str]]:
        file = write_report(reports[name], tmp_path / "report.html")
        page, said = context.new_page(), []
        page.on("request", lambda request: said.append(request.url))
        page.on("console", lambda message: said.append(message.text))
        page.on("pageerror", lambda error: said.append(str(error)))
        page.goto(file.as_uri())
        said.remove(file.as_uri())
        return page, said

    yield open_
    context.close()


def _faults(page: Page) -> list[Any]:
    """What axe-core finds that must not be."""
    found = Axe().run(page).response
    assert found["passes"]
    return [(fault["id"], fault["nodes"][0]["html"]) for fault in found["violations"] if fault["impact"] in SERIOUS]


@pytest.mark.parametrize("name", ["plain", "named", "ranks"])
def test_it_opens_offline_in_light_and_dark_and_on_a_phone(name, opened):
    page, said = opened(name)
    colours = []
    for scheme in ("light", "dark"):
        page.emulate_media(color_scheme=scheme)
        assert _faults(page) == []
        colours.append(page.evaluate(COLOURS))
    (light, white), (dark, black) = colours
    assert len({light, white, dark, black}) == 4
    page.set_viewport_size(PHONE)
    assert page.evaluate("document.documentElement.scrollWidth") == PHONE["width"]
    assert _faults(page) == []
    page.emulate_media(media="print")
    ink, _ = page.evaluate(COLOURS)
    assert ink == light
    assert not page.get_by_role("navigation").is_visible()
    assert said == []


def test_a_point_of_a_curve_is_told_to_a_mouse_and_to_a_keyboard(opened):
    page, _ = opened("plain")
    curve = page.get_by_role("slider", name="Relative error by pass")
    says = page.locator("#passes .says")
    rests = says.inner_text()
    curve.scroll_into_view_if_needed()
    box = curve.bounding_box()
    page.mouse.move(box["x"] + 1, box["y"] + 5)
    assert says.inner_text().startswith("pass 1: relative error 0.")
    page.mouse.move(box["x"] + box["width"] - 1, box["y"] + 5)
    assert says.inner_text().startswith("pass 6: ")
    page.mouse.move(1, 1)
    assert says.inner_text() == rests
    curve.focus()
    page.keyboard.press("ArrowLeft")
    assert curve.get_attribute("aria-valuetext") == says.inner_text()
    assert says.inner_text().startswith("pass 5: ")
    page.keyboard.press("Home")
    assert curve.get_attribute("aria-valuenow") == "1"


def test_the_keyboard_reaches_the_content_first_and_commands_are_copied(opened):
    page, _ = opened("plain")
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.textContent") == "To the content"
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    command = page.locator("#made .command")
    command.get_by_role("button", name="Copy").click()
    command.get_by_role("button", name="Copied").wait_for()
    assert page.evaluate("navigator.clipboard.readText()") == command.locator("pre").inner_text()


def test_what_reports_must_not_have_would_be_found(browser):
    page = browser.new_page()
    page.set_content("<!doctype html><title>page</title><main><h1>Page</h1><p style='color: #ccc'>pale</p></main>")
    assert [fault for fault, _ in _faults(page)] == ["color-contrast", "html-has-lang"]
    page.close()
