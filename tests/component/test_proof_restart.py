"""The real proxy under load, killed, or led astray: the ledgers that it and the apps leave, as the proof reads them."""

import asyncio
import re
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

from lab.gateway import ProxyGateway
from lab.model import Container
from lab.ports import Owner, Readiness, Seen
from lab.proof import Verdict, VerdictOutcome, judge, read_app, read_client, read_proxy
from tests.proxy_world import PATIENCE, TOKEN, environment, get, send
from tests.unit.proof_world import RUN, facts, ledger

ROOT = Path(__file__).parents[2]
NOWHERE = {"host": "127.0.0.1", "port": 1, "user": "u", "password": "p", "dbname": "d"}
LIVES = Readiness(path="/livez", passes=1, min_ready=0.0, interval=0.2, fast_interval=0.02)
OWNER = Owner(host="h", boot="b", pid=1, start="s", command="lab roll v2", home="/home/x")
PAUSE = 0.004


class Client:
    """Offers requests at a steady pace, each on a connection of its own, and writes down what became of them."""

    def __init__(self, port: int) -> None:
        self.port = port
        now = time.monotonic_ns()
        self.rows: list[dict[str, Any]] = [
            {"e": "header", "schema": "lab.client-ledger/1", "run": RUN, "rate": 250, "seed": 1, "t": now}
        ]
        self.failed = 0
        self.ended = asyncio.Semaphore(0)

    async def offer(self, requests: int) -> None:
        async with asyncio.timeout(2 * PATIENCE), asyncio.TaskGroup() as group:
            for _ in range(requests):
                group.create_task(self._ask(f"{RUN}-read-{len(self.rows)}"))
                await asyncio.sleep(PAUSE)

    async def offer_until_answered(self) -> None:
        failed = -1
        while failed != self.failed:
            failed = self.failed
            await self.offer(20)

    async def _ask(self, request: str) -> None:
        now = time.monotonic_ns()
        path = "/slow?seconds=0.1" if len(self.rows) % 3 == 0 else "/version"
        self.rows.append(
            {"e": "offer", "id": request, "cohort": "read", "method": "GET", "path": path, "due": now, "t": now}
        )
        outcome, status, replica = "ok", None, None
        try:
            answer = await send(self.port, get(path, f"X-Lab-Request-Id: {request}"))
            status, replica = answer.status, answer.headers.get("x-lab-replica")
        except ConnectionRefusedError:
            outcome = "refused"
        except (OSError, asyncio.IncompleteReadError):
            outcome = "reset"
        self.ended.release()
        self.failed += outcome != "ok"
        end = {"e": "end", "id": request, "t": time.monotonic_ns(), "outcome": outcome}
        self.rows.append({**end, "status": status, "replica": replica})

    def finish(self) -> list[bytes]:
        offered = sum(row["e"] == "offer" for row in self.rows)
        end = {"e": "footer", "t": time.monotonic_ns(), "offered": offered, "finished": offered, "not_sent": 0}
        return ledger([*self.rows, {**end, "lag_p99_ms": 1.0, "complete": True}])


class Proxy:
    """`start` after `kill` takes the same ports."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.ports = folder, ("0", "0")
        self.process: subprocess.Popen[str] | None = None

    def start(self) -> None:
        where = environment(self.folder) | {"LAB_DATA_PORT": self.ports[0], "LAB_ADMIN_PORT": self.ports[1]}
        command = [sys.executable, "-m", "proxy"]
        self.process = subprocess.Popen(command, cwd=ROOT, env=where, stderr=subprocess.PIPE, text=True)
        assert self.process.stderr is not None
        self.ports = tuple(re.findall(r"\d+", self.process.stderr.readline()))

    def kill(self) -> None:
        assert self.process is not None
        assert self.process.stderr is not None
        self.process.kill()
        self.process.wait(PATIENCE)
        self.process.stderr.close()


async def enter(gateway: ProxyGateway, apps: list[Any], at: list[Any] | None = None) -> None:
    """Open a run on replicas that are in rotation. `at`: who really is where each of them is said to be."""
    await gateway.take_lease(OWNER, 60)
    for slot, (app, there) in enumerate(zip(apps, at or apps, strict=True), start=1):
        seen = Seen(
            name=app.name,
            slot=slot,
            generation=1,
            revision=1,
            version="v1",
            container=Container.RUNNING,
            container_id="c",
            address="127.0.0.1",
        )
        await gateway.join(seen, replace(LIVES, port=there.port, identity=at is None))
    routing = await gateway.routing()
    while not all(route.proven for route in routing.routes):
        await gateway.wait_for_change(routing.seq, 1.0)
        routing = await gateway.routing()
    for app in apps:
        await gateway.admit(app.name)
    await gateway.open_run(RUN)


def verdict_of(folder: Path, client: Client, apps: list[Any]) -> Verdict:
    for app in apps:
        app.terminate()
        app.ended()
    proxy = (folder / RUN / "proxy.jsonl").read_bytes().splitlines(keepends=True)
    logs = [read_app(app.name, ledger(app.log)) for app in apps]
    begun, ended = client.rows[0]["t"], client.rows[-1]["t"]
    run = facts(started_ns=begun, ended_ns=ended, steps=())
    return judge(run, read_client(client.finish()), read_proxy(proxy), logs)


async def test_a_proxy_killed_under_load_costs_what_its_verdict_says(start_app, tmp_path: Path) -> None:
    apps = [start_app(NOWHERE, ready=False) for _ in range(2)]
    proxy = Proxy(tmp_path)
    proxy.start()
    try:
        async with ProxyGateway(f"http://127.0.0.1:{proxy.ports[1]}", TOKEN) as gateway:
            async with asyncio.timeout(PATIENCE):
                await enter(gateway, apps)
            client = Client(int(proxy.ports[0]))
            await client.offer(100)
            assert client.failed == 0
            client.ended = asyncio.Semaphore(0)
            under_way = asyncio.create_task(client.offer(50))
            await client.ended.acquire()
            proxy.kill()
            await under_way
            proxy.start()
            await client.offer_until_answered()
            await gateway.close_run()
    finally:
        proxy.kill()
    verdict = verdict_of(tmp_path, client, apps)

    assert verdict.dropped == client.failed > 0
    assert [restart.dropped for restart in verdict.restarts] == [client.failed]
    assert verdict.reasons == ()
    assert verdict.masked == 0


async def test_answers_of_another_replica_than_the_proxy_names_are_found(start_app, tmp_path: Path) -> None:
    """Two containers have changed addresses, and the routing table is of before: no probe asked who they are."""
    apps = [start_app(NOWHERE, ready=False) for _ in range(2)]
    proxy = Proxy(tmp_path)
    proxy.start()
    try:
        async with ProxyGateway(f"http://127.0.0.1:{proxy.ports[1]}", TOKEN) as gateway:
            async with asyncio.timeout(PATIENCE):
                await enter(gateway, apps, at=apps[::-1])
            client = Client(int(proxy.ports[0]))
            await client.offer(20)
            await gateway.close_run()
    finally:
        proxy.kill()
    verdict = verdict_of(tmp_path, client, apps)

    assert client.failed == verdict.dropped == 0
    assert verdict.outcome is VerdictOutcome.INCONCLUSIVE
    assert [reason.id for reason in verdict.reasons] == ["misrouted"]
    assert "(20)" in verdict.reasons[0].message


async def test_answers_that_went_around_the_proxy_are_found(start_app, tmp_path: Path) -> None:
    apps = [start_app(NOWHERE, ready=False) for _ in range(2)]
    proxy = Proxy(tmp_path)
    proxy.start()
    try:
        async with ProxyGateway(f"http://127.0.0.1:{proxy.ports[1]}", TOKEN) as gateway:
            async with asyncio.timeout(PATIENCE):
                await enter(gateway, apps)
            client = Client(int(proxy.ports[0]))
            await client.offer(10)
            client.port = apps[0].port
            await client.offer(7)
            await gateway.close_run()
    finally:
        proxy.kill()
    verdict = verdict_of(tmp_path, client, apps)

    assert client.failed == verdict.dropped == 0
    assert verdict.outcome is VerdictOutcome.INCONCLUSIVE
    assert [reason.id for reason in verdict.reasons] == ["bypassed"]
    assert "(7)" in verdict.reasons[0].message
