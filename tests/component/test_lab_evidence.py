"""What a run leaves behind, judged: real load, proxy, app and database; the writes are lost or doubled for real."""

import asyncio
import json
import shutil
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from lab.controller import Ended
from lab.database import Database
from lab.gateway import ProxyGateway
from lab.model import Container, Ending
from lab.operations.evidence import RunRecord, conclude, keep_log
from lab.ports import Readiness, Seen
from lab.proof import Class, Command, Verdict, VerdictOutcome
from lab.surroundings import Brought, Surroundings
from lab.traffic import HostSource, Load, LoadPlan
from tests.component.conftest import Replica, Schema, StartApp
from tests.lab_world import FAST, ME, ROOT, ProxyProcess, proxy_process
from tests.proxy_world import PATIENCE, eventually

RUN = "r1"
SHORT = "read=40,page=10,write=15,patch=15,read_your_writes=20,slow=5"  # the relay knows no streams
PLAN = LoadPlan(run=RUN, rate=100, replicas=1, seed=1, max_seconds=20, deadline=5, cohorts=SHORT)


@pytest.fixture
def app(schema: Schema, start_app: StartApp) -> Replica:
    schema.to("base")
    return start_app(schema.conninfo)


async def measured(folder: Path, app: Replica, schema: Schema, *, doubles: bool = False) -> Callable[[], Verdict]:
    """Some seconds of load; return what judges it."""
    runs = folder / "runs"
    runs.mkdir()
    with proxy_process(folder) as proxy:
        async with relay(app.port, doubles=doubles) as port, proxy.gateway() as gateway:
            await in_rotation(gateway, app.name, replace(FAST, port=port))
            started = (await gateway.routing()).now_ns
            ended = await offered(gateway, proxy, runs)
    lines = "".join(json.dumps(line) + "\n" for line in app.log)
    keep_log(runs / RUN, app.name, lines.encode())
    record = RunRecord(
        run=RUN,
        command=Command.ROLL,
        from_version="v1",
        to_version="v1",
        started_ns=started,
        ended_ns=ended,
        ended=Ended(ending=Ending.DONE),
        schema_before="base",
        schema_after="base",
        min_requests=50,
    )
    at = schema.conninfo
    database = Database(host=at["host"], port=at["port"], password=at["password"], name=at["dbname"])
    around = Surroundings(statics=(), brought=frozenset(Brought))
    lab: Any = SimpleNamespace(
        database=lambda: database,
        project=SimpleNamespace(name="default"),
        journal=SimpleNamespace(events=lambda **_: []),
        plan=None,
        manifest=SimpleNamespace(versions={}, around=around),
    )
    return lambda: conclude(lab, runs / RUN, record)


async def in_rotation(gateway: ProxyGateway, name: str, readiness: Readiness) -> None:
    await gateway.take_lease(ME, 60)
    at = {"slot": 1, "generation": 1, "revision": 1, "version": "v1", "address": "127.0.0.1"}
    await gateway.join(Seen(name=name, container=Container.RUNNING, container_id="c", **at), readiness)  # type: ignore[arg-type]
    async with asyncio.timeout(PATIENCE):
        while not (routing := await gateway.routing()).routes[0].proven:
            await gateway.wait_for_change(routing.seq, 1.0)
    await gateway.admit(name)


async def offered(gateway: ProxyGateway, proxy: ProxyProcess, runs: Path) -> int:
    """Return when the rollout that it stands for was over: before the load is."""

    def fetch(run: str, into: Path) -> None:
        shutil.copy(runs.parent / "proxy" / run / "proxy.jsonl", into / run)

    await gateway.open_run(RUN)
    load = Load(HostSource(port=proxy.port, folder=runs, checkout=ROOT, fetch=fetch), PLAN)
    await load.start()
    await eventually(lambda: load.tick.get("finished", 0) > 0)
    ended = (await gateway.routing()).now_ns
    await load.stop()
    await gateway.close_run()
    await load.collect(runs)
    return ended


@asynccontextmanager
async def relay(port: int, *, doubles: bool) -> AsyncIterator[int]:
    """Stands before the app. Told to, it sends every fourth creation twice, as a network that repeats itself would."""
    creations = 0
    open_now: set[asyncio.Task[None]] = set()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal creations
        task = asyncio.current_task()
        assert task is not None
        open_now.add(task)
        back_reader, back_writer = await asyncio.open_connection("127.0.0.1", port)
        try:
            while True:
                request = await message(reader)
                creations += request.startswith(b"POST")
                if doubles and request.startswith(b"POST") and creations % 4 == 0:
                    back_writer.write(request)
                    await message(back_reader)
                back_writer.write(request)
                writer.write(await message(back_reader))
        except (asyncio.IncompleteReadError, ConnectionError, asyncio.CancelledError):
            pass
        finally:
            back_writer.transport.abort()
            writer.transport.abort()
            open_now.discard(task)

    async with await asyncio.start_server(serve, "127.0.0.1", 0) as server:
        yield server.sockets[0].getsockname()[1]
        for task in list(open_now):
            task.cancel()
        await asyncio.gather(*open_now, return_exceptions=True)


async def message(reader: asyncio.StreamReader) -> bytes:
    """One request or answer, as it came."""
    head = await reader.readuntil(b"\r\n\r\n")
    fields = dict(line.lower().split(b": ", 1) for line in head.split(b"\r\n")[1:] if line)
    return head + await reader.readexactly(int(fields.get(b"content-length", 0)))


async def test_a_run_passes_is_unproved_without_its_database_and_fails_once_acknowledged_writes_are_gone(
    tmp_path: Path, app: Replica, schema: Schema, gone_database: Callable[[Schema], Any]
) -> None:
    """D7: the rows are taken away in the database, behind everybody's back."""
    judge = await measured(tmp_path, app, schema)
    folder = tmp_path / "runs" / RUN
    verdict = judge()
    assert verdict.outcome is VerdictOutcome.PASS, verdict.reasons
    assert (verdict.dropped, verdict.judged >= 50) == (0, True)
    assert json.loads((folder / "verdict.json").read_text())["outcome"] == "pass"
    assert "0 dropped" in (folder / "report.txt").read_text()

    with gone_database(schema):
        verdict = judge()
    assert verdict.outcome is VerdictOutcome.INCONCLUSIVE
    assert [reason.id for reason in verdict.reasons] == ["writes-unchecked"]

    taken = schema.query("delete from parcels where id in (select id from parcels order by id limit 3) returning id")
    lines = map(json.loads, (folder / "client.jsonl").read_text().splitlines())
    lost = [line["id"] for line in lines if (line.get("ack"),) in taken]
    verdict = judge()
    assert len(lost) >= len(taken)
    assert verdict.dropped_by_class == {Class.LOST_WRITE: len(lost)}
    assert {drop.id for drop in verdict.drops} == set(lost)
    assert verdict.outcome is VerdictOutcome.FAIL


async def test_a_write_that_took_effect_twice_is_a_duplicate(tmp_path: Path, app: Replica, schema: Schema) -> None:
    """D8: the parcel's key hides it from the client; the database's own record does not."""
    judge = await measured(tmp_path, app, schema, doubles=True)
    twice = schema.query("select request_id from lab_executions group by request_id having count(*) > 1")
    verdict = judge()
    assert twice
    assert verdict.dropped_by_class == {Class.DUPLICATE: len(twice)}
    assert {drop.id for drop in verdict.drops} == {request for (request,) in twice}
