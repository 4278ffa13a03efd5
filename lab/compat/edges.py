"""Level 4: each step of the plan, up and down, by the real runner, under traffic of the versions that stay served.

Their connections are warm before the step: what a driver has prepared, and what a static cell cannot show, fails here.
And rows are read across the step: what every version wrote before it, by every version that is served after it.
"""

import time
from collections.abc import Mapping, Sequence
from contextlib import ExitStack, nullcontext
from dataclasses import dataclass, field, replace

from lab.compat.catalogue import Symptom
from lab.compat.cells import Live, NotReadyError, Surroundings, named, start
from lab.compat.explain import Explainer
from lab.compat.locks import LockWatch
from lab.compat.model import Failure, Result
from lab.compat.oracle import Row
from lab.compat.server import in_database
from lab.compat.traffic import Traffic, traffic_at
from lab.database import Database
from lab.errors import LabError
from lab.manifest import Version
from lab.migrate.plan import ChangePlan, Command, Phase
from lab.migrate.runner import step_down, step_up
from lab.migrate.waiting import Manner

BEFORE, AFTER = 0.4, 0.9
"""Seconds of traffic before a step, and after it."""
ACROSS = 2
"""Rows of each resource that each version leaves to be read across the step."""


@dataclass(slots=True, kw_only=True)
class Edge:
    """One step of the plan on a database of its own, from the phase `low` up to `high`."""

    around: Surroundings
    explainer: Explainer
    plan: ChangePlan
    low: Phase
    high: Phase
    versions: Sequence[Version]
    legacy: Mapping[str, list[Row]]
    found: list[Result] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    _lives: dict[str, Live] = field(default_factory=dict)
    _rows: dict[str, list[Row]] = field(default_factory=dict)

    @property
    def staying(self) -> tuple[Version, ...]:
        return tuple(v for v in self.versions if v.serves_as in self.low.serves & self.high.serves)

    def take(self) -> None:
        """Up, and down again where there is a way."""
        around = self.around
        database = around.server.clone(self.low.name, f"edge_{self.plan.index(self.high.name)}")
        with ExitStack() as left:
            left.callback(self._close)
            try:
                self._begin(database)
                traffics = [traffic_at(self._lives[v.serves_as]) for v in self.staying]
                for traffic in traffics:
                    left.callback(traffic.close)
                self._pass(database, traffics, up=True)
                if self.high.up is None or self.high.down is not None:
                    self._pass(database, traffics, up=False)
            except NotReadyError as error:
                self._tell(f"{self.low.name} -> {self.high.name}", self.high, [error.failure], 1)

    def _begin(self, database: Database) -> None:
        """Everybody whom the lower phase serves, and rows of each; who does not stay ends in order before the step."""
        self._rows = {name: [row.copy() for row in rows[:ACROSS]] for name, rows in self.legacy.items()}
        for version in self.versions:
            if version.serves_as not in self.low.serves:
                continue
            live = self._start(version, self.low, database)
            for resource in self.around.checks.resources:
                made = [live.asker.create(resource, version.serves_as)[0] for _ in range(ACROSS)]
                self._rows.setdefault(resource.name, []).extend(row for row in made if row is not None)
            if version not in self.staying:
                self._end(version)

    def _pass(self, database: Database, traffics: Sequence[Traffic], *, up: bool) -> None:
        source, goal = (self.low, self.high) if up else (self.high, self.low)
        name, before = f"{source.name} -> {goal.name}", sum(t.asked for t in traffics)
        place, failures = self.around.server.mark(), list[Failure]()
        for version in [v for v in self.versions if v.serves_as in self._lives and v not in self.staying]:
            self._end(version)
        watch = LockWatch(database=database, traffic={live.cell.address: name for name, live in self._lives.items()})
        began = time.monotonic()
        with ExitStack() as running:
            for traffic in traffics:
                traffic.begin()
                running.enter_context(traffic.running())
            time.sleep(BEFORE if traffics else 0.0)
            try:
                self._step(database, watch if traffics else None, up=up)
            except LabError as error:
                if not up:
                    self.notes.append(f"{name}: the way down was refused: {error.what.splitlines()[0]}")
                    return
                failures.append(_refused(name, error))
            time.sleep(AFTER if traffics else 0.0)
        failures += watch.found
        for traffic in traffics:
            met = [f for f in traffic.failures() if not (watch.found and f.symptom is Symptom.STALL)]  # it is named
            failures += self._with_sql(place, self._lives[traffic.version], met)
        across = self._across(goal, database) if not failures or up else []
        taken = sorted(second for traffic in traffics for second in traffic.seconds())
        p99 = 1000 * taken[int(len(taken) * 0.99)] if taken else None
        asked = sum(t.asked for t in traffics) - before + sum(len(rows) for rows in self._rows.values())
        self._tell(name, goal, failures + across, asked, p99=p99, seconds=time.monotonic() - began)

    def _step(self, database: Database, watch: LockWatch | None, *, up: bool) -> None:
        """With a slow reader of all tables, where there is traffic that could wait behind it."""
        manner = Manner(witness=watch) if watch else Manner()
        command = isinstance(self.high.up if up else self.high.down, Command)  # of whose statements nobody tells
        with watch.reading() if watch and command else nullcontext():
            if up:
                step_up(database, self.plan, self.high, manner=manner)
            else:
                step_down(database, self.plan, manner=manner)

    def _across(self, phase: Phase, database: Database) -> list[Failure]:
        """What was written before the step, read by everybody who is served after it."""
        found, place = list[Failure](), self.around.server.mark()
        for version in self.versions:
            if version.serves_as not in phase.serves:
                continue
            live = self._lives.get(version.serves_as) or self._start(version, phase, database)
            for resource in self.around.checks.resources:
                for row in self._rows.get(resource.name, ()):
                    told = f"{row.age} wrote it on the phase before, {version.serves_as} reads it on {phase.name}"
                    found += [replace(f, level=4, steps=(told,)) for f in live.asker.read(resource, row)]
            if found:
                found = self._with_sql(place, live, found)
        return found

    def _start(self, version: Version, phase: Phase, database: Database) -> Live:
        name = named("edge", version.serves_as, self.high.name)
        live = start(self.around, version, phase.name, name=name, database=database, promised=True)
        self._lives[version.serves_as] = live
        return live

    def _end(self, version: Version) -> None:
        live = self._lives.pop(version.serves_as)
        live.asker.client.close()
        self.around.containers.stop(live.cell)

    def _close(self) -> None:
        for live in self._lives.values():
            live.asker.client.close()
            self.around.containers.remove(live.cell)

    def _with_sql(self, place: int, live: Live, failures: list[Failure]) -> list[Failure]:
        """Each with what the server refused of that version's statements, in the order in which they came."""
        if not any(f.symptom is Symptom.ERROR and not f.sqlstate for f in failures):
            return failures
        logged = in_database(self.around.server.since(place), live.database.name)
        refused = [entry for entry in logged if entry.failed and entry.client == live.cell.address]
        told, number = list[Failure](), 0
        for failure in failures:
            if failure.symptom is Symptom.ERROR and not failure.sqlstate and refused:
                entry = refused[min(number, len(refused) - 1)]
                told.append(replace(failure, sqlstate=entry.sqlstate, message=entry.message, sql=entry.query))
                number += 1
            else:
                told.append(failure)
        return told

    def _tell(
        self,
        name: str,
        phase: Phase,
        failures: list[Failure],
        asked: int,
        *,
        p99: float | None = None,
        seconds: float = 0.0,
    ) -> None:
        staying = tuple(v.serves_as for v in self.staying)
        reader = staying[-1] if staying else next(iter(sorted(phase.serves)), self.versions[-1].serves_as)
        told = tuple(self.explainer.explained(failure, reader, phase.name) for failure in failures)
        result = Result(
            name=name,
            phase=phase.name,
            versions=staying,
            promised=bool(phase.serves & {v.serves_as for v in self.versions}),
            asked=asked,
            failures=told,
            levels=(4,),
            seconds=seconds,
            p99_ms=p99,
        )
        self.found.append(result)


def _refused(name: str, error: LabError) -> Failure:
    code = getattr(error, "sqlstate", "")
    return Failure(
        level=4,
        symptom=Symptom.ERROR,
        what=f"the step {name} fails: {error.what.splitlines()[0]}",
        sqlstate=code,
        message=error.what,
        fix=error.fix,
    )
