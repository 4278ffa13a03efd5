"""Several processes: one schedule, one ledger, and none of them lost in silence."""

import signal
from collections import Counter
from itertools import pairwise
from pathlib import Path

import psutil
import pytest

from tests.loadtest_world import load, served

READS = ("--workers", "2", "--cohorts", "read=1")


def test_two_workers_make_one_schedule_and_one_ledger(tmp_path: Path) -> None:
    with served() as stub, load(stub.url, tmp_path, *READS, "--rate", "100", "--max-requests", "150") as run:
        assert run.end() == 0, run.lines
    lines, offers, ends = run.ledger_lines(), run.offers(), run.ends()
    assert Counter(line["e"] for line in lines) == {"header": 1, "offer": 150, "end": 150, "footer": 1}
    assert offers.keys() == ends.keys()
    numbers = sorted(int(rid.rpartition("-")[2]) for rid in offers)
    assert {number % 2 for number in numbers} == {0, 1}
    dues = sorted(offer["due"] for offer in offers.values())
    assert {round((later - earlier) / 1e6) for earlier, later in pairwise(dues)} == {10}
    footer, last = lines[-1], run.lines[-1]
    assert (footer["offered"], footer["finished"], footer["complete"]) == (150, 150, True)
    assert (last["finished"], last["reason"], lines[0]["workers"]) == (150, "max-requests", 2)
    assert sum(line["type"] == "self-test" for line in run.lines) == 1


def test_sigterm_to_the_master_lets_what_is_in_flight_finish_in_every_worker(tmp_path: Path) -> None:
    with served() as stub, load(stub.url, tmp_path, *READS) as run:
        while run.until("tick")["finished"] < 20:
            pass
        run.process.send_signal(signal.SIGTERM)
        assert run.end() == 0, run.lines
    assert run.ledger_lines()[-1]["complete"] is True
    assert run.lines[-1]["reason"] == "stopped"
    assert set(run.outcomes().values()) == {"ok"}


def test_a_worker_that_is_killed_makes_the_ledger_incomplete_and_is_named(tmp_path: Path) -> None:
    with served() as stub, load(stub.url, tmp_path, *READS) as run:
        run.until("tick")
        stub.gate.clear()
        run.until("tick")
        workers(run.process.pid)[0].kill()
        stub.gate.set()
        assert run.end() == 3
    assert run.ledger_lines()[-1]["complete"] is False
    assert run.offers().keys() > run.ends().keys()
    assert "ended in the middle of the load (exit -9)" in run.lines[-1]["message"]


@pytest.mark.timeout(40)
def test_workers_whose_master_is_gone_end_by_themselves(tmp_path: Path) -> None:
    with served() as stub, load(stub.url, tmp_path, *READS) as run:
        run.until("tick")
        theirs = workers(run.process.pid)
        run.process.kill()
        gone, alive = psutil.wait_procs(theirs, timeout=20)
    assert (len(gone), alive) == (2, [])
    assert run.ledger_lines()[-1]["e"] != "footer"


def workers(master: int) -> list[psutil.Process]:
    return [child for child in psutil.Process(master).children() if "--worker" in child.cmdline()]
