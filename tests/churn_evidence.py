"""PURE. What a churn left behind, and every way in which it is not what it should be."""

from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

# what the client saw, and what the proxy's ledger has to say of the same request
AGREES = {"ok": "ok", "cut": "cut", "left": "client_gone"}
MAY_BE_CUT = {"stream", "endless stream", "websocket", "long websocket"}
_NOT_SENT, _MAY_HAVE_BEEN = "connect_failed", "closed_before_response"


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What became of one request, as its client saw it: `ok`, `cut`, `left` (by the client itself) or `lost`."""

    id: str
    kind: str
    method: str
    end: str
    why: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Execution:
    """That a replica took up a request; `late`: after it was told to end, so after it was removable."""

    id: str
    replica: str
    method: str
    late: bool


@dataclass(slots=True, kw_only=True)
class Evidence:
    cycles: int = 0
    seconds: float = 0.0
    in_flight_at_retirements: list[int] = field(default_factory=list)
    aborted: int = 0
    outcomes: list[Outcome] = field(default_factory=list)
    executions: list[Execution] = field(default_factory=list)
    ledger: list[dict[str, Any]] = field(default_factory=list)
    unbalanced: list[str] = field(default_factory=list)
    accepted: float = 0
    retries: float = 0

    def count(self, end: str) -> int:
        return sum(outcome.end == end for outcome in self.outcomes)

    @property
    def rate(self) -> float:
        return len(self.outcomes) / self.seconds

    def summary(self) -> str:
        busy = sum(each > 0 for each in self.in_flight_at_retirements)
        return (
            f"{self.cycles} cycles in {self.seconds:.1f} s, {busy} with something in flight; "
            f"{len(self.outcomes)} requests ({self.rate:.0f}/s): {self.count('lost')} lost, {self.count('cut')} cut, "
            f"{self.retries:.0f} tried again"
        )


def breaches(found: Evidence) -> list[str]:
    attempts = _attempts(found.ledger)
    executed: dict[str, list[Execution]] = defaultdict(list)
    for execution in found.executions:
        executed[execution.id].append(execution)
    return [
        *_of_the_run(found, attempts),
        *(f"{each.id}: {each.replica} took it up after it was told to end" for each in found.executions if each.late),
        *(f"{id} was executed and never offered" for id in executed.keys() - {each.id for each in found.outcomes}),
        *(
            breach
            for outcome in found.outcomes
            for breach in _of_one(outcome, attempts.get(outcome.id, []), executed[outcome.id])
        ),
    ]


def _of_the_run(found: Evidence, attempts: dict[str, list[str]]) -> Iterator[str]:
    yield from found.unbalanced
    if not any(found.in_flight_at_retirements):
        yield "nothing was in flight at any retirement: this churn shows nothing"
    if found.aborted:
        yield f"{found.aborted} requests were aborted at a drain's deadline"
    if found.accepted != len(found.outcomes):
        yield f"{len(found.outcomes)} requests were offered, {found.accepted:.0f} accepted"
    again = sum(len(results) - 1 for results in attempts.values())
    if found.retries != again:
        yield f"{found.retries:.0f} retries in the metrics, {again} in the ledger"
    strange = Counter(line["e"] for line in found.ledger) - Counter(("header", "footer"))
    for kind in strange.keys() - {"begin", "end"}:
        yield f"{strange[kind]} lines '{kind}' in the ledger"


def _of_one(outcome: Outcome, results: list[str], executions: list[Execution]) -> Iterator[str]:
    what = f"{outcome.id} ({outcome.kind} {outcome.method})"
    if outcome.end == "lost":
        yield f"{what} was lost: {outcome.why}; attempts {results}, executed {len(executions)} times"
        return
    if outcome.end == "cut" and outcome.kind not in MAY_BE_CUT:
        yield f"{what} was cut"
    if not results or results[-1] not in _same(outcome):
        yield f"{what} was {outcome.end} for its client, {results} in the ledger"
    # who left may have done so before the request was taken up
    sure, possible = int(outcome.end != "left"), 1 + results[:-1].count(_MAY_HAVE_BEEN)
    if not sure <= len(executions) <= possible:
        yield f"{what} was executed {len(executions)} times ({[each.replica for each in executions]}), {results}"
    if outcome.method == "POST" and len(executions) > 1:
        yield f"{what} took effect twice"
    for result in results[:-1]:
        if result not in {_NOT_SENT, _MAY_HAVE_BEEN}:
            yield f"{what} was tried again after {result}"


def _same(outcome: Outcome) -> set[str]:
    """Return what the ledger may say. A stream that was cut after its last event was whole for its client."""
    return {AGREES[outcome.end], "cut"} if outcome.kind == "stream" else {AGREES[outcome.end]}


def _attempts(ledger: list[dict[str, Any]]) -> dict[str, list[str]]:
    """Return each request's results, in the order of its attempts; `open` where an attempt has no end."""
    results: dict[str, dict[int, str]] = defaultdict(dict)
    for line in ledger:
        if line["e"] == "begin":
            results[line["id"]][line["attempt"]] = "open"
        elif line["e"] == "end":
            results[line["id"]][line["attempt"]] = line["result"]
    return {id: [each[number] for number in sorted(each)] for id, each in results.items()}
