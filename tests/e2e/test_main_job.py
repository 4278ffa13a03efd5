"""The main job on real containers: what the README promises, and what must not get past it."""

import re
import signal
import subprocess
from collections.abc import Callable

import pytest

from tests.e2e.conftest import LabCommand, assert_clean, assert_exposed, unanswered_attempts

pytestmark = pytest.mark.docker


@pytest.fixture(scope="module")
def lab(new_lab: Callable[[str], LabCommand]) -> LabCommand:
    lab = new_lab("e2e-main")
    lab.up("--replicas", "3")
    return lab


def test_a_second_up_does_nothing(lab: LabCommand) -> None:
    before = lab.containers

    done = lab("up")

    assert done.exit_code == 0
    assert "Nothing to do" in done.out
    assert lab.containers == before


def test_start_first_replaces_every_replica_and_drops_nothing(lab: LabCommand) -> None:
    verdict = lab.roll("roll", "v2", "--slow", "2.5s")
    assert_clean(verdict)
    assert verdict["run"]["clock_error_ms"] is not None

    status = lab.status()
    assert [r["version"] for r in status["replicas"]] == ["v2"] * 3
    assert status["schema_phase"] == "backfilled"


def test_rolling_to_what_runs_does_nothing(lab: LabCommand) -> None:
    done = lab("roll", "v2")

    assert (done.exit_code, "Nothing to do" in done.out) == (0, True)


def test_a_rollback_drops_nothing_either(lab: LabCommand) -> None:
    verdict = lab.roll("rollback")

    assert_clean(verdict)
    assert (verdict["run"]["from_version"], verdict["run"]["to_version"]) == ("v2", "v1")


def test_stop_first_rolls_a_version_in_that_exits_at_once(lab: LabCommand) -> None:
    assert_clean(lab.roll("roll", "v2-exits-at-once", "--order", "stop-first"))


def test_a_version_that_exits_at_once_is_rolled_out_without_a_drop(lab: LabCommand) -> None:
    """It drops whatever is in flight when it is asked to end: nothing may be."""
    assert_clean(lab.roll("rollback"))


def test_an_interrupted_roll_goes_on_with_the_same_command(lab: LabCommand) -> None:
    with lab.begin("roll", "v2-exits-at-once") as roll:
        assert roll.stderr is not None
        assert any("draining" in line for line in roll.stderr)
        roll.send_signal(signal.SIGINT)
        roll.communicate(timeout=60)
    assert roll.returncode == 130
    assert lab.status()["phase"] == "rolling"

    assert_clean(lab.roll("roll", "v2-exits-at-once"))
    assert lab.status()["phase"] == "idle"


def test_without_the_wait_for_the_drain_what_the_app_left_unanswered_is_found_to_the_last_request(
    lab: LabCommand,
) -> None:
    """The saboteur of P1: only the wait is skipped. The app's own log says what it left; reads are sent again."""
    verdict = lab.roll("roll", "v1", "--test-skip-drain")

    left = unanswered_attempts(lab.project, verdict["run"]["run"])
    assert len(left) > 0
    assert verdict["masked"] + verdict["dropped"] == len({request for request, _ in left})
    assert verdict["dropped"] == verdict["begun_unanswered"]
    assert verdict["exit_code"] == (1 if verdict["dropped"] else 0)


def test_a_version_that_never_gets_ready_leaves_the_fleet_as_it_was(lab: LabCommand) -> None:
    before = {name for name in lab.containers if "-app-" in name}

    done = lab("roll", "v2-never-ready", "--ready-timeout", "6s")

    assert done.exit_code == 1, done.out + done.err
    assert "never became ready" in done.out
    assert "fault never-ready" in done.out
    assert "0 dropped" in done.out
    assert re.search(r"log +\S", done.out)
    assert {name for name in lab.containers if "-app-" in name} == before
    verdict = lab("report", "--json").json
    assert set(verdict["versions"]) == {"v1"}, "the bad replica was given a request"
    assert [swap["in_flight_at_retire"] for swap in verdict["exposure"]] == [0]


def test_a_container_killed_under_traffic_is_reported_with_its_drops(lab: LabCommand) -> None:
    """SIGKILL from outside: no part of the lab is told."""
    roll = lab.begin("roll", "v2", "--json")
    assert roll.stderr is not None
    victim = ""
    for line in roll.stderr:
        if "draining" in line:
            status = lab.status()
            victim = next(r["name"] for r in reversed(status["replicas"]) if r["state"] == "ready" and r["in_flight"])
            subprocess.run(["docker", "kill", f"lab-{lab.project}-{victim}"], check=True, capture_output=True)
            break
    out, _ = roll.communicate(timeout=240)

    verdict = lab("report", "--json").json
    assert victim
    # with nothing dropped it may still be undecided: a replica that was killed leaves fewer to be exposed
    assert roll.returncode == verdict["exit_code"], out
    assert (verdict["outcome"] == "fail") == (roll.returncode == 1) == (verdict["dropped"] > 0), out
    (death,) = verdict["deaths"]
    assert (death["replica"], death["exit_code"]) == (victim, 137)
    # reads are sent again by the proxy; a write that was there is lost
    assert verdict["dropped"] + verdict["masked"] > 0
    assert {drop["replica"] for drop in verdict["drops"]} <= {victim}
    assert sum(verdict["dropped_by_class"].values()) == verdict["dropped"]
    assert [r["version"] for r in lab.status()["replicas"]] == ["v2"] * 3
    assert_exposed(verdict)


def test_a_replica_that_died_between_commands_is_shown_by_status_and_repaired_by_up(lab: LabCommand) -> None:
    victim = lab.status()["replicas"][0]["name"]
    subprocess.run(["docker", "kill", f"lab-{lab.project}-{victim}"], check=True, capture_output=True)

    shown = lab.status()
    assert (shown["ready"], shown["replicas"][0]["state"]) == (2, "dead")
    assert "lab up" in shown["notes"][0]

    lab.up()
    repaired = lab.status()
    assert (repaired["ready"], repaired["notes"]) == (3, [])
    assert victim not in {replica["name"] for replica in repaired["replicas"]}


def test_a_proxy_killed_during_a_roll_leaves_a_verdict_and_a_roll_that_goes_on(lab: LabCommand) -> None:
    with lab.begin("roll", "v1", "--request-timeout", "11s", "--json") as roll:
        assert roll.stderr is not None
        assert any("joining" in line for line in roll.stderr)
        proxy = next(name for name in lab.containers if "proxy" in name)
        subprocess.run(["docker", "kill", proxy], check=True, capture_output=True)
        _, told = roll.communicate(timeout=120)
    assert roll.returncode == 3
    assert re.search(r"waiting +for +[1-9]\d* answers that may still come, \ds left", told), told
    report = lab("report", "--json")
    assert report.json["run"]["rollout"] == "paused-environment"
    assert report.json["dropped"] > 0

    assert lab("up").exit_code == 3, "it starts the proxy, and leaves the roll to the roll"
    assert_clean(lab.roll("roll", "v1"))


def test_down_leaves_no_container_network_or_volume(lab: LabCommand) -> None:
    done = lab("down")

    assert done.exit_code == 0, done.err
    assert lab.leftovers() == []
    assert "Nothing to do" in lab("down").out
