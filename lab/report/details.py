"""What is told besides the verdict: who answered, what was at risk, how much it proves, and whether it got slower."""

from collections.abc import Iterator

from lab.proof.comparison import worst
from lab.proof.result import Bound, Bounds, Change, Comparison, Exposure, Pace, Verdict
from lab.report.mixes import pairs_block
from lab.report.numbers import count, many, millis, percent
from lab.report.table import table

HEADS = ("replica", "version", "in flight at retire", "at stop", "within 0.2s", "exposed", "dropped", "exit code")
RIGHT = frozenset(HEADS[2:-1])


def details_blocks(verdict: Verdict) -> list[list[str]]:
    return [
        [f"  answered by {version}: {count(answers)}" for version, answers in verdict.versions.items()],
        pairs_block(verdict),
        _exposure(verdict.exposure),
        _bounds(verdict.bounds),
        list(_latency(verdict.comparison)),
        clock_lines(verdict),
    ]


def clock_lines(verdict: Verdict) -> list[str]:
    error = verdict.run.clock_error_ms
    if error is None:
        return []
    return [f"  clocks: the controller's is known to {error:.2f} ms; what is closer to an edge is left undecided"]


def slower_block(comparison: Comparison | None) -> list[str]:
    if comparison is None or comparison.outcome is not Pace.WORSE:
        return []
    return [f"  note   {comparison_line(comparison)}"]


def exposure_rows(swaps: tuple[Exposure, ...]) -> list[tuple[str, ...]]:
    return [
        (
            swap.replica,
            swap.version,
            _known(_under_way(swap)) + (f" (+{swap.undecided} undecided)" if swap.undecided else ""),
            _known(swap.in_flight_at_stop),
            _known(swap.near),
            _known(swap.exposed) + (" (unexposed)" if swap.unexposed else ""),
            _known(swap.dropped),
            _known(swap.exit_code) + (" (out of memory)" if swap.oom else ""),
        )
        for swap in swaps
    ]


def _under_way(swap: Exposure) -> int | None:
    """What the controller saw last, or what the ledgers show in the moment itself: neither sees too much."""
    return max((n for n in (swap.in_flight_at_retire, swap.under_way) if n is not None), default=None)


def bound_rows(bounds: Bounds) -> list[tuple[str, str, str]]:
    """Of what, at most which share, and by what that is known."""
    named = [("requests", bounds.run), ("exposed requests", bounds.exposed), ("rolls", bounds.rolls)]
    return [(name, percent(bound.at_most), _counted(bound)) for name, bound in named if bound is not None]


def comparison_line(comparison: Comparison) -> str:
    old, new = comparison.old, comparison.new
    if comparison.outcome is Pace.TOO_LITTLE:
        return (
            f"too little data to compare {new} with {old}: they must serve together for longer (--bake),"
            " or be asked more (--rate)"
        )
    change = worst(comparison)
    if change is None:
        return f"{new} is no slower than {old}"
    return (
        f"{new} is slower than {old}: p{change.percent} worse by x{change.ratio:.2f}"
        f" (x{change.low:.2f} to x{change.high:.2f})"
    )


def change_rows(comparison: Comparison) -> list[tuple[str, ...]]:
    return [
        (
            f"p{change.percent}",
            millis(change.old_ms),
            millis(change.new_ms),
            f"x{change.ratio:.2f}",
            f"x{change.low:.2f} to x{change.high:.2f}",
            _instants(change),
        )
        for change in comparison.changes
    ]


def change_heads(comparison: Comparison) -> tuple[str, ...]:
    return ("latency", comparison.old, comparison.new, "ratio", "95% limits", "measured in")


def _exposure(swaps: tuple[Exposure, ...]) -> list[str]:
    return table(HEADS, exposure_rows(swaps), right=RIGHT, indent="  ") if swaps else []


def _bounds(bounds: Bounds) -> list[str]:
    rows = bound_rows(bounds)
    if not rows:
        return []
    return table(("with 95% confidence", "dropped at most", "seen"), rows, right=frozenset(), indent="  ")


def _latency(comparison: Comparison | None) -> Iterator[str]:
    if comparison is None:
        return
    yield f"  {comparison_line(comparison)}"
    if comparison.changes:
        rows = change_rows(comparison)
        yield from table(change_heads(comparison), rows, right=frozenset(), indent="    ")


def _instants(change: Change) -> str:
    what = "half-second" if change.width_s < 1 else "second" if change.width_s == 1 else f"{change.width_s:g} s"
    return many(change.pairs, what) if change.width_s <= 1 else f"{count(change.pairs)} times {what}"


def _counted(bound: Bound) -> str:
    return f"{count(bound.dropped)} of {count(bound.of)}"


def _known(number: int | None) -> str:
    return "-" if number is None else count(number)
