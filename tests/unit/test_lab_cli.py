"""The command's exit codes, and what it says where: results on stdout, all else on stderr."""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from lab.cli import main
from lab.errors import EngineError, LabError
from lab.proof import Verdict, judge, verdict_to_json
from tests.unit.proof_world import facts

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def lab(capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    """The command in an empty folder, beside a checkout that has the shipped manifest and no engine."""
    manifest = Path(__file__).parents[2] / "compose/lab.yaml"
    (tmp_path / "checkout/compose").mkdir(parents=True)
    (tmp_path / "checkout/compose/lab.yaml").write_text(manifest.read_text())
    monkeypatch.setattr("lab.project.checkout", lambda: tmp_path / "checkout")
    monkeypatch.setenv("DOCKER_HOST", f"unix://{tmp_path}/no.sock")
    monkeypatch.chdir(tmp_path)

    def run(*arguments: str) -> tuple[int, str, str]:
        code = main(list(arguments))
        said = capsys.readouterr()
        return code, said.out, said.err

    return run


def failing_with(monkeypatch: pytest.MonkeyPatch, error: BaseException) -> None:
    def fail() -> Path:
        raise error

    monkeypatch.setattr("lab.project.checkout", fail)


REFUSED = LabError(id="lease-held", what="somebody is at work", where="pid 7\non host a", fix="wait")


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["rol", "v2"], "No such command 'rol'. Did you mean 'roll'?"),
        (["stats"], "Did you mean 'status'?"),
        (["frobnicate"], "No such command 'frobnicate'."),
        (["migrate", "expnd"], "Did you mean 'expand'?"),
        (["roll", "v2", "--oder", "start-first"], "No such option: --oder"),
        (["roll", "v2", "--order", "sideways"], "'sideways' is not one of 'start-first', 'stop-first'"),
        (["roll"], "nothing says what to roll to"),
        (["report", "a", "b"], "unexpected extra argument"),
    ],
)
def test_a_line_that_cannot_be_meant_is_wrong_usage(lab: Run, arguments: list[str], told: str) -> None:
    code, out, err = lab(*arguments)

    assert (code, out) == (2, "")
    assert told in err
    assert "Traceback" not in err


@pytest.mark.parametrize("arguments", [["roll", "v9"], ["up", "--version", "v9"]])
def test_an_unknown_version_is_wrong_usage_and_the_known_ones_are_named(lab: Run, arguments: list[str]) -> None:
    code, out, err = lab(*arguments)

    assert (code, out) == (2, "")
    assert "error: there is no version 'v9'   [unknown-version]" in err
    assert (
        "use one of: v1, v1-naive-page, v2, v2-adds-latency, v2-always-errors, v2-answers-errors, v2-checks-schema, "
        in err
    )


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["roll", "v2", "--batch", "0"], "a batch of 0 replaces nothing   [batch]"),
        (["roll", "v2", "--batch", "x"], "--batch: 'x' is neither a number nor a percentage   [amount]"),
        (["roll", "v2", "--rate", "0"], "0 requests a second cannot be offered   [rate]"),
        (["roll", "v2", "--rate", "nan"], "nan requests a second cannot be offered   [rate]"),
        (["roll", "v2", "--rate", "1e9"], "1e+09 requests a second cannot be offered   [rate]"),
        (["roll", "v2", "--slow", "11s"], "--slow 11s is not between 0 and 10s   [slow]"),
        (["roll", "v2", "--slow", "soon"], "--slow: 'soon' is not a duration such as 500ms, 10s or 1m30s   [duration]"),
        (["roll", "v2", "--min-requests", "-5"], "--min-requests -5 is below 0   [min-requests]"),
        (["load", "run", "--rate", "0"], "0 requests a second cannot be offered   [rate]"),
        (["load", "run", "--duration", "0s"], "--duration 0s is no load, or one of more than a day   [duration]"),
        (["load", "run", "--duration", "long"], "--duration: 'long' is not a duration such as"),
        (["load", "run", "--requests", "0"], "--requests 0 is no load   [requests]"),
        (["load", "run", "--workers", "17"], "17 workers are more than one machine can run   [workers]"),
        (["roll", "v2", "--locustfile", "no.py"], "there is no locustfile "),
        (["roll", "v2", "--ready-timeout", "0s"], "--ready-timeout: 0s leaves no time at all   [duration]"),
        (["up", "--port", "99999"], "99999 is no port   [port]"),
        (["roll", "v2", "--drain-timeout", "30"], "--drain-timeout: '30' is not a duration such as"),
        (["rollback", "--ready-timeout", "soon"], "--ready-timeout: 'soon' is not a duration such as"),
        (["status", "--wait-for", "idle", "--timeout", "60"], "--timeout: '60' is not a duration such as"),
        (["status", "--timeout", "60s"], "--timeout without --wait-for   [status]"),
        (["status", "--watch", "--wait-for", "idle"], "--watch ends at Ctrl-C, --wait-for by itself   [status]"),
        (["status", "--wait-for", "v3"], "v3"),
        (["up", "--replicas", "0"], "a fleet has at least one replica   [replicas]"),
        (["status", "--project", "A B"], "'A B' cannot be the name of a project   [project-name]"),
    ],
)
def test_a_value_that_cannot_be_meant_is_wrong_usage(lab: Run, arguments: list[str], told: str) -> None:
    code, out, err = lab(*arguments)

    assert (code, out) == (2, "")
    assert told in err
    assert "  fix    " in err


def test_a_failure_says_what_where_and_the_fix_on_stderr_alone(lab: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    failing_with(monkeypatch, REFUSED)

    assert lab("status") == (
        3,
        "",
        "error: somebody is at work   [lease-held]\n  where  pid 7\n         on host a\n  fix    wait\n",
    )


def test_what_is_not_known_of_a_failure_is_not_said(lab: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    failing_with(monkeypatch, EngineError(id="engine", what="it broke"))

    assert lab("status") == (3, "", "error: it broke   [engine]\n")


@pytest.mark.parametrize("code", [1, 2, 3, 4])
def test_the_exit_code_of_a_failure_is_its_own(lab: Run, monkeypatch: pytest.MonkeyPatch, code: int) -> None:
    failing_with(monkeypatch, LabError(id="x", what="no", exit_code=code))

    assert lab("status")[0] == code


def test_with_json_a_failure_is_one_object_on_stdout_too(lab: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    failing_with(monkeypatch, REFUSED)

    code, out, err = lab("status", "--json")

    assert json.loads(out) == {
        "schema": "lab.error/1",
        "error": {"id": "lease-held", "what": "somebody is at work", "where": "pid 7\non host a", "fix": "wait"},
        "exit_code": 3,
    }
    assert code == 3
    assert err.startswith("error: somebody is at work")


def test_no_engine_is_the_environment_s_fault(lab: Run) -> None:
    code, out, err = lab("status")

    assert (code, out) == (3, "")
    assert "fix" in err


def test_anything_else_is_a_bug_of_ours_and_its_traceback_is_kept(lab: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    failing_with(monkeypatch, ZeroDivisionError("of the lab"))

    code, out, err = lab("status")

    assert (code, out) == (70, "")
    assert err == (
        "error: a bug in the lab: ZeroDivisionError: of the lab   [bug]\n  where  .lab/crash.txt has the traceback\n"
    )
    assert "in fail" in Path(".lab/crash.txt").read_text()


def test_a_bug_in_a_folder_that_cannot_be_written_is_told_in_full(lab: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    Path(".lab").write_text("a file in its way")
    failing_with(monkeypatch, ZeroDivisionError("of the lab"))

    code, _, err = lab("status")

    assert code == 70
    assert "Traceback (most recent call last)" in err


def test_ctrl_c_ends_a_command_with_130_and_says_how_to_go_on(lab: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    failing_with(monkeypatch, KeyboardInterrupt())

    code, out, err = lab("status")

    assert (code, out) == (130, "")
    assert err.strip() == "interrupted; run the same command again to go on"
    assert not Path(".lab").exists()


@pytest.mark.parametrize("arguments", [["--help"], ["-h"], ["roll", "--help"], ["migrate", "--help"]])
def test_help_is_a_result(lab: Run, arguments: list[str]) -> None:
    code, out, err = lab(*arguments)

    assert (code, err) == (0, "")
    assert "Usage: " in out


def test_the_command_alone_shows_what_there_is(lab: Run) -> None:
    code, _, err = lab()

    assert code == 2
    for command in ("up", "roll", "rollback", "status", "report", "migrate", "doctor", "down"):
        assert f"\n  {command} " in err


def test_usage_names_the_command_however_it_was_started(lab: Run) -> None:
    assert lab("rol")[2].startswith("Usage: lab [OPTIONS] COMMAND")


def test_the_saboteur_s_switch_is_not_advertised(lab: Run) -> None:
    assert "test-skip-drain" not in lab("roll", "--help")[1]


def test_importing_the_command_and_its_help_loads_no_adapter() -> None:
    heavy = ["docker", "aiohttp", "psycopg", "locust", "yaml", "requests"]
    script = "import sys; from lab.cli import main; main(['roll', '--help']); print('LOADED', *sys.modules)"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True, timeout=60)

    loaded = done.stdout.split("LOADED ")[1].split()
    assert "lab.cli.roll" in loaded
    assert not set(heavy) & set(loaded)


def keep(verdict: Verdict, run: str) -> Path:
    folder = Path("checkout/.lab/default/runs") / run
    folder.mkdir(parents=True)
    verdict = replace(verdict, run=replace(verdict.run, run=run))
    (folder / "verdict.json").write_text(json.dumps(verdict_to_json(verdict)))
    return folder


def verdict(exit_code: int = 0) -> Verdict:
    return replace(judge(facts(), None, None, ()), exit_code=exit_code)


@pytest.mark.parametrize("code", [0, 1, 3, 4, 130])
def test_a_report_ends_as_its_run_ended(lab: Run, code: int) -> None:
    keep(verdict(code), "20260102-030405-v1-v2")

    got, out, err = lab("report")

    assert (got, err) == (code, "")
    assert "20260102-030405-v1-v2" in out


def test_a_report_is_of_the_last_run_unless_another_is_named(lab: Run) -> None:
    keep(verdict(1), "20260102-030405-v1-v2")
    keep(verdict(0), "20260102-030406-v2-v1")

    assert lab("report")[0] == 0
    code, out, _ = lab("report", "20260102-030405-v1-v2", "--json")
    assert code == 1
    assert json.loads(out)["run"]["run"] == "20260102-030405-v1-v2"


def test_a_report_of_no_run_says_which_there_is(lab: Run) -> None:
    code, out, err = lab("report")
    assert (code, out) == (3, "")
    assert "nothing was rolled yet   [no-run]" in err

    keep(verdict(), "20260102-030405-v1-v2")
    code, out, err = lab("report", "another")
    assert (code, out) == (3, "")
    assert "there is no run another" in err
    assert "the last is 20260102-030405-v1-v2" in err


@pytest.mark.parametrize("text", ["", "{", "{}", "[]", '{"schema": "lab.verdict/1"}'])
def test_a_verdict_that_cannot_be_read_is_told_with_its_path(lab: Run, text: str) -> None:
    folder = keep(verdict(), "r1")
    (folder / "verdict.json").write_text(text)

    code, out, err = lab("report")

    assert (code, out) == (3, "")
    assert "[verdict-unreadable]" in err
    assert str(folder / "verdict.json") in err


def completed(words: str, **environ: str) -> list[str]:
    script = "import sys; from lab.cli import main; sys.exit(main())"
    env = {**os.environ, "COMP_WORDS": words, "COMP_CWORD": str(len(words.split(" ")) - 1), **environ}
    env |= {"_LAB_COMPLETE": "complete_bash", "DOCKER_HOST": "unix:///nowhere"}
    done = subprocess.run(
        [sys.executable, "-c", script], env=env, capture_output=True, text=True, timeout=60, check=True
    )
    return done.stdout.split()


def test_a_shell_completes_commands_and_versions_without_an_engine() -> None:
    assert completed("lab ro") == ["roll", "rollback"]
    assert completed("lab roll v2-ne") == ["v2-never-ready"]
    assert "--batch" in completed("lab roll --ba")


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_what_a_shell_needs_to_complete_is_a_result(lab: Run, shell: str) -> None:
    code, out, err = lab("completion", shell)

    assert (code, err) == (0, "")
    assert f"_LAB_COMPLETE=complete_{shell}" in out


def test_own_words_of_compose_are_none_of_ours(lab: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """They reach it as they are: here there is no engine to ask, but `--no-such` was no wrong usage."""
    monkeypatch.setattr("lab.endpoint._known_sockets", lambda *_: [])
    code, _, err = lab("compose", "ps", "--no-such", "-h")

    assert code == 3
    assert "[docker-" in err
