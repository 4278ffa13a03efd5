"""What a reader should know and what alone decides nothing."""

from collections.abc import Iterable, Iterator, Mapping

from lab.proof.records import ClientLedger, RunFacts
from lab.proof.result import Class, Drop, ProxyRestart


def notes(
    facts: RunFacts,
    client: ClientLedger | None,
    counts: Mapping[Class, int],
    drops: tuple[Drop, ...],
    unlogged: Iterable[str],
    *,
    restarts: Iterable[ProxyRestart],
) -> tuple[str, ...]:
    return (
        *_marks(facts),
        *_requests(counts, drops),
        *(_restart(restart) for restart in restarts),
        *_ledgers(client, sorted(unlogged) if facts.ledger else []),
        *_unproved(facts, client),
    )


def _marks(facts: RunFacts) -> Iterator[str]:
    if facts.marks:
        yield f"run with {', '.join(facts.marks)}"
    if facts.overstayed:
        yield f"killed when their stop grace was over, as SIGTERM had not ended them: {', '.join(facts.overstayed)}"


def _requests(counts: Mapping[Class, int], drops: tuple[Drop, ...]) -> Iterator[str]:
    told = counts.get(Class.MASKED, 0) - sum(1 for drop in drops if drop.cls is Class.MASKED)
    if told:
        yield f"reads answered only because they were sent again (masked, not counted as dropped): {told}"
    if aborts := counts.get(Class.CLIENT_ABORT, 0):
        yield f"requests given up by the load itself, not counted: {aborts}"
    if cut := counts.get(Class.CUT, 0):
        yield f"streams and WebSockets ended in order at a drain deadline, and there again within 1s (cut): {cut}"
    failed = [drop for drop in drops if drop.cls not in {Class.LOST_WRITE, Class.DUPLICATE, Class.MASKED}]
    if happened := sum(1 for drop in failed if drop.executions):
        yield f"failed writes that a replica had begun to carry out, which their sender cannot know: {happened}"


def _restart(restart: ProxyRestart) -> str:
    told = f"the proxy restarted, and was back at {restart.when_s:.1f}s"
    told += f"; dropped requests in flight at it or refused around it: {restart.dropped}"
    if restart.unwritten:
        told += f"; good answers just before it whose lines it took along: {restart.unwritten}"
    return told


def _unproved(facts: RunFacts, client: ClientLedger | None) -> Iterator[str]:
    """What only the sample app's own ledger could show."""
    if facts.ledger or client is None:
        return
    yield (
        "the app keeps no ledger: each request is known to have got one whole answer in time,"
        " not that a write took effect once, nor that it was answered in its version's shape"
    )
    yield "the app does not say who answers: replicas were taken as ready, and answers told apart, by their address"


def _ledgers(client: ClientLedger | None, unlogged: list[str]) -> Iterator[str]:
    if client is None:
        return
    if client.reading.skipped:
        yield f"lines of the client's ledger that could not be read: {client.reading.skipped}"
    if unlogged:
        yield f"no log of {', '.join(unlogged)}: what they saw is not known"
