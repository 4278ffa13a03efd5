"""What keeps a run without a verdict: no data, or data with a gap, never passes."""

from collections.abc import Iterator, Mapping

from lab.proof.records import ClientLedger, Header, ProxyLedger, RunFacts
from lab.proof.result import Class, Reason

CLIENT_SCHEMA = "lab.client-ledger/1"
PROXY_SCHEMA = "lab.proxy-ledger/1"
LAG_P99_MS = 50.0
"""A load that is later than that for 1 request in 100 does not offer what it says."""
CLOCKS_NS = 100_000_000
"""So far may two clocks be apart that are taken for one."""


def doubts(
    facts: RunFacts, client: ClientLedger, proxy: ProxyLedger | None, counts: Mapping[Class, int], judged: int
) -> tuple[Reason, ...]:
    return (
        *_client(facts, client),
        *_proxy(facts, proxy),
        *_requests(counts, lossy=proxy is not None and proxy.lost > 0),
        *_writes(facts, client),
        *_too_few(facts, judged),
    )


def _client(facts: RunFacts, client: ClientLedger) -> Iterator[Reason]:
    yield from _header("client", client.header, CLIENT_SCHEMA, facts.run)
    footer = client.footer
    if footer is None:
        yield Reason(
            id="load-died",
            message="the client's ledger ends without its footer: the load did not end as planned",
            fix="lab logs load",
        )
    elif not footer.complete:
        yield Reason(
            id="load-cut-short",
            message="the load says itself that it did not finish what it offered",
            fix="lab logs load",
        )
    elif footer.t < facts.ended_ns - CLOCKS_NS:
        yield Reason(
            id="load-ended",
            message=f"the load ended {(facts.ended_ns - footer.t) / 1e9:.1f}s before the rollout did",
            fix="it is bounded by its own time: lab resume sooner, or roll again",
        )
    if footer is not None and footer.lag_p99_ms > LAG_P99_MS:
        yield Reason(
            id="schedule-lag",
            message=f"the load itself was late: 1 in 100 requests was begun {footer.lag_p99_ms:.0f} ms or more after it"
            f" was due (limit {LAG_P99_MS:g} ms), so users would have met something else",
            fix="leave the load more of this machine: a lower --rate, more --workers, or less beside it",
        )
    lost = client.requests.orphans() + max(0, (footer.offered if footer else 0) - client.requests.offered)
    if gaps := lost + client.reading.conflicts:
        yield Reason(
            id="client-ledger-gap",
            message=f"lines of the client's ledger are lost or contradict each other ({gaps})",
            fix="is the disk full? then run it again",
        )


def _proxy(facts: RunFacts, proxy: ProxyLedger | None) -> Iterator[Reason]:
    if proxy is None:
        yield Reason(
            id="proxy-ledger-missing",
            message="there is no ledger of the proxy, so retries and detours are not seen",
            fix="lab logs proxy",
        )
        return
    yield from _header("proxy", proxy.header, PROXY_SCHEMA, facts.run)
    if proxy.footer_attempts is None:
        yield Reason(
            id="proxy-ledger-cut",
            message="the proxy's ledger ends without its footer",
            fix="lab logs proxy",
        )
    if proxy.lost:
        yield Reason(
            id="proxy-ledger-lost",
            message=f"lines of the proxy's ledger are missing, the disk was too slow for them ({proxy.lost})",
            fix="run it again on a disk that is less busy, or offer less: --rate",
        )
    elif proxy.footer_attempts is not None and (lost := proxy.footer_attempts - proxy.begins) > 0:
        yield Reason(
            id="proxy-ledger-gap",
            message=f"the proxy's ledger lost attempts ({lost} of {proxy.footer_attempts})",
            fix="is the disk full? then run it again",
        )


def _header(whose: str, header: Header | None, schema: str, run: str) -> Iterator[Reason]:
    if header is None:
        yield Reason(
            id=f"{whose}-ledger-headless",
            message=f"the {whose}'s ledger has no header: its first lines are lost",
            fix="run it again",
        )
    elif header.run != run:
        yield Reason(
            id=f"{whose}-ledger-foreign",
            message=f"the {whose}'s ledger is of run {header.run}, not of {run}",
            fix="run it again",
        )
    elif header.schema != schema:
        yield Reason(
            id=f"{whose}-ledger-version",
            message=f"the {whose}'s ledger is written as {header.schema}; this lab reads {schema}",
            fix="build the images anew from this checkout",
        )


def _requests(counts: Mapping[Class, int], *, lossy: bool) -> Iterator[Reason]:
    if not_sent := counts.get(Class.NOT_SENT, 0):
        yield Reason(
            id="not-sent",
            message=f"the load could not send all it had offered in time ({not_sent} not sent)",
            fix="offer less: --rate",
        )
    if still_open := counts.get(Class.OPEN, 0):
        yield Reason(
            id="open-requests",
            message=f"requests were offered and never ended in the client's ledger ({still_open} open)",
            fix="lab logs load",
        )
    # a ledger that lacks lines, and says so, lacks attempts: that is told already
    if (bypassed := counts.get(Class.BYPASSED, 0)) and not lossy:
        yield Reason(
            id="bypassed",
            message=f"requests were answered that the proxy does not know of ({bypassed}): they went around it,"
            " or its ledger lost lines",
            fix="point the load at the proxy",
        )
    if misrouted := counts.get(Class.MISROUTED, 0):
        yield Reason(
            id="misrouted",
            message=f"requests were answered by another replica than the proxy says it gave them to ({misrouted}),"
            " so nobody knows what a swap put at risk",
            fix="do two replicas share an address? lab status, then lab down and lab up",
        )


def _writes(facts: RunFacts, client: ClientLedger) -> Iterator[Reason]:
    read = facts.executions is not None and facts.parcels is not None
    if facts.ledger and not read and any(offer.is_write for offer in client.offers.values()):
        yield Reason(
            id="writes-unchecked",
            message="the database was not read at the end, so no acknowledged write is proved",
            fix="lab logs db",
        )


def _too_few(facts: RunFacts, judged: int) -> Iterator[Reason]:
    if judged < facts.min_requests:
        yield Reason(
            id="too-few-requests",
            message=f"too few requests to tell: {judged} of the {facts.min_requests} wanted",
            fix="offer more: --rate",
        )
