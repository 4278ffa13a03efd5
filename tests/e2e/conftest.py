"""Labs made by the lab's own pytest plugin, whose first user this suite is. Needs a Docker engine; CI has one."""

import json
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from lab.lease import this_process
from lab.ownership import owner_to_text
from lab.pytest_plugin import has_failed
from lab.testing.factory import Factory
from lab.testing.under_test import Done, LabUnderTest

ROOT = Path(__file__).resolve().parents[2]

__all__ = ["Done", "LabCommand"]


class LabCommand(LabUnderTest):
    """The plugin's lab, with the verdict as its JSON, and eyes of the suite's own for what is left on the engine."""

    def __init__(self, project: str) -> None:
        super().__init__(project=project, owner=owner_to_text(this_process(ROOT)))

    def roll(self, *words: str) -> Any:  # type: ignore[override]
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
def new_lab(request: pytest.FixtureRequest, lab_factory: Factory) -> Iterator[Callable[[str], LabCommand]]:
    """Makes labs that nobody else has, beginning with that name, and takes every one down at the end."""
    made: list[LabCommand] = []

    def make(name: str) -> LabCommand:
        lab = LabCommand(lab_factory.name(name))
        made.append(lab)
        return lab

    yield make
    for lab in made:
        lab.destroy(keep_runs=has_failed(request.node))
        assert lab.leftovers() == []


def assert_clean(verdict: Any) -> None:
    """Done, proved, and with something in flight at some retirement of every version that was retired.

    Whether the load was in time is the machine's affair where others run beside it: what it saw has to be right.
    """
    late = verdict["exit_code"] == 4 and {reason["id"] for reason in verdict["reasons"]} == {"schedule-lag"}
    told = json.dumps(verdict["drops"][:5] + verdict["reasons"], indent=1)
    assert late or (verdict["outcome"], verdict["exit_code"]) == ("pass", 0), told
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
