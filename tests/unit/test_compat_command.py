"""`lab compat` refuses what cannot be meant before anything is started, each with its own exit code."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from lab.assembly import Lab
from lab.cli import main
from lab.compat.catalogue import Symptom
from lab.compat.cells import named
from lab.compat.model import Failure, Matrix, Result
from lab.compat.recordings import Recording, Recordings, key_of
from lab.errors import LabError, UsageError
from lab.manifest import CompatKeys
from lab.operations.compat import CompatRequest, compat, levels_of
from lab.project import project_at
from tests.compat_world import ROOT, edit, sample_plan


@pytest.mark.parametrize(("text", "levels"), [("0-3", (0, 1, 2, 3)), ("2", (2,)), ("4-4", (4,))])
def test_levels_are_one_or_a_range(text: str, levels: tuple[int, ...]) -> None:
    assert levels_of(text) == levels


@pytest.mark.parametrize("text", ["", "5", "3-1", "0-5", "a", "-1", "1-"])
def test_levels_that_there_are_not_are_a_usage_error(text: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(UsageError, match="is no range of 0 to 4"):
        levels_of(text)
    assert main(["compat", "--levels", text, "--project", "w-none"]) == 2
    assert "[compat-levels]" in capsys.readouterr().err


def test_a_version_that_is_none_is_a_usage_error(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["compat", "v1", "v9", "--project", "w-none"]) == 2
    assert "[unknown-version]" in capsys.readouterr().err


def lab_with(tmp_path: Path, change: Callable[[Path], None]) -> Lab:
    plan = sample_plan(tmp_path, change)
    lab = Lab(project=replace(project_at(ROOT, "w-none"), folder=tmp_path))
    keys = CompatKeys(checks=plan.with_name("compat.toml"), environment={})
    vars(lab)["manifest"] = replace(lab.manifest, schema_plan=plan, compat=keys)
    return lab


def test_two_names_of_one_version_are_not_compared(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="the same version to the schema's plan"):
        compat(lab_with(tmp_path, lambda _: None), CompatRequest(versions=("v2", "v2-never-ready")), told=print)


def test_a_version_of_which_the_plan_does_not_speak_is_refused(tmp_path: Path) -> None:
    def forget(folder: Path) -> None:
        text = (folder / "plan.toml").read_text().replace('"v2"', '"v3"')
        (folder / "plan.toml").write_text(text)

    with pytest.raises(LabError, match="does not speak of v2") as caught:
        compat(lab_with(tmp_path, forget), CompatRequest(versions=("v1", "v2")), told=print)

    assert (caught.value.id, caught.value.exit_code) == ("compat-versions", 3)


def test_checks_that_speak_of_a_version_which_the_plan_does_not_know_are_refused(tmp_path: Path) -> None:
    def misspell(folder: Path) -> None:
        edit(folder / "compat.toml", 'clients = ["v1"]', 'clients = ["v0"]')

    with pytest.raises(LabError, match="the checks speak of 'v0'") as caught:
        compat(lab_with(tmp_path, misspell), CompatRequest(), told=print)

    assert (caught.value.id, caught.value.exit_code) == ("compat-checks", 3)


def test_what_is_recorded_of_an_image_is_not_used_for_another(tmp_path: Path) -> None:
    kept = Recordings(tmp_path)
    one = Recording(version="v1", phase="base", statements=("select 1",), openapi={"paths": {}})
    keys = [
        key_of(image_id=image, environ=environ, checks=checks, base=base)
        for image, environ, checks, base in (
            ("a", {"A": "1"}, "c", "b"),
            ("other", {"A": "1"}, "c", "b"),
            ("a", {"A": "2"}, "c", "b"),
            ("a", {"A": "1"}, "other", "b"),
            ("a", {"A": "1"}, "c", "other"),
        )
    ]
    kept.keep(one, keys[0])

    assert kept.find("v1", keys[0]) == one
    assert [kept.find("v1", key) for key in keys[1:]] == [None] * 4
    (tmp_path / "v1.json").write_text("{")
    assert kept.find("v1", keys[0]) is None


def test_names_of_containers_are_short_plain_and_never_the_same_for_two() -> None:
    assert named("V1", "base") == "v1-base"
    assert named("feature/x", "_2") == "feature-x-2"
    long = [named("v" * 60, end) for end in ("a", "b")]
    assert (len(set(long)), max(map(len, long)) <= 40) == (2, True)


def test_a_matrix_that_asked_nothing_of_a_promise_decides_nothing() -> None:
    cell = Result(name="v1 on base", phase="base", versions=("v1",), promised=True)
    whole = Matrix(change="c", plan="p", phases=("base",), versions=("v1",), levels=(0, 1, 2), cells=(cell,))

    assert whole.exit_code == 4
    assert replace(whole, levels=(0,)).exit_code == 0
    assert replace(whole, cells=(replace(cell, asked=1),)).exit_code == 0
    wrong = Failure(level=2, symptom=Symptom.NULL, what="x")
    assert replace(whole, cells=(replace(cell, asked=1, failures=(wrong,)),)).exit_code == 1
    assert replace(whole, cells=(replace(cell, promised=False, asked=1, failures=(wrong,)),)).exit_code == 0
