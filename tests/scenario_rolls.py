"""A scenario rolled on real containers, under the lab's own load, and what its verdict says."""

import json
import subprocess
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lab import migrate
from lab.database import Database
from tests.e2e.conftest import ROOT, LabCommand
from tests.scenarios import FORMS, Scenario, manifest

HELD_SECONDS = 7.0
"""Longer than the app waits for a free connection (3 s), so that a queue behind it is seen by its users."""
PATIENCE = 60.0
RATE = "60"
TRIES = 3
SetEnv = Callable[[str, str], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Rolled:
    """How a roll ended. `met`: all that the verdict says of what went wrong, as one text."""

    verdict: dict[str, Any]
    met: str

    @property
    def dropped(self) -> int:
        return int(self.verdict["dropped"])

    @property
    def clean(self) -> bool:
        return self.verdict["outcome"] == "pass" and self.dropped == 0 and not self.met

    def wrong(self, scenario: Scenario, form: str) -> list[str]:
        """What is not as the scenario says that it is."""
        if form == "safe":
            return [] if self.clean else [f"{self.verdict['outcome']}, {self.dropped} dropped: {self._reasons()}"]
        found = self.verdict["outcome"] == "fail" and self.dropped > 0
        wrong = [] if found else [f"{self.verdict['outcome']}, {self.dropped} dropped: nothing was found"]
        return wrong + ([] if scenario.seen in self.met else [f"no {scenario.seen!r} in {self._reasons()}"])

    @property
    def told(self) -> str:
        return f"{self.verdict['outcome']}, {self.dropped} dropped of {self.verdict['judged']}"

    def _reasons(self) -> str:
        return f"{self.verdict['reasons']} {self.met[:600]}"


class ScenarioLab:
    """One lab for many scenarios: between two the schema is made anew, and the fleet becomes the next old version."""

    def __init__(self, lab: LabCommand, chosen: Sequence[Scenario], folder: Path, *, setenv: SetEnv) -> None:
        self._lab = lab
        self._setenv = setenv
        self._first = chosen[0]
        self._manifest = manifest(chosen, folder)
        self._is_up = False

    def _up(self) -> None:
        old = self._first.plan(FORMS[0]).versions[0]
        version = self._first.name_of(FORMS[0], old)
        self._lab("down")
        self._lab.up("-f", str(self._manifest), "--version", version, "--schema", "base", "--replicas", "2")
        self._is_up = True

    def roll(self, scenario: Scenario, form: str) -> Rolled:
        """Again where the load itself was late: a machine that is busy with other things says nothing of a scenario."""
        for _ in range(TRIES - 1):
            rolled = self._roll(scenario, form)
            if {reason["id"] for reason in rolled.verdict["reasons"]} != {"schedule-lag"}:
                return rolled
        return self._roll(scenario, form)

    def _roll(self, scenario: Scenario, form: str) -> Rolled:
        """From the old version on the first phase, through the plan's own steps, to the new one, under traffic."""
        if not self._is_up:
            self._up()
        plan = scenario.plan(form)
        old, new = (scenario.name_of(form, version) for version in plan.versions)
        self._setenv("LAB_SCHEMA_PLAN", str(plan.file))
        database = database_of(self._lab)
        with database.session("scenario") as session:
            session.run("drop schema public cascade")
            session.run("create schema public")
        migrate.go_to(database, plan, "base")
        begun = self._lab("roll", old, "--no-load", "--schema", "as-is", "--anyway", "--batch", "2")
        assert begun.exit_code == 0, begun.err
        with report(database) if scenario.report else nullcontext():
            done = self._lab("roll", new, "--json", "--on-fail", "pause", "--rate", RATE, *scenario.options)
        verdict = json.loads(done.out)
        assert verdict.get("schema") == "lab.verdict/1", done.out + done.err
        drops = {f"{drop.get('status')} {drop.get('detail')}" for drop in verdict["drops"]}
        return Rolled(verdict=verdict, met="; ".join(sorted(drops)))


@contextmanager
def report(database: Database) -> Iterator[None]:
    """Somebody reads the whole table, slowly: until the schema's step has waited for it long enough to be felt."""
    begun, over = threading.Event(), threading.Event()
    reader = threading.Thread(target=_read, args=(database, begun, over), daemon=True)
    reader.start()
    assert begun.wait(PATIENCE)
    try:
        yield
    finally:
        over.set()
        reader.join(PATIENCE)


def database_of(lab: LabCommand) -> Database:
    """Where a lab's database is published."""
    name = next(name for name in lab.containers if "-db-" in name or "_db_" in name)
    port = subprocess.run(["docker", "port", name, "5432"], capture_output=True, text=True, check=True).stdout
    secrets = json.loads((ROOT / ".lab" / lab.project / "secrets.json").read_text())
    return Database(port=int(port.splitlines()[0].rpartition(":")[2]), password=secrets["db_password"])


def _read(database: Database, begun: threading.Event, over: threading.Event) -> None:
    waits = "select count(*) from pg_stat_activity where application_name = 'lab migrate' and wait_event_type = 'Lock'"
    deadline = time.monotonic() + PATIENCE
    with database.session("report") as session, database.session("who waits") as other, session.transaction():
        session.run("select count(*) from parcels")
        begun.set()
        while not over.wait(0.05) and time.monotonic() < deadline:
            if other.run(waits)[0][0]:
                over.wait(HELD_SECONDS)
                return
