"""Replicas come and go, one after the other, under traffic of every kind; each is a process with habits of its own."""

import asyncio
import contextlib
import itertools
import signal
import sys
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path

from tests.churn_evidence import Evidence, Execution
from tests.churn_traffic import RATE, Traffic
from tests.proxy_metrics import scrape, settled
from tests.proxy_process import ProcessWorld
from tests.proxy_world import PATIENCE, World

FLEET = 3
HABITS = ("exits", "early", "answers", "polite")
DEADLINES = {"deadline_ms": 10_000, "stream_deadline_ms": 80, "websocket_deadline_ms": 80}
_SCRIPT = Path(__file__).with_name("churn_replica.py")


@dataclass(slots=True, kw_only=True)
class Member:
    """One replica process, and what it said it executed."""

    name: str
    process: asyncio.subprocess.Process
    port: int = 0
    leaves: bool = False
    told: bool = False
    executions: list[Execution] = field(default_factory=list)
    _listening: asyncio.Task[None] | None = None

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.port}"

    async def start(self) -> None:
        assert self.process.stdout is not None
        async with asyncio.timeout(PATIENCE):
            self.port = int((await self.process.stdout.readline()).split()[1])
        self._listening = asyncio.create_task(self._listen())

    def end(self) -> None:
        self.leaves = True
        self.process.send_signal(signal.SIGTERM)

    async def ended(self) -> None:
        try:
            async with asyncio.timeout(PATIENCE):
                await self.process.wait()
                if self._listening is not None:
                    await self._listening
        finally:
            self.kill()

    def kill(self) -> None:
        with contextlib.suppress(ProcessLookupError):
            self.process.kill()

    async def _listen(self) -> None:
        assert self.process.stdout is not None
        async for line in self.process.stdout:
            word, *rest = line.decode().split()
            if word != "executed":
                self.told = True
                continue
            id, _, method = rest
            self.executions.append(Execution(id=id, replica=self.name, method=method, late=self.told))


class Churn:
    """`waits` is what the saboteur takes away: that a replica is told to end only when it is removable."""

    def __init__(self, lab: ProcessWorld, *, habits: tuple[str, ...] = HABITS, waits: bool = True) -> None:
        self._lab = lab
        self._habits = habits
        self._waits = waits
        self._names = itertools.count(1)
        self._members: list[Member] = []
        self._coming: asyncio.Queue[Member] = asyncio.Queue(maxsize=2)
        self._serving: list[Member] = []
        self.evidence = Evidence()

    async def run(self, *, cycles: int, seconds: float, rate: int = RATE) -> Evidence:
        """Replace so many replicas, or as many as there is time for."""
        lab, found = self._lab, self.evidence
        await lab.change("PUT", "/v1/run", run="churn")
        before = await scrape(lab)
        async with self._nursery():
            for _ in range(FLEET):
                await self._enter(await self._coming.get())
            traffic, began = Traffic(lab.port, rate), time.monotonic()
            async with traffic.running():
                while found.cycles < cycles and time.monotonic() - began < seconds:
                    await self._cycle()
            found.seconds = time.monotonic() - began
            after = await settled(lab)
            for member in self._serving:
                member.end()
        for member in self._members:
            await member.ended()
            found.executions += member.executions
        await lab.change("DELETE", "/v1/run")
        found.ledger, found.outcomes = lab.ledger("churn"), traffic.outcomes
        found.accepted = after.one("requests_accepted_total") - before.one("requests_accepted_total")
        found.retries = after.total("retries_total") - before.total("retries_total")
        return found

    @contextlib.asynccontextmanager
    async def _nursery(self) -> AsyncIterator[None]:
        """Keep two replicas started ahead of their turn; leave no process behind."""
        task = asyncio.create_task(self._breed())
        try:
            yield
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
            for member in self._members:
                if not member.leaves:
                    member.kill()

    async def _breed(self) -> None:
        while True:
            number = next(self._names)
            name = f"app-{(number - 1) % FLEET + 1}.{(number - 1) // FLEET + 1}"
            process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-I", "-S", str(_SCRIPT), name, self._habits[number % len(self._habits)]),
                stdout=asyncio.subprocess.PIPE,
                limit=2**20,
            )
            member = Member(name=name, process=process)
            self._members.append(member)
            await member.start()
            await self._coming.put(member)

    async def _cycle(self) -> None:
        """Replace the oldest; every fourth time it leaves before the new one comes."""
        new = await self._coming.get()
        if self.evidence.cycles % 4 == 3:
            await self._leave()
            await self._enter(new)
        else:
            await self._enter(new)
            await self._leave()
        self.evidence.cycles += 1

    async def _enter(self, member: Member) -> None:
        await self._lab.join(member)
        await self._lab.admit(member)
        self._serving.append(member)

    async def _leave(self) -> None:
        lab, old = self._lab, self._serving.pop(0)
        await lab.change("POST", f"/v1/replicas/{old.name}/retire", **DEADLINES)
        self.evidence.in_flight_at_retirements.append((await lab.seen(old))["in_flight"])
        await self._check_the_books(lab)
        if self._waits:
            self.evidence.aborted += (await lab.removable(old))["aborted"]
        old.end()
        await lab.remove(old, lost=not self._waits)

    async def _check_the_books(self, lab: World) -> None:
        found = await scrape(lab)
        if not found.adds_up:
            self.evidence.unbalanced.append(f"cycle {self.evidence.cycles}: {found.values}")
