"""`make soak-faults`: every faulty version is rolled for real, in an order drawn from a seed; one line per version.

Each has to end as `lab fault list` says: the ending, the exit code, what was dropped held against the app's own logs,
the fault's own word that it fired, the words that a person is told, and the fleet after it. A roll whose load came late
is run again. Resumable: what passed with the same code is not run again (`.lab/soak-faults.jsonl`).
"""

import argparse
import json
import os
import re
import subprocess
import sys
import time
from collections.abc import Mapping
from random import Random
from typing import Any

from lab.errors import Exit
from lab.faults import FAULTS, Ends, Fault
from tests import fault_evidence as evidence
from tests.soak.kept import ROOT, Kept

PROJECT = "soak-faults"
LOAD = ("--rate", "60", "--slow", "700ms", "--min-requests", "150")
TRIES = 3
TOLD: Mapping[str, str] = {
    "v2-never-ready": "never became ready within 30s",
    "v2-crashes-on-start": "ended before it was ever ready",
    "v2-dies-after-ready": "exit code 3",
    "v2-flaps": "its probes passed and failed in turn",
    "v2-answers-errors": "error-ratio",
    "v2-always-errors": "error-ratio",
    "v2-error-ratio": "error-ratio",
    "v2-leaks-memory": "out of memory",
    "v2-hangs": "was not ready again within 10s",
    "v2-adds-latency": "v2-adds-latency is slower than v1",
}
"""What the report of the roll says."""
TOLD_BACK: Mapping[str, str] = {"v2-ignores-sigterm": "killed when their stop grace was over"}
"""What the report of the way back says."""
SPOILT: Mapping[str, str] = {"v2-loses-writes": "lost_write", "v2-writes-twice": "duplicate"}
"""The class of what those drop whose answers are right."""
PARCEL = re.compile(r"acknowledged as parcel (\d+),")
NEEDS_BASE = "v2-checks-schema"
"""On an expanded schema it is as good as any: it is rolled without the schema as well."""


class FailedError(Exception):
    """One version did not do what is said of it."""


class LateError(Exception):
    """The load was late: nothing is proved, and nothing disproved."""


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--only", nargs="*", default=[], metavar="VERSION")
    asked = parser.parse_args()
    kept = Kept("faults")
    passed = {row["version"] for row in kept.rows()}
    faults = [fault for fault in FAULTS if not asked.only or fault.version in asked.only]
    Random(asked.seed).shuffle(faults)
    began, failed = time.monotonic(), 0
    for fault in faults:
        if fault.version in passed:
            print(f"soak faults {fault.version}: passed before", flush=True)
            continue
        line, good = _tried(fault)
        failed += not good
        print(line, flush=True)
        if good:
            kept.add(version=fault.version, line=line)
    _lab("down")
    minutes = (time.monotonic() - began) / 60
    print(
        f"soak faults: {failed} of {len(faults)} failed, {minutes:.1f} min, seed {asked.seed} at {kept.at}", flush=True
    )
    return 1 if failed else 0


def _tried(fault: Fault) -> tuple[str, bool]:
    for number in range(1, TRIES + 1):
        try:
            return f"soak faults {fault.version}: {_rolled(fault)}, ok", True
        except LateError as late:
            print(f"soak faults {fault.version}: try {number}: {late}", flush=True)
            _lab("down")
        except (FailedError, AssertionError) as error:
            _lab("down")
            return f"soak faults {fault.version}: FAILED: {error}", False
    return f"soak faults {fault.version}: FAILED: the load was late {TRIES} times", False


def _rolled(fault: Fault) -> str:
    base = fault.version == NEEDS_BASE
    if base:
        _lab("down")
    _expect(_lab("up", *(("--schema", "base") if base else ())), 0)
    if base:
        _fails_on_the_old_schema(fault)
    verdict = _roll("roll", fault.version, *fault.options)
    fired = evidence.fired(PROJECT, verdict, _word(fault))
    _holds(fault, verdict)
    if fault.ends is Ends.DROPS:
        _lab("down")  # the way back would drop as well, for as long as it serves
    elif fault.ends is Ends.CLEAN:
        back = _roll("rollback")
        _clean("the way back", back)
        fired += evidence.fired(PROJECT, back, _word(fault))
        _told(TOLD_BACK.get(fault.version))
        evidence.assert_whole(_status(), "v1")
    if not fired and not base:
        raise FailedError("its fault never fired")
    ended = f"{verdict['run']['rollout']} in {verdict['run']['duration_s']:.0f} s, exit {verdict['exit_code']}"
    return f"{ended}, {verdict['dropped']} dropped of {verdict['judged']}, fired {fired} times"


def _fails_on_the_old_schema(fault: Fault) -> None:
    verdict = _roll("roll", fault.version, "--schema", "as-is", "--anyway", "--ready-timeout", "6s")
    if (verdict["run"]["rollout"], verdict["exit_code"]) != ("rolled-back", 1):
        raise FailedError(f"on the old schema it ended {verdict['run']['rollout']}")
    if not evidence.fired(PROJECT, verdict, _word(fault)):
        raise FailedError("its fault never fired on the old schema")
    _told("parcels has no column")


def _holds(fault: Fault, verdict: Any) -> None:
    status = _status()
    if fault.ends is Ends.CLEAN:
        _clean("the roll", verdict)
        evidence.assert_nobody_went_without_an_answer(PROJECT, verdict)
        evidence.assert_whole(status, fault.version)
    elif fault.ends is Ends.DROPS:
        _spoils_writes(fault, verdict)
        evidence.assert_whole(status, fault.version)
    else:
        if (verdict["run"]["rollout"], verdict["exit_code"]) != ("rolled-back", fault.exit_code):
            raise FailedError(f"it ended {verdict['run']['rollout']}, exit {verdict['exit_code']}")
        evidence.assert_whole(status, "v1")
    if fault.ends is Ends.DROPS:
        return
    if fault.drops:
        evidence.assert_blast_is_what_the_app_says(PROJECT, verdict, fault.version)
    elif verdict["dropped"]:
        raise FailedError(f"{verdict['dropped']} dropped: {verdict['drops'][:3]}")
    _told(TOLD.get(fault.version))


def _spoils_writes(fault: Fault, verdict: Any) -> None:
    """Of what the app says it spoilt, and of nothing else. What nobody could know of is not counted."""
    rows = evidence.fault_rows(PROJECT, verdict, _word(fault))
    drops = [drop for drop in verdict["drops"] if drop["cls"] == SPOILT[fault.version]]
    # a parcel may have been acknowledged more than once: to a write, to the same again, to a change of it
    lost = [PARCEL.search(drop["detail"]) for drop in drops]
    found = {int(it[1]) for it in lost if it} or {drop["id"] for drop in drops}
    spoilt = {row.get("parcel", row["id"]) for row in rows}
    if (verdict["run"]["rollout"], verdict["exit_code"]) != ("done", fault.exit_code) or not found or found - spoilt:
        ended = f"{verdict['run']['rollout']}, exit {verdict['exit_code']}"
        raise FailedError(f"it ended {ended}, {found} found of {spoilt}: {verdict['dropped_by_class']}")


def _clean(what: str, verdict: Any) -> None:
    doubts = {reason["id"] for reason in verdict["reasons"]}
    if verdict["exit_code"] == Exit.NO_VERDICT and doubts <= {"schedule-lag", "unexposed-swaps"}:
        raise LateError(f"{what}: {verdict['reasons'][0]['message']}")
    if (verdict["run"]["rollout"], verdict["exit_code"]) not in {("done", 0), ("rolled-back", 0)}:
        why = [reason["id"] for reason in verdict["reasons"]], verdict["run"]["reason"]
        raise FailedError(f"{what} ended {verdict['run']['rollout']}, exit {verdict['exit_code']}: {why}")


def _told(words: str | None) -> None:
    if words is not None:
        said = _lab("report").stdout
        if words not in said:
            raise FailedError(f"nobody is told {words!r}: {said[:600]}")


def _word(fault: Fault) -> str:
    return fault.version.removeprefix("v2-")


def _status() -> Any:
    return json.loads(_lab("status", "--json").stdout)


def _roll(*words: str) -> Any:
    done = _lab(*words, *LOAD, "--json")
    try:
        verdict = json.loads(done.stdout)
    except ValueError as error:
        raise FailedError(f"lab {' '.join(words)} said no verdict: {done.stderr[-400:]}") from error
    if verdict.get("schema") != "lab.verdict/1" or verdict["exit_code"] != done.returncode:
        raise FailedError(f"lab {' '.join(words)}: exit {done.returncode}: {done.stdout[:400]}{done.stderr[-400:]}")
    return verdict


def _expect(done: "subprocess.CompletedProcess[str]", code: int) -> None:
    if done.returncode != code:
        raise FailedError(f"exit {done.returncode}: {done.stderr[-400:]}")


def _lab(*words: str) -> "subprocess.CompletedProcess[str]":
    argv = [sys.executable, "-m", "lab", *words, "--project", PROJECT]
    environment = {**os.environ, "COLUMNS": "200"}
    return subprocess.run(argv, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)


if __name__ == "__main__":
    sys.exit(main())
