"""Puts a lab together from its parts: which engine, which images, which secrets, which proxy."""

import os
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from lab import images
from lab.chosen import Chosen, chosen_of, owner_of
from lab.compose import Compose, ensure_flavour, write_added
from lab.database import Database
from lab.docker_client import DockerClient
from lab.docker_engine import DockerEngine
from lab.docker_host import DockerHost
from lab.endpoint import Endpoint, resolve
from lab.errors import LabError
from lab.folds import History, history_of
from lab.images import Images, Part
from lab.journal import SqliteJournal
from lab.manifest import Manifest, read_manifest
from lab.migrate import ChangePlan, read_plan
from lab.project import Project, Secrets, ensure_port, ensure_secrets

if TYPE_CHECKING:
    from lab.gateway import ProxyGateway

ADMIN_PORT, DATABASE_PORT = 9000, 5432
PLAN_VARIABLE = "LAB_SCHEMA_PLAN"


@dataclass(frozen=True, kw_only=True)
class Lab:
    """One project's adapters, each made when it is first needed."""

    project: Project
    asked: Chosen | None = None
    """The manifest that this command asks for; else the one that the project was started with."""

    @cached_property
    def chosen(self) -> Chosen:
        return self.asked or chosen_of(self.project)

    @cached_property
    def manifest(self) -> Manifest:
        return read_manifest(self.chosen.path, self.chosen.said)

    @cached_property
    def plan(self) -> ChangePlan | None:
        """Read anew by each command, and its SQL with it. `LAB_SCHEMA_PLAN` names another than the manifest does."""
        named = os.environ.get(PLAN_VARIABLE)
        path = Path(named).resolve() if named else self.manifest.schema_plan
        return read_plan(path) if path else None

    @cached_property
    def secrets(self) -> Secrets:
        return ensure_secrets(self.project)

    @cached_property
    def port(self) -> int:
        return ensure_port(self.project)

    @cached_property
    def endpoint(self) -> Endpoint:
        return resolve(os.environ, Path.home())

    @property
    def owner(self) -> str | None:
        """The process that this lab belongs to, if it is not to outlive it."""
        return owner_of(self.project, os.environ)

    @cached_property
    def docker(self) -> DockerClient:
        project = self.project
        return DockerClient(
            self.endpoint,
            project=project.name,
            compose_name=project.compose_name,
            home=project.home,
            owner=self.owner,
        )

    @cached_property
    def engine(self) -> DockerEngine:
        return DockerEngine(self.docker, lambda: asdict(self.secrets))

    @cached_property
    def host(self) -> DockerHost:
        return DockerHost(self.docker)

    @cached_property
    def journal(self) -> SqliteJournal:
        return SqliteJournal(self.project.journal)

    def history(self) -> History:
        return history_of(self.journal.events())

    def environ(self, made: Images | None) -> dict[str, str]:
        """What Compose fills the manifest's variables from."""
        return {**os.environ, "DOCKER_HOST": self.endpoint.url, **self._interpolation(made)}

    def compose(self, made: Images | None) -> Compose:
        environ, folder, manifest = self.environ(made), self.project.folder / "compose", self.manifest
        return Compose(
            flavour=ensure_flavour(folder, environ),
            project=self.project.compose_name,
            manifest=manifest.path,
            added=write_added(manifest.path, manifest.around, folder, shipped=self.project.added, owner=self.owner),
            folder=folder,
            environ=environ,
        )

    def ensure_images(self, progress: images.Progress = images.silent) -> Images:
        """The lab's own images, those that this manifest has no use for left out."""
        around = self.manifest.around
        if not around.own:
            return images.ensure_all(progress)
        return images.ensure_some(frozenset({Part.PROXY, Part.LOAD}), progress)

    def port_of(self, service: str, port: int) -> int:
        """Where a port of the database's or the proxy's container is published. LabError `lab-not-up` if it is not."""
        there = self.host.static()
        static = there.get(service)
        if static is None or not static.running:
            raise not_up(self.project, f"{service} does not run" if there else "it has no containers")
        if port not in static.ports:
            raise not_up(self.project, f"{service} publishes no port {port}")
        return static.ports[port]

    def gateway(self) -> "ProxyGateway":
        from lab.gateway import ProxyGateway  # aiohttp is much to import, and not every command speaks to the proxy

        return ProxyGateway(f"http://127.0.0.1:{self.port_of('proxy', ADMIN_PORT)}", self.secrets.admin_token)

    def database(self) -> Database:
        """LabError `no-database` where the manifest is somebody's own: the lab has none there."""
        if not self.manifest.around.has_database:
            what = f"{self.manifest.path.name} has no database of the lab's: there is no schema of it to look after"
            raise LabError(id="no-database", what=what, fix="migrate it by your own means, before or after the roll")
        port = self.port_of("db", DATABASE_PORT)
        return Database(port=port, password=self.secrets.db_password, inside=self._in_database)

    def _in_database(self, argv: Sequence[str]) -> tuple[int, str]:
        return self.docker.run_inside(self.host.static()["db"].container_id, argv)

    def refuse_another_checkout(self) -> None:
        """P8: one lab, one checkout."""
        if other := self.docker.home_of_others():
            raise LabError(
                id="other-checkout",
                what=f"the lab {self.project.name!r} on this engine belongs to another checkout: {other}",
                fix=f"use it from there, or start one of your own: --project NAME (or lab down in {other})",
            )

    def _interpolation(self, made: Images | None) -> Mapping[str, str]:
        names = made or Images(python="-", postgres="-", proxy="-", app="-", load="-")
        return {
            "LAB_POSTGRES_IMAGE": names.postgres,
            "LAB_PROXY_IMAGE": names.proxy,
            "LAB_APP_IMAGE": names.app,
            "LAB_DB_PASSWORD": self.secrets.db_password,
            "LAB_ADMIN_TOKEN": self.secrets.admin_token,
            "LAB_PORT": str(self.port),
        }


def not_up(project: Project, why: str) -> LabError:
    name = "" if project.name == "default" else f" --project {project.name}"
    return LabError(id="lab-not-up", what=f"the lab {project.name!r} is not up: {why}", fix=f"lab up{name}")
