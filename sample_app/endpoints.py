"""What the app answers to each request (docs/reference/wire.md, the app's HTTP interface)."""

import asyncio
import json
from dataclasses import dataclass
from functools import partial
from http import HTTPStatus
from typing import Any

from aiohttp import web

from sample_app import envelope, executions, inputs, live, openapi
from sample_app.app_code import Code, Columns, Row
from sample_app.database import Connection, Database
from sample_app.envelope import Sender
from sample_app.faults import Fuse
from sample_app.lifecycle import Lifecycle
from sample_app.live import Live, Seal
from sample_app.page import Front
from sample_app.readiness import Readiness
from sample_app.wrong_writes import WrongWrites


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """One request, and which attempt at it this is."""

    request: web.Request
    request_id: str
    attempt: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What goes into the envelope."""

    data: Any
    status: HTTPStatus = HTTPStatus.OK


@dataclass(frozen=True, slots=True, kw_only=True)
class File:
    """An answer for a browser, in no envelope."""

    body: bytes
    content_type: str
    cached: bool = False


class NotFoundError(LookupError):
    """There is nothing of that name; the message says of which."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Endpoints:
    """The same for V1 and V2: `code` is all that differs."""

    sender: Sender
    code: Code
    database: Database
    readiness: Readiness
    lifecycle: Lifecycle
    fuse: Fuse
    front: Front
    wrong: WrongWrites

    async def page(self, _call: Call) -> File:
        return File(body=self.front.page, content_type="text/html")

    async def script(self, call: Call) -> File:
        body = self.front.scripts.get(call.request.match_info["name"])
        if body is None:
            raise NotFoundError(f"this version has no {call.request.path}")
        return File(body=body, content_type="text/javascript", cached=True)

    async def create_parcel(self, call: Call) -> Answer:
        columns = inputs.new_parcel(await call.request.read(), self.code)
        async with self.database.connection() as connection:
            created = await self._store(connection, call, columns)
            # a known key: the insert did nothing, and the parcel is there
            row = created or await _one(connection, self.code.by_key, {"key": columns["key"]})
            if created:
                again = partial(self._store_as, connection, call, columns)
                await self.wrong.done(call.request_id, created["id"], created["key"], again)
        return self._parcel(row, status=HTTPStatus.CREATED if created else HTTPStatus.OK)

    async def change_parcel(self, call: Call) -> Answer:
        columns = inputs.changes(await call.request.read(), self.code)
        async with self.database.connection() as connection:
            await self._record(connection, call)
            row = await _one(connection, self.code.update, {**columns, "id": _id(call)})
        return self._parcel(row)

    async def read_parcel(self, call: Call) -> Answer:
        async with self.database.connection() as connection:
            row = await _one(connection, self.code.by_id, {"id": _id(call)})
        return self._parcel(row)

    async def list_parcels(self, call: Call) -> Answer:
        page = inputs.page(call.request.query, self.code.cursor)
        # one more than asked for tells whether there is a next page
        values = {"after": page.after, "limit": page.limit + 1}
        async with self.database.connection() as connection:
            rows = await (await connection.execute(self.code.page, values)).fetchall()
        items = [self.code.parcel(row) for row in rows[: page.limit]]
        following = inputs.cursor(items[-1]["id"], self.code.cursor) if len(rows) > page.limit else None
        return Answer(data={"items": items, "next": following})

    async def slow(self, call: Call) -> Answer:
        seconds = inputs.seconds(call.request.query)
        await asyncio.sleep(seconds)
        return Answer(data={"slept": seconds})

    async def stream(self, call: Call) -> Live:
        return live.event_stream(inputs.stream(call.request.query), self._seal(call), self.lifecycle)

    async def socket(self, call: Call) -> Live:
        return live.echo(call.request, self._seal(call), self.lifecycle)

    async def version(self, _call: Call) -> Answer:
        sender = self.sender
        return Answer(data={"code": self.code.name, "version": sender.version, "replica": sender.replica})

    async def document(self, _call: Call) -> File:
        return File(body=json.dumps(openapi.document(self.code)).encode(), content_type="application/json")

    async def live(self, _call: Call) -> Answer:
        return Answer(data={"live": True})

    async def ready(self, _call: Call) -> Answer:
        now = self.readiness.now(stopping=self.lifecycle.stopping)
        if now.ready:
            self.fuse.told_ready()
        status = HTTPStatus.OK if now.ready else HTTPStatus.SERVICE_UNAVAILABLE
        return Answer(data={"ready": now.ready, "detail": now.detail}, status=status)

    async def unknown(self, call: Call) -> Answer:
        raise NotFoundError(f"no {call.request.method} {call.request.path} here")

    def _seal(self, call: Call) -> Seal:
        return lambda data: envelope.seal(request_id=call.request_id, sender=self.sender, data=data)

    async def _store(self, connection: Connection, call: Call, columns: Columns) -> Row | None:
        await self._record(connection, call)
        return await _one(connection, self.code.insert, columns)

    async def _store_as(self, connection: Connection, call: Call, columns: Columns, key: str) -> Row | None:
        return await self._store(connection, call, {**columns, "key": key})

    async def _record(self, connection: Connection, call: Call) -> None:
        operation = f"{call.request.method} {call.request.path}"
        write = executions.Write(request_id=call.request_id, attempt=call.attempt, operation=operation)
        await executions.record(connection, write, self.sender)
        await connection.commit()  # where not each statement is a transaction: what was handled stays recorded

    def _parcel(self, row: Row | None, *, status: HTTPStatus = HTTPStatus.OK) -> Answer:
        if row is None:
            raise NotFoundError("no such parcel")
        return Answer(data=self.code.parcel(row), status=status)


async def _one(connection: Connection, statement: str, values: Columns | dict[str, Any]) -> Row | None:
    return await (await connection.execute(statement, values)).fetchone()


def _id(call: Call) -> int:
    return int(call.request.match_info["id"])
