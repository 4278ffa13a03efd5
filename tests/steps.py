"""Steps of a fleet's life, by chance: the same for the simulator's 500 fleets and for those on Docker."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from random import Random


class What(StrEnum):
    """Every step is a roll to the other version. All but the first also do something to it."""

    ROLL = "roll"
    ROLLBACK = "rollback"
    SCALE = "scale"
    PAUSE = "pause"
    KILL = "kill"
    """Before it begins, half of the replicas are killed."""


BUDGETS = ((1, 0), (0, 1), (2, 1), (None, 0))
"""(surge, unavailable); None: as many as there are."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """`moment`: how far into the roll the word is said, 0 to 1. `replicas`: how many a word to scale asks for."""

    what: What
    moment: float
    replicas: int
    surge: int | None
    unavailable: int
    chance: int

    def victims(self, names: Sequence[str]) -> list[str]:
        return Random(self.chance).sample(sorted(names), len(names) // 2)

    def surge_of(self, replicas: int) -> int:
        return replicas if self.surge is None else self.surge


def steps(chance: Random, many: int, *, most: int) -> Iterator[Step]:
    for _ in range(many):
        surge, unavailable = chance.choice(BUDGETS)
        yield Step(
            what=chance.choice([What.ROLL, *What]),
            moment=chance.random(),
            replicas=chance.randint(1, most),
            surge=surge,
            unavailable=unavailable,
            chance=chance.randrange(2**32),
        )
