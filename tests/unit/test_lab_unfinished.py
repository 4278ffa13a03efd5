"""What the journal says of a rollout that has not come to its end, and what whoever goes on with it has to say."""

import json
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from lab.cli._words import answer_json, answered
from lab.errors import LabError
from lab.folds import KEPT_REVISIONS, History, history_of
from lab.model import Command, Ending, Revision, RolloutSpec
from lab.operations.account import Account, account_to_json
from lab.operations.operators import Answer
from lab.operations.targets import history_rows, history_table, rollback_target
from lab.operations.unfinished import Stage, Unfinished, first_word, is_a_load, unfinished_of
from lab.ports import Event, Owner
from lab.proof import Command as Rolled
from lab.spec_codec import spec_to_json
from lab.transitions import ROLLOUT, Happening, Phase

SCHEMAS = Path(__file__).parents[2] / "docs/reference/schemas"
SPEC = RolloutSpec(target=2, replicas=3, surge=1, unavailable=0, back_to=1, retries=1)


def event(type: str, run: str = "r", **data: Any) -> Event:
    return Event(type=type, run=run, t_ns=0, data=data, wall="2026-01-02T03:04:05")


def begun(run: str = "r", continues: str | None = None) -> Event:
    account = Account(command=Rolled.ROLL, from_version="v1", to_version="v2", spec=SPEC, continues=continues)
    return event("run-started", run, **account_to_json(account))


def started(run: str = "r", kind: str = "roll", continues: str | None = None) -> Event:
    about = {"kind": kind, "from": "v1", "to": "v2", "target": 2, "replicas": 3, "spec": spec_to_json(SPEC)}
    return event("rollout-started", run, **about, continues=continues, pid=7)


def paused(run: str = "r", ending: str = "interrupted") -> Event:
    return event("rollout-paused", run, ending=ending, reason="", where="", reached=None)


def over(run: str = "r", ending: str = "done", reached: int | None = 2) -> Event:
    return event("rollout-ended", run, ending=ending, reason="why", where="there", reached=reached)


def judged(run: str = "r") -> Event:
    return event("run-ended", run, outcome="pass", exit_code=0)


def turned(happening: Happening, phase: Phase = Phase.ROLLING, run: str = "r", answers: int | None = None) -> Event:
    about = {"happening": happening, "phase": phase, "cause": "operator", "reason": "asked", "target": 2}
    return event("phase-changed", run, **about, serving=0, requests=0, errors=0, answers=answers)


def asked(number: int, command: Command, run: str = "r") -> Event:
    return event("asked", run, number=number, command=command, replicas=None, to=None)


def left(*events: Event) -> Unfinished:
    found = unfinished_of(events)
    assert found is not None
    return found


@pytest.mark.parametrize(
    ("events", "stage"),
    [
        ([begun()], Stage.BEGUN),
        ([begun(), started()], Stage.ROLLING),
        ([begun(), started(), paused()], Stage.PAUSED),
        ([begun(), started(), paused(), judged()], Stage.PAUSED),
        ([begun(), started(), paused(), event("rollout-resumed", pid=8)], Stage.ROLLING),
        ([begun(), started(), over()], Stage.UNJUDGED),
        ([started(kind="up")], Stage.ROLLING),
    ],
)
def test_what_a_killed_command_left_undone_is_told_by_its_last_records(events: list[Event], stage: Stage) -> None:
    assert left(*events).stage is stage


@pytest.mark.parametrize(
    "events",
    [
        [],
        [begun(), started(), over(), judged()],
        [started(kind="up"), over()],
        [begun(), judged()],
        [begun(), started(), event("lab-removed", "", removed=3)],
    ],
)
def test_what_is_done_and_judged_or_removed_leaves_nothing_to_go_on_with(events: list[Event]) -> None:
    assert unfinished_of(events) is None


def test_a_verdict_that_is_given_makes_who_goes_on_a_run_of_its_own() -> None:
    assert not left(begun(), started(), paused()).judged
    assert left(begun(), started(), paused(), judged()).judged
    assert not left(begun(), started(), paused(), judged(), event("rollout-resumed", pid=8)).judged


def test_a_run_that_ended_before_it_rolled_leaves_the_one_before_as_it_was() -> None:
    first = [begun("a"), started("a"), paused("a"), judged("a")]

    assert left(*first, begun("b", continues="a"), judged("b")).run == "a"


def test_counts_failures_and_phase_are_folded_over_the_whole_chain() -> None:
    failed = event("try-failed", "a", slot=2, replica="app-2.2", reason="no", last=False, revision=2)
    it = left(
        *[begun("a"), started("a"), failed, event("scaled", "a", replicas=5, filled_old=[], answers=None)],
        *[paused("a"), judged("a"), begun("b", "a"), started("b", continues="a"), paused("b"), judged("b")],
        *[begun("c", "b"), started("c", continues="b"), turned(Happening.PAUSED, run="c")],
    )

    assert (it.run, it.earlier) == ("c", ("b", "a"))
    assert (it.state.tries, it.state.replicas, it.state.phase) == ({2: 1}, 5, Phase.PAUSED)


def test_another_rollout_s_events_are_not_of_the_chain() -> None:
    it = left(begun("a"), started("a"), turned(Happening.PAUSED, run="a"), paused("a"), begun("b"), started("b"))

    assert (it.run, it.earlier, it.state.phase) == ("b", (), Phase.ROLLING)


def test_how_a_rollout_ended_is_known_when_only_its_verdict_is_missing() -> None:
    ended = left(begun(), started(), over(ending="rolled-back", reached=1)).ended

    assert ended is not None
    assert (ended.ending, ended.reason, ended.where) == (Ending.ROLLED_BACK, "why", "there")


def test_a_journal_of_before_is_no_error() -> None:
    assert unfinished_of([event("rollout-started", kind="roll", to="v2", spec={"surge": 1})]) is None


def word(command: Command, *happenings: Happening, more: tuple[Event, ...] = ()) -> Command | None:
    events, phase = [begun(), started()], Phase.ROLLING
    for happening in happenings:
        events.append(turned(happening, phase))
        phase = ROLLOUT[phase, happening]  # type: ignore[assignment]
    return first_word(left(*events, *more), command)


@pytest.mark.parametrize(
    ("happenings", "resume", "rollback", "abort"),
    [
        ((), None, Command.ROLLBACK, Command.ABORT),
        ((Happening.PAUSED,), Command.RESUME, Command.ROLLBACK, Command.ABORT),
        ((Happening.HELD,), None, Command.ROLLBACK, Command.ABORT),
        ((Happening.TURNED_BACK,), None, None, Command.ABORT),
        ((Happening.TURNED_BACK, Happening.PAUSED), Command.RESUME, Command.RESUME, Command.ABORT),
        ((Happening.ABORTED,), None, Command.ROLLBACK, None),
    ],
)
def test_whoever_goes_on_says_what_the_phase_needs(
    happenings: tuple[Happening, ...], resume: Command | None, rollback: Command | None, abort: Command | None
) -> None:
    assert word(Command.RESUME, *happenings) == resume
    assert word(Command.ROLLBACK, *happenings) == rollback
    assert word(Command.ABORT, *happenings) == abort


def test_a_pause_that_nobody_answered_is_answered_by_the_resume_after_it() -> None:
    assert word(Command.RESUME, more=(asked(1, Command.PAUSE),)) is Command.RESUME
    assert word(Command.RESUME, more=(asked(1, Command.PAUSE), turned(Happening.PAUSED, answers=1))) is Command.RESUME


def test_a_rollout_that_is_over_but_for_its_record_can_only_be_recorded() -> None:
    assert word(Command.RESUME, Happening.REACHED) is None
    with pytest.raises(LabError, match="over but for its record"):
        word(Command.ROLLBACK, Happening.REACHED)


def test_a_rollback_that_goes_back_already_cannot_be_sent_elsewhere() -> None:
    it = left(begun(), started(), turned(Happening.TURNED_BACK))

    assert first_word(it, Command.ROLLBACK, it.state.target) is None
    with pytest.raises(LabError, match="goes back already"):
        first_word(it, Command.ROLLBACK, 9)


# the revisions


def history(*reached: int, running: bool = False) -> History:
    numbers = range(1, max(reached) + 2)
    recorded = [
        Revision(number=n, version=f"v{n}", serves_as="v1", image_id=f"sha256:{n:064d}", spec="{}") for n in numbers
    ]
    events = [
        Event(type="revision-recorded", run="", t_ns=0, data={name: getattr(r, name) for name in r.__slots__})
        for r in recorded
    ]
    for n in reached:
        events += [started(f"to-{n}"), over(f"to-{n}", reached=n)]
    return history_of([*events, started("now")] if running else events)


def test_each_revision_stands_in_the_history_once_where_it_was_last_reached() -> None:
    rows = history_rows(history(1, 2, 1, 3))

    assert [(row["revision"], row["run"], row["is"]) for row in rows] == [
        (3, "to-3", "current"),
        (1, "to-1", "previous"),
        (2, "to-2", "target"),
    ]
    assert [line.split()[0] for line in history_table(rows)] == ["REVISION", "3", "1", "2"]


def test_only_the_last_revisions_are_kept_to_go_back_to() -> None:
    many = history(*range(1, KEPT_REVISIONS + 3))

    assert [row["revision"] for row in history_rows(many) if row["is"] == "gone"] == [1]
    assert rollback_target(many, "2") == 2
    with pytest.raises(LabError, match="only the last 10 revisions are kept"):
        rollback_target(many, "v1")


@pytest.mark.parametrize(("text", "why"), [("v3", "it runs that already"), ("v4", "never ran"), ("99", "never ran")])
def test_what_cannot_be_gone_back_to_is_refused_with_the_reason_and_what_can(text: str, why: str) -> None:
    with pytest.raises(LabError, match=why) as refused:
        rollback_target(history(1, 2, 3), text)
    assert refused.value.fix == "one of: 2 (v2), 1 (v1)"


def test_out_of_a_rollout_the_current_revision_can_be_gone_back_to() -> None:
    assert rollback_target(history(1, 2, running=True), "v2") == 2


# what the commands print


def valid(data: dict[str, Any], name: str) -> dict[str, Any]:
    schema = json.loads((SCHEMAS / f"{name}.schema.json").read_text())
    Draft202012Validator(schema).validate(json.loads(json.dumps(data)))
    return data


def test_the_history_fits_its_schema() -> None:
    valid({"schema": "lab.history/1", "revisions": history_rows(history(*range(1, 14)))}, "history")


SAYS = {
    Command.PAUSE: "paused: 1 of 3 replicas run v2",
    Command.RESUME: "goes on: 1 of 3 replicas run v2",
    Command.ABORT: "gives up, and leaves what runs: 2 v1, 1 v2",
    Command.ROLLBACK: "goes back to v2: 1 of 3 replicas run v2",
    Command.SCALE: "scaled to 3 replicas: 1 of 3 replicas run v2",
}


@pytest.mark.parametrize("command", Command)
def test_what_a_word_led_to_is_said_and_fits_its_schema(command: Command) -> None:
    owner = Owner(host="h", boot="b", pid=7, start="s", command="lab roll v2", home="/x")
    serving = {"v1": 2, "v2": 1}
    it = Answer(command=command, run="r", phase="rolling", replicas=3, owner=owner, serving=serving, to="v2")

    assert answered(it).splitlines()[0] == SAYS[command]
    assert valid(answer_json(it), "word")["owner"] == {"command": "lab roll v2", "pid": 7, "host": "h"}


def test_a_load_that_was_killed_is_to_be_judged_and_a_paused_rollout_is_there_again_after_it() -> None:
    load = Account(command=Rolled.LOAD, from_version="v1", to_version="v1", spec=SPEC, seconds=6.0)
    before = [begun(), started(), paused(), judged()]
    killed = unfinished_of(
        [*before, event("run-started", "load", **account_to_json(load)), event("load-started", "load")]
    )
    assert killed is not None
    assert (killed.run, killed.stage, is_a_load(killed), killed.account) == ("load", Stage.BEGUN, True, load)
    told = [*before, event("run-started", "load", **account_to_json(load)), judged("load")]
    left = unfinished_of(told)
    assert left is not None
    assert (left.run, left.stage, is_a_load(left)) == ("r", Stage.PAUSED, False)
