"""PURE. docs/reference/proxy-speed.svg: bars, one panel per question, readable on light and on dark."""

from collections.abc import Iterable
from dataclasses import dataclass
from html import escape

from tests.bench.proxy.figures import PROXIES, Case, Peer, Results

_WIDTH = 760
_LEFT, _RIGHT = 120, 70
_BAR, _STEP = 16, 24
_PANEL_HEAD = 34

# currentColor would be black in an <img>, whatever the page's colours
_STYLE = """
    text { font: 13px system-ui, sans-serif; fill: #1f2328 }
    .title { font-weight: 600 }
    .bar { fill: #8c959f }
    .ours { fill: #0969da }
    @media (prefers-color-scheme: dark) {
      text { fill: #e6edf3 }
      .bar { fill: #6e7681 }
      .ours { fill: #4493f8 }
    }
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Panel:
    """Bars of one unit; None: no figure."""

    title: str
    bars: tuple[tuple[Peer, float | None], ...]


def panels(results: Results) -> tuple[Panel, ...]:
    cases = (Case.SMALL_32, Case.LARGE_GET, Case.LARGE_POST)
    cpu = tuple(
        Panel(
            title=f"CPU per request, us: {case}",
            bars=tuple((peer, results.cpu_us(peer, case)) for peer in PROXIES),
        )
        for case in cases
    )
    added = tuple((peer, results.added_open_us(peer, lambda run: run.p99_us)) for peer in PROXIES)
    rate = f"{results.opened[0].rate:,} requests/s" if results.opened else "not measured"
    return (*cpu, Panel(title=f"Added p99 latency, us: small GET, open loop, {rate}", bars=added))


def svg(shown: Iterable[Panel]) -> str:
    parts: list[str] = []
    y = 8
    for panel in shown:
        parts.append(f'<text class="title" x="8" y="{y + 20}">{escape(panel.title)}</text>')
        y += _PANEL_HEAD
        parts += _bars(panel, y)
        y += _STEP * len(panel.bars) + 12
    body = "\n  ".join(parts)
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{_WIDTH}" height="{y}" viewBox="0 0 {_WIDTH} {y}" role="img">'
        f"\n  <title>What a request through the proxy costs; shorter is better</title>"
        f"\n  <style>{_STYLE}  </style>\n  {body}\n</svg>\n"
    )


def _bars(panel: Panel, top: int) -> list[str]:
    longest = max((value for _, value in panel.bars if value is not None), default=0.0)
    lines: list[str] = []
    for row, (peer, value) in enumerate(panel.bars):
        y = top + row * _STEP
        length = 0.0 if value is None or longest <= 0 else max(0.0, value) / longest * (_WIDTH - _LEFT - _RIGHT)
        kind = "bar ours" if peer is Peer.OURS else "bar"
        label = "no figure" if value is None else f"{value:,.0f}"
        lines += [
            f'<text x="{_LEFT - 8}" y="{y + 13}" text-anchor="end">{escape(peer)}</text>',
            f'<rect class="{kind}" x="{_LEFT}" y="{y}" width="{length:.1f}" height="{_BAR}" rx="2"/>',
            f'<text x="{_LEFT + length + 6:.1f}" y="{y + 13}">{label}</text>',
        ]
    return lines
