"""The sample app's page in a real browser, while two versions answer in turn: the script, and what it asks for."""

import itertools
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from playwright.async_api import Browser

from sample_app import v1, v2
from sample_app.page import Form, Front, front

ROW = {"id": 1, "key": "k", "recipient_name": "Ada Lovelace", "address": "1 Harbour Street", "status": "registered"}
SHOWN = {"v1": v1.CODE.parcel(ROW), "v2": v2.CODE.parcel({**ROW, "first_name": "Ada", "last_name": "Lovelace"})}
Turns = tuple[str, ...]


class _Handler(BaseHTTPRequestHandler):
    """One answer a turn: by the version whose turn it is."""

    turns: Iterator[str]
    fronts: dict[str, Front]

    def do_GET(self) -> None:
        version = next(self.turns)
        front = self.fronts[version]
        status, kind, body = 200, "application/json", b""
        if self.path == "/":
            kind, body = "text/html", front.page
        elif self.path.startswith("/assets/"):
            found = front.scripts.get(self.path.removeprefix("/assets/"))
            status, kind, body = (200, "text/javascript", found) if found else (404, "text/plain", b"no such script")
        else:
            body = json.dumps({"data": {"items": [SHOWN[version]], "next": None}}).encode()
        self.send_response(status)
        self.send_header("Content-Type", f"{kind}; charset=utf-8")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Nobody reads it."""


@contextmanager
def fleet(form: Form, turns: Turns) -> Iterator[str]:
    about = {"turns": itertools.cycle(turns), "fronts": {code: front(code, form) for code in ("v1", "v2")}}
    server = ThreadingHTTPServer(("127.0.0.1", 0), type("Handler", (_Handler,), about))
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}/"
    finally:
        server.shutdown()
        thread.join(5)
        server.server_close()


async def opened(browser: Browser, form: Form, turns: Turns, *, stays: bool = False) -> tuple[str, str, list[int]]:
    """How the page ended, what it shows, and the statuses of its script. `turns`: page, script, API.

    `stays`: it is to stay as it came, so there is nothing to wait for but the network.
    """
    page = await (await browser.new_context()).new_page()
    scripts: list[int] = []
    page.on("response", lambda answer: scripts.append(answer.status) if "/assets/" in answer.url else None)
    with fleet(form, turns) as url:
        await page.goto(url, wait_until="networkidle")
        if not stays:
            await page.wait_for_function("document.body.dataset.state !== 'waiting'")
        state = await page.evaluate("document.body.dataset.state")
        shown = await page.inner_text("#parcels")
        await page.context.close()
    return str(state), str(shown).strip(), scripts


ADA = {"v1": "ADA LOVELACE, 1 Harbour Street", "v2": "LOVELACE, Ada; 1 Harbour Street"}
MIXED = [turns for turns in itertools.product(("v1", "v2"), repeat=3) if len(set(turns)) > 1]


@pytest.mark.parametrize("turns", MIXED, ids="-".join)
async def test_a_page_of_either_version_shows_its_parcels_whoever_answers_for_the_rest(
    browser: Browser,
    turns: Turns,
) -> None:
    assert await opened(browser, Form.SAFE, turns) == ("shown", ADA[turns[0]], [200])


@pytest.mark.parametrize("turns", [("v1", "v2", "v1"), ("v2", "v1", "v2")], ids="-".join)
async def test_a_naive_page_stays_empty_when_the_other_version_is_asked_for_its_script(
    browser: Browser,
    turns: Turns,
) -> None:
    assert await opened(browser, Form.NAIVE, turns, stays=True) == ("waiting", "", [404])


async def test_a_naive_script_breaks_on_the_other_versions_answer(browser: Browser) -> None:
    state, shown, scripts = await opened(browser, Form.NAIVE, ("v2", "v2", "v1"))

    assert (shown, scripts) == ("", [200])
    assert state.startswith("broken: ")
    assert await opened(browser, Form.NAIVE, ("v1", "v1", "v2")) == ("shown", ADA["v1"], [200])
