"""One writer (P8): the lease held in the proxy, renewed while a command runs, taken over when its owner is gone."""

import asyncio
import os
import socket
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

from lab import ownership
from lab.errors import GatewayError, LabError
from lab.gateway import ProxyGateway
from lab.ownership import Machine
from lab.ports import Lease, Owner

TTL_SECONDS = 15.0
_DEAD = {"Z", "X"}
"""A killed process keeps its number until its parent asks for it, which may be never."""


@asynccontextmanager
async def held_lease(gateway: ProxyGateway, home: Path) -> AsyncIterator[None]:
    """Hold the lease for the length of the block. LabError `lease-held` names the holder."""
    owner = this_process(home)
    await _take(gateway, owner)
    renewing = asyncio.create_task(_renew(gateway, owner))
    try:
        yield
    finally:
        renewing.cancel()
        with suppress(asyncio.CancelledError, GatewayError):
            await renewing
        with suppress(GatewayError):
            await gateway.give_back_lease()


async def _take(gateway: ProxyGateway, owner: Owner) -> None:
    for _ in range(3):
        try:
            await gateway.take_lease(owner, TTL_SECONDS)
        except GatewayError as error:
            if error.id != "lease-held":
                raise
        else:
            return
        lease = (await gateway.routing()).lease
        if lease is None:
            continue
        if not is_gone(lease.owner):
            raise _held(lease, owner)
        with suppress(GatewayError):
            await gateway.take_lease(owner, TTL_SECONDS, replace_fence=lease.fence)
            return
    raise LabError(id="lease-held", what="others keep taking the lease", fix="try again in a moment")


async def _renew(gateway: ProxyGateway, owner: Owner) -> None:
    while True:
        await asyncio.sleep(TTL_SECONDS / 3)
        # a failed renewal needs no act here: the next change of routing is refused, and that pauses the rollout
        with suppress(GatewayError):
            await gateway.renew_lease(owner, TTL_SECONDS)


def _held(lease: Lease, owner: Owner) -> LabError:
    other = lease.owner
    elsewhere = f", from the checkout {other.home}" if other.home != owner.home else ""
    return LabError(
        id="lease-held",
        what=f"this lab is being changed by `{other.command}` (pid {other.pid} on {other.host}){elsewhere}",
        fix="wait for it to end, or stop it with Ctrl-C",
    )


def this_process(home: Path) -> Owner:
    return Owner(
        host=socket.gethostname(),
        boot=_boot(),
        pid=os.getpid(),
        start=start_of(os.getpid()) or "",
        command=" ".join(["lab", *sys.argv[1:]]),
        home=str(home),
    )


def is_gone(owner: Owner) -> bool:
    """Whether that process is surely gone, as this machine sees it now."""
    return ownership.is_gone(owner, this_machine())


def this_machine() -> Machine:
    return Machine(host=socket.gethostname(), boot=_boot(), start_of=start_of)


def start_of(pid: int) -> str | None:
    """When that process started, in whatever form this system gives it; None if it does not live."""
    stat = Path(f"/proc/{pid}/stat")
    try:
        fields = stat.read_text().rpartition(")")[2].split()
        return None if fields[0] in _DEAD else fields[19]
    except OSError:
        if Path("/proc/self/stat").exists():
            return None
    done = subprocess.run(["ps", "-o", "lstart=", "-p", str(pid)], capture_output=True, text=True, check=False)
    return done.stdout.strip() or None


def _boot() -> str:
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    except OSError:
        done = subprocess.run(["sysctl", "-n", "kern.bootsessionuuid"], capture_output=True, text=True, check=False)
        return done.stdout.strip()
