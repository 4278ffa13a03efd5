"""The shell: observe -> decide -> journal -> act -> journal. The only loop that awaits."""

import asyncio
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from lab.blame import Ended, blame_of, last_lines
from lab.errands import Errands, is_errand
from lab.errors import JournalError, LabError
from lab.folds import counts_of
from lab.gates import FELT, Felt, Samples
from lab.hands import Hands, after, following
from lab.model import Act, Asked, Cause, Container, Ending, Replica, Revision, RolloutSpec
from lab.observation import WholeLook
from lab.planner import (
    Decision,
    Fleet,
    Observations,
    Over,
    Refused,
    RolloutState,
    Scaled,
    TryFailed,
    Turn,
    Wait,
    decide,
)
from lab.ports import Clock, Engine, Event, Gateway, Inbox, Journal, Observer, Readiness, Sight, Traffic, Watch
from lab.transitions import STILL, Happening

__all__ = ["Controller", "Ended", "Rollout", "World"]

HEARTBEAT_SECONDS = 10.0
PATIENCE_SECONDS = 1.0
"""However sure it is that nothing changed, it looks again after this long: a message may be lost."""
TROUBLE_SECONDS = 1.0
"""An engine or a proxy that failed is asked again after this long."""
AWAY_SECONDS = 60.0
"""A look this much later than the last, or earlier, counts for no deadline: the machine slept, or its clock jumped."""


_UNMEASURED = Samples()


class NoTraffic:
    def counted(self, revision: int) -> tuple[int, int]:  # noqa: ARG002
        return 0, 0

    def felt(self, revision: int) -> Felt:  # noqa: ARG002
        return Felt()


class NoInbox:
    def heard(self) -> tuple[Asked, ...]:
        return ()


@dataclass(frozen=True, slots=True, kw_only=True)
class World:
    """Everything outside that a rollout touches."""

    engine: Engine
    gateway: Gateway
    watch: Watch
    clock: Clock
    journal: Journal
    archive: Callable[[str, bytes], None] = lambda _name, _log: None
    """Keeps the whole log of a replica that is about to be deleted."""
    observer: Observer | None = None
    """None: looks at everything, every time."""
    traffic: Traffic = field(default_factory=NoTraffic)
    inbox: Inbox = field(default_factory=NoInbox)
    instant: bool = False
    """No act ever waits, as in a simulation: there is nothing to do side by side."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rollout:
    """What is to be rolled, and what to go back to. `linger`: paused by an operator, wait for another word.

    `earlier`: the runs that this one goes on with, after a pause.
    """

    run: str
    service: str
    spec: RolloutSpec
    back_to: int | None
    revisions: dict[int, Revision]
    readiness: Readiness
    earlier: tuple[str, ...] = ()
    linger: bool = False
    patience: float = PATIENCE_SECONDS


class Controller:
    """Takes the fleet to the spec's revision, or back. One instance runs one rollout."""

    def __init__(self, world: World, rollout: Rollout, *, on_event: Callable[[Event], None] = lambda _: None) -> None:
        self._world = world
        self._rollout = rollout
        self._spec = replace(rollout.spec, back_to=rollout.back_to, service=rollout.service)
        self._on_event = on_event
        self._interrupted = False
        self._observer = world.observer or WholeLook(world.engine, world.gateway)
        self._hands = Hands(
            engine=world.engine,
            gateway=world.gateway,
            archive=world.archive,
            note=self._note,
            spec=self._spec,
            revisions=rollout.revisions,
            readiness=rollout.readiness,
        )
        events = world.journal.events()
        self._counts = counts_of(events)
        self._state = self._recall(events)
        self._fleet = Fleet(self._aim(), generations=self._counts.generations)
        self._blame: Ended | None = None
        self._trouble: LabError | None = None
        self._looked_ns: int | None = None
        self._unheard: tuple[Replica, ...] = ()
        self._unseen: dict[str, list[tuple[Act, Replica | None]]] = {}
        self._errands = Errands(self._hands, self._fleet, fail=self._meet)
        self._seq = 0
        self._said_ns = world.clock.now_ns()

    def interrupt(self) -> None:
        """Finish the current step, then stop; the fleet stays as it is and the same roll goes on later."""
        self._interrupted = True

    @property
    def target(self) -> int:
        """The revision that it goes to now: another than the spec's once it has turned back."""
        return self._state.target

    async def run(self) -> Ended:
        self._hear()
        if self._state.phase in STILL and not self._state.asked:
            self._change(Turn(happening=Happening.RESUMED, cause=Cause.OPERATOR, reason="started again"))
        try:
            ended = await self._passes()
            await self._errands.let_end()
        finally:
            await self._errands.give_up()
        return ended

    async def _passes(self) -> Ended:
        while not self._interrupted:
            self._errands.check()
            ended = await self._pass()
            if ended is not None:
                return ended
        return Ended(ending=Ending.INTERRUPTED)

    def _recall(self, events: list[Event]) -> RolloutState:
        """Where it was when its controller was killed."""
        now = self._world.clock.now_ns()
        spec, run = self._spec, self._rollout.run
        fresh = {"run": run, "target": spec.target, "replicas": spec.replicas, "progress_ns": now, "entered_ns": now}
        state = RolloutState(earlier=frozenset(self._rollout.earlier), **fresh)  # type: ignore[arg-type]  # its fields by name
        for event in events:
            state.add(event)
        state.since_ns = state.progress_ns = now
        return state

    async def _pass(self) -> Ended | None:
        try:
            self._take_in(await self._observer.look(whole=self._looked_ns is None))
            for r in [r for r in self._unheard if r.name not in self._counts.ended]:
                await self._record_end(r)
        except JournalError:
            raise  # no step is taken that cannot be recorded
        except LabError as error:
            self._trouble = error
        self._hear()
        decision = decide(self._fleet, self._spec, self._state, self._observations())
        self._trouble, trouble = None, self._trouble
        if isinstance(decision, tuple):
            return await self._perform(decision)
        return await self._follow(decision, trouble)

    # observe

    def _hear(self) -> None:
        for asked in self._world.inbox.heard():
            about = {"number": asked.number, "command": asked.command, "replicas": asked.replicas, "to": asked.to}
            self._note("asked", about)

    def _take_in(self, sight: Sight) -> None:
        if self._looked_ns is not None and not 0 <= sight.now_ns - self._looked_ns <= AWAY_SECONDS * 1e9:
            self._note("looked-away", {"seconds": (sight.now_ns - self._looked_ns) / 1e9})
        self._looked_ns, self._seq = sight.now_ns, sight.seq
        if sight.whole:
            self._fleet.sync(self._errands.known(sight.replicas))
        else:
            for name in sight.gone:
                self._unseen.pop(name, None)
                self._fleet.forget(name)
            for r in sight.replicas:
                self._unseen.pop(r.name, None)
                self._fleet.see(r)
            self._trust_own_acts()
        self._unseen.clear()
        self._unheard = tuple(r for r in sight.replicas if r.container is Container.EXITED)

    def _trust_own_acts(self) -> None:
        """What it did itself it knows, however late that is seen."""
        for name, acts in self._unseen.items():
            left = self._fleet.by_name.get(name)
            for act, made in acts:
                left = after(act, left) if left is not None else made
            if left is None:
                self._fleet.forget(name)
            else:
                self._fleet.see(left)

    def _observations(self) -> Observations:
        now = self._looked_ns if self._looked_ns is not None else self._world.clock.now_ns()
        samples = _UNMEASURED
        if self._spec.gates:
            requests, errors = self._world.traffic.counted(self._state.target)
            fleet = self._fleet
            samples = Samples(
                requests=requests,
                errors=errors,
                admitted=fleet.admitted,
                unready=fleet.unready,
                felt=self._felt(self._state.target),
            )
        return Observations(now_ns=now, samples=samples, trouble=self._trouble.what if self._trouble else "")

    def _felt(self, revision: int) -> Felt:
        asked = any(gate.measure in FELT for gate in self._spec.gates)
        return self._world.traffic.felt(revision) if asked else Felt()

    async def _record_end(self, r: Replica) -> None:
        """A replica ended that nobody had stopped. Its last words are kept before anything is removed."""
        about = {
            "replica": r.name,
            "slot": r.slot,
            "revision": r.revision,
            "version": r.version,
            "exit_code": r.exit_code,
            "oom": r.oom,
            "place": r.place,
            "in_flight": r.in_flight,
            "log": await last_lines(self._world.engine, r),
        }
        self._note("replica-died", about)

    # act

    async def _perform(self, acts: tuple[Act, ...]) -> Ended | None:
        """Do them all at once; what nothing waits for is only begun. Each was refused: wait until the world moved."""
        lines: dict[str, list[Act]] = {}
        for act in acts:
            lines.setdefault(act.replica, []).append(act)
        try:
            done = await (self._do_in_turn(lines.values()) if self._world.instant else self._do_all(lines.values()))
        except JournalError:
            raise
        except LabError as error:
            self._trouble = error
            return None
        if any(done):
            self._said_ns = self._world.clock.now_ns()
            return None
        await self._wait(Wait(on="the proxy to agree"))
        return None

    async def _do_in_turn(self, lines: Iterable[list[Act]]) -> list[bool]:
        return [await self._do(line) for line in lines]

    async def _do_all(self, lines: Iterable[list[Act]]) -> list[bool]:
        errands = [line[0] for line in lines if is_errand(line)]
        for act in errands:
            self._begin_errand(act, self._fleet.by_name.get(act.replica))
        tasks = [asyncio.create_task(self._do(line)) for line in lines if not is_errand(line)]
        results = await asyncio.gather(*tasks, return_exceptions=True)
        for worst in (JournalError, BaseException):
            for result in results:
                if isinstance(result, worst):
                    raise result
        return [result is True for result in results] or [bool(errands)]

    async def _do(self, line: list[Act]) -> bool:
        """One replica's acts, and what they make necessary, one after the other."""
        seen, done = self._fleet.by_name.get(line[0].replica), False
        while line:
            act, *line = line
            outcome = await self._hands.do(act, seen)
            if not outcome.done:
                break
            done = True
            self._unseen.setdefault(act.replica, []).append((act, outcome.made))
            then = following(act, seen) if seen else None
            line = [then] if then else line
            if line:
                seen = after(act, seen) if seen else outcome.made
            if line and is_errand(line) and not self._world.instant:
                self._begin_errand(line.pop(), seen)
        return done

    def _begin_errand(self, act: Act, seen: Replica | None) -> None:
        self._unseen.pop(act.replica, None)
        self._errands.begin(act, seen, seen.version if seen else self._rollout.revisions[act.revision].version)

    def _meet(self, error: LabError) -> None:
        self._trouble = error

    # follow a decision that is no act

    async def _follow(self, decision: Decision, trouble: LabError | None) -> Ended | None:
        match decision:
            case Wait() if trouble is not None:
                await self._world.watch.rest(TROUBLE_SECONDS)
            case Wait():
                await self._wait(decision)
            case Turn():
                await self._turn(decision, trouble)
                return self._ended_by(decision)
            case TryFailed():
                about = {"slot": decision.slot, "replica": decision.replica, "reason": decision.reason}
                self._note("try-failed", {**about, "last": decision.last, "revision": self._state.target})
            case Scaled():
                size = {"replicas": decision.replicas, "filled_old": list(decision.filled_old)}
                self._note("scaled", {**size, "answers": decision.answers.number})
            case Refused():
                about = {"command": decision.answers.command, "why": decision.why}
                self._note("refused", {**about, "answers": decision.answers.number})
            case Over():
                return self._last_words(decision.ending)
        return None

    async def _turn(self, turn: Turn, trouble: LabError | None) -> None:
        falls = turn.happening in {Happening.TURNED_BACK, Happening.PAUSED, Happening.ABORTED, Happening.FAILED}
        if falls and turn.cause is not Cause.OPERATOR:
            self._blame = await self._blame_for(turn, trouble)
            if turn.cause in {Cause.VERSION, Cause.GATE}:
                b = self._blame
                self._note(
                    "version-failed", {"reason": b.reason, "where": b.where, "detail": b.detail, "log": list(b.log)}
                )
            turn = replace(turn, reason=self._blame.reason)
        self._change(turn)
        if turn.happening is Happening.TURNED_BACK:
            version = self._rollout.revisions[self._state.target].version
            self._note("turned-back", {"revision": self._state.target, "version": version, "reason": turn.reason})

    async def _blame_for(self, turn: Turn, trouble: LabError | None) -> Ended:
        if trouble is not None:
            return Ended(ending=Ending.PAUSED_BY_ENVIRONMENT, reason=turn.reason, where=trouble.where)
        if not turn.slot:
            return Ended(ending=Ending.FAILED, reason=turn.reason)
        world, run = self._world, self._rollout.run
        deaths = world.journal.events(run=run, types=["replica-died"])
        return await blame_of(world.engine, self._fleet.of(turn.slot), deaths, turn, self._state.target)

    def _change(self, turn: Turn) -> None:
        phase, target = self._state.phase, self._state.target
        requests, errors = self._world.traffic.counted(turn.target or target)
        felt = self._felt(turn.target or target)
        about = {
            "happening": turn.happening,
            "phase": phase,
            "cause": turn.cause,
            "reason": turn.reason,
            "target": turn.target or target,
            "serving": self._fleet.serving,
            "requests": requests,
            "errors": errors,
            "ended": felt.ended,
            "dropped": felt.dropped,
            "answers": turn.answers.number if turn.answers else None,
        }
        self._note("phase-changed", about)

    def _ended_by(self, turn: Turn) -> Ended | None:
        if isinstance(self._state.phase, Ending):
            return self._last_words(self._state.phase)
        if self._state.phase not in STILL or (self._rollout.linger and turn.cause is Cause.OPERATOR):
            return None
        environment = turn.cause in {Cause.ENVIRONMENT, Cause.STALL}
        return self._last_words(Ending.PAUSED_BY_ENVIRONMENT if environment else Ending.PAUSED)

    def _last_words(self, ending: Ending) -> Ended:
        if ending is Ending.DONE:
            return Ended(ending=ending)
        return replace(self._blame or Ended(ending=ending, reason=self._state.why), ending=ending)

    # wait

    async def _wait(self, wait: Wait) -> None:
        now = self._world.clock.now_ns()
        if now - self._said_ns > HEARTBEAT_SECONDS * 1e9:
            left = max(0.0, (wait.until_ns - now) / 1e9) if wait.until_ns else None
            self._on_event(Event(type="waiting", run=self._rollout.run, t_ns=now, data={"on": wait.on, "left": left}))
            self._said_ns = now
        until = min(wait.until_ns or now + 10**10, self._said_ns + int(HEARTBEAT_SECONDS * 1e9))
        within = min(max((until - now) / 1e9, 0.01), self._rollout.patience)
        changing = self._world.watch.changed(since=self._seq, within=within)
        if self._errands.under_way:
            await self._errands.beside(asyncio.ensure_future(changing))
        else:
            await changing

    def _aim(self) -> Any:
        return self._state.aim(self._spec.back_to, wait_for_drain=self._spec.wait_for_drain)

    def _note(self, type: str, data: Mapping[str, Any]) -> None:
        event = self._world.journal.append(type, self._rollout.run, self._world.clock.now_ns(), data)
        self._counts.add(event)
        if self._state.add(event):
            self._fleet.aim_at(self._aim())
        self._on_event(event)
