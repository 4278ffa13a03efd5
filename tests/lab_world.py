"""The lab's adapters against real processes: the proxy, replicas on addresses of their own, and commands to kill."""

import asyncio
import contextlib
import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import aiohttp
from aiohttp import web
from aiohttp.test_utils import TestServer

from lab.controller import Controller, Ended, Rollout, World
from lab.counting import CountedTraffic, CountingLook
from lab.feelings import Feed
from lab.gateway import ProxyGateway
from lab.inbox import SqliteInbox, WakingWatch
from lab.journal import SqliteJournal
from lab.model import Container, Revision, RolloutSpec
from lab.observation import WholeLook
from lab.ports import Event, Journal, Owner, Readiness, Seen
from lab.recording import FILE, SightsFile, recorded
from lab.sim.replay import Replayed, replay
from lab.watch import WorldWatch
from tests.proxy_world import PATIENCE, TOKEN, admin_schema, environment

ROOT = Path(__file__).parents[1]
VERSIONS = {
    1: "v1",
    2: "v2",
    3: "v2-never-ready",
    4: "v2-dies",
    5: "v2-answers-errors",
    6: "v2-dies-after-ready",
}
REVISIONS = {n: Revision(number=n, version=v, serves_as=v, image_id="", spec="{}") for n, v in VERSIONS.items()}
ME = Owner(host="h", boot="b", pid=1, start="s", command="lab roll v2", home="/home/x")
FAST = Readiness(passes=2, min_ready=0.02, interval=0.2, fast_interval=0.02)


@dataclass(frozen=True, slots=True, kw_only=True)
class ProxyProcess:
    process: subprocess.Popen[str]
    port: int
    url: str

    def gateway(self) -> ProxyGateway:
        return ProxyGateway(self.url, TOKEN)

    def kill(self) -> None:
        self.process.kill()
        self.process.wait(PATIENCE)


@contextlib.contextmanager
def proxy_process(folder: Path) -> Iterator[ProxyProcess]:
    """`python -m proxy`, as the image runs it."""
    (folder / "proxy").mkdir()
    command = [sys.executable, "-m", "proxy"]
    env = environment(folder / "proxy")
    with subprocess.Popen(command, cwd=ROOT, env=env, stderr=subprocess.PIPE, text=True) as process:
        try:
            assert process.stderr is not None
            data, admin = re.findall(r"\d+", process.stderr.readline())
            yield ProxyProcess(process=process, port=int(data), url=f"http://127.0.0.1:{admin}")
        finally:
            process.kill()


@dataclass(frozen=True, slots=True, kw_only=True)
class Exchange:
    method: str
    path: str
    asked: Any
    status: int
    answered: Any


@dataclass(slots=True)
class Tap:
    """Stands between a gateway and the proxy, passes everything on, and keeps what was said."""

    to: str
    url: str = ""
    exchanges: list[Exchange] = field(default_factory=list)

    def said(self, method: str, path: str) -> list[Exchange]:
        return [e for e in self.exchanges if (e.method, e.path) == (method, path)]

    @contextlib.asynccontextmanager
    async def listening(self) -> AsyncIterator["Tap"]:
        app = web.Application()
        app.router.add_route("*", "/{path:.*}", self._pass_on)
        async with TestServer(app) as server:
            self.url = f"http://127.0.0.1:{server.port}"
            yield self

    async def _pass_on(self, request: web.Request) -> web.Response:
        body = await request.read()
        bearer = {"Authorization": request.headers["Authorization"]}
        async with (
            aiohttp.ClientSession(headers=bearer) as session,
            session.request(request.method, self.to + request.path_qs, data=body) as answer,
        ):
            raw = await answer.read()
        self.exchanges.append(
            Exchange(
                method=request.method,
                path=request.path,
                asked=json.loads(body) if body else None,
                status=answer.status,
                answered=json.loads(raw),
            )
        )
        return web.Response(status=answer.status, body=raw, content_type="application/json")

    def misshapen(self) -> list[str]:
        """Whatever was said that the schema of the admin API does not allow."""
        return [text for exchange in self.exchanges for text in _misshapen(exchange)]


_CHANGED = ("change", "acknowledged")
_SHAPES: dict[tuple[str, str], tuple[str | None, str | None]] = {
    ("GET", "health"): (None, None),
    ("GET", "clock"): (None, None),
    ("GET", "state"): (None, "state"),
    ("POST", "lease"): ("lease-request", "lease-granted"),
    ("DELETE", "lease"): _CHANGED,
    ("PUT", "replicas"): ("join", "acknowledged"),
    ("POST", "admit"): _CHANGED,
    ("POST", "restore"): _CHANGED,
    ("POST", "retire"): ("retire", "acknowledged"),
    ("DELETE", "replicas"): ("remove", "acknowledged"),
    ("PUT", "run"): ("run", "acknowledged"),
    ("DELETE", "run"): _CHANGED,
}


def _misshapen(exchange: Exchange) -> list[str]:
    words = exchange.path.split("/")
    asked, answered = _SHAPES[exchange.method, words[4] if len(words) > 4 else words[2]]
    if exchange.status >= 400:
        answered = "error"
    parts = ((asked, exchange.asked), (answered, exchange.answered))
    return [
        f"{exchange.method} {exchange.path}: {error.message}"
        for shape, said in parts
        if shape
        for error in admin_schema(shape).iter_errors(said)
    ]


class ProcessEngine:
    """The port of the engine, over processes. What there is stands in a folder: it outlives its controller."""

    def __init__(self, folder: Path, port: int) -> None:
        self._folder = folder
        self._port = port
        folder.mkdir(exist_ok=True)

    async def replicas(self) -> tuple[Seen, ...]:
        return tuple(self._seen(self._about(path.stem)) for path in sorted(self._folder.glob("*.json")))

    async def create(self, revision: Revision, *, name: str, slot: int, generation: int) -> str:
        if not self._path(name).exists():
            with (self._folder / "created").open("a") as ever:
                ever.write(f"{name}\n")
            about = {"slot": slot, "generation": generation, "revision": revision.number, "pid": 0}
            self._keep(name, about)
        return name

    async def start(self, container_id: str) -> None:
        about = self._about(container_id)
        if about["pid"]:
            return
        version = REVISIONS[about["revision"]].version
        command = [sys.executable, "-I", "-S", str(ROOT / "tests" / "lab_replica.py")]
        command += [_address(about), str(self._port), container_id, version]
        log = (os.POSIX_SPAWN_OPEN, 1, self._log(container_id), os.O_CREAT | os.O_WRONLY | os.O_APPEND, 0o600)
        both = (os.POSIX_SPAWN_DUP2, 1, 2)
        about["pid"] = _spawn(command, log, both)
        self._keep(container_id, about)

    async def stop(self, container_id: str) -> Seen | None:
        self.signal(container_id, signal.SIGTERM)
        about = self._about(container_id)
        await asyncio.to_thread(_await_end, about["pid"])
        return self._seen(about)

    async def delete(self, container_id: str) -> None:
        self._path(container_id).unlink(missing_ok=True)

    async def logs(self, container_id: str, *, tail: int | None = None) -> bytes:
        lines = self._log(container_id).read_bytes().splitlines(keepends=True)
        return b"".join(lines[-tail:] if tail else lines)

    def signal(self, container_id: str, number: int) -> None:
        pid = self._about(container_id)["pid"]
        if pid and _lives(pid):
            os.kill(pid, number)

    def end_all(self) -> None:
        for path in self._folder.glob("*.json"):
            self.signal(path.stem, signal.SIGKILL)

    def ever_created(self) -> list[str]:
        return (self._folder / "created").read_text().splitlines()

    def requests_of(self, name: str) -> int:
        return self.said(name, "request")

    def said(self, name: str, line: str) -> int:
        """How often the replica's own log has that line."""
        return self._log(name).read_text().splitlines().count(line)

    def _seen(self, about: dict[str, Any]) -> Seen:
        running = Container.RUNNING if about["pid"] and _lives(about["pid"]) else Container.EXITED
        return Seen(
            name=about["name"],
            slot=about["slot"],
            generation=about["generation"],
            revision=about["revision"],
            version=REVISIONS[about["revision"]].version,
            container=running if about["pid"] else Container.CREATED,
            container_id=about["name"],
            address=_address(about),
            exit_code=None if running is Container.RUNNING else 1,
        )

    def _about(self, name: str) -> dict[str, Any]:
        about: dict[str, Any] = json.loads(self._path(name).read_text())
        return about | {"name": name}

    def _keep(self, name: str, about: dict[str, Any]) -> None:
        fresh = self._path(name).with_suffix(".new")
        fresh.write_text(json.dumps(about))
        fresh.replace(self._path(name))

    def _path(self, name: str) -> Path:
        return self._folder / f"{name}.json"

    def _log(self, name: str) -> Path:
        return self._folder / f"{name}.log"


def _address(about: dict[str, Any]) -> str:
    return f"127.0.{about['slot']}.{about['generation']}"


def _spawn(command: list[str], *actions: tuple[Any, ...]) -> int:
    """As a child that outlives its parent, and that no object of ours waits for."""
    return os.posix_spawn(sys.executable, command, os.environ, file_actions=actions, setsid=True)


def _await_end(pid: int) -> None:
    deadline = time.monotonic() + PATIENCE
    while _lives(pid):
        assert time.monotonic() < deadline, f"process {pid} does not end"
        time.sleep(0.005)


def _lives(pid: int) -> bool:
    with contextlib.suppress(ChildProcessError):
        os.waitpid(pid, os.WNOHANG)
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except OSError:
        return False


@dataclass(slots=True, kw_only=True)
class Fleet:
    """A fleet of processes behind the real proxy, and the controller that rolls it."""

    folder: Path
    port: int
    replicas: int = 2
    disk: Path | None = None
    """Where the journal is, if not in its folder."""
    engine: ProcessEngine = field(init=False)
    traffic: CountedTraffic = field(init=False, default_factory=CountedTraffic)
    """What the last roll counted."""

    def __post_init__(self) -> None:
        self.engine = ProcessEngine(self.folder / "fleet", self.port)

    @property
    def readiness(self) -> Readiness:
        return replace(FAST, port=self.port)

    @contextlib.contextmanager
    def journal(self) -> Iterator[SqliteJournal]:
        journal = SqliteJournal((self.disk or self.folder) / "journal.db")
        try:
            yield journal
        finally:
            journal.close()

    async def roll(
        self,
        gateway: ProxyGateway,
        target: int,
        back_to: int | None = None,
        *,
        wrap: Callable[[Journal], Journal] = lambda journal: journal,
        on_event: Callable[[Event], None] = lambda _: None,
        run: str = "",
        earlier: tuple[str, ...] = (),
        begin: Callable[[Controller], None] = lambda _: None,
        feed: Feed | None = None,
        **spec: Any,
    ) -> Ended:
        """`run` named: it hears words for it, and waits for another when one paused it."""
        self.traffic = CountedTraffic(feed=feed)
        with self.journal() as journal:
            world = World(
                engine=self.engine,
                gateway=gateway,
                watch=WorldWatch(gateway, asyncio.Event()),
                clock=MonotonicClock(),
                journal=wrap(journal),
                observer=CountingLook(WholeLook(self.engine, gateway), self.traffic),
                traffic=self.traffic,
            )
            ended = sum(e.data["happening"] == "reached" for e in journal.events(types=["phase-changed"]))
            if run:
                words = SqliteInbox(journal, run)
                world = replace(world, inbox=words, watch=WakingWatch(world.watch, journal))
            rollout = Rollout(
                run=run or f"to-{target}-{ended}",
                service="app",
                spec=RolloutSpec(target=target, replicas=self.replicas, **{"surge": 1, "unavailable": 0, **spec}),
                back_to=back_to,
                revisions=REVISIONS,
                readiness=self.readiness,
                earlier=earlier,
                linger=bool(run),
            )
            sights = SightsFile(self._sights_of(rollout.run))
            world = recorded(world, rollout, sights.write, after=journal.last())
            try:
                controller = Controller(world, rollout, on_event=on_event)
                begin(controller)
                async with asyncio.timeout(3 * PATIENCE):
                    return await controller.run()
            finally:
                sights.close()

    def _sights_of(self, run: str) -> Path:
        folder = self.folder / "runs" / run
        folder.mkdir(parents=True, exist_ok=True)
        return folder

    async def replayed(self) -> dict[str, Replayed]:
        """Every run so far, decided again from what its controllers saw."""
        with self.journal() as journal:
            events = journal.events()
        files = sorted((self.folder / "runs").glob(f"*/{FILE}"))
        lines = {path.parent.name: path.read_text().splitlines() for path in files}
        return {run: await asyncio.to_thread(replay, events, its) for run, its in lines.items()}

    async def standing(self, gateway: ProxyGateway) -> list[tuple[str, str, str]]:
        """(version, what the engine says, what the proxy says) of all there is, by slot."""
        routes = {route.name: route for route in (await gateway.routing()).routes}
        seen = sorted(await self.engine.replicas(), key=lambda s: (s.slot, s.generation))
        found = [(s.version, str(s.container), str(routes.pop(s.name).place)) for s in seen if s.name in routes]
        unrouted = [(s.version, str(s.container), "no route") for s in seen[len(found) :]]
        return found + unrouted + [(route.version, "no process", str(route.place)) for route in routes.values()]


class MonotonicClock:
    def now_ns(self) -> int:
        return time.monotonic_ns()


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("0.0.0.0", 0))
        return int(probe.getsockname()[1])


@contextlib.contextmanager
def new_fleet(folder: Path, *, replicas: int = 2) -> Iterator[Fleet]:
    fleet = Fleet(folder=folder, port=free_port(), replicas=replicas)
    try:
        yield fleet
    finally:
        fleet.engine.end_all()


def command(*words: object) -> list[str]:
    """A command of the lab as a process that a test may kill (lab_command.py)."""
    return [sys.executable, "-m", "tests.lab_command", *(str(word) for word in words)]
