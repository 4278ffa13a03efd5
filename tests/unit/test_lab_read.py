"""What the smaller commands print, as people read it: each has a golden file."""

from collections.abc import Callable

import pytest

from lab.cli import _output
from lab.cli._words import answered
from lab.cli.build import built_lines
from lab.cli.down import down_text
from lab.cli.logs import log_lines
from lab.cli.up import up_text
from lab.errors import EngineError, LabError
from lab.images import Built
from lab.migrate.guard import Proof
from lab.model import Command
from lab.operations.operators import Answer
from lab.operations.schema_view import plan_text, proof_lines, rehearsal_text, status_text
from lab.operations.targets import history_table
from lab.operations.up import UpResult
from lab.ports import Owner
from tests.golden_files import check

UP = UpResult(changed=True, replicas=3, version="v1", schema="base", url="http://127.0.0.1:8080")
OWNER = Owner(host="h", boot="b", pid=7, start="s", command="lab roll v2", home="/x")


def up() -> str:
    again = UpResult(changed=False, replicas=3, version="v2", schema="backfilled", url="http://127.0.0.1:8080")
    own = UpResult(changed=True, replicas=2, version="shop:1.0", schema=None, url="http://127.0.0.1:41000")
    texts = [up_text(UP, 9.34, by_image=False), up_text(again, 0.2, by_image=False), up_text(own, 4.0, by_image=True)]
    return "\n\n".join(texts)


def down() -> str:
    return "\n".join([down_text("default", 9), down_text("shop", 0)])


def history() -> str:
    said = [("current", 3, "v2"), ("previous", 1, "v1"), ("target", 2, "v2-never-ready"), ("gone", 4, "v3")]
    rows = [
        {
            "revision": number,
            "version": version,
            "image": "3f9c12ab34cd",
            "reached": "2026-01-02T03:04:05.678+00:00",
            "run": f"20260102-03040{number}-{version}",
            "is": it,
        }
        for it, number, version in said
    ]
    return "\n".join(history_table(rows))


def words() -> str:
    def answer(command: Command) -> Answer:
        serving = {"v1": 2, "v2": 1}
        return Answer(command=command, run="r", phase="rolling", replicas=3, owner=OWNER, serving=serving, to="v2")

    return "\n".join(answered(answer(command)) for command in Command)


def build() -> str:
    there = Built(name="postgres", reference="rollinglab-postgres:e6c8d1dea084", seconds=None)
    made = Built(name="app", reference="rollinglab-app:938213542c49", seconds=12.34)
    return "\n".join(built_lines([there, made]))


def logs() -> str:
    return "\n".join(log_lines({"app-1.1": "starts\nready\n", "app-2.1": "starts\n"}))


FOOTPRINT = {
    "unit": "0001_expand.sql add columns",
    "table": "parcels",
    "lock": "AccessExclusiveLock",
    "rewritten": False,
    "blocks": "everybody",
    "stall_seconds": 0.0042,
}
STEPS = [
    {
        "phase": "expanded",
        "command": "expand",
        "serves": ["v1", "v2"],
        "takes_away": [],
        "contents": ["up 0001_expand.sql", "keeps both in step"],
        "way_back": True,
        "told": ["0001_expand.sql done"],
        "seconds": 0.123,
        "footprint": [FOOTPRINT, {**FOOTPRINT, "blocks": "nobody", "stall_seconds": 0.0, "rewritten": True}],
    },
    {
        "phase": "contracted",
        "command": "contract",
        "serves": ["v2"],
        "takes_away": ["v1"],
        "contents": ["up 0003_contract.sql"],
        "way_back": False,
    },
]
GUARD = [{"name": "replicas", "found": "3 replicas of v1 run", "holds": False}]


def migrate_status() -> str:
    phases = [("base", ["v1"], False), ("expanded", ["v1", "v2"], False), ("contracted", ["v2"], True)]
    return status_text(
        {
            "change": "recipient-name",
            "phase": "expanded",
            "phases": [{"name": n, "serves": s, "contracts": c} for n, s, c in phases],
            "under_way": [{"phase": "backfilled", "direction": "up", "done": 3, "filled": 3000}],
            "leases": [
                {"version": "v1", "replica": "app-1.1", "pid": 1},
                {"version": "v2", "replica": "app-2.2", "pid": 2},
                {"version": "", "replica": "psql", "pid": 3},
            ],
            "without_lease": ["somebody"],
            "gone": {"v0": "contracted"},
            "forced": "the old version is switched off",
        }
    )


def migrate_plan() -> str:
    whole = {"change": "recipient-name", "phase": "base", "steps": STEPS, "guard": GUARD}
    return plan_text(whole) + "\n\n" + plan_text({**whole, "steps": [], "guard": []})


def migrate_rehearsal() -> str:
    return rehearsal_text({"change": "recipient-name", "phase": "base", "steps": STEPS[:1]})


def migrate_guard() -> str:
    told = [Proof(name="replicas", found="no replica of v1", holds=True, fix="")]
    return "\n".join(proof_lines([*told, Proof(name="leases", found="v1 holds one", holds=False, fix="roll on")]))


READ: dict[str, Callable[[], str]] = {
    "up_done": up,
    "down": down,
    "history": history,
    "words": words,
    "build": build,
    "logs": logs,
    "migrate_status": migrate_status,
    "migrate_plan": migrate_plan,
    "migrate_rehearsal": migrate_rehearsal,
    "migrate_guard": migrate_guard,
}


@pytest.mark.parametrize("name", READ)
def test_it_reads_as_its_golden_file(name: str) -> None:
    check(f"lab/{name}", READ[name]() + "\n")


FAILURES = [
    LabError(
        id="lease-held",
        what="this lab is being changed by `lab roll v2` (pid 7 on h)",
        fix="wait for it, or lab status",
    ),
    LabError(id="not-up", what="the fleet is not up", where="app-1.1\nlast line\nbut one", fix="lab logs app-1.1"),
    EngineError(id="engine", what="Docker: create: no"),
]


def test_errors_read_as_their_golden_file(capsys: pytest.CaptureFixture[str]) -> None:
    for error in FAILURES:
        _output.failure(error, as_json=False)
    _output.speak_of("shop")
    _output.failure(FAILURES[0], as_json=False)
    _output.speak_of("default")

    check("lab/errors", capsys.readouterr().err)
