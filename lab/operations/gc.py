"""`lab gc`: remove what crashed runs and deleted checkouts left, and nothing that somebody may still want."""

import asyncio
import time
from contextlib import AsyncExitStack
from pathlib import Path

from lab.assembly import Lab
from lab.chosen import is_kept
from lab.docker_host import DockerHost
from lab.errors import LabError
from lab.gateway import ProxyGateway
from lab.lease import held_lease, this_machine
from lab.leftovers import Left, abandoned_containers, abandoned_labs, nameless_images
from lab.operations.unfinished import unfinished_of
from lab.ownership import PREFIX, orphaned
from lab.project import project_at


async def gc(lab: Lab, *, dry_run: bool) -> list[Left]:
    """What was left over. LabError `lease-held` if somebody works in this lab: what is used cannot be told then."""
    lab.refuse_another_checkout()
    async with AsyncExitStack() as held:
        if not dry_run and (gateway := _gateway(lab)):
            await held.enter_async_context(gateway)
            if await gateway.is_up():
                await held.enter_async_context(held_lease(gateway, lab.project.home))
        found = await asyncio.to_thread(_found, lab)
        if not dry_run:
            await asyncio.to_thread(_remove, lab.host, found)
    return found


def _gateway(lab: Lab) -> ProxyGateway | None:
    try:
        return lab.gateway()
    except LabError:
        return None  # no proxy, so nobody holds its lease


def _found(lab: Lab) -> list[Left]:
    it = unfinished_of(lab.journal.events()) if lab.project.journal.exists() else None
    own = abandoned_containers(lab.host.remains(), service=lab.manifest.service, going_on=it.run if it else None)
    # a folder of another host cannot be looked for here
    here = lab.endpoint.url.startswith("unix://")
    labs = abandoned_labs(lab.host.everybody(), lambda home: Path(home).is_dir()) if here else []
    labs += [one for one in _orphaned(lab) if one.id not in {left.id for left in labs}]
    return [*own, *labs, *nameless_images(lab.host.nameless_images(), time.time())]


def _orphaned(lab: Lab) -> list[Left]:
    """Labs of test runs that were killed: as the next test run would remove them."""
    labels = [row["Labels"] for row in lab.host.everybody()]
    gone = orphaned(labels, this_machine())
    left = [name for name in gone if not is_kept(project_at(lab.project.home, name.removeprefix(PREFIX)))]
    return [Left(kind="lab", name=name, id=name, why="the process that it belonged to is gone") for name in left]


def _remove(host: DockerHost, found: list[Left]) -> None:
    for one in found:
        match one.kind:
            case "container":
                host.remove(one.id)
            case "lab":
                host.sweep_lab(one.id)
            case _:
                host.remove_image(one.id)
