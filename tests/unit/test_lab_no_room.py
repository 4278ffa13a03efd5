"""A disk without room, as the command tells it: where it is, and what to do. It is no bug of the lab."""

import errno
import sys
from pathlib import Path
from typing import Any

import pytest

from lab.cli import main
from lab.errors import JournalError, LabError
from lab.operations.evidence import keep_log


def full() -> OSError:
    return OSError(errno.ENOSPC, "No space left on device", "/disk/runs/x/client.jsonl")


def told(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], *errors: Exception) -> tuple[int, str]:
    """The command ends with the last of the errors, which came while the one before it was dealt with."""

    def app(*_: Any, **__: Any) -> None:
        try:
            raise errors[0]
        except type(errors[0]):
            if len(errors) > 1:
                raise errors[1]  # noqa: B904  as a `finally` would
            raise

    monkeypatch.setattr("lab.cli._commands.app", app)
    return main(["status"]), capsys.readouterr().err


def test_a_file_without_room_is_named_with_what_to_do(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    code, said = told(monkeypatch, capsys, full())

    assert code == 3
    assert "[no-room]" in said
    assert "/disk/runs/x/client.jsonl" in said
    assert "make room" in said


def test_what_came_after_the_journal_s_full_disk_does_not_hide_it(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    first = JournalError(id="journal-write", what="the journal cannot be written", where="/disk/journal.db", fix="room")

    code, said = told(monkeypatch, capsys, first, full())

    assert (code, "[journal-write]" in said, "/disk/journal.db" in said) == (3, True, True)


def test_another_error_of_the_system_is_a_bug_still(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)

    assert told(monkeypatch, capsys, OSError(errno.EBADF, "Bad file descriptor"))[0] == 70


@pytest.mark.skipif(sys.platform != "linux", reason="needs /dev/full")
def test_a_log_that_cannot_be_kept_is_an_error_that_keeps_its_replica(tmp_path: Path) -> None:
    (tmp_path / "logs").mkdir()
    (tmp_path / "logs" / "app-1.1.log").symlink_to("/dev/full")

    with pytest.raises(LabError) as caught:
        keep_log(tmp_path, "app-1.1", b"last words")
    assert (caught.value.id, caught.value.exit_code) == ("log-unkept", 3)
