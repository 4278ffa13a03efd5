"""What of a lab is not a replica: Compose's containers, the load's, images, and all that `lab down` removes."""

import io
import tarfile
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from lab.docker_client import LABEL, DockerClient, GoneError, check_of
from lab.errors import EngineError
from lab.model import Check
from lab.replica_spec import spec_of

IMAGE_USER = 10001
REMOVED_AT_ONCE = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class Static:
    """A container that Compose made, such as the proxy. `ports`: container's port -> port on 127.0.0.1.

    `done`: it ended well by itself. `health`: as Docker says it, None where there is no check.
    """

    service: str
    container_id: str
    running: bool
    done: bool = False
    health: Check | None = None
    ports: Mapping[int, int] = field(default_factory=dict)


class DockerHost:
    """One project's share of an engine."""

    def __init__(self, docker: DockerClient) -> None:
        self._docker = docker

    def static(self) -> dict[str, Static]:
        """The containers that Compose made for this project, by service."""
        rows = [row for row in self._docker.of_compose() if LABEL + "role" not in row["Labels"]]
        static = (_static(row) for row in rows)
        return {one.service: one for one in static}

    def count(self, service: str) -> int:
        """How many containers Compose counts to a service: ours, and those that somebody let it make."""
        rows = self._docker.of_compose(service)
        return sum(row["Labels"].get("com.docker.compose.oneoff") != "True" for row in rows)

    def strangers(self, service: str) -> dict[str, str]:
        """What stands beside the replicas because somebody let Compose make it: container's name -> id."""
        rows = [row for row in self._docker.of_compose(service) if LABEL + "role" not in row["Labels"]]
        return {
            str(row["Names"][0]).lstrip("/"): str(row["Id"])
            for row in rows
            if row["Labels"].get("com.docker.compose.oneoff") != "True"
        }

    def take_template(self, service: str) -> dict[str, Any]:
        """The spec of the container that Compose made for us but did not start; the container is removed."""
        made = self._docker.of_compose(status="created")
        ours = [
            row["Id"]
            for row in made
            if LABEL + "role" not in row["Labels"] and row["Labels"].get("com.docker.compose.service") == service
        ]
        if not ours:
            raise EngineError(
                id="no-template", what=f"Compose made no container for service {service}", fix="lab doctor"
            )
        spec = spec_of(self._docker.inspect(ours[0]))
        for container in ours:
            self._docker.remove(container)
        return spec

    def image_id(self, image: str) -> str:
        try:
            return str(self._docker.call("inspect image", lambda: self._docker.api.inspect_image(image))["Id"])
        except GoneError as error:
            fix = "build or load it; `lab up` makes the lab's own"
            raise EngineError(id="image-missing", what=f"there is no image {image}", fix=fix) from error

    def run(
        self,
        *,
        name: str,
        role: str,
        body: dict[str, Any],
        labels: Mapping[str, str],
        into: str = "",
        files: Mapping[str, bytes] | None = None,
    ) -> str:
        """Create and start a container of ours that no manifest names, such as the load's.

        `files` are there before it starts, each in a folder of its own in the volume at `into`.
        """
        docker = self._docker
        body = {**body, "Labels": {**labels, **docker.labels(role)}}
        container: str = docker.call("create", lambda: docker.api.create_container_from_config(body, name))["Id"]
        if files:
            packed = _packed(files)
            docker.call("copy", lambda: docker.api.put_archive(container, into, packed))
        docker.call("start", lambda: docker.api.start(container))
        return container

    def find(self, role: str, **labels: str) -> str | None:
        """The container with that role and those labels, running or not."""
        rows = self._docker.ours(role=role, **labels)
        return str(rows[0]["Id"]) if rows else None

    def remove(self, container_id: str) -> None:
        self._docker.remove(container_id)

    def logs(self, container_id: str, *, tail: int | None = None) -> bytes:
        return self._docker.logs(container_id, tail=tail)

    def follow(self, container_id: str, *, stderr: bool = False, tail: int | None = None) -> Iterator[bytes]:
        """Yield the lines of its stdout, or of both, as they come, until it ends."""
        docker, rest, last = self._docker, b"", "all" if tail is None else tail
        chunks = docker.call(
            "logs", lambda: docker.api.logs(container_id, stream=True, follow=True, stderr=stderr, tail=last)
        )
        for chunk in chunks:
            *lines, rest = (rest + chunk).split(b"\n")
            yield from lines

    def signal(self, container_id: str, name: str) -> None:
        """Send a signal; a container that has ended needs none."""
        with suppress(EngineError):
            self._docker.call("kill", lambda: self._docker.api.kill(container_id, signal=name))

    def copy_out(self, container_id: str, path: str, into: Path) -> None:
        """Copy a folder out of a container's volume; it may have ended. Nothing there: nothing copied."""
        try:
            stream, _ = self._docker.call("copy", lambda: self._docker.api.get_archive(container_id, path))
        except GoneError:
            return
        with tarfile.open(fileobj=io.BytesIO(b"".join(stream))) as archive:
            archive.extractall(into, filter="data")

    def remains(self) -> list[dict[str, Any]]:
        """The containers of this project, as rows of the plain list."""
        rows = {row["Id"]: row for row in [*self._docker.ours(), *self._docker.of_compose()]}
        return list(rows.values())

    def everybody(self) -> list[dict[str, Any]]:
        """All containers of the engine, whoever made them."""
        return self._docker.rows()

    def nameless_images(self) -> list[dict[str, Any]]:
        filters = {"dangling": True}
        found: list[dict[str, Any]] = self._docker.call("list images", lambda: self._docker.api.images(filters=filters))
        return found

    def own_images(self) -> list[dict[str, Any]]:
        """Those with our label, whatever they are called, as rows of the plain list."""
        label = {"label": [f"{LABEL}part"]}
        found: list[dict[str, Any]] = self._docker.call("list images", lambda: self._docker.api.images(filters=label))
        return found

    def remove_image(self, image: str) -> bool:
        """Whether it is gone; what another image or a container stands on stays."""
        try:
            self._docker.call("remove image", lambda: self._docker.api.remove_image(image))
        except EngineError as error:
            return isinstance(error, GoneError)
        return True

    def sweep(self) -> int:
        """Remove everything that carries this project's labels: containers, then networks and volumes."""
        return self._sweep(self._docker.compose_name, [row["Id"] for row in self.remains()])

    def sweep_lab(self, compose_name: str) -> int:
        """The same of another lab, by the name that Compose knows it by."""
        rows = self._docker.rows(label=[f"com.docker.compose.project={compose_name}"])
        rows += self._docker.rows(label=[f"{LABEL}project={compose_name.removeprefix('lab-')}"])
        return self._sweep(compose_name, list({row["Id"] for row in rows}))

    def _sweep(self, compose_name: str, containers: list[str]) -> int:
        docker = self._docker
        with ThreadPoolExecutor(REMOVED_AT_ONCE) as pool:
            list(pool.map(docker.remove, containers))
        return len(containers) + sum(self._sweep_project(name) for name in (compose_name, templates_of(compose_name)))

    def _sweep_project(self, compose_name: str) -> int:
        docker = self._docker
        label = {"label": [f"com.docker.compose.project={compose_name}"]}
        networks = docker.call("list networks", lambda: docker.api.networks(filters=label))
        for network in networks:
            docker.call("remove network", partial(docker.api.remove_network, network["Id"]))
        volumes = docker.call("list volumes", lambda: docker.api.volumes(filters=label))["Volumes"] or []
        for volume in volumes:
            docker.call("remove volume", partial(docker.api.remove_volume, volume["Name"], force=True))
        return len(networks) + len(volumes)


def templates_of(compose_name: str) -> str:
    """The Compose project in which templates are made that are no replicas; no lab can be called so."""
    return f"labcompat-{compose_name.removeprefix('lab-')}"


def _packed(files: Mapping[str, bytes]) -> bytes:
    """As a tar archive, of the user that the lab's images run as."""
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as archive:
        for path, content in files.items():
            folder = tarfile.TarInfo(str(Path(path).parent))
            folder.type, folder.mode = tarfile.DIRTYPE, 0o755
            file = tarfile.TarInfo(path)
            file.size, file.mode = len(content), 0o644
            for member in (folder, file):
                member.uid = member.gid = IMAGE_USER
            archive.addfile(folder)
            archive.addfile(file, io.BytesIO(content))
    return packed.getvalue()


def _static(row: Mapping[str, Any]) -> Static:
    ports = {port["PrivatePort"]: port["PublicPort"] for port in row.get("Ports", []) if "PublicPort" in port}
    service = row["Labels"].get("com.docker.compose.service", "")
    status = row.get("Status", "")
    return Static(
        service=service,
        container_id=row["Id"],
        running=row["State"] == "running",
        done=row["State"] == "exited" and status.startswith("Exited (0)"),
        health=check_of(row),
        ports=ports,
    )
