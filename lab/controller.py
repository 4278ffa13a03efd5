"""The shell: observe -> decide -> journal -> act -> journal. The only loop that awaits."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, replace

from lab.errors import GatewayError, LabError
from lab.folds import counts_of
from lab.model import (
    Act,
    Container,
    Done,
    Ending,
    Failed,
    Fleet,
    Replica,
    Revision,
    RolloutSpec,
    Verb,
    Wait,
    ending_words,
)
from lab.observation import merge, seen_of
from lab.planner import decide
from lab.ports import Clock, Engine, Event, Gateway, Journal, Readiness, Routing, Watch
from lab.transitions import ROLLOUT, Happening, Phase, is_legal

HEARTBEAT_SECONDS = 10.0
STALLED_SECONDS = 600.0
"""With no progress for this long the rollout is paused: no wait is without an end."""
LOG_LINES = 10


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


@dataclass(frozen=True, slots=True, kw_only=True)
class Rollout:
    """What is to be rolled, and what to go back to. `back_to` None: nothing to go back to, pause instead."""

    run: str
    service: str
    spec: RolloutSpec
    back_to: int | None
    revisions: dict[int, Revision]
    readiness: Readiness


@dataclass(frozen=True, slots=True, kw_only=True)
class Ended:
    """How a rollout ended, why, and what a person needs to mend it."""

    ending: Ending
    reason: str = ""
    where: str = ""
    detail: str = ""
    log: tuple[str, ...] = ()


class Controller:
    """Takes the fleet to the spec's revision, or back. One instance runs one rollout."""

    def __init__(self, world: World, rollout: Rollout, *, on_event: Callable[[Event], None] = lambda _: None) -> None:
        self._world = world
        self._rollout = rollout
        self._spec = rollout.spec
        self._phase = Phase.ROLLING
        self._on_event = on_event
        self._interrupted = False
        self._counts = counts_of(world.journal.events(), rollout.run)
        self._blame = Ended(ending=Ending.DONE)
        self._progress_ns = world.clock.now_ns()
        self._said_ns = self._progress_ns

    def interrupt(self) -> None:
        """Finish the current step, then stop; the fleet stays as it is and the same roll goes on later."""
        self._interrupted = True

    async def run(self) -> Ended:
        while True:
            try:
                happening = await self._pass()
            except LabError as error:
                self._blame = Ended(ending=Ending.PAUSED_BY_ENVIRONMENT, reason=error.what, where=error.where)
                happening = Happening.ENVIRONMENT_FAILED
            if happening is None:
                continue
            state = ROLLOUT[self._phase, happening]
            if isinstance(state, Ending):
                return replace(self._blame, ending=state)
            if self._rollout.back_to is None:
                return replace(self._blame, ending=Ending.FAILED)
            self._turn_back(self._rollout.back_to)

    async def _pass(self) -> Happening | None:
        if self._interrupted:
            return Happening.INTERRUPTED
        routing = await self._world.gateway.routing()
        fleet = await self._observe(routing)
        decision = decide(fleet, self._spec, self._rollout.service)
        match decision:
            case Done():
                return Happening.REACHED
            case Failed():
                self._blame = await self._evidence(fleet, decision)
                return Happening.VERSION_FAILED
            case Wait():
                return await self._wait(decision, routing)
            case acts:
                if await self._perform(acts, fleet):
                    self._progress_ns = self._said_ns = self._world.clock.now_ns()
                    return None
                # all were refused: the proxy sees another world than we did, so look again when it has moved
                return await self._wait(Wait(on="the proxy to agree"), routing)

    # observe

    async def _observe(self, routing: Routing) -> Fleet:
        replicas = merge(await self._world.engine.replicas(), routing.routes)
        counts = self._counts
        for r in replicas:
            if r.container is Container.EXITED and r.name not in counts.ended:
                await self._record_end(r)
        return Fleet(
            replicas=replicas,
            now_ns=routing.now_ns,
            generations=counts.generations,
            early_deaths=counts.early_deaths(self._spec.target),
            late_deaths=counts.late_deaths(self._spec.target),
        )

    async def _record_end(self, r: Replica) -> None:
        """A replica ended that nobody had stopped. Its last words are kept before anything is removed."""
        log = await self._last_lines(r)
        self._note(
            "replica-died",
            replica=r.name,
            slot=r.slot,
            revision=r.revision,
            version=r.version,
            exit_code=r.exit_code,
            oom=r.oom,
            place=r.place,
            in_flight=r.in_flight,
            log=log,
        )

    # act

    async def _perform(self, acts: tuple[Act, ...], fleet: Fleet) -> bool:
        """Do them all at once. False if each of them was refused."""
        by_name = {r.name: r for r in fleet.replicas}
        results = await asyncio.gather(
            *(self._do(act, by_name.get(act.replica)) for act in acts), return_exceptions=True
        )
        for result in results:
            if isinstance(result, BaseException):
                raise result
        return any(result is True for result in results)

    async def _do(self, act: Act, seen: Replica | None) -> bool:
        if not is_legal(act, seen):
            raise RuntimeError(f"the planner may not {act.verb} {act.replica} as it is: {seen}")
        about = {"verb": act.verb, "replica": act.replica, "slot": act.slot, "generation": act.generation}
        about |= {"revision": seen.revision if seen else self._spec.target}
        about |= {"version": seen.version if seen else self._rollout.revisions[self._spec.target].version}
        self._note("act-intended", **about, in_flight=seen.in_flight if seen else 0)
        try:
            outcome = await self._carry_out(act, seen)
        except GatewayError as error:
            if error.id not in {"not-proven", "illegal-place"}:
                raise
            outcome = {"refused": error.id}  # the world moved on since it was looked at: look again
        self._note("act-done", **about, **outcome)
        return "refused" not in outcome

    async def _carry_out(self, act: Act, seen: Replica | None) -> dict[str, object]:
        engine, gateway = self._world.engine, self._world.gateway
        if seen is None:
            revision = self._rollout.revisions[self._spec.target]
            container = await engine.create(revision, name=act.replica, slot=act.slot, generation=act.generation)
            await engine.start(container)
            return {"container": container[:12]}
        match act.verb:
            case Verb.START:
                await engine.start(seen.container_id)
            case Verb.JOIN:
                return {"epoch": await gateway.join(seen_of(seen), self._rollout.readiness)}
            case Verb.ADMIT:
                return {"epoch": await gateway.admit(act.replica)}
            case Verb.RETIRE:
                return {"epoch": await gateway.retire(act.replica, drain_timeout=self._spec.drain_timeout)}
            case Verb.RESTORE:
                return {"epoch": await gateway.restore(act.replica)}
            case Verb.STOP:
                return await self._stop(seen)
            case Verb.UNROUTE:
                return {"epoch": await gateway.remove(act.replica, lost=True)}
            case _:
                if seen.container_id:
                    self._world.archive(seen.name, await engine.logs(seen.container_id))
                    await engine.delete(seen.container_id)
        return {}

    async def _stop(self, seen: Replica) -> dict[str, object]:
        ended = await self._world.engine.stop(seen.container_id)
        outcome: dict[str, object] = {"aborted": seen.aborted, "cut": seen.cut}
        outcome["exit_code"] = ended.exit_code if ended else None
        return outcome | {"oom": bool(ended and ended.oom)}

    # wait, fail, turn back

    async def _wait(self, wait: Wait, routing: Routing) -> Happening | None:
        now = self._world.clock.now_ns()
        if now - self._progress_ns > STALLED_SECONDS * 1e9:
            self._blame = Ended(ending=Ending.PAUSED, reason=f"no progress for {STALLED_SECONDS:g}s", where=wait.on)
            return Happening.ENVIRONMENT_FAILED
        if now - self._said_ns > HEARTBEAT_SECONDS * 1e9:
            left = max(0.0, (wait.until_ns - now) / 1e9) if wait.until_ns else None
            self._on_event(Event(type="waiting", run=self._rollout.run, t_ns=now, data={"on": wait.on, "left": left}))
            self._said_ns = now
        until = min(wait.until_ns or now + 10**10, self._said_ns + int(HEARTBEAT_SECONDS * 1e9))
        await self._world.watch.changed(since=routing.seq, within=min(max((until - now) / 1e9, 0.01), 1.0))
        return None

    async def _evidence(self, fleet: Fleet, failed: Failed) -> Ended:
        """What a person needs to see of the replica that failed: its last probe, and its last lines."""
        target = self._spec.target
        suspects = [r for r in fleet.replicas if (r.slot, r.revision) == (failed.slot, target) and r.container_id]
        deaths = self._world.journal.events(run=self._rollout.run, types=["replica-died"])
        deaths = [d for d in deaths if (d.data["slot"], d.data["revision"]) == (failed.slot, target)]
        if deaths and not (suspects and suspects[-1].alive):
            blame = _blame_for_death(deaths[-1], failed)
        elif suspects:
            r = suspects[-1]
            blame = Ended(
                ending=Ending.FAILED,
                reason=f"{r.name} {failed.reason}",
                where=f"container {r.container_id[:12]}",
                detail=f"last probe: {r.probe.said}" if r.probe else "never probed",
                log=await self._last_lines(r),
            )
        else:
            blame = Ended(ending=Ending.FAILED, reason=f"slot {failed.slot} {failed.reason}")
        self._note("version-failed", reason=blame.reason, where=blame.where, detail=blame.detail, log=blame.log)
        return blame

    def _turn_back(self, to: int) -> None:
        self._phase = Phase.ROLLING_BACK
        self._spec = replace(self._spec, target=to)
        version = self._rollout.revisions[to].version
        self._note("turned-back", revision=to, version=version, reason=self._blame.reason)

    async def _last_lines(self, r: Replica) -> tuple[str, ...]:
        if not r.container_id:
            return ()
        try:
            raw = await self._world.engine.logs(r.container_id, tail=LOG_LINES)
        except LabError:
            return ("(its log could not be read)",)
        return tuple(raw.decode(errors="replace").splitlines()[-LOG_LINES:])

    def _note(self, type: str, **data: object) -> None:
        event = self._world.journal.append(type, self._rollout.run, self._world.clock.now_ns(), data)
        self._counts.add(event)
        self._on_event(event)


def _blame_for_death(death: Event, failed: Failed) -> Ended:
    data = death.data
    return Ended(
        ending=Ending.FAILED,
        reason=f"{data['replica']} {failed.reason}",
        where=ending_words(data["exit_code"], oom=data["oom"]),
        log=tuple(data["log"]),
    )
