"""Removes the labs whose owner is gone: what `kill -9` of a test run leaves, at the next start. Never another's."""

import time
from collections.abc import Callable
from functools import partial
from typing import Any

from lab.docker_client import DockerClient
from lab.errors import EngineError
from lab.lease import this_machine
from lab.ownership import COMPOSE_PROJECT, LABEL, orphaned

LOOKS = 20
PAUSE_SECONDS = 0.5
"""A program that an orphan had begun may still be making something: what is in its way is tried again."""


def sweep_orphans(
    docker: DockerClient, *, kept: Callable[[str], bool] = lambda _: False, sleep: Callable[[float], None] = time.sleep
) -> list[str]:
    """Return the Compose projects that were removed, whole. `kept`: those that somebody wanted to look at.

    EngineError for what cannot be removed in LOOKS tries.
    """
    removed: list[str] = []
    failure: EngineError | None = None
    for _ in range(LOOKS):
        found = [one for one in orphaned(_labels(docker), this_machine()) if not kept(one)]
        if not found:
            return removed
        for project in found:
            try:
                _remove(docker, project)
            except EngineError as error:
                failure = error
        removed += [project for project in found if project not in removed]
        sleep(PAUSE_SECONDS)
    if failure:
        raise failure
    return removed


def _labels(docker: DockerClient) -> list[dict[str, str]]:
    marked = {"label": [LABEL]}
    rows = docker.rows(label=[LABEL])
    rows += docker.call("list networks", lambda: docker.api.networks(filters=marked))
    rows += docker.call("list volumes", lambda: docker.api.volumes(filters=marked))["Volumes"] or []
    return [row.get("Labels") or {} for row in rows]


def _remove(docker: DockerClient, project: str) -> None:
    label: dict[str, Any] = {"label": [f"{COMPOSE_PROJECT}={project}"]}
    own = [f"rollinglab.project={project.removeprefix('lab-')}"]
    for row in [*docker.rows(**label), *docker.rows(label=own)]:
        docker.remove(row["Id"])
    for network in docker.call("list networks", lambda: docker.api.networks(filters=label)):
        docker.call("remove network", partial(docker.api.remove_network, network["Id"]))
    for volume in docker.call("list volumes", lambda: docker.api.volumes(filters=label))["Volumes"] or []:
        docker.call("remove volume", partial(docker.api.remove_volume, volume["Name"], force=True))
