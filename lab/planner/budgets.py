"""PURE: what a fleet may have above and below N, from what people write (P3)."""

import math
import re
from dataclasses import dataclass

from lab.errors import UsageError

_AMOUNT = re.compile(r"(\d+(?:\.\d+)?)(%?)")
_WHOLE = 100
_DIGITS = 12


@dataclass(frozen=True, slots=True, kw_only=True)
class Amount:
    """So many replicas, or so many of a hundred."""

    number: float
    percent: bool = False

    def of(self, replicas: int, *, up: bool) -> int:
        if not self.percent:
            return int(self.number)
        share = round(replicas * self.number / _WHOLE, 9)  # 0.07 * 100 is 7.000000000000001
        return math.ceil(share) if up else math.floor(share)

    def __str__(self) -> str:
        return f"{self.number:g}{'%' if self.percent else ''}"


def amount(text: str, option: str) -> Amount:
    """`3` or `25%`."""
    found = _AMOUNT.fullmatch(text.strip())
    if not found or len(found[1]) > _DIGITS or (not found[2] and "." in found[1]):
        raise UsageError(id="amount", what=f"{option}: {text!r} is neither a number nor a percentage", fix="3 or 25%")
    return Amount(number=float(found[1]), percent=bool(found[2]))


def budgets_of(replicas: int, surge: Amount, unavailable: Amount) -> tuple[int, int]:
    """Surge rounds up, unavailable down, both together: 0 and 0 is refused unless rounding made it; then it is 0, 1."""
    above, below = surge.of(replicas, up=True), min(unavailable.of(replicas, up=False), replicas)
    if above == below == 0:
        if not (unavailable.percent and unavailable.number > 0):
            raise UsageError(
                id="no-budget",
                what="with no replica more and none less than N nothing can be replaced",
                fix="--max-surge 1, or --max-unavailable 1",
            )
        below = 1
    return above, below


def batch_of(replicas: int, batch: Amount, *, start_first: bool) -> int:
    """A batch is surge or unavailable, and rounds as that does; but it is one replica at least."""
    many = batch.of(replicas, up=start_first)
    if many < 1 and not batch.percent:
        raise UsageError(id="batch", what=f"a batch of {batch} replaces nothing", fix="--batch 1 or more")
    if many > replicas or (batch.percent and batch.number > _WHOLE):
        raise UsageError(
            id="batch", what=f"a batch of {batch} is more than the {replicas} replicas", fix=f"--batch 1 to {replicas}"
        )
    return max(many, 1)
