"""A SQL file becomes the transactions it is taken in, and what cannot be taken is named with its line."""

import pytest

from lab.errors import LabError
from lab.migrate.sql import Locks, units_of
from lab.migrate.sync import Sync

SYNC = Sync(name="names", table="people", key="id", to_new={"full": "{name}"}, to_old={"name": "{full}"})


def heads(text: str) -> list[list[str]]:
    units = units_of(text, file="x.sql", syncs={"names": SYNC})
    return [[statement.head for statement in unit.statements] for unit in units]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("select 1; select 2", [["select 1"], ["select 2"]]),
        ("select ';' ; select \";\"", [["select ';'"], ['select ";"']]),
        ("select 'it''s; so';", [["select 'it''s; so'"]]),
        (r"select E'a\'; b'; select 2", [[r"select E'a\'; b'"], ["select 2"]]),
        ("select $$ ; $$; select $a$ $$ ; $a$", [["select $$ ; $$"], ["select $a$ $$ ; $a$"]]),
        ("select a$b$ from t; select 2", [["select a$b$ from t"], ["select 2"]]),
        ("-- one; two\nselect 1 -- ;\n, 2;\n-- end", [["select 1 -- ; , 2"]]),
        ("/* a /* b; */ ; */ select 1; /* ; */", [["select 1"]]),
        ("-- lab:tx\nselect 1; select 2;\n-- lab:end\nselect 3;", [["select 1", "select 2"], ["select 3"]]),
        ("--lab:tx\nselect 1\n;-- lab:end", [["select 1"]]),
        ("-- lab:tx\n-- lab:end\n;;", []),
        ("", []),
    ],
)
def test_a_file_becomes_its_transactions(text: str, expected: list[list[str]]) -> None:
    assert heads(text) == expected


def test_a_sync_stands_where_it_is_named_in_the_transaction_of_its_columns() -> None:
    text = (
        "-- lab:tx\nalter table people add full text;\n-- lab:sync create names\n-- lab:end\n-- lab:sync drop names\n"
    )
    first, *rest = heads(text)
    assert [head.split("(")[0] for head in first] == [
        "alter table people add full text",
        "create function people_sync_names",
        "create trigger people_sync_names before insert or update on people for e",
    ]
    assert rest == [["drop trigger people_sync_names on people"], ["drop function people_sync_names()"]]


@pytest.mark.parametrize(
    ("text", "line", "words"),
    [
        ("select 1;\nbegin;\n", 2, "is the runner's business"),
        ("commit", 1, "is the runner's business"),
        ("-- lab:tx\nselect 1;\n", 3, "has no end"),
        ("\n-- lab:end\n", 2, "means nothing here"),
        ("-- lab:txx\n", 1, "lab:txx"),
        ("-- lab:sync create other\n", 1, "no sync 'other'"),
        ("select 1\n-- lab:tx\n;", 2, "in the middle of a statement"),
        ("select 'a;\n", 1, "' is not closed"),
        ("select 1;\nselect $x$ a $y$", 2, "$x$ is not closed"),
        ("/* a\n", 1, "/* is not closed"),
        ("-- lab:tx\ncreate index concurrently i on t (a);\n-- lab:end", 2, "cannot run in a transaction"),
        ("create function f() returns int begin atomic select 1; end", 1, "BEGIN ATOMIC"),
    ],
)
def test_what_cannot_be_taken_is_named_with_its_line(text: str, line: int, words: str) -> None:
    with pytest.raises(LabError) as failure:
        units_of(text, file="x.sql", syncs={"names": SYNC})
    assert failure.value.id == "schema-sql"
    assert failure.value.what.startswith(f"x.sql, line {line}: ")
    assert words in failure.value.what
    assert failure.value.fix


@pytest.mark.parametrize(
    ("text", "outside", "locks"),
    [
        ("alter table t add column a int", False, Locks.BRIEF),
        ("create index i on t (a)", False, Locks.BRIEF),
        ("create unique index concurrently i on t (a)", True, Locks.PATIENT),
        ("drop index concurrently i", True, Locks.PATIENT),
        ("reindex (verbose) table concurrently t", True, Locks.PATIENT),
        ("vacuum t", True, Locks.PATIENT),
        ("alter table t validate constraint c", False, Locks.PATIENT),
        ("alter table t validate constraint c, drop column a", False, Locks.BRIEF),
        ("drop trigger t on t", False, Locks.BRIEF),
    ],
)
def test_how_it_waits_for_its_locks_is_known_by_what_it_is(text: str, outside: bool, locks: Locks) -> None:
    (unit,) = units_of(text, file="x.sql", syncs={})
    assert (unit.outside, unit.locks) == (outside, locks)


def test_a_validation_beside_what_locks_does_not_make_it_patient() -> None:
    text = "-- lab:tx\nalter table t validate constraint c; alter table t drop column a;\n-- lab:end"
    (unit,) = units_of(text, file="x.sql", syncs={})
    assert unit.locks is Locks.BRIEF
