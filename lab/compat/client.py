"""HTTP to one container: a kept connection, one request at a time, and every failure as an answer without a status."""

import http.client
import itertools
import json
import select
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

SECONDS = 15.0
SHOWN = 600
KEPT_SECONDS = 0.5
"""A server may close a connection that rests; no common one does so sooner. It would look like a failed request."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """`status` 0: none came; `raw` then says why. `json` None: the body is none."""

    request: str
    status: int
    raw: str
    json: Any = None

    @property
    def told(self) -> str:
        return f"{self.status or 'no answer'} {self.raw[:SHOWN]}".strip()

    def at(self, path: str) -> Any:
        """What stands at a dotted path; None where nothing does."""
        return at(self.json, path)


def at(value: Any, path: str) -> Any:
    for part in path.split(".") if path else ():
        if isinstance(value, Mapping):
            value = value.get(part)
        elif isinstance(value, list) and part.isdecimal() and int(part) < len(value):
            value = value[int(part)]
        else:
            return None
    return value


class Client:
    """Of one cell; `name` goes into the ids of its requests, so that the app's own log can be read beside."""

    def __init__(self, port: int, name: str) -> None:
        self._port = port
        self._numbers = itertools.count(1)
        self._link: http.client.HTTPConnection | None = None
        self._rests_since = 0.0
        self.name = name
        self.asked = 0
        self.seconds: list[float] = []

    def ask(self, method: str, path: str, body: Mapping[str, Any] | None = None) -> Answer:
        raw = None if body is None else json.dumps(body)
        told = f"{method} {path}" + (f" {raw}" if raw else "")
        headers = {"X-Lab-Request-Id": f"{self.name}-{next(self._numbers)}"}
        if raw is not None:
            headers["Content-Type"] = "application/json"
        self.asked += 1
        link, began = self._fresh(), time.monotonic()
        try:
            link.request(method, path, raw, headers)
            response = link.getresponse()
            text = response.read().decode(errors="replace")
        except (OSError, http.client.HTTPException) as error:
            self.close()
            return Answer(request=told, status=0, raw=f"{type(error).__name__}: {error}")
        self._rests_since = time.monotonic()
        self.seconds.append(self._rests_since - began)
        found = None
        with suppress(ValueError):
            found = json.loads(text)
        return Answer(request=told, status=response.status, raw=text, json=found)

    def _fresh(self) -> http.client.HTTPConnection:
        """The kept connection, or a new one where the server has closed it or soon may: a write must not meet that."""
        kept = self._link.sock if self._link else None
        if kept is not None:
            closed = bool(select.select([kept], [], [], 0)[0])
            if closed or time.monotonic() - self._rests_since > KEPT_SECONDS:
                self.close()
        self._link = self._link or http.client.HTTPConnection("127.0.0.1", self._port, timeout=SECONDS)
        return self._link

    def close(self) -> None:
        if self._link is not None:
            self._link.close()
        self._link = None
