"""What the schema refuses is refused before an image is asked for, and before a revision is recorded."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from lab.errors import LabError
from lab.folds import History
from lab.manifest import read_manifest
from lab.model import Revision, SchemaMode
from lab.operations.request import RollRequest
from lab.operations.roll import _prepare
from tests.unit.test_migrate_way import PLAN

MANIFEST = read_manifest(Path(__file__).parents[2] / "compose" / "lab.yaml")


class TouchedError(Exception):
    """Something was asked for that a refused roll has no use for."""


def prepare(now: str, request: RollRequest, *, runs: str = "v1") -> None:
    def touched() -> None:
        raise TouchedError

    revision = Revision(number=1, version=runs, serves_as=runs, image_id="", spec="{}")
    tables = {"select to_regclass('lab_schema')": [(1,)], "select to_regclass('lab_gone')": [(None,)]}
    lab: Any = SimpleNamespace(
        plan=PLAN,
        manifest=MANIFEST,
        history=lambda: History(revisions={1: revision}, current=1, replicas=3),
        database=lambda: SimpleNamespace(query=lambda sql: tables.get(sql, [(now,)])),
        ensure_images=touched,
    )
    _prepare(lab, request)


@pytest.mark.parametrize(
    ("now", "runs", "request_", "id"),
    [
        ("base", "v1", RollRequest(version="v2", schema=SchemaMode.AS_IS), "schema-does-not-serve"),
        ("less", "v2", RollRequest(version="v1", anyway=True), "version-gone"),
    ],
)
def test_nothing_is_made_for_a_roll_that_the_schema_refuses(
    now: str, runs: str, request_: RollRequest, id: str
) -> None:
    with pytest.raises(LabError) as failure:
        prepare(now, request_, runs=runs)
    assert (failure.value.id, failure.value.exit_code) == (id, 3)


def test_one_that_it_allows_goes_on_to_its_images() -> None:
    for now, request in (("base", RollRequest(version="v2")), ("both", RollRequest(version="v2"))):
        with pytest.raises(TouchedError):
            prepare(now, request)
