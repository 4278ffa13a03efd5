"""The schema's way up on a real PostgreSQL, with the plan that ships: in order, in batches, and past busy tables."""

import itertools
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import psycopg
import pytest

from lab import migrate
from lab.database import Database
from lab.errors import LabError, UsageError
from lab.migrate import ChangePlan, state
from lab.migrate.sql import Locks
from lab.migrate.waiting import PATIENCE, Manner
from tests.component.conftest import Postgres

PHASES = ["base", "expanded", "backfilled", "contracted"]


@pytest.fixture(scope="session")
def plan(root: Path) -> ChangePlan:
    return migrate.read_plan(root / "sample_app" / "schema" / "plan.toml")


@pytest.fixture
def new_database(postgres: Postgres) -> Callable[[], Database]:
    def make() -> Database:
        name = postgres.new_database("migrate")["dbname"]
        return Database(host=postgres.host, port=postgres.port, password=postgres.password, user="lab", name=name)

    return make


@pytest.fixture
def database(new_database: Callable[[], Database]) -> Database:
    return new_database()


def old_row(database: Database, key: str, name: str = "Ann Lee") -> None:
    """As V1 writes it."""
    statement = "insert into parcels (key, recipient_name, address) values (%s, %s, 'here')"
    database.execute(statement, (key, name))


def test_the_phases_go_up_in_order_and_the_database_says_where_it_is(database: Database, plan: ChangePlan) -> None:
    assert migrate.current_phase(database) == migrate.NOTHING
    told: list[tuple[str, str]] = []
    for phase in PHASES:
        migrate.go_to(database, plan, phase, lambda *words: told.append(words))
        assert migrate.current_phase(database) == phase
    assert database.query("select phase, change from lab_schema order by id") == [(p, plan.id) for p in PHASES]
    assert told == [("base", "00_base.sql"), ("expanded", "10_expand.sql"), ("contracted", "30_contract.sql")]


def test_one_call_takes_every_step_and_a_second_one_none(database: Database, plan: ChangePlan) -> None:
    migrate.go_to(database, plan, "backfilled")
    migrate.go_to(database, plan, "backfilled")
    assert database.query("select phase from lab_schema order by id") == [(p,) for p in PHASES[:3]]


@pytest.mark.parametrize(
    ("phase", "versions", "way"),
    [
        ("base", {"v1"}, []),
        ("base", {"v1", "v2"}, ["expanded", "backfilled"]),
        ("expanded", {"v1", "v2"}, ["backfilled"]),
        ("backfilled", {"v1", "v2"}, []),
        ("backfilled", {"v2"}, []),
        ("contracted", {"v2"}, []),
        ("contracted", {"v1", "v2"}, None),
        ("base", {"v3"}, None),
    ],
)
def test_the_way_to_a_phase_that_serves_never_contracts(
    plan: ChangePlan, phase: str, versions: set[str], way: list[str] | None
) -> None:
    steps = plan.way_to_serve(phase, versions)
    assert (steps if steps is None else [step.name for step in steps]) == way


def test_the_way_up_does_not_lead_down(database: Database, plan: ChangePlan) -> None:
    migrate.go_to(database, plan, "backfilled")
    with pytest.raises(LabError) as failure:
        migrate.go_to(database, plan, "base")
    assert (failure.value.id, failure.value.exit_code) == ("schema-down", 3)
    assert "backfilled" in failure.value.what
    assert migrate.current_phase(database) == "backfilled"
    with pytest.raises(UsageError, match="no schema phase 'nowhere'"):
        migrate.go_to(database, plan, "nowhere")


def test_a_backfill_in_batches_under_writers_loses_nothing(database: Database, plan: ChangePlan) -> None:
    migrate.go_to(database, plan, "base")
    database.execute(
        "insert into parcels (key, recipient_name, address)"
        " select 'old-' || n, 'Old ' || n, 'here' from generate_series(1, 594) n"
    )
    told: list[str] = []
    pauses: list[float] = []

    def pause(seconds: float) -> None:
        pauses.append(seconds)
        time.sleep(seconds)

    with writing(database) as written:
        migrate.go_to(database, plan, "expanded")
        small = with_batches(plan, 40)
        migrate.go_to(database, small, "backfilled", lambda _, what: told.append(what), manner=Manner(sleep=pause))
    assert len(pauses) >= 10
    assert told[0].startswith("40 rows filled of about ")
    assert " rows filled, all in " in told[-1]
    assert min(len(names) for names in written) > 20
    found = {key: (whole, parts) for key, whole, parts in database.query(NAMES)}
    assert len(found) == 594 + sum(key.startswith("new") for names in written for key in names)
    lost = {key for names in written for key, name in names.items() if found[key] != (name, name)}
    assert lost == set()
    assert {key for key, (whole, parts) in found.items() if whole != parts} == set()


def with_batches(plan: ChangePlan, batch: int) -> ChangePlan:
    phases = [
        replace(phase, backfill=replace(phase.backfill, batch=batch)) if phase.backfill else phase
        for phase in plan.phases
    ]
    return replace(plan, phases=tuple(phases))


NAMES = "select key, recipient_name, first_name || ' ' || last_name from parcels"


@contextmanager
def writing(database: Database) -> Iterator[list[dict[str, str]]]:
    """Writers of V1: each inserts, and changes names of old rows, its own. Yields what each was told is written."""
    over = threading.Event()
    written: list[dict[str, str]] = [{}, {}, {}]
    failures: list[Exception] = []

    def write(number: int) -> None:
        try:
            with database.connect() as connection:
                for turn in itertools.count(1):
                    if over.is_set() and turn > 20:
                        return
                    key, name = f"new-{number}-{turn}", f"New {number}-{turn}"
                    insert = "insert into parcels (key, recipient_name, address) values (%s, %s, 'here')"
                    connection.execute(insert, (key, name))
                    written[number][key] = name
                    old, changed = f"old-{(turn * 3 + number) % 99 * 6 + 1}", f"Changed {number}-{turn}"
                    update = "update parcels set recipient_name = %s where key = %s"
                    connection.execute(update, (changed, old))
                    written[number][old] = changed
        except Exception as error:  # noqa: BLE001  it is told below
            failures.append(error)

    writers = [threading.Thread(target=write, args=(number,)) for number in range(len(written))]
    for writer in writers:
        writer.start()
    try:
        yield written
    finally:
        over.set()
        for writer in writers:
            writer.join()
    assert failures == []


def test_a_busy_table_is_tried_again_until_it_is_free_and_it_is_said_who_blocks(
    database: Database, plan: ChangePlan
) -> None:
    migrate.go_to(database, plan, "base")
    pauses: list[float] = []
    told: list[str] = []
    with psycopg.connect(**reached(database), application_name="a report") as other:
        other.execute("lock table parcels in row exclusive mode")

        def give_way(seconds: float) -> None:
            pauses.append(seconds)
            if len(pauses) == 2:
                other.rollback()

        pid = other.info.backend_pid
        manner = Manner(sleep=give_way)
        migrate.go_to(database, plan, "expanded", lambda _, what: told.append(what), manner=manner)
    assert len(pauses) == 2
    assert migrate.current_phase(database) == "expanded"
    (blocked,) = [what for what in told if what.startswith("waits for")]
    assert blocked.startswith(f"waits for pid {pid} (a report), idle in transaction, ")
    assert blocked.endswith("s: lock table parcels in row exclusive mode")


def impatient() -> Manner:
    brief = replace(PATIENCE[Locks.BRIEF], deadline=0.0)
    return Manner(patience={**PATIENCE, Locks.BRIEF: brief})


def test_a_table_that_stays_busy_is_named_at_the_deadline_with_who_blocks(database: Database, plan: ChangePlan) -> None:
    migrate.go_to(database, plan, "base")
    with psycopg.connect(**reached(database), application_name="a report") as other:
        other.execute("lock table parcels in row exclusive mode")
        with pytest.raises(LabError) as failure:
            migrate.go_to(database, plan, "expanded", manner=impatient())
    assert "10_expand.sql:9: 55P03" in failure.value.what
    assert "(a report), idle in transaction" in failure.value.where
    assert migrate.current_phase(database) == "base"


def test_each_try_has_its_own_lock_timeout(database: Database, plan: ChangePlan) -> None:
    """One that is lost on the way to the second try makes everybody queue up behind it."""
    migrate.go_to(database, plan, "base")
    waits: list[float] = []
    last = time.monotonic()

    def again(_seconds: float) -> None:
        nonlocal last
        waits.append(time.monotonic() - last)
        if len(waits) == 3:
            other.rollback()
        last = time.monotonic()

    with psycopg.connect(**reached(database)) as other:
        other.execute("lock table parcels in row exclusive mode")
        migrate.go_to(database, plan, "expanded", manner=Manner(sleep=again))
    assert all(wait < 2 for wait in waits)


def reached(database: Database) -> dict[str, object]:
    return {
        "host": database.host,
        "port": database.port,
        "user": database.user,
        "password": database.password,
        "dbname": database.name,
    }


def test_a_failed_verification_says_how_many_rows_are_wrong_and_leaves_the_phase(
    database: Database, plan: ChangePlan
) -> None:
    migrate.go_to(database, plan, "base")
    for n in range(3):
        old_row(database, f"old-{n}")
    migrate.go_to(database, plan, "expanded")
    database.execute("alter table parcels disable trigger all")
    database.execute("update parcels set first_name = 'Bob', last_name = 'Ray' where key = 'old-0'")
    with pytest.raises(LabError) as failure:
        migrate.step_up(database, plan, replace(plan.phase("backfilled"), backfill=None))
    assert failure.value.id == "schema-verify"
    assert "missing 2, diverged 1" in failure.value.what
    assert migrate.current_phase(database) == "expanded"


def test_a_step_out_of_turn_is_refused(database: Database, plan: ChangePlan) -> None:
    migrate.go_to(database, plan, "base")
    with pytest.raises(LabError) as failure:
        migrate.step_up(database, plan, plan.phase("backfilled"))
    assert (failure.value.id, failure.value.exit_code) == ("schema-order", 3)
    assert failure.value.fix == "lab migrate expand"


@pytest.mark.parametrize("phase", PHASES)
def test_a_step_whose_record_is_lost_is_taken_again(database: Database, plan: ChangePlan, phase: str) -> None:
    """P4: whatever is killed between a step and its record, the next command ends in the same phase."""
    before = PHASES[PHASES.index(phase) - 1] if phase != "base" else migrate.NOTHING
    if before != migrate.NOTHING:
        migrate.go_to(database, plan, before)
    else:
        database.execute(state.TABLES)
    with refusing_records(database), pytest.raises(LabError, match="no record today"):
        migrate.go_to(database, plan, phase)
    assert migrate.current_phase(database) == before
    migrate.go_to(database, plan, phase)
    assert migrate.current_phase(database) == phase


@contextmanager
def refusing_records(database: Database) -> Iterator[None]:
    """A database that takes the step and dies before it has the record of it."""
    database.execute("create function refuse() returns trigger language plpgsql as $$"
                     " begin raise 'no record today'; end $$")  # fmt: skip
    database.execute("create trigger refuse before insert on lab_schema for each row execute function refuse()")
    yield
    database.execute("drop trigger refuse on lab_schema")


def test_a_database_that_is_gone_is_said_with_its_fix(database: Database) -> None:
    gone = replace(database, port=1)
    with pytest.raises(LabError) as failure:
        migrate.current_phase(gone)
    assert (failure.value.id, failure.value.fix) == ("database-gone", "lab up")


def test_the_wait_for_the_database_outlasts_one_that_throws_everybody_out(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As the engine's first start of PostgreSQL does, between its setup and its service."""
    tries = iter(["select pg_terminate_backend(pg_backend_pid())", "select 1"])
    real = psycopg.Connection.execute

    def thrown_out(self: psycopg.Connection, query: str, *rest: object, **more: object) -> object:
        return real(self, next(tries), *rest, **more)

    monkeypatch.setattr(psycopg.Connection, "execute", thrown_out)
    monkeypatch.setattr(time, "sleep", lambda _: None)
    database.wait_until_up()
