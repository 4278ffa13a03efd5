"""The ledger waits for no disk, says what it lost, and gives no run the end of another's request."""

import asyncio
import json
import os
import signal
import sys
from pathlib import Path
from typing import Any

import pytest

from proxy.ledger import FLUSH_SECONDS, Attempt, Ledger, Result, named_request
from tests.proxy_world import eventually


def lines(folder: Path, run: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (folder / run / "proxy.jsonl").read_text().splitlines()]


def begin(ledger: Ledger, id_: bytes, path: bytes = b"/") -> Any:
    attempt = Attempt(id_, 1)
    ledger.begin(attempt, "app-1.1", 3, named_request(b"GET", path), reused=False)
    return attempt


def end(ledger: Ledger, attempt: Any) -> None:
    ledger.end(attempt, Result.OK, 200, up=0, down=5)


async def test_what_is_over_before_it_is_written_is_one_line_and_what_is_not_is_two(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path)
    ledger.open("r1")
    short, long = begin(ledger, b"short"), begin(ledger, b"long")
    end(ledger, short)
    ledger.sync()
    end(ledger, long)
    ledger.close()
    assert [(line["e"], line.get("id")) for line in lines(tmp_path, "r1")] == [
        ("header", None),
        ("attempt", "short"),
        ("begin", "long"),
        ("end", "long"),
        ("footer", None),
    ]
    assert lines(tmp_path, "r1")[-1]["attempts"] == 2


async def test_a_request_that_outlives_its_run_is_not_ended_in_the_next(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path)
    ledger.open("r1")
    long = begin(ledger, b"long")
    ledger.open("r2")
    end(ledger, long)
    ledger.close()
    assert [line["e"] for line in lines(tmp_path, "r2")] == ["header", "footer"]


async def test_lines_reach_the_file_by_themselves(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path)
    ledger.open("r1")
    for number in range(100):
        end(ledger, begin(ledger, b"id-%d" % number))
    await eventually(lambda: len(lines(tmp_path, "r1")) == 101)
    ledger.close()


async def test_a_disk_that_is_too_slow_costs_lines_and_no_request_and_it_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ledger = Ledger(tmp_path, max_pending=10)
    ledger.open("r1")
    for number in range(25):
        end(ledger, begin(ledger, b"id-%d" % number))
    assert ledger.lost_lines > 0
    ledger.close()
    found = lines(tmp_path, "r1")
    written = sum(1 for line in found if line["e"] == "attempt")
    (lost,) = [line["lines"] for line in found if line["e"] == "lost"]
    assert (written, lost) == (10, ledger.lost_lines)
    assert found[-1]["attempts"] == 25, "the footer knows of all: that some are missing can be seen without the line"


async def test_a_file_that_cannot_be_written_ends_the_ledger_without_a_footer(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path)
    ledger.open("r1")
    ledger.sync()
    assert ledger.writer is not None
    os.kill(ledger.writer, signal.SIGKILL)
    end(ledger, begin(ledger, b"a"))
    ledger.sync()
    assert not begin(ledger, b"b").begun, "nothing is written to a ledger that has ended"
    ledger.close()
    assert [line["e"] for line in lines(tmp_path, "r1")] == ["header"]


async def test_a_disk_that_stands_still_costs_lines_that_are_counted_and_no_memory_without_end(tmp_path: Path) -> None:
    """The process that writes is stopped from outside: the pipe fills, then what is kept behind it, then lines go."""
    ledger = Ledger(tmp_path, max_pending=1000)
    ledger.open("r1")
    assert ledger.writer is not None
    os.kill(ledger.writer, signal.SIGSTOP)
    try:
        path = b"/" + b"x" * 2000
        for number in range(20):
            for _ in range(1000):
                end(ledger, begin(ledger, b"id-%d" % number, path))
            await asyncio.sleep(FLUSH_SECONDS * 2)
        assert ledger.lost_lines > 10_000
        assert ledger.waiting_bytes < 3 * 1000 * 2500
    finally:
        os.kill(ledger.writer, signal.SIGCONT)
    ledger.close()
    found = lines(tmp_path, "r1")
    assert sum(line["lines"] for line in found if line["e"] == "lost") == ledger.lost_lines
    # an attempt that is lost lacks its begin and its end
    written = sum(line["e"] == "attempt" for line in found)
    assert written + ledger.lost_lines // 2 == found[-1]["attempts"] == 20_000


async def test_what_was_handed_over_is_in_the_file_although_the_proxy_was_killed(tmp_path: Path) -> None:
    """The process that writes outlives the one that hands over, until the pipe is empty."""
    script = (
        "import os, signal, sys; from pathlib import Path; from proxy.scribe import Scribe\n"
        "scribe = Scribe(Path(sys.argv[1])); scribe.write(b'x' * 100_000); os.kill(os.getpid(), signal.SIGKILL)"
    )
    path = tmp_path / "written"
    killed = await asyncio.create_subprocess_exec(sys.executable, "-c", script, str(path))
    assert await killed.wait() == -signal.SIGKILL
    await eventually(lambda: path.exists() and path.stat().st_size == 100_000)


async def test_a_path_that_is_not_plain_is_written_as_json(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path)
    ledger.open("r1")
    for path in (b'/"quoted"', b"/back\\slash", b"/\xe9\xff", b"/plain"):
        end(ledger, begin(ledger, b"id", path))
    ledger.close()
    paths = [line["path"] for line in lines(tmp_path, "r1") if line["e"] == "attempt"]
    assert paths == ['/"quoted"', "/back\\slash", "/éÿ", "/plain"]
