"""A small shop: plain WSGI, no framework, no database, and nothing in it that knows of the lab."""

import json
import os
import time
from collections.abc import Callable, Iterable, Mapping
from typing import Any
from urllib.request import urlopen

VERSION = os.environ.get("SHOP_VERSION", "0")
ITEMS = {"tea": 3, "coffee": 4, "cocoa": 5}

Start = Callable[[str, list[tuple[str, str]]], Any]


def app(environ: Mapping[str, Any], start: Start) -> Iterable[bytes]:
    match environ["PATH_INFO"]:
        case "/":
            return _answer(start, {"shop": VERSION})
        case "/health":
            return _answer(start, {"healthy": True})
        case "/items":
            return _answer(start, ITEMS)
        case "/stock":
            with urlopen("http://stock:8000/", timeout=5) as answer:
                return _answer(start, json.load(answer))
        case "/report":
            time.sleep(0.8)  # as a report that is made on demand takes
            return _answer(start, {"sold": sum(ITEMS.values())})
    return _answer(start, {"error": "there is no such page"}, status="404 Not Found")


def stock(environ: Mapping[str, Any], start: Start) -> Iterable[bytes]:
    """Another service, that nobody rolls."""
    return _answer(start, dict.fromkeys(ITEMS, 7))


def _answer(start: Start, data: object, *, status: str = "200 OK") -> list[bytes]:
    body = json.dumps(data).encode()
    start(status, [("Content-Type", "application/json"), ("Content-Length", str(len(body)))])
    return [body]
