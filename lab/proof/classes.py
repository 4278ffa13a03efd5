"""The class of one request: the table that reconciles the ledgers, as code."""

from collections.abc import Mapping

from lab.proof.join import Joined
from lab.proof.records import Attempt, AttemptResult, ClientEnd, ClientOutcome, Offer, SqlError
from lab.proof.result import Class, MadeBy

FAILURES: Mapping[ClientOutcome, Class] = {
    ClientOutcome.REFUSED: Class.REFUSED,
    ClientOutcome.RESET: Class.RESET,
    ClientOutcome.TIMEOUT: Class.TIMEOUT,
    ClientOutcome.SERVER_ERROR: Class.SERVER_ERROR,
    ClientOutcome.TRUNCATED: Class.TRUNCATED,
    ClientOutcome.CONTRACT: Class.CONTRACT,
    ClientOutcome.NOT_SENT: Class.NOT_SENT,
    ClientOutcome.CLIENT_ABORT: Class.CLIENT_ABORT,
}

LATE = 0.1
"""Of its time: whoever was given less than the rest may have been in time, had it been asked in time."""

REFUSALS = ("22", "23", "42", "44")
"""Classes of SQLSTATEs by which a statement is refused for what it says: a value that its type does not take, a
constraint that it breaks, names that are not there. What refuses it for the server's state is somebody else's fault."""
STALE_PLAN = "0A000"
"""A plan that was prepared before the schema moved."""


def classify(joined: Joined, parcels: frozenset[int] | None) -> Class:
    """The user's side decides; the other ledgers can only take an "ok" away."""
    if joined.end is None:
        return Class.OPEN
    if joined.end.outcome in FAILURES:
        late = joined.end.outcome is ClientOutcome.TIMEOUT and _sent_late(joined.offer, joined.end)
        return Class.NOT_SENT if late else FAILURES[joined.end.outcome]
    if joined.offer.is_write:
        lost_or_twice = _write(joined, joined.end.ack, parcels)
        if lost_or_twice is not None:
            return lost_or_twice
    if _plain(joined):
        return Class.GOOD
    cut = joined.end.outcome is ClientOutcome.CUT
    if not joined.attempts:
        whole = Class.CUT if cut else Class.GOOD
        return whole if joined.attempts is None or _only_unwritten(joined) else Class.BYPASSED
    if cut or joined.attempts[-1].result is AttemptResult.CUT:
        return _cut(joined.attempts[-1])
    return _served(joined)


def is_drop(cls: Class, offer: Offer, *, strict: bool) -> bool:
    """A masked write may have happened twice, so it counts; a masked read only in strict mode."""
    if cls is Class.MASKED:
        return strict or offer.is_write
    return cls in DROPPED


DROPPED = frozenset(FAILURES.values()) - {Class.NOT_SENT, Class.CLIENT_ABORT} | {
    Class.LOST_WRITE,
    Class.DUPLICATE,
}


def made_by(joined: Joined, cls: Class) -> MadeBy | None:
    """Who wrote a 5xx: only the proxy names a reason, and it also stands in its own ledger."""
    if cls is not Class.SERVER_ERROR or joined.end is None:
        return None
    if joined.end.reason is not None or joined.rejects:
        return MadeBy.PROXY
    last = joined.attempts[-1].result if joined.attempts else None
    if last not in {AttemptResult.OK, None} and joined.end.replica is None:
        return MadeBy.PROXY
    return MadeBy.APP


def schema_error(joined: Joined) -> SqlError | None:
    """The database error behind a 5xx, if it says that code and schema do not fit."""
    error = joined.sql_error or _told_to_client(joined)
    return error if error is not None and refuses(error.code) else None


def refuses(code: str) -> bool:
    """A statement was refused for what it says."""
    return len(code) == len(STALE_PLAN) and (code.startswith(REFUSALS) or code == STALE_PLAN)


def _told_to_client(joined: Joined) -> SqlError | None:
    if joined.end is None or joined.end.error is None:
        return None
    code, _, message = joined.end.error.partition(" ")
    return SqlError(code=code, message=message)


def _sent_late(offer: Offer, end: ClientEnd) -> bool:
    """The time from the due time on was over, and the load itself had wasted a tenth of it before it sent."""
    return offer.t - offer.due > (end.t - offer.due) * LATE


def _write(joined: Joined, ack: int | None, parcels: frozenset[int] | None) -> Class | None:
    if ack is not None and parcels is not None and ack not in parcels:
        return Class.LOST_WRITE
    if joined.executions is None:
        return None
    if not joined.executions:
        # with no attempt either it did not come by the proxy: that is for BYPASSED to say
        return Class.LOST_WRITE if joined.attempts else None
    return Class.DUPLICATE if len(joined.executions) > 1 else None


def _served(joined: Joined) -> Class:
    """Answered and whole: but how often was it sent, and by whom was it answered."""
    if _masked(joined):
        return Class.MASKED
    if not _all_written(joined):
        return Class.BYPASSED
    return Class.MISROUTED if _elsewhere(joined) else Class.GOOD


def _plain(joined: Joined) -> bool:
    """Nearly all are so: asked once, begun once, answered. What follows would find the same, at thrice the price."""
    if joined.attempts is None or len(joined.attempts) != 1 or len(joined.visits) != 1 or joined.rejects:
        return False
    attempt, visit = joined.attempts[0], joined.visits[0]
    same = visit.attempt == attempt.number and visit.replica == attempt.replica
    ok = joined.end is not None and joined.end.outcome is ClientOutcome.OK
    its = joined.end is not None and joined.end.replica in {None, attempt.replica}
    return ok and same and its and attempt.result is AttemptResult.OK


def _elsewhere(joined: Joined) -> bool:
    """Answered or begun by another replica than the proxy gave it to: its word on who has what is worth nothing."""
    if not joined.attempts or joined.end is None or joined.lossy:
        return False
    given = {attempt.number: attempt.replica for attempt in joined.attempts}
    answered_by = joined.end.replica
    return (answered_by is not None and answered_by != joined.attempts[-1].replica) or any(
        given.get(visit.attempt, visit.replica) != visit.replica for visit in joined.visits
    )


def _cut(last: Attempt) -> Class:
    """Only what the proxy ended at a drain deadline is cut; None: its ledger does not tell, and the client does."""
    return Class.CUT if last.result in {AttemptResult.CUT, None} else Class.TRUNCATED


def _masked(joined: Joined) -> bool:
    """More than one attempt reached a replica, or was answered: the client's own library may retry too."""
    if joined.rejects or len(joined.visits) > 1:
        return True
    earlier = (joined.attempts or ())[:-1]
    return any(attempt.may_have_sent for attempt in earlier if attempt.result is not None or not joined.lossy)


def _only_unwritten(joined: Joined) -> bool:
    """A restart took its lines, and a first attempt is all that can have stood in them."""
    return joined.unwritten is not None and [visit.attempt for visit in joined.visits] == [1]


def _all_written(joined: Joined) -> bool:
    """A visit by an attempt of which there is no line: what became of the attempt before it is not known either."""
    written = {attempt.number for attempt in joined.attempts or ()}
    return all(visit.attempt in written for visit in joined.visits)
