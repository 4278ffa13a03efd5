"""What the load says of itself: JSON lines on stdout."""

import json
import os
import stat
import sys

from loadtest.selftest import SelfTest
from loadtest.settings import Settings
from loadtest.tally import Counts, Tally


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

    def tick(self, tally: Tally, *, t: int) -> None:
        counts = tally.counts
        p50, p99 = tally.recent_ms(t, 0.5, 0.99)
        elapsed = max(t - (self._ticked_at or t), 1) / 1e9
        rps = round((counts.finished - self._finished_before) / elapsed, 1)
        self._ticked_at, self._finished_before = t, counts.finished
        self._line("tick", t=t, **_counts(counts), in_flight=counts.in_flight, rps=rps, p50_ms=p50, p99_ms=p99)

    def finished(self, tally: Tally, *, t: int, reason: str) -> None:
        self._line("finished", t=t, **_counts(tally.counts), lag_p99_ms=tally.lag_p99_ms(), reason=reason)

    def error(self, message: str) -> None:
        self._line("error", message=message)

    def _line(self, type: str, **values: object) -> None:
        try:
            os.write(self._file, json.dumps({"type": type, **values}).encode() + b"\n")
        except (BrokenPipeError, BlockingIOError):
            return


def _counts(counts: Counts) -> dict[str, int]:
    return {
        "offered": counts.offered,
        "finished": counts.finished,
        "failed": counts.failed,
        "not_sent": counts.not_sent,
    }
