"""Numbers as people read them."""

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
