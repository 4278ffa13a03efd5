"""Takes the schema from phase to phase. The phase stands in the database's own table: it is the one authority."""

import hashlib
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from lab.database import Database, Session
from lab.errors import LabError
from lab.migrate import backfill as filling
from lab.migrate import leases, state
from lab.migrate.commands import run_command
from lab.migrate.guard import Evidence, refusal
from lab.migrate.plan import NOTHING, ChangePlan, Command, Phase
from lab.migrate.sql import Unit, units_of
from lab.migrate.state import Journal, Step
from lab.migrate.steps import Taking
from lab.migrate.sync import Sync
from lab.migrate.waiting import Manner, Told, run_lock

MOST_SHOWN = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class Leave:
    """What allows a step that takes versions away. `begun` is called while nobody of them can start, before any SQL."""

    force: str | None = None
    begun: Callable[[], None] = lambda: None


def go_to(
    database: Database, plan: ChangePlan, phase: str, told: Told | None = None, *, manner: Manner | None = None
) -> None:
    """Take every step up to that phase. LabError `schema-down` if it lies behind."""
    goal, manner = plan.index(phase), _manner(manner, told)
    with run_lock(database, manner) as session:
        state.prepare(session)
        now = state.phase_of(session, plan)
        start = -1 if now == NOTHING else plan.index(now)
        if start > goal:
            raise LabError(
                id="schema-down",
                what=f"the schema is {now}, which is past {phase}",
                fix="lab migrate rollback takes one step back, and again the next",
            )
        for step in plan.phases[start + 1 : goal + 1]:
            Passage(database, session, plan, manner).up(step, Leave())


def step_up(
    database: Database,
    plan: ChangePlan,
    phase: Phase,
    told: Told | None = None,
    *,
    manner: Manner | None = None,
    leave: Leave | None = None,
) -> None:
    """Take the one step that leads to `phase`; nothing if it is taken already. LabError `schema-order` out of turn."""
    manner = _manner(manner, told)
    with run_lock(database, manner) as session:
        state.prepare(session)
        now = state.phase_of(session, plan)
        if now != NOTHING and plan.index(now) >= plan.index(phase.name):
            return
        following = plan.next_of(now)
        if following is None or following.name != phase.name:
            raise LabError(
                id="schema-order",
                what=f"the schema is {now}; {phase.name} is not the phase after it",
                fix=f"lab migrate {plan.command_to(following.name) if following else 'status'}",
            )
        Passage(database, session, plan, manner).up(phase, leave or Leave())


def step_down(
    database: Database,
    plan: ChangePlan,
    told: Told | None = None,
    *,
    manner: Manner | None = None,
    leave: Leave | None = None,
) -> str:
    """Take the last step back; returns the phase that was reached."""
    manner = _manner(manner, told)
    with run_lock(database, manner) as session:
        state.prepare(session)
        now = state.phase_of(session, plan)
        if now == NOTHING or plan.index(now) == 0:
            raise LabError(id="no-way-down", what=f"the schema is {now}: there is nothing to go back to")
        return Passage(database, session, plan, manner).down(plan.phase(now), leave or Leave())


def tidy(database: Database, plan: ChangePlan, *, manner: Manner | None = None) -> None:
    """Withdraw a step that was begun and of which nothing was done: its run was killed, and nobody is kept for it."""
    with run_lock(database, manner or Manner()) as session:
        state.prepare(session)
        journal = Journal(session, plan)
        steps, now = journal.unfinished(), state.phase_of(session, plan)
        if not steps or any(step.done or step.trying for step in steps):
            return
        with session.transaction():
            for step in steps:
                if not step.filled:
                    journal.forget(step.phase, step.direction)
            journal.lose(plan.gone_at(now), now)


def wrong_data(session: Session, plan: ChangePlan, phase: str) -> dict[str, int]:
    """What the phase's verification finds that has to be 0."""
    verify = None if phase == NOTHING else plan.phase(phase).verify
    if verify is None:
        return {}
    sql, name = (verify.divergence(), "divergence") if isinstance(verify, Sync) else (verify.read_text(), verify.name)
    return {name: int(count or 0) for name, count in session.row(sql, called=name).items()}


@dataclass(frozen=True, slots=True, kw_only=True)
class Move:
    """One step, up or down: from where, to where, and what is run for it. `phase` is the one above."""

    now: str
    reached: str
    phase: Phase
    direction: str
    what: Path | Command | None


class Passage:
    """One step on a session that holds the run lock."""

    def __init__(self, database: Database, session: Session, plan: ChangePlan, manner: Manner) -> None:
        self._database = database
        self._session = session
        self._plan = plan
        self._manner = manner
        self._journal = Journal(session, plan)

    def up(self, phase: Phase, leave: Leave) -> None:
        move = Move(now=self._now(), reached=phase.name, phase=phase, direction="up", what=phase.up)

        def work(step: Step) -> None:
            self._take(move, step)
            filling.fill(self._database, self._session, self._journal, manner=self._manner, phase=phase, step=step)
            self._verify(phase)

        self._pass(move, leave, work)

    def down(self, phase: Phase, leave: Leave) -> str:
        if phase.up is not None and phase.down is None:
            raise LabError(
                id="no-way-down",
                what=f"the plan has no way down from {phase.name}",
                where=str(self._plan.file),
                fix="the phase is kept; what it took away is in your backups only",
            )
        back = self._plan.phases[self._plan.index(phase.name) - 1].name
        move = Move(now=phase.name, reached=back, phase=phase, direction="down", what=phase.down)

        def work(step: Step) -> None:
            if leave.force is None and not step.done:
                self._refuse_loss(phase)
            self._take(move, step)

        self._pass(move, leave, work)
        return back

    def _now(self) -> str:
        return state.phase_of(self._session, self._plan)

    def _pass(self, move: Move, leave: Leave, work: Callable[[Step], None]) -> None:
        plan, journal = self._plan, self._journal
        self._refuse_other_half(move)
        prefix = self._prefix(move.what)
        lost = plan.lost_by(move.now, move.reached)
        with leases.excluded(self._session, lost) as running:
            if leave.force is None:
                self._guard(move, lost, running)
            if lost:
                leave.begun()
            with self._session.transaction():
                step = journal.begin(move.phase, move.direction, prefix)
                journal.lose(plan.gone_at(move.now) | lost, move.reached)
            try:
                work(step)
            except (LabError, KeyboardInterrupt):
                with suppress(LabError):  # whoever comes next finds what is half done, and that is what counts
                    self._take_back(move)
                raise
            forced = leave.force if lost else None
            journal.finish(move.phase, move.direction, reached=move.reached, forced=forced)

    def _take_back(self, move: Move) -> None:
        """Nothing of the step's SQL is in the database: nobody is kept from starting for its sake."""
        step = self._journal.step(move.phase.name, move.direction)
        if step is None or step.done or step.trying:
            return
        with self._session.transaction():
            if not step.filled:
                self._journal.forget(move.phase.name, move.direction)
            self._journal.lose(self._plan.gone_at(move.now), move.now)

    def _guard(self, move: Move, lost: frozenset[str], running: frozenset[str]) -> None:
        """What the database alone can prove, while none of these versions can start."""
        if not lost:
            return
        stay = self._plan.phase(move.reached).serves
        found = leases.holders(self._session, self._plan.versions)
        held = tuple(h for h in found if h.version not in stay)
        unknown = tuple(f"somebody holds the lease of {v}" for v in sorted(running - {h.version for h in held}))
        half = self._journal.step(move.phase.name, move.direction)
        whole = move.direction == "up" and not (half and (half.done or half.trying))
        wrong = wrong_data(self._session, self._plan, move.now) if whole else {}
        refused = refusal(Evidence(goal=move.reached, versions=lost, leases=held, wrong=wrong, unknown=unknown))
        if refused:
            raise refused

    def _refuse_other_half(self, move: Move) -> None:
        for other in self._journal.unfinished():
            if (other.phase, other.direction) == (move.phase.name, move.direction):
                continue
            if not (other.done or other.trying):
                self._journal.forget(other.phase, other.direction)
                continue
            again = "rollback" if other.direction == "down" else self._plan.command_to(other.phase)
            raise LabError(
                id="schema-half-done",
                what=f"the step {other.direction} of {other.phase} is half done: {other.done} of its transactions",
                fix=f"finish it first: lab migrate {again}",
            )

    def _prefix(self, what: Path | Command | None) -> Callable[[int], str]:
        """The digest of the first so many transactions: of what is run, not of how it is written."""
        if isinstance(what, Command):
            texts = [" ".join(what.argv)]
        else:
            texts = [] if what is None else ["\n".join(s.text for s in unit.statements) for unit in self._units(what)]
        return lambda count: hashlib.sha256("\n\n".join(texts[:count]).encode()).hexdigest()[:16]

    def _units(self, path: Path) -> tuple[Unit, ...]:
        return units_of(path.read_text(), file=path.name, syncs=self._plan.syncs)

    def _take(self, move: Move, step: Step) -> None:
        phase, direction, what = move.phase, move.direction, move.what
        if isinstance(what, Command):
            if not step.done:
                prefix = self._prefix(what)
                self._journal.note(phase, direction, trying=True, digest=prefix(1))
                run_command(what, phase=phase.name, database=self._database, session=self._session, manner=self._manner)
                self._journal.note(phase, direction, done=1, trying=False, digest=prefix(1))
        elif what is not None:
            units = self._units(what)
            again = f", from transaction {step.done + 1} of {len(units)}" if step.done else ""
            self._manner.told(phase.name, f"{what.name}{again}")
            taking = Taking(
                self._database,
                self._session,
                self._journal,
                manner=self._manner,
                phase=phase,
                direction=direction,
                prefix=self._prefix(what),
            )
            taking.take(units, step)

    def _verify(self, phase: Phase) -> None:
        wrong = {name: count for name, count in wrong_data(self._session, self._plan, phase.name).items() if count}
        if not wrong:
            return
        # what was filled may have been emptied behind the cursor: the next run looks at all rows again
        self._journal.note(phase, "up", cursor=None)
        told = ", ".join(f"{name} {count}" for name, count in wrong.items())
        raise LabError(
            id="schema-verify",
            what=f"the schema is not {phase.name} yet: {told}",
            where="\n".join(self._examples(phase)) or (phase.verify.name if phase.verify else ""),
            fix="lab migrate backfill; rows that diverge are shown by the same query",
        )

    def _examples(self, phase: Phase) -> list[str]:
        if not isinstance(phase.verify, Sync):
            return []
        sync = phase.verify
        names = (sync.key, *sync.to_old, *sync.to_new)
        rows = self._session.run(sync.examples())[:MOST_SHOWN]
        return [", ".join(f"{name}={value!r}" for name, value in zip(names, row, strict=True)) for row in rows]

    def _refuse_loss(self, phase: Phase) -> None:
        if phase.lost is None:
            return
        found = self._session.row(phase.lost.read_text(), called=phase.lost.name)
        lost = [f"{name} {count}" for name, count in found.items() if count]
        if lost:
            raise LabError(
                id="schema-loss",
                what=f"going back from {phase.name} would lose {', '.join(lost)}",
                where=phase.lost.name,
                fix="keep the phase; or lab migrate rollback --force --reason TEXT",
            )


def _manner(manner: Manner | None, told: Told | None) -> Manner:
    manner = manner or Manner()
    return manner.telling(told) if told else manner
