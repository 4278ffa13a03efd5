"""The pages that are made from the code are those that are committed."""

import os
from pathlib import Path

import pytest

from tests.pages import PAGES

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize("page", PAGES)
def test_the_page_is_current(page: str) -> None:
    made = PAGES[page]()
    if os.environ.get("LAB_UPDATE_GOLDEN"):
        (ROOT / page).write_text(made, encoding="utf-8")

    assert (ROOT / page).read_text(encoding="utf-8") == made, "make docs writes it anew"
