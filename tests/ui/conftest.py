"""A real browser, where there is one."""

import os
from collections.abc import AsyncIterator

import pytest
from playwright.async_api import Browser, async_playwright

from lab.bootstrap.browser import find


@pytest.fixture
async def browser() -> AsyncIterator[Browser]:
    path = os.environ.get("LAB_CHROMIUM") or find()
    if not path:
        told = "no Chromium: make test installs one on Debian and Ubuntu; LAB_CHROMIUM names another"
        if os.environ.get("LAB_REQUIRE_UI", "") not in {"", "0"}:
            pytest.fail(told)
        pytest.skip(told)
    async with async_playwright() as playwright:
        opened = await playwright.chromium.launch(executable_path=path, args=["--no-sandbox"])
        yield opened
        await opened.close()
