"""`make soak-proof`: 60 clean rolls raise no alarm, and of 60 faults of random kind and time none is missed.

Each verdict is held against what the app's own logs, the proxy's switch and whoever cut the network say. Seeded, and
resumable: what passed with the same code is not run again (`.lab/soak-proof.jsonl`). A clean roll that gave no verdict,
as its load came late on a busy machine, is run again, twice at most. `--part clean` and `--part faults` are its two
parts; `--only KIND` is one kind of fault; `--minutes` ends one early, and it goes on where it was. The faults of the
network need Linux, root, nsenter, ss and iptables.
"""

import argparse
import json
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from random import Random
from typing import Any

from tests.cut_network import missing_tools
from tests.e2e.conftest import ROOT, LabCommand
from tests.proof_truth import Saboteur, Truth, differences, truth_of
from tests.soak.kept import Kept

PROJECT, SEED, COUNT, TRIES = "soak-proof", 1, 60, 3
LATE = frozenset({"schedule-lag", "unexposed-swaps"})
"""Why a clean roll may give no verdict: the machine's doing."""
LOAD = ("--rate", "60", "--slow", "700ms", "--min-requests", "100", "--json")
EXITS, PLAIN, ERRS = "v2-exits-at-once", "v2", "v2-answers-errors"
SHORT_DRAIN = ("--drain-timeout", "8s")
"""What waits for a replica that is off waits for nothing: half a minute of it would prove no more."""
LOSES, TWICE = "v2-loses-writes", "v2-writes-twice"


@dataclass(frozen=True)
class Roll:
    """One roll under load: from a version, to another, and what is done meanwhile."""

    name: str
    to: str
    begins_at: str = PLAIN
    words: tuple[str, ...] = ()
    sabotage: Callable[[Saboteur], None] | None = None
    contract_too: bool = False
    """Its harm has consequences: whoever looks for what is lost finds it gone."""


def clean(number: int) -> Roll:
    chance = Random(f"{SEED} clean {number}")
    words = ("--order", chance.choice(("start-first", "stop-first")), "--batch", str(chance.choice((1, 2))))
    begins, to = chance.choice((("v1", PLAIN), (PLAIN, "v1"), (PLAIN, EXITS), (EXITS, PLAIN), (EXITS, "v1")))
    return Roll(f"clean {begins} -> {to} {' '.join(words)}", to, begins, words)


def faulty(number: int, only: str = "") -> Roll:
    chance = Random(f"{SEED} fault {number}")
    at, seed = chance.uniform(0.0, 5.0), chance.random()
    kind = only or (KINDS[number % len(KINDS)] if number < len(KINDS) else chance.choice(KINDS))
    batch = ("--batch", str(chance.choice((1, 2))))
    match kind:
        case "kill":
            return Roll(f"SIGKILL at {at:.1f}s", "v1", words=batch, sabotage=lambda it: it.kill(at, seed))
        case "pause":
            long = chance.uniform(0.3, 3.0)
            name = f"pause of {long:.1f}s at {at:.1f}s"
            return Roll(name, "v1", words=batch, sabotage=lambda it: it.pause(at, seed, long))
        case "cut":
            every = chance.randint(3, 40)
            name = f"every {every}th answer cut from {at:.1f}s"
            return Roll(name, "v1", words=batch, sabotage=lambda it: it.cut(at, every))
        case "reset" | "unplugged":
            return _off_the_wire(kind, chance, at, seed, batch)
        case "drain off":
            return Roll(kind, PLAIN, EXITS, ("--test-skip-drain", *batch))
        case "errors":
            return Roll(kind, ERRS, words=batch)
        case "lost writes":
            return Roll(kind, LOSES, words=batch, contract_too=True)
        case _:
            return Roll("doubled writes", TWICE, words=batch)


def _off_the_wire(kind: str, chance: Random, at: float, seed: float, batch: tuple[str, ...]) -> Roll:
    if kind == "reset":
        deaf = chance.choice((0.0, chance.uniform(0.1, 1.5)))
        name = f"connections reset at {at:.1f}s, deaf for {deaf:.1f}s before"
        return Roll(name, "v1", words=batch, sabotage=lambda it: it.reset(at, seed, deaf))
    long = chance.uniform(0.5, 4.0)
    name = f"off the network for {long:.1f}s at {at:.1f}s"
    return Roll(name, "v1", words=(*batch, *SHORT_DRAIN), sabotage=lambda it: it.unplug(at, seed, long))


KINDS = ("kill", "pause", "cut", "drain off", "errors", "lost writes", "doubled writes", "reset", "unplugged")


def main() -> int:
    asked = argparse.ArgumentParser(prog="make soak-proof", description=__doc__)
    asked.add_argument("--part", choices=("clean", "faults"), help="only that part")
    asked.add_argument("--only", choices=KINDS, help="only that kind of fault; nothing of it is kept")
    asked.add_argument("--minutes", type=float, default=45.0, help="end after so many; again, it goes on")
    asked.add_argument("--count", type=int, default=COUNT)
    given = asked.parse_args()
    missing = missing_tools() if given.part != "clean" else ()
    if missing:
        print(f"soak proof: the faults of the network need {', '.join(missing)}; --part clean needs none", flush=True)
        return 3
    until, lab = time.monotonic() + given.minutes * 60, LabCommand(PROJECT)
    parts = ["faults"] if given.only else [given.part] if given.part else ["clean", "faults"]
    lab("down")
    lab.up("--replicas", "2", "--schema", "backfilled", "--version", PLAIN)
    try:
        done = [Part(lab, part, given.count, until, only=given.only or "").run() for part in parts]
    finally:
        lab("down")
    return 0 if all(done) else 1


class Part:
    """So many rolls of one part, and what came of them."""

    def __init__(self, lab: LabCommand, name: str, count: int, until: float, *, only: str) -> None:
        self._lab = lab
        self._name = name
        self._count = count
        self._until = until
        self._only = only
        self._kept = Kept("proof")
        kept = [] if only else self._kept.rows(part=name)
        self._passed = {row["number"]: row for row in kept if row["number"] < count}
        self._failed = self._undecided = 0

    def run(self) -> bool:
        """Whether all of them were right."""
        for number in range(self._count):
            if number not in self._passed and time.monotonic() < self._until and self._failed == 0:
                self._roll(number)
        self._sum_up()
        return self._failed == 0 and len(self._passed) == self._count

    def _roll(self, number: int) -> None:
        roll = clean(number) if self._name == "clean" else faulty(number, self._only)
        for again in range(TRIES):
            row, wrong, late = self._try(number, roll)
            if late:
                continue
            if wrong:
                self._failed += 1
                return
            self._passed[number] = {**row, "again": again}
            if not self._only:
                self._kept.add(part=self._name, number=number, again=again, **row)
            return
        self._undecided += 1

    def _try(self, number: int, roll: Roll) -> tuple[dict[str, Any], list[str], bool]:
        """What is kept of it, what is wrong, and whether it proves nothing as its load was late."""
        began = time.monotonic()
        row, wrong = _one(self._lab, roll)
        undecided = self._name == "clean" and not wrong and row["outcome"] == "inconclusive"
        late = undecided and set(row["doubts"]) <= LATE
        wrong += [f"no verdict: {row['doubts']}"] if undecided and not late else []
        what = "FAILED: " + "; ".join(wrong) if wrong else f"no verdict: {', '.join(row['doubts'])}" if late else "ok"
        took = time.monotonic() - began
        print(f"soak proof {self._name} {number:>2} {roll.name}: {row['told']}, {took:.0f} s, {what}", flush=True)
        return row, wrong, late

    def _sum_up(self) -> None:
        rows = list(self._passed.values())
        offered, again = sum(row["offered"] for row in rows), sum(row["again"] for row in rows)
        doubt = sum(row["outcome"] == "inconclusive" for row in rows)
        if self._name == "clean":
            told = f"{self._failed} with false alarms, {again} run again as their load was late"
            told += f", {self._undecided} late {TRIES} times"
        else:
            harmed = sum(row["harmed"] > 0 for row in rows), sum(row["harmed"] for row in rows)
            told = f"{self._failed} with missed or invented, {harmed[0]} harmed {harmed[1]} requests"
            told += f", {doubt} inconclusive"
        of = f"{len(rows)} of {self._count}"
        print(f"soak proof {self._name}: {of}, {told}, {offered} requests, seed {SEED} at {self._kept.at}", flush=True)


def _one(lab: LabCommand, roll: Roll) -> tuple[dict[str, Any], list[str]]:
    """Roll, harm, judge; what is kept of it, and what is wrong."""
    if lab.status()["version"] != roll.begins_at:
        done = lab("roll", roll.begins_at, "--no-load", "--batch", "2", "--json")
        if done.exit_code != 0:
            return {"told": "not begun"}, [f"the roll back to {roll.begins_at} failed: {done.out} {done.err}"]
    saboteur = Saboteur(lab)
    with lab.begin("roll", roll.to, *roll.words, *LOAD) as process:
        assert process.stderr is not None
        for line in process.stderr:
            if "started" in line and "load" in line and roll.sabotage is not None:
                saboteur.begin(roll.sabotage)
        out = process.stdout.read() if process.stdout else ""
    saboteur.end()
    verdict = json.loads(out or "{}")
    if verdict.get("schema") != "lab.verdict/1":
        return {"told": "no verdict"}, [out[-500:] or f"exit {process.returncode}"]
    truth = truth_of(ROOT / ".lab" / PROJECT / "runs" / verdict["run"]["run"], verdict, saboteur)
    wrong = differences(truth, verdict, contract_too=roll.contract_too)
    if lab.status()["phase"] != "idle" or verdict["run"]["rollout"] not in {"done", "rolled-back"}:
        wrong.append(f"the rollout ended as {verdict['run']['rollout']}: {verdict['run']['reason']}")
    lab("up")  # a replica that was killed after its roll
    row = {
        "told": _told(truth, verdict),
        "outcome": verdict["outcome"],
        "doubts": [reason["id"] for reason in verdict["reasons"]],
        "harmed": truth.count,
        "offered": verdict["offered"],
    }
    return row, wrong


def _told(truth: Truth, verdict: dict[str, Any]) -> str:
    found = {**verdict["dropped_by_class"], **({"masked": verdict["masked"]} if verdict["masked"] else {})}
    words = ", ".join(f"{count} {cls}" for cls, count in sorted(found.items())) or "nothing"
    return f"harmed {truth.count}, found {words} of {verdict['offered']}, {verdict['outcome']}"


if __name__ == "__main__":
    sys.exit(main())
