"""The whole way of a schema change, by the command: planned on a copy, expanded, rolled, contracted in the end."""

import time
from collections.abc import Callable

import pytest

from tests.e2e.conftest import Done, LabCommand

pytestmark = pytest.mark.docker


def test_a_change_is_carried_from_base_to_contracted_and_never_back(new_lab: Callable[[str], LabCommand]) -> None:
    lab = new_lab("sch-way")
    lab.up("--replicas", "1", "--schema", "base")

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
    assert "lab migrate contract --project sch-way --give-up v1" in target.err
    done = _once_soaked(lab).json
    assert (done["phase"], done["changed"], {proof["holds"] for proof in done["guard"]}) == ("contracted", True, {True})

    for words in (["plan", "v1"], ["roll", "v1", "--anyway"], ["rollback", "--anyway"]):
        refused = lab(*words)
        assert refused.exit_code == 3, words
        assert "contracted" in refused.err


def _once_soaked(lab: LabCommand) -> Done:
    deadline = time.monotonic() + 40
    while (done := lab("migrate", "contract", "--give-up", "v1", "--json")).exit_code:
        assert [line.split(":")[0] for line in done.json["error"]["where"].splitlines()] == ["soak"]
        assert time.monotonic() < deadline
        time.sleep(3)
    return done
