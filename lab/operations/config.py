"""`lab config`: every value that counts, with its origin. Asks no engine."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from lab.assembly import Lab
from lab.chosen import RECORD
from lab.endpoint import candidates
from lab.folds import History, history_of
from lab.journal import SqliteJournal
from lab.load_choice import LoadChoice
from lab.manifest_lines import lines_of
from lab.project import recorded_port
from lab.settings import Origin, Setting, Written, load_settings, service_settings, shape_settings
from lab.shape import Shape

_IMAGES = ("LAB_PYTHON_IMAGE", "LAB_POSTGRES_IMAGE")


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """What flags and the environment say, and which of the two said it, by the names of Shape and LoadChoice."""

    shape: Shape
    shape_by: Mapping[str, Origin]
    load: LoadChoice
    load_by: Mapping[str, Origin]
    project_by: Origin | None = None


def effective(lab: Lab, asked: Asked, environ: Mapping[str, str]) -> list[Setting]:
    manifest, history = lab.manifest, _history(lab)
    lines = lines_of(manifest.path.read_text(encoding="utf-8"))
    written = Written(service=manifest.service, file=_short(manifest.path, lab.project.home), lines=lines)
    settings = [
        _project(lab, asked.project_by),
        *_chosen(lab, written.file),
        _port(lab),
        _engine(environ),
        *(_image(name, environ) for name in _IMAGES),
        written.setting("replicas", manifest.replicas, "deploy.replicas"),
        *shape_settings(asked.shape, asked.shape_by, manifest, written),
        *_said_beside(lab, load_settings(asked.load, asked.load_by, manifest.load, written)),
        *_said_beside(lab, service_settings(manifest, written)),
    ]
    if history.current is not None:
        size = Setting(name="replicas", value=str(history.replicas), origin=Origin.JOURNAL)
        settings = [size if one.name == "replicas" else one for one in settings]
    return settings


def _chosen(lab: Lab, file: str) -> list[Setting]:
    if lab.chosen.path == lab.project.manifest:
        return [Setting(name="manifest", value=file, origin=Origin.DEFAULT)]
    manifest = Setting(name="manifest", value=file, origin=Origin.JOURNAL, where=RECORD)
    return [manifest, replace(manifest, name="service", value=lab.manifest.service)]


def _said_beside(lab: Lab, settings: list[Setting]) -> list[Setting]:
    """What `lab up` was told of a file that does not say it itself."""
    said = lab.chosen.said
    told = {"readiness.path": said.readiness, "readiness.port": said.port, "load.paths": said.paths}
    names = {name for name, value in told.items() if value}
    return [replace(s, origin=Origin.JOURNAL, where=RECORD) if s.name in names else s for s in settings]


def _project(lab: Lab, by: Origin | None) -> Setting:
    where = {Origin.FLAG: "--project", Origin.ENVIRONMENT: "LAB_PROJECT", None: ""}[by]
    return Setting(name="project", value=lab.project.name, origin=by or Origin.DEFAULT, where=where)


def _history(lab: Lab) -> History:
    """None is made for a question."""
    if not lab.project.journal.exists():
        return History()
    journal = SqliteJournal(lab.project.journal)
    try:
        return history_of(journal.events())
    finally:
        journal.close()


def _port(lab: Lab) -> Setting:
    kept = recorded_port(lab.project)
    if kept is not None:
        return Setting(name="port", value=str(kept), origin=Origin.JOURNAL, where="port.json")
    return Setting(name="port", value="8080, or a free one beside it", origin=Origin.DEFAULT)


def _engine(environ: Mapping[str, str]) -> Setting:
    first = candidates(environ, Path.home())[0]
    origin = Origin.ENVIRONMENT if first.source == "DOCKER_HOST" or "DOCKER_CONTEXT" in environ else Origin.DEFAULT
    return Setting(name="engine", value=first.url, origin=origin, where=first.source)


def _image(variable: str, environ: Mapping[str, str]) -> Setting:
    name = variable.removeprefix("LAB_").lower().replace("_", "-")
    if value := environ.get(variable):
        return Setting(name=name, value=value, origin=Origin.ENVIRONMENT, where=variable)
    return Setting(name=name, value="by its content", origin=Origin.DEFAULT)


def _short(path: Path, home: Path) -> str:
    return str(path.relative_to(home)) if path.is_relative_to(home) else str(path)
