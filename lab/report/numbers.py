"""Numbers as people read them."""

from decimal import ROUND_CEILING, Context

TENTHS_BELOW_MS = 10


def count(number: int) -> str:
    return f"{number:,}".replace(",", " ")


def many(number: int, noun: str) -> str:
    return f"{count(number)} {noun}{'' if number == 1 else 's'}"


def seconds(value: float) -> str:
    return f"{value:.1f}s"


def millis(value: float | None) -> str:
    if value is None:
        return "-"
    return f"{value:.1f} ms" if value < TENTHS_BELOW_MS else f"{count(round(value))} ms"


def percent(share: float) -> str:
    """Two digits that count, rounded up as a limit has to be: 0.0031%, 0.22%, 3.4%, 23%."""
    points = Context(prec=2, rounding=ROUND_CEILING).create_decimal_from_float(share * 100)
    return f"{points.normalize():f}%"


def share(value: float) -> str:
    return f"{value:.1%}"
