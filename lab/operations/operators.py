"""An operator's word to a rollout that another command runs: put it in, and wait for the event that answers it."""

import asyncio
import time
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from lab.assembly import Lab
from lab.errors import LabError
from lab.gateway import ProxyGateway
from lab.inbox import put_word, withdraw_word
from lab.lease import is_gone
from lab.model import Command
from lab.observation import merge
from lab.operations.unfinished import Stage, Unfinished, is_a_load, unfinished_of
from lab.ports import Event, Owner
from lab.transitions import ROLLOUT, Happening, Phase

PATIENCE_SECONDS = 15.0
_LOOK_SECONDS = 0.05
_SAY_SECONDS = 3.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Word:
    """What is asked for. `to`: the revision to go back to."""

    command: Command
    replicas: int | None = None
    to: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What a word led to. `serving`: how many ready replicas of each version there are."""

    command: Command
    run: str
    phase: str
    replicas: int
    owner: Owner
    serving: dict[str, int] = field(default_factory=dict)
    to: str = ""


Told = Callable[[str], None]


async def at_work(gateway: ProxyGateway) -> Owner | None:
    """Who changes this lab now: a command that lives and holds the lease."""
    lease = (await gateway.routing()).lease
    return None if lease is None or is_gone(lease.owner) else lease.owner


async def tell(
    lab: Lab, gateway: ProxyGateway, owner: Owner, word: Word, *, within: float = PATIENCE_SECONDS, told: Told
) -> Answer:
    """LabError `refused` with the reason, `no-answer` if the command at work says nothing in time."""
    talk = _Talk(lab, owner, within, told)
    it = await talk.rollout()
    seen = lab.journal.last()
    number = put_word(lab.journal, it.run, word.command, replicas=word.replicas, to=word.to)
    try:
        event = await talk.answer(it.run, number, seen)
    except BaseException:
        withdraw_word(lab.journal, it.run, number)
        raise
    if event.type == "refused":
        raise LabError(id="refused", what=event.data["why"], where=f"the rollout {it.run}", fix="lab status")
    routes = (await gateway.routing()).routes
    serving = Counter(r.version for r in merge(await lab.engine.replicas(), routes) if r.available)
    return _answer(lab, owner, it, word=word, event=event, serving=serving)


class _Talk:
    """Waits for the command at work, with an end, and says every few seconds what for."""

    def __init__(self, lab: Lab, owner: Owner, within: float, told: Told) -> None:
        self._lab = lab
        self._owner = owner
        self._within = within
        self._told = told
        now = time.monotonic()
        self._deadline, self._say_at, self._check_at = now + within, now + 1, now
        self._name = f"`{owner.command}` (pid {owner.pid} on {owner.host})"

    async def rollout(self) -> Unfinished:
        """The rollout that is run; it may only be about to begin."""
        while True:
            it = unfinished_of(self._lab.journal.events())
            if it and is_a_load(it):
                raise LabError(id="no-rollout", what=f"{self._name} measures, and rolls nothing", fix="lab status")
            if it and (it.stage is Stage.BEGUN or (it.stage is Stage.ROLLING and it.pid == self._owner.pid)):
                return it
            if it and it.stage is Stage.UNJUDGED:
                raise LabError(
                    id="no-rollout",
                    what=f"the rollout {it.run} has ended; {self._name} is judging it",
                    fix="wait for its verdict: lab report",
                )
            if not await self._wait("begin its rollout"):
                raise LabError(id="no-rollout", what=f"{self._name} is at work, and rolls nothing", fix="lab status")

    async def answer(self, run: str, number: int, seen: int) -> Event:
        while True:
            for event in self._lab.journal.events(run=run, after=seen):
                seen = event.seq
                if event.data.get("answers") == number:
                    return event
                if event.type in {"rollout-ended", "rollout-paused"}:
                    what = f"the rollout {run} ended before it could answer: {event.data['ending']}"
                    raise LabError(id="no-rollout", what=what, fix="lab status")
            if not await self._wait("answer"):
                raise self._no_answer(run, number)

    async def _wait(self, what: str) -> bool:
        now = time.monotonic()
        if now >= self._deadline:
            return False
        if now >= self._check_at:
            self._check_at = now + 1
            if is_gone(self._owner):
                raise LabError(
                    id="controller-gone",
                    what=f"{self._name} ended before it could {what}",
                    fix="lab status; lab resume goes on with what it left",
                )
        if now >= self._say_at:
            self._told(f"waiting for {self._name} to {what}, {self._deadline - now:.0f}s left")
            self._say_at = now + _SAY_SECONDS
        await asyncio.sleep(_LOOK_SECONDS)
        return True

    def _no_answer(self, run: str, number: int) -> LabError:
        back = withdraw_word(self._lab.journal, run, number)
        last = self._lab.journal.events(run=run)[-1]
        doing = " ".join([last.type, *(str(last.data[key]) for key in ("verb", "replica") if key in last.data)])
        became = "the word is taken back" if back else "it took the word, and may still do what it says"
        pid = self._owner.pid
        return LabError(
            id="no-answer",
            what=f"{self._name} did not answer within {self._within:g}s; {became}",
            where=f"the rollout {run}; its last event: {doing}, at {last.wall}",
            fix=f"was it stopped? kill -CONT {pid} lets it go on; or kill -9 {pid}, then lab resume",
        )


def _answer(lab: Lab, owner: Owner, it: Unfinished, *, word: Word, event: Event, serving: Mapping[str, int]) -> Answer:
    data, phase, goal = event.data, str(it.state.phase), it.state.target
    if event.type == "phase-changed":
        phase, goal = str(ROLLOUT[Phase(data["phase"]), Happening(data["happening"])]), data["target"]
    return Answer(
        command=word.command,
        run=it.run,
        phase=phase,
        replicas=data["replicas"] if event.type == "scaled" else it.state.replicas,
        owner=owner,
        serving=dict(sorted(serving.items())),
        to=lab.history().revisions[goal].version,
    )
