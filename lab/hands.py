"""Carries out one act: journal, effect, journal. Every effect is idempotent."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

from lab.errors import GatewayError
from lab.model import Act, Container, Replica, Revision, RolloutSpec, Verb, changed
from lab.observation import seen_of
from lab.ports import Engine, Gateway, Readiness
from lab.transitions import REPLICA, is_legal

_REFUSALS = frozenset({"not-proven", "illegal-place"})


class Intent(NamedTuple):
    """An act that stands in the journal, and what it says of it."""

    act: Act
    about: Mapping[str, Any]


class Outcome(NamedTuple):
    """Whether it was done: it is not if the proxy sees another world than we did. `made`: the new replica."""

    done: bool
    made: Replica | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Hands:
    engine: Engine
    gateway: Gateway
    archive: Callable[[str, bytes], None]
    note: Callable[[str, Mapping[str, Any]], None]
    spec: RolloutSpec
    revisions: Mapping[int, Revision]
    readiness: Readiness

    async def do(self, act: Act, seen: Replica | None) -> Outcome:
        return await self.carry_out(self.intend(act, seen), seen)

    def intend(self, act: Act, seen: Replica | None) -> Intent:
        """From here on it may have been done: the journal says so."""
        if not is_legal(act, seen):
            raise RuntimeError(f"the planner may not {act.verb} {act.replica} as it is: {seen}")
        version = seen.version if seen else self.revisions[act.revision].version
        about = {
            "verb": act.verb,
            "replica": act.replica,
            "slot": act.slot,
            "generation": act.generation,
            "revision": act.revision,
            "version": version,
        }
        self.note("act-intended", {**about, "in_flight": seen.in_flight if seen else 0})
        return Intent(act, about)

    async def carry_out(self, intent: Intent, seen: Replica | None) -> Outcome:
        act, about = intent
        try:
            outcome: dict[str, Any] = await self._carry_out(act, seen)
        except GatewayError as error:
            if error.id not in _REFUSALS:
                raise
            self.note("act-done", {**about, "refused": error.id})
            return Outcome(done=False)  # the world moved on since it was looked at: look again
        made = None
        if seen is None:
            made = made_by(act, about["version"], outcome["container"])
            outcome["container"] = outcome["container"][:12]
        self.note("act-done", {**about, **outcome})
        return Outcome(done=True, made=made)

    async def _carry_out(self, act: Act, seen: Replica | None) -> dict[str, object]:
        if seen is None:
            revision = self.revisions[act.revision]
            made = await self.engine.create(revision, name=act.replica, slot=act.slot, generation=act.generation)
            return {"container": made}
        return await self._carry_on(act, seen)

    async def _carry_on(self, act: Act, seen: Replica) -> dict[str, object]:
        engine, gateway = self.engine, self.gateway
        match act.verb:
            case Verb.START:
                await engine.start(seen.container_id)
            case Verb.JOIN:
                return {"epoch": await gateway.join(seen_of(seen), self.readiness)}
            case Verb.ADMIT:
                return {"epoch": await gateway.admit(act.replica)}
            case Verb.RETIRE:
                return {"epoch": await gateway.retire(act.replica, drain_timeout=self.spec.drain_timeout)}
            case Verb.RESTORE:
                return {"epoch": await gateway.restore(act.replica)}
            case Verb.STOP:
                return await self._stop(seen)
            case Verb.UNROUTE:
                return {"epoch": await gateway.remove(act.replica, lost=True)}
            case _:
                await self._delete(seen)
        return {}

    async def _delete(self, seen: Replica) -> None:
        if not seen.container_id:
            return
        if seen.container is Container.EXITED:  # what was never started said nothing
            self.archive(seen.name, await self.engine.logs(seen.container_id))
        await self.engine.delete(seen.container_id)

    async def _stop(self, seen: Replica) -> dict[str, object]:
        ended = await self.engine.stop(seen.container_id)
        outcome: dict[str, object] = {"aborted": seen.aborted, "cut": seen.cut}
        outcome["exit_code"] = ended.exit_code if ended else None
        for what in ("oom", "killed", "overstayed"):
            outcome[what] = bool(ended and getattr(ended, what))
        return outcome


def made_by(act: Act, version: str, container_id: str = "") -> Replica:
    """What a creation leaves."""
    return Replica(
        name=act.replica,
        slot=act.slot,
        generation=act.generation,
        revision=act.revision,
        version=version,
        container=Container.CREATED,
        container_id=container_id,
    )


def after(act: Act, seen: Replica) -> Replica | None:
    """The replica as the act leaves it, for as long as it is not looked at again. None: it is gone."""
    container, place = REPLICA[(seen.container, seen.place), act.verb]
    return None if container is None else changed(seen, {"container": container, "place": place})


def following(act: Act, seen: Replica) -> Act | None:
    """What a stopped replica needs next, whatever the world is like by then: no budget and no rule forbids it."""
    if act.verb is Verb.STOP:
        return _then(act, Verb.UNROUTE if seen.place else Verb.DELETE)
    return _then(act, Verb.DELETE) if act.verb is Verb.UNROUTE else None


def _then(act: Act, verb: Verb) -> Act:
    return Act(verb=verb, replica=act.replica, slot=act.slot, generation=act.generation, revision=act.revision)
