"""Goes on with a rollout that nobody runs: paused in order, or its controller is gone.

Gone, it goes on as the same run: its load is adopted, and the verdict covers the crash too. Paused, its verdict was
given with it: a new run continues it.
"""

import asyncio
from dataclasses import dataclass, replace

from lab.assembly import Lab
from lab.clock import measure_clock
from lab.controller import Ended
from lab.errors import LabError
from lab.gateway import ProxyGateway
from lab.inbox import put_word
from lab.lease import held_lease
from lab.model import Command, Ending, SchemaMode
from lab.operations.account import Account
from lab.operations.request import RollRequest
from lab.operations.roll import schema_steps
from lab.operations.rollouts import Attempt, Listener, run_rollout
from lab.operations.run import Course, Run, RunResult, new_run
from lab.operations.unfinished import Stage, Unfinished, first_word, is_a_load, unfinished_of
from lab.proof import Command as Rolled

GOALS = {Command.RESUME: Ending.DONE, Command.ABORT: Ending.ABORTED, Command.ROLLBACK: Ending.ROLLED_BACK}


@dataclass(frozen=True, slots=True, kw_only=True)
class Resumed:
    """`run` None: it was a rollout of `lab up` or `lab scale`, which nobody measures."""

    it: Unfinished
    ended: Ended | None
    run: RunResult | None


async def go_on(lab: Lab, command: Command, *, to: int | None = None, listen: Listener) -> Resumed:
    """Take the lease, and go on as the command says. LabError `no-rollout` if there is nothing to go on with."""
    async with lab.gateway() as gateway, held_lease(gateway, lab.project.home):
        it = unfinished_of(lab.journal.events())
        if it is None or (command is not Command.RESUME and is_a_load(it)):
            raise no_rollout()
        word = first_word(it, command, to)
        if it.account is None:
            return await _unmeasured(lab, gateway, it, word, listen)
        course = await asyncio.to_thread(_course, lab, it, command)
        if word:
            put_word(lab.journal, course.run, word, to=to)
        run = await Run(lab, gateway, course, listen).go()
        return Resumed(it=it, ended=None, run=run)


def no_rollout() -> LabError:
    return LabError(
        id="no-rollout", what="there is no rollout that has not ended", fix="lab status; lab roll VERSION begins one"
    )


def _course(lab: Lab, it: Unfinished, command: Command) -> Course:
    account = it.account
    if account is None:
        raise no_rollout()
    made = lab.ensure_images()
    goal = GOALS[command]
    if it.stage is Stage.PAUSED and it.judged:
        account = _continued(lab, it, replace(account, continues=it.run), command)
        return Course(run=new_run(lab, account), account=account, images=made, earlier=(it.run, *it.earlier), goal=goal)
    if it.stage is Stage.BEGUN and command is not Command.RESUME:
        account = replace(account, steps=())  # there is nothing that they would be for
    return Course(
        run=it.run,
        account=account,
        images=made,
        stage=it.stage,
        ended=it.ended,
        earlier=it.earlier,
        goal=goal,
        events=tuple(lab.journal.events(run=it.run)),
    )


def _continued(lab: Lab, it: Unfinished, account: Account, command: Command) -> Account:
    """As before, on the schema that there is now: it may be another since the pause."""
    revisions = lab.history().revisions
    source, target = revisions[it.spec.back_to or it.spec.target], revisions[it.spec.target]
    mode = account.schema_mode if command is Command.RESUME else SchemaMode.AS_IS
    anyway, kind = "anyway" in account.marks or command is Command.ABORT, account.command
    if command is Command.ROLLBACK:
        source, target, kind = target, source, Rolled.ROLLBACK
    request = RollRequest(version=None, kind=kind, schema=mode, anyway=anyway)
    steps, schema = schema_steps(lab, request, source, target)
    return replace(account, steps=tuple(phase.name for phase in steps), schema_before=schema)


async def _unmeasured(
    lab: Lab, gateway: ProxyGateway, it: Unfinished, word: Command | None, listen: Listener
) -> Resumed:
    if word:
        put_word(lab.journal, it.run, word)
    clock = await measure_clock(gateway)
    attempt = Attempt(run=it.run, kind=it.kind, spec=it.spec, earlier=it.earlier, again=True)
    ended = await run_rollout(lab, gateway, clock, attempt, listen=listen, archive=lambda _name, _log: None)
    return Resumed(it=it, ended=ended, run=None)
