"""A small notebook: plain WSGI, a connection for each request, and nothing in it that knows of the lab."""

import json
import os
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import psycopg

COLUMN = {"1.0": "body", "2.0": "content"}[os.environ.get("NOTES_VERSION", "1.0")]
"""What 1.0 calls body, 2.0 calls content."""

Start = Callable[[str, list[tuple[str, str]]], Any]


def app(environ: Mapping[str, Any], start: Start) -> Iterable[bytes]:
    path, method = environ["PATH_INFO"].strip("/"), environ["REQUEST_METHOD"]
    if path == "health":
        return _answer(start, {"healthy": True})
    try:
        if method == "POST" and path == "notes":
            return _answer(start, _one(f"insert into notes ({COLUMN}) values (%s) returning id, {COLUMN}", _text(environ)))
        note = int(path.removeprefix("notes/"))
        if method == "PUT":
            sql = f"update notes set {COLUMN} = %s where id = %s returning id, {COLUMN}"
            return _answer(start, _one(sql, _text(environ), note))
        return _answer(start, _one(f"select id, {COLUMN} from notes where id = %s", note))
    except (ValueError, TypeError):
        return _answer(start, {"error": "there is no such note"}, status="404 Not Found")
    except psycopg.Error as error:
        return _answer(start, {"error": str(error)}, status="500 Internal Server Error")


def _one(sql: str, *values: object) -> dict[str, object]:
    with psycopg.connect(os.environ["DATABASE_URL"]) as connection:
        number, text = connection.execute(sql, values).fetchone()
    return {"id": number, "text": text}


def _text(environ: Mapping[str, Any]) -> str:
    return json.loads(environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0)))["text"]


def _answer(start: Start, data: object, *, status: str = "200 OK") -> list[bytes]:
    body = json.dumps(data).encode()
    start(status, [("Content-Type", "application/json"), ("Content-Length", str(len(body)))])
    return [body]
