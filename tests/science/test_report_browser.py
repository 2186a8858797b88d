"""A report in a real browser: it loads nothing, runs only its own script, and answers to pointer and keyboard."""

from __future__ import annotations

import shutil

import pytest

from phasecal.report import write_report

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="chromium is not installed")

TITLE = "<script>document.title = 'run'</script> copper"
CONTRAST = """() => {
  const channel = (c) => (c /= 255) <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4;
  const luminance = ([r, g, b]) => 0.2126 * channel(r) + 0.7152 * channel(g) + 0.0722 * channel(b);
  const numbers = (colour) => colour.match(/[\\d.]+/g).map(Number);
  const behind = (node) => {
    for (; node; node = node.parentElement) {
      const colour = numbers(getComputedStyle(node).backgroundColor);
      if (colour.length < 4 || colour[3] > 0) return colour;
    }
    return [255, 255, 255];
  };
  const texts = [...document.querySelectorAll("main *")].filter((node) =>
    !node.closest("svg") && [...node.childNodes].some((child) => child.nodeType === 3 && child.data.trim()));
  return texts.map((node) => {
    const [a, b] = [luminance(numbers(getComputedStyle(node).color)), luminance(behind(node))].sort((x, y) => y - x);
    return [(a + 0.05) / (b + 0.05), node.outerHTML.slice(0, 80)];
  }).filter(([ratio]) => ratio < 4.5);
}"""


@pytest.fixture(scope="module")
def messages() -> list[str]:
    """What the browser said or asked for, beside the page itself."""
    return []


@pytest.fixture(scope="module")
def page(records, messages, tmp_path_factory):
    """The report of a complete campaign with a hostile title, opened."""
    from playwright.sync_api import sync_playwright  # noqa: PLC0415 - only where there is a browser

    folder = tmp_path_factory.mktemp("browser")
    write_report({**records.complete_data(), "title": TITLE}, folder)
    address = (folder / "report.html").as_uri()
    with sync_playwright() as playwright:
        # root, as in CI, has no sandbox
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        opened = browser.new_page(viewport={"width": 1280, "height": 900})
        opened.on("console", lambda message: messages.append(message.text))
        opened.on("pageerror", lambda error: messages.append(str(error)))
        opened.on("request", lambda request: messages.append(request.url) if request.url != address else None)
        opened.goto(address)
        yield opened
        browser.close()


def test_it_renders_without_errors_and_asks_for_nothing(page, messages):
    assert page.locator("figure svg").count() == 9
    assert page.locator("h1").inner_text() == TITLE
    assert page.title().startswith(TITLE)  # shown, not run
    assert messages == []


def test_a_series_is_switched_off_and_on(page):
    drawing = page.locator("[data-name=convergence]")
    button = drawing.locator("xpath=following-sibling::div").get_by_role("button", name="liquid", exact=True)
    line = page.locator("#convergence-series-2-0")
    assert button.get_attribute("aria-pressed") == "true" and line.is_visible()
    button.click()
    assert button.get_attribute("aria-pressed") == "false" and not line.is_visible()
    button.press("Enter")
    assert button.get_attribute("aria-pressed") == "true" and line.is_visible()


def test_points_are_read_by_keyboard_and_pointer(page):
    drawing = page.locator("[data-name=convergence]")
    reading = drawing.locator("xpath=following-sibling::div").locator("output")
    drawing.focus()
    page.keyboard.press("ArrowRight")
    assert reading.inner_text() == "fcc → liquid, 0 GPa: round = 1, T − experiment = -227.57 ± 6 K"
    page.keyboard.press("ArrowDown")
    assert reading.inner_text() == "fcc → liquid, 0 GPa: round = 6, T − experiment = 4.63 ± 2.9 K"  # verified
    page.keyboard.press("Escape")
    assert reading.inner_text() == ""
    box = page.locator("#convergence-series-0-0").bounding_box()
    page.mouse.move(box["x"] + 2, box["y"] + box["height"] - 6)
    assert "round = 1" in reading.inner_text()


def test_a_number_leads_to_its_node_and_its_query(page):
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    page.locator("header .result a", has_text="PK 991").click()
    assert page.locator("#pk-991").is_visible()
    page.locator("header .result .copy").first.click()
    # a locator's wait needs no eval, which the page's Content-Security-Policy forbids from the second poll on
    page.locator("header .result .copy", has_text="copied").first.wait_for()
    assert page.evaluate("navigator.clipboard.readText()") == "verdi process show 100"


def test_texts_have_contrast_and_controls_have_names(page):
    assert page.evaluate(CONTRAST) == []
    nameless = "[...document.querySelectorAll('button, a')].filter((node) => !node.textContent.trim()).length"
    assert page.evaluate(nameless) == 0


def test_a_narrow_screen_scrolls_down_only(page):
    page.set_viewport_size({"width": 400, "height": 800})
    assert page.evaluate("document.documentElement.scrollWidth") == 400
