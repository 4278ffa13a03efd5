"""The corpus again with real servers behind the proxy: what they count is what the proxy says it has sent."""

import asyncio
import itertools
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any, Self

from aiohttp import web
from aiohttp.http_exceptions import HttpProcessingError

from proxy.settings import Limits
from tests.proxy_corpus import Case
from tests.proxy_corpus_all import FAMILIES
from tests.proxy_differential import complaints, nothing, put_through
from tests.proxy_oracle import Begun, ledger_of, rotate
from tests.proxy_world import Replica, World, get, send, world

LIMITS = Limits(header_seconds=1.0, client_seconds=1.0, hold_seconds=0, eject_errors=1_000_000)
CASES: list[Case] = list(itertools.chain.from_iterable(family() for family in FAMILIES))


class Second(Replica):
    """A server of aiohttp's, which reads requests with a parser of its own."""

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self.begun: Counter[tuple[str, int]] = Counter()
        self.whole: Counter[tuple[str, int]] = Counter()
        self.targets: set[str] = set()
        self._runner: web.ServerRunner | None = None

    async def start(self, port: int = 0) -> Self:
        self._runner = web.ServerRunner(web.Server(self._handle, access_log=None))
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", port).start()
        self.port = self._runner.addresses[0][1]
        return self

    async def kill(self) -> None:
        if self._runner is not None:
            await self._runner.cleanup()

    async def _handle(self, request: web.BaseRequest) -> web.StreamResponse:
        if request.path == "/readyz":
            return web.Response(headers={"X-Lab-Replica": self.name})
        which = request.headers["X-Lab-Request-Id"], int(request.headers["X-Lab-Attempt"])
        self.begun[which] += 1
        self.targets.add(request.raw_path)
        try:
            await request.read()
        except (web.RequestPayloadError, HttpProcessingError, ConnectionError) as error:
            raise web.HTTPBadRequest from error
        self.whole[which] += 1
        return web.Response(text=which[0])


def differences(arrived: Counter[tuple[str, int]], whole: Counter[tuple[str, int]], begun: Begun) -> list[str]:
    found = [f"{which} arrived and was never sent" for which in arrived - begun.attempts]
    found += [f"{which} was answered and never arrived" for which in begun.answered - whole]
    return found + [f"{which} arrived twice" for which, count in arrived.items() if count > 1]


async def test_another_parser_counts_what_the_proxy_counts(tmp_path: Path) -> None:
    async with world(tmp_path, limits=LIMITS) as lab:
        second = await rotate(lab, Second("app-1.1"))
        await lab.change("PUT", "/v1/run", run="r1")
        outcomes = await put_through(lab.port, CASES)
        begun = await ledger_of(lab, "r1")
        nothing(complaints(outcomes))
        nothing(differences(second.begun, second.whole, begun))
        assert "/smuggled" not in second.targets
        assert len(begun.answered) > 200


async def test_the_app_counts_what_the_proxy_counts(tmp_path: Path, start_app: Callable[..., Any], schema: Any) -> None:
    app = await asyncio.to_thread(start_app, schema.to("base").conninfo, "v1")
    async with world(tmp_path, limits=LIMITS) as lab:
        await _join(lab, app)
        await lab.change("PUT", "/v1/run", run="r1")
        # `OPTIONS *` is answered by the app's framework, before the app sees it
        outcomes = await put_through(lab.port, [case for case in CASES if b" * " not in case.raw])
        assert (await send(lab.port, get("/version", "X-Lab-Request-Id: mark"))).status == 200
        await asyncio.to_thread(app.logged, "begin", id="mark")
        begun = await ledger_of(lab, "r1")
        lines = app.events("begin")
        arrived = Counter((line["id"], line["attempt"]) for line in lines)
        nothing([outcome.case.name for outcome in outcomes if not outcome.heard.closed])
        nothing(differences(arrived, arrived, begun))
        assert "/smuggled" not in {line["path"] for line in lines}
        assert len(arrived) > 200


async def _join(lab: World, app: Any) -> None:
    found = Replica(app.name)
    found.port = app.port
    await lab.join(found)
    await lab.admit(found)
