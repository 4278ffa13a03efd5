"""`lab status --wait-for`: looks at the fleet until it is where somebody wants it, with a deadline and a reason."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from lab.errors import Exit, LabError
from lab.goals import Look, Standing, is_at_work, look_at
from lab.view import FleetView

LOOK_SECONDS = 0.4
SAY_SECONDS = 10.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Clock:
    """Seconds that only rise, and how to let some pass."""

    now: Callable[[], float] = time.monotonic
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep


async def wait_for(
    look: Callable[[], Awaitable[FleetView]],
    goal: str,
    *,
    within: float,
    say: Callable[[float, str, float], None],
    clock: Clock | None = None,
) -> FleetView:
    """The fleet as it is when it is there. `say`: seconds so far, what is missing, seconds left.

    LabError `not-reached` when the time is over (exit 4), `ended-elsewhere` when it came to rest elsewhere (exit 1).
    """
    clock = clock or Clock()
    began = clock.now()
    moved, elsewhere, told, said_at = False, False, "", began
    while True:
        view, found = await _looked(look, goal, first=not told, moved=moved)
        moved = moved or (view is not None and is_at_work(view))
        if view is not None and found.standing is Standing.REACHED:
            return view
        # a run is in the journal just before its command can be told from one that is gone: two looks agree
        if found.standing is Standing.ELSEWHERE and elsewhere:
            raise _elsewhere(goal, found.why)
        elsewhere = found.standing is Standing.ELSEWHERE
        now = clock.now()
        if now - began >= within:
            raise _late(goal, found.why, within)
        if found.why != told or now - said_at >= SAY_SECONDS:
            say(now - began, found.why, within - (now - began))
            told, said_at = found.why, now
        await clock.sleep(min(LOOK_SECONDS, within - (now - began)))


async def _looked(
    look: Callable[[], Awaitable[FleetView]], goal: str, *, first: bool, moved: bool
) -> tuple[FleetView | None, Look]:
    """What cannot be looked at from the beginning is an error; later it may come back."""
    try:
        view = await look()
    except LabError as error:
        if first:
            raise
        return None, Look(Standing.ON_ITS_WAY, error.what)
    return view, look_at(view, goal, moved=moved)


def _elsewhere(goal: str, why: str) -> LabError:
    return LabError(
        id="ended-elsewhere",
        what=f"waited for {goal}, and that does not come by itself: {why}",
        fix="lab status; lab report shows why; lab resume, lab rollback or lab abort go on with what has not ended",
        exit_code=Exit.NO,
    )


def _late(goal: str, why: str, within: float) -> LabError:
    return LabError(
        id="not-reached",
        what=f"waited {within:g} s for {goal}, in vain: {why}",
        fix="lab status shows where it is; --timeout gives it longer",
        exit_code=Exit.NO_VERDICT,
    )
