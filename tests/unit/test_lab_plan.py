"""`lab plan` and `lab simulate` as people see them. Neither asks an engine, and neither leaves anything behind."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from lab.cli import main
from lab.model import Ending
from lab.operations.roll import RollResult
from tests import golden_files

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def lab(capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    """The command beside a checkout that has the shipped manifest and no engine."""
    root = Path(__file__).parents[2]
    shutil.copytree(root / "compose", tmp_path / "compose")
    shutil.copytree(root / "sample_app/schema", tmp_path / "sample_app/schema")
    monkeypatch.setattr("lab.project.checkout", lambda: tmp_path)
    monkeypatch.setenv("DOCKER_HOST", f"unix://{tmp_path}/no.sock")
    monkeypatch.chdir(tmp_path)

    def run(*arguments: str) -> tuple[int, str, str]:
        code = main(list(arguments))
        said = capsys.readouterr()
        return code, said.out, said.err

    return run


SHOWN = {
    "plan": ["plan", "v2"],
    "plan_in_place": ["plan", "v2", "--replicas", "1", "--order", "stop-first"],
    "plan_kubernetes": ["plan", "v2", "--replicas", "10", "--like", "kubernetes"],
    "plan_baked": ["plan", "v2", "--wave-bake", "10s", "--bake", "1m", "--gate", "error-ratio=5%"],
    "plan_anyway": ["plan", "v2", "--schema", "as-is", "--anyway"],
    "plan_many": ["plan", "v2", "--replicas", "100", "--batch", "7%"],
    "simulate": ["simulate", "v2", "--replicas", "20", "--seed", "7", "--fault", "never-ready:v2"],
    "simulate_compared": [
        "simulate",
        "v2",
        "--replicas",
        "40",
        "--compare",
        "one-at-a-time,kubernetes,codedeploy-10%,recreate",
        "--fault",
        "errors:v2=30%",
        "--gate",
        "error-ratio=5%",
    ],
}


@pytest.mark.parametrize("name", SHOWN)
def test_what_is_shown_is_what_is_kept(lab: Run, name: str, tmp_path: Path) -> None:
    code, out, err = lab(*SHOWN[name])

    assert (code, err) == (0, "")
    golden_files.check(f"lab/{name}", out)
    assert not (tmp_path / ".lab").exists()


@pytest.mark.parametrize(
    ("arguments", "code", "told"),
    [
        (["plan", "v9"], 2, "[unknown-version]"),
        (["plan", "v2", "--batch", "0"], 2, "a batch of 0 replaces nothing   [batch]"),
        (["plan", "v2", "--batch", "9"], 2, "a batch of 9 is more than the 3 replicas   [batch]"),
        (["plan", "v2", "--max-surge", "0", "--max-unavailable", "0"], 2, "nothing can be replaced   [no-budget]"),
        (["plan", "v2", "--max-surge", "1", "--batch", "2"], 2, "three ways to say one thing"),
        (["plan", "v2", "--like", "magic"], 2, "'magic' is none that is known   [like]"),
        (["plan", "v2", "--like", "codedeploy-100%"], 2, "--like codedeploy-100% leaves none to replace in a fleet"),
        (["plan", "v2", "--like", "codedeploy-90%"], 2, "at least 3 of 3 healthy leaves none to replace"),
        (
            ["plan", "v2", "--gate", "luck=1%"],
            2,
            "--gate: 'luck=1%': there is no such gate, only error-ratio, unready-ratio, dropped and latency   [gate]",
        ),
        (["plan", "v2", "--gate", "error-ratio=200%"], 2, "--gate: '200%' is no share such as 5% or 0.05   [gate]"),
        (["plan", "v2", "--replicas", "0"], 2, "0 replicas"),
        (["plan", "v2", "--ready-timeout", "1s"], 3, "no replica can be ready in time"),
        (["plan", "v2", "--bake", "1s"], 3, "over before a probe can fail in it, which takes 6s   [plan-refused]"),
        (
            ["plan", "v2", "--schema", "as-is"],
            3,
            "fix    lab migrate expand, then lab migrate backfill; or --schema auto",
        ),
        (["simulate", "v2", "--fault", "gremlins:v2"], 2, "its kind is none of"),
        (["simulate", "v2", "--fault", "dies"], 2, "of which version?"),
        (["simulate", "v2", "--fault", "errors:v2=some"], 2, "'some' is not a percentage"),
        (["simulate", "v2", "--fault", "@nowhere"], 2, "--fault @nowhere"),
        (["simulate", "v2", "--compare", "kubernetes,magic"], 2, "'magic' is none that is known"),
    ],
)
def test_what_cannot_be_meant_is_refused_with_the_reason(lab: Run, arguments: list[str], code: int, told: str) -> None:
    got, out, err = lab(*arguments)

    assert (got, out) == (code, "")
    assert told in err
    assert "  fix    " in err


SCHEMAS = Path(__file__).parents[2] / "docs/reference/schemas"


def valid(data: Any, name: str) -> Any:
    """It fits the committed schema, which has every key of it and of what it is made of."""
    schema = json.loads((SCHEMAS / f"{name}.schema.json").read_text())
    Draft202012Validator.check_schema(schema)
    closed = json.loads(json.dumps(schema).replace('"additionalProperties": true', '"additionalProperties": false'))
    parts = {key: {**part, "additionalProperties": False} for key, part in schema.get("$defs", {}).items()}
    Draft202012Validator({**closed, "$defs": parts}).validate(data)
    assert data["schema"] == schema["$id"] == f"lab.{name}/1"
    return data


@pytest.mark.parametrize("name", SHOWN)
def test_the_same_as_json_fits_its_schema(lab: Run, name: str) -> None:
    command = SHOWN[name][0]

    valid(json.loads(lab(*SHOWN[name], "--json")[1]), command)


def test_a_plan_and_a_simulation_are_json_as_well(lab: Run) -> None:
    plan = json.loads(lab("plan", "v2", "--json")[1])
    done = json.loads(lab("simulate", "v2", "--json")[1])

    assert (plan["schema"], len(plan["waves"]), plan["peak"], plan["lowest"]) == ("lab.plan/1", 3, 4, 3)
    assert (done["schema"], done["rows"][0]["ending"], len(done["journal_sha256"])) == ("lab.simulate/1", "done", 64)


def test_the_schema_of_a_simulation_knows_every_ending() -> None:
    schema = json.loads((SCHEMAS / "simulate.schema.json").read_text())

    assert schema["$defs"]["row"]["properties"]["ending"]["enum"] == list(Ending)


def test_a_roll_with_nothing_to_do_fits_its_schema(lab: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    async def nothing(*_: object, **__: object) -> RollResult:
        return RollResult(version="v1", run=None)

    async def nobody(*_: object) -> bool:
        return False

    monkeypatch.setattr("lab.operations.roll.roll", nothing)
    monkeypatch.setattr("lab.operations.command.is_rolling", nobody)

    for words in (["roll", "v1"], ["rollback"]):
        assert valid(json.loads(lab(*words, "--json")[1]), "roll")["changed"] is False


def test_the_same_seed_gives_the_same_journal_byte_for_byte_and_another_seed_another(lab: Run) -> None:
    for name, seed in (("a", "1"), ("b", "1"), ("c", "2")):
        code, _, _ = lab("simulate", "v2", "--replicas", "30", "--seed", seed, "--journal", name)
        assert code == 0

    assert Path("a").read_bytes() == Path("b").read_bytes() != Path("c").read_bytes()


def test_faults_may_stand_in_a_file(lab: Run) -> None:
    Path("faults").write_text("# a bad day\nnever-ready:v2   # it hangs\n\nkill@1s=app-2.1\n")

    assert "rolled-back" in lab("simulate", "v2", "--fault", "@faults")[1]
