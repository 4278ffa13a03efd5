"""A replica is what Compose itself would start: on both Composes, for a service that uses more than thirty keys."""

import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from lab.assembly import Lab
from lab.images import Images, ensure_base
from lab.images.bases import Kind
from lab.operations.revisions import ensure_revision
from lab.project import Project
from tests.compose_v2 import environ_with

pytestmark = pytest.mark.docker

KEYS = """\
    command: [python3, -c, "import time; time.sleep(600)"]
    cap_add: [NET_BIND_SERVICE]
    cap_drop: [ALL]
    cpu_shares: 512
    cpus: 0.5
    depends_on: {db: {condition: service_started}}
    deploy: {replicas: 1, update_config: {order: start-first}, labels: {of: the-service}}
    devices: ["/dev/null:/dev/nil:r"]
    dns: [9.9.9.9]
    dns_opt: [use-vc]
    dns_search: [lab.example]
    domainname: lab.example
    entrypoint: [env, IN_ENTRYPOINT=yes]
    env_file: [app.env]
    environment: {PLAIN: "a $$b", EMPTY: "", NUMBER: 5}
    expose: ["8080"]
    extra_hosts: ["neighbour:10.1.2.3"]
    group_add: ["2000"]
    healthcheck: {test: [CMD, "true"], interval: 1m30s, timeout: 3s, retries: 2, start_period: 5s}
    hostname: replica
    init: true
    ipc: private
    labels: {com.example.one: "1", com.example.two: two words}
    logging: {driver: json-file, options: {max-size: 1m, max-file: "2"}}
    mem_limit: 64m
    mem_reservation: 32m
    networks: {front: {aliases: [shop, store]}, back: {aliases: [inner]}}
    oom_score_adj: 100
    pids_limit: 50
    read_only: true
    restart: "no"
    secrets: [token]
    security_opt: ["no-new-privileges"]
    shm_size: 16m
    stdin_open: true
    stop_grace_period: 3s
    stop_signal: SIGINT
    sysctls: {net.core.somaxconn: "256"}
    tmpfs: ["/tmp:size=4m"]
    tty: true
    ulimits: {nofile: {soft: 512, hard: 1024}, nproc: 100}
    user: "10001:10001"
    volumes: ["data:/data", "cache:/cache:ro", "./app.env:/etc/app.env:ro"]
    working_dir: /tmp
"""
MANIFEST = f"""\
services:
  db: {{image: "${{LAB_POSTGRES_IMAGE}}", command: [sleep, "600"], entrypoint: [], networks: [front], init: true}}
  proxy: {{image: "${{LAB_PROXY_IMAGE}}", command: [sleep, "600"], networks: [front], init: true}}
  app:
    image: ${{LAB_APP_IMAGE}}
{KEYS}
    x-lab:
      readiness: {{path: /readyz}}
      versions: {{v1: {{environment: {{OWN: of the version}}}}}}
networks: {{front: , back: {{internal: true}}}}
volumes: {{data: , cache: }}
secrets: {{token: {{file: ./token}}}}
"""
NUMBER = "com.docker.compose.container-number"


def made_in(folder: Path, name: str) -> Lab:
    """A lab of its own whose three services are all the Python base image: no port, no proxy, no traffic."""
    (folder / "compose").mkdir()
    (folder / "compose/lab.yaml").write_text(MANIFEST)
    (folder / "compose/app.env").write_text("FROM_A_FILE=yes\n")
    (folder / "compose/token").write_text("hidden")
    return Lab(project=Project(name=name, home=folder, folder=folder / ".lab" / name))


@pytest.fixture(params=["v1", "v2"])
def lab(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Lab]:
    monkeypatch.setenv("PATH", environ_with(request.param)["PATH"])
    if request.param == "v1":
        monkeypatch.setattr("lab.compose.Flavour.program", property(lambda _: ["docker-compose"]))
    lab = made_in(tmp_path, f"keys-{request.param}")
    lab.host.sweep()
    yield lab
    lab.host.sweep()
    assert lab.host.sweep() == 0


async def test_a_replica_is_what_compose_itself_would_start(lab: Lab) -> None:
    image = ensure_base(Kind.PYTHON)
    images = Images(python=image, postgres=image, proxy=image, app=image, load=image)
    compose, version = lab.compose(images), lab.manifest.version("v1")
    compose.start_static()

    revision = ensure_revision(lab, version, images, replicas=1)
    override = compose.write_override("app", version, replicas=1)
    assert await asyncio.to_thread(compose.pass_on, ["up", "-d", "app"], override) == 0
    ours = await lab.engine.create(revision, name="app-2.1", slot=2, generation=1)
    await lab.engine.start(ours)

    theirs = next(row["Id"] for row in lab.docker.of_compose("app") if row["Id"] != ours)
    told, expected = comparable(lab.docker.inspect(ours)), comparable(lab.docker.inspect(theirs))
    assert len(KEYS.splitlines()) > 30
    assert told == expected
    assert ensure_revision(lab, version, images, replicas=1) == revision, "the same service is another revision"


def comparable(container: dict[str, Any]) -> dict[str, Any]:
    """All that a container is, but for its own name, number and addresses, and what the lab adds to its replicas."""
    config, own = container["Config"], {container["Id"][:12], container["Name"].lstrip("/")}
    labels = {k: v for k, v in config["Labels"].items() if not k.startswith("rollinglab.")}
    dropped = {NUMBER, "com.docker.compose.replace", "com.docker.compose.project.config_files"}
    config["Labels"] = {k: v for k, v in labels.items() if k not in dropped}
    config["Env"] = sorted(one for one in config["Env"] if not one.startswith("LAB_REPLICA="))
    networks = {
        name: {
            "Aliases": sorted(a for a in network["Aliases"] or [] if a not in own and not a.endswith("_app_1")),
            **{key: network[key] for key in ("Links", "DriverOpts") if network[key]},
        }
        for name, network in container["NetworkSettings"]["Networks"].items()
    }
    host = {
        key: sorted(value, key=str) if isinstance(value, list) else value
        for key, value in container["HostConfig"].items()
    }
    host["Binds"] = host["Binds"] or []
    mounts = sorted(container["Mounts"], key=lambda mount: str(mount["Destination"]))
    return {f"host.{key}": value for key, value in host.items()} | {
        "config": config,
        "networks": networks,
        "mounts": mounts,
        "path": container["Path"],
    }
