"""The engine adapter: Docker on one host. With lab/images the only importer of the Docker SDK.

Low-level calls only: `containers.list()` inspects each container (109 ms at 30), the plain list call does not (8 ms).
A container never started has no address and costs no budget; one that ended keeps its log until it is deleted.
"""

import asyncio
import io
import json
import re
import tarfile
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import docker
import requests
from docker.errors import APIError, DockerException, NotFound

from lab.endpoint import Endpoint
from lab.errors import EngineError
from lab.model import Container, Revision
from lab.ports import Seen

LABEL = "rollinglab."
_EXIT = re.compile(r"Exited \((\d+)\)")
_NUMBER_STRIDE = 1000
"""Compose's container numbers must be unique at all times: slot within the stride, generation above it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Static:
    """A container that Compose made: the database or the proxy."""

    service: str
    container_id: str
    running: bool
    ports: Mapping[int, int] = field(default_factory=dict)


class DockerEngine:
    """Containers of one project. Every call has a deadline; every failure is an EngineError."""

    def __init__(
        self,
        endpoint: Endpoint,
        *,
        project: str,
        compose_name: str,
        home: Path,
        secrets: Callable[[], Mapping[str, str]],
    ) -> None:
        tls: Any = False
        if endpoint.tls_dir:
            folder = endpoint.tls_dir
            tls = docker.tls.TLSConfig(
                ca_cert=str(folder / "ca.pem"), client_cert=(str(folder / "cert.pem"), str(folder / "key.pem"))
            )
        with _translated("connect"):
            self._api: Any = docker.DockerClient(base_url=endpoint.url, tls=tls, timeout=60, max_pool_size=32).api
        self._project = project
        self._compose_name = compose_name
        self._home = home
        self._secrets = secrets
        self.changed = asyncio.Event()

    # the port of the controller

    async def replicas(self) -> tuple[Seen, ...]:
        return await asyncio.to_thread(self.replicas_now)

    async def create(self, revision: Revision, *, name: str, slot: int, generation: int) -> str:
        return await asyncio.to_thread(self._create, revision, name, slot, generation)

    async def start(self, container_id: str) -> None:
        await asyncio.to_thread(self._call, "start", lambda: self._api.start(container_id))

    async def stop(self, container_id: str) -> Seen | None:
        return await asyncio.to_thread(self._stop, container_id)

    async def delete(self, container_id: str) -> None:
        await asyncio.to_thread(self.remove, container_id)

    async def logs(self, container_id: str, *, tail: int | None = None) -> bytes:
        return await asyncio.to_thread(self.logs_now, container_id, tail=tail)

    # the same, for those who need not await

    def replicas_now(self) -> tuple[Seen, ...]:
        rows = self._list({LABEL + "role": "replica"})
        return tuple(self._seen(row) for row in rows)

    def remove(self, container_id: str) -> None:
        with suppress(_GoneError):
            self._call("remove", lambda: self._api.remove_container(container_id, force=True, v=True))

    def logs_now(self, container_id: str, *, tail: int | None = None, stderr: bool = True) -> bytes:
        try:
            lines = tail if tail is not None else "all"
            raw: bytes = self._call(
                "logs", lambda: self._api.logs(container_id, stdout=True, stderr=stderr, tail=lines, stream=False)
            )
        except _GoneError:
            return b""
        return raw

    def static(self) -> dict[str, Static]:
        """The containers that Compose made for this project, by service."""
        rows = self._call(
            "list",
            lambda: self._api.containers(
                all=True, filters={"label": [f"com.docker.compose.project={self._compose_name}"]}
            ),
        )
        found = {}
        for row in rows:
            if LABEL + "role" in row["Labels"] or row["Labels"].get("com.docker.compose.service") in {None, "app"}:
                continue
            ports = {p["PrivatePort"]: p["PublicPort"] for p in row.get("Ports", []) if "PublicPort" in p}
            service = row["Labels"]["com.docker.compose.service"]
            found[service] = Static(
                service=service, container_id=row["Id"], running=row["State"] == "running", ports=ports
            )
        return found

    def home_of_others(self) -> str | None:
        """The checkout that this project's containers belong to, if it is not ours."""
        homes = {row["Labels"].get(LABEL + "home") for row in self._list({})} - {None, str(self._home)}
        return next(iter(sorted(str(h) for h in homes)), None)

    def take_template(self, service: str) -> dict[str, Any]:
        """Read the container that Compose made for us but did not start, and remove it."""
        rows = self._call(
            "list",
            lambda: self._api.containers(
                all=True,
                filters={
                    "label": [
                        f"com.docker.compose.project={self._compose_name}",
                        f"com.docker.compose.service={service}",
                    ],
                    "status": "created",
                },
            ),
        )
        ours = [row for row in rows if LABEL + "role" not in row["Labels"]]
        if not ours:
            raise EngineError(
                id="no-template", what=f"Compose made no container for service {service}", fix="lab doctor"
            )
        inspected: dict[str, Any] = self._call("inspect", lambda: self._api.inspect_container(ours[0]["Id"]))
        for row in ours:
            self.remove(row["Id"])
        return self._spec(inspected)

    def run_helper(self, *, name: str, role: str, body: dict[str, Any], labels: Mapping[str, str]) -> str:
        """Create and start a container of ours that no manifest names, such as the load's."""
        body = {**body, "Labels": {**labels, **self._labels(role)}}
        container: str = self._call("create", lambda: self._api.create_container_from_config(body, name))["Id"]
        self._call("start", lambda: self._api.start(container))
        return container

    def find_helper(self, role: str) -> tuple[str, bool] | None:
        rows = self._list({LABEL + "role": role})
        return (rows[0]["Id"], rows[0]["State"] == "running") if rows else None

    def follow(self, container_id: str) -> Iterator[bytes]:
        """Yield the lines of its stdout as they come, until it ends."""
        stream = self._call("logs", lambda: self._api.logs(container_id, stream=True, follow=True, stderr=False))
        rest = b""
        for chunk in stream:
            *lines, rest = (rest + chunk).split(b"\n")
            yield from lines

    def signal(self, container_id: str, name: str) -> None:
        with suppress(_GoneError, EngineError):
            self._call("kill", lambda: self._api.kill(container_id, signal=name))

    def exit_code(self, container_id: str) -> int | None:
        state = self._call("inspect", lambda: self._api.inspect_container(container_id))["State"]
        return None if state["Running"] else int(state["ExitCode"])

    def copy_out(self, container_id: str, path: str, into: Path) -> None:
        """Copy a folder out of a container's volume; it may have ended."""
        try:
            stream, _ = self._call("copy", lambda: self._api.get_archive(container_id, path))
        except _GoneError:
            return
        with tarfile.open(fileobj=io.BytesIO(b"".join(stream))) as archive:
            archive.extractall(into, filter="data")

    def image_id(self, image: str) -> str:
        try:
            return str(self._call("inspect image", lambda: self._api.inspect_image(image))["Id"])
        except _GoneError as error:
            raise EngineError(
                id="image-missing",
                what=f"there is no image {image}",
                fix="build or load it; `lab up` makes the lab's own",
            ) from error

    def sweep(self) -> int:
        """Remove everything that carries this project's labels: containers, then networks and volumes."""
        containers = self._list({})
        for row in containers:
            self.remove(row["Id"])
        label = {"label": [f"com.docker.compose.project={self._compose_name}"]}
        left = self._call("list", lambda: self._api.containers(all=True, filters=label))
        for row in left:
            self.remove(row["Id"])
        networks = self._call("list networks", lambda: self._api.networks(filters=label))
        for network in networks:
            self._call("remove network", partial(self._api.remove_network, network["Id"]))
        volumes = self._call("list volumes", lambda: self._api.volumes(filters=label))["Volumes"] or []
        for volume in volumes:
            self._call("remove volume", partial(self._api.remove_volume, volume["Name"], force=True))
        return len(containers) + len(left) + len(networks) + len(volumes)

    def watch(self, loop: asyncio.AbstractEventLoop) -> Callable[[], None]:
        """Set `changed` at every death of a container of ours. Returns what ends the watch."""
        events = self._api.events(
            decode=True,
            filters={"label": f"{LABEL}project={self._project}", "type": "container", "event": ["die", "oom"]},
        )

        def pump() -> None:
            with suppress(Exception):  # the stream ends when it is closed, in whatever way its transport likes
                for _ in events:
                    loop.call_soon_threadsafe(self.changed.set)

        threading.Thread(target=pump, name="engine-events", daemon=True).start()
        close: Callable[[], None] = events.close
        return close

    # inside

    def _create(self, revision: Revision, name: str, slot: int, generation: int) -> str:
        body = json.loads(self._fill_in(revision.spec))
        body["Env"] = [*(body.get("Env") or []), f"LAB_REPLICA={name}"]
        body["Labels"] = {
            **(body.get("Labels") or {}),
            "com.docker.compose.container-number": str((generation - 1) * _NUMBER_STRIDE + slot),
            **self._labels("replica"),
            LABEL + "replica": name,
            LABEL + "slot": str(slot),
            LABEL + "generation": str(generation),
            LABEL + "revision": str(revision.number),
            LABEL + "version": revision.version,
        }
        full_name = f"{self._compose_name}-{name}"
        try:
            made = self._call("create", lambda: self._api.create_container_from_config(body, full_name))
        except _ConflictError:  # an earlier attempt got this far
            return str(self._call("inspect", lambda: self._api.inspect_container(full_name))["Id"])
        except _GoneError as error:
            raise EngineError(id="image-missing", what=f"there is no image {body['Image']}", fix="lab up") from error
        return str(made["Id"])

    def _stop(self, container_id: str) -> Seen | None:
        try:
            grace = self._api.inspect_container(container_id)["Config"]["Labels"].get(LABEL + "stop-grace", "10")
            self._call("stop", lambda: self._api.stop(container_id, timeout=round(float(grace))))
        except (_GoneError, NotFound):
            return None
        return next((seen for seen in self.replicas_now() if seen.container_id == container_id), None)

    def _spec(self, inspected: dict[str, Any]) -> dict[str, Any]:
        """What makes another container like this one: Config, HostConfig and the networks, without its identity."""
        config = dict(inspected["Config"])
        own = {inspected["Id"][:12], inspected["Name"].lstrip("/")}
        if config.get("Hostname") in own:
            config.pop("Hostname")
        networks = {
            name: {"Aliases": [a for a in (network.get("Aliases") or []) if a not in own]}
            for name, network in inspected["NetworkSettings"]["Networks"].items()
        }
        config["HostConfig"] = inspected["HostConfig"]
        config["NetworkingConfig"] = {"EndpointsConfig": networks}
        return config

    def conceal(self, spec: dict[str, Any]) -> str:
        """The spec as text, with names in the place of secrets: it goes into the journal."""
        text = json.dumps(spec, sort_keys=True)
        for key, value in self._secrets().items():
            text = text.replace(value, f"${{secret:{key}}}")
        return text

    def _fill_in(self, text: str) -> str:
        for key, value in self._secrets().items():
            text = text.replace(f"${{secret:{key}}}", value)
        return text

    def _labels(self, role: str) -> dict[str, str]:
        return {LABEL + "project": self._project, LABEL + "home": str(self._home), LABEL + "role": role}

    def _list(self, labels: Mapping[str, str]) -> list[dict[str, Any]]:
        wanted = [f"{LABEL}project={self._project}", *(f"{key}={value}" for key, value in labels.items())]
        rows: list[dict[str, Any]] = self._call(
            "list", lambda: self._api.containers(all=True, filters={"label": wanted})
        )
        return rows

    def _seen(self, row: dict[str, Any]) -> Seen:
        labels, state = row["Labels"], _STATES.get(row["State"], Container.EXITED)
        networks = row.get("NetworkSettings", {}).get("Networks", {})
        ip = next((network["IPAddress"] for network in networks.values() if network.get("IPAddress")), "")
        exited = _EXIT.search(row.get("Status", ""))
        return Seen(
            name=labels[LABEL + "replica"],
            slot=int(labels[LABEL + "slot"]),
            generation=int(labels[LABEL + "generation"]),
            revision=int(labels[LABEL + "revision"]),
            version=labels[LABEL + "version"],
            container=state,
            container_id=row["Id"],
            address=ip,
            exit_code=int(exited[1]) if exited else None,
            oom=state is Container.EXITED and self._out_of_memory(row["Id"]),
        )

    def _out_of_memory(self, container_id: str) -> bool:
        try:
            return bool(self._call("inspect", lambda: self._api.inspect_container(container_id))["State"]["OOMKilled"])
        except _GoneError:
            return False

    def _call(self, what: str, call: Callable[[], Any]) -> Any:
        with _translated(what):
            return call()


_STATES = {
    "created": Container.CREATED,
    "running": Container.RUNNING,
    "paused": Container.RUNNING,
    "restarting": Container.RUNNING,
}


class _GoneError(EngineError):
    """404: what was asked for is not there."""


class _ConflictError(EngineError):
    """409: something of that name is already there, or it is in another state."""


@contextmanager
def _translated(what: str) -> Iterator[None]:
    try:
        yield
    except NotFound as error:
        raise _GoneError(id="engine", what=f"Docker: {what}: {error.explanation}") from error
    except APIError as error:
        kind = _ConflictError if error.status_code == requests.codes.conflict else EngineError
        raise kind(id="engine", what=f"Docker: {what}: {error.explanation or error}", fix="lab doctor") from error
    except (DockerException, requests.exceptions.RequestException) as error:
        raise EngineError(
            id="docker-unreachable", what=f"Docker does not answer: {what}: {error}", fix="lab doctor"
        ) from error
