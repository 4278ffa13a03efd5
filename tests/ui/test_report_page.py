"""report.html in a real browser: it opens from a file, asks for nothing, and fits its screen."""

from pathlib import Path

import pytest
from playwright.async_api import Browser, Page

from lab.report import render_html
from tests.unit.test_report_formats import REPORTS, poisoned

SCREENS = ((1280, 720), (1920, 1080))
OVERFLOWING = """() => [...document.querySelectorAll("main *")]
    .filter(e => !e.closest("svg") && e.getBoundingClientRect().right > innerWidth + 0.5)
    .map(e => e.tagName + "." + e.className)"""
COLLIDING = """() => {
    const boxes = [...document.querySelectorAll("svg text")].map(t => [t.textContent, t.getBoundingClientRect()]);
    const meet = (a, b) => a.left < b.right && b.left < a.right && a.top + 3 < b.bottom && b.top + 3 < a.bottom;
    return boxes.flatMap(([s, a], i) => boxes.slice(i + 1).filter(([_, b]) => meet(a, b)).map(([t]) => s + " / " + t));
}"""
CONTRAST = """() => {
    const light = c => { const [r, g, b] = c.match(/[0-9.]+/g).slice(0, 3).map(v => v / 255)
        .map(v => v <= 0.03928 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4); return 0.2126*r + 0.7152*g + 0.0722*b; };
    const behind = e => { for (; e; e = e.parentElement) { const c = getComputedStyle(e).backgroundColor;
        if (c !== "rgba(0, 0, 0, 0)") return c; } return "rgb(255, 255, 255)"; };
    return [...document.querySelectorAll("main *:not(title, desc)")].filter(e => [...e.childNodes].some(
            n => n.nodeType === 3 && n.textContent.trim())).map(e => {
        const style = getComputedStyle(e), ink = e.closest("svg") ? style.fill : style.color;
        const [a, b] = [light(ink), light(behind(e))].sort((x, y) => y - x);
        return [e.textContent.slice(0, 30), (a + 0.05) / (b + 0.05)]; }).filter(([_, ratio]) => ratio < 4.5);
}"""


class Opened:
    """A page from a file, and all that it complained of or asked for."""

    def __init__(self, page: Page) -> None:
        self.page = page
        self.complaints: list[str] = []
        self.asked: list[str] = []
        page.on("console", lambda message: self.complaints.append(message.text))
        page.on("pageerror", lambda error: self.complaints.append(str(error)))
        page.on("request", lambda request: self.asked.append(request.url))

    async def open(self, file: Path) -> None:
        await self.page.goto(file.as_uri(), wait_until="load")
        self.asked = [url for url in self.asked if url not in {file.as_uri(), "data:,"}]


@pytest.mark.parametrize("scheme", ["light", "dark"])
async def test_the_page_opens_offline_fits_and_is_legible(browser: Browser, tmp_path: Path, scheme: str) -> None:
    for name, made in {**REPORTS, "poisoned": poisoned}.items():
        file = tmp_path / f"{name}.html"
        file.write_text(render_html(made()), encoding="utf-8", errors="replace")
        for width, height in SCREENS:
            context = await browser.new_context(
                viewport={"width": width, "height": height},
                color_scheme="dark" if scheme == "dark" else "light",
                offline=True,
            )
            opened = Opened(await context.new_page())
            await opened.open(file)
            where = f"{name} at {width}x{height}, {scheme}"
            assert opened.complaints == [], where
            assert opened.asked == [], where
            assert await opened.page.evaluate("document.documentElement.scrollWidth") <= width, where
            assert await opened.page.evaluate(OVERFLOWING) == [], where
            assert await opened.page.evaluate(CONTRAST) == [], where
            if name != "poisoned":
                assert await opened.page.evaluate(COLLIDING) == [], where
            await context.close()


async def test_the_verdict_is_the_first_thing_on_the_screen_and_largest(browser: Browser, tmp_path: Path) -> None:
    file = tmp_path / "page.html"
    file.write_text(render_html(REPORTS["dropping"]()))
    page = await browser.new_page(viewport={"width": 1280, "height": 720})
    await page.goto(file.as_uri())
    heading = page.get_by_role("heading", level=1)
    assert await heading.inner_text() == "2 dropped"
    box = await heading.bounding_box()
    assert box is not None
    assert box["y"] < 100
    sizes = "() => [...document.querySelectorAll('main *')].map(e => parseFloat(getComputedStyle(e).fontSize))"
    assert await heading.evaluate("e => parseFloat(getComputedStyle(e).fontSize)") == max(await page.evaluate(sizes))
    assert await page.get_by_role("img", name="The run second by second").count() == 1


async def test_on_paper_the_page_is_dark_on_white(browser: Browser, tmp_path: Path) -> None:
    file = tmp_path / "page.html"
    file.write_text(render_html(REPORTS["dropping"]()))
    page = await browser.new_page(color_scheme="dark", viewport={"width": 800, "height": 1100})
    await page.goto(file.as_uri())
    await page.emulate_media(media="print")
    assert await page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
    assert await page.evaluate("getComputedStyle(document.body).color") == "rgb(0, 0, 0)"
    assert await page.evaluate("document.documentElement.scrollWidth") <= 800
