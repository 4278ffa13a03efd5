"""Which manifest a project runs, and whose it is: what it was started with, remembered until `lab down`."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

from lab.errors import LabError
from lab.manifest import Said
from lab.ownership import VARIABLE
from lab.project import Project

RECORD = "manifest.json"
OWNER, KEPT = "owner", "kept"


@dataclass(frozen=True, slots=True, kw_only=True)
class Chosen:
    """`path`: the Compose file, wherever it lies; the project's folder is in the lab's own checkout all the same."""

    path: Path
    said: Said


def chosen_of(project: Project) -> Chosen:
    """LabError `state-unreadable` where the record is garbled."""
    record = _record(project)
    if not record.exists():
        return Chosen(path=project.manifest, said=Said())
    try:
        data = json.loads(record.read_text())
        said = Said(**{**data["said"], "paths": tuple(data["said"]["paths"])})
        return Chosen(path=Path(data["file"]), said=said)
    except (OSError, ValueError, TypeError, KeyError, AttributeError) as error:
        raise LabError(
            id="state-unreadable",
            what=f"a file of the lab cannot be read: {error}",
            where=str(record),
            fix="remove the file, then lab down and lab up -f FILE",
        ) from error


def remember(project: Project, chosen: Chosen) -> None:
    record = _record(project)
    if chosen == Chosen(path=project.manifest, said=Said()):
        record.unlink(missing_ok=True)
        return
    temporary = record.with_suffix(".tmp")
    temporary.write_text(json.dumps({"file": str(chosen.path), "said": asdict(chosen.said)}))
    temporary.replace(record)


def owner_of(project: Project, environ: Mapping[str, str]) -> str | None:
    """The process that the lab belongs to, where it is not to outlive it: for every command that works on it."""
    record = project.folder / OWNER
    return environ.get(VARIABLE) or (record.read_text() if record.exists() else None)


def remember_owner(project: Project, owner: str | None) -> None:
    if owner:
        (project.folder / OWNER).write_text(owner)


def keep(project: Project) -> None:
    """Let the lab outlive its owner, until somebody takes it down."""
    (project.folder / KEPT).touch()


def is_kept(project: Project) -> bool:
    return (project.folder / KEPT).exists()


def forget(project: Project) -> None:
    """The lab is down: the next one is what `lab up` says it is, and its owner's who says it."""
    _record(project).unlink(missing_ok=True)
    for name in (OWNER, KEPT):
        (project.folder / name).unlink(missing_ok=True)


def _record(project: Project) -> Path:
    return project.folder / RECORD
