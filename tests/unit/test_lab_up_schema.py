"""`lab up` begins no fleet on a phase that does not serve it, and asks the same rule as a roll."""

from types import SimpleNamespace
from typing import Any

import pytest

from lab.errors import LabError
from lab.folds import History
from lab.manifest import Version
from lab.model import Revision
from lab.operations.up import UpRequest, _phase_for, _refuse_phase
from tests.unit.test_migrate_way import PLAN

VERSIONS = {name: Version(name=name, serves_as=name, image=None, environment={}) for name in ("v1", "v2")}
V2 = Revision(number=2, version="v2", serves_as="v2", image_id="", spec="{}")


def lab() -> Any:
    manifest = SimpleNamespace(versions=VERSIONS, version=VERSIONS.__getitem__)
    nothing_gone = SimpleNamespace(query=lambda _: [(None,)])
    return SimpleNamespace(plan=PLAN, manifest=manifest, database=lambda: nothing_gone)


@pytest.mark.parametrize(
    ("version", "now", "phase"),
    [
        (None, "none", "base"),
        ("v2", "none", "both"),
        ("v2", "more", "both"),
        ("v2", "less", "less"),
        ("v1", "both", "both"),
    ],
)
def test_a_fleet_begins_on_the_first_phase_that_serves_it(version: str | None, now: str, phase: str) -> None:
    assert _phase_for(lab(), PLAN, UpRequest(version=version), History(), now) == phase


def test_what_runs_is_repaired_where_it_is() -> None:
    runs = History(revisions={2: V2}, current=2)
    assert _phase_for(lab(), PLAN, UpRequest(), runs, "base") == "base"
    assert _phase_for(lab(), PLAN, UpRequest(), runs, "none") == "base"


@pytest.mark.parametrize(
    ("version", "schema", "now", "id"),
    [
        ("v2", "base", None, "schema-does-not-serve"),
        ("v1", "less", None, "version-gone"),
        ("v2", "both", None, None),
        ("v1", None, None, None),
        (None, "base", V2, None),  # it runs there already, or is to: that is its owner's to decide
    ],
)
def test_a_phase_that_is_asked_for_and_does_not_serve_the_new_fleet_is_refused(
    version: str | None, schema: str | None, now: Revision | None, id: str | None
) -> None:
    request = UpRequest(version=version, schema=schema)
    if id is None:
        _refuse_phase(lab(), request, now)
        return
    with pytest.raises(LabError) as failure:
        _refuse_phase(lab(), request, now)
    assert (failure.value.id, failure.value.exit_code) == (id, 3)
