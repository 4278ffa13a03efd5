"""What is to go wrong in a simulation, in words: `KIND`, `KIND:WHOM`, `KIND:WHOM=HOW`, `KIND@FROM..TO`.

never-ready:v2          dies:v2=500ms        dies-after-ready:v2=2s     unready-after-ready:v2=5s
errors:v2=5%            slow:v2=20s          database-down@10s..30s     engine-gone@10s..20s
image-missing           kill@12s=app-3.1     jump@20s=+90s              blind@10s..14s
"""

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from lab.durations import seconds
from lab.errors import UsageError
from lab.sim.world import Behaviour, SimWorld

_NS = 1_000_000_000
_FAULT = re.compile(
    r"(?P<kind>[a-z-]+)(?::(?P<whom>[^=@]+))?(?:@(?P<at>[^.=]+)(?:\.\.(?P<to>[^=]+))?)?(?:=(?P<how>.+))?"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    text: str
    kind: str
    whom: str = ""
    how: str = ""
    at_ns: int = 0
    to_ns: int = 0


def fault(text: str) -> Fault:
    """UsageError for what is no fault."""
    try:
        it = _read(text)
        _try_out(it)
    except ValueError as error:
        raise UsageError(id="fault", what=f"--fault {text!r}: {error}", fix="see lab simulate --help") from error
    return it


def _read(text: str) -> Fault:
    found = _FAULT.fullmatch(text.strip())
    known = sorted({*_OF_A_VERSION, *_OF_THE_WORLD})
    if not found or found["kind"] not in known:
        raise ValueError("its kind is none of " + ", ".join(known))
    return Fault(
        text=text,
        kind=found["kind"],
        whom=found["whom"] or "",
        how=found["how"] or "",
        at_ns=int(seconds(found["at"]) * _NS) if found["at"] else 0,
        to_ns=int(seconds(found["to"]) * _NS) if found["to"] else 0,
    )


def _try_out(it: Fault) -> None:
    if it.kind not in _OF_A_VERSION:
        _OF_THE_WORLD[it.kind](SimWorld(), it)
    elif not it.whom:
        raise ValueError("of which version? KIND:VERSION")
    else:
        _OF_A_VERSION[it.kind](Behaviour(), it.how)


def behaviours(usual: Behaviour, versions: Iterable[str], faults: Iterable[Fault]) -> Mapping[str, Behaviour]:
    found = dict.fromkeys(versions, usual)
    for it in faults:
        if it.kind in _OF_A_VERSION:
            found[it.whom] = _OF_A_VERSION[it.kind](found.get(it.whom, usual), it.how)
    return found


def happen(world: SimWorld, faults: Iterable[Fault]) -> None:
    """Put the faults of the world on its agenda, counted from now."""
    for it in faults:
        if it.kind in _OF_THE_WORLD:
            _OF_THE_WORLD[it.kind](world, it)


def _ms(text: str) -> int:
    return int(seconds(text) * 1000)


def _share(text: str) -> float:
    if not re.fullmatch(r"\d+(\.\d+)?%", text):
        raise ValueError(f"{text!r} is not a percentage such as 5%")
    return float(text[:-1]) / 100


_OF_A_VERSION: Mapping[str, Callable[[Behaviour, str], Behaviour]] = {
    "never-ready": lambda b, _: replace(b, ready_after=None),
    "slow": lambda b, how: replace(b, ready_after=_ms(how)),
    "dies": lambda b, how: replace(b, dies_after=_ms(how or "100ms")),
    "dies-after-ready": lambda b, how: replace(b, dies_after_ready=_ms(how or "1s")),
    "unready-after-ready": lambda b, how: replace(b, unready_after_ready=_ms(how or "1s")),
    "errors": lambda b, how: replace(b, errors=_share(how)),
}


def _span(begin: Callable[[SimWorld], None], end: Callable[[SimWorld], None]) -> Callable[[SimWorld, Fault], None]:
    def happens(world: SimWorld, it: Fault) -> None:
        world.at(world.time_ns + it.at_ns, lambda: begin(world))
        if it.to_ns:
            world.at(world.time_ns + it.to_ns, lambda: end(world))

    return happens


def _engine(gone: bool) -> Callable[[SimWorld], None]:
    return lambda world: setattr(world, "engine_gone", gone)


def _image(missing: bool) -> Callable[[SimWorld], None]:
    return lambda world: setattr(world, "missing_image", missing)


def _kill(world: SimWorld, it: Fault) -> None:
    def kill() -> None:
        if it.how in world.sims:
            world.kill(it.how)

    world.at(world.time_ns + it.at_ns, kill)


def _jump(world: SimWorld, it: Fault) -> None:
    sign = -1 if it.how.startswith("-") else 1
    by = sign * int(seconds(it.how.lstrip("+-")) * _NS)

    def jump() -> None:
        world.skew_ns += by

    world.at(world.time_ns + it.at_ns, jump)


def _blind(world: SimWorld, it: Fault) -> None:
    until = world.time_ns + it.to_ns

    def blind() -> None:
        world.blind_ns = until

    world.at(world.time_ns + it.at_ns, blind)


_OF_THE_WORLD: Mapping[str, Callable[[SimWorld, Fault], None]] = {
    "database-down": _span(SimWorld.lose_database, SimWorld.find_database),
    "engine-gone": _span(_engine(gone=True), _engine(gone=False)),
    "image-missing": _span(_image(missing=True), _image(missing=False)),
    "kill": _kill,
    "jump": _jump,
    "blind": _blind,
}


def faults_of(texts: Iterable[str]) -> tuple[Fault, ...]:
    """Each is a fault, or `@FILE` with one a line; what follows a # is for people."""
    found: list[Fault] = []
    for text in texts:
        found += [fault(line) for line in (_lines(text[1:]) if text.startswith("@") else [text])]
    return tuple(found)


def _lines(path: str) -> list[str]:
    try:
        lines = Path(path).read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(id="fault", what=f"--fault @{path}: {error}", fix="a file with one fault a line") from error
    stripped = (line.partition("#")[0].strip() for line in lines)
    return [line for line in stripped if line]
