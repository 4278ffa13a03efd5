"""`lab load run`: bounded traffic against the fleet as it stands, and the same verdict. Nothing is rolled."""

import asyncio
from dataclasses import dataclass, field

from lab.assembly import Lab, not_up
from lab.errors import LabError, UsageError
from lab.lease import held_lease
from lab.load_choice import LoadChoice, LoadSpec
from lab.model import RolloutSpec
from lab.operations.account import Account
from lab.operations.load_check import refuse_load
from lab.operations.rollouts import Listener
from lab.operations.run import Course, Run, RunResult, new_run
from lab.operations.statics import refuse_taken_port
from lab.operations.status import GOES_ON, schema_phase
from lab.operations.unfinished import Stage, is_a_load, unfinished_of
from lab.proof import Command

SECONDS = 30.0
MOST_SECONDS = 24 * 3600.0
MOST_PORT = 65535
USUAL_PORT = 8089


@dataclass(frozen=True, slots=True, kw_only=True)
class LoadRequest:
    """It ends after so many seconds or requests, whichever is first. Neither given: after half a minute.

    `web`: Locust's own page is to be seen on this port of 127.0.0.1 meanwhile.
    """

    choice: LoadChoice = field(default_factory=LoadChoice)
    seconds: float | None = None
    requests: int | None = None
    web: int | None = None


async def run_load(lab: Lab, request: LoadRequest, *, listen: Listener) -> RunResult:
    """Offer it, and judge what came of it. LabError for what must not be begun: a lab that is changed, or none."""
    spec = check(lab, request)
    lab.refuse_another_checkout()
    if request.web is not None:
        refuse_taken_port(lab, request.web, other=f"--web {request.web % MOST_PORT + 1}")
    async with lab.gateway() as gateway, held_lease(gateway, lab.project.home):
        course = await asyncio.to_thread(_course, lab, request, spec)
        return await Run(lab, gateway, course, listen).go()


def check(lab: Lab, request: LoadRequest) -> LoadSpec:
    """Refuse what cannot be meant, before any engine is asked."""
    if request.requests is not None and request.requests < 1:
        raise UsageError(id="requests", what=f"--requests {request.requests} is no load", fix="1 or more")
    if request.seconds is not None and not 0 < request.seconds <= MOST_SECONDS:
        what = f"--duration {request.seconds:g}s is no load, or one of more than a day"
        raise UsageError(id="duration", what=what, fix="--duration 30s")
    if request.web is not None and not 1 <= request.web <= MOST_PORT:
        raise UsageError(id="web", what=f"--web {request.web} is no port", fix=f"--web {USUAL_PORT}")
    return refuse_load(request.choice, lab.manifest.load.choice)


def _course(lab: Lab, request: LoadRequest, spec: LoadSpec) -> Course:
    history = lab.history()
    if history.current is None:
        raise not_up(lab.project, "no fleet has come up")
    _refuse_unfinished(lab)
    now = history.revisions[history.current]
    seconds = request.seconds
    if seconds is None and request.requests is None:
        seconds = SECONDS
    account = Account(
        command=Command.LOAD,
        from_version=now.version,
        to_version=now.version,
        spec=RolloutSpec(target=now.number, replicas=history.replicas, surge=1, unavailable=0),
        schema_before=schema_phase(lab),
        load=spec,
        seconds=seconds or MOST_SECONDS,
        requests=request.requests,
        web=request.web,
    )
    return Course(run=new_run(lab, account), account=account, images=lab.ensure_images())


def _refuse_unfinished(lab: Lab) -> None:
    """Its load may still run, and there is one ledger of the proxy at a time. One that is paused has its verdict."""
    it = unfinished_of(lab.journal.events())
    if it is None or (it.stage is Stage.PAUSED and it.judged):
        return
    if is_a_load(it):
        raise LabError(
            id="unfinished",
            what=f"the load of {it.run} has no verdict yet, and nobody waits for it",
            fix="lab resume gives it",
        )
    raise LabError(id="unfinished", what=f"the rollout {it.run} to {it.to} has not ended", fix=GOES_ON)
