"""Gathers what a run left behind, and lets the proof judge it. The run's folder holds everything that was judged."""

import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from sys import intern
from typing import Any

from lab.assembly import Lab
from lab.controller import Ended
from lab.errors import LabError
from lab.latency_log import write_latency_log
from lab.migrate import forced_reason
from lab.model import Ending
from lab.operations.archive import earlier_rolls
from lab.operations.timeline import beside, clock_error_of, deaths_of, overstayed, services_of, steps_of, swaps_of
from lab.ports import Event
from lab.proof import (
    AppLog,
    ClientLedger,
    Command,
    Execution,
    Failure,
    Ids,
    Outcome,
    Promise,
    ProxyLedger,
    RunFacts,
    Verdict,
    judge,
    read_app,
    read_client,
    read_proxy,
    verdict_to_json,
)
from lab.report import render_text


@dataclass(frozen=True, slots=True, kw_only=True)
class RunRecord:
    """What the shell knows of a run when it is over."""

    run: str
    command: Command
    from_version: str
    to_version: str
    started_ns: int
    ended_ns: int
    ended: Ended
    schema_before: str | None = None
    schema_after: str | None = None
    schema_mode: str = "auto"
    marks: tuple[str, ...] = ()
    min_requests: int = 500
    measured: bool = True
    fix: str = ""
    events: Sequence[Event] = field(default_factory=list)


def keep_log(folder: Path, name: str, log: bytes) -> None:
    """Keep a replica's log, which ends with the replica: LabError where it cannot be kept, so that neither ends."""
    path = folder / "logs" / f"{name}.log"
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(log)
    except OSError as error:
        raise LabError(
            id="log-unkept",
            what=f"the log of {name} cannot be kept: {error.strerror}",
            where=str(path),
            fix="make room on its disk; then lab resume",
        ) from error


def keep_living_logs(lab: Lab, folder: Path) -> None:
    for seen in lab.engine.replicas_now():
        keep_log(folder, seen.name, lab.host.logs(seen.container_id))


def conclude(lab: Lab, folder: Path, record: RunRecord) -> Verdict:
    """Judge the run and write its artefacts: verdict.json, report.txt, events.jsonl, latency.hlog."""
    facts = _facts(lab, folder, record)
    if record.measured:
        client, proxy, apps = read_ledgers(folder, apps=facts.ledger)
        verdict = judge(facts, client, proxy, apps)
        write_latency_log(folder / "latency.hlog", client, verdict.latency.excluded_cohorts)
    else:
        verdict = judge(facts, None, None, ())
    (folder / "events.jsonl").write_text("".join(json.dumps(asdict(e)) + "\n" for e in record.events))
    (folder / "verdict.json").write_text(json.dumps(verdict_to_json(verdict), indent=2) + "\n")
    (folder / "report.txt").write_text(render_text(verdict, details=True))
    return verdict


def read_ledgers(folder: Path, *, apps: bool = True) -> tuple[ClientLedger, ProxyLedger, list[AppLog]]:
    """All that the run's folder holds, with the same ids. `apps`: whether the app's own logs are a ledger."""
    ids = Ids()
    client = read_client(_lines(folder / "client.jsonl"), ids)
    proxy = read_proxy(_lines(folder / "proxy.jsonl"), ids)
    logs = sorted((folder / "logs").glob("*.log")) if apps else []
    return client, proxy, [read_app(path.stem, _lines(path), ids) for path in logs]


def _lines(path: Path) -> Iterator[bytes]:
    """One after another: a ledger may be larger than the memory."""
    if path.exists():
        with path.open("rb") as file:
            yield from file


def _facts(lab: Lab, folder: Path, record: RunRecord) -> RunFacts:
    around = lab.manifest.around
    asked = record.measured and around.has_ledger and around.has_database
    kept = written(lab, record.run) if asked else Written()
    versions = record.from_version, record.to_version
    ended = record.ended
    failed = ended.ending not in {Ending.DONE, Ending.INTERRUPTED}
    failure = Failure(
        what=" - ".join(part for part in (ended.reason, ended.detail) if part),
        where=ended.where,
        log=ended.log,
        fix=record.fix,
    )
    return RunFacts(
        run=record.run,
        project=lab.project.name,
        command=record.command,
        from_version=record.from_version,
        to_version=record.to_version,
        started_ns=record.started_ns,
        ended_ns=record.ended_ns,
        rollout=_rollout(record),
        reason=ended.reason,
        failure=failure if failed else None,
        schema_before=record.schema_before,
        schema_after=record.schema_after,
        schema_mode=record.schema_mode,
        marks=(*record.marks, *_forced(lab)),
        min_requests=record.min_requests,
        steps=steps_of(beside(record.events, lab.journal.events(run="", types=["schema-step"]))),
        clock_error_ns=clock_error_of(record.events),
        swaps=swaps_of(record.events),
        services=services_of(record.events),
        deaths=deaths_of(record.events),
        overstayed=overstayed(record.events),
        executions=kept.executions,
        parcels=kept.parcels,
        stored=kept.stored,
        earlier=() if record.command is Command.LOAD else earlier_rolls(folder.parent, record.run, versions),
        promises=_promises(lab),
        serves_as={name: version.serves_as for name, version in lab.manifest.versions.items()},
        ledger=around.has_ledger,
        fleet={} if around.has_ledger else {seen.name: seen.version for seen in lab.engine.replicas_now()},
    )


def _promises(lab: Lab) -> tuple[Promise, ...]:
    if lab.plan is None:
        return ()
    return tuple(
        Promise(
            phase=phase.name,
            serves=phase.serves,
            command=f"lab migrate {lab.plan.command_to(phase.name)}",
            contracts=lab.plan.contracts(phase),
        )
        for phase in lab.plan.phases
    )


def _rollout(record: RunRecord) -> Outcome:
    watched = record.command is Command.LOAD and record.ended.ending is Ending.DONE
    return Outcome.NONE if watched else Outcome(record.ended.ending.value)


def _forced(lab: Lab) -> tuple[str, ...]:
    """A schema step that was taken against the guard is no secret of that day: every later run shows it."""
    try:
        reason = forced_reason(lab.database())
    except LabError:
        return ()
    return (f"a schema step taken against the guard ({reason})",) if reason else ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Written:
    """The writes that were executed, the parcels there are, and how many of them the run made. None: not known."""

    executions: tuple[Execution, ...] | None = None
    parcels: frozenset[int] | None = None
    stored: int | None = None


def written(lab: Lab, run: str) -> Written:
    """What the database says of the run, where it can be asked."""
    its = run.replace("%", r"\%").replace("_", r"\_") + "-%"
    try:
        database = lab.database()
        rows = database.query(
            "select request_id, attempt, operation, replica, version from lab_executions where request_id like %s",
            [its],
        )
        parcels = frozenset(int(row[0]) for row in database.query("select id from parcels"))
        stored = int(database.query("select count(*) from parcels where key like %s", [its])[0][0])
    except LabError:
        return Written()
    return Written(executions=executions_of(rows), parcels=parcels, stored=stored)


def executions_of(rows: Iterable[Sequence[Any]]) -> tuple[Execution, ...]:
    """What is the same in many rows is kept once."""
    return tuple(
        Execution(request_id=i, attempt=int(a), operation=intern(o), replica=intern(r), version=intern(v))
        for i, a, o, r, v in rows
    )
