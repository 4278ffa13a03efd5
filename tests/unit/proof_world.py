"""Tells what became of requests, and writes the ledgers that the parts would have written about it."""

import json
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from typing import Any

from lab.proof import (
    AppLog,
    Command,
    Execution,
    Outcome,
    RunFacts,
    Step,
    Verdict,
    judge,
    read_app,
    read_client,
    read_proxy,
)

RUN = "r1"
SECOND = 1_000_000_000
START = 100 * SECOND
VERSIONS = {"app-1.1": "v1", "app-2.1": "v1", "app-1.2": "v2", "app-2.2": "v2"}


@dataclass(frozen=True, kw_only=True)
class Try:
    """One attempt of the proxy: how it ended, and what the replica did meanwhile."""

    replica: str = "app-1.1"
    result: str | None = "ok"
    sent: bool = True
    begun: bool = True
    answered: bool = True
    executed: int = 0
    number: int | None = None


@dataclass(frozen=True, kw_only=True)
class Story:
    outcome: str | None = "ok"
    method: str = "GET"
    cohort: str = "read"
    tries: tuple[Try, ...] = ()
    rejected: str | None = None
    status: int | None = None
    version: str | None = None
    replica: str | None = None
    error: str | None = None
    detail: str | None = None
    ack: int | None = None
    parcel_kept: bool = True
    took: int = SECOND // 100
    sent_late: int = 0
    later: int = 0
    reject_status: int = 503
    writer: str | None = None
    fault: str | None = None
    field: str | None = None
    statement: str | None = None


@dataclass(kw_only=True)
class World:
    client: list[dict[str, Any]] = field(default_factory=list)
    proxy: list[dict[str, Any]] = field(default_factory=list)
    apps: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    executions: list[Execution] = field(default_factory=list)
    parcels: set[int] = field(default_factory=set)
    database_read: bool = True
    facts: RunFacts

    def verdict(self, *, strict: bool = False) -> Verdict:
        return self.judge_bytes(ledger(self.client), ledger(self.proxy), self.app_bytes(), strict=strict)

    def kill_proxy(self, *, kept: int, lost: int = 0, away: int = 1000) -> int:
        """After so many lines it dies with the next ones unwritten; say when it is back."""
        gone = self.proxy[: kept + lost]
        back = max(row["t"] for row in gone) + away
        self.proxy = [*gone[:kept], {"e": "restarted", "t": back}, *self.proxy[kept + lost :]]
        self.proxy[-1]["attempts"] = sum(1 for row in self.proxy if row["e"] == "begin")
        return back

    def app_bytes(self) -> dict[str, list[bytes]]:
        return {replica: ledger(rows) for replica, rows in self.apps.items()}

    def judge_bytes(
        self,
        client: Iterable[bytes],
        proxy: Iterable[bytes],
        apps: dict[str, list[bytes]],
        *,
        strict: bool = False,
    ) -> Verdict:
        logs: list[AppLog] = [read_app(replica, lines) for replica, lines in apps.items()]
        facts = self.facts
        if self.database_read:
            facts = replace(facts, executions=tuple(self.executions), parcels=frozenset(self.parcels))
        return judge(facts, read_client(client), read_proxy(proxy), logs, strict=strict)


def ledger(rows: Iterable[dict[str, Any]]) -> list[bytes]:
    return [json.dumps(row).encode() + b"\n" for row in rows]


def facts(**changes: Any) -> RunFacts:
    base = RunFacts(
        run=RUN,
        project="default",
        command=Command.ROLL,
        from_version="v1",
        to_version="v2",
        started_ns=START,
        ended_ns=START + 10 * SECOND,
        rollout=Outcome.DONE,
        schema_before="expanded",
        schema_after="expanded",
        min_requests=1,
        steps=(
            Step(name="retire", replica="app-1.1", wave=1, start_ns=START + SECOND, end_ns=START + 2 * SECOND),
            Step(name="stop", replica="app-1.1", wave=1, start_ns=START + 2 * SECOND, end_ns=START + 3 * SECOND),
        ),
    )
    return replace(base, **changes)


def tell(*stories: Story, at: int = START + 2 * SECOND + SECOND // 2, **changes: Any) -> World:
    """Each story begins 1 ms after the one before."""
    world = World(facts=facts(**changes))
    for replica, version in VERSIONS.items():
        world.apps[replica] = [{"e": "start", "t": at - 1, "version": version, "replica": replica}]
    world.client.append(
        {"e": "header", "schema": "lab.client-ledger/1", "run": RUN, "rate": 100, "seed": 1, "t": at - 1}
    )
    world.proxy.append({"e": "header", "schema": "lab.proxy-ledger/1", "run": RUN, "t": at - 1})
    for number, story in enumerate(stories):
        _tell(world, f"{RUN}-{story.cohort}-{number}", story, at + number * 1_000_000 + story.later)
    offers = [row for row in world.client if row["e"] == "offer"]
    ends = [row for row in world.client if row["e"] == "end"]
    not_sent = sum(1 for row in ends if row["outcome"] == "not_sent")
    end = at + len(stories) * SECOND
    world.client.append(
        {
            "e": "footer",
            "t": max(end, world.facts.ended_ns),
            "offered": len(offers),
            "finished": len(ends) - not_sent,
            "not_sent": not_sent,
            "lag_p99_ms": 1.0,
            "complete": True,
        }
    )
    begins = sum(1 for row in world.proxy if row["e"] == "begin")
    world.proxy.append({"e": "footer", "t": end, "attempts": begins})
    return world


def _tell(world: World, request: str, story: Story, t: int) -> None:
    path = "/parcels" if story.method in {"GET", "POST"} else "/parcels/7"
    offer = {"e": "offer", "id": request, "cohort": story.cohort, "method": story.method, "path": path}
    world.client.append({**offer, "due": t, "t": t + story.sent_late})
    for place, attempt in enumerate(story.tries, start=1):
        _attempt(world, request, story, attempt, place=place, t=t + place * 1000)
    if story.rejected is not None:
        reject = {
            "e": "reject",
            "id": request,
            "reason": story.rejected,
            "status": story.reject_status,
            "t": t + 90_000,
        }
        world.proxy.append(reject)
    if story.ack is not None and story.parcel_kept:
        world.parcels.add(story.ack)
    if story.outcome is not None:
        world.client.append(_end(request, story, t + story.took))


def _end(request: str, story: Story, t: int) -> dict[str, Any]:
    last = story.tries[-1] if story.tries else None
    answering = last.replica if last is not None and last.answered and story.outcome == "ok" else None
    replica = story.replica or answering
    row = {
        "e": "end",
        "id": request,
        "t": t,
        "outcome": story.outcome,
        "status": story.status or (200 if story.outcome == "ok" else None),
        "version": story.version or VERSIONS.get(replica or ""),
        "replica": replica,
        "first_byte": None,
        "bytes": 0,
        "reason": None if story.outcome == "timeout" else story.rejected,
        "error": story.error,
    }
    if story.detail is not None:
        row["detail"] = story.detail
    if story.ack is not None:
        row["ack"] = story.ack
    about = {"writer": story.writer, "fault": story.fault, "field": story.field}
    return row | {key: value for key, value in about.items() if value is not None}


def _attempt(world: World, request: str, story: Story, attempt: Try, *, place: int, t: int) -> None:
    number = attempt.number or place
    name = {"id": request, "attempt": number}
    where = {"replica": attempt.replica, "epoch": 1, "method": story.method, "path": "/parcels", "reused": True}
    world.proxy.append({"e": "begin", **name, **where, "t": t})
    log = world.apps[attempt.replica]
    if attempt.begun:
        log.append({"e": "begin", **name, "method": story.method, "path": "/parcels", "t": t + 10})
        if story.error is not None:
            code, _, message = story.error.partition(" ")
            told = {"statement": story.statement} if story.statement else {}
            log.append({"e": "error", "id": request, "code": code, "message": message, **told, "t": t + 15})
    for _ in range(attempt.executed):
        world.executions.append(
            Execution(
                request_id=request,
                attempt=number,
                operation="create",
                replica=attempt.replica,
                version=VERSIONS[attempt.replica],
            )
        )
    if attempt.begun and attempt.answered:
        log.append({"e": "end", **name, "status": 200, "t": t + 20})
    if attempt.result is not None:
        up = 100 if attempt.sent else 0
        end = {"e": "end", **name, "result": attempt.result, "status": None, "t": t + 30}
        world.proxy.append({**end, "bytes_up": up, "bytes_down": 0})


def good(**changes: Any) -> Story:
    return Story(tries=(Try(),), **changes)


def good_write(ack: int = 1, **changes: Any) -> Story:
    return Story(method="POST", cohort="write", tries=(Try(executed=1),), ack=ack, **changes)
