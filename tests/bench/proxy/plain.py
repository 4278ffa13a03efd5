"""The reverse proxy that a tutorial shows: `python -m tests.bench.proxy.plain PORT UPSTREAM..`. For comparison only."""

import itertools
import sys
from collections.abc import AsyncIterator
from uuid import uuid4

from aiohttp import ClientSession, web

HOP_BY_HOP = {
    "connection",
    "keep-alive",
    "proxy-authenticate",
    "proxy-authorization",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
}


def app(upstreams: list[str]) -> web.Application:
    turns = itertools.cycle(upstreams)
    session = web.AppKey("session", ClientSession)

    async def forward(request: web.Request) -> web.StreamResponse:
        headers = {name: value for name, value in request.headers.items() if name.lower() not in HOP_BY_HOP}
        headers["X-Forwarded-For"] = request.remote or ""
        headers["X-Forwarded-Proto"] = request.scheme
        headers["X-Forwarded-Host"] = request.host
        headers["X-Request-ID"] = uuid4().hex
        body = request.content if request.can_read_body else None
        url = f"{next(turns)}{request.path_qs}"
        async with request.app[session].request(request.method, url, headers=headers, data=body) as upstream:
            kept = {name: value for name, value in upstream.headers.items() if name.lower() not in HOP_BY_HOP}
            response = web.StreamResponse(status=upstream.status, headers=kept)
            await response.prepare(request)
            async for chunk in upstream.content.iter_any():
                await response.write(chunk)
            await response.write_eof()
            return response

    async def one_session(served: web.Application) -> AsyncIterator[None]:
        async with ClientSession(auto_decompress=False) as served[session]:
            yield

    served = web.Application()
    served.cleanup_ctx.append(one_session)
    served.router.add_route("*", "/{path:.*}", forward)
    return served


if __name__ == "__main__":
    port, *upstreams = sys.argv[1:]
    web.run_app(app(upstreams), host="127.0.0.1", port=int(port), access_log=None, print=None, backlog=4096)
