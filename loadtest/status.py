"""What the load says of itself: JSON lines on stdout."""

import json
import os
import stat
import sys
from collections.abc import Sequence
from dataclasses import asdict

from loadtest.selftest import SelfTest
from loadtest.settings import Settings
from loadtest.tally import Figures

_ANSWERS_A_LINE = 64
"""Less than 4 KiB: a pipe takes that in one piece."""


class Status:
    """Never in the way of the load: a reader that is slow misses lines, and one that is gone ends nothing."""

    def __init__(self, file: int | None = None) -> None:
        self._file = sys.stdout.fileno() if file is None else file
        if stat.S_ISFIFO(os.fstat(self._file).st_mode):
            os.set_blocking(self._file, False)
        self._finished_before = 0
        self._ticked_at: int | None = None

    def self_test(self, result: SelfTest) -> None:
        self._line("self-test", ok=result.ok, injected=result.injected, reported=result.reported)

    def started(self, settings: Settings, *, t: int) -> None:
        self._ticked_at = t
        slow = {"per_second": settings.slow.per_second, "seconds": settings.slow.seconds}
        self._line("started", t=t, run=settings.run, rate=settings.rate, seed=settings.seed, slow=slow)

    def tick(self, figures: Figures, *, t: int) -> None:
        counts = figures.counts
        elapsed = max(t - (self._ticked_at or t), 1) / 1e9
        rps = round((counts.finished - self._finished_before) / elapsed, 1)
        self._ticked_at, self._finished_before = t, counts.finished
        latencies, lags = figures.recent_latencies, figures.recent_lags
        self._line(
            "tick",
            t=t,
            **asdict(counts),
            in_flight=counts.in_flight,
            rps=rps,
            p50_ms=latencies.percentile_ms(0.5),
            p99_ms=latencies.percentile_ms(0.99),
            lag_p99_ms=lags.percentile_ms(0.99),
            mixes=_mixes(figures),
        )

    def answers(self, told: Sequence[tuple[str, int, int]], *, t: int) -> None:
        """In lines that are written whole, or not at all."""
        for begin in range(0, len(told), _ANSWERS_A_LINE):
            self._line("answers", t=t, answers=told[begin : begin + _ANSWERS_A_LINE])

    def finished(self, figures: Figures, *, t: int, reason: str) -> None:
        lag = figures.lags.percentile_ms(0.99) or 0.0
        mixes = _mixes(figures)
        self._line("finished", t=t, **asdict(figures.counts), lag_p99_ms=lag, reason=reason, mixes=mixes)

    def error(self, message: str) -> None:
        self._line("error", message=message)

    def _line(self, type: str, **values: object) -> None:
        try:
            os.write(self._file, json.dumps({"type": type, **values}).encode() + b"\n")
        except (BrokenPipeError, BlockingIOError):
            return


def _mixes(figures: Figures) -> list[dict[str, object]]:
    """What versions did to each other's data so far, the most frequent first."""
    found = sorted(figures.mixes.items(), key=lambda item: (-item[1], item[0]))
    parts = [(*pair.split(" "), count) for pair, count in found]
    return [{"writer": None if w == "-" else w, "reader": r, "fault": f, "count": n} for w, r, f, n in parts]
