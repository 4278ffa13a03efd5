"""What a controller saw, was asked and could not do, beside its journal: enough to make it decide all of it again.

One JSON object a line, in the run's folder. A look names only what changed since the last one. `after` is the number of
the journal's newest record at that moment. lab/sim/replay.py reads it.
"""

import json
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, field, fields, is_dataclass, replace
from pathlib import Path
from typing import Any, TextIO, TypeVar

from lab.controller import Rollout, World
from lab.errors import LabError
from lab.gates import Felt
from lab.model import Asked, Replica, Revision
from lab.observation import WholeLook
from lab.ports import Engine, Event, Gateway, Inbox, Journal, Observer, Readiness, Routing, Seen, Sight, Traffic
from lab.spec_codec import spec_to_json

FORMAT = 1
FILE = "sights.jsonl"
T = TypeVar("T")
_FIELDS = tuple(f.name for f in fields(Replica))


class SightsFile:
    """Written at once and never synced: it is no proof of anything. A disk that is full ends it, and nothing else."""

    def __init__(self, folder: Path) -> None:
        self._file: TextIO | None = None
        with suppress(OSError):
            self._file = (folder / FILE).open("a", buffering=1, encoding="utf-8")

    def write(self, line: Mapping[str, Any]) -> None:
        if self._file is None:
            return
        try:
            self._file.write(json.dumps(line, separators=(",", ":")) + "\n")
        except OSError:
            self.close()

    def close(self) -> None:
        file, self._file = self._file, None
        if file is not None:
            with suppress(OSError):
                file.close()


def recorded(world: World, rollout: Rollout, write: Callable[[Mapping[str, Any]], None], *, after: int) -> World:
    """The same world; whatever it tells the rollout's controller is written. `after`: the journal's newest record."""
    tape = _Tape(write, after)
    spec = {"spec": spec_to_json(rollout.spec), "back_to": rollout.back_to, "linger": rollout.linger}
    about = {
        "run": rollout.run,
        "earlier": rollout.earlier,
        "service": rollout.service,
        **spec,
        "instant": world.instant,
    }
    versions = {number: revision.version for number, revision in rollout.revisions.items()}
    tape.write({"format": FORMAT, "begin": world.clock.now_ns(), "after": after, **about, "versions": versions})
    return replace(
        world,
        engine=_Engine(world.engine, tape),
        gateway=_Gateway(world.gateway, tape),
        observer=_Observer(world.observer or WholeLook(world.engine, world.gateway), tape, world.clock.now_ns),
        traffic=_Traffic(world.traffic, tape),
        inbox=_Inbox(world.inbox, tape),
        journal=_Journal(world.journal, tape),
    )


@dataclass(slots=True)
class _Tape:
    write: Callable[[Mapping[str, Any]], None]
    after: int
    names: dict[str, str] = field(default_factory=dict)
    """Container -> replica."""

    async def watched(self, replica: str, doing: Awaitable[T]) -> T:
        """What an act could not do is nowhere else."""
        try:
            return await doing
        except LabError as error:
            self.write({"failed": replica, "after": self.after, **_error(error)})
            raise

    def named(self, container_id: str) -> str:
        return self.names.get(container_id, container_id)


def _error(error: LabError) -> dict[str, str]:
    return {"kind": type(error).__name__, "id": error.id, "what": error.what, "where": error.where, "fix": error.fix}


@dataclass(slots=True)
class _Observer:
    observer: Observer
    tape: _Tape
    now_ns: Callable[[], int]
    known: dict[str, Replica] = field(default_factory=dict)
    all: list[str] = field(default_factory=list)

    async def look(self, *, whole: bool) -> Sight:
        try:
            sight = await self.observer.look(whole=whole)
        except LabError as error:
            self.tape.write({"unseen": self.now_ns(), "after": self.tape.after, **_error(error)})
            raise
        self.tape.write(self._line(sight))
        return sight

    def _line(self, sight: Sight) -> dict[str, Any]:
        line: dict[str, Any] = {"look": sight.now_ns, "seq": sight.seq, "after": self.tape.after}
        changed = {r.name: self._change(r) for r in sight.replicas if self.known.get(r.name) != r}
        if changed:
            line["set"] = changed
        names = [r.name for r in sight.replicas]
        if not sight.whole:
            line |= {"part": names, "gone": list(sight.gone)}
        elif names != self.all:
            line["all"] = self.all = names
        return line

    def _change(self, r: Replica) -> dict[str, Any]:
        before = self.known.get(r.name)
        self.known[r.name] = r
        self.tape.names[r.container_id] = r.name
        return {
            name: asdict(now) if is_dataclass(now) and not isinstance(now, type) else now
            for name in _FIELDS
            if (now := getattr(r, name)) != (getattr(before, name) if before else None)
        }


@dataclass(slots=True)
class _Traffic:
    """`call`: the how-manieth question of its kind it answers. Answers that are as before are not written."""

    traffic: Traffic
    tape: _Tape
    calls: int = 0
    feelings: int = 0
    last_felt: Felt = field(default_factory=Felt)
    last: dict[int, tuple[int, int]] = field(default_factory=dict)

    def counted(self, revision: int) -> tuple[int, int]:
        self.calls += 1
        now = self.traffic.counted(revision)
        if now != self.last.get(revision, (0, 0)):
            self.last[revision] = now
            self.tape.write({"counted": [revision, *now], "call": self.calls})
        return now

    def felt(self, revision: int) -> Felt:
        self.feelings += 1
        now = self.traffic.felt(revision)
        if now != self.last_felt:
            self.last_felt = now
            self.tape.write({"felt": asdict(now), "call": self.feelings})
        return now


@dataclass(slots=True)
class _Inbox:
    inbox: Inbox
    tape: _Tape
    calls: int = 0

    def heard(self) -> tuple[Asked, ...]:
        self.calls += 1
        asked = self.inbox.heard()
        if asked:
            self.tape.write({"heard": [asdict(one) for one in asked], "call": self.calls})
        return asked


@dataclass(slots=True)
class _Journal:
    journal: Journal
    tape: _Tape

    def append(self, type: str, run: str, t_ns: int, data: Mapping[str, Any]) -> Event:
        event = self.journal.append(type, run, t_ns, data)
        self.tape.after = event.seq
        return event

    def events(self, *, run: str | None = None, types: Sequence[str] = ()) -> list[Event]:
        return self.journal.events(run=run, types=types)


@dataclass(slots=True)
class _Engine:
    engine: Engine
    tape: _Tape

    async def replicas(self) -> tuple[Seen, ...]:
        return await self.engine.replicas()

    async def create(self, revision: Revision, *, name: str, slot: int, generation: int) -> str:
        making = self.engine.create(revision, name=name, slot=slot, generation=generation)
        container_id = await self.tape.watched(name, making)
        self.tape.names[container_id] = name
        return container_id

    async def start(self, container_id: str) -> None:
        await self.tape.watched(self.tape.named(container_id), self.engine.start(container_id))

    async def stop(self, container_id: str) -> Seen | None:
        return await self.tape.watched(self.tape.named(container_id), self.engine.stop(container_id))

    async def delete(self, container_id: str) -> None:
        await self.tape.watched(self.tape.named(container_id), self.engine.delete(container_id))

    async def logs(self, container_id: str, *, tail: int | None = None) -> bytes:
        if tail is not None:  # its words stand in the journal, and that they could not be read as well
            return await self.engine.logs(container_id, tail=tail)
        return await self.tape.watched(self.tape.named(container_id), self.engine.logs(container_id))


@dataclass(slots=True)
class _Gateway:
    gateway: Gateway
    tape: _Tape

    async def routing(self) -> Routing:
        return await self.gateway.routing()

    async def join(self, seen: Seen, readiness: Readiness) -> int:
        return await self.tape.watched(seen.name, self.gateway.join(seen, readiness))

    async def admit(self, name: str) -> int:
        return await self.tape.watched(name, self.gateway.admit(name))

    async def retire(self, name: str, *, drain_timeout: float) -> int:
        return await self.tape.watched(name, self.gateway.retire(name, drain_timeout=drain_timeout))

    async def restore(self, name: str) -> int:
        return await self.tape.watched(name, self.gateway.restore(name))

    async def remove(self, name: str, *, lost: bool) -> int:
        return await self.tape.watched(name, self.gateway.remove(name, lost=lost))
