"""`lab scale N` where no rollout runs: the same revision, on another number of replicas."""

from dataclasses import dataclass

from lab.assembly import Lab, not_up
from lab.errors import LabError, UsageError
from lab.lease import held_lease
from lab.operations.rollouts import Listener
from lab.operations.unfinished import unfinished_of
from lab.operations.up import converge


@dataclass(frozen=True, slots=True, kw_only=True)
class ScaleResult:
    changed: bool
    before: int
    replicas: int
    version: str


def check_size(replicas: int) -> None:
    if replicas < 1:
        raise UsageError(id="replicas", what="a fleet has at least one replica", fix="lab scale N, of at least 1")


async def scale(lab: Lab, replicas: int, *, listen: Listener) -> ScaleResult:
    """Not measured, as `lab up` is not. LabError `unfinished` where a rollout is to be gone on with first."""
    async with lab.gateway() as gateway, held_lease(gateway, lab.project.home):
        history = lab.history()
        if history.current is None:
            raise not_up(lab.project, "no fleet has come up")
        it = unfinished_of(lab.journal.events())
        if history.running and it and it.kind not in {"up", "scale"}:
            raise LabError(
                id="unfinished",
                what=f"the rollout {it.run} to {it.to} has not ended, and nobody runs it",
                fix=f"lab resume, then lab scale {replicas}; or lab rollback, or lab abort",
            )
        revision = history.revisions[history.current]
        changed = await converge(lab, gateway, revision, replicas, kind="scale", listen=listen)
    return ScaleResult(changed=changed, before=history.replicas, replicas=replicas, version=revision.version)
