"""What a roll needs goes away in the middle of it: what is said, how it ends, and that the lab is whole again after."""

import json
import subprocess
from collections.abc import Callable
from typing import Any

import pytest

from tests.e2e.conftest import LabCommand
from tests.fault_evidence import assert_whole

pytestmark = pytest.mark.docker
LOAD = ("--rate", "60", "--min-requests", "150", "--request-timeout", "6s")


@pytest.fixture(scope="module")
def lab(new_lab: Callable[[str], LabCommand]) -> LabCommand:
    made = new_lab("e2e-days")
    made.up()
    return made


def rolled_while(lab: LabCommand, version: str, *options: str, do: Callable[[str], None], to: str) -> tuple[int, Any]:
    """Roll, and do that to the container of that service as soon as a replica joins: (exit code, what was said)."""
    container = next(name for name in lab.containers if f"_{to}_" in name or f"-{to}-" in name)
    with lab.begin("roll", version, *LOAD, *options, "--json") as roll:
        assert roll.stderr is not None
        assert any("joining" in line for line in roll.stderr)
        do(container)
        out, _ = roll.communicate(timeout=150)
    return roll.returncode, json.loads(out)


def removed(container: str) -> None:
    subprocess.run(["docker", "rm", "-f", container], check=True, capture_output=True)


def stopped(container: str) -> None:
    subprocess.run(["docker", "stop", "-t", "0", container], check=True, capture_output=True)


def test_a_proxy_whose_container_is_removed_pauses_the_roll_and_up_and_resume_end_it(lab: LabCommand) -> None:
    code, _ = rolled_while(lab, "v2", do=removed, to="proxy")

    assert code == 3
    again = lab("roll", "v2", *LOAD)
    assert (again.exit_code, "[lab-not-up]" in again.err) == (3, True), again.err
    up = lab("up")
    assert (up.exit_code, "[unfinished]" in up.err) == (3, True), up.err
    resumed = lab.roll("resume")
    assert resumed["run"]["rollout"] == "done"
    assert_whole(lab.status(), "v2")


def test_a_database_that_is_gone_pauses_the_roll_and_blames_no_version(lab: LabCommand) -> None:
    code, _ = rolled_while(lab, "v1", do=stopped, to="db")

    assert code == 3
    assert "db does not run: lab up starts it again" in lab.status()["notes"]
    assert "db does not run any more" in lab("report").out
    assert lab("up").exit_code == 3, "it starts the database, and leaves the roll to the roll"
    assert lab.roll("resume")["run"]["rollout"] == "done"
    assert_whole(lab.status(), "v1")
