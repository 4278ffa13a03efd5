"""What Compose starts beside the fleet: the proxy, and the databases and such that the manifest has."""

import time
from collections.abc import Mapping

from lab.assembly import Lab
from lab.compose import CALL_SECONDS
from lab.database import CONNECT_SECONDS
from lab.docker_host import Static
from lab.errors import LabError
from lab.images import Images
from lab.operations.heartbeat import Told, heartbeat
from lab.port_owner import port_owner
from lab.project import is_free
from lab.surroundings import PROXY, Until

WAIT_SECONDS = 60.0
LOOK_SECONDS = 0.1
SAY_SECONDS = 10.0


def start_static(lab: Lab, made: Images, told: Told) -> bool:
    """Start what does not run. Return whether there was something to start."""
    began, around = time.monotonic(), lab.manifest.around
    static = lab.host.static()
    if all(name in static and (static[name].running or static[name].done) for name in around.statics):
        return False
    if not (PROXY in static and static[PROXY].running):
        refuse_taken_port(lab, lab.port, other=f"lab up --port {lab.port + 1}")
    with heartbeat(told, "compose", "Compose to start what runs beside the fleet", CALL_SECONDS):
        lab.compose(made).start_static(around.statics)
    told("network", f"{lab.project.compose_name}_default", time.monotonic() - began)
    began = time.monotonic()
    if around.has_database:
        with heartbeat(told, "postgres", "PostgreSQL to accept connections", CONNECT_SECONDS):
            lab.database().wait_until_up()
        told("postgres", "ready", time.monotonic() - began)
    for name in around.statics if around.own else ():
        _await(lab, name, around.waits.get(name, Until.STARTED), told)
    told(PROXY, f"http://127.0.0.1:{lab.port}", time.monotonic() - began)
    return True


def _await(lab: Lab, name: str, until: Until, told: Told) -> None:
    """As `depends_on` of the rolled service says: its replicas are not made by Compose, which would wait itself."""
    if name == PROXY:
        return
    wanted = until.removeprefix("service_")
    began = said = time.monotonic()
    while not _there(lab.host.static(), name, until):
        now = time.monotonic()
        if now - began > WAIT_SECONDS:
            raise LabError(
                id="static-not-up",
                what=f"{name} is not {wanted} after {WAIT_SECONDS:g} s, and {lab.manifest.service} needs it",
                where=_last_lines(lab, name),
                fix=f"lab logs {name}; mend it, then lab up again",
            )
        if now - said > SAY_SECONDS:
            told(name, f"waiting until it is {wanted}, {WAIT_SECONDS - now + began:.0f}s left", 0)
            said = now
        time.sleep(LOOK_SECONDS)
    told(name, wanted, time.monotonic() - began)


def _there(static: Mapping[str, Static], name: str, until: Until) -> bool:
    one = static.get(name)
    if one is None:
        return False
    match until:
        case Until.STARTED:
            return one.running or one.done
        case Until.HEALTHY:
            return one.running and one.health == "healthy"
        case Until.DONE:
            return one.done


def _last_lines(lab: Lab, name: str) -> str:
    one = lab.host.static().get(name)
    return lab.host.logs(one.container_id, tail=10).decode(errors="replace").strip() if one else ""


def refuse_taken_port(lab: Lab, port: int, *, other: str) -> None:
    """LabError that names who has it. `other`: the words that choose another."""
    if not is_free(port):
        owner = port_owner(port, lab.host.everybody())
        what = f"port {port} of 127.0.0.1 is taken by {owner}"
        raise LabError(id="port-taken", what=what, fix=f"stop that, or choose another port: {other}")
