"""Waits for the world to change: the proxy's long poll, or a death that the engine tells of."""

import asyncio
from contextlib import suppress

from lab.errors import GatewayError
from lab.gateway import ProxyGateway


class WorldWatch:
    def __init__(self, gateway: ProxyGateway, engine_changed: asyncio.Event) -> None:
        self._gateway = gateway
        self._engine_changed = engine_changed

    async def rest(self, seconds: float) -> None:
        await asyncio.sleep(seconds)

    async def changed(self, *, since: int, within: float) -> None:
        proxy = asyncio.create_task(self._gateway.wait_for_change(since, within))
        engine = asyncio.create_task(self._engine_changed.wait())
        try:
            await asyncio.wait({proxy, engine}, timeout=within + 1, return_when=asyncio.FIRST_COMPLETED)
        finally:
            self._engine_changed.clear()
            for task in (proxy, engine):
                task.cancel()
            for task in (proxy, engine):
                # a proxy that does not answer is found out by the look that follows
                with suppress(asyncio.CancelledError, GatewayError):
                    await task
