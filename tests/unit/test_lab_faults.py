"""The list of faulty versions is whole, and what people read of it is made from it."""

import json
import os
from pathlib import Path

import jsonschema
import pytest

from lab.cli import main
from lab.faults import FAULTS, Fault
from lab.manifest import read_manifest
from lab.report.faults import faults_page
from sample_app import faults as app
from tests import golden_files

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs/reference/faults.md"


def test_every_fault_that_a_version_of_the_manifest_asks_for_is_listed_once() -> None:
    versions = read_manifest(ROOT / "compose/lab.yaml").versions.values()

    assert sorted(f.version for f in FAULTS) == sorted(v.name for v in versions if v.environment.get("APP_FAULTS"))


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.version)
def test_a_listed_fault_is_one_that_the_app_knows(fault: Fault) -> None:
    environment = read_manifest(ROOT / "compose/lab.yaml").version(fault.version).environment

    assert len(app.read(environment["APP_FAULTS"])) == 1


def test_the_page_of_faults_is_made_from_the_list() -> None:
    if os.environ.get("LAB_UPDATE_GOLDEN"):
        PAGE.write_text(faults_page())

    assert PAGE.read_text() == faults_page()


def test_the_command_lists_them_without_a_lab_or_an_engine(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("DOCKER_HOST", "unix:///nowhere.sock")

    assert main(["fault", "list", "--json"]) == 0
    schema = json.loads((ROOT / "docs/reference/schemas/faults.schema.json").read_text())
    jsonschema.validate(json.loads(capsys.readouterr().out), schema)
    assert main(["fault", "list"]) == 0
    golden_files.check("lab/fault_list", capsys.readouterr().out)
