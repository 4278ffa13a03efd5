"""One connection to Docker for one project: labels, plain lists, and every failure as an EngineError.

With its neighbours docker_engine and docker_host, and lab/images, the only importer of the Docker SDK. Low-level
calls only: `containers.list()` inspects each container (109 ms at 30), the plain list call does not (8 ms).
"""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import docker
import requests
from docker.errors import APIError, DockerException, NotFound

from lab.endpoint import Endpoint
from lab.errors import EngineError
from lab.model import Check
from lab.ownership import LABEL as OWNER

LABEL = "rollinglab."
CALL_SECONDS = 60
_CHECK = re.compile(r"\((?:health: )?(starting|healthy|unhealthy)\)")


class GoneError(EngineError):
    """404: what was asked for is not there."""


class ConflictError(EngineError):
    """409: something of that name is already there, or it is in another state."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EngineVersion:
    """`memory` in bytes: what containers may have together."""

    engine: str
    api: str
    memory: int
    processors: int


class DockerClient:
    """`api` is the SDK's low-level client; use it inside `call`."""

    def __init__(
        self, endpoint: Endpoint, *, project: str, compose_name: str, home: Path, owner: str | None = None
    ) -> None:
        tls: Any = False
        if endpoint.tls_dir:
            folder = endpoint.tls_dir
            tls = docker.tls.TLSConfig(
                ca_cert=str(folder / "ca.pem"), client_cert=(str(folder / "cert.pem"), str(folder / "key.pem"))
            )
        with _translated("connect"):
            connection = docker.DockerClient(base_url=endpoint.url, tls=tls, timeout=CALL_SECONDS, max_pool_size=32)
        self.api: Any = connection.api
        self.project = project
        self.compose_name = compose_name
        self._home = str(home)
        self._owner = owner

    def call(self, what: str, call: Callable[[], Any]) -> Any:
        with _translated(what):
            return call()

    def version(self) -> EngineVersion:
        about, it = self.call("version", self.api.version), self.call("info", self.api.info)
        return EngineVersion(
            engine=str(about["Version"]),
            api=str(about["ApiVersion"]),
            memory=int(it["MemTotal"]),
            processors=int(it["NCPU"]),
        )

    def labels(self, role: str) -> dict[str, str]:
        labels = {LABEL + "project": self.project, LABEL + "home": self._home, LABEL + "role": role}
        return labels | ({OWNER: self._owner} if self._owner else {})

    def ours(self, **labels: str) -> list[dict[str, Any]]:
        """The containers that carry this project's labels, as rows of the plain list."""
        wanted = [f"{LABEL}project={self.project}", *(f"{LABEL}{key}={value}" for key, value in labels.items())]
        return self.rows(label=wanted)

    def of_compose(self, service: str | None = None, **filters: str) -> list[dict[str, Any]]:
        """The containers that Compose counts to this project, ours included."""
        labels = [f"com.docker.compose.project={self.compose_name}"]
        labels += [f"com.docker.compose.service={service}"] if service else []
        return self.rows(label=labels, **filters)

    def rows(self, **filters: str | list[str]) -> list[dict[str, Any]]:
        rows: list[dict[str, Any]] = self.call("list", lambda: self.api.containers(all=True, filters=filters))
        return rows

    def inspect(self, container: str) -> dict[str, Any]:
        inspected: dict[str, Any] = self.call("inspect", lambda: self.api.inspect_container(container))
        return inspected

    def home_of_others(self) -> str | None:
        """The checkout that this project's containers belong to, if it is not ours."""
        homes = {row["Labels"].get(LABEL + "home") for row in self.ours()} - {None, self._home}
        return next(iter(sorted(str(home) for home in homes)), None)

    def remove(self, container_id: str) -> None:
        """Remove a container in whatever state; absent is success."""
        with suppress(GoneError):
            self.call("remove", lambda: self.api.remove_container(container_id, force=True, v=True))

    def connect(self, container_id: str, network: str, endpoint: Mapping[str, Any]) -> None:
        """Attach it to one more network, as `endpoint` says: the engine's own words."""
        links = [tuple(link.split(":", 1)) for link in endpoint.get("Links", ())]
        self.call(
            "connect",
            lambda: self.api.connect_container_to_network(
                container_id,
                network,
                aliases=endpoint.get("Aliases"),
                links=links or None,
                link_local_ips=endpoint.get("IPAMConfig", {}).get("LinkLocalIPs"),
                driver_opt=endpoint.get("DriverOpts"),
            ),
        )

    def run_inside(self, container_id: str, argv: Sequence[str]) -> tuple[int, str]:
        """Run a command in a running container to its end: (its exit code, its stdout and stderr)."""
        made = self.call("exec", lambda: self.api.exec_create(container_id, list(argv)))["Id"]
        said: bytes = self.call("exec", lambda: self.api.exec_start(made))
        code = self.call("exec", lambda: self.api.exec_inspect(made))["ExitCode"]
        return int(code if code is not None else 1), said.decode(errors="replace")

    def logs(self, container_id: str, *, tail: int | None = None) -> bytes:
        """Its stdout and stderr; nothing if it is gone."""
        lines = "all" if tail is None else tail
        try:
            raw: bytes = self.call("logs", lambda: self.api.logs(container_id, tail=lines, stream=False))
        except GoneError:
            return b""
        return raw


def check_of(row: Mapping[str, Any]) -> Check | None:
    """What the plain list says of a container's healthcheck: only of one that runs, and has one."""
    found = _CHECK.search(row.get("Status", ""))
    return Check(found[1]) if found else None


@contextmanager
def _translated(what: str) -> Iterator[None]:
    try:
        yield
    except NotFound as error:
        raise GoneError(id="engine", what=f"Docker: {what}: {error.explanation}") from error
    except APIError as error:
        kind = ConflictError if error.status_code == requests.codes.conflict else EngineError
        raise kind(id="engine", what=f"Docker: {what}: {error.explanation or error}", fix="lab doctor") from error
    except (DockerException, requests.exceptions.RequestException) as error:
        raise EngineError(
            id="docker-unreachable", what=f"Docker does not answer: {what}: {error}", fix="lab doctor"
        ) from error
