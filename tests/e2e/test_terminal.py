"""A second terminal: its words to a rollout under traffic, and how it goes on with one whose command is gone."""

import json
import signal
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from tests.e2e.conftest import LabCommand, assert_clean
from tests.pty_terminal import CTRL_C, HIDDEN, Left, PtyTerminal

pytestmark = pytest.mark.docker
SMALL = ("--rate", "60", "--min-requests", "100", "--json")


@pytest.fixture(scope="module")
def lab(new_lab: Callable[[str], LabCommand]) -> LabCommand:
    lab = new_lab("term-words")
    lab.up("--replicas", "2")
    return lab


@contextmanager
def rolling(lab: LabCommand, *words: str, until: str = "draining") -> "Iterator[subprocess.Popen[str]]":
    """The first terminal, once it has come so far."""
    with lab.begin(*words, *SMALL) as roll:
        try:
            assert roll.stderr is not None
            assert any(until in line for line in roll.stderr)
            yield roll
        finally:
            roll.kill()


def ended(roll: "subprocess.Popen[str]") -> Any:
    """Its verdict, and the exit code that it really had."""
    out, err = roll.communicate(timeout=120)
    verdict = json.loads(out)
    assert verdict.get("schema") == "lab.verdict/1", out + err
    assert verdict["exit_code"] == roll.returncode
    return verdict


def painting(lab: LabCommand, *words: str, **environ: str) -> PtyTerminal:
    """The command in a terminal, live."""
    known = {name: value for name, value in lab._environ().items() if name not in {"CI", "NO_COLOR", "FORCE_COLOR"}}
    footer = "Ctrl-C pauses after the step at hand"
    return PtyTerminal(lab._argv(words), {**known, **environ}, frame=footer)


def verdict_in(left: Left) -> Any:
    assert left.out, left.painted.decode(errors="replace")[-2000:]
    verdict = json.loads(left.out)
    assert verdict.get("schema") == "lab.verdict/1", left.out
    assert verdict["exit_code"] == left.exit_code
    return verdict


def versions(lab: LabCommand) -> list[str]:
    return [r["version"] for r in lab.status()["replicas"]]


def test_a_rollout_is_paused_and_let_go_on_from_another_terminal_and_drops_nothing(lab: LabCommand) -> None:
    with rolling(lab, "roll", "v2") as roll:
        paused = lab("pause")
        status = lab.status()
        again = lab("pause")
        still = lab("status", "--wait-for", "paused")
        resumed = lab("resume", "--json")
        arrived = lab("status", "--wait-for", "v2", "--timeout", "60s", "--json")
        verdict = ended(roll)

    assert (paused.exit_code, again.exit_code, resumed.exit_code) == (0, 3, 0), paused.err + resumed.err
    assert "of 2 replicas run v2" in paused.out
    assert (status["phase"], status["rollout"]["pid"]) == ("paused", roll.pid)
    assert "lab resume" in " ".join(status["notes"])
    assert "[refused]" in again.err
    assert resumed.json["phase"] == "rolling"
    assert (still.exit_code, arrived.exit_code) == (0, 0), still.err + arrived.err
    assert [replica["version"] for replica in arrived.json["replicas"]] == ["v2", "v2"]
    assert "waiting    for        the roll to v2 is " in arrived.err
    assert_clean(verdict)


def test_a_rollback_from_another_terminal_ends_the_first_as_rolled_back(lab: LabCommand) -> None:
    with rolling(lab, "roll", "v1") as roll:
        word = lab("rollback", "--json")
        verdict = ended(roll)

    assert (word.exit_code, word.json["to"]) == (0, "v2"), word.err
    assert (verdict["run"]["rollout"], verdict["exit_code"], verdict["dropped"]) == ("rolled-back", 1, 0)
    assert versions(lab) == ["v2"] * 2


def test_an_abort_from_another_terminal_leaves_what_serves_and_up_makes_it_whole(lab: LabCommand) -> None:
    with rolling(lab, "roll", "v1") as roll:
        word = lab("abort")
        verdict = ended(roll)

    assert word.exit_code == 0, word.err
    assert (verdict["run"]["rollout"], verdict["exit_code"], verdict["dropped"]) == ("aborted", 1, 0)
    left = lab.status()
    assert {r["state"] for r in left["replicas"]} == {"ready"}
    assert "v1 runs beside v2: lab up" in " ".join(left["notes"])
    lab.up()
    assert versions(lab) == ["v2"] * 2


def test_a_controller_that_stands_still_is_named_and_killed_its_run_goes_on_as_the_same(lab: LabCommand) -> None:
    """The saboteur of the words: who does not answer is not taken for one that did."""
    with rolling(lab, "roll", "v1") as roll:
        roll.send_signal(signal.SIGSTOP)
        unheard = lab("pause", "--timeout", "2s")
        roll.kill()
    assert unheard.exit_code == 3
    assert f"pid {roll.pid}" in unheard.err
    assert "[no-answer]" in unheard.err
    status = lab.status()
    assert (status["phase"], status["rollout"]["pid"]) == ("rolling", None)
    assert "its controller is gone: lab resume" in " ".join(status["notes"])

    verdict = lab.roll("resume")

    assert_clean(verdict)
    assert verdict["run"]["run"] == status["rollout"]["run"]
    assert versions(lab) == ["v1"] * 2


def test_an_interrupted_rollout_is_gone_on_with_by_a_run_of_its_own(lab: LabCommand) -> None:
    """Both in a terminal: its view is repainted there, Ctrl-C is typed, and it is as before afterwards."""
    with painting(lab, "roll", "v2", *SMALL, TERM="xterm-256color") as roll:
        roll.until("draining")
        roll.type(CTRL_C)
        coloured = roll.ended()
    first = verdict_in(coloured)
    refused = lab("pause")

    with painting(lab, "resume", "--ascii", "--json", TERM="xterm-256color", NO_COLOR="1") as resume:
        plain = resume.ended()
    verdict = verdict_in(plain)

    for left in (coloured, plain):
        assert left.restored
        assert HIDDEN in left.painted
        assert left.frames > 2
        assert b"being changed by" not in left.painted, "by itself, that is"
        assert left.frames <= 5 * left.seconds + 1, f"{left.frames} frames in {left.seconds:.1f} s"
    assert (coloured.coloured, plain.coloured) == (True, False)
    assert ("✔ ready".encode() in coloured.painted, plain.painted.isascii()) == (True, True)
    assert (first["exit_code"], refused.exit_code) == (130, 3)
    assert "was interrupted" not in refused.out
    assert "lab resume" in refused.err
    assert_clean(verdict)
    assert verdict["run"]["run"] != first["run"]["run"]
    begun = next(json.loads(line) for line in lab("events", "--json").out.splitlines() if "rollout-started" in line)
    assert begun["data"]["continues"] == first["run"]["run"]
    assert versions(lab) == ["v2"] * 2


def test_a_detached_rollout_outlives_its_command_and_is_followed_to_its_end(lab: LabCommand) -> None:
    begun = lab("roll", "v1", "--detach", "--no-load", "--json")
    assert begun.exit_code == 0, begun.err

    lines = [json.loads(line) for line in lab("events", "--follow", "--json").out.splitlines()]

    assert {line["run"] for line in lines} == {begun.json["run"]}
    assert lines[-1]["type"] in {"rollout-ended", "run-ended"}
    resumed = lab("resume")
    assert "[no-rollout]" in resumed.err
    assert versions(lab) == ["v1"] * 2


def test_the_idle_fleet_is_scaled_and_its_history_says_what_can_be_gone_back_to(lab: LabCommand) -> None:
    fewer = lab("scale", "1", "--json")
    same = lab("scale", "1", "--json")
    rows = lab("history", "--json").json["revisions"]
    unknown = lab("rollback", "--to", "v2-never-ready")

    assert (fewer.json["changed"], same.json["changed"]) == (True, False), fewer.err
    assert versions(lab) == ["v1"]
    assert [(row["version"], row["is"]) for row in rows] == [("v1", "current"), ("v2", "previous")]
    assert (unknown.exit_code, "it never ran that" in unknown.err) == (3, True)
