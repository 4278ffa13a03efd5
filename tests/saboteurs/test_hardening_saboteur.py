"""P11: safe by default, as the manifest, the load's container and the images say it. One line less is seen."""

import copy
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

from lab.traffic import ContainerSource, LoadPlan

ROOT = Path(__file__).parents[2]
DOCKERFILES = {
    "db": ROOT / "lab" / "images" / "postgres" / "Dockerfile",
    "proxy": ROOT / "proxy" / "Dockerfile",
    "app": ROOT / "sample_app" / "Dockerfile",
    "load": ROOT / "loadtest" / "Dockerfile",
}
Service = dict[str, Any]


def flaws(service: Mapping[str, Any], dockerfile: str) -> list[str]:
    """The check: what a container may do that it must not, in the words of Compose."""
    published = [str(port) for port in service.get("ports", [])]
    mounted = [str(volume) for volume in service.get("volumes", [])]
    rules = {
        "it may write to its own files": service.get("read_only") is True,
        "it has capabilities": service.get("cap_drop") == ["ALL"] and not service.get("cap_add"),
        "it may gain privileges": "no-new-privileges" in service.get("security_opt", []),
        "its memory has no limit": bool(service.get("mem_limit")),
        "its processes have no limit": bool(service.get("pids_limit")),
        "it is privileged": not any(service.get(key) for key in ("privileged", "devices", "pid", "ipc")),
        "it is on the host's network": service.get("network_mode") != "host",
        "it is published beyond this machine": all(port.startswith("127.0.0.1:") for port in published),
        "it has a folder of the host": not any(volume.startswith(("/", ".", "~")) for volume in mounted),
        "it runs as root": user(service, dockerfile) not in {"", "0", "root"},
    }
    return [flaw for flaw, holds in rules.items() if not holds]


def user(service: Mapping[str, Any], dockerfile: str) -> str:
    last = re.findall(r"^USER\s+([^\s:]+)", dockerfile, re.MULTILINE)[-1:] or [""]
    return str(service.get("user", last[0])).split(":")[0]


@pytest.fixture(scope="module")
def services() -> dict[str, Service]:
    manifest = yaml.safe_load((ROOT / "compose" / "lab.yaml").read_text())
    return {**manifest["services"], "load": load()}


class Host:
    """Keeps what it is asked to run."""

    def __init__(self) -> None:
        self.body: dict[str, Any] = {}

    def find(self, _role: str) -> None: ...

    def run(self, *, body: dict[str, Any], **_: object) -> str:
        self.body = body
        return "c"

    def follow(self, _container: str) -> list[bytes]:
        return []


def load() -> Service:
    """The load's container in the words of Compose."""
    host: Any = Host()
    source = ContainerSource(host, image="load", compose_name="lab-x")
    source.start(LoadPlan(run="r1", rate=1, replicas=1, seed=1))
    config: dict[str, Any] = host.body["HostConfig"]
    words = {
        "read_only": "ReadonlyRootfs",
        "cap_drop": "CapDrop",
        "cap_add": "CapAdd",
        "security_opt": "SecurityOpt",
        "mem_limit": "Memory",
        "pids_limit": "PidsLimit",
        "privileged": "Privileged",
        "network_mode": "NetworkMode",
        "ports": "PortBindings",
        "volumes": "Binds",
    }
    return {word: config[name] for word, name in words.items() if name in config}


@pytest.mark.parametrize("name", DOCKERFILES)
def test_every_container_of_a_lab_is_confined(services: dict[str, Service], name: str) -> None:
    assert services.keys() == DOCKERFILES.keys()
    assert flaws(services[name], DOCKERFILES[name].read_text()) == []


@pytest.mark.parametrize("key", ["read_only", "cap_drop", "security_opt", "mem_limit", "pids_limit"])
@pytest.mark.parametrize("name", DOCKERFILES)
def test_one_line_less_is_seen(services: dict[str, Service], name: str, key: str) -> None:
    service = copy.deepcopy(services[name])
    del service[key]
    assert len(flaws(service, DOCKERFILES[name].read_text())) == 1


WEAKER: dict[str, Callable[[Service], object]] = {
    "published everywhere": lambda s: s.update(ports=["8080:8080"]),
    "the engine's socket": lambda s: s.update(volumes=["/var/run/docker.sock:/var/run/docker.sock"]),
    "privileged": lambda s: s.update(privileged=True),
    "a capability": lambda s: s.update(cap_add=["NET_ADMIN"]),
    "the host's network": lambda s: s.update(network_mode="host"),
    "root": lambda s: s.update(user="0:0"),
}


@pytest.mark.parametrize("way", WEAKER)
@pytest.mark.parametrize("name", DOCKERFILES)
def test_one_line_more_is_seen(services: dict[str, Service], name: str, way: str) -> None:
    service = copy.deepcopy(services[name])
    WEAKER[way](service)
    assert len(flaws(service, DOCKERFILES[name].read_text())) == 1


def test_an_image_that_says_no_user_is_seen(services: dict[str, Service]) -> None:
    assert flaws(services["app"], "FROM scratch\n") == ["it runs as root"]
