"""What goes to a replica and what comes back: targets, header fields, framings, and the proxy's own answers."""

import asyncio
import re
from pathlib import Path

import pytest

from proxy import pool as pool_module
from proxy.settings import Limits
from tests.proxy_world import (
    Received,
    Replica,
    Responder,
    World,
    connected,
    eventually,
    get,
    read_answer,
    send,
    world,
)


def says(raw: bytes, *, then_close: bool = False) -> Responder:
    async def respond(_request: Received, _reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(raw)
        await writer.drain()
        if then_close:
            writer.close()

    return respond


OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


@pytest.mark.parametrize(
    "target", ["/%7e/a%2Fb?x=%zz&y={|}", "/a/../b//c", "/?q='\"<>", "/ok?a;b=c&d", "*", "/" + "x" * 4000]
)
async def test_the_target_is_passed_byte_for_byte(tmp_path: Path, target: str) -> None:
    async with world(tmp_path) as lab:
        replica = await lab.serve("app-1.1")
        method = "OPTIONS" if target == "*" else "GET"
        await send(lab.port, f"{method} {target} HTTP/1.1\r\nHost: lab.test\r\n\r\n".encode())
        assert replica.requests[0].target == target


async def test_an_absolute_target_gives_the_host_and_is_sent_in_origin_form(tmp_path: Path) -> None:
    async with world(tmp_path) as lab:
        replica = await lab.serve("app-1.1")
        await send(lab.port, get("http://right.test:81/a?b"))
        assert (replica.requests[0].target, replica.requests[0].one("Host")) == ("/a?b", "right.test:81")


async def test_hop_by_hop_fields_end_at_the_proxy_and_no_client_speaks_for_it(tmp_path: Path) -> None:
    async with world(tmp_path) as lab:
        replica = await lab.serve("app-1.1")
        await send(
            lab.port,
            get(
                "/",
                "Connection: keep-alive, X-Secret, Host, X-Lab-Request-Id",
                "X-Secret: 1",
                "Keep-Alive: 5",
                "Proxy-Authorization: b",
                "TE: trailers",
                "X-Forwarded-For: 6.6.6.6",
                "X_Forwarded_For: 6.6.6.6",
                "Forwarded: for=6.6.6.6",
                "X-Lab-Attempt: 9",
                "X-Lab-Request-Id: run-a-1",
                "Cookie: a=1",
                "X-Multi: 1",
                "X-Multi: 2",
                "Via: 1.0 other",
            ),
        )
        got = replica.requests[0]
        names = {key.lower() for key, _ in got.headers}
        assert names.isdisjoint({"connection", "x-secret", "keep-alive", "proxy-authorization", "te"})
        assert "6.6.6.6" not in str(got.headers)
        assert got.one("X-Forwarded-For") == "127.0.0.1"
        assert (got.one("X-Forwarded-Proto"), got.one("X-Forwarded-Host")) == ("http", "lab.test")
        assert (got.one("Host"), got.one("X-Lab-Request-Id"), got.one("X-Lab-Attempt")) == ("lab.test", "run-a-1", "1")
        assert (got.every("X-Multi"), got.one("Cookie")) == (["1", "2"], "a=1")
        assert got.every("Via") == ["1.0 other", "1.1 rolling-lab"]


@pytest.mark.parametrize("given", [[], ["X-Lab-Request-Id: a b"], ["X-Lab-Request-Id: a", "X-Lab-Request-Id: b"]])
async def test_a_request_without_a_usable_id_is_given_one(tmp_path: Path, given: list[str]) -> None:
    async with world(tmp_path) as lab:
        replica = await lab.serve("app-1.1")
        await send(lab.port, get("/", *given))
        await send(lab.port, get("/", *given))
        made = [each.one("X-Lab-Request-Id") for each in replica.requests]
        assert len(set(made)) == 2
        assert all(re.fullmatch(r"[0-9a-f]{16}-[0-9a-f]+", each) for each in made)


async def test_an_answer_is_passed_on_without_what_belongs_to_the_hop(tmp_path: Path) -> None:
    raw = (
        b"HTTP/1.1 299 Odd Reason\r\nETag: W/x\r\nSet-Cookie: a=1\r\nSet-Cookie: b=2\r\n"
        b"Connection: X-Hop\r\nX-Hop: 1\r\nX-Lab-Proxy: forged\r\nContent-Length: 2\r\n\r\nok"
    )
    async with world(tmp_path) as lab:
        await lab.serve("app-1.1", says(raw))
        answer = await send(lab.port, get())
        assert answer.raw_head == (
            b"HTTP/1.1 299 Odd Reason\r\nETag: W/x\r\nSet-Cookie: a=1\r\nSet-Cookie: b=2\r\nContent-Length: 2\r\n"
            b"Via: 1.1 rolling-lab\r\n\r\n"
        )
        assert answer.body == b"ok"


async def test_an_interim_answer_is_not_taken_for_the_answer(tmp_path: Path) -> None:
    async with world(tmp_path) as lab:
        await lab.serve("app-1.1", says(b"HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n" + OK))
        async with connected(lab.port) as (reader, writer):
            writer.write(get())
            assert await reader.readuntil(b"\r\n\r\n") == b"HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n"
            assert (await read_answer(reader)).body == b"ok"


async def test_a_body_that_ends_with_its_connection_is_framed_anew(tmp_path: Path) -> None:
    async with world(tmp_path) as lab:
        await lab.serve("app-1.1", says(b"HTTP/1.1 200 OK\r\n\r\nall of it", then_close=True))
        answer = await send(lab.port, get())
        assert (answer.headers["transfer-encoding"], answer.body) == ("chunked", b"all of it")


async def test_a_client_of_http_1_0_gets_no_chunks(tmp_path: Path) -> None:
    chunks = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n"
    async with world(tmp_path) as lab:
        replica = await lab.serve("app-1.1", says(chunks))
        answer = await send(lab.port, b"GET / HTTP/1.0\r\n\r\n")
        assert ("transfer-encoding" in answer.headers, answer.body) == (False, b"hello")
        assert replica.requests[0].one("Host") == replica.address


@pytest.mark.parametrize(
    ("method", "raw"),
    [
        ("HEAD", b"HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\n"),
        ("HEAD", b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"),
        ("GET", b"HTTP/1.1 204 No Content\r\n\r\n"),
        ("GET", b"HTTP/1.1 304 Not Modified\r\nContent-Length: 99\r\n\r\n"),
    ],
)
async def test_answers_without_a_body_leave_both_connections_usable(tmp_path: Path, method: str, raw: bytes) -> None:
    async with world(tmp_path) as lab:
        replica = await lab.serve("app-1.1", says(raw))
        twice = f"{method} / HTTP/1.1\r\nHost: lab.test\r\n\r\n".encode() * 2
        async with connected(lab.port) as (reader, writer):
            writer.write(twice)
            heads = [await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 5) for _ in range(2)]
            assert heads[0] == heads[1]
            assert len(replica.requests) == 2
            assert lab.server.gateway.pools["app-1.1"].connections <= 2


async def test_100_continue_is_said_by_the_proxy_once_a_replica_is_claimed(tmp_path: Path) -> None:
    async def echo(request: Received, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        assert not request.every("Expect")
        await reader.readexactly(int(request.one("Content-Length")))
        writer.write(OK)

    post = b"POST / HTTP/1.1\r\nHost: lab.test\r\nContent-Length: 3\r\nExpect: 100-continue\r\n\r\n"
    async with world(tmp_path, limits=Limits(hold_seconds=0)) as lab:
        assert (await send(lab.port, post)).status == 503
        await lab.serve("app-1.1", echo)
        async with connected(lab.port) as (reader, writer):
            writer.write(post)
            assert await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 5) == b"HTTP/1.1 100 Continue\r\n\r\n"
            writer.write(b"abc")
            assert (await asyncio.wait_for(reader.readline(), 5)).startswith(b"HTTP/1.1 200")


@pytest.mark.parametrize(
    ("status", "request_"),
    [
        (501, b"CONNECT lab.test:1 HTTP/1.1\r\nHost: lab.test\r\n\r\n"),
        (405, b"TRACE / HTTP/1.1\r\nHost: lab.test\r\n\r\n"),
        (417, get("/", "Expect: miracles")),
        (400, b"GET / HTTP/1.1\r\n\r\n"),
        (400, b"GET / HTTP/1.1\r\nHost: a,b\r\n\r\n"),
        (400, b"GET / HTTP/1.1\r\nHost: u@h\r\n\r\n"),
        (400, b"POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\nContent-Length: 1\r\n\r\n"),
        (501, b"POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n"),
    ],
)
async def test_what_cannot_be_passed_on_is_refused_by_name(tmp_path: Path, status: int, request_: bytes) -> None:
    async with world(tmp_path) as lab:
        replica = await lab.serve("app-1.1")
        answer = await send(lab.port, request_)
        assert (answer.status, answer.headers["x-lab-proxy"]) == (status, "bad-request")
        assert replica.requests == []


async def test_no_ready_replica_is_said_with_the_request_id(tmp_path: Path) -> None:
    async with world(tmp_path, limits=Limits(hold_seconds=0)) as lab:
        answer = await send(lab.port, get("/", "X-Lab-Request-Id: run-a-7"))
        assert (answer.status, answer.headers["x-lab-proxy"]) == (503, "no-ready-replica")
        assert (answer.headers["retry-after"], answer.headers["x-lab-request-id"]) == ("1", "run-a-7")


async def test_a_replica_that_refuses_connections_is_stepped_over_and_each_attempt_is_in_the_ledger(
    tmp_path: Path,
) -> None:
    async with world(tmp_path, limits=Limits(hold_seconds=0, eject_errors=99)) as lab:
        dead, alive = await _one_dead(lab)
        await lab.change("PUT", "/v1/run", run="r1")
        for number in range(20):
            assert (await send(lab.port, get("/", f"X-Lab-Request-Id: id-{number}"))).status == 200
        lines = [line for line in lab.ledger("r1") if line["e"] in {"begin", "end"}]
        steps: dict[str, list[tuple[str, int, str]]] = {}
        for line in lines:
            step = (line["e"], line["attempt"], line.get("replica") or line.get("result"))
            steps.setdefault(line["id"], []).append(step)
        stepped = [("begin", 1, dead.name), ("end", 1, "connect_failed"), ("begin", 2, alive.name), ("end", 2, "ok")]
        straight = [("begin", 1, alive.name), ("end", 1, "ok")]
        assert all(each in (stepped, straight) for each in steps.values())
        assert stepped in steps.values()
        assert {each.one("X-Lab-Attempt") for each in alive.requests} == {"1", "2"}

        await alive.kill()
        answer = await send(lab.port, get())
        assert (answer.status, answer.headers["x-lab-proxy"]) == (502, "connect-failed")


async def _one_dead(lab: World) -> tuple[Replica, Replica]:
    """Two replicas in rotation, probed too seldom for the death of the first to be known."""
    made = []
    for name in ("app-1.1", "app-2.1"):
        replica = await lab.replica(name)
        await lab.join(replica, interval_ms=60_000)
        await lab.admit(replica)
        made.append(replica)
    await made[0].kill()
    return made[0], made[1]


async def test_a_post_that_was_sent_is_never_sent_again(tmp_path: Path) -> None:
    async def dies(_request: Received, _reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.transport.abort()

    async with world(tmp_path) as lab:
        replicas = [await lab.serve("app-1.1", dies), await lab.serve("app-2.1", dies)]
        answer = await send(lab.port, b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 0\r\n\r\n")
        assert (answer.status, answer.headers["x-lab-proxy"]) == (502, "upstream-closed")
        assert sum(len(replica.requests) for replica in replicas) == 1


@pytest.mark.parametrize(
    "raw",
    [
        b"nonsense\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nX: " + b"x" * 70_000 + b"\r\n\r\n",
        b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n",
    ],
)
async def test_an_answer_that_is_none_becomes_a_502(tmp_path: Path, raw: bytes) -> None:
    async with world(tmp_path) as lab:
        await lab.serve("app-1.1", says(raw))
        answer = await send(lab.port, get())
        assert (answer.status, answer.headers["x-lab-proxy"]) == (502, "bad-answer")


async def test_a_connection_on_which_more_comes_than_was_asked_for_is_not_used_again(tmp_path: Path) -> None:
    async with world(tmp_path) as lab:
        replica = await lab.serve("app-1.1", says(OK + OK))
        assert (await send(lab.port, get())).body == b"ok"
        assert (await send(lab.port, get())).body == b"ok"
        assert len(replica.requests) == 2
        assert lab.server.gateway.pools["app-1.1"].idle == 0


async def test_an_idle_connection_is_closed_by_the_proxy_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pool_module, "IDLE_SECONDS", 0.02)
    async with world(tmp_path) as lab:
        replica = await lab.serve("app-1.1", says(OK))
        await send(lab.port, get())
        await asyncio.wait_for(replica.gone.wait(), 5)
        assert lab.server.gateway.pools["app-1.1"].idle == 0


async def test_an_idle_connection_on_which_anything_comes_is_dropped_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pool_module, "IDLE_SECONDS", 60)
    go_on = asyncio.Event()

    async def speaks_up(_request: Received, _reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(OK)
        await go_on.wait()
        writer.write(OK)

    async with world(tmp_path) as lab:
        await lab.serve("app-1.1", speaks_up)
        await send(lab.port, get())
        pool = lab.server.gateway.pools["app-1.1"]
        assert pool.idle == 1
        go_on.set()
        await eventually(lambda: pool.idle == 0)


async def test_an_answer_cannot_have_its_length_taken_away(tmp_path: Path) -> None:
    async with world(tmp_path) as lab:
        await lab.serve(
            "app-1.1", says(b"HTTP/1.1 200 OK\r\nConnection: content-length\r\nContent-Length: 2\r\n\r\nok")
        )
        assert (await send(lab.port, get())).headers["content-length"] == "2"


async def test_an_idle_connection_that_the_replica_closes_is_dropped_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pool_module, "IDLE_SECONDS", 60)
    async with world(tmp_path) as lab:
        replica = await lab.serve("app-1.1", says(OK))
        await send(lab.port, get())
        pool = lab.server.gateway.pools["app-1.1"]
        assert pool.idle == 1
        port = replica.port
        await replica.kill()
        await eventually(lambda: pool.idle == 0)
        await replica.start(port)
        assert (await send(lab.port, get())).status == 200
