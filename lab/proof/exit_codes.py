"""The exit code: a function of how the rollout ended and of the verdict."""

from collections.abc import Mapping

from lab.proof.records import Outcome
from lab.proof.result import VerdictOutcome

# a rollout that did not reach its goal says so, whatever was or was not dropped on the way
OF_ROLLOUT: Mapping[Outcome, int] = {
    Outcome.ROLLED_BACK: 1,
    Outcome.FAILED: 1,
    Outcome.ABORTED: 1,
    Outcome.PAUSED: 1,
    Outcome.PAUSED_ENVIRONMENT: 3,
    Outcome.INTERRUPTED: 130,
}

OF_VERDICT: Mapping[VerdictOutcome, int] = {
    VerdictOutcome.PASS: 0,
    VerdictOutcome.NOT_MEASURED: 0,
    VerdictOutcome.FAIL: 1,
    VerdictOutcome.INCONCLUSIVE: 4,
}


def exit_code(rollout: Outcome, verdict: VerdictOutcome) -> int:
    return OF_ROLLOUT.get(rollout, OF_VERDICT[verdict])
