"""The controller killed for real, under traffic, and what the next command makes of it: for the tests and the soak."""

import json
import signal
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Any

from lab.errors import Exit
from lab.journal import SqliteJournal
from lab.ports import Event
from lab.recording import FILE
from lab.sim.replay import replay
from tests.crash_at import NEVER, Passed, command, points_in
from tests.crash_evidence import budgets_broken, points_missing
from tests.e2e.conftest import ROOT, Done, LabCommand

MINUTES = 4
LOAD = ("--rate", "60", "--min-requests", "200")
"""As much as a machine that does other things beside offers on time: its own overload drops requests too."""
KINDS = ("between intent and effect", "between effect and done", "during drain")


@dataclass(frozen=True)
class CrashLab:
    """One lab, rolled forth and back; each roll but the first is killed somewhere."""

    lab: LabCommand
    folder: Path

    @property
    def home(self) -> Path:
        return ROOT / ".lab" / self.lab.project

    def undisturbed(self, version: str) -> tuple[list[Passed], list[str]]:
        """Roll; return every point that was passed, and what is wrong with it."""
        done = self._roll(NEVER, version)
        passed = points_in(self._file(NEVER))
        if not self.runs():
            return passed, [f"nothing was rolled: exit {done.exit_code} {done.err[-500:]}"]
        return passed, points_missing(passed, self.events(self.runs()[-1])) + self.wrong(version, done)

    def killed(self, at: str, version: str) -> tuple[str, list[str]]:
        """Roll and be killed there, then go on; return where it was killed, and what is wrong at the end."""
        done = self._roll(at, version)
        last = points_in(self._file(at))[-1].at
        if done.exit_code != -signal.SIGKILL:  # it did not come by there
            return last, self.wrong(version, done)
        return last, self.wrong(version, self._gone_on_with(version))

    def _gone_on_with(self, version: str) -> Done:
        """Killed before it had begun, or after its end was told, there is nothing to go on with."""
        done = self.lab("resume", "--json")
        if done.exit_code != Exit.ENVIRONMENT or _json(done.out).get("error", {}).get("id") != "no-rollout":
            return done
        newest = self.events()[-1]
        return (
            self.lab("report", "--json") if newest.type == "run-ended" else self.lab("roll", version, *LOAD, "--json")
        )

    def wrong(self, version: str, done: Done) -> list[str]:
        """Everything that is not as an undisturbed roll leaves it, of the fleet, of the run and of its journal."""
        status, verdict = self.lab.status(), _json(done.out)
        ready = [(r["version"], r["state"]) for r in status["replicas"]]
        found = [] if ready == [(version, "ready")] * 3 else [f"the fleet is {ready}"]
        found += [] if status["phase"] == "idle" else [f"the lab is {status['phase']}"]
        apps = [name for name in self.lab.containers if "-app-" in name]
        found += [] if len(apps) == 3 else [f"there are {apps}"]
        if (verdict.get("outcome"), verdict.get("dropped"), done.exit_code) != ("pass", 0, 0):
            reasons = f"{verdict.get('reasons')} {verdict.get('drops', [])[:3]}"
            found.append(f"exit {done.exit_code}, {verdict.get('dropped')} dropped, {reasons} {done.err[-500:]}")
        return found + budgets_broken(self.events()) + self.otherwise_decided()

    def otherwise_decided(self) -> list[str]:
        """Where the simulator decides the newest run otherwise than it was."""
        run = self.runs()[-1]
        lines = (self.home / "runs" / run / FILE).read_text().splitlines()
        return [str(difference) for difference in replay(self.events(), lines).differences]

    def runs(self) -> list[str]:
        """Oldest first."""
        files = (self.home / "runs").glob(f"*/{FILE}")
        return [path.parent.name for path in sorted(files, key=lambda path: path.stat().st_mtime_ns)]

    def events(self, run: str | None = None) -> list[Event]:
        journal = SqliteJournal(self.home / "journal.db")
        try:
            return journal.events(run=run)
        finally:
            journal.close()

    def _roll(self, at: str, version: str) -> Done:
        words = command(at, self._file(at), "roll", version, *LOAD, "--json", "--project", self.lab.project)
        done = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, timeout=MINUTES * 60, check=False)
        return Done(done.returncode, done.stdout, done.stderr)

    def _file(self, at: str) -> Path:
        return self.folder / f"{at.replace(' ', '-')}.jsonl"


def _json(text: str) -> dict[str, Any]:
    try:
        found = json.loads(text)
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


def of_kind(kind: str, points: Sequence[Passed], chance: Random) -> str:
    """One of the points of that kind. A drain lasts from the end of a retirement on."""
    if kind == "during drain":
        return chance.choice([p.at for p in points if p.name == "after record act-done" and p.verb == "retire"])
    at = "before" if kind == "between intent and effect" else "after"
    return chance.choice([p.at for p in points if p.verb and p.name == f"{at} {p.verb}"])
