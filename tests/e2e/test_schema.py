"""The whole way of a schema change, by the command: planned on a copy, expanded, rolled, contracted in the end."""

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.e2e.conftest import LabCommand
from tests.path_traffic import traffic

pytestmark = pytest.mark.docker
REASON = "the last V1 was seen to leave"


def test_a_change_is_carried_from_base_to_contracted_under_traffic_and_never_back(
    new_lab: Callable[[str], LabCommand], tmp_path: Path
) -> None:
    lab = new_lab("sch-way")
    lab.up("--replicas", "1", "--schema", "base")
    with traffic(lab, tmp_path) as offered:
        _carry(lab)
    assert offered.wrong == []
    assert offered.told["ok"] > 200

    for words in (["plan", "v1"], ["roll", "v1", "--anyway"], ["rollback", "--anyway"]):
        refused = lab(*words)
        assert refused.exit_code == 3, words
        assert "contracted" in refused.err

    # what was done against the guard is no secret of that day
    later = lab("roll", "v2-checks-schema", "--no-load", "--json")
    assert later.exit_code == 0, later.err
    assert later.json["notes"] == [f"run with a schema step taken against the guard (contracted: {REASON})"]
    assert lab("migrate", "status", "--json").json["forced"] == f"contracted: {REASON}"


def _carry(lab: LabCommand) -> None:
    plan = lab("migrate", "plan", "--json").json
    assert [step["phase"] for step in plan["steps"]] == ["expanded", "backfilled", "contracted"]
    assert {f["lock"] for f in plan["steps"][0]["footprint"]} == {"AccessExclusiveLock"}
    rolled = lab("plan", "v2", "--json").json
    assert (rolled["schema_phase"], [step["phase"] for step in rolled["schema_steps"]]) == (
        "base",
        ["expanded", "backfilled"],
    )
    status = lab("migrate", "status", "--json").json
    assert (status["phase"], [lease["version"] for lease in status["leases"]]) == ("base", ["v1"])
    assert (status["without_lease"], status["under_way"], status["gone"]) == ([], [], {})

    for command, phase in (("expand", "expanded"), ("backfill", "backfilled")):
        assert lab("migrate", command, "--json").json == {"schema": "lab.migrate/1", "phase": phase, "changed": True}

    running = lab("migrate", "contract")
    assert running.exit_code == 3
    assert "leases: app-1.1 holds a lease for v1" in running.err
    assert "routes: app-1.1 (v1, ready" in running.err
    assert lab("roll", "v2", "--no-load").exit_code == 0

    target = lab("migrate", "contract")
    assert target.exit_code == 3
    assert f"lab migrate contract --project {lab.project} --give-up v1" in target.err
    soaking = lab("migrate", "contract", "--give-up", "v1", "--json")
    assert [line.split(":")[0] for line in soaking.json["error"]["where"].splitlines()] == ["soak"]
    done = lab("migrate", "contract", "--give-up", "v1", "--force", "--reason", REASON, "--json").json
    assert (done["phase"], done["changed"], done["forced"]) == ("contracted", True, REASON)
    assert {proof["name"] for proof in done["guard"] if not proof["holds"]} <= {"soak"}
