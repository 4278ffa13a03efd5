"""The manifest: a Compose file whose rolled service carries `x-lab`. Read here, and nowhere else."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import yaml

from lab.durations import seconds
from lab.errors import LabError, UsageError
from lab.model import Order
from lab.ports import Readiness

T = TypeVar("T")
_VERSION = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,62}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Version:
    """A named image + environment. `serves_as` is the name that the schema plan knows it by."""

    name: str
    serves_as: str
    image: str | None
    environment: Mapping[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class LoadDefaults:
    rate: float = 100.0
    baseline: float = 3.0
    min_requests: int = 500


@dataclass(frozen=True, slots=True, kw_only=True)
class Manifest:
    """What `x-lab` and `deploy` of the rolled service say. Durations in seconds."""

    path: Path
    service: str
    replicas: int
    order: Order
    batch: int
    stop_grace: float
    readiness: Readiness
    ready_timeout: float
    drain_timeout: float
    load: LoadDefaults
    schema_plan: Path | None
    versions: Mapping[str, Version]

    def version(self, name: str) -> Version:
        if name not in self.versions:
            known = ", ".join(sorted(self.versions))
            raise UsageError(
                id="unknown-version",
                what=f"there is no version {name!r}",
                fix=f"use one of: {known}; versions stand in {self.path.name} under x-lab",
            )
        return self.versions[name]


def read_manifest(path: Path) -> Manifest:
    """Read the Compose file at `path`. LabError `manifest` names what is wrong and where."""
    services = _services(path)
    rolled = [name for name, service in services.items() if isinstance(service, dict) and "x-lab" in service]
    if len(rolled) != 1:
        raise _bad(path, f"one service must carry x-lab, found {len(rolled)}")
    try:
        return _manifest(path, rolled[0], services[rolled[0]])
    except ValueError as error:
        raise _bad(path, f"services.{rolled[0]}.{error}") from error


def _services(path: Path) -> Mapping[str, Any]:
    try:
        document = yaml.safe_load(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise _bad(path, f"it cannot be read: {error.strerror}") from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise _bad(path, f"it is not YAML: {error}") from error
    services = document.get("services") if isinstance(document, dict) else None
    if not isinstance(services, dict):
        raise _bad(path, "it has no services")
    return services


def _manifest(path: Path, name: str, service: Mapping[str, Any]) -> Manifest:
    lab, deploy = _map(service, "x-lab"), _map(service, "deploy")
    update, load, ready = _map(deploy, "update_config"), _map(lab, "load"), _map(lab, "readiness")
    plan = _map(lab, "schema").get("plan")
    return Manifest(
        path=path,
        service=name,
        replicas=_get(deploy, "replicas", _positive, 3),
        order=_get(update, "order", Order, "start-first"),
        batch=_get(update, "parallelism", _positive, 1),
        stop_grace=_get(service, "stop_grace_period", seconds, "10s"),
        readiness=Readiness(
            path=_get(ready, "path", _path, "/readyz"),
            port=_get(ready, "port", _positive, 8080),
            passes=_get(ready, "passes", _positive, 2),
            min_ready=_get(ready, "min_ready", seconds, "1s"),
            identity=_get(ready, "identity", _truth, default=False),
        ),
        ready_timeout=_get(lab, "ready_timeout", seconds, "30s"),
        drain_timeout=_get(lab, "drain_timeout", seconds, "30s"),
        load=LoadDefaults(
            rate=_get(load, "rate", float, 100),
            baseline=_get(load, "baseline", seconds, "3s"),
            min_requests=_get(load, "min_requests", int, 500),
        ),
        schema_plan=(path.parent / str(plan)).resolve() if plan else None,
        versions=_versions(_map(lab, "versions")),
    )


def _versions(versions: Mapping[str, Any]) -> Mapping[str, Version]:
    if not versions:
        raise ValueError("x-lab.versions names no version")
    return {str(name): _version(str(name), _map(versions, name)) for name in versions}


def _version(name: str, value: Mapping[str, Any]) -> Version:
    if not _VERSION.fullmatch(name):
        raise ValueError(f"x-lab.versions: {name!r} cannot be the name of a version (a-z, A-Z, 0-9, '.', '_', '-')")
    environment = _map(value, "environment")
    return Version(
        name=name,
        serves_as=str(value.get("serves_as", name)),
        image=_get(value, "image", _text, None) if value.get("image") else None,
        environment={str(key): _get(environment, key, _text, None) for key in environment},
    )


def _map(parent: Mapping[str, Any], key: str) -> Mapping[str, Any]:
    value = parent.get(key)
    if value is not None and not isinstance(value, dict):
        raise ValueError(f"{key}: {value!r} is not a mapping")
    return value or {}


def _get(parent: Mapping[str, Any], key: str, read: Callable[[Any], T], default: object) -> T:
    try:
        return read(parent.get(key, default))
    except (TypeError, ValueError) as error:
        raise ValueError(f"{key}: {error}") from error


def _positive(value: object) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or value < 1:
        raise ValueError(f"{value!r} is not a whole number of 1 or more")
    return value


def _truth(value: object) -> bool:
    if not isinstance(value, bool):
        raise TypeError(f"{value!r} is neither true nor false")
    return value


def _path(value: object) -> str:
    if not isinstance(value, str) or not value.startswith("/"):
        raise ValueError(f"{value!r} is not a path beginning with /")
    return value


def _text(value: object) -> str:
    """As Compose reads it: numbers are their text, true and false have to be quoted."""
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        raise TypeError(f"{value!r} is no text: quote it")
    return str(value)


def _bad(path: Path, what: str) -> LabError:
    return LabError(id="manifest", what=f"the manifest cannot be used: {what}", where=str(path), fix="mend the file")
