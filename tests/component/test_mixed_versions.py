"""V1 and V2 in turn over one real database: nothing is wrong with the shipped trigger, and much without it."""

from collections import Counter
from pathlib import Path

import psycopg
import pytest

from tests.loadtest_world import Run, load
from tests.round_robin import round_robin

FLAGS = ("--rate", "80", "--max-seconds", "5", "--replicas", "2")
COHORTS = "read=4,patch=2,write=1,read_your_writes=4,page=1,idempotent=1,browser=1"
ON_INSERT_ONLY = """
drop trigger parcels_sync_names on parcels;
create trigger parcels_sync_names before insert on parcels for each row execute function parcels_sync_names()
"""
"""What a new row holds is right on both sides. That a name may change was forgotten."""
AT_EVERY_WRITE = """
create function parcels_resplit() returns trigger language plpgsql as $$
begin
    new.first_name := parcels_first_name(new.recipient_name);
    new.last_name := parcels_last_name(new.recipient_name);
    return new;
end $$;
create trigger resplit before update on parcels for each row
when (new.first_name is not distinct from old.first_name) execute function parcels_resplit()
"""
"""The names are split anew whatever is written: V1's change of an address throws away what V2 knew better."""


@pytest.fixture
def run(start_app, schema, tmp_path: Path):
    def under_traffic(sql: str = "") -> Run:
        at = schema.to("backfilled").conninfo
        if sql:
            with psycopg.connect(**at, autocommit=True) as connection:
                connection.execute(sql)
        ports = [start_app(at, code).port for code in ("v1", "v2")]
        with round_robin(ports) as url, load(url, tmp_path, *FLAGS, "--cohorts", COHORTS) as done:
            assert done.end() == 0
        return done

    return under_traffic


def faults(run: Run) -> Counter[tuple[str, str | None, str]]:
    return Counter((end["fault"], end["writer"], end["version"]) for end in run.ends().values() if "fault" in end)


def test_with_the_shipped_trigger_every_answer_is_right(run) -> None:
    done = run()
    assert faults(done) == {}
    assert set(done.outcomes().values()) == {"ok"}
    pairs = {(end["writer"], end["version"]) for end in done.ends().values() if "writer" in end}
    assert pairs == {(writer, reader) for writer in ("v1-test", "v2-test") for reader in ("v1-test", "v2-test")}


def test_a_trigger_that_forgot_updates_fails_no_request_and_old_names_are_read_back(run) -> None:
    done = run(ON_INSERT_ONLY)
    assert {end["status"] for end in done.ends().values()} <= {200, 201}
    found = faults(done)
    assert {fault for fault, _, _ in found} == {"stale"}
    assert {("stale", "v2-test", "v1-test"), ("stale", "v1-test", "v2-test")} <= found.keys()


def test_a_trigger_that_splits_names_at_every_write_strips_what_only_v2_knew(run) -> None:
    found = faults(run(AT_EVERY_WRITE))
    assert ("stripped", "v1-test", "v2-test") in found
