"""The load as the controller drives it: a container on the lab's network, or a process of this host.

Both print the same JSON lines. The load outlives the controller, bounded by its own time and count, and is found
again by its label; what it wrote is read when it has ended.
"""

import asyncio
import json
import subprocess
import sys
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Protocol

from lab.docker_host import DockerHost
from lab.errors import LabError
from lab.load_choice import LoadSpec
from lab.proof.answers import Answer

START_SECONDS = 40.0
MEMORY = 768 * 1024 * 1024
WORKER_MEMORY = 100 * 1024 * 1024
"""Each one more than the first."""
WEB_PORT = 8089
"""Of Locust's page, inside the load's container."""
PRECEDENCE = 8192
"""Eight times a replica's: where processors are scarce, the instrument is served before what it measures."""
RUNS = "/runs"
"""The volume, in the containers of the load and the proxy."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LoadPlan:
    """What is offered. It ends by itself after `max_seconds`, whatever becomes of the controller."""

    run: str
    rate: float
    replicas: int
    seed: int
    max_seconds: float = 1800.0
    max_requests: int = 500_000
    deadline: float = 30.0
    slow: float | None = None
    cohorts: str = ""
    shape: str = "steady"
    arrivals: str = "fixed"
    workers: int = 1
    locustfile: str = ""
    paths: str = ""
    alive: str = "/livez"
    tell_answers: bool = False
    web: int | None = None
    """The port of 127.0.0.1 on which Locust's own page is to be seen meanwhile."""

    def arguments(self, target: str) -> list[str]:
        pairs: dict[str, object] = {
            "--target": target,
            "--run": self.run,
            "--rate": self.rate,
            "--replicas": self.replicas,
            "--seed": self.seed,
            "--max-seconds": self.max_seconds,
            "--max-requests": self.max_requests,
            "--deadline-s": self.deadline,
            "--shape": self.shape,
            "--arrivals": self.arrivals,
            "--workers": self.workers,
            "--alive": self.alive,
        }
        chosen = {
            "--slow-s": self.slow,
            "--cohorts": self.cohorts,
            "--locustfile": self.locustfile,
            "--paths": self.paths,
        }
        pairs |= {flag: value for flag, value in chosen.items() if value}
        words = [str(word) for pair in pairs.items() for word in pair]
        return [*words, "--tell-answers"] if self.tell_answers else words


def plan_of(spec: LoadSpec, *, run: str, replicas: int) -> LoadPlan:
    return LoadPlan(
        run=run,
        rate=spec.rate,
        replicas=replicas,
        seed=spec.seed,
        slow=spec.slow,
        deadline=spec.request_timeout,
        cohorts=spec.cohorts,
        shape=spec.shape,
        arrivals=spec.arrivals,
        workers=spec.workers,
        locustfile=spec.locustfile,
        paths=spec.paths,
    )


class Source(Protocol):
    """Where the load runs."""

    def start(self, plan: LoadPlan) -> Iterable[bytes]:
        """Start it, and yield the lines of its stdout until it ends."""
        ...

    def adopt(self, plan: LoadPlan) -> Iterable[bytes] | None:
        """The lines of the load of that run, from the first on, if a controller that is gone had started it."""
        ...

    def stop(self) -> None:
        """Ask it to end: nothing more is offered, what is in flight finishes."""
        ...

    def collect(self, run: str, into: Path) -> None:
        """Bring the run's folder, with its ledgers, to `into`."""
        ...

    def last_words(self) -> str: ...


class Load:
    """One load from its start to its end."""

    def __init__(self, source: Source, plan: LoadPlan) -> None:
        self._source = source
        self.plan = plan
        self._messages: dict[str, dict[str, Any]] = {}
        self._said = threading.Condition()
        self._answers: list[Answer] = []
        self._begun = self._over = False
        self._failed = ""

    async def start(self) -> None:
        """Return when the first request is about to be offered. LabError `load` if it refuses to start."""
        await self._begin(lambda: self._source.start(self.plan))
        if "started" not in self._messages:
            reason = self._reason()
            await asyncio.to_thread(self._source.stop)  # it may only be late, and nobody would stop it then
            raise LabError(
                id="load",
                what=f"the load did not start: {reason}",
                where=f"run {self.plan.run}",
                fix="lab logs load; a failed self-test means that this client would hide drops",
            )

    async def adopt(self) -> bool:
        """Go on with the load that an earlier controller of this run had started, if it is there. It may have ended."""
        lines = await asyncio.to_thread(self._source.adopt, self.plan)
        if lines is None:
            return False
        await self._begin(lambda: lines)
        return True

    async def stop(self) -> None:
        """Let what is in flight finish, and return when the ledger is closed."""
        if not self._begun:
            return
        await asyncio.to_thread(self._source.stop)
        await asyncio.to_thread(self._await, lambda: self._over, self.plan.deadline + 30)

    async def collect(self, into: Path) -> None:
        await asyncio.to_thread(self._source.collect, self.plan.run, into)

    @property
    def is_over(self) -> bool:
        """It has ended, or there is none."""
        return self._over or not self._begun

    @property
    def tick(self) -> Mapping[str, Any]:
        """The newest of its status lines; empty before the first."""
        return self._messages.get("finished") or self._messages.get("tick") or {}

    def take_answers(self) -> list[Answer]:
        """Those that it told since this was last asked: none unless the plan says so."""
        with self._said:
            taken, self._answers = self._answers, []
        return taken

    async def _begin(self, lines: Callable[[], Iterable[bytes]]) -> None:
        self._begun = True
        threading.Thread(target=self._listen, args=(lines,), name="load", daemon=True).start()
        await asyncio.to_thread(self._await, lambda: "started" in self._messages or self._over, START_SECONDS)

    def _listen(self, lines: Callable[[], Iterable[bytes]]) -> None:
        try:
            for line in lines():
                self._hear(line)
        except Exception as error:  # noqa: BLE001  it is told to the thread that waits
            self._failed = str(error)
        with self._said:
            self._over = True
            self._said.notify_all()

    def _hear(self, line: bytes) -> None:
        try:
            message = json.loads(line)
        except ValueError:
            return
        if not isinstance(message, dict):
            return
        with self._said:
            if message.get("type") == "answers":
                self._answers += _answers(message)
            else:
                self._messages[message.get("type", "")] = message
            self._said.notify_all()

    def _await(self, reached: Callable[[], bool], seconds: float) -> bool:
        with self._said:
            return self._said.wait_for(reached, timeout=seconds)

    def _reason(self) -> str:
        if self._messages.get("self-test", {}).get("ok") is False:
            return "its self-test found that drops would be hidden"
        said = self._messages.get("error", {}).get("message", "")
        return str(said or self._failed or self._source.last_words() or f"nothing heard in {START_SECONDS:g} s")


def _answers(message: Mapping[str, Any]) -> Iterator[Answer]:
    for replica, due_us, took_us in message["answers"]:
        yield Answer(due_ns=due_us * 1000, took_ns=took_us * 1000, replica=replica)


class ContainerSource:
    """The load's image, on the network of the proxy, with the volume of the runs.

    `fetch` brings a run's folder out of that volume when the load's container is gone.
    """

    def __init__(
        self,
        host: DockerHost,
        *,
        image: str,
        compose_name: str,
        fetch: Callable[[str, Path], None] = lambda _run, _into: None,
        target: str = "http://proxy:8080",
    ) -> None:
        self._host = host
        self._image = image
        self._compose_name = compose_name
        self._fetch = fetch
        self._target = target
        self._container = ""

    def start(self, plan: LoadPlan) -> Iterable[bytes]:
        if stale := self._host.find("load"):
            self._host.remove(stale)
        files = {}
        if plan.locustfile:
            # into the run's folder: it is part of what was measured, and found again with it
            inside = f"{plan.run}/locustfile.py"
            files[inside] = Path(plan.locustfile).read_bytes()
            plan = replace(plan, locustfile=f"{RUNS}/{inside}")
        exposed: dict[str, object] = {f"{WEB_PORT}/tcp": {}} if plan.web else {}
        shown = ["--web-port", str(WEB_PORT), "--web-host", "0.0.0.0"] if plan.web else []
        body = {
            "Image": self._image,
            "Cmd": ["python", "-m", "loadtest", *plan.arguments(self._target), *shown],
            "ExposedPorts": exposed,
            "HostConfig": {
                "PortBindings": _published(plan.web),
                "NetworkMode": f"{self._compose_name}_default",
                "Binds": [f"{self._compose_name}_runs:{RUNS}"],
                "ReadonlyRootfs": True,
                "Tmpfs": {"/tmp": ""},  # noqa: S108  a tmpfs of the container
                "CapDrop": ["ALL"],
                "SecurityOpt": ["no-new-privileges"],
                "Init": True,
                "Memory": MEMORY + WORKER_MEMORY * (plan.workers - 1),
                "PidsLimit": 200,
                "CpuShares": PRECEDENCE,
            },
        }
        name = f"{self._compose_name}-load"
        labels = {"rollinglab.run": plan.run}
        self._container = self._host.run(name=name, role="load", body=body, labels=labels, into=RUNS, files=files)
        return self._host.follow(self._container)

    def adopt(self, plan: LoadPlan) -> Iterable[bytes] | None:
        self._container = self._host.find("load", run=plan.run) or ""
        return self._host.follow(self._container) if self._container else None

    def stop(self) -> None:
        if self._container:
            self._host.signal(self._container, "SIGTERM")

    def collect(self, run: str, into: Path) -> None:
        if self._container:
            self._host.copy_out(self._container, f"{RUNS}/{run}", into)
        else:
            self._fetch(run, into)

    def last_words(self) -> str:
        if not self._container:
            return ""
        return self._host.logs(self._container, tail=5).decode(errors="replace").strip()


def _published(port: int | None) -> dict[str, list[dict[str, str]]]:
    return {f"{WEB_PORT}/tcp": [{"HostIp": "127.0.0.1", "HostPort": str(port)}]} if port else {}


class HostSource:
    """`python -m loadtest` on this host, through the published port: for writing locustfiles.

    `fetch` brings a run's folder out of the volume, where the proxy writes, into a folder of this host.
    """

    def __init__(self, *, port: int, folder: Path, checkout: Path, fetch: Callable[[str, Path], None]) -> None:
        self._fetch = fetch
        self._target = f"http://127.0.0.1:{port}"
        self._folder = folder
        self._checkout = checkout
        self._process: subprocess.Popen[bytes] | None = None

    def start(self, plan: LoadPlan) -> Iterable[bytes]:
        flags = [*plan.arguments(self._target), "--runs-dir", str(self._folder), "--published-port"]
        flags += ["--web-port", str(plan.web)] if plan.web else []
        argv = [sys.executable, "-m", "loadtest", *flags]
        with (self._folder / "load.log").open("ab") as log:
            self._process = subprocess.Popen(
                argv,
                cwd=self._checkout,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=log,
                start_new_session=True,
            )
        return _lines(self._process)

    def adopt(self, plan: LoadPlan) -> Iterable[bytes] | None:  # noqa: ARG002  its pipe ended with its controller
        return None

    def stop(self) -> None:
        if self._process and self._process.poll() is None:
            self._process.terminate()

    def collect(self, run: str, into: Path) -> None:
        """Its own ledger is where the run's folder is; the proxy's is in the volume."""
        self._fetch(run, into)

    def last_words(self) -> str:
        return (self._folder / "load.log").read_text(errors="replace")[-400:].strip()


def _lines(process: subprocess.Popen[bytes]) -> Iterator[bytes]:
    """Its stdout to the end; then it is reaped."""
    if process.stdout is None:
        raise RuntimeError("a pipe was asked for")
    with process:
        yield from process.stdout
