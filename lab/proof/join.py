"""Puts side by side what each ledger says of one request."""

from array import array
from collections.abc import Callable, Iterable, Iterator

from msgspec import Struct

from lab.proof.columns import longer
from lab.proof.ids import NONE, Ids
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
from lab.proof.visit_columns import visits_of

UNWRITTEN_NS = 100_000_000
"""The proxy writes its lines every 20 ms. What its end kept from being written spans that, and a slow write."""


class Joined(Struct, frozen=True, kw_only=True, gc=False):
    """`attempts` None: no proxy ledger; `executions` None: the database was not read.

    unwritten: the restart of the proxy just before which a replica saw this request, while no line tells of it.
    lossy: lines are missing from the proxy's ledger, so an attempt without an end may have had one.
    """

    row: int
    ids: Ids
    offer: Offer
    end: ClientEnd | None
    attempts: tuple[Attempt, ...] | None
    rejects: tuple[Reject, ...]
    visits: tuple[Visit, ...]
    executions: tuple[Execution, ...] | None
    sql_error: SqlError | None
    unwritten: Restart | None
    lossy: bool

    @property
    def id(self) -> str:
        """Made when it is asked for: of a million requests hardly one is named."""
        return self.ids.name(self.row)


def join(
    client: ClientLedger,
    proxy: ProxyLedger | None,
    apps: Iterable[AppLog],
    executions: Iterable[Execution] | None,
) -> Iterator[Joined]:
    """All that was offered, and what has an end only: its failure would otherwise be lost with its offer."""
    logs = tuple(apps)
    ids, requests = client.ids, client.requests
    visits = visits_of(ids, [log.visits for log in logs])
    errors = {request: error for log in logs for request, error in log.errors.items()}
    executed = None if executions is None else _executions_of(ids, executions)
    attempts = None if proxy is None else proxy.attempts.on(ids)
    rejects = {} if proxy is None else proxy.rejects
    unwritten = {} if proxy is None or attempts is None else _unwritten(proxy, client, attempts, visits)
    lossy = proxy is not None and proxy.lost > 0
    for row in requests.rows():
        end = requests.end_at(row)
        name = ids.name(row) if rejects or errors else ""
        yield Joined(
            row=row,
            ids=ids,
            offer=requests.offer_at(row) or _unknown(end),
            end=end,
            attempts=None if attempts is None else attempts(row) or (),
            rejects=rejects.get(name, ()),
            visits=visits(row),
            executions=None if executed is None else executed(row),
            sql_error=errors.get(name),
            unwritten=unwritten.get(row),
            lossy=lossy,
        )


def _unknown(end: ClientEnd | None) -> Offer:
    t = 0 if end is None else end.t
    return Offer(cohort="?", method="?", path="?", due=t, t=t)


def _unwritten(
    proxy: ProxyLedger,
    client: ClientLedger,
    attempts: Callable[[int], tuple[Attempt, ...] | None],
    visits: Callable[[int], tuple[Visit, ...]],
) -> dict[int, Restart]:
    """When the proxy ended no one says; but the lines it could not write begin with the first that is missing."""
    if not proxy.restarts:
        return {}
    unknown = {
        row: seen[0].begun
        for row in client.requests.rows()
        if (seen := visits(row)) and not attempts(row) and client.ids.name(row) not in proxy.rejects
    }
    taken: dict[int, Restart] = {}
    for restart in proxy.restarts:
        within = {row: t for row, t in unknown.items() if restart.seen_until < t <= restart.t}
        first = min(within.values(), default=0)
        taken |= {row: restart for row, t in within.items() if t <= first + UNWRITTEN_NS}
    return taken


def _executions_of(ids: Ids, executions: Iterable[Execution]) -> Callable[[int], tuple[Execution, ...]]:
    places = array("i")
    known: list[Execution] = []
    more: dict[int, tuple[Execution, ...]] = {}

    def at(row: int) -> tuple[Execution, ...]:
        if row >= len(places) or places[row] == NONE:
            return ()
        return more.get(row) or (known[places[row]],)

    for execution in executions:
        row = ids.row(execution.request_id)
        while row >= len(places):
            longer((), (places,))
        if places[row] == NONE:
            places[row] = len(known)
            known.append(execution)
        else:
            more[row] = (*at(row), execution)
    return at
