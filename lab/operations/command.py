"""`lab pause`, `resume`, `abort`, `rollback` and `scale`: to whoever runs the rollout, or else done here."""

from lab.assembly import Lab
from lab.errors import LabError
from lab.migrate import NOTHING, current_phase
from lab.model import Command
from lab.operations.operators import PATIENCE_SECONDS, Answer, Told, Word, at_work, tell
from lab.operations.resume import Resumed, go_on, no_rollout
from lab.operations.rollouts import Listener
from lab.operations.scale import ScaleResult, check_size, scale
from lab.operations.status import GOES_ON
from lab.operations.targets import rollback_target
from lab.operations.unfinished import Stage, unfinished_of


async def operate(
    lab: Lab, word: Word, *, within: float = PATIENCE_SECONDS, told: Told, listen: Listener
) -> Answer | Resumed | ScaleResult:
    """Obeyed by the command that runs the rollout; if there is none, the rollout is gone on with here."""
    if word.command is Command.SCALE:
        check_size(word.replicas or 0)
    lab.refuse_another_checkout()
    async with lab.gateway() as gateway:
        owner = await at_work(gateway)
        if owner is not None:
            return await tell(lab, gateway, owner, word, within=within, told=told)
    match word.command:
        case Command.SCALE:
            return await scale(lab, word.replicas or 0, listen=listen)
        case Command.PAUSE:
            raise _nobody_to_pause(lab)
        case _:
            return await go_on(lab, word.command, to=word.to, listen=listen)


async def is_rolling(lab: Lab) -> bool:
    """Whether a rollout has not ended, or somebody is about to begin one: `lab rollback` is then a word to it."""
    lab.refuse_another_checkout()
    async with lab.gateway() as gateway:
        if await at_work(gateway):
            return True
    it = unfinished_of(lab.journal.events())
    return it is not None and it.stage is not Stage.UNJUDGED and it.kind in {"roll", "rollback"}


def revision_of(lab: Lab, text: str | None) -> int | None:
    """What `--to` means, and whether the schema serves it (P9)."""
    if text is None:
        return None
    history = lab.history()
    number = rollback_target(history, text)
    if lab.plan is not None:
        now, version = current_phase(lab.database()), history.revisions[number]
        if now != NOTHING and version.serves_as not in lab.plan.phase(now).serves:
            raise LabError(
                id="schema-does-not-serve",
                what=f"the schema is {now}, which does not serve {version.version}",
                where=f"revision {number}",
                fix="lab history shows the others",
            )
    return number


def _nobody_to_pause(lab: Lab) -> LabError:
    it = unfinished_of(lab.journal.events())
    if it is None or it.stage is Stage.UNJUDGED:
        return no_rollout()
    stands = "is paused already" if it.stage is Stage.PAUSED else "stands still: its controller is gone"
    return LabError(id="not-running", what=f"the rollout {it.run} to {it.to} {stands}", fix=GOES_ON)
