"""Two versions that answer in turn over one table, each parcel with what is wrong with its schema: by its number."""

import itertools
import json
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from loadtest.mixes import Fault
from tests.loadtest_world import seal

Row = dict[str, Any]
WAYS: tuple[Fault | None, ...] = (None, *Fault)
NAMES = ("first_name", "last_name")


@dataclass(slots=True)
class MixedFleet:
    """A parcel's id says which fault its rows suffer: `WAYS[id % len(WAYS)]`."""

    rows: dict[int, Row] = field(default_factory=dict)
    keys: dict[str, int] = field(default_factory=dict)
    turns: "itertools.cycle[str]" = field(default_factory=lambda: itertools.cycle(("v1", "v1", "v2", "v2", "v1", "v2")))
    ids: "itertools.count[int]" = field(default_factory=lambda: itertools.count(1))
    lock: threading.Lock = field(default_factory=threading.Lock)

    def answer(self, method: str, path: str, body: Row) -> tuple[str, int, Any]:
        with self.lock:
            version = next(self.turns)
            if path == "/livez":
                return version, 200, {"live": True}
            if method == "POST":
                return version, *self._store(version, body)
            if "after" in path:
                after, limit = map(int, re.findall(r"=(\d+)", path))
                return version, 200, self._page(version, after, limit)
            row = self.rows[int(path.rpartition("/")[2])]
            if method == "PATCH":
                self._change(version, row, body)
            return version, *self._show(version, row, method)

    def _store(self, version: str, body: Row) -> tuple[int, Any]:
        if body["key"] in self.keys:
            return 200, self._fields(version, self.rows[self.keys[body["key"]]])
        id = next(self.ids)
        row: Row = {"id": id, "key": body["key"], "address": body["address"], "status": "registered", "by": version}
        row["status_by"] = version
        row["way"], row["reads"], row["before"] = WAYS[id % len(WAYS)], 0, None
        self._set(version, row, body, both=row["way"] is not Fault.NULL)
        self.rows[id], self.keys[row["key"]] = row, id
        return 201, self._fields(version, row)

    def _change(self, version: str, row: Row, body: Row) -> None:
        row.update({key: body[key] for key in ("address", "status") if key in body})
        row["by"] = version
        if "status" in body:
            row["status_by"] = version
        if "recipient_name" in body:
            row["before"] = (row["recipient_name"], *(row[name] for name in NAMES))
            self._set(version, row, body, both=row["way"] is not Fault.STALE)
        elif row["way"] is Fault.STRIPPED and version == "v1":
            row["first_name"] = row["last_name"] = "-"

    def _set(self, version: str, row: Row, body: Row, *, both: bool) -> None:
        """Write the columns of that version; of the other's only if the two are kept equal."""
        name = body["recipient_name"]
        first, _, last = name.partition(" ")
        if version == "v2" and "first_name" in body:
            first, last = body["first_name"], body["last_name"]
        for column in ("recipient_name", *NAMES):
            row.setdefault(column, None)
        if version == "v1" or both:
            row["recipient_name"] = name
        if version == "v2" or both:
            row["first_name"], row["last_name"] = first, last

    def _show(self, version: str, row: Row, method: str) -> tuple[int, Any]:
        way = row["way"]
        if method == "GET" and way is Fault.ERROR and version != row["by"]:
            return 500, {"code": "42703", "message": "no such column"}
        shown = self._fields(version, row)
        if method == "GET" and way is Fault.SHAPE and version != row["status_by"]:
            shown["status"] = 1
        if method == "GET" and way is Fault.LOST and row["before"] is not None:
            row["reads"] += 1
            if row["reads"] == 1:  # a backfill that had read the row before it was changed writes it back
                row["recipient_name"], row["first_name"], row["last_name"] = row["before"]
        return 200, shown

    def _page(self, version: str, after: int, limit: int) -> Any:
        hidden = {id for id, row in self.rows.items() if row["way"] is Fault.DUP_MISS and row["by"] != version}
        ids = [id for id in sorted(self.rows.keys() - hidden) if id > after]
        # no list shows what else is wrong with a row: each fault is met where it belongs
        shown = [self._fields(version, self.rows[id]) for id in ids[:limit]]
        items = [{name: "-" if value is None else value for name, value in row.items()} for row in shown]
        return {"items": items, "next": ids[limit - 1] if len(ids) > limit else None}

    def _fields(self, version: str, row: Row) -> Row:
        shown = {name: row[name] for name in ("id", "key", "recipient_name", "address", "status")}
        if version == "v1":
            return shown
        parts = {name: row[name] for name in NAMES}
        return shown | parts | {"recipient_name": " ".join(part or "" for part in parts.values()).strip()}


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    fleet: MixedFleet

    def do_GET(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers.get("Content-Length", 0))) or b"{}")
        version, status, data = self.fleet.answer(self.command, self.path, body)
        failed = status >= 500
        sealed = seal(self.headers["X-Lab-Request-Id"], data, version=version, part="error" if failed else "data")
        self.send_response(status)
        self.send_header("X-Lab-Version", version)
        self.send_header("X-Lab-Replica", "app-1.1")
        if failed:
            self.send_header("X-Lab-Error", f"{data['code']} {data['message']}")
        self.send_header("Content-Length", str(len(sealed)))
        self.end_headers()
        self.wfile.write(sealed)

    do_POST = do_PATCH = do_GET  # noqa: N815  the library's names

    def log_message(self, *_: object) -> None:
        """Nobody reads it."""


@contextmanager
def mixed_fleet() -> Iterator[tuple[str, MixedFleet]]:
    fleet = MixedFleet()
    handler = type("Handler", (_Handler,), {"fleet": fleet, "disable_nagle_algorithm": True})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}", fleet
    finally:
        server.shutdown()
        thread.join(5)
        server.server_close()
