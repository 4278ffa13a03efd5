"""The latency comparison as a picture: each percentile's ratio with its limits, beside the line of no change."""

from collections.abc import Iterator

from lab.proof.result import Change, Comparison
from lab.report.svg import Scale, element, line, text

WIDTH, LEFT, RIGHT, ROW, TOP = 640.0, 56.0, 40.0, 34.0, 26.0


def intervals_chart(comparison: Comparison) -> str:
    low = min(0.9, *(change.low for change in comparison.changes))
    high = max(1.2, *(change.high for change in comparison.changes))
    x = Scale(low=low * 0.97, high=high * 1.03, start=LEFT, end=WIDTH - RIGHT, log=True)
    bottom = TOP + ROW * len(comparison.changes)
    told = ", ".join(f"p{c.percent} x{c.ratio:.2f}, x{c.low:.2f} to x{c.high:.2f}" for c in comparison.changes)
    parts = [
        element("title", f"{comparison.new} against {comparison.old}"),
        element("desc", f"Ratios with 95% limits: {told}."),
        line(x(1.0), TOP - 6, x(1.0), bottom, "one"),
        text(x(1.0), TOP - 11, "no change", "mid"),
    ]
    for place, change in enumerate(comparison.changes):
        parts += _row(change, TOP + ROW * (place + 0.5), x)
    return f'<svg viewBox="0 0 {WIDTH:.0f} {bottom:.0f}" role="img">{"".join(parts)}</svg>'


def _row(change: Change, y: float, x: Scale) -> Iterator[str]:
    yield text(LEFT - 12, y + 4, f"p{change.percent}", "end strong")
    yield line(x(change.low), y, x(change.high), y, "interval")
    yield element("circle", class_="point", cx=x(change.ratio), cy=y, r=6)
    yield text(x(change.ratio), y - 10, f"x{change.ratio:.2f}", "mid strong")
