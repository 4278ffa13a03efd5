"""The timeline as one SVG: four panels on one time axis, with the waves drawn through all of them."""

from collections.abc import Iterator, Mapping, Sequence

from lab.proof.result import RunEcho
from lab.report.numbers import count
from lab.report.svg import Point, Scale, area, element, line, polyline, round_up, text, time_ticks
from lab.report.timeline import NO_VERSION, Ready, Second, Timeline

WIDTH, LEFT, RIGHT = 1200.0, 66.0, 58.0
TOP = 50.0
REQUESTS, LATENCY, DROPPED, READY = (74.0, 234.0), (278.0, 408.0), (448.0, 496.0), (536.0, 622.0)
HEIGHT = 652.0
ROOM_FOR_WORDS = 62.0

Layer = tuple[float, float, Mapping[str, int]]
"""Since when, until when, and how much of each version."""


def timeline_chart(timeline: Timeline, run: RunEcho) -> str:
    """Empty where nothing was measured and nothing rolled."""
    low, high = _span(timeline)
    if high <= low:
        return ""
    x = Scale(low=low, high=high, start=LEFT, end=WIDTH - RIGHT)
    versions = _versions(timeline, run)
    parts = [
        element("title", "The run second by second"),
        element("desc", _described(timeline)),
        _hatch(),
        *_frames(x),
        *_requests(timeline.seconds, x, versions),
        *_latency(timeline.seconds, x),
        *_dropped(timeline.seconds, x),
        *_ready(timeline.ready, x, versions),
        *_waves(timeline, x),
        *_moments(timeline, x),
        *_titles(timeline.seconds),
    ]
    box = f"0 0 {WIDTH:.0f} {HEIGHT:.0f}"
    return f'<svg viewBox="{box}" role="img">{"".join(parts)}</svg>'


def letter(number: int) -> str:
    """a, b, .. z, then numbers."""
    return chr(ord("a") + number) if number < 26 else str(number + 1)  # noqa: PLR2004  letters there are


def _span(timeline: Timeline) -> tuple[float, float]:
    starts = [second.at for second in timeline.seconds]
    happened = [wave.at_s for wave in timeline.waves] + [moment.at_s for moment in timeline.moments]
    happened += [step.at_s for step in timeline.ready]
    if not starts and not happened:
        return 0.0, 0.0
    return min([*starts, *happened]), max([*(start + 1 for start in starts), *happened])


def _versions(timeline: Timeline, run: RunEcho) -> list[str]:
    """The old one, the new one, others, and last what no version answered: each has its place in the palette."""
    seen = {version for second in timeline.seconds for version in second.answered}
    seen |= {version for step in timeline.ready for version in step.replicas}
    first = list(dict.fromkeys([run.from_version, run.to_version]))
    return [*(v for v in first if v in seen), *sorted(seen - {*first, NO_VERSION}), *({NO_VERSION} & seen)]


def _described(timeline: Timeline) -> str:
    offered = sum(second.offered for second in timeline.seconds)
    dropped = sum(second.dropped for second in timeline.seconds)
    return (
        f"{len(timeline.seconds)} seconds, {offered} requests, {dropped} dropped, {len(timeline.waves)} waves. "
        "From the top: requests a second by version, latency, dropped requests, replicas that serve. "
        "The figures stand in the table below."
    )


def _hatch() -> str:
    stripe = line(0, 0, 0, 7, "hatch")
    about = 'id="hatch" width="7" height="7" patternUnits="userSpaceOnUse" patternTransform="rotate(45)"'
    return f"<defs><pattern {about}>{stripe}</pattern></defs>"


def _frames(x: Scale) -> Iterator[str]:
    for at in time_ticks(x.low, x.high):
        place = x(at)
        for top, bottom in (REQUESTS, LATENCY, DROPPED, READY):
            yield line(place, top, place, bottom, "grid")
        yield text(place, READY[1] + 20, f"{at} s", "mid")
    for _, bottom in (REQUESTS, LATENCY, DROPPED, READY):
        yield line(LEFT, bottom, WIDTH - RIGHT, bottom, "axis")


def _titles(seconds: Sequence[Second]) -> Iterator[str]:
    """Over all marks."""
    total = sum(second.dropped for second in seconds)
    yield text(LEFT, REQUESTS[0] - 10, "requests a second, by the version that answered", "title")
    yield text(LEFT, LATENCY[0] - 10, "latency from the due time, ms", "title")
    yield text(LEFT, DROPPED[0] - 10, f"dropped requests: {count(total) if total else 'none'}", "title")
    yield text(LEFT, READY[0] - 10, "replicas that serve", "title")


# panels


def _requests(seconds: Sequence[Second], x: Scale, versions: list[str]) -> Iterator[str]:
    yield from _legend(versions, WIDTH - RIGHT, REQUESTS[0] - 10)
    if not seconds:
        yield text((LEFT + WIDTH - RIGHT) / 2, sum(REQUESTS) / 2, "not measured: there was no load", "mid")
        return
    top = round_up(max(sum(second.answered.values()) for second in seconds))
    y = Scale(low=0, high=top, start=REQUESTS[1], end=REQUESTS[0])
    yield from _ticks(y, (top / 2, top))
    layers = [(second.at, second.at + 1, second.answered) for second in seconds]
    yield from _stacked(layers, versions, x, y)


def _latency(seconds: Sequence[Second], x: Scale) -> Iterator[str]:
    known = [ms for second in seconds for ms in (second.p50_ms, second.p99_ms) if ms is not None]
    if not known:
        return
    low, high = 10.0 ** _magnitude(min(known)), 10.0 ** (_magnitude(max(known)) + 1)
    y = Scale(low=low, high=high, start=LATENCY[1], end=LATENCY[0], log=True)
    yield from _ticks(y, [10.0**power for power in range(_magnitude(low), _magnitude(high) + 1)])
    labels = []
    for name, values in (("99", [s.p99_ms for s in seconds]), ("50", [s.p50_ms for s in seconds])):
        points = [(x(s.at + 0.5), y(ms)) for s, ms in zip(seconds, values, strict=True) if ms is not None]
        yield polyline(points, f"p{name}")
        labels.append((points[-1], name))
    yield from _line_labels(labels)


def _line_labels(labels: Sequence[tuple[Point, str]]) -> Iterator[str]:
    """Beside the ends of their lines, and never over each other."""
    above = float("-inf")
    for (_, y), name in sorted(labels, key=lambda label: label[0][1]):
        place = max(y + 4, above + 15)
        yield text(WIDTH - RIGHT + 8, place, f"p{name}", "strong")
        above = place


def _dropped(seconds: Sequence[Second], x: Scale) -> Iterator[str]:
    most = max((second.dropped for second in seconds), default=0)
    if not most:
        return
    y = Scale(low=0, high=most, start=DROPPED[1], end=DROPPED[0] + 14)
    for second in seconds:
        if second.dropped:
            left, right, top = x(second.at), x(second.at + 1), y(second.dropped)
            width = max(3.0, right - left - 2)
            yield element("rect", class_="drop", x=left + 1, y=top, width=width, height=DROPPED[1] - top)
            if right - left > 18:  # noqa: PLR2004  room for a number
                yield text((left + right) / 2, top - 4, count(second.dropped), "dropped mid")


def _ready(steps: Sequence[Ready], x: Scale, versions: list[str]) -> Iterator[str]:
    if not steps:
        return
    top = max(1, *(sum(step.replicas.values()) for step in steps))
    y = Scale(low=0, high=top, start=READY[1], end=READY[0])
    yield from _ticks(y, (top,))
    begins = [x.low, *(step.at_s for step in steps[1:])]
    ends = [*begins[1:], x.high]
    layers = [(since, until, s.replicas) for since, until, s in zip(begins, ends, steps, strict=True)]
    yield from _stacked(layers, versions, x, y)


def _stacked(layers: Sequence[Layer], versions: list[str], x: Scale, y: Scale) -> Iterator[str]:
    floor = [0.0] * len(layers)
    for place, version in enumerate(versions):
        roof = [below + found.get(version, 0) for below, (_, _, found) in zip(floor, layers, strict=True)]
        if roof == floor:
            continue
        upper, lower = (_steps(layers, heights, x, y) for heights in (roof, floor))
        yield area(upper, lower, class_=_colour(place))
        if place == 1:
            yield area(upper, lower, fill="url(#hatch)")
        floor = roof


def _steps(layers: Sequence[Layer], heights: Sequence[float], x: Scale, y: Scale) -> list[Point]:
    spans = [(since, until) for since, until, _ in layers]
    return [(x(at), y(height)) for span, height in zip(spans, heights, strict=True) for at in span]


# marks


def _waves(timeline: Timeline, x: Scale) -> Iterator[str]:
    places = [x(wave.at_s) for wave in timeline.waves]
    following = [*places, WIDTH - RIGHT][1:]
    for wave, place, after in zip(timeline.waves, places, following, strict=True):
        yield line(place, TOP - 14, place, READY[1], "wave")
        if after - place > ROOM_FOR_WORDS:
            yield text(place + 5, TOP - 6, f"wave {wave.number}", "strong")
        elif after - place > ROOM_FOR_WORDS / 3 or wave.number % 5 == 0:
            yield text(place + 3, TOP - 6, str(wave.number), "strong")


def _moments(timeline: Timeline, x: Scale) -> Iterator[str]:
    right = float("-inf")
    for number, moment in enumerate(timeline.moments):
        place = x(moment.at_s)
        yield line(place, 20, place, READY[1], "moment")
        middle = min(max(place, right + 19), WIDTH - 10)
        yield element("circle", class_="pill", cx=middle, cy=11.0, r=9)
        yield text(middle, 15.5, letter(number), "mid strong")
        right = middle


def _legend(versions: list[str], right: float, y: float) -> Iterator[str]:
    for place, version in reversed(list(enumerate(versions))):
        told = "no version" if version == NO_VERSION else version
        right -= 8.0 * len(told)
        yield text(right, y, told, "strong")
        box = {"x": right - 20, "y": y - 11, "width": 14, "height": 14, "rx": 2}
        yield element("rect", class_=_colour(place), **box)
        if place == 1:
            yield element("rect", fill="url(#hatch)", **box)
        right -= 38


def _ticks(y: Scale, values: Sequence[float]) -> Iterator[str]:
    for value in values:
        yield line(LEFT, y(value), WIDTH - RIGHT, y(value), "grid")
        yield text(LEFT - 8, y(value) + 4, f"{value:g}", "end")


def _colour(place: int) -> str:
    return f"v{min(place, 3)}"


def _magnitude(value: float) -> int:
    power = 0
    while 10.0**power > value:
        power -= 1
    while 10.0 ** (power + 1) <= value:
        power += 1
    return power
