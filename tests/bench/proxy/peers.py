"""The upstream and the four proxies before it, each pinned, ready and checked to answer rightly."""

import contextlib
import http.client
import os
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from tests.bench.proxy import configs, ours
from tests.bench.proxy.figures import Peer
from tests.bench.proxy.machine import Cpus, Tools
from tests.bench.proxy.plan import LARGE_BYTES, POST_BYTES, REQUESTS, SMALL_BODY, SMALL_PATH
from tests.bench.proxy.processes import NotStartedError, Process, free_port, started, wait_for_port


@dataclass(frozen=True, slots=True, kw_only=True)
class Running:
    peer: Peer
    port: int
    process: Process
    admin: ours.Admin | None = None

    def between_runs(self) -> None:
        """Begin a new ledger, so that none grows without end."""
        if self.admin:
            self.admin.close_ledger()
            self.admin.open_ledger()


@dataclass(frozen=True, slots=True, kw_only=True)
class World:
    """What the peers are started with."""

    tools: Tools
    cpus: Cpus
    folder: Path
    upstreams: configs.Upstreams
    upstream: Process

    @contextlib.contextmanager
    def running(self, peer: Peer) -> Iterator[Running]:
        """Start a fresh one."""
        if program := self._missing(peer):
            raise NotStartedError(f"{program} is missing")
        folder = Path(tempfile.mkdtemp(dir=self.folder))
        with _STARTS[peer](self, folder) as running:
            _check_answers(running)
            yield running

    def _missing(self, peer: Peer) -> str:
        programs = {Peer.NGINX: self.tools.nginx, Peer.HAPROXY: self.tools.haproxy}
        return "" if programs.get(peer, "there") else str(peer)


@contextlib.contextmanager
def upstream(tools: Tools, cpus: Cpus, folder: Path) -> Iterator[World]:
    ports = (free_port(), free_port())
    (folder / "large.txt").write_text("." * LARGE_BYTES)
    config = folder / "upstream.conf"
    config.write_text(configs.upstream(str(folder), ports, root=_is_root()))
    argv = [tools.nginx, "-p", str(folder), "-c", str(config), "-e", "stderr"]
    with started("upstream", argv, cpu=cpus.rest, folder=folder) as process:
        for port in ports:
            wait_for_port(process, port)
        yield World(tools=tools, cpus=cpus, folder=folder, upstreams=ports, upstream=process)


@contextlib.contextmanager
def _nginx(world: World, folder: Path) -> Iterator[Running]:
    port = free_port()
    config = folder / "nginx.conf"
    config.write_text(configs.nginx(str(folder), port, world.upstreams, root=_is_root()))
    argv = [world.tools.nginx, "-p", str(folder), "-c", str(config), "-e", "stderr"]
    with started("nginx", argv, cpu=world.cpus.proxy, folder=folder) as process:
        wait_for_port(process, port)
        yield Running(peer=Peer.NGINX, port=port, process=process)


@contextlib.contextmanager
def _haproxy(world: World, folder: Path) -> Iterator[Running]:
    port = free_port()
    config = folder / "haproxy.cfg"
    config.write_text(configs.haproxy(port, world.upstreams))
    with started("haproxy", [world.tools.haproxy, "-f", str(config)], cpu=world.cpus.proxy, folder=folder) as process:
        wait_for_port(process, port)
        yield Running(peer=Peer.HAPROXY, port=port, process=process)


@contextlib.contextmanager
def _plain(world: World, folder: Path) -> Iterator[Running]:
    port = free_port()
    urls = [f"http://127.0.0.1:{one}" for one in world.upstreams]
    argv = [world.tools.python, "-m", "tests.bench.proxy.plain", str(port), *urls]
    with started("plain", argv, cpu=world.cpus.proxy, folder=folder) as process:
        wait_for_port(process, port)
        yield Running(peer=Peer.PLAIN, port=port, process=process)


@contextlib.contextmanager
def _ours(world: World, folder: Path) -> Iterator[Running]:
    environ = ours.environ(folder)
    with started(
        "proxy", [world.tools.python, *ours.ARGV], cpu=world.cpus.proxy, folder=folder, environ=environ
    ) as process:
        data, admin_port = ours.ports(process)
        admin = ours.Admin(port=admin_port, runs=folder / "runs")
        admin.admit(world.upstreams)
        admin.open_ledger()
        yield Running(peer=Peer.OURS, port=data, process=process, admin=admin)


_Start = Callable[[World, Path], contextlib.AbstractContextManager[Running]]
_STARTS: dict[Peer, _Start] = {Peer.OURS: _ours, Peer.NGINX: _nginx, Peer.HAPROXY: _haproxy, Peer.PLAIN: _plain}


def _check_answers(running: Running) -> None:
    """See each kind of answer whole before any is timed."""
    bodies = {SMALL_PATH: SMALL_BODY, "/large.txt": "." * LARGE_BYTES, "/post": SMALL_BODY}
    for request in REQUESTS.values():
        connection = http.client.HTTPConnection("127.0.0.1", running.port, timeout=10)
        try:
            if request.post_bytes:
                connection.request("POST", request.path, b"x" * POST_BYTES)
            else:
                connection.request("GET", request.path)
            response = connection.getresponse()
            body = response.read().decode(errors="replace")
        finally:
            connection.close()
        if response.status != 200 or body != bodies[request.path]:
            raise NotStartedError(
                f"{running.peer} answers {request.path} wrongly: {response.status}, {len(body)} bytes\n"
                f"{running.process.said()[-2000:]}"
            )


def _is_root() -> bool:
    return os.geteuid() == 0
