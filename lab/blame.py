"""What a person needs to see of what failed: which replica, its last probe, its last lines."""

from collections.abc import Sequence
from dataclasses import dataclass

from lab.errors import LabError
from lab.model import Ending, Replica, ending_words
from lab.planner import Turn
from lab.ports import Engine, Event

LOG_LINES = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class Ended:
    """How a rollout ended, why, and what a person needs to mend it."""

    ending: Ending
    reason: str = ""
    where: str = ""
    detail: str = ""
    log: tuple[str, ...] = ()


async def blame_of(
    engine: Engine, in_slot: Sequence[Replica], deaths: Sequence[Event], turn: Turn, target: int
) -> Ended:
    """`deaths`: the `replica-died` of the run, oldest first."""
    suspects = [r for r in in_slot if r.revision == target and r.container_id]
    deaths = [d for d in deaths if (d.data["slot"], d.data["revision"]) == (turn.slot, target)]
    if deaths and not (suspects and suspects[-1].alive):
        return _of_death(deaths[-1], turn)
    if not suspects:
        return Ended(ending=Ending.FAILED, reason=f"slot {turn.slot} {turn.reason}")
    r = suspects[-1]
    return Ended(
        ending=Ending.FAILED,
        reason=f"{r.name} {turn.reason}",
        where=f"container {r.container_id[:12]}",
        detail=f"last probe: {r.probe.said}" if r.probe else "never probed",
        log=tuple(await last_lines(engine, r)),
    )


def _of_death(death: Event, turn: Turn) -> Ended:
    data = death.data
    return Ended(
        ending=Ending.FAILED,
        reason=f"{data['replica']} {turn.reason}",
        where=ending_words(data["exit_code"], oom=data["oom"]),
        log=tuple(data["log"]),
    )


async def last_lines(engine: Engine, r: Replica) -> list[str]:
    if not r.container_id:
        return []
    try:
        raw = await engine.logs(r.container_id, tail=LOG_LINES)
    except LabError:
        return ["(its log could not be read)"]
    return raw.decode(errors="replace").splitlines()[-LOG_LINES:]
