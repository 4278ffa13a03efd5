"""Carries out one act: journal, effect, journal. Every effect is idempotent."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from lab.errors import GatewayError
from lab.model import Act, Container, Replica, Revision, RolloutSpec, Verb
from lab.observation import seen_of
from lab.ports import Engine, Gateway, Readiness
from lab.transitions import REPLICA, is_legal

_REFUSALS = frozenset({"not-proven", "illegal-place"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Hands:
    engine: Engine
    gateway: Gateway
    archive: Callable[[str, bytes], None]
    note: Callable[[str, Mapping[str, Any]], None]
    spec: RolloutSpec
    revisions: Mapping[int, Revision]
    readiness: Readiness

    async def do(self, act: Act, seen: Replica | None) -> bool:
        """Return whether it was done; False if the proxy sees another world than we did."""
        if not is_legal(act, seen):
            raise RuntimeError(f"the planner may not {act.verb} {act.replica} as it is: {seen}")
        about = {
            "verb": act.verb,
            "replica": act.replica,
            "slot": act.slot,
            "generation": act.generation,
            "revision": act.revision,
            "version": seen.version if seen else self.revisions[act.revision].version,
        }
        self.note("act-intended", {**about, "in_flight": seen.in_flight if seen else 0})
        try:
            outcome = await self._carry_out(act, seen)
        except GatewayError as error:
            if error.id not in _REFUSALS:
                raise
            outcome = {"refused": error.id}  # the world moved on since it was looked at: look again
        self.note("act-done", {**about, **outcome})
        return "refused" not in outcome

    async def _carry_out(self, act: Act, seen: Replica | None) -> dict[str, object]:
        engine, gateway = self.engine, self.gateway
        if seen is None:
            revision = self.revisions[act.revision]
            container = await engine.create(revision, name=act.replica, slot=act.slot, generation=act.generation)
            await engine.start(container)
            return {"container": container[:12]}
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
                if seen.container_id:
                    self.archive(seen.name, await engine.logs(seen.container_id))
                    await engine.delete(seen.container_id)
        return {}

    async def _stop(self, seen: Replica) -> dict[str, object]:
        ended = await self.engine.stop(seen.container_id)
        outcome: dict[str, object] = {"aborted": seen.aborted, "cut": seen.cut}
        outcome["exit_code"] = ended.exit_code if ended else None
        return outcome | {"oom": bool(ended and ended.oom), "killed": bool(ended and ended.killed)}


def after(act: Act, seen: Replica | None, version: str) -> Replica | None:
    """The replica as the act leaves it, for as long as it is not looked at again. None: it is gone."""
    if seen is None:
        return Replica(
            name=act.replica,
            slot=act.slot,
            generation=act.generation,
            revision=act.revision,
            version=version,
            container=Container.RUNNING,
        )
    container, place = REPLICA[(seen.container, seen.place), act.verb]
    return None if container is None else replace(seen, container=container, place=place)
