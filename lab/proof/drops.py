"""A dropped request with all that is known of it: when, where, in which step, and what the others saw."""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from lab.proof.classes import made_by
from lab.proof.join import Joined
from lab.proof.reasons import LEFT, story
from lab.proof.records import AppLog, Attempt, AttemptResult, ClientEnd, Restart, RunFacts, Visit
from lab.proof.result import AppSaw, Class, Drop, Loss, Tried
from lab.proof.steps import step_at, under_way


@dataclass(frozen=True, slots=True, kw_only=True)
class Fleet:
    """What is known of the replicas: who has a log, who is gone, and who was which version."""

    logged: frozenset[str]
    gone: frozenset[str]
    versions: Mapping[str, str]


def fleet_of(facts: RunFacts, apps: tuple[AppLog, ...]) -> Fleet:
    told = {log.replica: log.version for log in apps if log.version is not None}
    return Fleet(
        logged=frozenset(log.replica for log in apps),
        gone=frozenset(
            {log.replica for log in apps if log.exited}
            | {swap.replica for swap in facts.swaps if swap.exit_code is not None}
            | {death.replica for death in facts.deaths}
        ),
        versions={service.replica: facts.to_version for service in facts.services}
        | dict(facts.fleet)
        | {swap.replica: swap.version for swap in facts.swaps}
        | told,
    )


def drop_of(
    joined: Joined, end: ClientEnd, cls: Class, facts: RunFacts, fleet: Fleet, *, restart: Restart | None
) -> Drop:
    replica, offer = replica_of(joined), joined.offer

    def at(t: int) -> float:
        return round((t - facts.started_ns) / 1e9, 3)

    return Drop(
        id=joined.id,
        cls=cls,
        cohort=offer.cohort,
        method=offer.method,
        path=offer.path,
        when_s=at(end.t),
        replica=replica,
        version=version_of(joined, fleet),
        step=step_at(facts, end.t, replica),
        detail="; ".join([*_away(restart, facts), *_details(joined, end, cls)]),
        app_saw=app_saw(joined, fleet),
        made_by=made_by(joined, cls),
        status=end.status,
        executions=None if joined.executions is None else len(joined.executions),
        reason=end.reason,
        due_s=at(offer.due),
        sent_s=at(offer.t),
        attempts=tuple(_tried(attempt, at(attempt.begun), fleet) for attempt in joined.attempts or ()),
        doing=under_way(facts, _when_it_went_wrong(joined, end, cls)),
    )


def _when_it_went_wrong(joined: Joined, end: ClientEnd, cls: Class) -> int:
    """A timeout is noticed long after what made it."""
    if cls is not Class.TIMEOUT:
        return end.t
    return joined.attempts[-1].begun if joined.attempts else joined.offer.t


def _tried(attempt: Attempt, begun_s: float, fleet: Fleet) -> Tried:
    generation = attempt.replica.rpartition(".")[2]
    return Tried(
        number=attempt.number,
        replica=attempt.replica,
        generation=int(generation) if generation.isdecimal() else None,
        version=fleet.versions.get(attempt.replica),
        begun_s=begun_s,
        result=attempt.result,
    )


def losses(facts: RunFacts, drops: Iterable[Drop], fleet: Fleet) -> tuple[Loss, ...]:
    on: dict[str | None, Counter[Class]] = {}
    for drop in drops:
        on.setdefault(drop.replica, Counter())[drop.cls] += 1
    return tuple(
        Loss(
            replica=death.replica,
            version=fleet.versions.get(death.replica),
            when_s=round((death.t_ns - facts.started_ns) / 1e9, 3),
            exit_code=death.exit_code,
            oom=death.oom,
            expected=death.expected,
            dropped_by_class=dict(sorted(on.get(death.replica, Counter()).items())),
        )
        for death in facts.deaths
    )


def replica_of(joined: Joined) -> str | None:
    if joined.end is not None and joined.end.replica is not None:
        return joined.end.replica
    return joined.attempts[-1].replica if joined.attempts else None


def version_of(joined: Joined, fleet: Fleet) -> str | None:
    if joined.end is not None and joined.end.version is not None:
        return joined.end.version
    return fleet.versions.get(replica_of(joined) or "")


def app_saw(joined: Joined, fleet: Fleet) -> AppSaw:
    if any(visit.ended is not None for visit in joined.visits):
        return AppSaw.ANSWERED
    if joined.visits:
        return AppSaw.UNANSWERED
    asked = {attempt.replica for attempt in joined.attempts or ()}
    return AppSaw.NOT_BEGUN if asked <= fleet.logged else AppSaw.NO_LOG


def left_unanswered(joined: Joined, fleet: Fleet) -> bool:
    """The app began it and can no longer answer it: a replica that still runs may yet do so."""
    answered = any(visit.ended is not None for visit in joined.visits)
    return not answered and any(_gone(visit, fleet) for visit in joined.visits)


def _gone(visit: Visit, fleet: Fleet) -> bool:
    return visit.replica in fleet.gone


def _details(joined: Joined, end: ClientEnd, cls: Class) -> Iterator[str]:
    if cls is Class.LOST_WRITE:
        yield from _lost(joined, end)
    elif cls is Class.DUPLICATE:
        where = ", ".join(f"{row.replica} attempt {row.attempt}" for row in joined.executions or ())
        yield f"executed {len(joined.executions or ())} times: {where}"
    elif cls is Class.MASKED:
        yield f"sent again before it was answered: {len(joined.attempts or ())} attempts"
    else:
        told = end.error or story(end.reason) or end.detail or end.reason
        if told:
            yield told
    if any(reject.reason == LEFT for reject in joined.rejects):
        yield "proxy: held until its client left, no replica became ready"
    for attempt in joined.attempts or ():
        if attempt.result not in {AttemptResult.OK, None}:
            yield f"proxy: {attempt.result} ({attempt.replica})"


def _away(restart: Restart | None, facts: RunFacts) -> Iterator[str]:
    if restart is not None:
        yield f"the proxy restarted, and was back at {(restart.t - facts.started_ns) / 1e9:.1f}s"


def _lost(joined: Joined, end: ClientEnd) -> Iterator[str]:
    if joined.executions == ():
        yield "acknowledged, and no replica executed it"
    else:
        yield f"acknowledged as parcel {end.ack}, which the database does not hold at the end"
