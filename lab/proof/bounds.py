"""What a count of drops proves: how large their true share may be, with 95 % confidence."""

from decimal import ROUND_CEILING, Context
from math import exp, lgamma, log, log1p

from lab.proof.result import Bound

CONFIDENCE = 0.95


def bound(dropped: int, of: int) -> Bound | None:
    """None: of nothing nothing is known."""
    return Bound(dropped=dropped, of=of, at_most=_three_digits(upper_limit(dropped, of))) if of else None


def upper_limit(dropped: int, of: int) -> float:
    """The exact one-sided limit (Clopper-Pearson): with a larger share, so few drops come in 5 % of runs at most."""
    if dropped >= of:
        return 1.0
    if dropped == 0:
        return float(1 - (1 - CONFIDENCE) ** (1 / of))
    low, high = dropped / of, 1.0
    for _ in range(60):
        middle = (low + high) / 2
        if _at_most(dropped, of, middle) > 1 - CONFIDENCE:
            low = middle
        else:
            high = middle
    return high


def _at_most(k: int, n: int, p: float) -> float:
    """P(at most k of n), for a p above k/n: from its largest term down, until the rest adds nothing."""
    if p >= 1:
        return 0.0
    ways = lgamma(n + 1) - lgamma(k + 1) - lgamma(n - k + 1)
    term = total = exp(ways + k * log(p) + (n - k) * log1p(-p))
    for i in range(k, 0, -1):
        term *= i * (1 - p) / ((n - i + 1) * p)
        total += term
        if term < total * 1e-12:
            break
    return total


def _three_digits(share: float) -> float:
    """Rounded up: a limit must not fall below itself."""
    return float(Context(prec=3, rounding=ROUND_CEILING).create_decimal_from_float(share))
