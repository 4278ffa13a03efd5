"""PURE: what is wrong with each faulty version of the sample app, what the lab does about it, and what one sees.

`lab fault list` and docs/reference/faults.md say it; `make soak-faults` rolls each and holds it to `ends`.
"""

from dataclasses import dataclass
from enum import StrEnum


class Ends(StrEnum):
    """How a roll to the version ends, with the options that are given beside it."""

    ROLLED_BACK = "rolled back"
    DROPS = "done, with requests dropped"
    CLEAN = "done, nothing dropped"


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """`options`: what a roll needs beside the version for the lab to notice. `drops`: it costs requests."""

    version: str
    does: str
    lab: str
    seen: str
    ends: Ends
    drops: bool = False
    options: tuple[str, ...] = ()

    @property
    def exit_code(self) -> int:
        return 0 if self.ends is Ends.CLEAN else 1

    @property
    def command(self) -> str:
        return " ".join(("lab roll", self.version, *self.options))


FAULTS = (
    Fault(
        version="v2-never-ready",
        does="is never ready",
        lab="gives it no request, waits out the ready timeout, goes back",
        seen="what its last probe was answered, and its last log lines",
        ends=Ends.ROLLED_BACK,
    ),
    Fault(
        version="v2-slow-start",
        does="listens only after 8 s",
        lab="waits: nothing is taken away before it is ready",
        seen="nothing but a longer roll",
        ends=Ends.CLEAN,
    ),
    Fault(
        version="v2-crashes-on-start",
        does="ends with exit code 1 before it listens",
        lab="sees the end at once, starts it no second time, goes back",
        seen="its exit code and its last log lines",
        ends=Ends.ROLLED_BACK,
    ),
    Fault(
        version="v2-dies-after-ready",
        does="is ready, and ends 2 s later with exit code 3",
        lab="replaces it, three times in a slot; at the fourth death goes back",
        seen="each death with its exit code, and what was dropped on it",
        ends=Ends.ROLLED_BACK,
        drops=True,
        options=("--bake", "7s"),
    ),
    Fault(
        version="v2-flaps",
        does="says that it is ready, and that it is not, every 0.3 s",
        lab="never finds it ready unbroken for min-ready, so gives it no request; goes back",
        seen="how often its probes passed and failed in turn",
        ends=Ends.ROLLED_BACK,
    ),
    Fault(
        version="v2-answers-errors",
        does="is ready, and answers every third request with 500",
        lab="its gate counts them and goes back; without a gate it is rolled out, and the verdict is no",
        seen="the gate's numbers, and what the version had answered until then",
        ends=Ends.ROLLED_BACK,
        drops=True,
        options=("--gate", "error-ratio=5%", "--bake", "7s"),
    ),
    Fault(
        version="v2-always-errors",
        does="is ready, and answers every request with 500",
        lab="the same",
        seen="the same, sooner",
        ends=Ends.ROLLED_BACK,
        drops=True,
        options=("--gate", "error-ratio=5%", "--bake", "7s"),
    ),
    Fault(
        version="v2-error-ratio",
        does="answers 5 % of the requests with 500, drawn with a seed",
        lab="a gate below that share goes back, one above it lets it pass; the verdict is no either way",
        seen="the gate's numbers: how many of how many",
        ends=Ends.ROLLED_BACK,
        drops=True,
        options=("--gate", "error-ratio=1%", "--gate-samples", "300", "--bake", "10s"),
    ),
    Fault(
        version="v2-adds-latency",
        does="takes 50 ms longer for every request",
        lab="rolls it out: nothing is dropped",
        seen="the report's comparison: how much slower than the version before, with its interval",
        ends=Ends.CLEAN,
        options=("--wave-bake", "7s"),
    ),
    Fault(
        version="v2-leaks-memory",
        does="takes 64 MiB a second, into its limit",
        lab="replaces it, three times in a slot; at the fourth death goes back",
        seen="exit code 137, out of memory",
        ends=Ends.ROLLED_BACK,
        drops=True,
        options=("--bake", "7s"),
    ),
    Fault(
        version="v2-ignores-sigterm",
        does="does not end when it is told to",
        lab="drains it first, so nothing is dropped; kills it when its stop grace is over",
        seen="as it is replaced: exit code 137, and a note that names the replicas that had to be killed",
        ends=Ends.CLEAN,
    ),
    Fault(
        version="v2-exits-at-once",
        does="ends at once when it is told to, whatever is in flight",
        lab="drains it first, so nothing is in flight",
        seen="nothing: with a lab that stops before it drains, drops",
        ends=Ends.CLEAN,
    ),
    Fault(
        version="v2-closes-keepalive",
        does="closes a connection that was idle for 30 ms",
        lab="looks at a kept connection before it uses it, and repeats what may be repeated",
        seen="nothing, or repeated attempts in the proxy's ledger",
        ends=Ends.CLEAN,
    ),
    Fault(
        version="v2-loses-writes",
        does="acknowledges a third of the new parcels, and then loses them",
        lab="rolls it out, for each answer looks right; compares with the database at the end",
        seen="lost writes (D7), and wrong answers to whoever looks for one",
        ends=Ends.DROPS,
        drops=True,
    ),
    Fault(
        version="v2-writes-twice",
        does="stores a third of the new parcels twice",
        lab="rolls it out, for each answer looks right; counts what was executed at the end",
        seen="duplicates (D8)",
        ends=Ends.DROPS,
        drops=True,
    ),
    Fault(
        version="v2-hangs",
        does="is ready, and 2 s later still accepts and answers nothing more",
        lab="takes it out of rotation after 3 failed probes; not ready again within the ready timeout, goes back",
        seen="timeouts of what was in flight on it, and its last probe: no whole answer",
        ends=Ends.ROLLED_BACK,
        drops=True,
        options=("--bake", "7s", "--ready-timeout", "10s"),
    ),
    Fault(
        version="v2-stalls",
        does="stands still for 2 s, again and again",
        lab="keeps it in rotation: two failed probes are no three",
        seen="a p99 of 2 s, and no drop",
        ends=Ends.CLEAN,
    ),
    Fault(
        version="v2-checks-schema",
        does="is not ready while the schema lacks a column that it needs",
        lab="takes the schema to where both versions work first; with --schema as-is it never gets ready",
        seen="nothing; with --schema as-is: the missing columns, in its last probe",
        ends=Ends.CLEAN,
    ),
)
