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


def test_good_answers_are_told_as_they_come_if_somebody_wants_to_compare_them(tmp_path: Path) -> None:
    flags = (
        "--workers",
        "2",
        "--cohorts",
        "read=3,slow=1",
        "--slow-s",
        "0.3",
        "--rate",
        "100",
        "--max-requests",
        "150",
    )
    with served() as stub, load(stub.url, tmp_path, *flags, "--tell-answers") as run:
        assert run.end() == 0, run.lines
    told = sorted(tuple(one) for line in run.lines if line["type"] == "answers" for one in line["answers"])
    offers, ends = run.offers(), run.ends()
    reads = {rid for rid, offer in offers.items() if offer["cohort"] == "read"}
    assert len(reads) < 150, "slow ones say nothing of a version's latency"
    assert [(who, due) for who, due, _ in told] == sorted(("app-1.1", offers[rid]["due"] // 1000) for rid in reads)
    took = {offers[rid]["due"] // 1000: (ends[rid]["t"] - offers[rid]["due"]) / 1000 for rid in reads}
    assert all(abs(took[due] - us) < 2 for _, due, us in told)


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
