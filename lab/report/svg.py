"""Small parts of SVG: elements, scales, ticks."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

Point = tuple[float, float]


def element(name: str, text: str | None = None, /, **attributes: object) -> str:
    """`class_` is `class`, and a _ in a name is a -. Text and values are escaped."""
    told = "".join(f' {key.strip("_").replace("_", "-")}="{_value(value)}"' for key, value in attributes.items())
    return f"<{name}{told}/>" if text is None else f"<{name}{told}>{escape(text)}</{name}>"


def line(x1: float, y1: float, x2: float, y2: float, class_: str) -> str:
    return element("line", class_=class_, x1=x1, y1=y1, x2=x2, y2=y2)


def text(x: float, y: float, told: str, class_: str = "") -> str:
    return element("text", told, class_=class_, x=x, y=y) if class_ else element("text", told, x=x, y=y)


def polyline(points: Sequence[Point], class_: str) -> str:
    return element("path", class_=class_, d=_path(points))


def area(upper: Sequence[Point], lower: Sequence[Point], **attributes: object) -> str:
    return element("path", d=f"{_path([*upper, *reversed(lower)])}Z", **attributes)


@dataclass(frozen=True, slots=True, kw_only=True)
class Scale:
    """From a value to a place between two edges; `log` for values that span magnitudes."""

    low: float
    high: float
    start: float
    end: float
    log: bool = False

    def __call__(self, value: float) -> float:
        low, high, at = (math.log10(v) if self.log else v for v in (self.low, self.high, max(value, self.low)))
        share = (at - low) / (high - low) if high > low else 0.0
        return self.start + share * (self.end - self.start)


def round_up(value: float) -> float:
    """The next of 1, 2, 4, 5, 10, 20, .. : half of it is a number that people read."""
    if value <= 1:
        return 1.0
    magnitude: float = 10 ** math.floor(math.log10(value))
    return next(step * magnitude for step in (1, 2, 4, 5, 6, 8, 10) if step * magnitude >= value)


def time_ticks(low: float, high: float, most: int = 14) -> list[int]:
    """Whole seconds, at most so many of them, zero among them if it is in between."""
    for step in (1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 1200, 1800, 3600):
        if (high - low) / step <= most:
            break
    return [at for at in range(math.ceil(low), math.floor(high) + 1) if at % step == 0]


def _path(points: Sequence[Point]) -> str:
    return "M" + "L".join(f"{_value(x)} {_value(y)}" for x, y in points)


def _value(value: object) -> str:
    if isinstance(value, float):
        return f"{value:.1f}".removesuffix(".0")
    return escape(str(value), quote=True)
