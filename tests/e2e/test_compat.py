"""`lab compat` on real containers: the sample app's true grid, and promises that are broken are seen to be."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from lab.compat.catalogue import Symptom
from lab.errors import LabError
from tests.compat_world import PLAIN, PROJECT, ROOT, ask, edit, grid, sample_plan
from tests.e2e.conftest import LabCommand, docker_names

SCHEMA = json.loads((ROOT / "docs/reference/schemas/compat.schema.json").read_text())

pytestmark = pytest.mark.docker


@pytest.fixture(scope="module")
def lab(new_lab: Callable[[str], LabCommand]) -> LabCommand:
    """No lab is up in it: the matrix needs none."""
    return new_lab(PROJECT)


@pytest.fixture(scope="module")
def found(lab: LabCommand) -> Any:
    done = lab("compat", "v1", "v2", "--levels", "0-4", "--json")
    assert done.exit_code == 0, done.out + done.err
    # nothing of it is left, although nobody took the lab down
    assert lab.leftovers() == []
    return done.json


def test_the_sample_apps_grid_is_the_one_that_its_plan_promises(found: Any) -> None:
    cells = {
        cell["name"]: (cell["state"], {f["sqlstate"] or f["symptom"] for f in cell["failures"]})
        for cell in found["cells"]
    }

    assert cells == {
        "v1 on base": ("kept", set()),
        "v1 on expanded": ("kept", set()),
        "v1 on backfilled": ("kept", set()),
        "v1 on contracted": ("unpromised", {"42703"}),
        "v2 on base": ("unpromised", {"42703"}),
        "v2 on expanded": ("unpromised", {"NULL"}),
        "v2 on backfilled": ("kept", set()),
        "v2 on contracted": ("kept", set()),
    }
    assert found["path"]["point_of_no_return"] == "contracted"
    assert all(cell["levels"] == [1, 2] and cell["asked"] > 50 for cell in found["cells"])


def test_versions_take_turns_on_rows_of_three_ages_and_every_step_is_taken_up_and_down_under_traffic(
    found: Any,
) -> None:
    others = {one["name"]: one for one in (*found["pairs"], *found["edges"])}

    assert {name: (one["state"], one["failures"]) for name, one in others.items()} == dict.fromkeys(
        (
            "v1 -> v1 on base",
            "v1 -> v1 on expanded",
            "v1 -> v2 on backfilled",
            "v2 -> v1 on backfilled",
            "v2 -> v2 on contracted",
            "base -> expanded",
            "expanded -> base",
            "expanded -> backfilled",
            "backfilled -> expanded",
            "backfilled -> contracted",
        ),
        ("kept", []),
    )
    assert all(one["asked"] > 20 for one in others.values())
    assert all(one["p99_ms"] > 0 for one in found["edges"])
    jsonschema.validate(found, SCHEMA)


def test_clients_of_v1_bear_v2_and_clients_of_v2_do_not_bear_v1(found: Any) -> None:
    api = {(one["client"], one["server"]): one for one in found["api"]}

    assert api["v1", "v2"]["state"] == "kept"
    assert (api["v2", "v1"]["state"], any(c["breaking"] for c in api["v2", "v1"]["changes"])) == ("unpromised", True)


def test_a_failure_says_what_was_asked_what_the_server_refused_and_what_mends_it(found: Any) -> None:
    (cell,) = (cell for cell in found["cells"] if cell["name"] == "v1 on contracted")
    failure = next(f for f in cell["failures"] if f["request"].startswith("POST /parcels"))

    assert failure["response"].startswith("500 ")
    assert failure["sqlstate"] == "42703"
    assert "recipient_name" in failure["message"]
    assert failure["sql"].startswith("insert into parcels")
    assert failure["entry"]
    assert failure["fix"]


def test_a_second_matrix_at_the_same_time_is_refused_and_what_a_killed_one_left_is_removed(
    lab: LabCommand, found: Any
) -> None:
    with lab.begin("compat", "--levels", "2") as first:
        assert first.stderr is not None
        for line in first.stderr:
            if line.startswith(" - phases"):
                break
        second = lab("compat", "--levels", "2")
        first.kill()
    assert (second.exit_code, "[compat-runs]" in second.err) == (3, True), second.err
    assert lab.leftovers() != []

    again = lab("compat", "--levels", "1")

    assert again.exit_code == 0, again.err
    assert "that an earlier run left" in again.err
    assert lab.leftovers() == []


def test_v2_promised_on_rows_that_are_not_filled_yet_is_red(lab: LabCommand, tmp_path: Path) -> None:
    def promise(folder: Path) -> None:
        edit(folder / "plan.toml", 'name = "expanded"\nserves = ["v1"]', 'name = "expanded"\nserves = ["v1", "v2"]')

    matrix = ask(sample_plan(tmp_path, promise), project=lab.project, levels="2")

    assert grid(matrix)["v2 on expanded"] == "broken NULL"
    assert [name for name, state in grid(matrix).items() if state.startswith("broken")] == ["v2 on expanded"]
    assert matrix.exit_code == 1


def test_a_column_that_is_dropped_while_v1_is_served_is_red_without_any_app_running(
    lab: LabCommand, found: Any, tmp_path: Path
) -> None:
    def contract_early(folder: Path) -> None:
        edit(
            folder / "10_expand.sql",
            "-- lab:end",
            "alter table parcels drop column recipient_name cascade;\n-- lab:end",
        )

    matrix = ask(sample_plan(tmp_path, contract_early), project=lab.project, levels="0-1", everything=True, memory=0)

    assert grid(matrix)["v1 on expanded"] == "broken 42703"
    assert "contract-statement-early" in {one.rule for one in matrix.lint}
    assert matrix.exit_code == 1
    assert matrix.cell("v1", "expanded").failures[0].sql
    assert matrix.cell("v1", "base").failures == ()
    # what its backfill reads is gone: no step leads on
    assert matrix.cell("v2", "backfilled").failures[0].what.startswith("the step to backfilled fails: ")


def test_an_app_that_looks_at_another_database_than_its_own_is_no_green_matrix(lab: LabCommand, tmp_path: Path) -> None:
    with pytest.raises(LabError, match="no connection to the database that it was given") as caught:
        ask(sample_plan(tmp_path), project=lab.project, levels="2", environment={"NOBODY_READS_THIS": "{database}"})

    assert (caught.value.id, caught.value.exit_code) == ("compat-database", 3)
    assert lab.leftovers() == []


def test_phases_that_do_not_fit_into_memory_are_no_broken_promise(lab: LabCommand, tmp_path: Path) -> None:
    with pytest.raises(LabError, match="do not fit") as caught:
        ask(sample_plan(tmp_path), project=lab.project, levels="1", memory=64)

    assert (caught.value.id, caught.value.exit_code) == ("compat-space", 3)
    assert "x-lab.compat.memory" in caught.value.fix
    assert lab.leftovers() == []


def test_versions_that_do_not_keep_each_others_names_are_found_by_taking_turns_though_each_alone_is_right(
    lab: LabCommand, tmp_path: Path
) -> None:
    def forget_the_trigger(folder: Path) -> None:
        edit(folder / "10_expand.sql", "create trigger parcels_sync_names", "create trigger parcels_sync_names_later")
        edit(folder / "10_expand.sql", "-- lab:end", NO_TRIGGER)
        edit(folder / "30_contract.sql", "drop trigger parcels_sync_names on parcels;", "")

    matrix = ask(sample_plan(tmp_path, forget_the_trigger), project=lab.project, levels="3", everything=True)

    pair = next(one for one in matrix.pairs if one.name == "v2 -> v1 on backfilled")
    (failure,) = pair.failures
    assert failure.symptom is Symptom.STALE, failure
    # the shortest: a row, a change by the one, and the other looks
    assert 2 <= len(failure.steps) <= 4, failure.steps
    assert (" changes " in failure.steps[-2], " reads " in failure.steps[-1]) == (True, True), failure.steps
    assert next(one for one in matrix.pairs if one.name == "v1 -> v1 on expanded").failures == ()
    assert matrix.exit_code == 1


NO_TRIGGER = """drop trigger parcels_sync_names_later on parcels;
alter table parcels alter column recipient_name drop not null;
-- lab:end"""


def test_what_a_driver_has_prepared_before_a_step_fails_after_it_and_no_fresh_connection_shows_it(
    lab: LabCommand,
) -> None:
    versions = {v: f"select-star/naive/{v}" for v in ("old", "new")}
    plan = ROOT / "sample_app/scenarios/select-star/naive/plan.toml"

    matrix = ask(plan, project=lab.project, levels="4", checks=PLAIN, codes=versions)

    up, down = matrix.edges
    assert (up.name, down.name) == ("base -> noted", "noted -> base")
    assert set(up.counts) == {"0A000"}
    assert up.failures[0].sql.startswith("select * from parcels")
    assert "prepared statements off" in up.failures[0].fix


def test_lab_down_removes_what_was_left_in_the_middle_of_making_templates(lab: LabCommand) -> None:
    label = f"com.docker.compose.project=labcompat-{lab.project}"
    docker_names("network", "create", "--label", label, f"labcompat-{lab.project}_default", prefix="-")

    done = lab("down")

    assert done.exit_code == 0, done.err
    kept = docker_names("network", "ls", "--filter", f"label={label}", "--format", "{{.Name}} {{.ID}}", prefix="")
    assert kept == {}
