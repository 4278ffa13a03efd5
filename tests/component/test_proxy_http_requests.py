"""A request as its replica gets it: byte for byte what the client sent, less what was the hop's, plus what is ours."""

from pathlib import Path

import pytest

from proxy.settings import Limits
from tests.proxy_oracle import Oracle, converse, ledger_of, rotate
from tests.proxy_wire import Seen
from tests.proxy_world import connected, get, read_answer, send, world

OURS = {
    "via",
    "forwarded",
    "x-forwarded-for",
    "x-forwarded-proto",
    "x-forwarded-host",
    "x-lab-request-id",
    "x-lab-attempt",
}
TRUSTING = Limits(trusted_peers=("10.0.0.0/8", "127.0.0.0/8"))


def passed_on(seen: Seen) -> list[tuple[bytes, bytes]]:
    return [(name, value) for name, value in seen.fields if name.decode().lower() not in {*OURS, "host"}]


def joined(seen: Seen, name: str) -> str:
    return ", ".join(seen.every(name))


@pytest.mark.parametrize(
    "target",
    [
        "/%41%7e%2F%2f%00%zz%",
        "/a/./b/../c/..//d/",
        "/?a=%26&b=+&c=%20&&=",
        "//evil.test/p",
        "/a;b=c?d;e",
        "/'()*!$,:@[]|\\\"<>{}^`~",
        "/?",
        "/http://other.test/",
        "/*",
        "/" + "0123456789" * 700,
    ],
)
async def test_a_target_arrives_as_it_was_sent(tmp_path: Path, target: str) -> None:
    async with world(tmp_path) as lab:
        upstream = await rotate(lab, Oracle())
        assert (await send(lab.port, get(target))).status == 200
        assert upstream.last.target == target


@pytest.mark.parametrize(
    ("target", "host", "origin"),
    [
        ("http://right.test/p?q", "right.test", "/p?q"),
        ("http://right.test:81?q", "right.test:81", "/?q"),
        ("HTTPS://[::1]:81", "[::1]:81", "/"),
    ],
)
async def test_an_absolute_target_outweighs_the_host_field(tmp_path: Path, target: str, host: str, origin: str) -> None:
    async with world(tmp_path) as lab:
        upstream = await rotate(lab, Oracle())
        await send(lab.port, get(target, "X: 1"))
        seen = upstream.last
        assert (seen.target, seen.one("Host"), seen.one("X-Forwarded-Host")) == (origin, host, host)


@pytest.mark.parametrize(
    "method", ["GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "PROPFIND", "REPORT", "LOCK", "M-SEARCH"]
)
async def test_a_method_is_passed_on(tmp_path: Path, method: str) -> None:
    async with world(tmp_path) as lab:
        upstream = await rotate(lab, Oracle())
        body = b"Content-Length: 2\r\n\r\nhi"
        assert (await send(lab.port, f"{method} /m HTTP/1.1\r\nHost: lab.test\r\n".encode() + body)).status == 200
        assert (upstream.last.method, upstream.last.body) == (method, b"hi")


async def test_order_case_and_repetition_of_fields_are_kept_and_nothing_is_added(tmp_path: Path) -> None:
    fields = [
        (b"x-b", b"2"),
        (b"X-A", b"1"),
        (b"ACCEPT", b"*/*"),
        (b"x-b", b"3"),
        (b"Cookie", b"a=1; b=2"),
        (b"cookie", b"c=3"),
        (b"X-Empty", b""),
        (b"X-Bytes", b"\xc3\xa9\xff"),
        (b"If-None-Match", b'W/"a", "b"'),
        (b"accept-encoding", b"gzip, br"),
    ]
    raw = b"GET / HTTP/1.1\r\n" + b"".join(b"%b: %b\r\n" % field for field in fields) + b"Host: lab.test\r\n\r\n"
    async with world(tmp_path) as lab:
        upstream = await rotate(lab, Oracle())
        await send(lab.port, raw)
        assert passed_on(upstream.last) == fields
        assert set(upstream.last.names) - {name.decode().lower() for name, _ in fields} == {*OURS, "host"}


async def test_every_connection_field_is_read_and_what_it_names_ends_here(tmp_path: Path) -> None:
    fields = [
        "connection: x-ONE , x-two",
        "X-One: 1",
        "X-Kept: 1",
        "Connection: close,X-Three",
        "X-Two: 2",
        "x-three: 3",
    ]
    more = ["Keep-Alive: timeout=9", "Proxy-Connection: keep-alive", "Proxy-Authorization: Basic x", "TE: trailers"]
    async with world(tmp_path) as lab:
        upstream = await rotate(lab, Oracle())
        await send(lab.port, get("/", *fields, *more))
        assert passed_on(upstream.last) == [(b"X-Kept", b"1")]


async def test_connection_options_take_away_nothing_that_the_proxy_says(tmp_path: Path) -> None:
    ours = ["X-Forwarded-For", "X-Forwarded-Proto", "X-Forwarded-Host", "Forwarded", "X-Lab-Attempt", "Host", "Via"]
    async with world(tmp_path) as lab:
        upstream = await rotate(lab, Oracle())
        await send(lab.port, get("/", "Connection: " + ", ".join([*ours, "X-Lab-Request-Id"]), "Via: 1.0 first"))
        assert {name.lower() for name in ours} <= set(upstream.last.names)


async def test_an_upgrade_that_is_not_asked_of_us_goes_no_further(tmp_path: Path) -> None:
    fields = ["Connection: Upgrade, HTTP2-Settings", "Upgrade: h2c", "HTTP2-Settings: AAMAAABkAAQAAP__"]
    async with world(tmp_path) as lab:
        upstream = await rotate(lab, Oracle())
        async with connected(lab.port) as (reader, writer):
            for _ in range(2):
                writer.write(get("/", *fields))
                assert (await read_answer(reader)).status == 200
        assert [passed_on(seen) for seen in upstream.seen] == [[], []]


async def test_the_proxy_adds_itself_to_those_a_request_came_through(tmp_path: Path) -> None:
    async with world(tmp_path, limits=Limits(pseudonym="edge")) as lab:
        upstream = await rotate(lab, Oracle(pseudonym="edge"))
        await send(lab.port, get("/", "Via: 1.0 first, 1.1 rolling-lab", "Via: 2 third (a, b)"))
        assert joined(upstream.last, "Via") == "1.0 first, 1.1 rolling-lab, 2 third (a, b), 1.1 edge"


@pytest.mark.parametrize(
    "via",
    [
        ["1.1 rolling-lab"],
        ["1.0 first, 1.1 rolling-lab"],
        ["1.0 first", "1.1 rolling-lab (nginx), 1.1 last"],
        ["HTTP/1.1 rolling-lab"],
    ],
)
async def test_a_request_that_has_been_here_is_a_loop(tmp_path: Path, via: list[str]) -> None:
    async with world(tmp_path) as lab:
        upstream = await rotate(lab, Oracle())
        answer = await send(lab.port, get("/", *(f"Via: {value}" for value in via)))
        assert (answer.status, answer.headers["x-lab-proxy"]) == (508, "loop")
        assert upstream.seen == []


@pytest.mark.parametrize("via", ["1.1 rolling-lab-2", "1.1 other (rolling-lab)", "1.1 not-rolling-lab"])
async def test_another_of_a_like_name_is_no_loop(tmp_path: Path, via: str) -> None:
    async with world(tmp_path) as lab:
        await rotate(lab, Oracle())
        assert (await send(lab.port, get("/", f"Via: {via}"))).status == 200


CLAIMS = [
    "X-Forwarded-For: 6.6.6.6",
    "x-forwarded-for: 7.7.7.7",
    "X-Forwarded-Proto: https",
    "X-Forwarded-Host: evil.test",
    "Forwarded: for=6.6.6.6;proto=https;host=evil.test",
    "forwarded: for=7.7.7.7",
]


async def test_nobody_is_believed_about_where_a_request_came_from(tmp_path: Path) -> None:
    spoofs = [claim.replace("-", "_") for claim in CLAIMS[:4]] + ["X-Real-IP: 6.6.6.6"]
    async with world(tmp_path) as lab:
        upstream = await rotate(lab, Oracle())
        await send(lab.port, get("/", *CLAIMS, *spoofs))
        seen = upstream.last
        assert joined(seen, "X-Forwarded-For") == "127.0.0.1"
        assert (joined(seen, "X-Forwarded-Proto"), joined(seen, "X-Forwarded-Host")) == ("http", "lab.test")
        assert joined(seen, "Forwarded") == "for=127.0.0.1;host=lab.test;proto=http"
        assert b"6.6.6.6" not in seen.raw_head
        assert b"evil" not in seen.raw_head


async def test_a_trusted_peer_is_believed_and_added_to_the_list(tmp_path: Path) -> None:
    async with world(tmp_path, limits=TRUSTING) as lab:
        upstream = await rotate(lab, Oracle())
        await send(lab.port, get("/", *CLAIMS))
        seen = upstream.last
        assert joined(seen, "X-Forwarded-For") == "6.6.6.6, 7.7.7.7, 127.0.0.1"
        assert (joined(seen, "X-Forwarded-Proto"), joined(seen, "X-Forwarded-Host")) == ("https", "evil.test")
        first, second, last = joined(seen, "Forwarded").split(", ")
        assert (first, second) == ("for=6.6.6.6;proto=https;host=evil.test", "for=7.7.7.7")
        assert last == "for=127.0.0.1;host=lab.test;proto=http"


async def test_a_trusted_peer_that_says_nothing_is_spoken_for(tmp_path: Path) -> None:
    async with world(tmp_path, limits=TRUSTING) as lab:
        upstream = await rotate(lab, Oracle())
        await send(lab.port, get())
        seen = upstream.last
        assert [joined(seen, f"X-Forwarded-{name}") for name in ("For", "Proto", "Host")] == [
            "127.0.0.1",
            "http",
            "lab.test",
        ]


async def test_only_the_networks_that_were_named_are_trusted(tmp_path: Path) -> None:
    async with world(tmp_path, limits=Limits(trusted_peers=("10.0.0.0/8", "::1/128"))) as lab:
        upstream = await rotate(lab, Oracle())
        await send(lab.port, get("/", *CLAIMS))
        assert joined(upstream.last, "X-Forwarded-For") == "127.0.0.1"


@pytest.mark.parametrize("host", ["lab.test:81", "[::1]:81", "[::1]", "a;b=c"])
async def test_a_host_that_is_no_token_is_quoted_in_forwarded(tmp_path: Path, host: str) -> None:
    async with world(tmp_path) as lab:
        upstream = await rotate(lab, Oracle())
        await send(lab.port, f"GET / HTTP/1.1\r\nHost: {host}\r\n\r\n".encode())
        assert joined(upstream.last, "Forwarded") == f'for=127.0.0.1;host="{host}";proto=http'


async def test_a_request_is_passed_on_in_our_version_whatever_the_clients_is(tmp_path: Path) -> None:
    async with world(tmp_path) as lab:
        upstream = await rotate(lab, Oracle())
        heard = await converse(lab.port, b"GET /old HTTP/1.0\r\nX-Lab-Request-Id: old\r\n\r\n")
        assert [answer.body for answer in heard.answers] == [b"old"]
        assert heard.raw.startswith(b"HTTP/1.1 200 OK\r\n")
        assert upstream.last.first == b"GET /old HTTP/1.1"
        assert upstream.last.one("Host") == upstream.address


async def test_max_forwards_at_its_end_is_answered_here(tmp_path: Path) -> None:
    async with world(tmp_path) as lab:
        upstream = await rotate(lab, Oracle())
        for target in ("/", "*"):
            raw = f"OPTIONS {target} HTTP/1.1\r\nHost: lab.test\r\nMax-Forwards: 0\r\n\r\n".encode()
            answer = await send(lab.port, raw)
            assert (answer.status, answer.headers["x-lab-proxy"], answer.body) == (200, "answered-here", b"")
            assert (answer.headers["content-length"], "allow" in answer.headers) == ("0", False)
        assert upstream.seen == []


@pytest.mark.parametrize(("given", "left"), [("1", "0"), ("10", "9"), ("007", "6")])
async def test_max_forwards_counts_down(tmp_path: Path, given: str, left: str) -> None:
    async with world(tmp_path) as lab:
        upstream = await rotate(lab, Oracle())
        raw = f"OPTIONS / HTTP/1.1\r\nHost: lab.test\r\nMax-Forwards: {given}\r\n\r\n".encode()
        assert (await send(lab.port, raw)).status == 200
        assert upstream.last.every("Max-Forwards") == [left]


async def test_max_forwards_is_no_business_of_other_methods(tmp_path: Path) -> None:
    async with world(tmp_path) as lab:
        upstream = await rotate(lab, Oracle())
        await send(lab.port, get("/", "Max-Forwards: 0"))
        assert upstream.last.every("Max-Forwards") == ["0"]


@pytest.mark.parametrize("kept", ["a", "run-1.a_B-9", "x" * 64])
async def test_a_request_id_is_kept(tmp_path: Path, kept: str) -> None:
    async with world(tmp_path) as lab:
        upstream = await rotate(lab, Oracle())
        await lab.change("PUT", "/v1/run", run="r1")
        await send(lab.port, get("/", f"X-Lab-Request-Id: {kept}"))
        assert upstream.last.id == kept
        assert list((await ledger_of(lab, "r1")).attempts) == [(kept, 1)]


@pytest.mark.parametrize("given", ["x" * 65, "a b", "a,b", "a/b", "a\tb", "", '"a"', "a%0d", "\u00e9"])
async def test_an_id_that_is_none_is_replaced_by_one_that_is(tmp_path: Path, given: str) -> None:
    async with world(tmp_path) as lab:
        upstream = await rotate(lab, Oracle())
        for _ in range(2):
            await send(lab.port, get("/", f"X-Lab-Request-Id: {given}"))
        one, two = upstream.seen
        assert len({one.id, two.id, given}) == 3


async def test_the_context_of_a_trace_is_passed_on_untouched(tmp_path: Path) -> None:
    fields = [
        "traceparent: 00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
        "tracestate: a=1",
        "tracestate: b=2",
    ]
    async with world(tmp_path) as lab:
        upstream = await rotate(lab, Oracle())
        await send(lab.port, get("/", *fields))
        assert [b"%b: %b" % field for field in passed_on(upstream.last)] == [field.encode() for field in fields]


async def test_who_waits_for_100_continue_gets_it_and_the_replica_knows_nothing_of_it(tmp_path: Path) -> None:
    async with world(tmp_path) as lab:
        upstream = await rotate(lab, Oracle())
        for framing, body in (
            ("Content-Length: 5", b"hello"),
            ("Transfer-Encoding: chunked", b"5\r\nhello\r\n0\r\n\r\n"),
        ):
            async with connected(lab.port) as (reader, writer):
                head = f"POST / HTTP/1.1\r\nHost: lab.test\r\n{framing}\r\nexpect: 100-Continue\r\n\r\n"
                writer.write(head.encode())
                assert await reader.readuntil(b"\r\n\r\n") == b"HTTP/1.1 100 Continue\r\n\r\n"
                writer.write(body)
                assert (await reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 200")
            assert upstream.last.body == b"hello"


@pytest.mark.parametrize(
    ("line", "wait"),
    [(b"POST / HTTP/1.0\r\n", b"Content-Length: 2\r\n"), (b"GET / HTTP/1.1\r\nHost: lab.test\r\n", b"")],
)
async def test_nobody_is_told_to_go_on_who_has_nothing_to_go_on_with(tmp_path: Path, line: bytes, wait: bytes) -> None:
    async with world(tmp_path) as lab:
        await rotate(lab, Oracle())
        raw = line + wait + b"Expect: 100-continue\r\nConnection: close\r\n\r\n" + (b"hi" if wait else b"")
        heard = await converse(lab.port, raw)
        assert heard.raw.startswith(b"HTTP/1.1 200")


@pytest.mark.parametrize(
    ("status", "raw"),
    [
        (400, b"POST / HTTP/1.1\r\nHost: u@h\r\nContent-Length: 2\r\nExpect: 100-continue\r\n\r\n"),
        (417, b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 2\r\nExpect: 100-continue, more\r\n\r\n"),
        (413, b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 2000\r\nExpect: 100-continue\r\n\r\n"),
        (
            508,
            b"POST / HTTP/1.1\r\nHost: h\r\nVia: 1.1 rolling-lab\r\nContent-Length: 2\r\nExpect: 100-continue\r\n\r\n",
        ),
    ],
)
async def test_a_body_that_nobody_wants_is_not_asked_for(tmp_path: Path, status: int, raw: bytes) -> None:
    async with world(tmp_path, limits=Limits(body_bytes=1000)) as lab:
        upstream = await rotate(lab, Oracle())
        heard = await converse(lab.port, raw)
        assert [answer.status for answer in heard.answers] == [status]
        assert b" 100 " not in heard.raw
        assert heard.answers[0].closes
        assert upstream.seen == []


async def test_a_head_without_a_body_has_no_framing_made_up_for_it(tmp_path: Path) -> None:
    async with world(tmp_path) as lab:
        upstream = await rotate(lab, Oracle())
        for method in ("GET", "DELETE", "OPTIONS", "POST"):
            await send(lab.port, f"{method} / HTTP/1.1\r\nHost: lab.test\r\n\r\n".encode())
            assert {"content-length", "transfer-encoding"}.isdisjoint(upstream.last.names)
