"""The matrix's own containers: a database server that is thrown away, and one container for each cell.

They are made as Compose would make them from the manifest, so every key of it is honoured: a Compose project of their
own makes one template of each, from which they are cloned. They carry the project's labels: `lab down` finds them, and
the next run removes what a killed one left.
"""

import hashlib
import json
import os
import re
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from lab.compat.scratch import scratch
from lab.compose import Compose
from lab.docker_client import ConflictError, DockerClient, GoneError
from lab.docker_host import templates_of
from lab.errors import EngineError, LabError
from lab.manifest import Manifest, Version
from lab.replica_spec import conceal, reveal, spec_of

ROLE = "compat"
DATABASE_PORT = 5432
USER = NAME = "lab"
"""Of the matrix's database server; its password is the lab's."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Cell:
    """A container that runs. `port`: where on 127.0.0.1 it is reached; `address`: on the network of the matrix."""

    name: str
    container_id: str
    port: int
    address: str


class Containers:
    """All that one run of the matrix has on the engine. `secrets` do not stand in what is kept of the templates."""

    def __init__(self, docker: DockerClient, *, secrets: Mapping[str, str], folder: Path) -> None:
        self._docker = docker
        self._secrets = secrets
        self._folder = folder
        self.network = f"{docker.compose_name}_compat"

    def sweep(self) -> None:
        """Remove what a run has left, this one or one before."""
        for row in self._docker.ours(role=ROLE):
            self._docker.remove(row["Id"])
        with suppress(EngineError):
            self._docker.call("remove network", lambda: self._docker.api.remove_network(self.network))

    def make_network(self) -> None:
        # counted to the project as Compose's own are, so that `lab down` finds it
        labels = {"com.docker.compose.project": self._docker.compose_name, **self._docker.labels(ROLE)}
        docker = self._docker
        docker.call("network", lambda: docker.api.create_network(self.network, driver="bridge", labels=labels))

    def image_id(self, image: str) -> str:
        try:
            return str(self._docker.call("inspect image", lambda: self._docker.api.inspect_image(image))["Id"])
        except GoneError as error:
            fix = "build or load it; `lab up` makes the lab's own"
            raise EngineError(id="image-missing", what=f"there is no image {image}", fix=fix) from error

    # templates

    def templates(
        self,
        manifest: Manifest,
        versions: Sequence[Version],
        environ: Mapping[str, str],
        compose: Callable[[], Compose],
    ) -> dict[str, dict[str, Any]]:
        """The spec of the database's container, under "db", and of each version's; kept until the manifest changes.

        `compose` is called where nothing is kept: to ask for its flavour alone is to start a program.
        """
        file = self._written(manifest, versions)
        variables = sorted((key, value) for key, value in environ.items() if key.startswith("LAB_"))
        own = hashlib.sha256(json.dumps([file.read_text(), variables]).encode()).hexdigest()[:24]
        kept = self._folder / f"templates-{own}.json"
        if kept.exists() and not _looks_elsewhere(file):
            found: dict[str, dict[str, Any]] = json.loads(reveal(kept.read_text(), self._secrets))
            return found
        found = self._made(compose(), file, ["db", *(service_of(v) for v in versions)], manifest)
        for old in self._folder.glob("templates-*.json"):
            old.unlink(missing_ok=True)
        kept.write_text(conceal(found, self._secrets))
        return found

    def _written(self, manifest: Manifest, versions: Sequence[Version]) -> Path:
        """A Compose file of the database and of one service for each version, and nothing that starts."""
        document = yaml.safe_load(manifest.path.read_text(encoding="utf-8"))
        services = document["services"]
        if "db" not in services:
            raise LabError(
                id="compat-no-db", what="the manifest has no service db", where=str(manifest.path), fix="name it db"
            )
        made = {"db": _plain(services["db"])}
        for version in versions:
            body = _plain(services[manifest.service])
            body["environment"] = {**_mapping(body.get("environment")), **version.environment}
            body["environment"]["LAB_VERSION"] = version.name
            if version.image:
                body["image"] = version.image
            made[service_of(version)] = body
        for body in made.values():  # so that `lab down` finds what a killed run has left of them
            body["labels"] = {**_mapping(body.get("labels")), **self._docker.labels(ROLE)}
        self._folder.mkdir(parents=True, exist_ok=True)
        file = self._folder / "manifest.yaml"
        file.write_text(yaml.safe_dump({**document, "services": made}, sort_keys=False))
        return file

    def _made(self, compose: Compose, file: Path, services: list[str], manifest: Manifest) -> dict[str, dict[str, Any]]:
        name = templates_of(compose.project)
        own = Compose(
            flavour=compose.flavour,
            project=name,
            manifest=file,
            folder=self._folder,
            environ=compose.environ,
            directory=manifest.path.parent,
        )
        try:
            own.make_all(services)
            found: dict[str, dict[str, Any]] = {}
            for row in self._docker.rows(label=[f"com.docker.compose.project={name}"]):
                service = row["Labels"]["com.docker.compose.service"]
                found[service] = spec_of(self._docker.inspect(row["Id"]))
            return found
        finally:
            own.down()

    # containers

    def start_database(self, spec: Mapping[str, Any], *, memory: int) -> Cell:
        """Start the server. It keeps its data while it runs: in so many MiB of memory, or with 0 on the disk."""
        account = {"user": USER, "password": self._secrets["db_password"], "db": NAME}
        body = self._body(scratch(spec, memory=memory, account=account), alias="db", port=DATABASE_PORT)
        return self._run(body, "compat-db", DATABASE_PORT, {})

    def must_run(self, cell: Cell) -> None:
        """LabError `compat-server` where it does not: nothing can come of waiting for it."""
        if how := self.ended(cell):
            raise LabError(
                id="compat-server",
                what=f"the matrix's database server does not run: {how}",
                where=self.log(cell),
                fix="the service db of the manifest: its image, command and environment",
            )

    def start(self, spec: Mapping[str, Any], *, name: str, port: int, environ: Mapping[str, str]) -> Cell:
        body = self._body(spec, alias=name, port=port)
        kept = [one for one in body.get("Env") or [] if one.partition("=")[0] not in environ]
        body["Env"] = [*kept, *(f"{key}={value}" for key, value in environ.items()), f"LAB_REPLICA={name}"]
        return self._run(body, f"compat-{name}", port, {})

    def stop(self, cell: Cell) -> None:
        """In order, so that what it holds in the database is given back at once."""
        with suppress(EngineError):
            self._docker.call("stop", lambda: self._docker.api.stop(cell.container_id, timeout=5))
        self._docker.remove(cell.container_id)

    def remove(self, cell: Cell) -> None:
        self._docker.remove(cell.container_id)

    def ended(self, cell: Cell) -> str:
        """How it ended, and its last lines; "" while it runs."""
        try:
            state = self._docker.inspect(cell.container_id)["State"]
        except GoneError:
            return "it was removed"
        return "" if state["Running"] else f"it ended with exit code {state['ExitCode']}"

    def log(self, cell: Cell, lines: int = 8) -> str:
        return self._docker.logs(cell.container_id, tail=lines).decode(errors="replace").strip()

    def _body(self, spec: Mapping[str, Any], *, alias: str, port: int) -> dict[str, Any]:
        """The template on the matrix's network, with a port on 127.0.0.1 of its own, and without Compose's labels."""
        body: dict[str, Any] = json.loads(json.dumps(spec))
        labels = {k: v for k, v in (body.get("Labels") or {}).items() if not k.startswith("com.docker.compose.")}
        body["Labels"] = {**labels, **self._docker.labels(ROLE)}
        body["NetworkingConfig"] = {"EndpointsConfig": {self.network: {"Aliases": [alias]}}}
        body["ExposedPorts"] = {f"{port}/tcp": {}}
        host = body["HostConfig"]
        host["NetworkMode"] = self.network
        host["PortBindings"] = {f"{port}/tcp": [{"HostIp": "127.0.0.1", "HostPort": ""}]}
        host["RestartPolicy"] = {"Name": "no"}
        return body

    def _run(self, body: dict[str, Any], name: str, port: int, labels: Mapping[str, str]) -> Cell:
        docker, full = self._docker, f"{self._docker.compose_name}-{name}"
        body = {**body, "Labels": {**body["Labels"], **labels}}
        try:
            made: str = docker.call("create", lambda: docker.api.create_container_from_config(body, full))["Id"]
        except ConflictError as error:
            raise LabError(
                id="compat-runs",
                what=f"there is a container {full} already: another `lab compat` of this project is at work",
                fix="wait for it, or use another --project",
            ) from error
        docker.call("start", lambda: docker.api.start(made))
        return self._reached(full, made, port)

    def _reached(self, name: str, container: str, port: int) -> Cell:
        inspected = self._docker.inspect(container)
        networks = inspected["NetworkSettings"]
        published = (networks.get("Ports") or {}).get(f"{port}/tcp") or []
        address = networks["Networks"].get(self.network, {}).get("IPAddress", "")
        found = int(published[0]["HostPort"]) if published else 0
        return Cell(name=name, container_id=container, port=found, address=address)


@contextmanager
def containers(
    docker: DockerClient, *, secrets: Mapping[str, str], folder: Path, told: Callable[[str], None]
) -> Iterator[Containers]:
    """All of a run's containers; none is left. What an earlier run left is removed first."""
    made = Containers(docker, secrets=secrets, folder=folder)
    with _alone(folder):
        left = len(docker.ours(role=ROLE))
        if left:
            told(f"removes {left} containers that an earlier run left")
        made.sweep()
        made.make_network()
        try:
            yield made
        finally:
            made.sweep()


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """One matrix at a time of a project: a second one would take the first one's containers for leftovers."""
    import fcntl

    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "running").open("a+") as file:
        deadline = time.monotonic() + 1.0
        while True:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except OSError as error:
                if time.monotonic() > deadline:
                    file.seek(0)
                    raise LabError(
                        id="compat-runs",
                        what=f"another `lab compat` of this project is at work: process {file.read().strip()}",
                        fix="wait for it, or use another --project",
                    ) from error
                time.sleep(0.05)
        file.truncate(0)
        file.write(str(os.getpid()))
        file.flush()
        yield


def service_of(version: Version) -> str:
    return "v-" + re.sub(r"[^a-z0-9]+", "-", version.name.lower())


def _plain(service: Mapping[str, Any]) -> dict[str, Any]:
    """Without what binds it to other services, or to a number of replicas."""
    left = {"depends_on", "links", "ports", "deploy", "scale", "profiles", "x-lab", "container_name", "networks"}
    return {key: value for key, value in service.items() if key not in left}


def _mapping(environment: object) -> dict[str, Any]:
    if isinstance(environment, list):
        pairs = (str(one).partition("=") for one in environment)
        return {key: value if mark else None for key, mark, value in pairs}
    return dict(environment) if isinstance(environment, dict) else {}


def _looks_elsewhere(file: Path) -> bool:
    """It names files whose contents are not in it, so what is kept of it could be stale."""
    text = file.read_text()
    return "env_file:" in text or "extends:" in text
