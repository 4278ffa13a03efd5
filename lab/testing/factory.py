"""Makes labs that belong to this process, and removes those whose process is gone."""

import json
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

from lab.assembly import Lab
from lab.chosen import is_kept, keep
from lab.docker_client import DockerClient
from lab.errors import LabError
from lab.janitor import sweep_orphans
from lab.lease import this_process
from lab.ownership import PREFIX, owner_to_text
from lab.project import Project, checkout, project_at
from lab.testing.under_test import LabUnderTest, Wanted, folder_name, project_name


@dataclass(kw_only=True)
class Factory:
    """`worker` is xdist's name for this process, empty without it."""

    worker: str = ""
    made: list[LabUnderTest] = field(default_factory=list)

    def missing(self) -> str:
        """What keeps a lab from being made here, and how to mend it; nothing if nothing does."""
        try:
            with self._docker() as docker:
                docker.rows(label=["rollinglab.none"])
        except LabError as error:
            return "; ".join(part for part in (error.what, error.where, error.fix) if part)
        return ""

    def tidy(self) -> list[str]:
        """Remove the labs of test runs that were killed. Never one whose process lives, or of another host."""
        with self._docker() as docker:
            return sweep_orphans(docker, kept=lambda name: is_kept(_project(name.removeprefix(PREFIX))))

    def keep(self, lab: LabUnderTest) -> None:
        """Let it outlive this process, until somebody takes it down."""
        keep(_project(lab.project))

    def name(self, stem: str = "t") -> str:
        """A project's that no other test, worker or run has."""
        return project_name(stem, self.worker)

    def make(self, asked: Mapping[str, Any], *, rate: float | None = None) -> LabUnderTest:
        """One that is not up yet, under a name that nobody else has. ValueError for a word that no marker knows."""
        known = {one.name for one in fields(Wanted)}
        if unknown := sorted(set(asked) - known):
            raise ValueError(f"marker lab: there is no {unknown[0]}; there are {', '.join(sorted(known))}")
        wanted = Wanted(**{"rate": rate, **asked})
        made = LabUnderTest(project=self.name(), owner=owner_to_text(this_process(checkout())), wanted=wanted)
        self.made.append(made)
        return made

    def keep_artifacts(self, lab: LabUnderTest, into: Path, node: str) -> None:
        """A folder for the test, one in it for each run, and an index that says which is whose."""
        folder = into / folder_name(node)
        folder.mkdir(parents=True, exist_ok=True)
        runs = [path.name for path in lab.keep_artifacts(folder)]
        (folder / "test.json").write_text(json.dumps({"test": node, "project": lab.project, "runs": runs}) + "\n")

    @contextmanager
    def _docker(self) -> Iterator[DockerClient]:
        docker = Lab(project=_project("default")).docker
        with closing(docker.api):
            yield docker


def _project(name: str) -> Project:
    return project_at(checkout(), name)
