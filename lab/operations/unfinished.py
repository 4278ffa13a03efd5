"""PURE: the rollout that has not come to its end, as the journal tells it. Whoever goes on with it begins here."""

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from enum import StrEnum

from lab.blame import Ended
from lab.errors import LabError
from lab.model import Command, Ending, RolloutSpec
from lab.operations.account import Account, account_from_json
from lab.planner import RolloutState
from lab.ports import Event
from lab.proof import Command as Measured
from lab.spec_codec import spec_from_json
from lab.transitions import BACKWARDS, STILL, Phase


class Stage(StrEnum):
    """How far its command came."""

    BEGUN = "begun"
    """Its load may run; nothing is rolled yet."""
    ROLLING = "rolling"
    PAUSED = "paused"
    """In order: by an operator, a failure or Ctrl-C."""
    UNJUDGED = "unjudged"
    """The rollout is over, the verdict is not given."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Unfinished:
    """`account` None: nothing is measured. `judged`: its verdict is given, so that who goes on is a run of its own."""

    run: str
    kind: str
    stage: Stage
    spec: RolloutSpec
    state: RolloutState
    to: str
    earlier: tuple[str, ...] = ()
    account: Account | None = None
    judged: bool = False
    ended: Ended | None = None
    pid: int | None = None


def is_a_load(it: Unfinished) -> bool:
    """Nothing is rolled in it."""
    return it.account is not None and it.account.command is Measured.LOAD


@dataclass(slots=True)
class _Found:
    run: str
    stage: Stage
    before: "_Found | None" = None
    events: list[Event] = field(default_factory=list)
    judged: bool = False

    def last(self, *types: str) -> Event | None:
        return next((e for e in reversed(self.events) if e.run == self.run and e.type in types), None)


_STAGES = {
    "rollout-started": Stage.ROLLING,
    "rollout-resumed": Stage.ROLLING,
    "rollout-paused": Stage.PAUSED,
    "rollout-ended": Stage.UNJUDGED,
}


def unfinished_of(events: Iterable[Event]) -> Unfinished | None:
    """The last run, if there is something left to do for it."""
    found: _Found | None = None
    history: dict[str, list[Event]] = {}
    for event in events:
        if event.type == "lab-removed":
            found = None
        elif event.run:
            history.setdefault(event.run, []).append(event)
            found = _follow(found, event)
    if found is None:
        return None
    found.events = history[found.run]
    if found.stage is Stage.UNJUDGED and found.last("run-started") is None:
        return None
    return _told(found, history)


def _follow(found: _Found | None, event: Event) -> _Found | None:
    if event.type == "run-started" or (event.type == "rollout-started" and (not found or found.run != event.run)):
        found = _Found(event.run, Stage.BEGUN, before=found)
    if found is None or event.run != found.run:
        return found
    if event.type == "run-ended" and found.stage is Stage.PAUSED:
        return replace(found, judged=True)
    if event.type == "run-ended":
        return found.before if found.stage is Stage.BEGUN else None
    stage = _STAGES.get(event.type, found.stage)
    return replace(found, stage=stage, judged=found.judged and stage is Stage.PAUSED)


def _told(found: _Found, history: dict[str, list[Event]]) -> Unfinished | None:
    begun, rolled = found.last("run-started"), found.last("rollout-started")
    told = rolled or begun
    if told is None or "strategy" not in told.data.get("spec", {}):
        return None  # a lab of before wrote it
    account = account_from_json(begun.data) if begun else None
    spec = spec_from_json(told.data["spec"])
    earlier = _earlier(found.run, history)
    state = RolloutState(run=found.run, target=spec.target, replicas=spec.replicas, earlier=frozenset(earlier))
    for event in [event for run in (*reversed(earlier), found.run) for event in history[run]]:
        state.add(event)
    started = found.last("rollout-started", "rollout-resumed")
    return Unfinished(
        run=found.run,
        kind=rolled.data["kind"] if rolled else str(account.command if account else ""),
        stage=found.stage,
        spec=spec,
        state=state,
        to=rolled.data["to"] if rolled else (account.to_version if account else ""),
        earlier=earlier,
        account=account,
        judged=found.judged,
        ended=_ended(found.last("rollout-ended") if found.stage is Stage.UNJUDGED else None),
        pid=started.data.get("pid") if started else None,
    )


def _earlier(run: str, history: dict[str, list[Event]]) -> tuple[str, ...]:
    """The runs that it goes on with, the nearest first."""
    chain: list[str] = []
    while True:
        begun = [e.data.get("continues") for e in history[run] if e.type in {"run-started", "rollout-started"}]
        before = next((name for name in begun if name), None)
        if before is None or before in chain or before not in history:
            return tuple(chain)
        chain.append(before)
        run = before


def _ended(event: Event | None) -> Ended | None:
    if event is None:
        return None
    return Ended(ending=Ending(event.data["ending"]), reason=event.data["reason"], where=event.data["where"])


def first_word(it: Unfinished, command: Command, to: int | None = None) -> Command | None:
    """What a controller has to be told that goes on with it for that command. LabError `refused` if it cannot."""
    phase = it.state.phase
    if isinstance(phase, Ending) or it.stage is Stage.UNJUDGED:
        if command is Command.RESUME:
            return None
        raise LabError(id="refused", what=f"the rollout {it.run} is over but for its record", fix="lab resume")
    match command:
        case Command.RESUME:
            held = any(asked.command is Command.PAUSE for asked in it.state.asked)
            return Command.RESUME if phase in STILL or held else None
        case Command.ABORT:
            return None if phase is Phase.SETTLING else Command.ABORT
        case _:
            return _back(it, phase, to)


def _back(it: Unfinished, phase: Phase, to: int | None) -> Command | None:
    if phase in BACKWARDS:
        if to not in {None, it.state.target}:
            raise LabError(
                id="refused", what=f"the rollout {it.run} goes back already, to another revision", fix="lab resume"
            )
        return Command.RESUME if phase in STILL else None
    if to is None and it.spec.back_to is None:
        raise LabError(
            id="refused", what=f"the rollout {it.run} has no revision to go back to", fix="lab resume, or lab abort"
        )
    return Command.ROLLBACK
