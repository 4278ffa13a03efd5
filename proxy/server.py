"""The whole proxy in one object: routes restored, both ports open; and closed again in the right order."""

from random import Random

from aiohttp import web

from proxy.admin import admin_app
from proxy.dataplane import DataPlane
from proxy.gateway import Gateway
from proxy.ledger import Ledger
from proxy.settings import Settings
from proxy.statefile import StateFile


class ProxyServer:
    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self.gateway = Gateway(
            StateFile(settings.state_dir),
            Ledger(settings.runs_dir),
            settings.limits,
            random=Random(settings.seed).random,  # noqa: S311  a choice of replicas is no secret
        )
        self._data = DataPlane(self.gateway, settings.limits)
        self._admin = web.AppRunner(
            admin_app(self.gateway, settings), access_log=None, handle_signals=False, shutdown_timeout=1.0
        )
        self.data_port = 0
        self.admin_port = 0

    async def start(self) -> None:
        settings = self._settings
        self.gateway.start()
        self.data_port = await self._data.start(settings.host, settings.data_port)
        await self._admin.setup()
        await web.TCPSite(self._admin, settings.host, settings.admin_port).start()
        self.admin_port = int(self._admin.addresses[0][1])

    async def stop(self, seconds: float) -> None:
        """The admin API answers until the requests in flight are done: a drain may be watched to its end."""
        await self._data.stop(seconds)
        await self.gateway.stop()
        await self._admin.cleanup()
