"""PURE: plans and simulations as text."""

from collections.abc import Sequence
from dataclasses import dataclass

from lab.model import Ending
from lab.plan import Plan, Wave

SHOWN = 3
_MINUTE, _HOUR = 60, 3600


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """How one simulated rollout went. `exposed`: requests that the new version answered; `failed`: errors of all.

    `wasted`: replicas that were made and are gone again; `back_seconds`: from turning back to the end.
    """

    name: str
    ending: Ending
    reason: str
    seconds: float
    peak: int
    lowest: int
    exposed: int
    failed: int
    wasted: int
    back_seconds: float | None
    waited: int


def span(seconds: float) -> str:
    if seconds < _MINUTE:
        return f"{seconds:.1f}s"
    minutes, rest = divmod(round(seconds), _MINUTE)
    return f"{minutes}m{rest:02}s" if seconds < _HOUR else f"{minutes // _MINUTE}h{minutes % _MINUTE:02}m"


def render_plan(plan: Plan) -> str:
    lines = [
        f"{plan.source} -> {plan.target}: {_many(plan.replicas, 'replica')}, {_how(plan)}",
        "",
        *_table([("WAVE", "STARTS", "STOPS", "READY", "RUNNING", "LIVE", "NEW SHARE", "AT"), *_waves(plan.waves)]),
        "",
        f"peak       {_many(plan.peak, 'container')}, at least {plan.lowest} ready",
        f"takes      {span(plan.expected_seconds)} expected, {span(plan.worst_seconds)} at worst",
        *(f"{'if bad' if not i else '':<10} {text}" for i, text in enumerate(map(_notice_words, _pairs(plan)))),
    ]
    lines += _schema(plan)
    lines += [f"{'mark':<10} {mark}: the verdict will show it" for mark in plan.marks]
    lines += [f"{'note':<10} {finding.what}" for finding in plan.findings]
    return "\n".join(line.rstrip() for line in lines) + "\n"


def _schema(plan: Plan) -> list[str]:
    if not plan.schema_must_serve:
        return []
    phases = ", ".join(plan.schema_phases) or "none does"
    now = f"is {plan.schema_phase} now" if plan.schema_phase else "is not asked, for no lab is up; as one begins:"
    told = [f"must serve {' and '.join(plan.schema_must_serve)}: {phases}", now]
    for step in plan.schema_steps:
        told.append(f"then {step.phase}, which serves {', '.join(step.serves)} ({step.command})")
        told += [f"    {line}" for line in step.contents]
    told += [f"{version} runs where it is not served: its requests may fail" for version in plan.schema_unserved]
    return [f"{'schema' if not i else '':<10} {text}" for i, text in enumerate(told)]


def _many(number: int, what: str) -> str:
    return f"{number} {what}{'' if number == 1 else 's'}"


def _how(plan: Plan) -> str:
    return f"{plan.strategy}, surge {plan.surge}, unavailable {plan.unavailable}"


def _pairs(plan: Plan) -> list[tuple[str, float | None, float]]:
    return [(notice.bad, notice.seconds, notice.share) for notice in plan.notices]


def _notice_words(notice: tuple[str, float | None, float]) -> str:
    bad, seconds, share = notice
    if seconds is None:
        return f"{bad}: never noticed, up to {share:.0%} of the requests see it"
    if not seconds:
        return f"{bad}: noticed at once, no request sees it"
    seen = f"{share:.0%} of the requests see it" if share else "no request sees it"
    return f"{bad}: noticed within {span(seconds)}, {seen}"


def _waves(waves: Sequence[Wave]) -> list[tuple[str, ...]]:
    if len(waves) <= 2 * SHOWN + 1:
        return [_wave(wave) for wave in waves]
    dots = ("...",) + ("",) * 7
    return [*(_wave(wave) for wave in waves[:SHOWN]), dots, *(_wave(wave) for wave in waves[-SHOWN:])]


def _wave(wave: Wave) -> tuple[str, ...]:
    ready = f"{wave.ready_min}..{wave.ready_max}"
    live = ("+" if wave.together else ", ").join(wave.versions)
    at = f"{span(wave.begins)}"
    slots = (_slots(wave.starts), _slots(wave.stops))
    return (str(wave.number), *slots, ready, str(wave.total_max), live, f"{wave.share_new:.0%}", at)


def _slots(slots: Sequence[int]) -> str:
    """`1-3,7`."""
    runs: list[list[int]] = []
    for slot in sorted(slots):
        if runs and slot == runs[-1][1] + 1:
            runs[-1][1] = slot
        else:
            runs.append([slot, slot])
    return ",".join(str(a) if a == b else f"{a}-{b}" for a, b in runs) or "-"


def render_rows(rows: Sequence[Row], *, title: str) -> str:
    """The table of `lab simulate`."""
    head = ("", "ENDS", "TAKES", "PEAK", "LOWEST", "EXPOSED", "ERRORS", "HELD", "WASTED", "BACK IN")
    cells = [
        (
            row.name,
            row.ending.value,
            span(row.seconds),
            str(row.peak),
            str(row.lowest),
            str(row.exposed),
            str(row.failed),
            str(row.waited),
            str(row.wasted),
            "-" if row.back_seconds is None else span(row.back_seconds),
        )
        for row in rows
    ]
    reasons = [f"{row.name}: {row.reason}" for row in rows if row.reason]
    return "\n".join([title, "", *_table([head, *cells]), *([""] if reasons else []), *reasons]) + "\n"


def _table(rows: Sequence[Sequence[str]]) -> list[str]:
    widths = [max(len(cell) for cell in column) for column in zip(*rows, strict=True)]
    return ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]
