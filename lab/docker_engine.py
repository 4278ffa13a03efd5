"""The engine adapter: the controller's port to the replicas, on Docker.

A container never started has no address and costs no budget; one that ended keeps its log until it is deleted.
"""

import asyncio
import re
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import replace
from functools import partial
from typing import Any

from lab.docker_client import LABEL, ConflictError, DockerClient, GoneError, check_of
from lab.errors import EngineError
from lab.model import Check, Container, Revision
from lab.ownership import IMAGE_PREFIX
from lab.ports import Seen
from lab.replica_spec import body_of, networks_of

_SIGKILLED = 137
CHECK_WORDS = 200
_EXIT = re.compile(r"Exited \((\d+)\)")
_STATES = {
    "created": Container.CREATED,
    "running": Container.RUNNING,
    "paused": Container.RUNNING,
    "restarting": Container.RUNNING,
}


class DockerEngine:
    """Replicas of one project as containers. `changed` is set at deaths and at new healths while `watch` is on."""

    def __init__(self, docker: DockerClient, secrets: Callable[[], Mapping[str, str]]) -> None:
        self._docker = docker
        self._secrets = secrets
        self.changed = asyncio.Event()
        self._proxy_networks: set[str] = set()

    async def replicas(self) -> tuple[Seen, ...]:
        return await asyncio.to_thread(self.replicas_now)

    async def create(self, revision: Revision, *, name: str, slot: int, generation: int) -> str:
        return await asyncio.to_thread(self._create, revision, name, slot, generation)

    async def start(self, container_id: str) -> None:
        await asyncio.to_thread(self._docker.call, "start", lambda: self._docker.api.start(container_id))

    async def stop(self, container_id: str) -> Seen | None:
        return await asyncio.to_thread(self._stop, container_id)

    async def delete(self, container_id: str) -> None:
        await asyncio.to_thread(self._docker.remove, container_id)

    async def logs(self, container_id: str, *, tail: int | None = None) -> bytes:
        return await asyncio.to_thread(self._docker.logs, container_id, tail=tail)

    def replicas_now(self) -> tuple[Seen, ...]:
        """The same as `replicas`, for those who need not await."""
        return tuple(self._seen(row) for row in self._docker.ours(role="replica"))

    def watch(self, loop: asyncio.AbstractEventLoop) -> Callable[[], None]:
        """Set `changed` at every death of a container of ours, and when its health changes. Returns what ends it."""
        happenings = ["die", "oom", "health_status"]
        wanted = {"label": f"{LABEL}project={self._docker.project}", "type": "container", "event": happenings}
        events = self._docker.api.events(decode=True, filters=wanted)

        def pump() -> None:
            with suppress(Exception):  # the stream ends when it is closed, in whatever way its transport likes
                for _ in events:
                    loop.call_soon_threadsafe(self.changed.set)

        threading.Thread(target=pump, name="engine-events", daemon=True).start()
        close: Callable[[], None] = events.close
        return close

    def _create(self, revision: Revision, name: str, slot: int, generation: int) -> str:
        docker = self._docker
        body = body_of(
            revision, self._secrets(), name=name, slot=slot, generation=generation, labels=docker.labels("replica")
        )
        body, others = networks_of(body)
        body["Image"] = self._pinned(body["Image"], revision)
        full_name = f"{docker.compose_name}-{name}"
        try:
            made = str(docker.call("create", lambda: docker.api.create_container_from_config(body, full_name))["Id"])
        except ConflictError:  # an earlier attempt got this far
            inspected = docker.inspect(full_name)
            made = str(inspected["Id"])
            others = {n: e for n, e in others.items() if n not in inspected["NetworkSettings"]["Networks"]}
        except GoneError as error:
            raise EngineError(id="image-missing", what=f"there is no image {body['Image']}", fix="lab up") from error
        for network, endpoint in others.items():
            docker.connect(made, network, endpoint)
        return made

    def _pinned(self, image: str, revision: Revision) -> str:
        """What the revision was made of, also where its tag was moved since. Our own tags say all that is in them."""
        docker = self._docker
        for name in (image, revision.image_id):
            with suppress(GoneError):
                found = docker.call("inspect image", partial(docker.api.inspect_image, name))
                if found["Id"] == revision.image_id or image.startswith(IMAGE_PREFIX):
                    return name
        raise EngineError(
            id="image-missing",
            what=f"there is no image {image} as revision {revision.number} ({revision.version}) was made of it",
            where=f"{revision.image_id} is gone, and {image} is nothing or another one now",
            fix=f"build it again, and roll to it: lab roll --image {image}",
        )

    def _stop(self, container_id: str) -> Seen | None:
        docker = self._docker
        try:
            asked = docker.inspect(container_id)
            grace = round(float(asked["Config"]["Labels"].get(LABEL + "stop-grace", "10")))
            began = time.monotonic()
            docker.call("stop", lambda: docker.api.stop(container_id, timeout=grace))
            took = time.monotonic() - began
        except GoneError:
            return None
        seen = next((seen for seen in self.replicas_now() if seen.container_id == container_id), None)
        if seen is None:
            return None
        # The engine sends SIGKILL when the grace time is over, not before: then it was somebody else's.
        ended_before, sigkill = not asked["State"]["Running"], seen.exit_code == _SIGKILLED
        overstayed = sigkill and took >= grace and not (ended_before or seen.oom)
        return replace(seen, killed=ended_before or (sigkill and took < grace), overstayed=overstayed)

    def _seen(self, row: dict[str, Any]) -> Seen:
        labels, state = row["Labels"], _STATES.get(row["State"], Container.EXITED)
        networks = row.get("NetworkSettings", {}).get("Networks", {})
        exited, check = _EXIT.search(row.get("Status", "")), check_of(row)
        return Seen(
            name=labels[LABEL + "replica"],
            slot=int(labels[LABEL + "slot"]),
            generation=int(labels[LABEL + "generation"]),
            revision=int(labels[LABEL + "revision"]),
            version=labels[LABEL + "version"],
            container=state,
            container_id=row["Id"],
            address=self._address(networks),
            exit_code=int(exited[1]) if exited else None,
            oom=state is Container.EXITED and self._out_of_memory(row["Id"]),
            check=check,
            check_said=self._last_check(row["Id"]) if check is Check.UNHEALTHY else "",
        )

    def _address(self, networks: Mapping[str, Any]) -> str:
        """Where the proxy reaches it: the two may share one network of several."""
        found = {name: network["IPAddress"] for name, network in networks.items() if network.get("IPAddress")}
        if len(found) > 1:
            if not self._proxy_networks:
                rows = self._docker.of_compose("proxy")
                self._proxy_networks = {name for row in rows for name in row["NetworkSettings"]["Networks"]}
            found = {name: ip for name, ip in found.items() if name in self._proxy_networks} or found
        return next(iter(found.values()), "")

    def _last_check(self, container_id: str) -> str:
        """What its healthcheck printed last, on one line."""
        try:
            tries = self._docker.inspect(container_id)["State"]["Health"]["Log"] or [{}]
        except (GoneError, KeyError):
            return ""
        return " ".join(str(tries[-1].get("Output", "")).split())[-CHECK_WORDS:]

    def _out_of_memory(self, container_id: str) -> bool:
        try:
            return bool(self._docker.inspect(container_id)["State"]["OOMKilled"])
        except GoneError:
            return False
