"""`lab down`: remove everything that carries the project's labels; keep the runs and their artefacts."""

import asyncio
import time

from lab.assembly import Lab
from lab.chosen import forget
from lab.compose import forget_flavour
from lab.errors import GatewayError, LabError
from lab.journal import set_aside
from lab.lease import held_lease


async def down(lab: Lab) -> int:
    """Return how many things were removed; 0 if there was nothing. LabError `lease-held` if somebody is at work."""
    lab.refuse_another_checkout()
    try:
        gateway = lab.gateway()
    except LabError:
        return await asyncio.to_thread(_sweep, lab)  # no proxy, so nobody holds its lease
    async with gateway:
        if not await gateway.is_up():
            return await asyncio.to_thread(_sweep, lab)
        try:
            async with held_lease(gateway, lab.project.home):
                return await asyncio.to_thread(_sweep, lab)
        except GatewayError as error:
            if error.id != "unauthorized":
                raise
        return await asyncio.to_thread(_sweep, lab)  # the proxy's secrets are lost: no command can hold its lease


def _sweep(lab: Lab) -> int:
    removed = lab.host.sweep()
    forget_flavour(lab.project.folder / "compose")
    forget(lab.project)
    if lab.project.journal.exists():
        _record(lab, removed)
    return removed


def _record(lab: Lab, removed: int) -> None:
    try:
        lab.journal.events()
        if removed:
            lab.journal.append("lab-removed", "", time.monotonic_ns(), {"removed": removed})
    except LabError as error:
        if error.id != "journal-unreadable":
            raise
        set_aside(lab.project.journal)
