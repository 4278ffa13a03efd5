"""Both Composes: a person's own `ps`, `logs` and `up -d` beside the lab's commands, under load: no replica is touched.

docker-compose 1.29 is the machine's; v2 comes from the package of the release that the lab's images stand on.
"""

import http.client
import json
import os
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from tests.compose_v2 import environ_with
from tests.e2e.conftest import ROOT, LabCommand, assert_exposed

pytestmark = pytest.mark.docker
SMALL = ("--rate", "40", "--min-requests", "100", "--json")


@dataclass(slots=True)
class Visitor:
    """Somebody who asks all the time, on one kept connection after another."""

    port: int
    answers: list[int] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)
    over: threading.Event = field(default_factory=threading.Event)

    def run(self) -> None:
        while not self.over.wait(0.02):
            try:
                connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=10)
                connection.request("GET", "/version")
                self.answers.append(connection.getresponse().status)
            except OSError as error:
                self.failures.append(repr(error))
            finally:
                connection.close()


@contextmanager
def visited(lab: LabCommand) -> Iterator[Visitor]:
    visitor = Visitor(port=int(lab.status()["url"].rpartition(":")[2]))
    thread = threading.Thread(target=visitor.run)
    thread.start()
    try:
        yield visitor
    finally:
        visitor.over.set()
        thread.join()
    assert len(visitor.answers) > 10
    assert (set(visitor.answers), visitor.failures) == ({200}, [])


@dataclass(frozen=True, slots=True)
class WithCompose:
    """A lab on one of the two, and that one called with a person's own words."""

    lab: LabCommand
    flavour: str

    def compose(self, *words: str) -> "subprocess.CompletedProcess[str]":
        """As a person types it: own options come first, so the project is said by the environment."""
        argv = [sys.executable, "-m", "lab", "compose", *words]
        env = {**os.environ, "LAB_PROJECT": self.lab.project}
        return subprocess.run(argv, cwd=ROOT, env=env, capture_output=True, text=True, timeout=120, check=False)


@pytest.fixture(scope="module", params=["v2", "v1"])
def on(request: pytest.FixtureRequest, new_lab: Callable[[str], LabCommand]) -> Iterator[WithCompose]:
    with pytest.MonkeyPatch.context() as patched:
        patched.setenv("PATH", environ_with(request.param)["PATH"])
        lab = new_lab(f"e2e-compose-{request.param}")
        lab.up("--replicas", "2")
        yield WithCompose(lab, request.param)


def test_the_lab_runs_on_the_compose_that_is_meant(on: WithCompose) -> None:
    version = on.compose("version", "--short")

    assert version.stdout.strip().removeprefix("v").startswith(on.flavour[1] + "."), version.stderr


def test_looking_on_and_bringing_up_what_is_up_touches_nothing_under_load(on: WithCompose) -> None:
    before = on.lab.containers
    with visited(on.lab):
        shown, logged, brought = on.compose("ps"), on.compose("logs", "--tail=1"), on.compose("up", "-d")
        again = on.lab("up")

    assert [one.returncode for one in (shown, logged, brought)] == [0, 0, 0], brought.stderr
    assert all(f"app-{slot}.1" in shown.stdout for slot in (1, 2))
    assert "app-1.1" in logged.stdout
    assert (again.exit_code, "Nothing to do" in again.out) == (0, True)
    assert on.lab.containers == before
    assert on.lab.status()["notes"] == []


def test_a_roll_drops_nothing_while_others_look_on_and_then_up_d_touches_nothing(on: WithCompose) -> None:
    with on.lab.begin("roll", "v2", *SMALL) as roll:
        assert roll.stderr is not None
        assert any("draining" in line for line in roll.stderr)
        # paused, it is surely still at work: under load, with old and new replicas side by side
        paused = on.lab("pause")
        status, shown, refused = on.lab.status(), on.compose("ps"), on.lab("up")
        resumed = on.lab("resume")
        out, err = roll.communicate(timeout=120)

    assert (paused.exit_code, shown.returncode, resumed.exit_code) == (0, 0, 0), paused.err + resumed.err
    assert (refused.exit_code, "[lease-held]" in refused.err) == (3, True)
    assert any("`up -d`" in note for note in status["notes"]), status["notes"]
    verdict = json.loads(out)
    assert verdict.get("schema") == "lab.verdict/1", out + err
    # those who look on take the load's own time on a small machine: it says so then, and has still lost nothing
    late = {reason["id"] for reason in verdict["reasons"]}
    assert (verdict["dropped"], verdict["masked"], verdict["run"]["rollout"]) == (0, 0, "done"), verdict["drops"][:5]
    assert late <= {"schedule-lag"}
    assert roll.returncode == (4 if late else 0)
    assert_exposed(verdict)
    before = on.lab.containers
    assert on.compose("up", "-d").returncode == 0
    assert on.lab.containers == before
    assert on.lab.status()["notes"] == []


def test_a_change_made_by_hand_is_noticed_and_up_takes_it_back(on: WithCompose) -> None:
    ours = {name for name in on.lab.containers if "-app-" in name}
    made = on.compose("up", "-d", "--no-recreate", "--scale", "app=3")
    assert made.returncode == 0, made.stderr

    noticed = " ".join(on.lab.status()["notes"])
    on.lab.up()

    assert "made by Compose, not by the lab" in noticed
    assert "lab up" in noticed
    assert {name for name in on.lab.containers if "app" in name} == ours
    assert on.lab.status()["notes"] == []


def test_the_other_compose_is_refused_and_named(on: WithCompose, monkeypatch: pytest.MonkeyPatch) -> None:
    """A folder with a `docker` that has no Compose, and the other Compose under the other name."""
    if on.flavour == "v1":
        other = environ_with("v2")["PATH"].partition(os.pathsep)[0]
        monkeypatch.setenv("PATH", f"{other}{os.pathsep}{without('docker-compose')}")
    else:
        monkeypatch.setenv("PATH", os.environ["PATH"].partition(os.pathsep)[2])

    done = on.compose("ps")

    assert done.returncode == 3
    assert "[compose-flavour]" in done.stderr
    assert ("docker-compose" if on.flavour == "v1" else "docker compose") in done.stderr


def without(program: str) -> str:
    """The PATH but for the folders that have it."""
    folders = os.environ["PATH"].split(os.pathsep)
    return os.pathsep.join(folder for folder in folders if not Path(folder, program).exists())
