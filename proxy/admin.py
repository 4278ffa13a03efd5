"""The admin API: on a port of its own, behind a token."""

import asyncio
import hmac
import json
from collections.abc import Awaitable, Callable
from typing import Any

from aiohttp import web
from aiohttp.typedefs import Middleware

from proxy import admin_shapes as shapes
from proxy.errors import BadRequestError, NotFoundError, ProxyError, UnauthorizedError
from proxy.gateway import Gateway
from proxy.metrics import CONTENT_TYPE, Metrics
from proxy.settings import Limits, Settings, origins

MAX_WAIT_MS = 30_000
_OPEN_PATH = "/v1/health"
# A listener that is gone is noticed when something is sent to it.
_HEARTBEAT_SECONDS = 15.0


def admin_app(gateway: Gateway, settings: Settings) -> web.Application:
    api = _Admin(gateway, settings.limits)
    app = web.Application(middlewares=[_guard(settings.token)])
    app.add_routes(
        [
            web.get(_OPEN_PATH, api.health),
            web.get("/v1/clock", api.clock),
            web.get("/v1/state", api.state),
            web.post("/v1/lease", api.lease),
            web.delete("/v1/lease", api.give_lease_back),
            web.put("/v1/replicas/{replica}", api.join),
            web.delete("/v1/replicas/{replica}", api.remove),
            web.post("/v1/replicas/{replica}/admit", api.admit),
            web.post("/v1/replicas/{replica}/retire", api.retire),
            web.post("/v1/replicas/{replica}/restore", api.restore),
            web.put("/v1/run", api.open_run),
            web.delete("/v1/run", api.close_run),
            web.post("/v1/hold", api.hold),
            web.post("/v1/release", api.release),
            web.get("/v1/test/cut-switch", api.cut_switch),
            web.put("/v1/test/cut-switch", api.turn_cut_switch),
            web.get("/v1/events", api.events),
            web.get("/status", api.status),
            web.get("/metrics", api.metrics),
        ]
    )
    return app


class _Admin:
    def __init__(self, gateway: Gateway, limits: Limits) -> None:
        self._gateway = gateway
        self._limits = limits
        self._metrics = Metrics(gateway)

    async def health(self, _request: web.Request) -> web.Response:
        hold = self._gateway.hold
        return web.json_response({"status": "ok", "holding": hold.blocks, "candidates": self._gateway.table.candidates})

    async def clock(self, _request: web.Request) -> web.Response:
        return web.json_response({"monotonic_ns": self._gateway.now_ns()})

    async def state(self, request: web.Request) -> web.Response:
        since = request.query.get("since")
        if since is not None:
            wait_ms = min(_query_number(request.query.get("wait_ms", "0")), MAX_WAIT_MS)
            await self._gateway.wait_beyond(_query_number(since), wait_ms / 1000)
        return web.json_response(self._state())

    async def lease(self, request: web.Request) -> web.Response:
        body = await _body(request)
        owner, ttl_ms = shapes.owner(body), shapes.number(body, "ttl_ms", least=1)
        fence = shapes.optional_number(body, "fence")
        if fence is not None:
            lease = self._gateway.renew_lease(owner, ttl_ms, fence=fence)
        else:
            replace = shapes.optional_number(body, "replace_fence")
            lease = self._gateway.take_lease(owner, ttl_ms, replace_fence=replace)
        left = lease.expires_in_ms(self._gateway.now_ns())
        return web.json_response({"fence": lease.fence, "expires_in_ms": left})

    async def give_lease_back(self, request: web.Request) -> web.Response:
        body = await _body(request)
        self._gateway.give_lease_back(shapes.number(body, "fence"))
        return self._acknowledged()

    async def join(self, request: web.Request) -> web.Response:
        body = await _body(request)
        route = shapes.route(request.match_info["replica"], body, now_ns=self._gateway.now_ns())
        self._gateway.join(shapes.number(body, "fence"), route)
        return self._acknowledged()

    async def admit(self, request: web.Request) -> web.Response:
        body = await _body(request)
        self._gateway.admit(shapes.number(body, "fence"), request.match_info["replica"])
        return self._acknowledged()

    async def retire(self, request: web.Request) -> web.Response:
        body = await _body(request)
        fence, deadlines_ms = shapes.number(body, "fence"), shapes.deadlines_ms(body)
        self._gateway.retire(fence, request.match_info["replica"], deadlines_ms)
        return self._acknowledged()

    async def restore(self, request: web.Request) -> web.Response:
        body = await _body(request)
        self._gateway.restore(shapes.number(body, "fence"), request.match_info["replica"])
        return self._acknowledged()

    async def remove(self, request: web.Request) -> web.Response:
        body = await _body(request)
        lost = shapes.flag(body, "lost", otherwise=False)
        self._gateway.remove(shapes.number(body, "fence"), request.match_info["replica"], lost=lost)
        return self._acknowledged()

    async def open_run(self, request: web.Request) -> web.Response:
        body = await _body(request)
        self._gateway.open_run(shapes.number(body, "fence"), shapes.name(body.get("run"), "run"))
        return self._acknowledged()

    async def close_run(self, request: web.Request) -> web.Response:
        body = await _body(request)
        await self._gateway.close_run(shapes.number(body, "fence"))
        return self._acknowledged()

    async def hold(self, request: web.Request) -> web.Response:
        self._gateway.hold_requests(shapes.number(await _body(request), "fence"))
        return self._acknowledged()

    async def release(self, request: web.Request) -> web.Response:
        self._gateway.release_requests(shapes.number(await _body(request), "fence"))
        return self._acknowledged()

    async def cut_switch(self, _request: web.Request) -> web.Response:
        switch = self._gateway.switch
        return web.json_response({"every": switch.every, "count": switch.count, "cut": switch.cut})

    async def turn_cut_switch(self, request: web.Request) -> web.Response:
        body = await _body(request)
        self._gateway.turn_switch(shapes.number(body, "fence"), shapes.number(body, "every"))
        return await self.cut_switch(request)

    async def events(self, request: web.Request) -> web.StreamResponse:
        """Send what happened since the event that was named, then what happens, as long as somebody listens."""
        last = _query_number(request.headers.get("Last-Event-ID") or request.query.get("since", "0"))
        answer = web.StreamResponse(headers={"Content-Type": "text/event-stream", "Cache-Control": "no-store"})
        await answer.prepare(request)
        while not self._gateway.closed:
            seen = self._gateway.table.seq
            for event in self._gateway.events.since(last):
                last = event["seq"]
                await answer.write(f"id: {last}\nevent: {event['kind']}\ndata: {json.dumps(event)}\n\n".encode())
            await self._gateway.wait_beyond(seen, _HEARTBEAT_SECONDS)
            await answer.write(b": \n\n")
        return answer

    async def status(self, _request: web.Request) -> web.Response:
        counts = self._gateway.counts
        known = {
            "accepted": counts.accepted,
            "in_flight": counts.in_flight,
            "outcomes": dict(counts.outcomes),
            "retries": dict(counts.retries),
            "ledger_lost_lines": self._gateway.ledger.lost_lines,
        }
        return web.json_response({**self._state(), "requests": known, "settings": origins(self._limits)})

    async def metrics(self, _request: web.Request) -> web.Response:
        return web.Response(body=self._metrics.exposition(), headers={"Content-Type": CONTENT_TYPE})

    def _acknowledged(self) -> web.Response:
        table = self._gateway.table
        return web.json_response({"epoch": table.epoch, "seq": table.seq})

    def _state(self) -> dict[str, Any]:
        gateway, now = self._gateway, self._gateway.now_ns()
        return {
            "schema": "lab.proxy-state/1",
            "seq": gateway.table.seq,
            "epoch": gateway.table.epoch,
            "fence": gateway.leases.fence,
            "now_ns": now,
            "run": gateway.ledger.run,
            "hold": {
                "on": gateway.hold.on,
                "held": gateway.hold.held,
                "bytes": gateway.hold.bytes,
                "oldest_ms": gateway.hold.oldest_ms(asyncio.get_running_loop().time()),
            },
            "lease": shapes.lease_view(gateway.leases.live(now), now),
            "replicas": [
                shapes.replica_view(entry, idle=gateway.pools[replica].idle)
                for replica, entry in gateway.table.entries.items()
            ],
        }


_Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


def _guard(token: str) -> Middleware:
    expected = f"Bearer {token}".encode()

    @web.middleware
    async def guard(request: web.Request, handler: _Handler) -> web.StreamResponse:
        try:
            given = request.headers.get("Authorization", "").encode("utf-8", "surrogateescape")
            if request.path != _OPEN_PATH and not hmac.compare_digest(given, expected):
                raise UnauthorizedError("the admin API needs the header Authorization: Bearer <LAB_ADMIN_TOKEN>")
            return await handler(request)
        except ProxyError as error:
            return _refused(error)
        except web.HTTPNotFound:
            return _refused(NotFoundError(f"there is no {request.method} {request.path}"))
        except web.HTTPClientError as error:
            refusal = BadRequestError(f"{request.method} {request.path}: {error.reason}")
            refusal.status = error.status
            return _refused(refusal)

    return guard


def _refused(error: ProxyError) -> web.Response:
    body = {"error": {"id": error.id, "message": str(error), **error.details}}
    return web.json_response(body, status=error.status)


async def _body(request: web.Request) -> dict[str, Any]:
    try:
        body = json.loads(await request.read())
    except ValueError as error:
        raise BadRequestError(f"the body is not JSON: {error}") from error
    if not isinstance(body, dict):
        raise BadRequestError("the body is not a JSON object")
    return body


def _query_number(value: str) -> int:
    if not value.isascii() or not value.isdigit():
        raise BadRequestError(f"{value!r} is not a number")
    return int(value)
