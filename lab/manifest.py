"""The manifest: a Compose file whose rolled service carries `x-lab`. Read here, and nowhere else."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from lab.durations import seconds
from lab.errors import LabError, UsageError
from lab.model import Order
from lab.ports import Readiness


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
    try:
        document = yaml.safe_load(path.read_text())
    except OSError as error:
        raise _bad(path, f"it cannot be read: {error.strerror}") from error
    except yaml.YAMLError as error:
        raise _bad(path, f"it is not YAML: {error}") from error
    services = document.get("services") if isinstance(document, dict) else None
    services = services or {}
    rolled = [name for name, service in services.items() if "x-lab" in (service or {})]
    if len(rolled) != 1:
        raise _bad(path, f"one service must carry x-lab, found {len(rolled)}")
    try:
        return _manifest(path, rolled[0], services[rolled[0]])
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise _bad(path, f"services.{rolled[0]}: {error}") from error


def _manifest(path: Path, name: str, service: Mapping[str, Any]) -> Manifest:
    lab = service["x-lab"]
    deploy = service.get("deploy", {})
    update = deploy.get("update_config", {})
    load = lab.get("load", {})
    ready = lab.get("readiness", {})
    plan = lab.get("schema", {}).get("plan")
    return Manifest(
        path=path,
        service=name,
        replicas=int(deploy.get("replicas", 3)),
        order=Order(update.get("order", "start-first")),
        batch=int(update.get("parallelism", 1)),
        stop_grace=seconds(service.get("stop_grace_period", "10s")),
        readiness=Readiness(
            path=ready.get("path", "/readyz"),
            port=int(ready.get("port", 8080)),
            passes=int(ready.get("passes", 2)),
            min_ready=seconds(ready.get("min_ready", "1s")),
            identity=bool(ready.get("identity", False)),
        ),
        ready_timeout=seconds(lab.get("ready_timeout", "30s")),
        drain_timeout=seconds(lab.get("drain_timeout", "30s")),
        load=LoadDefaults(
            rate=float(load.get("rate", 100)),
            baseline=seconds(load.get("baseline", "3s")),
            min_requests=int(load.get("min_requests", 500)),
        ),
        schema_plan=(path.parent / plan).resolve() if plan else None,
        versions={key: _version(key, value or {}) for key, value in lab["versions"].items()},
    )


def _version(name: str, value: Mapping[str, Any]) -> Version:
    return Version(
        name=name,
        serves_as=str(value.get("serves_as", name)),
        image=value.get("image"),
        environment={key: str(v) for key, v in value.get("environment", {}).items()},
    )


def _bad(path: Path, what: str) -> LabError:
    return LabError(id="manifest", what=f"the manifest cannot be used: {what}", where=str(path), fix="mend the file")
