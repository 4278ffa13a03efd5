"""P10: nothing that carries the project's label is left. A `down` that trusts names, and a stray, are seen."""

import os
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from lab.docker_client import DockerClient
from lab.docker_host import DockerHost
from lab.endpoint import resolve
from lab.errors import EngineError
from lab.images import ensure_postgres_base
from tests.e2e.conftest import LabCommand

pytestmark = pytest.mark.docker
OURS, OTHER = "saboteur-ours", "saboteur-other"


@pytest.fixture(scope="module")
def engine() -> Callable[[str], DockerClient]:
    endpoint = resolve(os.environ, Path.home())
    return lambda project: DockerClient(endpoint, project=project, compose_name=f"lab-{project}", home=Path("/home/x"))


@pytest.fixture
def stray(engine: Callable[[str], DockerClient]) -> Iterator[Callable[[str], str]]:
    """Make a container, never started, that carries a project's label and no name of it."""
    made: list[tuple[DockerClient, str]] = []
    image = ensure_postgres_base()

    def make(project: str) -> str:
        docker = engine(project)
        body: dict[str, Any] = {"Image": image, "Cmd": ["true"], "Labels": docker.labels("replica")}
        container = str(docker.api.create_container_from_config(body, f"stray-of-{project}")["Id"])
        made.append((docker, container))
        return container

    yield make
    for docker, container in made:
        with suppress(EngineError):
            docker.remove(container)
        docker.api.close()


def test_down_removes_a_stray_of_its_own_and_none_of_another_lab(
    engine: Callable[[str], DockerClient], stray: Callable[[str], str]
) -> None:
    stray(OURS)
    stray(OTHER)
    assert LabCommand(OURS).leftovers() == [f"stray-of-{OURS}"]
    docker = engine(OURS)
    assert DockerHost(docker).sweep() == 1
    docker.api.close()
    assert LabCommand(OURS).leftovers() == []
    assert LabCommand(OTHER).leftovers() == [f"stray-of-{OTHER}"]


def test_a_down_that_asks_compose_alone_is_seen(
    engine: Callable[[str], DockerClient], stray: Callable[[str], str], monkeypatch: pytest.MonkeyPatch
) -> None:
    stray(OURS)
    monkeypatch.setattr(DockerClient, "ours", lambda *_, **__: [])
    docker = engine(OURS)
    DockerHost(docker).sweep()
    docker.api.close()
    assert LabCommand(OURS).leftovers() == [f"stray-of-{OURS}"]
