"""`make soak-proof`: 60 clean rolls raise no alarm, and of 60 faults of random kind and time none is missed.

Each verdict is held against what the app's own logs and the proxy's switch say. Seeded, and resumable: what passed at
this commit is not run again (`.lab/soak-proof.jsonl`). `--part clean` and `--part faults` are its two parts;
`--minutes` ends one early, and it goes on where it was.
"""

import argparse
import json
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from random import Random
from typing import Any

from tests.e2e.conftest import ROOT, LabCommand
from tests.proof_truth import Saboteur, Truth, differences, truth_of

KEPT = ROOT / ".lab" / "soak-proof.jsonl"
PROJECT, SEED, COUNT = "soak-proof", 1, 60
LOAD = ("--rate", "60", "--slow", "700ms", "--min-requests", "100", "--json")
EXITS, PLAIN, ERRS = "v2-exits-at-once", "v2", "v2-answers-errors"
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


def faulty(number: int) -> Roll:
    chance = Random(f"{SEED} fault {number}")
    at, seed = chance.uniform(0.0, 5.0), chance.random()
    kind = KINDS[number % len(KINDS)] if number < len(KINDS) else chance.choice(KINDS)
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
        case "drain off":
            return Roll(kind, PLAIN, EXITS, ("--test-skip-drain", *batch))
        case "errors":
            return Roll(kind, ERRS, words=batch)
        case "lost writes":
            return Roll(kind, LOSES, words=batch, contract_too=True)
        case _:
            return Roll("doubled writes", TWICE, words=batch)


KINDS = ("kill", "pause", "cut", "drain off", "errors", "lost writes", "doubled writes")
PARTS = {"clean": clean, "faults": faulty}


def main() -> int:
    asked = argparse.ArgumentParser(prog="make soak-proof", description=__doc__)
    asked.add_argument("--part", choices=list(PARTS), help="only that part")
    asked.add_argument("--minutes", type=float, default=45.0, help="end after so many; again, it goes on")
    asked.add_argument("--count", type=int, default=COUNT)
    given = asked.parse_args()
    until, lab, commit = time.monotonic() + given.minutes * 60, LabCommand(PROJECT), _commit()
    lab("down")
    lab.up("--replicas", "2", "--schema", "backfilled", "--version", PLAIN)
    try:
        done = [_part(lab, part, given.count, commit, until) for part in ([given.part] if given.part else PARTS)]
    finally:
        lab("down")
    return 0 if all(done) else 1


def _part(lab: LabCommand, part: str, count: int, commit: str, until: float) -> bool:
    passed, failed, harmed, offered = _passed(commit, part), 0, 0, 0
    for number in range(count):
        if number not in passed and time.monotonic() < until and failed == 0:
            began, roll = time.monotonic(), PARTS[part](number)
            row, wrong = _one(lab, roll)
            took = time.monotonic() - began
            what = "ok" if not wrong else "FAILED: " + "; ".join(wrong)
            print(f"soak proof {part} {number:>2} {roll.name}: {row['told']}, {took:.0f} s, {what}", flush=True)
            if wrong:
                failed += 1
                continue
            passed[number] = row
            with KEPT.open("a") as file:
                file.write(json.dumps({"commit": commit, "part": part, "number": number, **row}) + "\n")
    rows = [row for number, row in passed.items() if number < count]
    harmed, offered = sum(row["harmed"] > 0 for row in rows), sum(row["offered"] for row in rows)
    doubt = sum(row["outcome"] == "inconclusive" for row in rows)
    wrongs = "false alarms" if part == "clean" else "missed or invented"
    told = f"{harmed} harmed {sum(row['harmed'] for row in rows)} requests, " if part == "faults" else ""
    print(
        f"soak proof {part}: {len(rows)} of {count}, {failed} with {wrongs}, {told}{doubt} inconclusive, "
        f"{offered} requests, seed {SEED} at {commit[:8]}",
        flush=True,
    )
    return failed == 0 and len(rows) == count


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
        "harmed": truth.count,
        "offered": verdict["offered"],
    }
    return row, wrong


def _told(truth: Truth, verdict: dict[str, Any]) -> str:
    found = {**verdict["dropped_by_class"], **({"masked": verdict["masked"]} if verdict["masked"] else {})}
    words = ", ".join(f"{count} {cls}" for cls, count in sorted(found.items())) or "nothing"
    return f"harmed {truth.count}, found {words} of {verdict['offered']}, {verdict['outcome']}"


def _passed(commit: str, part: str) -> dict[int, dict[str, Any]]:
    if not KEPT.exists():
        return {}
    rows = [json.loads(line) for line in KEPT.read_text().splitlines()]
    return {row["number"]: row for row in rows if row["commit"] == commit and row["part"] == part}


def _commit() -> str:
    done = subprocess.run(["git", "rev-parse", "HEAD"], cwd=ROOT, capture_output=True, text=True, check=True)
    return done.stdout.strip()


if __name__ == "__main__":
    sys.exit(main())
