"""Level 3: two versions that take turns on the same rows. Hypothesis chooses the turns, and shortens what goes wrong.

The writer makes rows and changes single fields, the reader reads each of these and changes whole rows, which the writer
reads then: so every ordered pair asks something of its own. Rows are of three ages: from before the change, the
writer's, the reader's.
"""

from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from lab.compat.checks import Resource
from lab.compat.contract import Asker
from lab.compat.model import Failure
from lab.compat.oracle import Row

if TYPE_CHECKING:
    from hypothesis.stateful import RuleBasedStateMachine

EXAMPLES = 20
TURNS = 8
MOST_RUNS = 150
"""Of all sequences, those that only shorten a failure included."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """`asked`: requests; `failure`: with the shortest sequence that was found to lead to it."""

    asked: int
    failure: Failure | None


class _WrongError(Exception):
    """A turn went wrong. One kind of fault is one place in the code to Hypothesis, and is shortened as such."""


@dataclass(slots=True, kw_only=True)
class Pair:
    """Two versions on one database. `legacy`: rows of before the change, by resource; each is used once, then again."""

    writer: Asker
    reader: Asker
    resources: Sequence[Resource]
    legacy: dict[str, list[Row]]
    runs: int = 0
    shortest: Failure | None = None
    _at: dict[str, int] = field(default_factory=dict)

    def old_row(self, resource: Resource) -> Row | None:
        rows = self.legacy.get(resource.name, [])
        if not rows:
            return None
        self._at[resource.name] = self._at.get(resource.name, -1) + 1
        return rows[self._at[resource.name] % len(rows)]

    def wrong(self, failure: Failure, steps: Sequence[str]) -> None:
        told = replace(failure, level=3, steps=tuple(steps))
        if self.shortest is None or len(told.steps) <= len(self.shortest.steps):
            self.shortest = told


@dataclass(slots=True, kw_only=True)
class _Turns:
    """One sequence: its rows, and the steps so far."""

    pair: Pair
    resource: Resource
    rows: dict[str, Row] = field(default_factory=dict)
    steps: list[str] = field(default_factory=list)

    def row(self, age: str) -> Row | None:
        """The row of that age: made when it is first spoken of."""
        if age in self.rows:
            return self.rows[age]
        if age == "legacy":
            row = self.pair.old_row(self.resource)
            if row is not None:
                self.steps.append("a row of before the change")
                self.rows[age] = row
            return row
        return self.create(self.pair.writer if age == "writer" else self.pair.reader, age)

    def create(self, asker: Asker, age: str) -> Row | None:
        row, found = asker.create(self.resource, age)
        self.step(f"{asker.version} creates {self.resource.name}", asker, found)
        if row is not None:
            self.rows[age] = row
        return row

    def write(self, asker: Asker, other: Asker, age: str, which: int | None) -> None:
        """Change the whole row, or one field of it; the other version reads it then."""
        row, names = self.row(age), asker.updatable(self.resource)
        if row is None or not names or self.resource.update is None:
            return
        only = "" if which is None else names[which % len(names)]
        found = asker.update(self.resource, row, only)
        self.step(f"{asker.version} changes {only or 'all its fields'} of the {_told(age, self.pair)}", asker, found)
        self.read(other, age)

    def read(self, asker: Asker, age: str) -> None:
        row = self.row(age)
        if row is not None:
            self.step(f"{asker.version} reads the {_told(age, self.pair)}", asker, asker.read(self.resource, row))

    def walk(self) -> None:
        writer, reader = self.pair.writer, self.pair.reader
        found = writer.walk(self.resource, list(self.rows.values()), reader)
        self.step(f"{writer.version} and {reader.version} list, page by page in turn", writer, found)

    def delete(self, age: str) -> None:
        row, reader, writer = self.row(age), self.pair.reader, self.pair.writer
        if row is None or age == "legacy" or self.resource.delete is None:
            return
        self.step(f"{reader.version} deletes the {_told(age, self.pair)}", reader, reader.delete(self.resource, row))
        del self.rows[age]
        self.step(f"{writer.version} reads what is deleted", writer, writer.gone(self.resource, row))

    def step(self, told: str, _asker: Asker, found: list[Failure]) -> None:
        self.steps.append(told)
        if found:
            self.pair.wrong(found[0], self.steps)
            raise _WrongError


def interleave(pair: Pair) -> Found:
    """Run sequences until one fails, and shorten that; the same sequences at each run."""
    import hypothesis
    from hypothesis import HealthCheck, Phase, Verbosity, settings
    from hypothesis.reporting import with_reporter
    from hypothesis.stateful import run_state_machine_as_test

    askers = {id(pair.writer): pair.writer, id(pair.reader): pair.reader}.values()
    before = sum(asker.client.asked for asker in askers)
    chosen = settings(
        derandomize=True,
        database=None,
        deadline=None,
        max_examples=EXAMPLES,
        stateful_step_count=TURNS,
        phases=(Phase.generate, Phase.shrink),
        suppress_health_check=list(HealthCheck),
        report_multiple_bugs=False,
        print_blob=False,
        verbosity=Verbosity.quiet,
    )
    # a failure that its shortened sequence does not show again (the database is not as it was) is one all the same
    with suppress(_WrongError, hypothesis.errors.Flaky), with_reporter(lambda _text: None):
        run_state_machine_as_test(_machine(pair), settings=chosen)
    return Found(asked=sum(asker.client.asked for asker in askers) - before, failure=pair.shortest)


def _machine(pair: Pair) -> "type[RuleBasedStateMachine]":
    from hypothesis import strategies as st
    from hypothesis.stateful import RuleBasedStateMachine, initialize, rule

    ages = st.sampled_from(("legacy", "writer", "reader"))

    class Interleaved(RuleBasedStateMachine):
        @initialize(resource=st.sampled_from(pair.resources))
        def begin(self, resource: Resource) -> None:
            pair.runs += 1
            self.turns = _Turns(pair=pair, resource=resource)

        def turn(self, act: Callable[[], object]) -> None:
            if pair.runs <= MOST_RUNS:
                act()

        @rule(age=ages)
        def reader_reads(self, age: str) -> None:
            self.turn(lambda: self.turns.read(pair.reader, age))

        @rule(age=ages, which=st.integers(0, 7))
        def writer_changes_one_field(self, age: str, which: int) -> None:
            self.turn(lambda: self.turns.write(pair.writer, pair.reader, age, which))

        @rule(age=ages)
        def reader_changes_the_row(self, age: str) -> None:
            self.turn(lambda: self.turns.write(pair.reader, pair.writer, age, None))

        @rule()
        def both_list(self) -> None:
            self.turn(self.turns.walk)

        @rule(age=st.sampled_from(("writer", "reader")))
        def reader_deletes(self, age: str) -> None:
            self.turn(lambda: self.turns.delete(age))

    return Interleaved


def _told(age: str, pair: Pair) -> str:
    if age == "legacy":
        return "row of before the change"
    return f"row of {pair.writer.version if age == 'writer' else pair.reader.version}"
