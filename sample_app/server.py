"""The replica: one listening socket, every answer in its envelope, and an orderly end."""

import asyncio
import itertools
import re
import signal
from collections.abc import Awaitable, Callable
from http import HTTPStatus

from aiohttp import web

from sample_app import envelope, faults, log
from sample_app.app_code import Code
from sample_app.database import Database, DatabaseError
from sample_app.endpoints import Answer, Call, Endpoints, File, NotFoundError
from sample_app.envelope import Sender
from sample_app.faults import AskedForError, Connections, Fuse, Mishaps
from sample_app.inputs import BadInputError
from sample_app.lease import Lease, VersionGoneError
from sample_app.lifecycle import Lifecycle
from sample_app.live import Live, hand_over
from sample_app.page import front
from sample_app.readiness import Readiness
from sample_app.settings import Settings
from sample_app.wrong_writes import WrongWrites

# an idle connection is the proxy's to close: closed from here, it could meet a request on its way
_KEEPALIVE_SECONDS = 3600.0
# rounds of the event loop until a request that was just read is begun, and its connection no longer looks idle
_STEPS_TO_BEGIN = 3
_MOST_BODY = 64 * 1024
_MOST_ERROR = 300
_REQUEST_ID = re.compile(r"[A-Za-z0-9._-]{1,64}")

_ANSWERS = {
    BadInputError: (HTTPStatus.BAD_REQUEST, "bad-input"),
    NotFoundError: (HTTPStatus.NOT_FOUND, "not-found"),
}

Endpoint = Callable[[Call], Awaitable[Answer | File | Live]]


async def serve(settings: Settings, code: Code) -> None:
    """Serve until SIGTERM, then finish what is in flight. VersionGoneError if the schema serves this code no more."""
    lifecycle = Lifecycle()
    on_stop = faults.on_sigterm(settings.faults, lifecycle.stop)
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, on_stop)
    await faults.crash_or_delay(settings.faults, told_to_stop=lifecycle.told_to_stop)
    database = Database(code.driver)
    lease = Lease(code=code.name, replica=settings.replica)
    readiness = Readiness(database=database, lease=lease, code=code, faults=settings.faults)
    sender = Sender(version=settings.version, replica=settings.replica)
    fuse = Fuse(settings.faults)
    wrong = WrongWrites(settings.faults, database)
    endpoints = Endpoints(
        sender=sender,
        code=code,
        database=database,
        readiness=readiness,
        lifecycle=lifecycle,
        fuse=fuse,
        front=front(code.name, settings.page),
        wrong=wrong,
    )
    responder = Responder(
        sender=sender,
        lifecycle=lifecycle,
        fuse=fuse,
        mishaps=Mishaps(settings.faults, seed=f"{settings.fault_seed}/{settings.replica}"),
        connections=Connections(settings.faults, is_busy=lifecycle.is_busy),
    )
    runner = await _listen(settings, _application(responder, endpoints))
    async with asyncio.TaskGroup() as group:  # a watch that fails takes the replica down, not only its readiness
        watch = group.create_task(_watched(readiness, lifecycle))
        await lifecycle.told_to_stop()
        await _stop(runner, lifecycle, settings.grace_seconds)
        watch.cancel()
    await wrong.finished()
    await database.close()
    await lease.close()  # last: whoever waits for it may take the columns away
    if watch.done() and not watch.cancelled():
        raise watch.result()


async def _watched(readiness: Readiness, lifecycle: Lifecycle) -> VersionGoneError:
    """Stop in order once this code is of no use any more."""
    try:
        await readiness.watch()
    except VersionGoneError as gone:
        lifecycle.stop()
        return gone


class Responder:
    """Turns whatever an endpoint does into one whole answer, and logs the request's begin and end."""

    def __init__(
        self, *, sender: Sender, lifecycle: Lifecycle, fuse: Fuse, mishaps: Mishaps, connections: Connections
    ) -> None:
        self._sender = sender
        self._lifecycle = lifecycle
        self._fuse = fuse
        self._mishaps = mishaps
        self._connections = connections
        self._own_ids = itertools.count(1)

    async def respond(self, request: web.Request, endpoint: Endpoint, *, logged: bool) -> web.StreamResponse:
        call = self._call(request)
        with self._lifecycle.request(request.protocol):
            if logged:
                log.write(
                    "begin",
                    id=call.request_id,
                    attempt=call.attempt,
                    method=request.method,
                    path=request.path_qs,
                )
            if self._fuse.hangs:
                await self._fuse.hang()
            answer = await self._answer(call, endpoint, spared=not logged)
            response = answer.response if isinstance(answer, Live) else answer
            if self._lifecycle.stopping:
                response.force_close()
            if await self._written(request, answer) and logged:
                log.write("end", id=call.request_id, attempt=call.attempt, status=response.status)
        self._connections.answered(request.protocol)
        return response

    async def _written(self, request: web.Request, answer: web.Response | Live) -> bool:
        """Hand the whole answer to the operating system; False if the client has left, so nobody was answered."""
        try:
            if isinstance(answer, Live):
                await hand_over(answer, request, self._lifecycle)
            else:
                # here and not by the framework after the return: only so is the log's `end` the end
                await answer.prepare(request)
                await answer.write_eof()
        except ConnectionError:
            return False
        return True

    async def _answer(self, call: Call, endpoint: Endpoint, *, spared: bool) -> web.Response | Live:
        try:
            if not spared:
                await self._mishaps.befall(call.request_id)
            answer = await endpoint(call)
        except (BadInputError, NotFoundError) as error:
            return self._error(call, *_ANSWERS[type(error)], str(error))
        except AskedForError as error:
            return self._error(call, HTTPStatus.INTERNAL_SERVER_ERROR, error.fault.value, str(error))
        except web.HTTPRequestEntityTooLarge as error:
            return self._error(call, HTTPStatus.REQUEST_ENTITY_TOO_LARGE, "bad-input", error.text or "")
        except DatabaseError as error:
            return self._database_error(call, error)
        except ConnectionError:  # the client left in the middle of its body: this reaches nobody, and has no `end`
            return self._error(call, HTTPStatus.BAD_REQUEST, "bad-input", "the body ended early")
        except Exception as error:  # noqa: BLE001 - a bug of ours is still answered, and said in the log
            log.write("error", id=call.request_id, code="internal", message=repr(error))
            return self._error(call, HTTPStatus.INTERNAL_SERVER_ERROR, "internal", type(error).__name__)
        return self._given(call, answer)

    def _given(self, call: Call, answer: Answer | File | Live) -> web.Response | Live:
        if isinstance(answer, Live):
            answer.response.headers.update(self._names(call))
            return answer
        if isinstance(answer, File):
            return self._file(call, answer)
        body = envelope.seal(request_id=call.request_id, sender=self._sender, data=answer.data)
        return self._response(call, answer.status, body)

    def _file(self, call: Call, file: File) -> web.Response:
        keep = "public, max-age=31536000, immutable" if file.cached else "no-store"
        headers = {**self._names(call), "Cache-Control": keep}
        return web.Response(body=file.body, headers=headers, content_type=file.content_type, charset="utf-8")

    def _database_error(self, call: Call, error: DatabaseError) -> web.Response:
        about = {"statement": error.statement} if error.statement else {}
        log.write("error", id=call.request_id, code=error.code, message=error.message, **about)
        status = HTTPStatus.INTERNAL_SERVER_ERROR if error.reachable else HTTPStatus.SERVICE_UNAVAILABLE
        response = self._error(call, status, error.code, error.message)
        response.headers["X-Lab-Error"] = _header_text(f"{error.code} {error.message}")
        return response

    def _error(self, call: Call, status: HTTPStatus, code: str, message: str) -> web.Response:
        error = {"code": code, "message": message}
        body = envelope.seal(request_id=call.request_id, sender=self._sender, error=error)
        return self._response(call, status, body)

    def _response(self, call: Call, status: HTTPStatus, body: bytes) -> web.Response:
        return web.Response(status=status, body=body, headers=self._names(call), content_type="application/json")

    def _names(self, call: Call) -> dict[str, str]:
        return {
            "X-Lab-Request-Id": call.request_id,
            "X-Lab-Version": self._sender.version,
            "X-Lab-Replica": self._sender.replica,
        }

    def _call(self, request: web.Request) -> Call:
        request_id = request.headers.get("X-Lab-Request-Id", "")
        if not _REQUEST_ID.fullmatch(request_id):
            request_id = f"{self._sender.replica}-{next(self._own_ids)}"
        attempt = request.headers.get("X-Lab-Attempt", "")
        number = int(attempt) if re.fullmatch(r"[0-9]{1,6}", attempt) else 1
        return Call(request=request, request_id=request_id, attempt=number)


def _application(responder: Responder, endpoints: Endpoints) -> web.Application:
    def handler(endpoint: Endpoint, *, logged: bool = True) -> Callable[[web.Request], Awaitable[web.StreamResponse]]:
        async def handle(request: web.Request) -> web.StreamResponse:
            return await responder.respond(request, endpoint, logged=logged)

        return handle

    application = web.Application(client_max_size=_MOST_BODY)
    application.add_routes(
        [
            web.post("/parcels", handler(endpoints.create_parcel)),
            web.get("/parcels", handler(endpoints.list_parcels), allow_head=False),
            web.get("/parcels/{id:[0-9]{1,18}}", handler(endpoints.read_parcel), allow_head=False),
            web.patch("/parcels/{id:[0-9]{1,18}}", handler(endpoints.change_parcel)),
            web.get("/", handler(endpoints.page), allow_head=False),
            web.get("/assets/{name:[a-z0-9.]{1,64}}", handler(endpoints.script), allow_head=False),
            web.get("/slow", handler(endpoints.slow), allow_head=False),
            web.get("/stream", handler(endpoints.stream), allow_head=False),
            web.get("/ws", handler(endpoints.socket), allow_head=False),
            web.get("/version", handler(endpoints.version), allow_head=False),
            web.get("/openapi.json", handler(endpoints.document, logged=False), allow_head=False),
            # probes come many times a second, and are no part of what was asked of the app
            web.get("/livez", handler(endpoints.live, logged=False), allow_head=False),
            web.get("/readyz", handler(endpoints.ready, logged=False), allow_head=False),
            web.route("*", "/{anything:.*}", handler(endpoints.unknown)),
        ]
    )
    return application


async def _listen(settings: Settings, application: web.Application) -> web.AppRunner:
    runner = web.AppRunner(
        application,
        handle_signals=False,
        access_log=None,
        keepalive_timeout=_KEEPALIVE_SECONDS,
        shutdown_timeout=0.1,  # by then nothing is in flight, or its time is over
    )
    await runner.setup()
    await web.TCPSite(runner, "0.0.0.0", settings.port).start()
    port = runner.addresses[0][1]
    log.write("start", version=settings.version, replica=settings.replica, code=settings.code, port=port)
    return runner


async def _stop(runner: web.AppRunner, lifecycle: Lifecycle, grace_seconds: float) -> None:
    """Close what is idle, finish what is in flight, and keep listening meanwhile: `/readyz` can still say why."""
    log.write("stopping", detail=f"{lifecycle.in_flight} in flight")
    for _ in range(_STEPS_TO_BEGIN):
        await asyncio.sleep(0)
    for connection in runner.server.connections if runner.server else ():
        # not pre_shutdown(): that stops serving an idle connection, but leaves it open
        if not lifecycle.is_busy(connection):
            connection.force_close()
    if not await lifecycle.finished(within=grace_seconds):
        log.write("stopping", detail=f"{lifecycle.in_flight} still in flight after {grace_seconds:g} s are cut")
    await runner.cleanup()


def _header_text(text: str) -> str:
    return "".join(letter if " " <= letter <= "~" else "?" for letter in text)[:_MOST_ERROR]
