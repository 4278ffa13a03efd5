"""What one look can lead to. Each is written into the journal before anything else is decided."""

from dataclasses import dataclass

from lab.model import Act, Asked, Cause, Ending
from lab.transitions import Happening


@dataclass(frozen=True, slots=True, kw_only=True)
class Turn:
    """The rollout changes its phase. `slot`: whose replica shows why; 0: none in particular."""

    happening: Happening
    cause: Cause
    reason: str = ""
    slot: int = 0
    target: int | None = None
    answers: Asked | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class TryFailed:
    """A replica of the version did not make it. `last`: its slot has no try left."""

    slot: int
    replica: str
    reason: str
    last: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Scaled:
    """The fleet gets another size. `filled_old`: new slots that begin with the old version, to keep the mix."""

    replicas: int
    filled_old: tuple[int, ...]
    answers: Asked


@dataclass(frozen=True, slots=True, kw_only=True)
class Refused:
    """A command that cannot be obeyed where the rollout is."""

    why: str
    answers: Asked


@dataclass(frozen=True, slots=True, kw_only=True)
class Over:
    """The rollout has ended; nothing changes that."""

    ending: Ending


@dataclass(frozen=True, slots=True, kw_only=True)
class Wait:
    """Nothing to do until the world changes, or `until_ns`. `on` says what is waited for."""

    on: str
    until_ns: int | None = None


Decision = tuple[Act, ...] | Turn | TryFailed | Scaled | Refused | Over | Wait
