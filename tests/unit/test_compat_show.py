"""One matrix, six formats. LAB_UPDATE_GOLDEN=1 writes the golden files anew: read the diff."""

import json
from collections.abc import Callable
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from xml.etree import ElementTree as ET

import jsonschema
import pytest

from lab.compat.board import Board
from lab.compat.catalogue import Symptom
from lab.compat.explain import Explainer
from lab.compat.lint import placed
from lab.compat.model import Api, ApiChange, Failure, Lint, Matrix, Result
from lab.compat.show import data, github, html, junit, markdown, text
from lab.migrate import read_plan
from tests.golden_files import check

ROOT = Path(__file__).resolve().parents[2]
SCHEMA = json.loads((ROOT / "docs/reference/schemas/compat.schema.json").read_text())
PLAN = read_plan(ROOT / "sample_app/schema/plan.toml")
MISSING = Failure(
    level=2,
    symptom=Symptom.ERROR,
    what='v1: POST /parcels {"key": "<b>|k"} failed',
    request='POST /parcels {"key": "<b>|k"}',
    response='500 {"error": {"code": "42703"}}',
    sqlstate="42703",
    message='column "recipient_name" does not exist',
    sql="insert into parcels (key, recipient_name)\n values ($1, $2)",
)
STALE = Failure(
    level=3,
    symptom=Symptom.STALE,
    what="v1: recipient_name is 'Ann Lee', not 'Cher'",
    steps=("v2 creates parcels", "v2 changes first_name of the row of v2", "v1 reads the row of v2"),
)


def board(levels: tuple[int, ...] = (0, 1, 2, 3, 4)) -> Board:
    explainer = Explainer(plan=PLAN, steps=placed(PLAN))
    made = Board(plan=PLAN, versions=("v1", "v2"), levels=levels, explainer=explainer)
    made.took = [1.0] * len(levels)
    return made


def good() -> Matrix:
    made = board()
    for version in ("v1", "v2"):
        for phase in PLAN.phases:
            fails = not PLAN.serves(phase.name, version) and phase.name != "expanded"
            made.found((version, phase.name), 2, [MISSING] * 3 if fails else [], 90)
    made.pairs = [pair("v1 -> v2 on backfilled"), pair("v2 -> v1 on backfilled")]
    made.edges = [replace(pair("base -> expanded"), levels=(4,), p99_ms=41.2)]
    more = ApiChange(where="GET /parcels response 200.data.first_name", what="new to the client", breaking=False)
    made.api = (
        Api(client="v1", server="v2", promised=True, changes=(more,)),
        Api(client="v2", server="v1", promised=False),
    )
    return made.matrix()


def pair(name: str, *failures: Failure) -> Result:
    phase = name.rpartition(" ")[2]
    versions = ("v1", "v2")
    return Result(name=name, phase=phase, versions=versions, promised=True, asked=200, failures=failures, levels=(3,))


def bad() -> Matrix:
    made = board()
    for phase in PLAN.phases:
        for version in ("v1", "v2"):
            made.found((version, phase.name), 2, [MISSING] if (version, phase.name) == ("v1", "backfilled") else [], 90)
    made.pairs = [pair("v2 -> v1 on backfilled", replace(STALE, entry="split-column", fix="a trigger, both ways"))]
    breaks = ApiChange(where="POST /parcels request.name", what="the server needs it", breaking=True)
    made.api = (Api(client="v1", server="v2", promised=True, changes=(breaks,)),)
    made.lint = (
        Lint(phase="expanded", file="10_expand.sql", line=9, rule="unbatched-write", what="all rows", fix="in batches"),
    )
    made.notes = ["there is no squawk for this machine"]
    return made.matrix(stopped=3)


def nothing() -> Matrix:
    made = board((2,))
    for phase in PLAN.phases:
        for version in ("v1", "v2"):
            made.found((version, phase.name), 2, [], 0)
    return made.matrix()


MATRICES = {"good": good, "bad": bad, "nothing": nothing}
FORMATS: dict[str, Callable[[Matrix], str]] = {
    "text": text.render,
    "explained": lambda matrix: text.render(matrix, explain=True),
    "json": lambda matrix: json.dumps(data.as_data(matrix), indent=1) + "\n",
    "md": markdown.render,
    "junit": junit.render,
    "github": lambda matrix: github.render(matrix, root=str(ROOT)),
    "html": html.render,
}


@pytest.mark.parametrize("matrix", MATRICES)
@pytest.mark.parametrize("format", FORMATS)
def test_a_matrix_is_shown_as_it_was_agreed(matrix: str, format: str) -> None:
    shown = FORMATS[format](MATRICES[matrix]())

    check(f"compat/{matrix}_{format}", shown)
    assert str(ROOT) not in shown


@pytest.mark.parametrize("matrix", MATRICES)
def test_what_programs_read_is_what_the_schema_says(matrix: str) -> None:
    jsonschema.validate(data.as_data(MATRICES[matrix]()), SCHEMA)


def test_only_a_broken_promise_fails_the_gate_and_nothing_asked_is_no_answer() -> None:
    assert good().exit_code == 0
    assert bad().exit_code == 1
    assert nothing().exit_code == 4
    assert text.sentence(bad()) == ("BROKEN: v1 on backfilled, v2 -> v1 on backfilled, v1's clients at v2's servers")


def test_a_green_cell_that_nobody_promised_could_be_allowed() -> None:
    assert [cell.name for cell in good().cells if cell.could_be_allowed] == ["v2 on expanded"]
    assert "note   v2 on expanded works: `serves` of expanded could name v2" in text.render(good())


def test_a_failure_leads_to_the_statement_that_made_the_difference() -> None:
    (failure,) = good().cell("v1", "contracted").failures[:1]

    assert (failure.file, failure.line > 0) == ("30_contract.sql", True)
    assert failure.entry
    assert failure.fix


def test_junit_has_a_case_for_each_cell_pair_step_and_api() -> None:
    suite = ET.fromstring(junit.render(bad()))
    cases = {case.get("name"): [child.tag for child in case] for case in suite.iter("testcase")}

    assert cases["v1 on backfilled"] == ["failure"]
    assert cases["v1 on base"] == []
    assert cases["v2 on base"] == ["skipped"]
    assert cases["v2 -> v1 on backfilled"] == ["failure"]
    assert cases["clients of v1 at servers of v2"] == ["failure"]
    assert suite.get("failures") == "3"


def test_the_page_is_whole_html_and_needs_nothing_from_anywhere() -> None:
    open_tags: list[str] = []

    class Reader(HTMLParser):
        def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
            assert not {name for name, _ in attrs} & {"src", "onclick"}
            if tag not in {"meta", "link"}:
                open_tags.append(tag)

        def handle_endtag(self, tag: str) -> None:
            assert open_tags.pop() == tag

    Reader().feed(html.render(bad()))

    assert open_tags == []
    assert "<b>|k" not in html.render(bad())
