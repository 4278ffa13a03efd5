"""The matrix, level by level, from the cheap to the dear. Each level is asked only if the one before is not red."""

import json
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

from lab.compat.api import compared
from lab.compat.board import Board
from lab.compat.catalogue import Symptom
from lab.compat.cells import Live, NotReadyError, Surroundings, look, named, start, statements
from lab.compat.checks import Checks
from lab.compat.containers import Containers
from lab.compat.edges import Edge
from lab.compat.explain import Explainer
from lab.compat.lint import lint, placed, squawk_is_there
from lab.compat.model import Failure, Matrix
from lab.compat.oracle import Row
from lab.compat.pairs import Meeting, pairs_of
from lab.compat.prepared import Prepared, prepare
from lab.compat.recordings import Recording, Recordings, key_of
from lab.compat.server import Server
from lab.database import Database, SqlError
from lab.errors import LabError
from lab.manifest import Version
from lab.migrate.plan import ChangePlan, Phase
from lab.migrate.waiting import Manner
from lab.ports import Readiness

AT_ONCE = 2
LEGACY = 24
"""Rows of each resource that the oldest version writes before the change begins."""
REAL, PAIRS = 2, 3
"""The first level that needs rows and containers of every version; and the one after it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """What is asked. `versions`: the oldest first. `everything`: go on where a level is red."""

    plan: ChangePlan
    versions: tuple[Version, ...]
    checks: Checks | None
    levels: tuple[int, ...]
    environment: Mapping[str, str]
    readiness: Readiness
    ready_seconds: float
    everything: bool = False

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(version.serves_as for version in self.versions)


@dataclass(frozen=True, slots=True, kw_only=True)
class Host:
    """The engine's side of a run: containers, what they are made from, and a database server that is up."""

    containers: Containers
    templates: Mapping[str, dict[str, Any]]
    database: Database


@dataclass(frozen=True, slots=True, kw_only=True)
class Means:
    """What a run works with. `host` starts the server, and is entered only if it is needed."""

    host: Callable[[], AbstractContextManager[Host]]
    recordings: Recordings
    image_of: Callable[[Version], str]
    """What a version is made from: its image's id, and whatever else makes its container another."""
    told: Callable[[str], None]


def ask(question: Question, means: Means) -> Matrix:
    """Ask all that is wanted, and say what was found."""
    explainer = Explainer(plan=question.plan, steps=placed(question.plan))
    board = Board(plan=question.plan, versions=question.names, levels=question.levels, explainer=explainer)
    known = {v.serves_as: means.recordings.find(v.serves_as, _key(question, means, v)) for v in question.versions}
    recorded = {name: one for name, one in known.items() if one is not None}
    stale = [v for v in question.versions if v.serves_as not in recorded] if question.checks else []
    wanted = stale if {0, 1} & set(question.levels) else []
    # what is in files needs no server, and may spare one
    files = tuple(level for level in question.levels if level == 0 and not wanted)
    others = question.levels[len(files) :]
    stopped = _levels(files, question, means, board, recorded, None)
    if stopped is not None or not others:
        return board.matrix(stopped=stopped)
    with means.host() as host:
        rig = _Rig(question, means, board, host)
        try:
            rig.build(rows=bool(wanted) or max(others) >= REAL)
            recorded |= rig.record(wanted)
            return board.matrix(stopped=_levels(others, question, means, board, recorded, rig))
        finally:
            rig.close()


def _levels(  # noqa: PLR0917
    levels: tuple[int, ...],
    q: Question,
    means: Means,
    board: Board,
    recorded: Mapping[str, Recording],
    rig: "_Rig | None",
) -> int | None:
    """Each in turn. Returns the one that is red, where there are others that are not asked for its sake."""
    for level in levels:
        if level >= REAL and q.checks is None:
            board.notes.append("levels 2 to 4 need checks: x-lab.compat.checks in the manifest")
            break
        began = time.monotonic()
        what = _level(level, q, board, recorded, rig)
        board.took.append(time.monotonic() - began)
        means.told(f"level {level}  {what}  {board.took[-1]:.1f}s")
        if level < max(q.levels) and not q.everything and board.matrix().broken:
            return level
    return None


def _level(level: int, q: Question, board: Board, recorded: Mapping[str, Recording], rig: "_Rig | None") -> str:
    if level == 0 or rig is None:
        board.lint, board.api = lint(q.plan), compared(q.plan, q.names, q.checks, recorded)
        if not squawk_is_there():
            board.notes.append("there is no squawk for this machine: the SQL was looked at by our own rules only")
        if not all(api.known for api in board.api):
            board.notes.append("no OpenAPI document of every version: the APIs were not compared")
        return "SQL and API"
    if level == 1:
        rig.prepare(recorded)
        return "statements prepared on every phase"
    if level == REAL:
        rig.look_at([(v, phase.name) for phase in q.plan.phases for v in q.versions])
        return "real containers on every phase"
    if level == PAIRS:
        rig.pair()
        return "versions in turns on the same rows"
    rig.cross()
    return "steps under traffic"


def _key(q: Question, means: Means, version: Version) -> str:
    first = q.plan.phases[0].up
    base = first.read_text() if isinstance(first, Path) else json.dumps(first.argv if first else [])
    checks = q.checks.file.read_text() if q.checks else ""
    home = next((p.name for p in q.plan.phases if version.serves_as in p.serves), "")
    return key_of(
        image_id=means.image_of(version), environ=version.environment, checks=checks, base=f"{q.plan.id} {home} {base}"
    )


class _Rig:
    """The phases on the scratch server, and the containers that run on copies of them."""

    def __init__(self, question: Question, means: Means, board: Board, host: Host) -> None:
        self._q = question
        self._means = means
        self._board = board
        self._server = Server(database=host.database, plan=question.plan)
        self._around = Surroundings(
            containers=host.containers,
            server=self._server,
            templates=host.templates,
            environment=question.environment,
            readiness=question.readiness,
            ready_seconds=question.ready_seconds,
            checks=question.checks or Checks(file=question.plan.file),
        )
        self._legacy: dict[str, list[Row]] = {}
        self._live: dict[tuple[str, str], Live] = {}
        self._looked: set[tuple[str, str]] = set()

    def build(self, *, rows: bool) -> None:
        """Every phase, by the real steps; with `rows` the oldest version writes some before the first of them."""
        began = time.monotonic()
        seed = self._seed if rows and self._q.checks else (lambda _phase, _database: None)
        failed = self._server.build(self._q.plan.phases, seed=seed, manner=Manner(sleep=lambda _: None))
        if failed is not None:
            self._unreached(*failed)
        self._means.told(f"phases   {len(self._q.plan.phases)}, by the real steps  {time.monotonic() - began:.1f}s")

    def _unreached(self, phase: str, error: LabError) -> None:
        """A promise of a phase to which no step leads is broken, and so are those of the phases after it."""
        if phase == self._q.plan.phases[0].name:
            raise error
        code = error.sqlstate if isinstance(error, SqlError) else ""
        what = f"the step to {phase} fails: {error.what.splitlines()[0]}"
        failure = Failure(level=1, symptom=Symptom.ERROR, what=what, sqlstate=code, message=error.what)
        for later in self._q.plan.phases[self._q.plan.index(phase) :]:
            for version in self._q.names:
                self._board.found((version, later.name), 1, [failure], 1)

    def close(self) -> None:
        for live in self._live.values():
            live.asker.client.close()

    def record(self, versions: list[Version]) -> dict[str, Recording]:
        """Run each on the first phase that serves it; what it is asked there are the checks of level 2."""
        homes = [(v, p) for v in versions if (p := self._home(v)) is not None]
        for version, _ in homes:
            self._means.told(f"records {version.name}: nothing is known of this image yet")
        self.look_at(homes)
        found: dict[str, Recording] = {}
        for version, phase in homes:
            live = self._live.get((version.serves_as, phase))
            if live is None:
                continue
            ran = statements(self._around, live)
            name = version.serves_as
            found[name] = Recording(version=name, phase=phase, statements=ran, openapi=live.openapi)
            self._means.recordings.keep(found[name], _key(self._q, self._means, version))
        return found

    def prepare(self, recorded: Mapping[str, Recording]) -> None:
        """Level 1. A statement that cannot be prepared where it has run is not judged by."""
        known = {v: recorded[v] for v in self._q.names if v in recorded and recorded[v].phase in self._server.phases}
        for version in self._q.names:
            if version not in known:
                self._board.notes.append(f"{version}: no statements are known; level 1 looked at none")
        found: dict[tuple[str, str], Prepared] = {}
        for phase in self._server.phases:
            with self._server.at(phase).session("lab compat: prepare") as session:
                for version, one in known.items():
                    found[version, phase] = prepare(session, one.statements, version)
        strange = {version: found[version, one.phase].strange for version, one in known.items()}
        for (version, phase), prepared in found.items():
            judged = prepared.without(strange[version])
            self._board.found((version, phase), 1, judged.failures, judged.asked)
        if left_out := sum(map(len, strange.values())):
            self._board.notes.append(f"{left_out} statements cannot be prepared from their text alone: left out")

    def pair(self) -> None:
        """Level 3. Every phase that serves anybody."""
        if not self._around.checks.resources:
            self._board.notes.append("levels 3 and 4 need a [[resource]] in the checks")
        for phase in self._q.plan.phases:
            served = [v for v in self._q.versions if v.serves_as in phase.serves]
            if not served or phase.name not in self._server.phases or not self._around.checks.resources:
                continue
            meeting = Meeting(
                around=self._around,
                explainer=self._board.explainer,
                phase=phase.name,
                versions=served,
                legacy=self._legacy,
                alone=self._live.get((served[0].serves_as, phase.name)),
            )
            self._board.pairs += pairs_of(meeting)

    def cross(self) -> None:
        """Level 4. Every step whose both ends can be reached."""
        for low, high in pairwise(self._q.plan.phases):
            if high.name not in self._server.phases or not self._around.checks.resources:
                continue
            edge = Edge(
                around=self._around,
                explainer=self._board.explainer,
                plan=self._q.plan,
                low=low,
                high=high,
                versions=self._q.versions,
                legacy=self._legacy,
            )
            edge.take()
            self._board.edges += edge.found
            self._board.notes += edge.notes

    def look_at(self, cells: list[tuple[Version, str]]) -> None:
        """Level 2. Each cell once, two at a time."""
        cells = [(v, phase) for v, phase in cells if phase in self._server.phases]
        todo = [(v, phase) for v, phase in cells if (v.serves_as, phase) not in self._looked]
        self._looked |= {(v.serves_as, phase) for v, phase in todo}
        with ThreadPoolExecutor(AT_ONCE) as pool:
            for _ in pool.map(lambda one: self._look_at(*one), todo):
                pass

    def _look_at(self, version: Version, phase: str) -> None:
        key = (version.serves_as, phase)
        name = named(version.serves_as, phase)
        database = self._server.clone(phase, f"cell_{name}")
        promised = self._q.plan.serves(phase, version.serves_as)
        try:
            live = start(self._around, version, phase, name=name, database=database, promised=promised)
        except NotReadyError as error:
            self._board.found(key, REAL, [error.failure], 1)
            return
        live.rows = {resource: [row.copy() for row in rows] for resource, rows in self._legacy.items()}
        self._live[key] = live
        self._board.found(key, REAL, look(self._around, live), live.asker.client.asked)

    def _home(self, version: Version) -> str | None:
        return next((p.name for p in self._q.plan.phases if version.serves_as in p.serves), None)

    def _seed(self, phase: Phase, database: Database) -> None:
        version = next((v for v in self._q.versions if v.serves_as in phase.serves), None)
        if version is None:
            self._board.notes.append(f"{phase.name} serves none of these versions: no rows of before the change")
            return
        try:
            live = start(self._around, version, phase.name, name="seed", database=database, promised=True)
        except NotReadyError as error:
            self._board.found((version.serves_as, phase.name), REAL, [error.failure], 1)
            return
        for resource in live.asker.checks.resources:
            made = [live.asker.create(resource, "legacy")[0] for _ in range(LEGACY)]
            self._legacy[resource.name] = [row for row in made if row is not None]
        live.asker.client.close()
        self._around.containers.remove(live.cell)
