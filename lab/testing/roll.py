"""A roll's verdict as an object of assertions. What they say when they fail is what they are for."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lab.proof import Outcome, Verdict, VerdictOutcome, verdict_from_json
from lab.proof.result import Change, Drop, Exposure
from lab.testing.story import failed


class RollRefusedError(AssertionError):
    """Nothing was rolled: the command refused it, or could not do it."""

    def __init__(self, words: str, said: str) -> None:
        super().__init__(f"lab {words}\n{said.strip()}")


def nothing_to_roll(version: str) -> RollRefusedError:
    return RollRefusedError(
        f"roll {version}", f"the fleet already runs {version}: nothing was rolled, nothing is proved"
    )


def roll_of(told: Mapping[str, Any], *, exit_code: int, project: str, home: Path) -> "Roll":
    """From the JSON of the command. The exit code is the one that the command really had."""
    verdict = verdict_from_json(told)
    return Roll(verdict=verdict, exit_code=exit_code, project=project, folder=home / "runs" / verdict.run.run)


@dataclass(frozen=True, slots=True, kw_only=True)
class Roll:
    """One roll or rollback that was judged. Each assertion returns the roll, so that they chain.

    `folder` has its artefacts: verdict.json, report.txt, events.jsonl, the ledgers, latency.hlog, logs/.
    """

    verdict: Verdict
    exit_code: int
    project: str
    folder: Path

    @property
    def ok(self) -> bool:
        """Done, and proved that nothing was dropped."""
        return self.exit_code == 0 and self.verdict.outcome is VerdictOutcome.PASS

    @property
    def drops(self) -> tuple[Drop, ...]:
        return self.verdict.drops

    @property
    def exposure(self) -> tuple[Exposure, ...]:
        return self.verdict.exposure

    def assert_ok(self) -> "Roll":
        """The goal was reached, and it was proved that nothing was dropped on the way."""
        __tracebackhide__ = True
        self.assert_done()
        return self.assert_no_drops()

    def assert_done(self) -> "Roll":
        """The fleet runs what it was rolled to."""
        __tracebackhide__ = True
        done = self.verdict.run.rollout is Outcome.DONE
        return self._check(done, f"the fleet to be taken to {self.verdict.run.to_version}", self._ended())

    def assert_no_drops(self) -> "Roll":
        """No request was dropped, and there is enough proof of it: an inconclusive verdict is no pass."""
        __tracebackhide__ = True
        v = self.verdict
        if v.drops:
            kinds = ", ".join(f"{cls} {count}" for cls, count in v.dropped_by_class.items())
            self._check(False, "no request dropped", f"{v.dropped} dropped of {v.judged} ({kinds})")
        proved = v.outcome is VerdictOutcome.PASS
        doubts = "; ".join(reason.message for reason in v.reasons) or v.outcome.value
        return self._check(proved, "proof that no request was dropped", f"0 dropped of {v.judged}, but {doubts}")

    def assert_drops(self, *, at_most: int) -> "Roll":
        """Some drops are allowed, but no more."""
        __tracebackhide__ = True
        dropped = self.verdict.dropped
        return self._check(
            dropped <= at_most, f"at most {at_most} requests dropped", f"{dropped} of {self.verdict.judged}"
        )

    def assert_exposed(self, in_flight: int = 1) -> "Roll":
        """Of each version that left, some replica left with so many requests under way: else the proof is empty."""
        __tracebackhide__ = True
        most: dict[str, int] = {}
        for swap in self.exposure:
            under_way = max(swap.in_flight_at_retire or 0, swap.under_way or 0)
            most[swap.version] = max(most.get(swap.version, 0), under_way)
        seen = ", ".join(f"{version}: {count} at most" for version, count in most.items()) or "nothing was swapped"
        wanted = f"{in_flight} in flight at the leave of some replica of each version"
        return self._check(bool(most) and min(most.values(), default=0) >= in_flight, wanted, seen)

    def assert_rolled_back(self, *, within: float | None = None) -> "Roll":
        """It was taken back by itself, in so many seconds from its beginning."""
        __tracebackhide__ = True
        back = self.verdict.run.rollout is Outcome.ROLLED_BACK
        self._check(back, "the roll to be taken back", self._ended())
        took = self.verdict.run.duration_s
        if within is None:
            return self
        return self._check(took <= within, f"the roll to be taken back within {within:g}s", f"{took:.1f}s")

    def assert_versions(self, *versions: str) -> "Roll":
        """Exactly these answered."""
        __tracebackhide__ = True
        seen = set(self.verdict.versions)
        return self._check(seen == set(versions), f"answers by {_listed(versions)}", _listed(seen))

    def assert_latency(self, percentile: str = "p99", *, below_ms: float) -> "Roll":
        """Of all requests that are not slow on purpose: `p50` or `p99`."""
        __tracebackhide__ = True
        latency = self.verdict.latency
        found = {"p50": latency.p50_ms, "p99": latency.p99_ms}[percentile]
        seen = "not measured" if found is None else f"{found:.1f} ms of {latency.samples} requests"
        return self._check(found is not None and found < below_ms, f"{percentile} below {below_ms:g} ms", seen)

    def assert_not_slower(self, percentile: int = 95, *, by: float = 0.2) -> "Roll":
        """The new version is not surely slower than the old one was in the same instants; 0.2 is a fifth.

        Too little data is a failure: what could not be compared was not shown.
        """
        __tracebackhide__ = True
        comparison = self.verdict.comparison
        changes = comparison.changes if comparison else ()
        found = next((change for change in changes if change.percent == percentile), None)
        wanted = f"p{percentile} of {self.verdict.run.to_version} at most {1 + by:g} times the other's"
        return self._check(found is not None and found.low <= 1 + by, wanted, _compared(found))

    def _ended(self) -> str:
        run = self.verdict.run
        return f"{run.rollout.value}: {run.reason}" if run.reason else run.rollout.value

    def _check(self, held: bool, expected: str, seen: str) -> "Roll":
        __tracebackhide__ = True
        if not held:
            raise AssertionError(failed(self.verdict, expected, seen, project=self.project, folder=self.folder))
        return self


def _listed(names: Any) -> str:
    return ", ".join(sorted(names)) or "none"


def _compared(change: Change | None) -> str:
    if change is None:
        return "too little data to compare them"
    times = f"{change.ratio:.2f} times ({change.low:.2f} to {change.high:.2f})"
    return f"{times}, {change.old_ms:.1f} to {change.new_ms:.1f} ms"
