"""The matrix of an app that is not ours: its own images, database account and table; a connection for each request."""

import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from lab.images.bases import Kind
from lab.images.ensure import ensure_base
from tests.compat_world import edit
from tests.e2e.conftest import LabCommand
from tests.own_image import build

pytestmark = pytest.mark.docker
NOTES = Path(__file__).parents[2] / "docs" / "examples" / "notes"


@pytest.fixture(scope="module")
def images() -> Iterator[None]:
    for version in ("1.0", "2.0"):
        build(NOTES, "notes", version)
    yield
    subprocess.run(["docker", "rmi", "notes:1.0", "notes:2.0"], capture_output=True, check=False)


def test_a_promise_of_its_plan_that_is_broken_is_the_one_red_cell_and_what_cannot_be_asked_is_said(
    images: None, new_lab: Callable[[str], LabCommand], tmp_path: Path
) -> None:
    folder = shutil.copytree(NOTES, tmp_path / "notes")
    edit(folder / "compose.yaml", "postgres:17", ensure_base(Kind.POSTGRES))
    edit(folder / "schema" / "plan.toml", 'serves = ["2.0"]', 'serves = ["1.0", "2.0"]')
    edit(folder / "schema" / "plan.toml", 'requires.min_app = "2.0"\n', "")
    lab = new_lab("t-notes")

    done = lab("compat", "--file", str(folder / "compose.yaml"), "--levels", "0-2", "--all", "--json")

    assert done.exit_code == 1, done.out + done.err
    cells = {one["name"]: (one["state"], {f["sqlstate"] for f in one["failures"]}) for one in done.json["cells"]}
    assert cells == {
        "1.0 on base": ("kept", set()),
        "1.0 on expanded": ("kept", set()),
        "1.0 on filled": ("kept", set()),
        "1.0 on contracted": ("broken", {"42703"}),
        "2.0 on base": ("unpromised", {"42703"}),
        "2.0 on expanded": ("unpromised", {""}),
        "2.0 on filled": ("kept", set()),
        "2.0 on contracted": ("kept", set()),
    }
    assert all(one["levels"] == [1, 2] for one in done.json["cells"])
    assert "no OpenAPI document of every version: the APIs were not compared" in done.json["notes"]
    assert lab.leftovers() == []
