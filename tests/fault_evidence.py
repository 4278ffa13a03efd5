"""What a roll to a faulty version left behind, read from outside: the app's own logs, and the fleet after it."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]


@dataclass(frozen=True, kw_only=True)
class Said:
    """A run's requests in the app's own logs: (status, when) by id at one version, and those that others answered."""

    begun: set[str]
    ended: dict[str, tuple[int, int]]
    elsewhere: set[str]

    def ends(self, *, until_ns: int) -> tuple[int, int]:
        """(answers, server errors) until then."""
        statuses = [status for status, t in self.ended.values() if t <= until_ns]
        return len(statuses), sum(status >= 500 for status in statuses)


def folder(project: str, verdict: Any) -> Path:
    return ROOT / ".lab" / project / "runs" / str(verdict["run"]["run"])


def rows_of(project: str, verdict: Any) -> dict[str, list[dict[str, Any]]]:
    """The app's own lines, by the log's name."""
    return {
        path.name: [json.loads(line) for line in path.read_text().splitlines() if line.startswith('{"e":')]
        for path in (folder(project, verdict) / "logs").iterdir()
    }


def fault_rows(project: str, verdict: Any, fault: str) -> list[dict[str, Any]]:
    """What the app's logs of that run say of the fault, each time that it fired."""
    rows = rows_of(project, verdict).values()
    return [row for log in rows for row in log if (row["e"], row.get("fault")) == ("fault", fault)]


def fired(project: str, verdict: Any, fault: str) -> int:
    return len(fault_rows(project, verdict, fault))


def said_by(version: str, project: str, verdict: Any) -> Said:
    said = Said(begun=set(), ended={}, elsewhere=set())
    for rows in rows_of(project, verdict).values():
        its = any(row["e"] == "start" and row["version"] == version for row in rows)
        for row in rows:
            if row["e"] not in {"begin", "end"} or not row["id"].startswith(f"{verdict['run']['run']}-"):
                continue
            if its and row["e"] == "begin":
                said.begun.add(row["id"])
            elif its:
                said.ended[row["id"]] = (row["status"], row["t"])
            elif row["e"] == "end":
                said.elsewhere.add(row["id"])
    return said


def assert_blast_is_what_the_app_says(project: str, verdict: Any, version: str) -> None:
    """And every drop of the run is one of the bad version's own."""
    blast, drops, said = verdict["blast"], verdict["drops"], said_by(version, project, verdict)
    assert blast["version"] == version
    assert said.ended
    assert (blast["answered"], blast["errors"]) == said.ends(until_ns=2**63)
    saved = (said.begun - set(said.ended)) & said.elsewhere
    # what was on its way to a replica that died is in no log of the app
    unread = sum(drop["app_saw"] == "not begun" for drop in drops)
    assert blast["unanswered"] == len(said.begun) - len(said.ended) - len(saved) + unread
    assert blast["share"] == round((blast["answered"] + blast["unanswered"]) / verdict["offered"], 4)
    assert {drop["version"] for drop in drops} <= {version}
    assert verdict["dropped"] == blast["errors"] + blast["unanswered"]


def assert_nobody_went_without_an_answer(project: str, verdict: Any) -> None:
    """By the app's own logs: none of the run's requests was begun and answered nowhere, or answered with an error."""
    begun: set[str] = set()
    good: set[str] = set()
    for rows in rows_of(project, verdict).values():
        for row in rows:
            if row["e"] in {"begin", "end"} and row["id"].startswith(f"{verdict['run']['run']}-"):
                (good if row["e"] == "end" and row["status"] < 500 else begun).add(row["id"])
    assert good
    assert begun - good == set()
    assert verdict["dropped"] == 0


def assert_whole(status: Any, version: str) -> None:
    assert (status["version"], status["ready"], status["replicas_wanted"]) == (version, 3, 3)
    assert [(r["version"], r["state"]) for r in status["replicas"]] == [(version, "ready")] * 3
