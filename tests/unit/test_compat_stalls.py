"""Whether a step holds others up is told by who waits for whom, and by what was done with how many rows."""

import pytest

from lab.compat.stalls import ALONE_SECONDS, LEAST_ROWS, STALL_SECONDS, Behind, Large, Queue, Wait, Work, held_up, large

V1 = Behind(version="v1", sql="select * from parcels")
ALTER = "alter table parcels add column note text"


def wait(seconds: float, attempt: str = "10:00:00.0") -> Wait:
    return Wait(attempt=(7, attempt), seconds=seconds, sql=ALTER)


def test_a_step_that_gives_way_is_none() -> None:
    queue = Queue()

    looks = [queue.saw(None, []), queue.saw(wait(0.0), []), queue.saw(wait(0.19), [V1]), queue.saw(None, [])]

    assert looks == [False, False, False, True]
    assert queue.failures() == []


def test_a_step_that_gave_way_between_two_looks_is_known_by_its_next_try() -> None:
    queue = Queue()

    assert not queue.saw(wait(0.19), [V1])
    assert queue.saw(wait(STALL_SECONDS, "10:00:00.9"), [V1])
    assert queue.failures() == []


def test_a_step_that_waits_on_with_somebody_behind_it_is_a_lock_queue() -> None:
    queue = Queue()

    assert not queue.saw(wait(0.1), [])
    assert not queue.saw(wait(STALL_SECONDS - 0.1), [V1, V1])
    assert queue.saw(wait(STALL_SECONDS), [])

    (failure,) = queue.failures()
    assert (failure.level, failure.symptom, failure.sql, failure.entry) == (4, "STALL", ALTER, "lock-queue")
    assert failure.what.startswith(f"v1: `{V1.sql}` waits for `{ALTER}`")


def test_a_step_that_waits_with_nobody_behind_it_hurts_nobody_and_the_reader_goes() -> None:
    queue = Queue()

    assert not queue.saw(wait(ALONE_SECONDS / 2), [])
    assert queue.saw(wait(ALONE_SECONDS), [])
    assert queue.failures() == []


ROWS = {"parcels": 30, "kinds": LEAST_ROWS - 1}
SHARE, EXCLUSIVE, QUIET = (
    frozenset({mode}) for mode in ("ShareLock", "AccessExclusiveLock", "ShareUpdateExclusiveLock")
)


@pytest.mark.parametrize(
    ("statement", "work", "whom"),
    [
        ("create index i on parcels (address)", Work(read=30, modes=SHARE), "writes wait"),
        ("alter table parcels alter id type bigint", Work(read=60, modes=EXCLUSIVE), "everybody waits"),
        ("update parcels set note = address", Work(read=30, written=31), "every row of parcels in one transaction"),
        ("DELETE from parcels", Work(read=30, written=30), "every row of parcels in one transaction"),
    ],
)
def test_what_works_through_every_row_in_the_way_of_others_is_large(statement: str, work: Work, whom: str) -> None:
    (found,) = large(statement, ROWS, {}, {"parcels": work})

    assert found.table == "parcels"
    assert whom in found.why


@pytest.mark.parametrize(
    ("statement", "work"),
    [
        # an instant change
        ("alter table parcels add column note text", Work(modes=EXCLUSIVE)),
        # writes go on beside it
        ("alter table parcels validate constraint c", Work(read=30, modes=QUIET)),
        # some rows
        ("update parcels set note = address where id < 9", Work(read=30, written=9)),
        # a batch, of a table that happens to have fewer rows than that
        (
            "update parcels set note = address where id in (select id from parcels where note is null limit 500)",
            Work(read=60, written=30),
        ),
        ("with batch as (select id from parcels limit 9) update parcels p set a = b from batch", Work(written=30)),
        # what the transaction did before this statement
        ("alter table parcels add column b text", Work(read=0, modes=EXCLUSIVE)),
    ],
)
def test_what_does_not_is_not(statement: str, work: Work) -> None:
    assert large(statement, ROWS, {}, {"parcels": work}) == []


def test_only_the_statements_own_rows_count() -> None:
    before, after = Work(read=500, modes=EXCLUSIVE), Work(read=529, modes=EXCLUSIVE)

    assert large(ALTER, ROWS, {"parcels": before}, {"parcels": after}) == []


def test_a_table_that_nobody_fills_is_not_large() -> None:
    assert large("create index i on kinds (name)", ROWS, {}, {"kinds": Work(read=19, modes=SHARE)}) == []


def test_who_was_seen_to_wait_is_told_once_for_each_version_and_nobody_is_no_failure() -> None:
    found = Large(table="parcels", why="which reads every row")
    v2 = Behind(version="v2", sql="insert into parcels values ($1)")

    assert held_up(found, ALTER, []) == []
    assert [one.what.partition(":")[0] for one in held_up(found, ALTER, [V1, V1, v2])] == ["v1", "v2"]
