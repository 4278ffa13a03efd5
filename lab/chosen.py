"""Which manifest a project runs: the shipped one, or the one it was started with, remembered until `lab down`."""

import json
from dataclasses import asdict, dataclass
from pathlib import Path

from lab.errors import LabError
from lab.manifest import Said
from lab.project import Project

RECORD = "manifest.json"


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


def forget(project: Project) -> None:
    """The lab is down: the next one is what `lab up` says it is."""
    _record(project).unlink(missing_ok=True)


def _record(project: Project) -> Path:
    return project.folder / RECORD
