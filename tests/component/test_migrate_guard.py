"""P9 in the database itself: who runs cannot lose its columns, and who starts late cannot slip in (real processes)."""

import asyncio
import contextlib
import itertools
import tempfile
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import psycopg
import pytest

from lab import migrate
from lab.database import Database
from lab.errors import LabError
from lab.migrate import leases
from lab.migrate.waiting import Manner
from lab.operations import evidence
from sample_app.database import DatabaseError
from sample_app.lease import Lease, VersionGoneError
from tests.component.conftest import Postgres, StartApp
from tests.component.migrate_world import database_on, killed_at, reached


@pytest.fixture(scope="session")
def plan(root: Path) -> migrate.ChangePlan:
    return migrate.read_plan(root / "sample_app" / "schema" / "plan.toml")


@pytest.fixture
def backfilled(postgres: Postgres, plan: migrate.ChangePlan) -> Database:
    database = database_on(postgres, "guard")
    migrate.go_to(database, plan, "backfilled")
    return database


def contract(database: Database, plan: migrate.ChangePlan) -> None:
    migrate.go_to(database, plan, "contracted")


def test_contracting_is_refused_while_an_old_version_runs_and_its_replica_is_named(
    backfilled: Database, plan: migrate.ChangePlan, start_app: StartApp
) -> None:
    old = start_app(reached(backfilled), "v1")
    start_app(reached(backfilled), "v2")
    with pytest.raises(LabError) as failure:
        contract(backfilled, plan)
    assert (failure.value.id, failure.value.exit_code) == ("schema-guard", 3)
    assert failure.value.where.startswith("leases: app-1.1 holds a lease for v1, since ")
    assert "app-2.1" not in failure.value.where
    assert migrate.gone_versions(backfilled) == {}
    old.kill()
    contract(backfilled, plan)
    assert migrate.gone_versions(backfilled) == {"v1": "contracted"}
    assert start_app(reached(backfilled), "v2").ask("GET", "/parcels").status == 200


def test_a_lease_of_a_version_that_nobody_knows_is_a_reason_too(backfilled: Database, plan: migrate.ChangePlan) -> None:
    with psycopg.connect(**reached(backfilled), autocommit=True, application_name="somebody") as other:
        other.execute("select pg_advisory_lock_shared(4997442, hashtext('v0.9'))")
        with pytest.raises(LabError, match="could still run") as failure:
            contract(backfilled, plan)
    assert failure.value.where.startswith("leases: somebody holds a lease for an unknown version")


@contextlib.contextmanager
def contracting(database: Database, plan: migrate.ChangePlan) -> Iterator[list[LabError]]:
    """In the block the contraction stands before its first statement, and cannot have the table yet."""
    failures: list[LabError] = []
    waiting = threading.Event()

    def go() -> None:
        try:
            manner = Manner(told=lambda _, what: waiting.set() if what.startswith("waits for") else None)
            migrate.go_to(database, plan, "contracted", manner=manner)
        except LabError as error:
            failures.append(error)

    thread = threading.Thread(target=go)
    with psycopg.connect(**reached(database)) as other:
        other.execute("lock table parcels in row exclusive mode")
        thread.start()
        assert waiting.wait(20)
        yield failures
    thread.join()


def test_one_that_starts_while_it_is_contracted_waits_and_then_ends_with_a_clear_word(
    backfilled: Database, plan: migrate.ChangePlan, start_app: StartApp
) -> None:
    with contracting(backfilled, plan) as failures:
        late = start_app(reached(backfilled), "v1", ready=False)
        late.until("/readyz", lambda reply: "the schema is being changed" in reply.data["detail"])
        stays = start_app(reached(backfilled), "v2")
    assert failures == []
    assert late.ended() == 78
    assert late.events("exit")[-1]["detail"] == "the schema is contracted: v1 can not run on it any more"
    assert late.events("ready") == []
    assert stays.ask("GET", "/parcels").status == 200


def test_a_contraction_that_was_killed_before_its_first_statement_is_withdrawn_by_the_next_command(
    backfilled: Database, plan: migrate.ChangePlan, start_app: StartApp
) -> None:
    assert killed_at(2, after=True, work=contract, arguments=(backfilled, plan))
    assert migrate.gone_versions(backfilled) == {"v1": "contracted"}
    migrate.tidy(backfilled, plan)
    assert migrate.gone_versions(backfilled) == {}
    start_app(reached(backfilled), "v1")


def test_one_whose_contraction_was_refused_by_the_table_is_not_kept_from_starting(
    backfilled: Database, plan: migrate.ChangePlan, start_app: StartApp
) -> None:
    """Its SQL never began: nothing was taken away, and `lab_gone` says so again."""
    broken = plan.file.parent / "30_contract.sql"
    text = broken.read_text().replace("add constraint parcels_names_present", "add constraint no no no")
    with edited(plan, "contracted", text) as changed, pytest.raises(LabError, match="42601"):
        migrate.go_to(backfilled, changed, "contracted")
    assert migrate.gone_versions(backfilled) == {}
    start_app(reached(backfilled), "v1")


@contextlib.contextmanager
def edited(plan: migrate.ChangePlan, phase: str, text: str) -> Iterator[migrate.ChangePlan]:
    with tempfile.NamedTemporaryFile("w", suffix=".sql") as file:
        file.write(text)
        file.flush()
        phases = [replace(p, up=Path(file.name)) if p.name == phase else p for p in plan.phases]
        yield replace(plan, phases=tuple(phases))


def test_after_a_kill_in_the_middle_no_old_version_starts_and_the_next_run_ends_it(
    backfilled: Database, plan: migrate.ChangePlan, start_app: StartApp
) -> None:
    assert killed_at(3, after=True, work=contract, arguments=(backfilled, plan))
    assert migrate.current_phase(backfilled) == "backfilled"
    assert migrate.gone_versions(backfilled) == {"v1": "contracted"}
    assert start_app(reached(backfilled), "v1", ready=False).ended() == 78
    contract(backfilled, plan)
    assert migrate.current_phase(backfilled) == "contracted"


ROUNDS = 12
NUMBERS = itertools.count()


def race(database: Database, plan: migrate.ChangePlan, monkeypatch: pytest.MonkeyPatch, *, after: float) -> set[str]:
    """Old versions start, `after` seconds and later, while the schema is contracted; says how it ended."""
    for variable, name in {"PGHOST": "host", "PGPORT": "port", "PGUSER": "user", "PGPASSWORD": "password"}.items():
        monkeypatch.setenv(variable, str(reached(database)[name]))
    monkeypatch.setenv("PGDATABASE", database.name)

    async def start(number: int) -> tuple[str, Lease]:
        lease = Lease(code="v1", replica=f"app-{number}.1")
        await asyncio.sleep(after + number * 0.004)
        while True:
            try:
                await lease.hold()
            except DatabaseError:
                await asyncio.sleep(0.005)
            except VersionGoneError:
                return "gone", lease
            else:
                return "runs", lease

    async def everybody() -> tuple[str, list[str]]:
        contraction = asyncio.to_thread(_ended, contract, database, plan)
        ended, *started = await asyncio.gather(contraction, *(start(number) for number in range(4)))
        for _, lease in started:
            await lease.close()
        return ended, [how for how, _ in started]

    ended, started = asyncio.run(everybody())
    if ended == "contracted":
        return {"slipped in"} if "runs" in started else {"contracted"}
    return {ended}


def _ended(work: Callable[..., None], *arguments: object) -> str:
    try:
        work(*arguments)
    except LabError as error:
        return error.id
    return "contracted"


@pytest.fixture
def another(postgres: Postgres, backfilled: Database) -> Callable[[], Database]:
    """Databases that are as far, each in a tenth of the time."""

    def make() -> Database:
        name = f"{backfilled.name}_{next(NUMBERS)}"
        with psycopg.connect(**postgres.conninfo, autocommit=True) as connection:
            connection.execute(f'create database "{name}" template "{backfilled.name}"')
        return backfilled.called(name)

    return make


def test_whoever_starts_while_it_is_contracted_never_runs_beside_it(
    another: Callable[[], Database], plan: migrate.ChangePlan, monkeypatch: pytest.MonkeyPatch
) -> None:
    ends = set[str]()
    for number in range(ROUNDS):
        ends |= race(another(), plan, monkeypatch, after=number % 4 * 0.03)
    assert ends == {"contracted", "schema-guard"}


def test_a_guard_that_only_looks_and_holds_nobody_off_is_seen(
    another: Callable[[], Database], plan: migrate.ChangePlan, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The saboteur: the same race without the exclusive lock and without the mark of who is gone."""

    @contextlib.contextmanager
    def looking(_session: object, _versions: frozenset[str]) -> Iterator[frozenset[str]]:
        yield frozenset()

    monkeypatch.setattr(leases, "excluded", looking)
    monkeypatch.setattr(migrate.state.Journal, "lose", lambda *_: None)
    ends = set[str]()
    for _ in range(30):
        ends |= race(another(), plan, monkeypatch, after=0.05)
        if "slipped in" in ends:
            return
    pytest.fail(f"nobody slipped in: {ends}")


def test_force_is_recorded_with_its_reason_and_says_so_from_then_on(
    backfilled: Database, plan: migrate.ChangePlan, start_app: StartApp
) -> None:
    old = start_app(reached(backfilled), "v1")
    assert migrate.forced_reason(backfilled) is None
    leave = migrate.Leave(force="the old one is a test of mine")
    migrate.step_up(backfilled, plan, plan.phase("contracted"), leave=leave)
    assert migrate.forced_reason(backfilled) == "contracted: the old one is a test of mine"
    lab: Any = SimpleNamespace(database=lambda: backfilled)
    assert evidence._forced(lab) == (
        "a schema step taken against the guard (contracted: the old one is a test of mine)",
    )
    broken = old.ask("GET", "/parcels")
    assert (broken.status, broken.error["code"]) == (500, "42703")
    assert start_app(reached(backfilled), "v1", ready=False).ended() == 78


def test_going_back_is_refused_while_the_new_version_runs_and_while_it_would_lose_what_it_wrote(
    backfilled: Database, plan: migrate.ChangePlan, start_app: StartApp
) -> None:
    new = start_app(reached(backfilled), "v2")
    body = {"key": "k", "first_name": "Mary Ann", "last_name": "Lee", "address": "here"}
    assert new.ask("POST", "/parcels", body).status == 201
    with pytest.raises(LabError, match="expanded takes v2 away, and v2 could still run"):
        migrate.step_down(backfilled, plan)
    new.kill()
    assert migrate.step_down(backfilled, plan) == "expanded"
    with pytest.raises(LabError) as failure:
        migrate.step_down(backfilled, plan)
    assert failure.value.id == "schema-loss"
    assert failure.value.what == "going back from expanded would lose split_by_v2 1"
    assert migrate.step_down(backfilled, plan, leave=migrate.Leave(force="a test")) == "base"
    assert backfilled.query("select recipient_name from parcels") == [("Mary Ann Lee",)]
    assert migrate.gone_versions(backfilled) == {}
    old = start_app(reached(backfilled), "v1")
    assert old.ask("GET", "/parcels").data["items"][0]["recipient_name"] == "Mary Ann Lee"


def test_wrong_data_refuse_a_contraction_under_its_lock(backfilled: Database, plan: migrate.ChangePlan) -> None:
    insert = (
        "insert into parcels (key, recipient_name, first_name, last_name, address) values ('k', 'A B', 'C', 'D', '')"
    )
    backfilled.execute(insert)
    with pytest.raises(LabError) as failure:
        contract(backfilled, plan)
    assert failure.value.where == "data: diverged 1"
    assert migrate.gone_versions(backfilled) == {}
