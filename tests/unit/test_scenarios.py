"""The change scenarios as data: each is listed, makes the change that it is named after, and can be run as a lab."""

from pathlib import Path

import pytest

from lab.compat.catalogue import catalogue
from lab.compat.ddl import operations
from lab.manifest import read_manifest
from lab.migrate import ChangePlan
from lab.migrate.sql import units_of
from tests.scenarios import FOLDER, FORMS, Scenario, manifest, scenarios

ALL = list(scenarios().values())
WIRE = 21
"""From here on the catalogue's changes are those that no schema sees."""


def steps_of(plan: ChangePlan) -> tuple[str, ...]:
    """The SQL from the first phase on."""
    files = [phase.up for phase in plan.phases[1:] if isinstance(phase.up, Path)]
    units = [unit for file in files for unit in units_of(file.read_text(), file=file.name, syncs=plan.syncs)]
    return tuple(statement.text for unit in units for statement in unit.statements)


def test_every_folder_is_listed_and_nothing_else() -> None:
    own = {scenario.name for scenario in ALL if scenario.naive}  # the sample app's own versions, told by a variable

    assert scenarios().keys() - own == {path.name for path in FOLDER.iterdir() if path.is_dir()}


@pytest.mark.parametrize("scenario", [s for s in ALL if not s.naive], ids=lambda scenario: scenario.name)
def test_the_naive_form_makes_the_change_that_it_is_an_example_of(scenario: Scenario) -> None:
    change, plan = catalogue().change(scenario.change), scenario.plan("naive")
    made = {operation.kind for operation in operations(steps_of(plan))}

    assert made & set(change.steps) if change.number < WIRE or made else len(plan.phases) == 1


def test_one_manifest_holds_the_versions_of_every_form(tmp_path: Path) -> None:
    read = read_manifest(manifest(ALL, tmp_path))
    every = {
        s.name_of(form, v): (v, s.environment(form, v)) for s in ALL for form in FORMS for v in s.plan(form).versions
    }

    assert {v.name: (v.serves_as, dict(v.environment)) for v in read.versions.values()} == every
