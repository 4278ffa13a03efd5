"""`make soak-path`: the whole way of a schema change under traffic, turned back at each stage, its migrator killed.

One line per course. Seeded, and resumable: a course that passed with the same code is not run again
(`.lab/soak-path.jsonl`). Each begins with V1 and old rows, and ends contracted; every request of a load beside it has
to be right.
"""

import json
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from lab.cli._lab import open_lab
from tests.e2e.conftest import LabCommand
from tests.path_traffic import traffic
from tests.soak.kept import Kept

PROJECT, SEED, MOST_MINUTES = "path-soak", 1, 40.0
RATE, BESIDE = "60", 30
"""Requests a second of a roll's own load, and of the one beside the whole course."""
ROWS = 20_000
"""As many as make a backfill last long enough to be killed in the middle."""
Act = Callable[["Course"], None]


class BrokenError(Exception):
    """The course did not go as it had to."""


class Course:
    """One way through the change, on a lab of its own. `chance` says when to kill."""

    def __init__(self, lab: LabCommand, chance: random.Random) -> None:
        self.lab = lab
        self.chance = chance
        self.judged = 0
        self.kills = 0
        self.undecided = 0
        """Verdicts that were none: a machine too busy to offer the load in time. The load beside judges on."""

    # what a person does

    def migrate(self, *words: str) -> None:
        done = self.lab("migrate", *words)
        self._want(done.exit_code == 0, f"lab migrate {' '.join(words)}: exit {done.exit_code}, {done.err[-300:]}")

    def refused(self, command: str, why: str) -> None:
        done = self.lab("migrate", command)
        self._want(done.exit_code == 3 and why in done.err, f"lab migrate {command} was not refused: {done.err[-300:]}")

    def roll(self, *words: str) -> None:
        """Under a load of its own, to a verdict that passes."""
        done = self.lab(*words, "--rate", RATE, "--min-requests", "200", "--json")
        verdict: Any = json.loads(done.out or "{}")
        told = [drop["detail"] for drop in verdict.get("drops", [])[:3]] or done.err[-300:]
        self._want(done.exit_code in {0, 4}, f"lab {' '.join(words)}: exit {done.exit_code}, {told}")
        self.undecided += done.exit_code == 4
        self.judged += verdict["judged"]
        self._want(verdict["mixes"] == [], f"lab {' '.join(words)}: {verdict['mixes']}")

    def turned_back_in_the_middle(self) -> None:
        """A rollback as soon as the first of the new version serves."""
        rolling = self.lab.begin("roll", "v2", "--rate", RATE, "--wave-bake", "7s", "--json")
        deadline = time.monotonic() + 60
        while not any(r["version"] == "v2" and r["state"] == "ready" for r in self.lab.status()["replicas"]):
            self._want(time.monotonic() < deadline and rolling.poll() is None, "no v2 came into rotation")
            time.sleep(0.1)
        word = self.lab("rollback")
        self._want(word.exit_code == 0, f"lab rollback: {word.err[-300:]}")
        out, _ = rolling.communicate(timeout=120)
        verdict: Any = json.loads(out)
        self.judged += verdict["judged"]
        right = (verdict["run"]["rollout"], verdict["dropped"], verdict["mixes"]) == ("rolled-back", 0, [])
        self._want(right, f"turned back: {verdict['run']['rollout']}, {verdict['dropped']} dropped, {verdict['mixes']}")

    def killed(self, *words: str) -> None:
        """The command, killed by SIGKILL after a while by chance, and again, until one comes to its end by itself."""
        for _ in range(12):
            running = self.lab.begin("migrate", *words)
            try:
                running.communicate(timeout=self.chance.uniform(0.5, 1.6))
            except subprocess.TimeoutExpired:
                running.kill()
                running.communicate()
                self.kills += 1
                continue
            self._want(running.returncode == 0, f"lab migrate {' '.join(words)}: exit {running.returncode}")
            return
        self.migrate(*words)

    def contract(self, *, killed: bool = False) -> None:
        """Once the last V1 has been gone for the plan's ten seconds."""
        words = ("contract", "--give-up", "v1")
        deadline = time.monotonic() + 40
        while True:
            done = self.lab("migrate", "plan", "--no-measure", "--json").json
            open_ = {proof["name"] for proof in done["guard"] if not proof["holds"]} - {"targets"}
            if not open_:
                break
            self._want(open_ == {"soak"} and time.monotonic() < deadline, f"the guard: {open_}")
            time.sleep(2)
        (self.killed if killed else self.migrate)(*words)

    @staticmethod
    def _want(right: bool, what: str) -> None:
        if not right:
            raise BrokenError(what)


def straight(it: Course) -> None:
    it.migrate("expand")
    it.migrate("backfill")
    it.roll("roll", "v2")
    it.contract()


def by_itself(it: Course) -> None:
    it.roll("roll", "v2")
    it.contract()


def back_from_expanded(it: Course) -> None:
    it.migrate("expand")
    it.migrate("rollback")
    straight(it)


def back_from_backfilled(it: Course) -> None:
    it.migrate("expand")
    it.migrate("backfill")
    it.migrate("rollback")
    it.migrate("rollback")
    straight(it)


def back_in_the_middle(it: Course) -> None:
    it.migrate("expand")
    it.migrate("backfill")
    it.turned_back_in_the_middle()
    it.roll("roll", "v2")
    it.contract()


def back_from_rolled(it: Course) -> None:
    it.roll("roll", "v2")
    it.roll("rollback")
    it.roll("roll", "v2")
    it.contract()


def back_as_far_as_nothing_is_lost(it: Course) -> None:
    """To base it would take the names away that V2 split otherwise than V1's rule: refused, and nothing is done."""
    it.roll("roll", "v2")
    it.roll("rollback")
    it.migrate("rollback")
    it.refused("rollback", "split_by_v2")
    straight(it)


def killed_everywhere(it: Course) -> None:
    it.killed("expand")
    it.killed("backfill")
    it.roll("roll", "v2")
    it.contract(killed=True)


COURSES: dict[str, Act] = {
    act.__name__.replace("_", " "): act
    for act in (
        straight,
        by_itself,
        back_from_expanded,
        back_from_backfilled,
        back_in_the_middle,
        back_from_rolled,
        back_as_far_as_nothing_is_lost,
        killed_everywhere,
    )
} | {f"killed everywhere {n}": killed_everywhere for n in range(2, 7)}


def main(most_minutes: float = MOST_MINUTES) -> int:
    """It begins no course after so many minutes."""
    began, kept = time.monotonic(), Kept("path")
    passed = {row["name"] for row in kept.rows()}
    failed = ran = judged = kills = 0
    for number, (name, act) in enumerate(COURSES.items()):
        if name in passed:
            print(f"soak path {name}: passed before", flush=True)
            continue
        if (time.monotonic() - began) / 60 > most_minutes:
            break
        started = time.monotonic()
        course, beside, wrong = _run(act, random.Random(SEED * 1000 + number))
        ran, failed, judged, kills = ran + 1, failed + bool(wrong), judged + course.judged, kills + course.kills
        told = f"{course.judged} judged, {beside} beside, {course.kills} kills, {time.monotonic() - started:.0f} s"
        told += f", {course.undecided} verdicts undecided" if course.undecided else ""
        print(f"soak path {name}: {told}, {'FAILED: ' + '; '.join(wrong[:5]) if wrong else 'ok'}", flush=True)
        if not wrong:
            kept.add(name=name)
    minutes = (time.monotonic() - began) / 60
    done = len(passed & COURSES.keys()) + ran
    told = f"{done} of {len(COURSES)} courses, {failed} failed, {judged} requests judged, {kills} kills"
    print(f"soak path: {told}, seed {SEED}, {minutes:.1f} min at {kept.at}", flush=True)
    return 1 if failed or done < len(COURSES) else 0


def _run(act: Act, chance: random.Random) -> tuple[Course, int, Sequence[str]]:
    lab = LabCommand(PROJECT)
    course = Course(lab, chance)
    lab("down")
    lab.up("--replicas", "2", "--schema", "base")
    _old_rows()
    wrong: list[str] = []
    try:
        with tempfile.TemporaryDirectory() as folder:
            with traffic(lab, Path(folder), rate=BESIDE) as beside:
                try:
                    act(course)
                except BrokenError as error:
                    wrong.append(str(error))
            wrong += beside.wrong
        phase = lab("migrate", "status", "--json").json["phase"]
        wrong += [] if wrong or phase == "contracted" else [f"the schema is {phase}"]
        return course, beside.told.total(), wrong
    finally:
        lab("down")


def _old_rows() -> None:
    open_lab(PROJECT).database().query(
        "with made as (insert into parcels (key, recipient_name, address) select 'old-' || n, 'Old Name ' || n, '1'"
        " from generate_series(1, %s) n returning 1) select count(*) from made",
        [ROWS],
    )


if __name__ == "__main__":
    sys.exit(main(*map(float, sys.argv[1:])))
