"""A client that says nearly the same again and again on one connection, and what must have become of each request."""

import random
from collections.abc import Callable
from dataclasses import dataclass, replace

from tests.proxy_oracle import Oracle
from tests.proxy_wire import Seen
from tests.proxy_world import connected, read_answer

OWN = {
    "via",
    "forwarded",
    "x-forwarded-for",
    "x-forwarded-proto",
    "x-forwarded-host",
    "x-lab-request-id",
    "x-lab-attempt",
}
HOP = {"host", "connection", "te", "keep-alive", "content-length", "transfer-encoding"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    method: str = "GET"
    target: str = "/a"
    fields: tuple[tuple[str, str], ...] = (
        ("Host", "lab.test"),
        ("Accept", "*/*"),
        ("X-Lab-Request-Id", "id-0"),
        ("X-A", "1"),
    )
    body: bytes | None = None
    chunked: bool = False

    def raw(self) -> bytes:
        head = f"{self.method} {self.target} HTTP/1.1\r\n" + "".join(
            f"{name}: {value}\r\n" for name, value in self.fields
        )
        if self.body is None:
            return head.encode() + b"\r\n"
        if self.chunked:
            chunk = b"%x\r\n%b\r\n" % (len(self.body), self.body) if self.body else b""
            return head.encode() + b"Transfer-Encoding: chunked\r\n\r\n" + chunk + b"0\r\n\r\n"
        return head.encode() + b"Content-Length: %d\r\n\r\n" % len(self.body) + self.body

    def the(self, wanted: str) -> list[str]:
        return [value for name, value in self.fields if name.lower() == wanted.lower()]

    def next(self, chance: random.Random) -> "Asked":
        """Return the same request, mostly, but for one thing."""
        names = [name for name, _ in self.fields]
        at = chance.randrange(len(self.fields))
        name, value = self.fields[at]
        rest = (*self.fields[:at], *self.fields[at + 1 :])
        extra = chance.choice(
            [("X-A", "2"), ("X-B", "1"), ("Connection", "x-a"), ("Connection", "keep-alive"), ("TE", "trailers")]
        )
        changed = {"host": chance.choice(["lab.test", "lab.test:81"]), "x-lab-request-id": f"id-{chance.randrange(99)}"}
        removable = name.lower() != "host" and len(self.fields) > 2
        changes: list[Callable[[], Asked]] = [
            lambda: self,
            lambda: replace(self, method=chance.choice(["GET", "POST", "PUT", "OPTIONS"])),
            lambda: replace(
                self, target=chance.choice(["/a", "/b?c", "/" + "a" * 255, "/" + "a" * 256, "http://abs.test/c"])
            ),
            lambda: replace(
                self, fields=(*self.fields[:at], (name, changed.get(name.lower(), "9")), *self.fields[at + 1 :])
            ),
            lambda: replace(self, fields=(*self.fields[:at], (name.swapcase(), value), *self.fields[at + 1 :])),
            lambda: (
                replace(self, fields=(*self.fields[:at], ("X-Other", value), *self.fields[at + 1 :]))
                if removable
                else self
            ),
            lambda: replace(self, fields=rest) if removable else self,
            lambda: replace(self, fields=(*rest, self.fields[at])),
            lambda: replace(self, fields=(*self.fields, extra)) if len(names) < 8 else self,
            lambda: replace(self, fields=(*self.fields, ("X-Lab-Request-Id", "other"))) if len(names) < 8 else self,
            lambda: replace(self, body=chance.choice([None, b"", b"hello", b"hello", b"hi"]), chunked=False),
            lambda: replace(self, body=b"hello", chunked=chance.choice([True, False])),
        ]
        return chance.choice(changes)()


def arrived_wrong(asked: Asked, seen: Seen) -> list[str]:
    nominated = {token.strip().lower() for value in asked.the("Connection") for token in value.split(",")}
    absolute = asked.target.startswith("http")
    host = "abs.test" if absolute else asked.the("Host")[0]
    ids = asked.the("X-Lab-Request-Id")
    left_out = {*OWN, *HOP, *nominated}
    wanted = {
        "method": (asked.method, seen.method),
        "target": ("/c" if absolute else asked.target, seen.target),
        "host": ((host, host), (seen.one("Host"), seen.one("X-Forwarded-Host"))),
        "body": (asked.body or b"", seen.body),
        "fields": (
            [field for field in asked.fields if field[0].lower() not in left_out],
            [(n.decode(), v.decode()) for n, v in seen.fields if n.decode().lower() not in {*OWN, *HOP}],
        ),
        "id": (True, seen.id == ids[0] if len(ids) == 1 else seen.id not in ids),
        "framed": (asked.body is not None, "content-length" in seen.names or "transfer-encoding" in seen.names),
    }
    return [f"{what}: {one} became {two}" for what, (one, two) in wanted.items() if one != two]


async def ask_alike(port: int, upstream: Oracle, chance: random.Random, steps: int) -> list[str]:
    """Ask on one connection, each time nearly what was asked before, until something arrives otherwise than it was."""
    asked = Asked()
    async with connected(port) as (reader, writer):
        for number in range(steps):
            asked = (Asked() if number % 20 == 0 else asked).next(chance)
            writer.write(asked.raw())
            answer = await read_answer(reader)
            if answer.status != 200 or answer.body.decode() != upstream.complete[-1].id:
                return [f"answered {answer.status} {answer.body!r} to {asked}"]
            if wrong := arrived_wrong(asked, upstream.complete[-1]):
                return [f"{wrong} of {asked}"]
    return []
