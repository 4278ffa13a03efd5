"""`lab gc`: remove what crashed runs and deleted checkouts left, and nothing that somebody may still want."""

import asyncio
import shutil
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import AsyncExitStack, suppress
from pathlib import Path
from typing import Any

from lab import images
from lab.assembly import Lab
from lab.chosen import is_kept
from lab.errors import LabError
from lab.folds import history_of
from lab.gateway import ProxyGateway
from lab.journal import SqliteJournal
from lab.lease import held_lease, this_machine
from lab.leftovers import (
    BUILD_SECONDS,
    Left,
    abandoned_containers,
    abandoned_labs,
    nameless_images,
    old_runs,
    unused_images,
)
from lab.operations.archive import run_folders
from lab.operations.unfinished import Unfinished, unfinished_of
from lab.ownership import PREFIX, orphaned
from lab.project import Project, project_at


async def gc(lab: Lab, *, dry_run: bool, age: float | None = None) -> list[Left]:
    """What was left over, and is gone now unless `dry_run`. `age`: seconds; then runs that old go as well.

    LabError `lease-held` if somebody works in this lab: what is used cannot be told then.
    """
    lab.refuse_another_checkout()
    async with AsyncExitStack() as held:
        if not dry_run and (gateway := _gateway(lab)):
            await held.enter_async_context(gateway)
            if await gateway.is_up():
                await held.enter_async_context(held_lease(gateway, lab.project.home))
        found = await asyncio.to_thread(_found, lab, age)
        if not dry_run:
            found = await asyncio.to_thread(lambda: [one for one in found if _is_removed(lab, one)])
    return found


def _gateway(lab: Lab) -> ProxyGateway | None:
    try:
        return lab.gateway()
    except LabError:
        return None  # no proxy, so nobody holds its lease


def _found(lab: Lab, age: float | None) -> list[Left]:
    it, now = unfinished_of(lab.journal.events()) if lab.project.journal.exists() else None, time.time()
    own = abandoned_containers(lab.host.remains(), service=lab.manifest.service, going_on=it.run if it else None)
    everybody = lab.host.everybody()
    # a folder of another host cannot be looked for here
    here = lab.endpoint.url.startswith("unix://")
    labs = abandoned_labs(everybody, lambda home: Path(home).is_dir()) if here else []
    labs += [one for one in _orphaned(lab, everybody) if one.id not in {left.id for left in labs}]
    nameless = nameless_images(lab.host.nameless_images(), now)
    unused = _unused(lab, everybody, now, BUILD_SECONDS if age is None else age)
    return [*own, *labs, *nameless, *unused, *([] if age is None else _runs(lab.project, it, now, age))]


def _orphaned(lab: Lab, everybody: list[dict[str, Any]]) -> list[Left]:
    """Labs of test runs that were killed: as the next test run would remove them."""
    gone = orphaned([row["Labels"] for row in everybody], this_machine())
    left = [name for name in gone if not is_kept(project_at(lab.project.home, name.removeprefix(PREFIX)))]
    return [Left(kind="lab", name=name, id=name, why="the process that it belonged to is gone") for name in left]


def _unused(lab: Lab, everybody: list[dict[str, Any]], now: float, age: float) -> list[Left]:
    """Of our own images those that no container, no revision to go back to, and no checkout's code needs."""
    projects = [lab.project, *_beside(lab.project), *_elsewhere(everybody)]
    wanted = images.wanted_by({project.home for project in projects})
    if wanted is None:
        return []
    used = frozenset(row["ImageID"] for row in everybody).union(*map(_revisions, projects))
    return unused_images(lab.host.own_images(), used=used, wanted=wanted, now=now, age=age)


def _beside(project: Project) -> Iterator[Project]:
    """The other projects of this checkout, up or down."""
    for folder in sorted(project.folder.parent.iterdir()) if project.folder.parent.is_dir() else ():
        with suppress(LabError):
            yield project_at(project.home, folder.name)


def _elsewhere(everybody: Iterable[Mapping[str, Any]]) -> Iterator[Project]:
    """The labs that have containers, of whatever checkout."""
    for row in everybody:
        home, name = row["Labels"].get("rollinglab.home"), row["Labels"].get("rollinglab.project")
        if home and name:
            with suppress(LabError):
                yield project_at(Path(home), name)


def _revisions(project: Project) -> set[str]:
    """What the revisions were made of that this lab runs, or may go back to."""
    if not project.journal.exists():
        return set()
    with suppress(LabError):
        journal = SqliteJournal(project.journal)
        try:
            history = history_of(journal.events())
        finally:
            journal.close()
        numbers = {*history.targets, history.current, history.rolling_to}
        return {revision.image_id for number, revision in history.revisions.items() if number in numbers}
    return set()


def _runs(project: Project, it: Unfinished | None, now: float, age: float) -> list[Left]:
    touched = {folder.name: folder.stat().st_mtime for folder in run_folders(project.runs)}
    return old_runs(touched, going_on=frozenset({it.run, *it.earlier} if it else ()), now=now, age=age)


def _is_removed(lab: Lab, one: Left) -> bool:
    match one.kind:
        case "container":
            lab.host.remove(one.id)
        case "lab":
            lab.host.sweep_lab(one.id)
        case "run":
            shutil.rmtree(lab.project.runs / one.id, ignore_errors=True)
        case _:
            return lab.host.remove_image(one.id)
    return True
