"""Both ends of the proxy's wires: a client that hears all of a connection, an upstream that records every byte."""

import asyncio
import contextlib
from collections import Counter
from dataclasses import dataclass, field
from typing import Self, TypeVar

from tests.proxy_corpus_answers import AnswerCase
from tests.proxy_wire import Conversation, Seen, UnsoundError, read_request, understand
from tests.proxy_world import PATIENCE, Replica, World, read_head

# So many rounds of the event loop accept a connection, read from it, make one to a replica, and more.
TURNS = 30


async def converse(port: int, *parts: bytes, head_only: bool = False, patience: float = PATIENCE) -> Conversation:
    """Send bytes, each part as a segment of its own, and hear all until the proxy closes the connection."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    return await converse_on(reader, writer, *parts, head_only=head_only, patience=patience)


async def converse_on(
    reader: asyncio.StreamReader,
    writer: asyncio.StreamWriter,
    *parts: bytes,
    head_only: bool = False,
    patience: float = PATIENCE,
) -> Conversation:
    raw, closed = bytearray(), False
    try:
        async with asyncio.timeout(patience):
            for number, part in enumerate(parts):
                if number:
                    await _read_by_the_proxy()
                writer.write(part)
            while data := await reader.read(65536):
                raw += data
            closed = True
    except ConnectionError:
        closed = True
    except TimeoutError:
        pass
    finally:
        writer.transport.abort()
    return understand(bytes(raw), closed=closed, head_only=head_only)


async def _read_by_the_proxy() -> None:
    """Let what was sent be read before more is: on loopback it is there at once, and this is the proxy's loop too."""
    for _ in range(TURNS):
        await asyncio.sleep(0)


@dataclass(slots=True)
class Stream:
    """One connection to the oracle: its bytes, and what they were taken for."""

    raw: bytearray = field(default_factory=bytearray)
    read: int = 0
    seen: list[Seen] = field(default_factory=list)


class Oracle(Replica):
    """An upstream that records every byte, reads strictly, and answers each request with its id."""

    def __init__(self, name: str = "app-1.1", *, pseudonym: str = "rolling-lab") -> None:
        super().__init__(name)
        self.pseudonym = pseudonym
        self.streams: list[Stream] = []
        self.unsound: list[str] = []
        self.complete: list[Seen] = []
        """Whole requests, in the order of their arrival."""

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        stream = Stream()
        self.streams.append(stream)
        try:
            while data := await reader.read(65536):
                stream.raw += data
                self._take(stream, writer)
        except (ConnectionError, asyncio.CancelledError):
            pass
        finally:
            self._end(stream)
            self._tasks.discard(task)
            writer.transport.abort()

    def _take(self, stream: Stream, writer: asyncio.StreamWriter) -> None:
        try:
            while (found := self._next(stream)) is not None and found[0].complete:
                stream.read += found[1]
                self._answer(stream, found[0], writer)
        except UnsoundError as error:
            self.unsound.append(f"{error} in {bytes(stream.raw[stream.read :][:200])!r}")
            raise ConnectionError from error

    def _next(self, stream: Stream) -> tuple[Seen, int] | None:
        return read_request(bytes(stream.raw[stream.read :]), pseudonym=self.pseudonym)

    def _answer(self, stream: Stream, seen: Seen, writer: asyncio.StreamWriter) -> None:
        if seen.target == "/readyz":
            writer.write(b"HTTP/1.1 200 OK\r\nX-Lab-Replica: %b\r\nContent-Length: 0\r\n\r\n" % self.name.encode())
            return
        stream.seen.append(seen)
        self.complete.append(seen)
        body = b"" if seen.method == "HEAD" else seen.id.encode()
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body))

    def _end(self, stream: Stream) -> None:
        rest = bytes(stream.raw[stream.read :])
        try:
            found = self._next(stream)
        except UnsoundError:
            return
        if found is not None:
            stream.seen.append(found[0])
        elif rest:
            self.unsound.append(f"a head that breaks off: {rest[:200]!r}")

    @property
    def seen(self) -> list[Seen]:
        return [seen for stream in self.streams for seen in stream.seen]

    def of(self, id: str) -> list[Seen]:
        return [seen for seen in self.seen if seen.id == id]

    @property
    def last(self) -> Seen:
        return self.seen[-1]


@dataclass(frozen=True, slots=True, kw_only=True)
class Begun:
    """What the proxy says it has sent on: its ledger of a run that is closed."""

    attempts: Counter[tuple[str, int]]
    answered: Counter[tuple[str, int]]
    rejected: list[str]

    @classmethod
    def of(cls, lines: list[dict[str, object]]) -> Self:
        def which(line: dict[str, object]) -> tuple[str, int]:
            return str(line["id"]), int(str(line["attempt"]))

        ended = (line for line in lines if line["e"] == "end" and line["result"] == "ok")
        return cls(
            attempts=Counter(which(line) for line in lines if line["e"] == "begin"),
            answered=Counter(which(line) for line in ended),
            rejected=[str(line["id"]) for line in lines if line["e"] == "reject"],
        )


async def ledger_of(lab: World, run: str) -> Begun:
    """Close a run and read its ledger."""
    await lab.change("DELETE", "/v1/run")
    return Begun.of(lab.ledger(run))


class Liar(Replica):
    """An upstream that answers `/N` with its case N, and keeps on which connection it did."""

    def __init__(self, cases: list[AnswerCase], name: str = "app-1.1") -> None:
        super().__init__(name)
        self.cases = cases
        self.asked: Counter[int] = Counter()
        self.trusted: list[str] = []
        """Requests that came on a connection which was not to be used again."""

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        self.open_connections += 1
        spoilt = ""
        with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError, asyncio.CancelledError):
            while True:
                (_, target, _), _, _ = await read_head(reader)
                if target == "/readyz":
                    writer.write(b"HTTP/1.1 200 OK\r\nX-Lab-Replica: %b\r\n" % self.name.encode())
                    writer.write(b"Content-Length: 0\r\n\r\n")
                    continue
                if spoilt:
                    self.trusted.append(f"{target} after {spoilt}")
                case = self.cases[int(target[1:])]
                self.asked[int(target[1:])] += 1
                if case.cut:
                    writer.write(case.raw[: case.cut])
                    await _read_by_the_proxy()
                writer.write(case.raw[case.cut :])
                spoilt = "" if case.reusable else f"{case.name} {case.raw[:80]!r}"
                if case.closes:
                    await writer.drain()
                    break
        self.open_connections -= 1
        self._tasks.discard(task)
        writer.close()


Kind = TypeVar("Kind", bound=Replica)


async def rotate(lab: World, made: Kind) -> Kind:
    """Start an upstream and put it into rotation."""
    await made.start()
    lab.replicas.append(made)
    await lab.join(made)
    await lab.admit(made)
    return made
