"""`lab config`: each value with its origin, by flag, environment, journal, manifest with its line, or default."""

import json
from dataclasses import asdict, fields
from pathlib import Path

import pytest
from jsonschema import Draft202012Validator

from lab.assembly import Lab
from lab.load_choice import LoadChoice, LoadSpec
from lab.operations.config import Asked, effective
from lab.project import Project
from lab.settings import Origin, settings_table
from lab.shape import Shape
from tests.golden_files import check

ROOT = Path(__file__).parents[2]
MANIFEST = """\
services:
  app:
    image: x
    deploy:
      replicas: 5
      update_config: {parallelism: 2, order: stop-first, monitor: 20s}
    x-lab:
      drain_timeout: 1m
      gates: [error-ratio=5%]
      load: {rate: 40}
      versions: {v1: }
"""
NOTHING = Asked(shape=Shape(), shape_by={}, load=LoadChoice(), load_by={})


@pytest.fixture
def lab(tmp_path: Path) -> Lab:
    (tmp_path / "compose").mkdir()
    (tmp_path / "compose/lab.yaml").write_text(MANIFEST)
    return Lab(project=Project(name="shop", home=tmp_path, folder=tmp_path / ".lab/shop"))


def table(lab: Lab, asked: Asked, **environ: str) -> str:
    lines = settings_table(effective(lab, asked, {"DOCKER_HOST": "tcp://10.1.1.1:2375", **environ}))
    return "\n".join(lines).replace(str(lab.project.home), "/home/lab") + "\n"


def test_every_value_reads_with_its_origin_as_its_golden_file(lab: Lab) -> None:
    asked = Asked(
        shape=Shape(batch="1", bake=5.0, gates=()),
        shape_by={"batch": Origin.FLAG, "bake": Origin.ENVIRONMENT, "gates": Origin.FLAG},
        load=LoadChoice(rate=20.0, shape="ramp:from=1,to=9,over=5"),
        load_by={"rate": Origin.ENVIRONMENT, "shape": Origin.FLAG},
        project_by=Origin.FLAG,
    )

    check("lab/config", table(lab, asked, LAB_PYTHON_IMAGE="python:3.13-slim"))


def test_a_way_that_gives_way_is_not_told(lab: Lab) -> None:
    asked = Asked(shape=Shape(like="recreate"), shape_by={"like": Origin.FLAG}, load=LoadChoice(), load_by={})
    told = {setting.name: setting.value for setting in effective(lab, asked, {})}

    assert told["like"] == "recreate"
    assert not {"order", "batch"} & set(told)


def test_what_nobody_says_is_told_as_the_default(lab: Lab) -> None:
    lab.project.manifest.write_text("services:\n  app: {x-lab: {versions: {v1: }}}\n")
    origins = {setting.origin for setting in effective(lab, NOTHING, {})}

    assert origins == {Origin.DEFAULT}


def test_nothing_is_made_for_the_question(lab: Lab) -> None:
    effective(lab, NOTHING, {})

    assert not (lab.project.home / ".lab").exists()


@pytest.mark.parametrize("kind", [Shape, LoadSpec])
def test_every_word_of_a_roll_and_of_its_load_is_told(lab: Lab, kind: type) -> None:
    """A word that is added is told too, or this says that it is not."""
    ways = {"max_surge", "max_unavailable", "like"}
    wanted = {field.name.replace("_", "-") for field in fields(kind) if field.name not in ways}
    told = {setting.name.removeprefix("load.") for setting in effective(lab, NOTHING, {})}

    assert wanted <= told


def test_the_json_fits_its_schema(lab: Lab) -> None:
    data = {"schema": "lab.config/1", "settings": [asdict(one) for one in effective(lab, NOTHING, {})]}
    schema = json.loads((ROOT / "docs/reference/schemas/config.schema.json").read_text())
    Draft202012Validator.check_schema(schema)
    Draft202012Validator(schema).validate(json.loads(json.dumps(data)))
