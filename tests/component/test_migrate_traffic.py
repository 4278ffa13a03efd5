"""The sample app's change, under traffic, by a migrator that is killed after one write, then after two, and so on."""

import itertools
from pathlib import Path

from lab import migrate
from lab.database import Database
from tests.component.conftest import ROOT, Postgres
from tests.component.migrate_world import database_on, killed_at, reached
from tests.loadtest_world import load
from tests.round_robin import round_robin

PLAN = ROOT / "sample_app/schema/plan.toml"
OLD = """
insert into parcels (key, recipient_name, address)
select 'old-' || n, 'Old Name', '1' from generate_series(1, 3000) n
"""
FLAGS = ("--rate", "60", "--max-seconds", "60", "--replicas", "2")
COHORTS = "read=4,patch=2,write=1,read_your_writes=4,page=1,idempotent=1,browser=1"


def to_where_both_are_served(database: Database, plan: migrate.ChangePlan) -> None:
    migrate.go_to(database, plan, "backfilled")


def killed_until_it_is_done(database: Database, plan: migrate.ChangePlan) -> int:
    """Return how often it was killed."""
    for kills in itertools.count():
        if not killed_at(kills + 1, after=kills % 2 == 0, work=to_where_both_are_served, arguments=(database, plan)):
            return kills
    raise AssertionError


def test_a_migrator_that_is_killed_again_and_again_under_traffic_harms_no_request(
    postgres: Postgres, start_app, tmp_path: Path
) -> None:
    database, plan = database_on(postgres), migrate.read_plan(PLAN)
    migrate.go_to(database, plan, "base")
    database.execute(OLD)
    ports = [start_app(reached(database), "v1").port for _ in range(2)]
    with round_robin(ports) as url, load(url, tmp_path, *FLAGS, "--cohorts", COHORTS) as run:
        run.until("tick")
        kills = killed_until_it_is_done(database, plan)
        ports[1] = start_app(reached(database), "v2").port  # from here on both are served
        run.until("tick")
        run.until("tick")
        run.process.terminate()
        assert run.end() == 0

    assert kills > 5
    assert [end for end in run.ends().values() if end["outcome"] != "ok"] == []
    assert len(run.ends()) > 100
    assert migrate.current_phase(database) == "backfilled"
