"""A Docker engine that answers: the one that is there, or one installed and started on Debian and Ubuntu."""

import http.client
import json
import os
import shutil
import subprocess
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from urllib.parse import quote

from lab.bootstrap import packages
from lab.bootstrap.machine import Machine, run, tail
from lab.bootstrap.packages import Apt, Present, Say
from lab.endpoint import Endpoint, connection, resolve
from lab.errors import EngineError, LabError

START_SECONDS = 60.0
RUN_FOLDER = Path("/run/rolling-lab")
_POLL_SECONDS = 0.2
_KEYRING = Path("/usr/share/keyrings/debian-archive-keyring.gpg")
_PLUGINS = (
    "/usr/local/lib/docker/cli-plugins",
    "/usr/local/libexec/docker/cli-plugins",
    "/usr/lib/docker/cli-plugins",
    "/usr/libexec/docker/cli-plugins",
    "/opt/homebrew/lib/docker/cli-plugins",
    "/Applications/Docker.app/Contents/Resources/cli-plugins",
)
_BASES = ("rollinglab-python", "python:3.13-slim")


class Start(StrEnum):
    """How an installed engine is started."""

    SYSTEMD = "systemd"
    OWN_SESSION = "own-session"


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What has to be done before a container can run; `refusal` is why it must not be done by us."""

    install: bool = False
    start: Start | None = None
    refusal: str = ""


def plan(present: Present, machine: Machine) -> Plan:
    """Decide what to do about the engine, Compose and what base images are made with."""
    wanted = packages.needed(present) or not (present.base_images or (present.mmdebstrap and present.keyring))
    start = None if present.engine else Start.SYSTEMD if machine.systemd else Start.OWN_SESSION
    if machine.can_install:
        return Plan(install=wanted, start=start)
    if not packages.needed(present):
        return Plan()
    what = "no Docker engine answers" if not present.engine else "there is no Docker Compose"
    if not machine.may_install:
        what += "; LAB_NO_INSTALL forbids to install and start it"
    return Plan(refusal=what)


def ensure(machine: Machine, environ: Mapping[str, str], home: Path, apt: Apt, say: Say) -> tuple[bool, str]:
    """Have an engine that answers; return whether anything was done, and a line to show."""
    endpoint, tried = _find(environ, home)
    present = _look(endpoint, environ, home)
    todo = plan(present, machine)
    if todo.refusal:
        raise LabError(id="docker-missing", what=todo.refusal, where="; ".join(tried), fix=_by_hand(present, machine))
    if todo.install:
        if not endpoint:
            say("no Docker engine answers: this machine gets one from its distribution's packages")
        _install(present, apt)
    if not endpoint:
        endpoint = _find(environ, home)[0] or _start(todo.start or Start.OWN_SESSION, environ, home, say)
    notes = [f"{endpoint.url} ({endpoint.source})", *(f"not used: {reason}" for reason in endpoint.tried)]
    explicit = notes if any("DOCKER_HOST" in reason for reason in endpoint.tried) else notes[:1]
    return todo != Plan(), "; ".join(explicit)


def _install(present: Present, apt: Apt) -> None:
    offered = apt.offers(packages.CANDIDATES) if not present.compose else set()
    installed = Present(
        engine=present.engine or shutil.which("dockerd") is not None,
        compose=present.compose,
        base_images=present.base_images,
        mmdebstrap=present.mmdebstrap,
        keyring=present.keyring,
    )
    chosen = packages.choose(installed, offered)
    if chosen:
        apt.install(chosen)


def _find(environ: Mapping[str, str], home: Path) -> tuple[Endpoint | None, tuple[str, ...]]:
    try:
        return resolve(environ, home), ()
    except EngineError as error:
        return None, tuple(error.where.split("; "))


def _look(endpoint: Endpoint | None, environ: Mapping[str, str], home: Path) -> Present:
    mmdebstrap = shutil.which("mmdebstrap") is not None
    keyring = _KEYRING.exists()
    return Present(
        engine=endpoint is not None,
        compose=_has_compose(environ, home),
        base_images=(mmdebstrap and keyring) or (endpoint is not None and _has_base(endpoint)),
        mmdebstrap=mmdebstrap,
        keyring=keyring,
    )


def _has_compose(environ: Mapping[str, str], home: Path) -> bool:
    """By the files it consists of: asking it takes half a second."""
    if shutil.which("docker-compose"):
        return True
    own = Path(environ.get("DOCKER_CONFIG") or home / ".docker") / "cli-plugins"
    plugins = (folder / "docker-compose" for folder in (own, *map(Path, _PLUGINS)))
    return shutil.which("docker") is not None and any(os.access(file, os.X_OK) for file in plugins)


def _has_base(endpoint: Endpoint) -> bool:
    link = connection(endpoint)
    try:
        link.request("GET", f"/images/json?filters={quote(json.dumps({'reference': list(_BASES)}))}")
        return bool(json.loads(link.getresponse().read()))
    except (OSError, ValueError, http.client.HTTPException):
        return False
    finally:
        link.close()


def _start(how: Start, environ: Mapping[str, str], home: Path, say: Say) -> Endpoint:
    if how is Start.SYSTEMD:
        say("starting docker: systemctl start docker")
        code, output = run(["systemctl", "start", "docker"], seconds=START_SECONDS)
        return _await(environ, home, lambda: code, lambda: output or "see: journalctl -u docker")
    log = RUN_FOLDER / "dockerd.log"
    say(f"starting dockerd in a session of its own, log in {log}")
    daemon = _spawn(log)
    return _await(environ, home, daemon.poll, lambda: log.read_text(errors="replace"))


def _spawn(log: Path) -> "subprocess.Popen[bytes]":
    RUN_FOLDER.mkdir(parents=True, exist_ok=True)
    with log.open("ab") as out:
        daemon = subprocess.Popen(
            ["dockerd"], stdin=subprocess.DEVNULL, stdout=out, stderr=out, cwd="/", start_new_session=True
        )
    (RUN_FOLDER / "dockerd.pid").write_text(f"{daemon.pid}\n", encoding="utf-8")
    return daemon


def _await(environ: Mapping[str, str], home: Path, ended: Callable[[], int | None], log: Callable[[], str]) -> Endpoint:
    deadline = time.monotonic() + START_SECONDS
    while True:
        endpoint, _ = _find(environ, home)
        if endpoint:
            return endpoint
        code = ended()
        if code or time.monotonic() > deadline:
            why = f"ended with {code}" if code else f"did not answer within {START_SECONDS:.0f} s"
            raise LabError(
                id="docker-start",
                what=f"the Docker engine {why}",
                where=tail(log()),
                fix="mend what the log names (containers need cgroups, iptables and overlay), then again",
            )
        time.sleep(_POLL_SECONDS)


def _by_hand(present: Present, machine: Machine) -> str:
    if machine.macos:
        return "start Docker Desktop, or: brew install colima docker docker-compose && colima start"
    if not machine.debian:
        return "install and start Docker Engine and Compose with your package manager, then again"
    chosen = packages.choose(present, ())
    start = "sudo systemctl start docker" if machine.systemd else "sudo dockerd"
    parts = [packages.command_line(chosen)] if chosen else []
    return " && ".join([*parts, *([] if present.engine else [start])])
