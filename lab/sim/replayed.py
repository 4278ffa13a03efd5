"""The ports of a controller that decides again: a tape of what was recorded, and who plays it."""

import asyncio
import json
from bisect import bisect_right
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from lab.errors import EngineError, GatewayError, LabError
from lab.gates import Felt
from lab.model import Asked, Check, Command, Container, EjectedBy, Health, Place, Probe, Replica, Revision
from lab.ports import Event, Readiness, Routing, Seen, Sight
from lab.proof.result import Change

MOST_TURNS = 1_000
"""Who was passed by all others for so long waits for what does not come."""
_ERRORS: Mapping[str, type[LabError]] = {"EngineError": EngineError, "GatewayError": GatewayError}


class _OverError(BaseException):
    """Nothing more was recorded: the controller was killed here, or interrupted. `decided`: what it would do next."""

    def __init__(self, decided: Mapping[str, Any] | None = None) -> None:
        super().__init__()
        self.decided = decided


class _DiffersError(BaseException):
    def __init__(self, seq: int, recorded: Mapping[str, Any] | None, decided: Mapping[str, Any] | None) -> None:
        super().__init__()
        self.seq = seq
        self.recorded = recorded
        self.decided = decided


@dataclass(slots=True, kw_only=True)
class Tape:
    """The journal that was, given out again record by record as it is decided anew. Clock and watch go by it.

    `before`: what the journal had at the beginning. `at`: how many of the recorded were decided again. `looks_before`:
    how often it had looked when each of them was written; what goes on beside the looks keeps its place among them.
    """

    before: list[Event]
    recorded: list[Event]
    looks_before: list[int]
    failed: list[dict[str, Any]]
    now: int
    at: int = 0
    looks: int = 0
    failures: int = 0
    _acts: dict[str, int] = field(default_factory=dict)
    """Replica -> where its newest intent stands in `recorded`."""

    Over = _OverError
    Differs = _DiffersError

    @property
    def next_one(self) -> dict[str, Any] | None:
        return (
            _plain(self.recorded[self.at].type, self.recorded[self.at].data) if self.at < len(self.recorded) else None
        )

    @property
    def seq(self) -> int:
        """Of the next one; past the last: of the last."""
        return self.recorded[min(self.at, len(self.recorded) - 1)].seq if self.recorded else 0

    # journal

    def append(self, type: str, run: str, t_ns: int, data: Mapping[str, Any]) -> Event:
        decided = _plain(type, data)
        if self.next_one is None:
            raise _OverError(decided)
        if self.next_one != decided:
            raise _DiffersError(self.seq, self.next_one, decided)
        event = self.recorded[self.at]
        if type == "act-intended":
            self._acts[data["replica"]] = self.at
        self.at += 1
        self.now = event.t_ns
        return event

    def events(self, *, run: str | None = None, types: Sequence[str] = ()) -> list[Event]:
        known = [*self.before, *self.recorded[: self.at]]
        return [e for e in known if run in {None, e.run} and (not types or e.type in types)]

    # clock and watch

    def now_ns(self) -> int:
        return self.now

    async def changed(self, *, since: int, within: float) -> None:
        """What it waited for is what it saw next."""

    async def rest(self, seconds: float) -> None:
        """The same."""

    # who plays it waits here

    async def look(self, line: Mapping[str, Any]) -> None:
        """Until all is written, and all has failed, that was before that look."""
        await self._until(self._written(line["after"]), failures=line["failures"])
        self.looks += 1

    def _written(self, seq: int) -> int:
        """How many records of these have no higher number."""
        return bisect_right(self.recorded, seq, key=lambda e: e.seq)

    async def outcome(self, replica: str) -> Mapping[str, Any]:
        """What the newest intent for that replica led to, once all that was written before it is written again."""
        began = self._acts[replica]
        for i in range(began + 1, len(self.recorded)):
            event = self.recorded[i]
            if event.data.get("replica") != replica:
                continue
            if event.type == "act-intended":
                break
            if event.type == "act-done":
                await self._until(i, looks=self.looks_before[i])
                self.failures += "refused" in event.data
                return event.data
        for line in self.failed:
            if line["failed"] == replica and self._began_last_before(began, line["after"]):
                await self._until(self._written(line["after"]), looks=line["looks"])
                self.failures += 1
                raise error_of(line)
        await self._never()
        raise _OverError

    def _began_last_before(self, began: int, after: int) -> bool:
        """Whether a failure told after that record is of the intent that stands at `began`."""
        replica = self.recorded[began].data["replica"]
        intents = [
            i
            for i, e in enumerate(self.recorded)
            if e.type == "act-intended" and e.data["replica"] == replica and e.seq <= after
        ]
        return bool(intents) and intents[-1] == began

    async def _until(self, at: int, *, looks: int = 0, failures: int = 0) -> None:
        turns, seen = 0, self._far
        while self.at < at or self.looks < looks or self.failures < failures:
            turns, seen = (turns + 1 if self._far == seen else 0), self._far
            if turns > MOST_TURNS:
                raise _DiffersError(self.seq, self.next_one, None)
            await asyncio.sleep(0)

    async def _never(self) -> None:
        """The controller was killed in it: as long as anything else goes on."""
        with suppress(_DiffersError):
            await self._until(len(self.recorded) + 1)

    @property
    def _far(self) -> tuple[int, int, int]:
        return self.at, self.looks, self.failures


def _plain(type: str, data: Mapping[str, Any]) -> dict[str, Any]:
    """As JSON has it: the journal keeps no tuples and no enums."""
    return {"type": type, **json.loads(json.dumps(data))}


def error_of(line: Mapping[str, Any]) -> LabError:
    about = {key: line[key] for key in ("id", "what", "where", "fix")}
    return _ERRORS.get(line["kind"], LabError)(**about)


@dataclass(slots=True)
class Eyes:
    """Sees what was seen. `names`: container -> replica, for who must know."""

    tape: Tape
    looks: list[dict[str, Any]]
    names: dict[str, str]
    _known: dict[str, dict[str, Any]] = field(default_factory=dict)
    _all: list[str] = field(default_factory=list)
    _next: int = 0

    async def look(self, *, whole: bool) -> Sight:
        if self._next == len(self.looks):
            raise _OverError
        line = self.looks[self._next]
        self._next += 1
        await self.tape.look(line)
        self.tape.now = line["unseen"] if "unseen" in line else line["look"]
        if "unseen" in line:
            raise error_of(line)
        for name, change in line.get("set", {}).items():
            self._known[name] = {**self._known.get(name, {}), **change}
            self.names[self._known[name].get("container_id", "")] = name
        self._all = line.get("all", self._all)
        names = line.get("part", self._all)
        return Sight(
            seq=line["seq"],
            now_ns=line["look"],
            replicas=tuple(_replica(self._known[name]) for name in names),
            gone=tuple(line.get("gone", ())),
            whole="part" not in line,
        )


_READ: Mapping[str, Callable[[Any], Any]] = {
    "container": Container,
    "check": Check,
    "place": Place,
    "health": Health,
    "ejected_by": EjectedBy,
    "probe": lambda probe: Probe(**probe),
}


def _replica(about: Mapping[str, Any]) -> Replica:
    return Replica(**{key: _READ[key](v) if key in _READ and v is not None else v for key, v in about.items()})


@dataclass(slots=True)
class Scales:
    """Counts what was counted. `recorded`: call -> revision and its two numbers, where they changed; so `feelings`."""

    recorded: dict[int, list[int]]
    feelings: dict[int, dict[str, Any]]
    _calls: int = 0
    _felt_calls: int = 0
    _felt: Felt = field(default_factory=Felt)
    _now: dict[int, tuple[int, int]] = field(default_factory=dict)

    def counted(self, revision: int) -> tuple[int, int]:
        self._calls += 1
        if self._calls in self.recorded:
            _, requests, errors = self.recorded[self._calls]
            self._now[revision] = (requests, errors)
        return self._now.get(revision, (0, 0))

    def felt(self, _revision: int) -> Felt:
        self._felt_calls += 1
        if self._felt_calls in self.feelings:
            told = self.feelings[self._felt_calls]
            self._felt = Felt(**{**told, "changes": tuple(Change(**change) for change in told["changes"])})
        return self._felt


@dataclass(slots=True)
class Ears:
    """Hears what was asked. `recorded`: call -> the words."""

    recorded: dict[int, list[dict[str, Any]]]
    _calls: int = 0

    def heard(self) -> tuple[Asked, ...]:
        self._calls += 1
        words = self.recorded.get(self._calls, [])
        return tuple(Asked(**{**word, "command": Command(word["command"])}) for word in words)


@dataclass(slots=True)
class Hands:
    """Engine and gateway: each effect ends when, and as, the journal says."""

    tape: Tape
    names: dict[str, str] = field(default_factory=dict)

    async def replicas(self) -> tuple[Seen, ...]:
        raise NotImplementedError("who decides again sees by Eyes, never by its hands")

    async def routing(self) -> Routing:
        raise NotImplementedError("who decides again sees by Eyes, never by its hands")

    async def create(self, revision: Revision, *, name: str, slot: int, generation: int) -> str:
        container = str((await self.tape.outcome(name)).get("container", f"id-{name}"))
        self.names[container] = name
        return container

    async def start(self, container_id: str) -> None:
        await self.tape.outcome(self.names[container_id])

    async def stop(self, container_id: str) -> Seen | None:
        name = self.names[container_id]
        done = await self.tape.outcome(name)
        return Seen(
            name=name,
            slot=done["slot"],
            generation=done["generation"],
            revision=done["revision"],
            version=done["version"],
            container=Container.EXITED,
            container_id=container_id,
            exit_code=done["exit_code"],
            oom=done["oom"],
            killed=done["killed"],
            overstayed=done.get("overstayed", False),
        )

    async def delete(self, container_id: str) -> None:
        await self.tape.outcome(self.names[container_id])

    async def logs(self, container_id: str, *, tail: int | None = None) -> bytes:
        """The last words of a replica stand in the record that is written next."""
        if tail is None:
            await self.tape.outcome(self.names[container_id])
            return b""
        told = (self.tape.next_one or {}).get("log", [])
        return "".join(f"{line}\n" for line in told).encode()

    async def join(self, seen: Seen, readiness: Readiness) -> int:
        return await self._routed(seen.name)

    async def admit(self, name: str) -> int:
        return await self._routed(name)

    async def retire(self, name: str, *, drain_timeout: float) -> int:
        return await self._routed(name)

    async def restore(self, name: str) -> int:
        return await self._routed(name)

    async def remove(self, name: str, *, lost: bool) -> int:
        return await self._routed(name)

    async def _routed(self, name: str) -> int:
        done = await self.tape.outcome(name)
        if "refused" in done:
            raise GatewayError(id=done["refused"], what="")
        return int(done["epoch"])
