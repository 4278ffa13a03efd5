"""`lab reset`: back to the starting state, as a fresh lab of the same size. Runs and reports are kept."""

from dataclasses import dataclass

from lab.assembly import Lab
from lab.operations.down import down
from lab.operations.heartbeat import Told
from lab.operations.rollouts import Listener
from lab.operations.up import UpRequest, UpResult, up


@dataclass(frozen=True, slots=True, kw_only=True)
class ResetResult:
    removed: int
    up: UpResult


async def reset(lab: Lab, *, told: Told, listen: Listener) -> ResetResult:
    """The manifest's first version on an empty database in its first phase. LabError `lease-held` if one is at work.

    All is made anew, because only a new volume is surely empty.
    """
    replicas, chosen = _size(lab), lab.chosen
    removed = await down(lab)
    told("removed", f"{removed} containers, networks and volumes", 0.0)
    again = Lab(project=lab.project, asked=chosen)  # nothing of the old one is remembered
    return ResetResult(removed=removed, up=await up(again, UpRequest(replicas=replicas), told=told, listen=listen))


def _size(lab: Lab) -> int | None:
    history = lab.history()
    return history.replicas if history.current else None
