"""How every command speaks: live or plain, quiet, in ASCII where there is nothing else; and waits that say so."""

import inspect
import io
import json
import os
import subprocess
import sys
import threading

import pytest
from rich.console import Console

from lab.cli import _output
from lab.cli._commands import app
from lab.cli._live import painted
from lab.cli._manner import Manner, Progress, written
from lab.operations.heartbeat import heartbeat
from lab.view import RolloutView, live_frame
from tests.golden_files import GOLDEN, check
from tests.unit.test_lab_view import EVERY_STATE, SHOWN, VIEWS, view


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize(
    ("progress", "stream", "environ", "live"),
    [
        (Progress.AUTO, Terminal(), {"TERM": "xterm"}, True),
        (Progress.AUTO, Terminal(), {"TERM": "dumb"}, False),
        (Progress.AUTO, Terminal(), {}, False),
        (Progress.AUTO, Terminal(), {"TERM": "xterm", "CI": "true"}, False),
        (Progress.AUTO, io.StringIO(), {"TERM": "xterm"}, False),
        (Progress.LIVE, io.StringIO(), {"CI": "true"}, True),
        (Progress.PLAIN, Terminal(), {"TERM": "xterm"}, False),
        (Progress.QUIET, Terminal(), {"TERM": "xterm"}, False),
    ],
)
def test_it_is_live_where_somebody_can_see_it_move_or_asked_for_it(
    progress: Progress, stream: io.StringIO, environ: dict[str, str], *, live: bool
) -> None:
    assert Manner(progress=progress).live(stream, environ) is live


def test_signs_become_words_where_the_encoding_has_none_of_them() -> None:
    text = "✔ ready  ✖ dead  ◌ starting  ◐ draining \u2013 3 ≥ 2 → é"
    latin = io.TextIOWrapper(io.BytesIO(), encoding="latin-1")
    unicode = io.TextIOWrapper(io.BytesIO(), encoding="utf-8")

    assert written(text, unicode, ascii=False) == text
    assert written(text, latin, ascii=False) == "ok ready  x dead  .. starting  <- draining - 3 >= 2 -> é"
    assert written(text, unicode, ascii=True) == "ok ready  x dead  .. starting  <- draining - 3 >= 2 -> ?"


def test_every_sign_that_the_lab_writes_has_a_word() -> None:
    for file in GOLDEN.glob("lab/*.txt"):
        text = file.read_text(encoding="utf-8").replace("?", "")
        assert "?" not in written(text, sys.stdout, ascii=True), file


def test_every_command_takes_the_same_options_of_speech_and_all_but_two_have_json() -> None:
    groups = [app, *(group.typer_instance for group in app.registered_groups)]
    commands = [one.callback for group in groups if group for one in group.registered_commands]
    names = {c.__name__: set(inspect.signature(c).parameters) for c in commands if c}

    assert len(names) > 25
    assert {name for name, its in names.items() if not {"progress", "quiet", "ascii"} <= its} == set()
    assert {name for name, its in names.items() if "json" not in its} == {"compose", "completion"}


def run(*words: str, **environ: str) -> "subprocess.CompletedProcess[bytes]":
    env = {**os.environ, **environ}
    return subprocess.run([sys.executable, "-m", "lab", *words], env=env, capture_output=True, timeout=60, check=False)


def test_the_command_writes_ascii_when_it_is_asked_to_or_cannot_write_more() -> None:
    asked, cannot = run("plan", "v2", "--ascii"), run("plan", "v2", PYTHONIOENCODING="ascii")

    assert (asked.returncode, cannot.returncode) == (0, 0)
    assert asked.stdout.isascii()
    assert asked.stdout == cannot.stdout


ROLLING = view(
    *EVERY_STATE[:4],
    phase="rolling",
    rollout=RolloutView(run="20260102-030405-v1-v2", kind="roll", to="v2", stage="rolling", pid=7),
)


def test_a_live_frame_reads_as_its_golden_file() -> None:
    lines = [str(line) for line in SHOWN[4:10]]
    frames = [
        live_frame(ROLLING, lines, seconds=12.3),
        live_frame(VIEWS["idle"], [], seconds=0.4),
        live_frame(None, lines[:1], seconds=75.0),
    ]

    check("lab/live", "\n\n".join("\n".join(frame) for frame in frames) + "\n")


def test_colours_are_left_out_where_none_are_wanted(monkeypatch: pytest.MonkeyPatch) -> None:
    frame = painted(live_frame(ROLLING, [], seconds=1.0))
    told = {}
    for no_color in ("", "1"):
        monkeypatch.setenv("NO_COLOR", no_color)
        console = Console(file=io.StringIO(), force_terminal=True, color_system="truecolor", width=120)
        console.print(frame)
        assert isinstance(console.file, io.StringIO)
        told[no_color] = console.file.getvalue()

    assert "38;2;0;114;178" in told[""]
    assert "38;2" not in told["1"]


def test_what_is_said_while_a_frame_is_painted_becomes_one_of_its_lines(capsys: pytest.CaptureFixture[str]) -> None:
    heard: list[str] = []
    with _output.said_to(heard.append):
        _output.say("note: within")
    _output.say("note: after")

    assert heard == ["note: within"]
    assert capsys.readouterr().err == "note: after\n"


def test_a_wait_says_what_it_waits_for_and_how_long_it_may_still_take() -> None:
    told: list[str] = []
    twice = threading.Event()

    def tell(part: str, what: str, seconds: float) -> None:
        told.append(_output.part_line(part, what, seconds))
        if len(told) > 1:
            twice.set()

    with heartbeat(tell, "postgres", "PostgreSQL to accept connections", 60, every=0.01):
        assert twice.wait(20)
    count = len(told)

    assert told[0].startswith(" ◌ postgres  waiting for PostgreSQL to accept connections, ")
    assert told[0].endswith("s left")
    assert len(told) == count


PARTS = [
    ("images", "app: building", 0.0),
    ("network", "lab-default_default", 0.12),
    ("postgres", "waiting for PostgreSQL to accept connections, 50s left", 0.0),
    ("postgres", "ready", 2.3),
    ("proxy", "http://127.0.0.1:8080", 2.4),
    ("schema", "base", 0.1),
    ("removed", "lab-default_app_4, which Compose had made by hand", 0.0),
    ("fleet", "3/3 ready  v1", 1.9),
]


def test_the_progress_of_up_reads_as_its_golden_file() -> None:
    check("lab/up", "\n".join(_output.part_line(*part) for part in PARTS) + "\n")


def test_an_error_is_said_however_quiet_the_command_is() -> None:
    done = run("roll", "v9", "--progress", "quiet")

    assert done.returncode == 2
    assert b"[unknown-version]" in done.stderr


def test_json_is_one_line_whatever_the_manner() -> None:
    done = run("config", "--json", "--ascii", "--progress", "live")

    assert done.stdout.count(b"\n") == 1
    assert json.loads(done.stdout)["schema"] == "lab.config/1"
