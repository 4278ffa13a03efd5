"""The classifier against what a real PostgreSQL says, with names that no test before has had."""

import random
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import psycopg
import pytest

from lab.compat.catalogue import catalogue
from lab.compat.classifier import Cause, Evidence, Finding, classify
from lab.migrate.sql import units_of
from tests.component.conftest import Postgres

PLACES = ("t", "u", "a", "b", "c", "ty", "old", "new", "fn")


@dataclass(frozen=True, kw_only=True)
class Case:
    """A change in one step. `old` or `new` is the statement of the version that the step breaks."""

    change: str | None
    steps: str
    old: str = ""
    new: str = ""
    base: str = "create table {t} (id serial primary key, {a} text not null default 'x', {b} text)"
    rows: bool = True
    sqlstate: str


CASES = (
    Case(
        change="rename-column",
        steps="alter table {t} rename column {a} to {c}",
        old="select {a} from {t}",
        sqlstate="42703",
    ),
    Case(
        change="rename-column",
        steps="alter table {t} rename {a} to {c}",
        new="update {t} set {c} = 'z'",
        sqlstate="42703",
    ),
    Case(
        change="drop-column",
        steps="alter table {t} drop column {b}",
        old="insert into {t} ({a}, {b}) values ('p', 'q')",
        sqlstate="42703",
    ),
    Case(
        change="add-required-column",
        steps="alter table {t} add column {c} text not null default 'n'; alter table {t} alter column {c} drop default",
        old="insert into {t} ({a}) values ('p')",
        sqlstate="23502",
    ),
    Case(
        change="add-required-column",
        steps="alter table {t} add {c} int; update {t} set {c} = 1; alter table {t} alter {c} set not null",
        old="insert into {t} ({a}) values ('p')",
        sqlstate="23502",
    ),
    Case(
        change="add-column",
        steps="alter table {t} add column {c} text",
        new="select {c} from {t}",
        sqlstate="42703",
    ),
    Case(
        change="add-column",
        base="create table {t} (id int, {a} text); create table {u} (id int, {c} text)",
        rows=False,
        steps="alter table {t} add column {c} text",
        old="select {c} from {t} join {u} using (id)",
        sqlstate="42702",
    ),
    Case(
        change="add-computed-column",
        steps="alter table {t} add column {c} text generated always as ({a} || '!') stored",
        old="insert into {t} ({a}, {c}) values ('p', 'q')",
        sqlstate="428C9",
    ),
    Case(
        change="widen-type",
        base="create table {t} (id serial primary key, {a} int)",
        steps="alter table {t} alter column {a} type bigint",
        new="insert into {t} ({a}) values (9000000000)",
        sqlstate="22003",
    ),
    Case(
        change="change-type",
        base="create table {t} (id serial primary key, {a} int)",
        steps="alter table {t} alter column {a} type text using {a}::text",
        old="select * from {t} where {a} > 1",
        sqlstate="42883",
    ),
    Case(
        change="change-type",
        base="create table {t} (id serial primary key, {a} text)",
        rows=False,
        steps="alter table {t} alter column {a} type int using {a}::int",
        old="insert into {t} ({a}) values ('one')",
        sqlstate="22P02",
    ),
    Case(
        change="split-column",
        steps="alter table {t} add column {c} text, add column {new} text; alter table {t} drop column {a}",
        old="select {a} from {t}",
        sqlstate="42703",
    ),
    Case(
        change="merge-columns",
        steps="alter table {t} add column {c} text; alter table {t} drop column {a}, drop column {b}",
        old="select {b} from {t}",
        sqlstate="42703",
    ),
    Case(
        change="rename-table",
        steps="alter table {t} rename to {u}",
        old="select {a} from {t}",
        sqlstate="42P01",
    ),
    Case(
        change="move-column",
        steps="create table {u} (id int primary key, {b} text); insert into {u} select id, {b} from {t};"
        "alter table {t} drop column {b}",
        old="update {t} set {b} = 'q'",
        sqlstate="42703",
    ),
    Case(
        change="add-unique",
        steps="alter table {t} add constraint {u} unique ({a})",
        old="insert into {t} ({a}) values ('x')",
        sqlstate="23505",
    ),
    Case(
        change="add-unique",
        steps="alter table {t} add unique ({a})",
        new="insert into {t} ({a}) values ('x') on conflict ({a}) do nothing",
        sqlstate="42P10",
    ),
    Case(
        change="add-foreign-key",
        base="create table {u} ({c} text primary key); create table {t} (id serial, {a} text)",
        rows=False,
        steps="alter table {t} add foreign key ({a}) references {u} ({c})",
        old="insert into {t} ({a}) values ('nobody')",
        sqlstate="23503",
    ),
    Case(
        change="add-check",
        steps="alter table {t} add constraint {u} check (length({a}) < 3) not valid",
        old="insert into {t} ({a}) values ('long')",
        sqlstate="23514",
    ),
    Case(
        change="add-check",
        steps="alter table {t} alter column {b} set not null",
        rows=False,
        old="insert into {t} ({a}) values ('p')",
        sqlstate="23502",
    ),
    Case(
        change="add-enum-value",
        base="create type {ty} as enum ('one'); create table {t} (id serial, {a} {ty})",
        rows=False,
        steps="alter type {ty} add value 'two'",
        new="insert into {t} ({a}) values ('two')",
        sqlstate="22P02",
    ),
    Case(
        change="change-enum-value",
        base="create type {ty} as enum ('one'); create table {t} (id serial, {a} {ty})",
        rows=False,
        steps="alter type {ty} rename value 'one' to 'eins'",
        old="select * from {t} where {a} = 'one'",
        sqlstate="22P02",
    ),
    Case(
        change="change-default",
        steps="alter table {t} alter column {a} drop default",
        old="insert into {t} ({b}) values ('q')",
        sqlstate="23502",
    ),
    # outside of the catalogue: none of its entries may be named
    Case(
        change=None,
        base="create function {fn}(v text) returns text language sql as 'select v';create table {t} (id int, {a} text)",
        rows=False,
        steps="drop function {fn}(text)",
        old="select {fn}({a}) from {t}",
        sqlstate="42883",
    ),
    Case(
        change=None,
        base="create table {t} (id int, {a} int4range)",
        rows=False,
        steps="alter table {t} add constraint {c} exclude using gist ({a} with &&);insert into {t} values (1, '[1,5)')",
        old="insert into {t} values (2, '[2,3)')",
        sqlstate="23P01",
    ),
    Case(
        change=None,
        base="create domain {ty} as text; create table {t} (id int, {a} {ty})",
        rows=False,
        steps="alter domain {ty} add constraint {c} check (value ~ '^[a-z]$')",
        old="insert into {t} values (1, 'WRONG')",
        sqlstate="23514",
    ),
    # a step that does not explain it: the column that is missing is another one
    Case(
        change=None,
        steps="alter table {t} drop column {b}",
        old="select {c} from {t}",
        sqlstate="42703",
    ),
)


@pytest.fixture(scope="module")
def connection(postgres: Postgres) -> Iterator["psycopg.Connection[Any]"]:
    with psycopg.connect(**postgres.new_database("classifier"), autocommit=True) as made:
        yield made


def named(text: str, names: dict[str, str]) -> str:
    return text.format(**names)


def some_names(rng: random.Random) -> dict[str, str]:
    letters = "abcdefghijklmnopqrstuvwxyz"
    return {place: "".join(rng.choices(letters, k=9)) + str(number) for number, place in enumerate(PLACES)}


def statements(sql: str) -> tuple[str, ...]:
    return tuple(s.text for unit in units_of(sql, file="change.sql", syncs={}) for s in unit.statements)


def met(connection: "psycopg.Connection[Any]", case: Case, names: dict[str, str]) -> tuple[str, str, str]:
    """What the server says to the statement: (SQLSTATE, message, statement)."""
    statement = named(case.old or case.new, names)
    for sql in statements(named(case.base, names)):
        connection.execute(sql)
    if case.rows:
        connection.execute(f"insert into {names['t']} default values")
    if case.old:
        for sql in statements(named(case.steps, names)):
            connection.execute(sql)
    with pytest.raises(psycopg.Error) as caught:
        connection.execute(statement)
    return caught.value.sqlstate or "", caught.value.diag.message_primary or "", statement


def found(connection: "psycopg.Connection[Any]", case: Case, *, told: bool = True) -> Finding:
    names = some_names(random.Random(f"{case} {told}"))
    sqlstate, message, statement = met(connection, case, names)
    assert sqlstate == case.sqlstate, message
    steps = statements(named(case.steps, names)) if told else None
    evidence = Evidence(sqlstate=sqlstate, message=message, statement=statement, steps=steps)
    return classify(evidence, catalogue())


@pytest.mark.parametrize(
    "case", CASES, ids=lambda case: f"{case.change}-{case.sqlstate}-{'old' if case.old else 'new'}"
)
def test_what_the_server_refuses_is_told_as_the_change_that_was_made(
    connection: "psycopg.Connection[Any]", case: Case
) -> None:
    finding = found(connection, case)

    assert (finding.change.id if finding.change else None) == case.change, finding
    assert finding.cause is (Cause.CHANGE if case.change else Cause.UNKNOWN)
    assert f"SQLSTATE: {case.sqlstate}" in finding.facts
    assert finding.fix
    if case.change is None:
        assert finding.what.startswith("not in the catalogue: ")
        assert any(fact.startswith("step: ") for fact in finding.facts)


def test_without_the_steps_the_changes_that_are_possible_are_told_and_none_is_guessed(
    connection: "psycopg.Connection[Any]",
) -> None:
    finding = found(connection, CASES[0], told=False)

    assert finding.change is None
    assert {"rename-column", "drop-column", "split-column", "move-column"} <= {c.id for c in finding.possible}
    assert "change-default" not in {c.id for c in finding.possible}


@pytest.mark.parametrize("inside", [False, True], ids=["autocommit", "transaction"])
def test_a_cached_plan_is_the_drivers_fault_and_not_the_schemas(postgres: Postgres, inside: bool) -> None:
    names = some_names(random.Random(str(inside)))
    step = f"alter table {names['t']} add column {names['c']} text"
    database = postgres.new_database("cached")
    with psycopg.connect(**database, autocommit=True, prepare_threshold=0) as warm:
        warm.execute(f"create table {names['t']} (id int)")
        warm.execute(f"select * from {names['t']}")
        with psycopg.connect(**database, autocommit=True) as other:
            other.execute(step)
        if inside:
            warm.execute("begin")
        with pytest.raises(psycopg.Error) as caught:
            warm.execute(f"select * from {names['t']}")

    evidence = Evidence(
        sqlstate=caught.value.sqlstate,
        message=caught.value.diag.message_primary or "",
        statement=f"select * from {names['t']}",
        steps=(step,),
    )
    finding = classify(evidence, catalogue())
    assert finding.cause is Cause.DRIVER
    assert finding.change is not None
    assert finding.change.id == "add-column"
    assert "prepare_threshold=None" in finding.fix
