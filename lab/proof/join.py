"""Puts side by side what each ledger says of one request."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from lab.proof.records import (
    AppLog,
    Attempt,
    ClientEnd,
    ClientLedger,
    Execution,
    Offer,
    ProxyLedger,
    Reject,
    Restart,
    SqlError,
    Visit,
)

UNWRITTEN_NS = 100_000_000
"""The proxy writes its lines every 20 ms. What its end kept from being written spans that, and a slow write."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Joined:
    """`attempts` None: no proxy ledger; `executions` None: the database was not read.

    unwritten: the restart of the proxy just before which a replica saw this request, while no line tells of it.
    lossy: lines are missing from the proxy's ledger, so an attempt without an end may have had one.
    """

    id: str
    offer: Offer
    end: ClientEnd | None
    attempts: tuple[Attempt, ...] | None
    rejects: tuple[Reject, ...]
    visits: tuple[Visit, ...]
    executions: tuple[Execution, ...] | None
    sql_error: SqlError | None
    unwritten: Restart | None
    lossy: bool


def join(
    client: ClientLedger,
    proxy: ProxyLedger | None,
    apps: Iterable[AppLog],
    executions: Iterable[Execution] | None,
) -> Iterator[Joined]:
    logs = tuple(apps)
    visits = _merged(tuple(log.visits for log in logs))
    errors = {request: error for log in logs for request, error in log.errors.items()}
    executed = None if executions is None else _by_request(executions)
    attempts = None if proxy is None else proxy.attempts
    rejects = {} if proxy is None else proxy.rejects
    unwritten = {} if proxy is None else _unwritten(proxy, client.offers, visits)
    for request, offer in _requests(client):
        yield Joined(
            id=request,
            offer=offer,
            end=client.ends.get(request),
            attempts=None if attempts is None else attempts.get(request, ()),
            rejects=rejects.get(request, ()),
            visits=visits.get(request, ()),
            executions=None if executed is None else executed.get(request, ()),
            sql_error=errors.get(request),
            unwritten=unwritten.get(request),
            lossy=proxy is not None and proxy.lost > 0,
        )


def orphans(client: ClientLedger) -> int:
    return sum(1 for request in client.ends if request not in client.offers)


def _requests(client: ClientLedger) -> Iterator[tuple[str, Offer]]:
    """All that was offered, and what has an end only: its failure would otherwise be lost with its offer."""
    yield from client.offers.items()
    for request, end in client.ends.items():
        if request not in client.offers:
            yield request, Offer(cohort="?", method="?", path="?", due=end.t, t=end.t)


def _unwritten(
    proxy: ProxyLedger, requests: Iterable[str], visits: Mapping[str, tuple[Visit, ...]]
) -> dict[str, Restart]:
    """When the proxy ended no one says; but the lines it could not write begin with the first that is missing."""
    if not proxy.restarts:
        return {}
    known = proxy.attempts.keys() | proxy.rejects.keys()
    unknown = {request: visits[request][0].begun for request in requests if request in visits and request not in known}
    taken: dict[str, Restart] = {}
    for restart in proxy.restarts:
        within = {request: t for request, t in unknown.items() if restart.seen_until < t <= restart.t}
        first = min(within.values(), default=0)
        taken |= {request: restart for request, t in within.items() if t <= first + UNWRITTEN_NS}
    return taken


def _merged(logs: tuple[Mapping[str, tuple[Visit, ...]], ...]) -> dict[str, tuple[Visit, ...]]:
    merged: dict[str, tuple[Visit, ...]] = {}
    for log in logs:
        for request, visits in log.items():
            known = merged.get(request)
            merged[request] = visits if known is None else known + visits
    return merged


def _by_request(executions: Iterable[Execution]) -> dict[str, tuple[Execution, ...]]:
    found: dict[str, tuple[Execution, ...]] = {}
    for execution in executions:
        found[execution.request_id] = (*found.get(execution.request_id, ()), execution)
    return found
