"""The proxy as it is shipped, a process: to be killed, started again on the same ports, and told to end."""

import asyncio
import contextlib
import json
import signal
import sys
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp

from tests.proxy_world import PATIENCE, TOKEN, World, environment

_ROOT = Path(__file__).parents[1]


@dataclass(frozen=True, slots=True)
class Ports:
    data_port: int
    admin_port: int


@dataclass(slots=True)
class ProcessWorld(World):
    """A world whose proxy is a process of its own; `start` after `kill` takes the same ports."""

    settings: dict[str, str] = field(default_factory=dict)
    said: list[str] = field(default_factory=list)
    process: asyncio.subprocess.Process | None = None
    _ports: Ports = Ports(0, 0)
    _listening: asyncio.Task[None] | None = None

    async def start(self) -> None:
        (self.folder / "state").mkdir(exist_ok=True)
        (self.folder / "runs").mkdir(exist_ok=True)
        self.process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "proxy"),
            cwd=_ROOT,
            env=environment(
                self.folder,
                LAB_STATE_DIR=str(self.folder / "state"),
                LAB_RUNS_DIR=str(self.folder / "runs"),
                LAB_DATA_PORT=str(self._ports.data_port),
                LAB_ADMIN_PORT=str(self._ports.admin_port),
                **self.settings,
            ),
            stderr=asyncio.subprocess.PIPE,
        )
        async with asyncio.timeout(PATIENCE):
            while (ports := await self._next_line()) is None:
                pass
        self._server = self._ports = ports  # type: ignore[assignment]  # of the server, only its ports are used
        self._listening = asyncio.create_task(self._listen())
        self._http = aiohttp.ClientSession(headers={"Authorization": f"Bearer {TOKEN}"})

    async def kill(self) -> None:
        await self._end(signal.SIGKILL)

    async def stop(self, seconds: float = PATIENCE) -> None:
        assert await self._end(signal.SIGTERM, seconds) in {0, None}, self.said

    def raw_ledger(self, run: str) -> list[dict[str, Any]]:
        """Return the lines that are written, and not one that is being written."""
        text = (self.folder / "runs" / run / "proxy.jsonl").read_text()
        return [json.loads(line) for line in text.splitlines(keepends=True) if line.endswith("\n")]

    async def _end(self, number: signal.Signals, seconds: float = PATIENCE) -> int | None:
        process, self.process = self.process, None
        if process is None:
            return None
        if process.returncode is None:
            process.send_signal(number)
        try:
            async with asyncio.timeout(seconds):
                return await process.wait()
        finally:
            if process.returncode is None:
                process.kill()
            assert self._listening is not None
            await self._listening
            assert self._http is not None
            await self._http.close()

    async def _next_line(self) -> Ports | None:
        assert self.process is not None
        assert self.process.stderr is not None
        line = (await self.process.stderr.readline()).decode()
        assert line, f"the proxy did not start: {self.said}"
        self.said.append(line)
        if "serving on" not in line:
            return None
        data, admin = (int("".join(filter(str.isdigit, part))) for part in line.split("serving on ")[1].split(","))
        return Ports(data, admin)

    async def _listen(self) -> None:
        assert self.process is not None
        assert self.process.stderr is not None
        async for line in self.process.stderr:
            self.said.append(line.decode())


@contextlib.asynccontextmanager
async def process_world(folder: Path, **settings: object) -> AsyncIterator[ProcessWorld]:
    """Yield a proxy process, set by its environment: `hold_seconds=1` is LAB_HOLD_SECONDS."""
    made = ProcessWorld(folder, settings={f"LAB_{name.upper()}": str(value) for name, value in settings.items()})
    await made.start()
    await made.lease(ttl_ms=3_600_000)
    try:
        yield made
    finally:
        await made.kill()
        for replica in made.replicas:
            await replica.kill()
