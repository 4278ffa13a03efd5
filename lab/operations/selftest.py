"""`lab selftest`: a small lab of its own is harmed in known ways, and the verdict has to find each harm exactly.

What was harmed is known from where the proof does not look: the app's own words on its stdout, or the proxy's switch.
The lab that is spoken of is not touched.
"""

import asyncio
import shutil
import time
from collections.abc import Awaitable, Callable, Iterable, Iterator
from dataclasses import dataclass, field

from lab import images
from lab.assembly import Lab
from lab.errors import LabError
from lab.gateway import ProxyGateway
from lab.lease import held_lease
from lab.load_choice import LoadChoice
from lab.operations.down import down
from lab.operations.request import RollRequest
from lab.operations.roll import roll
from lab.operations.shape import Shape
from lab.operations.steady import Steady, steady
from lab.operations.up import UpRequest, up
from lab.ports import Event
from lab.project import project_at
from lab.proof import Class, Verdict
from lab.selftest import Harm, Row, Table, left_unanswered, rows_of, wrong_writes
from lab.traffic import LoadPlan

EXITS, PLAIN, LOSES, TWICE = "v2-exits-at-once", "v2", "v2-loses-writes", "v2-writes-twice"
REPLICAS, RATE, SLOW = 2, 100.0, 0.7
SECONDS = 2.0
"""So long is the load of the controls that need no roll."""
CUT_EVERY = 7
LEAST = 100
"""Fewer requests in the negative control are no control."""
SESSIONS = 24
"""So many, each of a second and more, are in flight when a replica is killed."""
SESSION_SECONDS = 1.6
PATIENCE = 10.0
APP_LOG, SWITCH = "the app's own log", "the switch's own count"

Told = Callable[[str], None]


async def selftest(project: Lab, *, told: Told) -> Table:
    """Make a lab beside that one, judge it harmed and unharmed, and take it down again."""
    lab = Lab(project=project_at(project.project.home, f"{project.project.name}-selftest"))
    began = time.monotonic()
    await down(lab)
    shutil.rmtree(lab.project.folder, ignore_errors=True)
    controls = _Controls(Lab(project=lab.project), told)
    try:
        await controls.go()
    finally:
        await down(controls.lab)
    return Table(
        rows=tuple(controls.rows),
        requests=controls.requests,
        seconds=time.monotonic() - began,
        folder=str(lab.project.runs),
    )


@dataclass(slots=True)
class _Controls:
    lab: Lab
    told: Told
    rows: list[Row] = field(default_factory=list)
    requests: int = 0
    made: images.Images = field(init=False)

    async def go(self) -> None:
        began = time.monotonic()
        request = UpRequest(replicas=REPLICAS, version=EXITS, schema="backfilled")
        await up(self.lab, request, told=lambda *_: None, listen=_unheard)
        self.made = await asyncio.to_thread(images.ensure_all)
        self.told(f" ✔ {'a lab of its own':<34} {time.monotonic() - began:.1f}s")
        await self._nothing()
        await self._cut()
        await self._drain_off()
        await self._writes("an app that loses writes", LOSES, Class.LOST_WRITE)
        await self._writes("an app that writes twice", TWICE, Class.DUPLICATE)
        await self._kill()

    async def _nothing(self) -> None:
        verdict = await self._steady("no-roll", EXITS, _for(SECONDS), min_requests=LEAST)
        self._take(Harm(control="no roll", known_from="nothing was done", truth={}, some=False), verdict)

    async def _cut(self) -> None:
        cut: dict[str, frozenset[str]] = {}

        async def switch(gateway: ProxyGateway) -> None:
            await gateway.turn_cut_switch(CUT_EVERY)
            await asyncio.sleep(SECONDS)

        async def after(gateway: ProxyGateway) -> None:
            cut["ids"] = await gateway.cut_on_purpose()
            await gateway.turn_cut_switch(0)

        verdict = await self._steady("cut", EXITS, switch, after=after)
        truth = {Class.TRUNCATED: cut["ids"]}
        name, mark = f"a proxy that cuts every {CUT_EVERY}th answer", "cut-switch"
        self._take(Harm(control=name, known_from=SWITCH, truth=truth, mark=mark), verdict)

    async def _drain_off(self) -> None:
        verdict = await self._roll(PLAIN, skip_drain=True)
        truth = left_unanswered(self._logs(verdict.run.run), verdict.run.run)
        self._take(Harm(control="drain off", known_from=APP_LOG, truth=truth, mark="skip-drain"), verdict)

    async def _writes(self, name: str, version: str, cls: Class) -> None:
        await self._roll(version, load=False)
        verdict = await self._steady(version, version, _for(SECONDS), cohorts="write=1")
        wrong = wrong_writes(self._logs(verdict.run.run), verdict.run.run, version.removeprefix("v2-"))
        self._take(Harm(control=name, known_from=APP_LOG, truth={cls: wrong}), verdict)

    async def _kill(self) -> None:
        """What is in flight then stands still: no request is at the socket whose begin no log can tell."""

        async def kill(gateway: ProxyGateway) -> None:
            until = time.monotonic() + PATIENCE
            while sum(route.in_flight for route in (await gateway.routing()).routes) < SESSIONS:
                if time.monotonic() > until:
                    raise LabError(
                        id="selftest-load",
                        what=f"no {SESSIONS} requests were in flight at once within {PATIENCE:g} s",
                        fix="is the machine busy? then try again",
                    )
                await asyncio.sleep(0.02)
            await asyncio.sleep(0.2)
            victim = self.lab.engine.replicas_now()[0]
            await asyncio.to_thread(self.lab.host.signal, victim.container_id, "SIGKILL")

        cohorts = "slow=2,stream=1,websocket=1"
        slow = SESSION_SECONDS
        verdict = await self._steady("sigkill", TWICE, kill, cohorts=cohorts, slow=slow, max_requests=SESSIONS)
        truth = left_unanswered(self._logs(verdict.run.run), verdict.run.run)
        self._take(Harm(control="SIGKILL of a replica", known_from=APP_LOG, truth=truth), verdict)

    # the runs

    async def _steady(
        self,
        run: str,
        version: str,
        during: Callable[[ProxyGateway], Awaitable[None]],
        *,
        after: Callable[[ProxyGateway], Awaitable[None]] | None = None,
        cohorts: str = "",
        slow: float = SLOW,
        max_requests: int = 10_000,
        min_requests: int = 1,
    ) -> Verdict:
        plan = LoadPlan(
            run=run,
            rate=RATE,
            replicas=REPLICAS,
            seed=1,
            max_seconds=60.0,
            max_requests=max_requests,
            slow=slow,
            cohorts=cohorts,
        )
        it = Steady(plan=plan, version=version, min_requests=min_requests)
        async with self.lab.gateway() as gateway, held_lease(gateway, self.lab.project.home):
            verdict = await steady(self.lab, gateway, it, self.made, lambda: during(gateway))
            if after is not None:
                await after(gateway)
        return verdict

    async def _roll(self, version: str, *, load: bool = True, skip_drain: bool = False) -> Verdict:
        request = RollRequest(
            version=version,
            shape=Shape(batch=str(REPLICAS)),
            choice=LoadChoice(rate=RATE, slow=SLOW, min_requests=1),
            load=load,
            skip_drain=skip_drain,
        )
        done = await roll(self.lab, request, listen=_unheard)
        if done.run is None or done.run.verdict.run.rollout != "done":
            told = "" if done.run is None else done.run.verdict.run.reason
            raise LabError(id="selftest-roll", what=f"the roll to {version} did not come to its end: {told}")
        return done.run.verdict

    def _logs(self, run: str) -> Iterator[Iterable[bytes]]:
        for path in sorted((self.lab.project.runs / run / "logs").glob("*.log")):
            yield path.read_bytes().splitlines()

    def _take(self, harm: Harm, verdict: Verdict) -> None:
        self.requests += verdict.offered
        rows = rows_of(harm, verdict)
        self.rows += rows
        mark = "✔" if all(row.ok for row in rows) else "✖"
        self.told(f" {mark} {harm.control:<34} {verdict.offered} requests")


def _for(seconds: float) -> Callable[[ProxyGateway], Awaitable[None]]:
    return lambda _gateway: asyncio.sleep(seconds)


def _unheard(_event: Event) -> None:
    """The rolls are a means here."""
