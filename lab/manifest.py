"""The manifest: a Compose file whose rolled service carries `x-lab`. Read here, and nowhere else."""

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from difflib import get_close_matches
from pathlib import Path
from typing import Any

import yaml

from lab.durations import seconds
from lab.errors import LabError, UsageError
from lab.load_choice import Arrivals, LoadChoice
from lab.manifest_lines import line_of, lines_of
from lab.model import OnFail, Order
from lab.ports import Readiness
from lab.rolled_keys import refuse
from lab.sections import BadKeyError, Section, natural, path_of, positive, text, truth
from lab.shape import Shape, gate_of, share_of
from lab.surroundings import Surroundings, surroundings_of

_VERSION = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,62}")
COMPAT_MEMORY = 1024
"""MiB: some hundred phases and copies of the sample app's size; only what is used is taken."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Version:
    """A named image + environment. `serves_as` is the name that the schema plan knows it by."""

    name: str
    serves_as: str
    image: str | None
    environment: Mapping[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class LoadDefaults:
    """`baseline`: seconds under load before the rollout begins."""

    baseline: float = 3.0
    choice: LoadChoice = field(default_factory=LoadChoice)


@dataclass(frozen=True, slots=True, kw_only=True)
class Said:
    """What is said of a manifest beside it, for one that carries no x-lab: it counts before what stands there."""

    service: str | None = None
    readiness: str | None = None
    port: int | None = None
    paths: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class CompatKeys:
    """What `lab compat` asks, and how a version is told which database is its own.

    `environment`: texts that may hold {host}, {port}, {user}, {password} and {database}.
    `memory`: how many MiB its database server's data may take; 0 keeps them on the disk.
    `plan`: the schema plan of an app whose database is not the lab's; None: `x-lab.schema.plan`.
    """

    checks: Path | None
    environment: Mapping[str, str]
    memory: int = COMPAT_MEMORY
    plan: Path | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Manifest:
    """What `x-lab` and `deploy` of the rolled service say. Durations in seconds.

    `image` is the service's, as it stands there.
    `update` is how a roll goes where nobody says otherwise, `rollback` how `lab rollback` does.
    """

    path: Path
    service: str
    replicas: int
    update: Shape
    rollback: Shape
    stop_grace: float
    readiness: Readiness
    ready_timeout: float
    drain_timeout: float
    load: LoadDefaults
    schema_plan: Path | None
    compat: CompatKeys
    versions: Mapping[str, Version]
    networked: bool = False
    """It may have more networks than one: it lists them, or another file does."""
    image: str | None = None
    around: Surroundings = field(kw_only=True)

    def version(self, name: str) -> Version:
        """One that is named here; where none is, any tag of the image may be one: that only an engine knows."""
        if not self.versions:
            return Version(name=name, serves_as=name, image=None, environment={})
        if name not in self.versions:
            known = ", ".join(sorted(self.versions))
            near = get_close_matches(name, self.versions, n=1)
            raise UsageError(
                id="unknown-version",
                what=f"there is no version {name!r}" + (f"; did you mean {near[0]!r}?" if near else ""),
                fix=f"use one of: {known}; versions stand in {self.path.name} under x-lab",
            )
        return self.versions[name]


_NOTHING_SAID = Said()


def read_manifest(path: Path, said: Said = _NOTHING_SAID) -> Manifest:
    """Read the Compose file at `path`. LabError `manifest` names what is wrong, its line, and what to do."""
    text = _text(path)
    services = _services(path, text)
    name = _rolled(path, services, said)
    others = {other: service for other, service in services.items() if other != name}
    try:
        service = Section(at="services", values=services).section(name)
        refuse(name, service.values, others)
        return _manifest(path, service, name, surroundings_of(name, services), said)
    except BadKeyError as error:
        raise bad_key(path, error) from error


def bad_key(path: Path, error: BadKeyError) -> LabError:
    """The error with the line of its key, or of the nearest key above it."""
    return _bad(path, str(error), line_of(lines_of(_text(path)), error.at), error.fix)


def _rolled(path: Path, services: Mapping[str, Any], said: Said) -> str:
    marked = [name for name, service in services.items() if isinstance(service, dict) and "x-lab" in service]
    if said.service is not None:
        if said.service not in services:
            raise _bad(path, f"it has no service {said.service}; it has {', '.join(services)}")
        return said.service
    if len(marked) != 1:
        raise _bad(
            path,
            f"one service must carry x-lab, found {len(marked)}",
            fix=f"say which one is rolled: lab up -f {path.name} --service {'|'.join(services)}",
        )
    return marked[0]


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except OSError as error:
        raise _bad(path, f"it cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise _bad(path, f"it is not YAML: {error}") from error


def _services(path: Path, text: str) -> Mapping[str, Any]:
    try:
        document = yaml.safe_load(text)
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else None
        raise _bad(path, f"it is not YAML: {error.problem}", line) from error
    except (yaml.YAMLError, ValueError) as error:  # a date that no calendar has is a ValueError
        raise _bad(path, f"it is not YAML: {error}") from error
    services = document.get("services") if isinstance(document, dict) else None
    if not isinstance(services, dict):
        raise _bad(path, "it has no services")
    return services


def _manifest(path: Path, service: Section, name: str, around: Surroundings, said: Said) -> Manifest:
    lab, deploy = service.section("x-lab"), service.section("deploy")
    load, schema = lab.section("load"), lab.section("schema")
    plan = schema.find("plan", text)
    update = _update(deploy.section("update_config"), lab)
    back = _rollback(deploy.section("rollback_config"))
    manifest = Manifest(
        path=path,
        service=name,
        replicas=deploy.get("replicas", positive, 3),
        update=update,
        rollback=back.over(update),
        stop_grace=service.get("stop_grace_period", seconds, "10s"),
        readiness=_readiness(lab.section("readiness"), said, assumed="x-lab" in service.values),
        ready_timeout=lab.get("ready_timeout", seconds, "30s"),
        drain_timeout=lab.get("drain_timeout", seconds, "30s"),
        load=_load(load, path.parent, said, around),
        schema_plan=(path.parent / plan).resolve() if plan else None,
        compat=_compat(path, lab.section("compat")),
        versions=_versions(lab.section("versions"), image=service.find("image", text)),
        networked=bool({"networks", "extends"} & set(service.values)),
        image=service.find("image", text),
        around=around,
    )
    if plan and not around.has_database:
        raise BadKeyError(f"{schema.at}.plan", "it is for the lab's own database, which this manifest does not have")
    for section in (load, schema, lab):
        section.close()
    return manifest


def _load(load: Section, folder: Path, said: Said, around: Surroundings) -> LoadDefaults:
    file, paths = load.find("locustfile", text), load.find("paths", _paths)
    return LoadDefaults(
        baseline=load.get("baseline", seconds, "3s"),
        choice=LoadChoice(
            rate=load.find("rate", _rate),
            slow=load.find("slow", seconds),
            request_timeout=load.find("request_timeout", seconds),
            min_requests=load.find("min_requests", natural),
            cohorts=load.find("cohorts", text),
            shape=load.find("shape", text),
            arrivals=load.find("arrivals", _arrivals),
            workers=load.find("workers", positive),
            locustfile=str((folder / file).resolve()) if file else None,
            paths=",".join(said.paths or paths or ("/",)) if around.own else None,
        ),
    )


def _update(config: Section, lab: Section) -> Shape:
    """Compose's words for a roll, and the lab's own where Compose has none."""
    shape = replace(
        _way(config),
        on_fail=config.find("failure_action", _failure_action),
        progress_timeout=lab.find("progress_timeout", seconds),
        hold_timeout=lab.find("hold_timeout", seconds),
        retries=lab.find("retries", natural),
        gates=lab.find("gates", _gates),
        gate_samples=lab.find("gate_samples", positive),
    )
    config.close()
    return shape


def _rollback(config: Section) -> Shape:
    config.find("failure_action", _rollback_action)
    shape = _way(config)
    config.close()
    return shape


def _way(config: Section) -> Shape:
    batch = config.find("parallelism", positive)
    return Shape(
        order=config.find("order", _order),
        batch=None if batch is None else str(batch),
        wave_bake=config.find("delay", seconds),
        bake=config.find("monitor", seconds),
        max_failure_ratio=config.find("max_failure_ratio", _share),
    )


def _readiness(ready: Section, said: Said, *, assumed: bool) -> Readiness:
    port = ready.get("port", positive, 8080)
    path = ready.find("path", path_of) or ("/readyz" if assumed else None)
    if said.readiness is None and path is None:
        fix = "--readiness /health, or x-lab: {readiness: {path: /health}}"
        raise BadKeyError(f"{ready.at}.path", "nothing says where a replica answers that it is ready", fix=fix)
    readiness = Readiness(
        path=said.readiness or path or "",
        port=said.port or port,
        passes=ready.get("passes", positive, 2),
        min_ready=ready.get("min_ready", seconds, "1s"),
        identity=ready.get("identity", truth, default=False),
    )
    ready.close()
    return readiness


def _compat(path: Path, section: Section) -> CompatKeys:
    checks, environment = section.find("checks", text), section.section("environment")
    told = {str(key): environment.get(key, _told, None) for key in environment.values}
    memory, plan = section.get("memory", natural, COMPAT_MEMORY), section.find("plan", text)
    section.close()
    return CompatKeys(
        checks=(path.parent / checks).resolve() if checks else None,
        environment=told or {"PGDATABASE": "{database}"},
        memory=memory,
        plan=(path.parent / plan).resolve() if plan else None,
    )


def _told(value: object) -> str:
    template = text(value)
    try:
        template.format(host="", port="", user="", password="", database="")
    except (KeyError, IndexError, ValueError) as error:
        raise ValueError(
            f"{template!r} may hold {{host}}, {{port}}, {{user}}, {{password}} and {{database}} only"
        ) from error
    return template


def _paths(value: object) -> tuple[str, ...]:
    if not isinstance(value, list) or not value:
        raise TypeError(f"{value!r} is not a list of paths such as [/, /items]")
    return tuple(path_of(path) for path in value)


def _versions(versions: Section, *, image: str | None) -> Mapping[str, Version]:
    if not versions.values and image is None:
        raise BadKeyError(versions.at, "it names no version, and the service no image whose tags could be versions")
    return {str(name): _version(str(name), versions.section(name)) for name in versions.values}


def _version(name: str, section: Section) -> Version:
    if not _VERSION.fullmatch(name):
        raise BadKeyError(section.at, f"{name!r} cannot be the name of a version (a-z, A-Z, 0-9, '.', '_', '-')")
    environment = section.section("environment")
    version = Version(
        name=name,
        serves_as=section.get("serves_as", str, name),
        image=section.find("image", text),
        environment={str(key): environment.get(key, text, None) for key in environment.values},
    )
    section.close()
    return version


def _order(value: object) -> Order:
    if str(value) not in set(Order):
        raise ValueError(f"{value!r} is neither {Order.START_FIRST} nor {Order.STOP_FIRST}")
    return Order(str(value))


def _arrivals(value: object) -> Arrivals:
    if str(value) not in set(Arrivals):
        raise ValueError(f"{value!r} is neither {Arrivals.FIXED} nor {Arrivals.POISSON}")
    return Arrivals(str(value))


def _failure_action(value: object) -> OnFail:
    if value == "continue":
        raise ValueError("'continue' would go on with a version that failed; the lab knows pause and rollback")
    if str(value) not in {OnFail.PAUSE, OnFail.ROLLBACK}:
        raise ValueError(f"{value!r} is neither pause nor rollback")
    return OnFail(str(value))


def _rollback_action(value: object) -> None:
    if value != "pause":
        raise ValueError(f"{value!r}: a rollback that fails pauses, and nothing else; leave it away, or write pause")


def _rate(value: Any) -> float:
    rate = float(value)
    if not 0 < rate < math.inf:
        raise ValueError(f"{value!r} is no number of requests a second")
    return rate


def _share(value: object) -> str:
    if isinstance(value, bool):
        raise TypeError(f"{value!r} is no share such as 5% or 0.05")
    share_of(str(value))
    return str(value)


def _gates(value: object) -> tuple[str, ...]:
    if not isinstance(value, list):
        raise TypeError(f"{value!r} is not a list such as [error-ratio=5%]")
    for gate in value:
        gate_of(str(gate))
    return tuple(map(str, value))


def _bad(path: Path, what: str, line: int | None = None, fix: str = "") -> LabError:
    where = f"{path}:{line}" if line else str(path)
    return LabError(id="manifest", what=f"the manifest cannot be used: {what}", where=where, fix=fix or "mend the file")
