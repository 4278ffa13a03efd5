"""The journal on disk: what was appended is there for the next process, and nothing unreadable is written over."""

import sqlite3
import stat
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from lab.errors import Exit, JournalError, LabError
from lab.journal import SqliteJournal, set_aside


def fill(journal: SqliteJournal, *types: str, run: str = "r") -> None:
    for t, type in enumerate(types):
        journal.append(type, run, t, {"n": t})


def test_what_was_appended_is_there_after_reopening(tmp_path: Path) -> None:
    journal = SqliteJournal(tmp_path / "deep/er/journal.db")
    appended = journal.append("act-done", "r", 7, {"log": ("one", "two"), "t": {"a": None}})
    # not closed: a killed process does not close either

    (event,) = SqliteJournal(tmp_path / "deep/er/journal.db").events()

    assert event == appended
    assert event.data == {"log": ["one", "two"], "t": {"a": None}}
    assert (event.seq, event.run, event.type, event.t_ns) == (1, "r", "act-done", 7)
    assert event.wall.endswith("+00:00")


def test_the_disk_has_it_before_append_returns(tmp_path: Path) -> None:
    SqliteJournal(tmp_path / "journal.db").append("act-intended", "r", 1, {})

    with sqlite3.connect(tmp_path / "journal.db") as other:
        assert other.execute("select count(*) from events").fetchone() == (1,)
    other.close()
    journal = SqliteJournal(tmp_path / "journal.db")
    assert journal._db.execute("pragma synchronous").fetchone() == (2,), "full: on disk at each commit"


def test_events_come_in_order_and_can_be_chosen_by_run_and_by_type(tmp_path: Path) -> None:
    journal = SqliteJournal(tmp_path / "journal.db")
    fill(journal, "a", "b", run="one")
    fill(journal, "b", "c", run="two")

    assert [e.type for e in journal.events()] == ["a", "b", "b", "c"]
    assert [e.seq for e in journal.events(run="two")] == [3, 4]
    assert [e.run for e in journal.events(types=["b"])] == ["one", "two"]
    assert [e.seq for e in journal.events(run="two", types=["b", "a"])] == [3]


def test_many_writers_lose_nothing_and_share_no_number(tmp_path: Path) -> None:
    journals = [SqliteJournal(tmp_path / "journal.db") for _ in range(2)]
    with ThreadPoolExecutor(6) as pool:
        seqs = list(pool.map(lambda n: journals[n % 2].append("a", f"run-{n % 3}", n, {"n": n}).seq, range(60)))

    assert sorted(seqs) == list(range(1, 61))
    by_seq = {event.seq: event.data["n"] for event in journals[0].events()}
    assert [by_seq[seq] for seq in seqs] == list(range(60))


def test_only_its_owner_may_read_it(tmp_path: Path) -> None:
    SqliteJournal(tmp_path / "journal.db")

    assert stat.S_IMODE((tmp_path / "journal.db").stat().st_mode) == 0o600


def garbled(folder: Path) -> Path:
    path = folder / "journal.db"
    path.write_bytes(b"this was a journal once\n" * 100)
    return path


def test_a_garbled_file_is_refused_and_left_untouched(tmp_path: Path) -> None:
    path = garbled(tmp_path)
    before = path.read_bytes()

    with pytest.raises(LabError) as caught:
        SqliteJournal(path)

    assert (caught.value.id, caught.value.where) == ("journal-unreadable", str(path))
    assert "file is not a database" in caught.value.what
    assert path.read_bytes() == before


def test_a_journal_of_another_format_is_refused_and_left_untouched(tmp_path: Path) -> None:
    path = tmp_path / "journal.db"
    fill(SqliteJournal(path), "a")
    db = sqlite3.connect(path)
    db.execute("pragma user_version=2")
    db.close()

    with pytest.raises(LabError, match="it has format 2, this lab reads 1"):
        SqliteJournal(path)
    db = sqlite3.connect(path)
    assert db.execute("pragma user_version").fetchone() == (2,)
    db.close()


def test_a_record_that_is_no_json_is_told_as_such(tmp_path: Path) -> None:
    journal = SqliteJournal(tmp_path / "journal.db")
    journal._db.execute("insert into events(run,type,t_ns,wall,data) values ('r','a',1,'','{')")

    with pytest.raises(LabError) as caught:
        journal.events()
    assert caught.value.id == "journal-unreadable"


def test_a_journal_that_another_holds_is_not_called_garbled(tmp_path: Path) -> None:
    path = tmp_path / "journal.db"
    journal = SqliteJournal(path)
    journal._db.execute("pragma busy_timeout=0")
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("begin exclusive")

    with pytest.raises(LabError) as caught:
        journal.append("a", "r", 1, {})
    other.close()

    assert caught.value.id == "journal-write"
    assert "locked" in caught.value.what


def test_a_disk_that_is_full_is_told_with_its_place_and_with_room_nothing_is_missing(tmp_path: Path) -> None:
    journal = SqliteJournal(tmp_path / "journal.db")
    fill(journal, "a")
    journal._db.execute("pragma max_page_count=1")  # as many as there are, at least

    with pytest.raises(JournalError) as caught:
        journal.append("b", "r", 1, {"log": "x" * 100_000})
    journal._db.execute("pragma max_page_count=1000000")
    fill(journal, "c")

    assert "full" in caught.value.what
    assert (caught.value.where, caught.value.exit_code) == (str(tmp_path / "journal.db"), Exit.ENVIRONMENT)
    assert [(e.seq, e.type) for e in journal.events()] == [(1, "a"), (2, "c")]


def test_a_path_that_cannot_be_a_file_is_told_with_its_place(tmp_path: Path) -> None:
    (tmp_path / "journal.db").mkdir()

    with pytest.raises(LabError) as caught:
        SqliteJournal(tmp_path / "journal.db")

    assert (caught.value.id, caught.value.where) == ("journal-open", str(tmp_path / "journal.db"))


def test_a_sound_journal_that_cannot_be_opened_is_not_called_garbled(tmp_path: Path) -> None:
    """It may be put aside only if it is of no use."""
    path = tmp_path / "journal.db"
    fill(SqliteJournal(path), "a")
    for beside in ("journal.db-wal", "journal.db-shm"):
        (tmp_path / beside).unlink(missing_ok=True)
        (tmp_path / beside).mkdir()

    with pytest.raises(LabError) as caught:
        SqliteJournal(path)

    assert caught.value.id == "journal-open"


def test_an_unreadable_journal_is_put_aside_with_its_companions_and_overwrites_none(tmp_path: Path) -> None:
    for n in (1, 2):
        path = garbled(tmp_path)
        path.with_name("journal.db-wal").write_text(f"wal {n}")
        assert set_aside(path) == tmp_path / f"journal.db.unreadable-{n}"

    assert not path.exists()
    assert (tmp_path / "journal.db.unreadable-2-wal").read_text() == "wal 2"
    fill(SqliteJournal(path), "a")
