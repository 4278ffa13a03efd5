"""Traffic without a roll: judged as a roll is, one at a time, by one's own users, and in doubt when it was starved."""

import json
import os
import socket
import subprocess
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.request import urlopen

import pytest

from tests.e2e.conftest import ROOT, LabCommand

pytestmark = pytest.mark.docker
CLERK = """
from locust import HttpUser, task

from loadtest.own import LedgerMixin


class Clerk(LedgerMixin, HttpUser):
    @task(3)
    def look(self):
        self.client.get("/parcels?limit=5", sealed=True)

    @task
    def store(self):
        key = f"clerk-{self.rng.getrandbits(48):x}"
        parcel = {"key": key, "recipient_name": "Ada Lovelace", "address": "1 Kay"}
        self.client.post("/parcels", json=parcel, key=key, sealed=True)
"""


@pytest.fixture(scope="module")
def lab(new_lab: Callable[[str], LabCommand]) -> LabCommand:
    made = new_lab("e2e-load")
    made.up()
    return made


def run_of(verdict: Any) -> Path:
    return ROOT / ".lab" / verdict["run"]["project"] / "runs" / str(verdict["run"]["run"])


def test_a_load_of_one_s_own_users_is_judged_as_a_roll_is_and_meanwhile_no_other_command_changes_the_lab(
    lab: LabCommand, tmp_path: Path
) -> None:
    (tmp_path / "clerk.py").write_text(CLERK)
    page = free_port()
    words = ("--duration", "8s", "--arrivals", "poisson", "--workers", "2", "--seed", "3", "--rate", "60")
    running = lab.begin(
        *("load", "run", *words, "--locustfile", str(tmp_path / "clerk.py"), "--min-requests", "200"),
        *("--web", str(page), "--json"),
    )
    try:
        assert running.stderr is not None
        said = running.stderr.readline()
        assert f"load       started    60 requests/s, Locust's own page on http://127.0.0.1:{page}" in said
        with urlopen(f"http://127.0.0.1:{page}/stats/requests", timeout=10) as shown:
            assert json.load(shown)["state"] == "running"
        others = [lab.begin(*line) for line in (("roll", "v2"), ("load", "run"), ("pause",))]
        said = [other.communicate(timeout=60)[1] for other in others]
        out, err = running.communicate(timeout=60)
    finally:
        running.kill()
    assert [other.returncode for other in others] == [3, 3, 3]
    for told, id in zip(said, ("lease-held", "lease-held", "no-rollout"), strict=True):
        assert f"[{id}]" in told
        assert f"`lab load run {' '.join(words)}" in told
    verdict = json.loads(out)
    assert (running.returncode, verdict["outcome"], verdict["dropped"]) == (0, "pass", 0), err
    assert (verdict["run"]["command"], verdict["run"]["rollout"]) == ("load", "none")
    assert (verdict["run"]["from_version"], verdict["run"]["to_version"]) == ("v1", "v1")
    assert verdict["versions"] == {"v1": verdict["judged"]}
    rows = [json.loads(line) for line in (run_of(verdict) / "client.jsonl").read_text().splitlines()]
    assert (rows[0]["arrivals"], rows[0]["workers"], rows[0]["seed"]) == ("poisson", 2, 3)
    assert rows[0]["cohorts"] == {"look": 0.75, "store": 0.25}
    assert (run_of(verdict) / "locustfile.py").read_text() == CLERK
    assert verdict["run"]["run"] in lab("report", "--list").out
    assert f"lab load run --duration 8s --project {lab.project}" in lab("report", "--format", "md").out


def test_a_page_on_a_port_that_is_taken_is_refused_and_its_owner_named(lab: LabCommand) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        done = lab("load", "run", "--web", str(port))
    assert (done.exit_code, "[port-taken]" in done.err) == (3, True), done.err
    assert f"port {port} of 127.0.0.1 is taken by " in done.err
    assert f"(pid {os.getpid()})" in done.err
    assert f"--web {port + 1}" in done.err


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port: int = free.getsockname()[1]
        return port


def test_a_load_that_is_kept_from_its_processor_ends_without_a_verdict_and_never_passes(lab: LabCommand) -> None:
    """The saboteur takes it away from outside, for two of six seconds: nobody in the lab is told.

    Its command is killed as well: whoever goes on with the run finds the same.
    """
    running = lab.begin("load", "run", "--duration", "6s", "--min-requests", "100", "--json")
    try:
        assert running.stderr is not None
        assert "load       started" in running.stderr.readline()
        threading.Event().wait(1)  # not for something to happen: that much of the load is to be on time
        processor(f"lab-{lab.project}-load", "1000")
        threading.Event().wait(2)
        processor(f"lab-{lab.project}-load", "-1")
    finally:
        running.kill()
        running.communicate(timeout=10)
    again, noted = lab("load", "run"), lab("status").out
    assert (again.exit_code, "has no verdict yet" in again.err, "[unfinished]" in again.err) == (3, True, True), (
        again.err
    )
    assert "has no verdict yet: lab resume" in noted
    verdict = lab.roll("resume")
    assert (verdict["outcome"], verdict["exit_code"], verdict["run"]["command"]) == ("inconclusive", 4, "load")
    reasons = {reason["id"]: reason for reason in verdict["reasons"]}
    assert reasons.keys() == {"schedule-lag"}
    assert "ms or more after it was due (limit 50 ms)" in reasons["schedule-lag"]["message"]
    assert "--rate" in reasons["schedule-lag"]["fix"]
    assert lab("resume").exit_code == 3, "there is nothing left to go on with"


def test_a_roll_whose_load_is_kept_from_its_processor_is_done_and_has_no_verdict(lab: LabCommand) -> None:
    with lab.begin("roll", "v2", "--batch", "3", "--min-requests", "100", "--json") as rolling:
        assert rolling.stderr is not None
        assert any("draining" in line for line in rolling.stderr)
        processor(f"lab-{lab.project}-load", "1000")
        threading.Event().wait(2)
        processor(f"lab-{lab.project}-load", "-1")
        verdict = json.loads(rolling.communicate(timeout=120)[0])
    assert (verdict["outcome"], verdict["exit_code"], rolling.returncode) == ("inconclusive", 4, 4), verdict["drops"]
    assert (verdict["run"]["rollout"], lab.status()["version"]) == ("done", "v2")
    assert "schedule-lag" in {reason["id"] for reason in verdict["reasons"]}


def test_a_load_that_is_killed_in_the_middle_of_a_roll_leaves_its_open_requests_and_no_verdict(lab: LabCommand) -> None:
    """By SIGKILL from outside. Its ledger ends there, the other two at their end; what it had sent is open."""
    with lab.begin("roll", "v1", "--batch", "3", "--min-requests", "100", "--json") as rolling:
        assert rolling.stderr is not None
        assert any("draining" in line for line in rolling.stderr)
        subprocess.run(["docker", "kill", f"lab-{lab.project}-load"], capture_output=True, check=True)
        verdict = json.loads(rolling.communicate(timeout=120)[0])
    assert (verdict["outcome"], verdict["exit_code"], rolling.returncode) == ("inconclusive", 4, 4), verdict["drops"]
    reasons = {reason["id"]: reason["message"] for reason in verdict["reasons"]}
    assert {"load-died", "open-requests"} <= reasons.keys()
    assert verdict["open"] > 0
    assert f"({verdict['open']} open)" in reasons["open-requests"]
    lines = (run_of(verdict) / "client.jsonl").read_bytes().splitlines(keepends=True)
    rows = [json.loads(line) for line in lines if line.endswith(b"\n")]  # the last one may be torn
    offered, ended = ({row["id"] for row in rows if row["e"] == e} for e in ("offer", "end"))
    assert verdict["open"] == len(offered - ended)
    assert (verdict["run"]["rollout"], lab.status()["version"]) == ("done", "v1")


def processor(container: str, quota: str) -> None:
    """Microseconds in each tenth of a second; -1: as many as there are."""
    argv = ["docker", "update", "--cpu-period", "100000", "--cpu-quota", quota, container]
    subprocess.run(argv, capture_output=True, check=True)


def test_the_gates_of_the_load_s_users_stop_a_version_that_is_slower_and_one_that_drops(lab: LabCommand) -> None:
    few = ("--min-requests", "100")
    slower = lab.roll("roll", "v2-adds-latency", "--gate", "latency=1.2x", "--gate", "dropped=0", *few)
    assert_taken_back(slower, "latency p")
    assert "instants), limit x1.2" in slower["run"]["reason"]
    assert slower["dropped"] == 0

    dropping = lab.roll("roll", "v2-error-ratio", "--gate", "dropped=0", *few)
    assert_taken_back(dropping, "dropped ")
    told = int(dropping["run"]["reason"].split()[1])
    assert 0 < told <= dropping["dropped"], "what was seen by then, and what followed until it was taken back"
    assert set(dropping["dropped_by_class"]) == {"server_error"}


def assert_taken_back(verdict: Any, why: str) -> None:
    """By its first wave's samples: the fleet is as it was."""
    assert (verdict["run"]["rollout"], verdict["exit_code"]) == ("rolled-back", 1), verdict["run"]
    assert verdict["run"]["reason"].startswith(why)
    assert verdict["blast"]["replicas"] == 1
