"""A lab of a test's own, driven through the command as a person drives it. Needs a Docker engine; CI has one."""

import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]
MINUTES = 4


@dataclass(frozen=True)
class Done:
    """How one command ended."""

    exit_code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)


@dataclass(frozen=True)
class LabCommand:
    project: str

    def __call__(self, *words: str) -> Done:
        argv = [sys.executable, "-m", "lab", *words, "--project", self.project]
        done = subprocess.run(argv, cwd=ROOT, capture_output=True, text=True, timeout=MINUTES * 60, check=False)
        return Done(done.returncode, done.stdout, done.stderr)

    def begin(self, *words: str) -> "subprocess.Popen[str]":
        argv = [sys.executable, "-m", "lab", *words, "--project", self.project]
        return subprocess.Popen(argv, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)

    def up(self, *words: str) -> Done:
        done = self("up", *words)
        assert done.exit_code == 0, done.err
        return done

    def status(self) -> Any:
        return self("status", "--json").json

    def roll(self, *words: str) -> Any:
        """Roll, and return the verdict with the exit code that the command really had."""
        done = self(*words, "--json")
        verdict = done.json
        assert verdict.get("schema") == "lab.verdict/1", done.out + done.err
        assert verdict["exit_code"] == done.exit_code
        return verdict

    @property
    def containers(self) -> dict[str, str]:
        """Name -> id of everything on the engine that carries this project's name."""
        return docker_names("ps", "-a", "--format", "{{.Names}} {{.ID}}", prefix=f"lab-{self.project}")

    def leftovers(self) -> list[str]:
        """What carries this project's name or its label, whatever it is called."""
        labelled = f"label=rollinglab.project={self.project}"
        names = docker_names("ps", "-a", "--filter", labelled, "--format", "{{.Names}} {{.ID}}", prefix="")
        names |= self.containers
        names |= docker_names("network", "ls", "--format", "{{.Name}} {{.ID}}", prefix=f"lab-{self.project}_")
        names |= docker_names("volume", "ls", "--format", "{{.Name}} -", prefix=f"lab-{self.project}_")
        return list(names)


def docker_names(*words: str, prefix: str) -> dict[str, str]:
    out = subprocess.run(["docker", *words], capture_output=True, text=True, check=True).stdout
    rows = [line.split() for line in out.splitlines()]
    return {row[0]: row[1] for row in rows if row[0].startswith(prefix)}


@pytest.fixture(scope="module", autouse=True)
def _short_slow_requests() -> Iterator[None]:
    """A drain takes as long as the load's slow requests do: most tests need something in flight, and not for long."""
    with pytest.MonkeyPatch.context() as patched:
        patched.setenv("LAB_SLOW", "700ms")
        yield


@pytest.fixture(scope="module")
def new_lab() -> Iterator[Callable[[str], LabCommand]]:
    """Makes labs by project name, and takes every one down at the end."""
    made: list[LabCommand] = []

    def make(project: str) -> LabCommand:
        lab = LabCommand(project)
        lab("down")
        made.append(lab)
        return lab

    yield make
    for lab in made:
        done = lab("down")
        assert done.exit_code == 0, done.err
        assert lab.leftovers() == []


def assert_clean(verdict: Any) -> None:
    """Done, proved, and with something in flight at some retirement of every version that was retired."""
    assert verdict["outcome"] == "pass", json.dumps(verdict["drops"][:5] + verdict["reasons"], indent=1)
    assert verdict["exit_code"] == 0
    assert (verdict["dropped"], verdict["masked"]) == (0, 0)
    assert_exposed(verdict)


def unanswered_attempts(project: str, run: str) -> set[tuple[str, int]]:
    """What the app's own logs say was begun in that run and never answered: request and attempt."""
    begun: set[tuple[str, int]] = set()
    ended: set[tuple[str, int]] = set()
    for log in (ROOT / ".lab" / project / "runs" / run / "logs").iterdir():
        for line in log.read_text().splitlines():
            row = json.loads(line) if line.startswith(('{"e":"begin"', '{"e":"end"')) else {"id": ""}
            if row["id"].startswith(f"{run}-"):
                (begun if row["e"] == "begin" else ended).add((row["id"], row["attempt"]))
    return begun - ended


def assert_exposed(verdict: Any) -> None:
    exposed: dict[str, int] = {}
    for swap in verdict["exposure"]:
        exposed[swap["version"]] = max(exposed.get(swap["version"], 0), swap["in_flight_at_retire"] or 0)
    assert exposed
    assert all(exposed.values()), exposed
