"""`make soak-steps`: two fleets' lives on Docker, 20 steps each; one line per step. The steps are the simulator's.

Each step is a roll to the other version under traffic, and ends complete: every replica ready and of one version,
nothing beside them, and no request dropped unless replicas were killed. Resumable: it goes on with the fleet that it
left (`.lab/soak-steps.jsonl`), with the same code.
"""

import json
import subprocess
import sys
import threading
import time
from dataclasses import dataclass
from random import Random
from typing import Any

from lab.journal import SqliteJournal
from tests.crash_docker import LOAD
from tests.crash_evidence import budgets_broken
from tests.e2e.conftest import ROOT, Done, LabCommand
from tests.soak.kept import Kept
from tests.steps import Step, What, steps

SEEDS, STEPS, MOST = (1, 2), 20, 5
OTHER = {"v1": "v2", "v2": "v1"}
PATIENCE = 180.0
LINES = 7
"""A replica's replacement is told in so many lines at least."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Stand:
    """What the fleet is between two steps."""

    version: str
    replicas: int


def main() -> int:
    began, kept, failed, many = time.monotonic(), Kept("steps"), 0, 0
    for seed in SEEDS:
        tried, wrong = _life(seed, kept)
        many += tried
        failed += bool(wrong)
    minutes = (time.monotonic() - began) / 60
    print(
        f"soak steps: {many} steps of {len(SEEDS)} fleets, {failed} failed, {minutes:.1f} min at {kept.at}",
        flush=True,
    )
    return 1 if failed else 0


def _life(seed: int, kept: Kept) -> tuple[int, list[str]]:
    """How many steps were tried now, and what was wrong with the last of them."""
    lab, chance = LabCommand(f"crash-steps-{seed}"), Random(seed)
    replicas = chance.randint(1, MOST)
    rows = kept.rows(seed=seed)
    stand = Stand(version=rows[-1]["version"], replicas=rows[-1]["replicas"]) if rows else None
    if stand is None or (len(rows) < STEPS and _wrong_stand(lab, stand)):
        rows, stand = [], Stand(version="v1", replicas=replicas)
        lab("down")
        lab.up("--replicas", str(replicas), "--schema", "backfilled")
    wrong: list[str] = []
    for number, step in enumerate(steps(chance, STEPS, most=MOST), start=1):
        if number <= len(rows):
            continue
        began = time.monotonic()
        stand, wrong = _take(lab, step, stand)
        about = f"{step.what} of {stand.replicas}, now {stand.version}"
        told = f"FAILED: {'; '.join(wrong)}" if wrong else "ok"
        print(f"soak steps seed {seed}, {number:>2} {about}: {time.monotonic() - began:.0f} s, {told}", flush=True)
        if wrong:
            break
        row = {"version": stand.version, "replicas": stand.replicas}
        kept.add(seed=seed, **row)
        rows.append(row)
    if not wrong:
        lab("down")
    return len(rows) + bool(wrong), wrong


def _take(lab: LabCommand, step: Step, before: Stand) -> tuple[Stand, list[str]]:
    """Return where it led, and what is wrong with that."""
    if step.what is What.KILL:
        names = [name for name in lab.containers if "-app-" in name]
        for name in step.victims(names):
            subprocess.run(["docker", "kill", name], check=True, capture_output=True)
    to = OTHER[before.version]
    budgets = ("--max-surge", step.surge_of(before.replicas), "--max-unavailable", step.unavailable)
    rolling = Rolling(lab, "roll", to, *(str(word) for word in budgets), *LOAD, "--json")
    said = rolling.say(step, before.replicas) if step.what in WORDS else Done(0, "", "")
    done = rolling.ended()
    obeyed = said.exit_code == 0
    stand = Stand(
        version=before.version if step.what is What.ROLLBACK and obeyed else to,
        replicas=step.replicas if step.what is What.SCALE and obeyed else before.replicas,
    )
    wrong = [] if obeyed or _too_late(said) else [f"{step.what}: exit {said.exit_code} {said.out} {said.err}"]
    return stand, wrong + _wrong_end(step, done) + _wrong_stand(lab, stand)


def _too_late(said: Done) -> bool:
    """The roll was over, and said so: a process takes as long to speak as the last replica to be replaced."""
    error = json.loads(said.out or "{}").get("error", {})
    return (said.exit_code, error.get("id")) == (3, "no-rollout")


WORDS = {What.ROLLBACK: ("rollback",), What.SCALE: ("scale",), What.PAUSE: ("pause",)}


class Rolling:
    """A roll in a process of its own, whose progress is read, so that a second terminal can speak at a moment."""

    def __init__(self, lab: LabCommand, *words: str) -> None:
        self._lab = lab
        self._process = lab.begin(*words)
        self._lines: list[str] = []
        self._told = threading.Condition()
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def say(self, step: Step, replicas: int) -> Done:
        """At that moment of the roll, from the first replica's start to before the last one's end."""
        lines = 2 + int(step.moment * (LINES * replicas - 2))
        with self._told:
            self._told.wait_for(lambda: len(self._lines) > lines or self._process.poll() is not None, PATIENCE)
        words = [*WORDS[step.what], *([str(step.replicas)] if step.what is What.SCALE else [])]
        done = self._lab(*words, "--json")
        return self._lab("resume", "--json") if step.what is What.PAUSE and done.exit_code == 0 else done

    def ended(self) -> Done:
        self._process.wait(PATIENCE)
        self._reader.join(PATIENCE)
        assert self._process.stdout is not None
        with self._process.stdout as out:
            return Done(self._process.returncode, out.read(), "".join(self._lines[-5:]))

    def _read(self) -> None:
        assert self._process.stderr is not None
        with self._process.stderr as lines:
            for line in lines:
                with self._told:
                    self._lines.append(line)
                    self._told.notify_all()


def _wrong_end(step: Step, done: Done) -> list[str]:
    verdict: dict[str, Any] = json.loads(done.out or "{}")
    if step.what is What.KILL:
        return [] if verdict.get("run", {}).get("rollout") == "done" else [f"exit {done.exit_code} {done.err}"]
    ends = {"done"} | ({"rolled-back"} if step.what is What.ROLLBACK else set())
    ended, dropped = verdict.get("run", {}).get("rollout"), verdict.get("dropped")
    fine = ended in ends and dropped == 0 and verdict["judged"] > 0
    return [] if fine else [f"{ended}, {dropped} dropped, exit {done.exit_code}: {verdict.get('reasons')} {done.err}"]


def _wrong_stand(lab: LabCommand, stand: Stand) -> list[str]:
    shown = lab("status", "--json")
    if shown.exit_code != 0:
        return [f"no lab: {shown.err}"]
    status = shown.json
    fleet = [(r["version"], r["state"]) for r in status["replicas"]]
    wrong = [] if fleet == [(stand.version, "ready")] * stand.replicas else [f"the fleet is {fleet}, not {stand}"]
    wrong += [] if status["phase"] == "idle" else [f"the lab is {status['phase']}"]
    apps = [name for name in lab.containers if "-app-" in name]
    wrong += [] if len(apps) == stand.replicas else [f"there are {apps}"]
    journal = SqliteJournal(ROOT / ".lab" / lab.project / "journal.db")
    try:
        return wrong + budgets_broken(journal.events())
    finally:
        journal.close()


if __name__ == "__main__":
    sys.exit(main())
