"""The table of promises and classes names what there is."""

import re
from pathlib import Path

TESTS = Path(__file__).parents[1]
HERE = TESTS / "saboteurs"


def test_every_check_that_the_table_names_exists() -> None:
    named = re.findall(r"`([\w/]+\.py)(?:::(\w+))?`", (HERE / "README.md").read_text())
    assert len(named) > 15
    for file, test in named:
        path = TESTS / file if "/" in file else HERE / file
        assert f"def {test or 'test_'}" in path.read_text(), f"{file}::{test}"


def test_every_saboteur_stands_in_the_table() -> None:
    table = (HERE / "README.md").read_text()
    assert [path.name for path in HERE.glob("*_saboteur.py") if f"`{path.name}`" not in table] == []
