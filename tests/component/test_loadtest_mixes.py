"""Two versions over one table: the load sees everything that they do to each other's data, and calls it by its name."""

import re
from collections import defaultdict

import pytest

from loadtest.mixes import Fault
from tests.loadtest_world import Run, load
from tests.mixed_fleet import WAYS, MixedFleet, mixed_fleet

COHORTS = "read_your_writes=8,page=2,idempotent=1"
Met = dict[Fault | None, set[tuple[str, str, str]]]


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> tuple[MixedFleet, Run]:
    flags = ("--rate", "250", "--max-seconds", "6", "--cohorts", COHORTS, "--replicas", "2")
    with mixed_fleet() as (url, fleet), load(url, tmp_path_factory.mktemp("runs"), *flags) as done:
        assert done.end() == 0
        return fleet, done


def by_way(fleet: MixedFleet, run: Run) -> Met:
    """What was found of the parcels of each way to be wrong: fault, writer, reader."""
    found: Met = defaultdict(set)
    offers = run.offers()
    for id, end in run.ends().items():
        if "fault" not in end:
            continue
        named = re.fullmatch(r"/parcels/(\d+)", offers[id]["path"])
        row = (
            fleet.rows[int(named[1])]
            if named
            else fleet.rows[fleet.keys[offers[id]["key"]]]
            if "key" in offers[id]
            else None
        )
        found[row["way"] if row else Fault.DUP_MISS].add((end["fault"], end["writer"] or "-", end["version"]))
    return found


def test_each_fault_is_found_where_it_was_made_and_nowhere_else(run: tuple[MixedFleet, Run]) -> None:
    found = by_way(*run)

    faults = {way: {Fault(fault) for fault, _, _ in met} for way, met in found.items()}
    faults[Fault.LOST].discard(Fault.STALE)  # the same, for a version that had not looked in between
    assert faults == {fault: {fault} for fault in Fault}
    assert set(WAYS) - set(found) == {None}


def test_the_pair_is_whoever_wrote_and_whoever_answered(run: tuple[MixedFleet, Run]) -> None:
    pairs = {way: {(writer, reader) for _, writer, reader in met} for way, met in by_way(*run).items()}

    for way in (Fault.ERROR, Fault.NULL, Fault.STALE, Fault.SHAPE, Fault.DUP_MISS):
        assert pairs[way] <= {("v1", "v2"), ("v2", "v1")}, way
    assert ("v2", "v1") in pairs[Fault.STALE]
    assert pairs[Fault.STRIPPED] == {("v1", "v2")}


def test_what_is_seen_is_counted_live_and_adds_up_with_the_ledger(run: tuple[MixedFleet, Run]) -> None:
    _, done = run
    counted: dict[tuple[str, str | None, str], int] = defaultdict(int)
    for end in done.ends().values():
        if "fault" in end:
            counted[end["fault"], end["writer"], end["version"]] += 1

    told = {(mix["fault"], mix["writer"], mix["reader"]): mix["count"] for mix in done.lines[-1]["mixes"]}
    assert told == counted
    assert any(line["mixes"] for line in done.lines if line["type"] == "tick")
