"""The one seam to Compose: `docker compose` (v2), or `docker-compose`, which is 1.29 or v2 standing alone.

All are called with the same words; what differs is how the program is named. One lock per project stands around
every call: two at once leave duplicate networks.
"""

import fcntl
import os
import re
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any

import yaml

from lab.errors import EngineError, LabError
from lab.manifest import Version
from lab.ownership import LABEL as OWNER
from lab.surroundings import PROXY, Surroundings

CALL_SECONDS = 120
_VERSION = re.compile(r"""^version:\s*["']?([0-9.]+)""", re.MULTILINE)


class Flavour(StrEnum):
    """What a project is bound to: another flavour writes other hashes, and would recreate all it finds."""

    V2 = "docker compose"
    V1 = "docker-compose"
    V2_ALONE = "docker-compose 2"

    @property
    def program(self) -> list[str]:
        return ["docker", "compose"] if self is Flavour.V2 else ["docker-compose"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Compose:
    """Compose for one project. `override` is the file that turns the manifest into one version of it.

    `added` is what the lab adds to a manifest of somebody's own.
    """

    flavour: Flavour
    project: str
    manifest: Path
    folder: Path
    environ: Mapping[str, str]
    added: Path | None = None
    directory: Path | None = None
    """Where the manifest's relative paths begin, where that is not its own folder."""

    def start_static(self, services: Sequence[str] = ("db", PROXY)) -> None:
        """Start them, or find them running. Always the same form, so that nothing is recreated."""
        self._call(["up", "-d", *services])

    def images(self) -> Mapping[str, str | None]:
        """Which image each service has, its variables filled in; None for one that is only built."""
        services = yaml.safe_load(self._call(["config"]))["services"]
        return {str(name): service.get("image") for name, service in services.items()}

    def make_template(self, service: str, *, existing: int, override: Path) -> None:
        """Let Compose make one more container of the service, without starting it and touching no other."""
        words = ["up", "--no-start", "--no-recreate", "--scale", f"{service}={existing + 1}", service]
        self._call(words, override)

    def networks(self, service: str, override: Path) -> Mapping[str, list[str]]:
        """The networks of a service by their names on the engine, and what it is called on each.

        For 1.29 alone: it attaches all but the first only when it starts a container.
        """
        told = yaml.safe_load(self._call(["config"], override))
        listed, known = told["services"][service].get("networks") or {}, told.get("networks") or {}
        return {
            (known.get(key) or {}).get("name", f"{self.project}_{key}"): [service, *((said or {}).get("aliases") or ())]
            for key, said in listed.items()
        }

    def pass_on(self, words: Sequence[str], override: Path | None) -> int:
        """Run a person's own words with our files, project and environment, on this terminal; its exit code.

        The lock is held by whoever changes something; what only looks may look for hours.
        """
        changes = not {"ps", "logs", "top", "config", "events", "images", "port", "version"} & set(words[:1])
        with self._lock() if changes else nullcontext():
            try:
                return subprocess.run(self._argv(words, override), env=dict(self.environ), check=False).returncode
            except OSError as error:
                raise self._error(words, str(error)) from error

    def make_all(self, services: Sequence[str]) -> None:
        """Let Compose make a container of each, and start none."""
        self._call(["up", "--no-start", *services])

    def down(self) -> None:
        self._call(["down", "--volumes", "--remove-orphans", "-t", "2"])

    def write_override(self, service: str, version: Version, *, replicas: int) -> Path:
        environment = {**version.environment, "LAB_VERSION": version.name}
        body: dict[str, object] = {"environment": environment, "deploy": {"replicas": replicas}}
        if version.image:
            body["image"] = version.image
        return _write(self.folder / f"{version.name}.yaml", {"services": {service: body}}, like=self.manifest)

    def resize(self, override: Path, service: str, *, replicas: int) -> Path:
        """The override of the same version, for a fleet of another size."""
        body = yaml.safe_load(override.read_text(encoding="utf-8"))
        body["services"][service]["deploy"] = {"replicas": replicas}
        return _write(override, body, like=self.manifest)

    def _call(self, words: Sequence[str], override: Path | None = None) -> str:
        argv = self._argv(words, override)
        with self._lock():
            try:
                done = subprocess.run(
                    argv, env=dict(self.environ), capture_output=True, text=True, timeout=CALL_SECONDS, check=False
                )
            except subprocess.TimeoutExpired as error:
                raise self._error(words, f"no end after {CALL_SECONDS} s") from error
            except OSError as error:
                raise self._error(words, str(error)) from error
        if done.returncode != 0:
            raise self._error(words, done.stderr.strip() or done.stdout.strip())
        return done.stdout

    def _argv(self, words: Sequence[str], override: Path | None) -> list[str]:
        """Never one file alone: 1.29 gives a service with lists another hash when it was merged, if with nothing."""
        if self.directory:  # a file of our own, whose containers are compared with none
            files = ["-f", str(self.manifest), "--project-directory", str(self.directory)]
        else:
            given = (self.manifest, self.added, override or self._neutral())
            files = [word for file in given if file for word in ("-f", str(file))]
        return [*self.flavour.program, "-p", self.project, *files, *words]

    def _neutral(self) -> Path:
        return _write(self.folder / "nothing.yaml", {"services": {PROXY: {}}}, like=self.manifest)

    def _error(self, words: Sequence[str], why: str) -> LabError:
        lines = "\n".join(why.splitlines()[-12:])
        taken = "port is already allocated" in why or "address already in use" in why
        return EngineError(
            id="port-taken" if taken else "compose",
            what=f"{self.flavour} {' '.join(words)} failed: {lines}",
            where=str(self.manifest),
            fix="stop what uses the port, or choose another: lab up --port N" if taken else "lab doctor",
        )

    @contextmanager
    def _lock(self) -> Iterator[None]:
        self.folder.mkdir(parents=True, exist_ok=True)
        with (self.folder / "lock").open("w") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            yield


def write_added(manifest: Path, around: Surroundings, folder: Path, *, shipped: Path, owner: str | None) -> Path | None:
    """What stands beside the manifest: the lab's proxy where it is somebody's own, and the owner's label on everything.

    The proxy is on every network where the rolled service can be reached. None where there is nothing to add.
    """
    body: dict[str, Any] = {"services": {}, "volumes": {}, "networks": {}}
    if around.own:
        body |= yaml.safe_load(shipped.read_text(encoding="utf-8"))
        body["services"][PROXY]["networks"] = ["default", *(name for name in around.networks if name != "default")]
    if owner:
        _label(body, yaml.safe_load(manifest.read_text(encoding="utf-8")), around, {OWNER: owner})
    added = {part: things for part, things in body.items() if things}
    return _write(folder / "added.yaml", added, like=manifest) if added else None


def _label(body: dict[str, Any], manifest: Mapping[str, Any], around: Surroundings, labels: Mapping[str, str]) -> None:
    """On all that Compose makes for this project, and on nothing that is there without it."""
    for service in around.statics:
        body["services"].setdefault(service, {})["labels"] = dict(labels)
    for part in ("volumes", "networks"):
        things = {**(manifest.get(part) or {}), **body[part], **({"default": None} if part == "networks" else {})}
        for name, thing in things.items():
            if not (thing or {}).get("external"):
                body[part][name] = {**(body[part].get(name) or {}), "labels": dict(labels)}


def _write(path: Path, body: Mapping[str, object], *, like: Path) -> Path:
    """With the `version` of the manifest: docker-compose 1.29 puts no two together that differ in it."""
    version = _VERSION.search(like.read_text(encoding="utf-8")) if like.is_file() else None
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(yaml.safe_dump({**({"version": version[1]} if version else {}), **body}))
    return path


def ensure_flavour(folder: Path, environ: Mapping[str, str] = os.environ) -> Flavour:
    """The Compose of this project: the one it was started with, else the first that answers, kept from then on."""
    record = folder / "flavour"
    recorded = record.read_text() if record.exists() else ""
    if recorded in set(Flavour):
        flavour = Flavour(recorded)
        if not _answers(flavour, environ):
            raise LabError(
                id="compose-flavour",
                what=f"this lab was started with `{flavour}`, which does not answer now",
                where="another Compose would recreate all its containers at once: it writes other hashes",
                fix="lab down, then lab up with the Compose that is there",
            )
        return flavour
    flavour = find_flavour(environ)
    folder.mkdir(parents=True, exist_ok=True)
    record.write_text(flavour)
    return flavour


def forget_flavour(folder: Path) -> None:
    """The lab is down: the next one may use another Compose."""
    (folder / "flavour").unlink(missing_ok=True)


def find_flavour(environ: Mapping[str, str] = os.environ) -> Flavour:
    """The Compose of this machine, the plugin first. LabError `no-compose` where there is none."""
    for flavour in Flavour:
        if _answers(flavour, environ):
            return flavour
    raise LabError(
        id="no-compose",
        what="there is no Compose on this machine",
        where="tried `docker compose version` and `docker-compose version`",
        fix="install the Compose plugin of Docker, or your distribution's docker-compose",
    )


def version_of(flavour: Flavour, environ: Mapping[str, str] = os.environ) -> str:
    """What it says of itself, such as 1.29.2; empty if it does not answer."""
    try:
        done = subprocess.run(
            [*flavour.program, "version", "--short"],
            env=dict(environ),
            capture_output=True,
            text=True,
            timeout=20,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout.strip().removeprefix("v") if done.returncode == 0 else ""


def _answers(flavour: Flavour, environ: Mapping[str, str]) -> bool:
    version = version_of(flavour, environ)
    return bool(version) and version.startswith("1.") == (flavour is Flavour.V1)
