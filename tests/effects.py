"""Every effect of an engine and a gateway and every record of a journal, told of from outside: before it and after it.

The points have the names that the simulator's crash tests give theirs (tests/engine_world.py).
"""

import functools
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

from lab.gateway import ProxyGateway
from lab.journal import SqliteJournal
from lab.model import Verb
from lab.ports import Event

ENGINE = {"create": Verb.CREATE, "start": Verb.START, "stop": Verb.STOP, "delete": Verb.DELETE}
GATEWAY = {
    "join": Verb.JOIN,
    "admit": Verb.ADMIT,
    "retire": Verb.RETIRE,
    "restore": Verb.RESTORE,
    "remove": Verb.UNROUTE,
}
_ACT: ContextVar[str] = ContextVar("act", default="")
"""The replica that the act at hand is about: an effect knows containers only, and an act is done in one task."""
Point = Callable[[str, Mapping[str, Any]], None]
"""Told the name of the point, and what is known of it: a record's type and data, or an effect's verb and arguments."""


@contextmanager
def told_of(engine: type, point: Point) -> Iterator[None]:
    """While it lasts, every call of these classes' effects and every record is told of, in this process."""
    kept: list[tuple[type, str, Any]] = []

    def patch(owner: type, name: str, wrapped: Any) -> None:
        kept.append((owner, name, owner.__dict__[name]))
        setattr(owner, name, wrapped)

    try:
        for owner, effects in ((engine, ENGINE), (ProxyGateway, GATEWAY)):
            for name, verb in effects.items():
                patch(owner, name, _effect(owner.__dict__[name], verb, point))
        patch(SqliteJournal, "append", _record(SqliteJournal.append, point))
        yield
    finally:
        for owner, name, sound in reversed(kept):
            setattr(owner, name, sound)


def _effect(sound: Any, verb: Verb, point: Point) -> Any:
    @functools.wraps(sound)
    async def effect(self: Any, *args: Any, **kwargs: Any) -> Any:
        about = {"verb": verb.value, "of": kwargs.get("name") or _name(args[0]), "replica": _ACT.get()}
        point(f"before {verb}", about)
        answer = await sound(self, *args, **kwargs)
        point(f"after {verb}", about)
        return answer

    return effect


def _name(subject: Any) -> str:
    """A name, a container, or a replica that is to join."""
    return str(getattr(subject, "name", subject))


def _record(sound: Callable[..., Event], point: Point) -> Any:
    @functools.wraps(sound)
    def append(self: SqliteJournal, type: str, run: str, t_ns: int, data: Mapping[str, Any]) -> Event:
        if type == "act-intended":
            _ACT.set(data["replica"])
        about = {"type": type, **{key: data[key] for key in ("verb", "replica") if key in data}}
        point(f"before record {type}", about)
        event = sound(self, type, run, t_ns, data)
        point(f"after record {type}", {**about, "seq": event.seq})
        return event

    return append
