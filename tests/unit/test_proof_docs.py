"""docs/reference/proof.md names every class, with its code and a test in which it really happens."""

import re
from pathlib import Path

from lab.proof import Class
from lab.proof.result import CODES

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs/reference/proof.md").read_text()
ROWS = re.findall(r"^\| `(\w+)` \| ([DX]?\d*) ?\| [^|]+ \| (tests/[\w/]+\.py)::(\w+) \|$", PAGE, re.MULTILINE)
OUTSIDE = {Class.NOT_SENT: "X1", Class.CLIENT_ABORT: "X2", Class.CUT: "X3"}


def test_every_class_has_its_row_and_its_code() -> None:
    assert {name: code for name, code, *_ in ROWS} == {cls.value: {**CODES, **OUTSIDE}.get(cls, "") for cls in Class}


def test_every_test_that_is_named_is_there_and_has_no_part_of_the_lab_replaced() -> None:
    for _, _, file, name in ROWS:
        assert file.startswith(("tests/component/", "tests/e2e/"))
        assert re.search(rf"^(async )?def {name}\(", (ROOT / file).read_text(), re.MULTILINE), f"{file}::{name}"
