"""The proxy is killed in the middle of a run and comes back: what it cost is told, and what it took along is known."""

from dataclasses import replace

import pytest

from lab.proof import Class, VerdictOutcome, read_proxy
from tests.unit.proof_world import SECOND, START, Story, Try, World, good, good_write, ledger, tell

PASS, FAIL, INCONCLUSIVE = VerdictOutcome.PASS, VerdictOutcome.FAIL, VerdictOutcome.INCONCLUSIVE
MS = 1_000_000
UNREACHED = Try(replica="app-2.1", result="connect_failed", sent=False, begun=False, answered=False)
UNBEGUN = Try(result="closed_before_response", begun=False, answered=False)
IN_FLIGHT = Try(result=None, answered=False)


def rows_of(world: World, number: int) -> list[int]:
    """Where the proxy's lines about a story stand."""
    return [at for at, row in enumerate(world.proxy) if row.get("id", "").endswith(f"-{number}")]


def killed_within(number: int, *stories: Story, away: int = 1000) -> World:
    """The lines about one story are those that were not written yet."""
    world = tell(*stories)
    rows = rows_of(world, number)
    world.kill_proxy(kept=rows[0], lost=len(rows), away=away)
    return world


def reasons(world: World) -> list[str]:
    return [reason.id for reason in world.verdict().reasons]


def test_a_good_answer_whose_lines_the_restart_took_is_good_and_told() -> None:
    verdict = killed_within(1, good(), good_write(), good()).verdict()
    assert (verdict.outcome, verdict.answered_ok, verdict.reasons) == (PASS, 3, ())
    (restart,) = verdict.restarts
    assert (restart.dropped, restart.unwritten) == (0, 1)
    (note,) = verdict.notes
    assert note == (
        "the proxy restarted, and was back at 2.5s; dropped requests in flight at it or refused around it: 0"
        "; good answers just before it whose lines it took along: 1"
    )


def test_the_same_without_a_restart_went_around_the_proxy() -> None:
    world = killed_within(1, good(), good_write(), good())
    world.proxy = [row for row in world.proxy if row["e"] != "restarted"]
    assert reasons(world) == ["bypassed"]


@pytest.mark.parametrize("number", [0, 2])
def test_lines_that_lack_elsewhere_were_not_taken_by_the_restart(number: int) -> None:
    world = killed_within(1, good(), good(), good())
    rows = rows_of(world, number)
    world.proxy = [row for at, row in enumerate(world.proxy) if at not in rows]
    world.proxy[-1]["attempts"] = 1
    # the line before the lost ones shows until when the proxy wrote
    world.proxy.insert(1, {"e": "reject", "id": "x", "reason": "bad-request", "status": 400, "t": world.client[3]["t"]})
    assert reasons(world) == ["bypassed"]


def test_what_no_replica_saw_the_restart_did_not_take() -> None:
    assert reasons(killed_within(1, good(), Story(tries=(Try(begun=False),)), good())) == ["bypassed"]


@pytest.mark.parametrize("first", [UNREACHED, UNBEGUN], ids=lambda first: first.result)
@pytest.mark.parametrize("written", [0, 1, 2])
def test_what_was_sent_again_in_lines_that_are_lost_proves_nothing(first: Try, written: int) -> None:
    """Whether the first attempt carried the write can be told by nobody: neither a drop nor a pass."""
    world = tell(good(), replace(good_write(), tries=(first, Try(executed=1))), good())
    begin, *_, end = rows_of(world, 1)
    world.kill_proxy(kept=begin + written, lost=end + 1 - begin - written)
    assert (world.verdict().outcome, reasons(world)) == (INCONCLUSIVE, ["bypassed"])


def test_a_write_that_two_replicas_saw_is_no_pass_either() -> None:
    twice = replace(good_write(), tries=(replace(UNBEGUN, begun=True), Try(replica="app-2.1", executed=1)))
    assert killed_within(1, good(), twice, good()).verdict().outcome is INCONCLUSIVE


def test_more_than_was_not_written_yet_cannot_be_taken() -> None:
    world = tell(good(), good(), good(later=60 * MS), good(later=200 * MS), good(later=400 * MS))
    first, last = rows_of(world, 1)[0], rows_of(world, 3)[-1]
    world.kill_proxy(kept=first, lost=last + 1 - first)
    assert reasons(world) == ["bypassed"]
    assert "(1)" in world.verdict().reasons[0].message
    assert world.verdict().restarts[0].unwritten == 2


def test_the_kept_begin_of_an_answered_request_is_enough() -> None:
    world = tell(good(), good_write(), good())
    world.kill_proxy(kept=rows_of(world, 1)[1], lost=1)
    assert (world.verdict().outcome, world.verdict().restarts[0].unwritten) == (PASS, 0)


def test_the_verdict_says_which_drops_are_the_restart_s() -> None:
    in_flight = Story(outcome="reset", tries=(IN_FLIGHT,), took=100 * MS)
    refused = Story(outcome="refused", later=30 * MS)
    told_by_the_proxy = Story(outcome="reset", tries=(Try(result="closed_before_response", answered=False),))
    of_the_app = Story(outcome="server_error", status=500, tries=(Try(),), replica="app-1.1", later=60 * MS)
    held = Story(outcome="server_error", status=504, rejected="hold-timeout", later=100 * MS, took=5 * SECOND)
    left = Story(outcome="timeout", rejected="client-gone", later=100 * MS, took=5 * SECOND)
    much_later = Story(outcome="refused", later=5 * SECOND)
    unready_before = Story(outcome="server_error", status=503, rejected="no-ready-replica")
    unreached = Story(outcome="server_error", status=502, rejected="connect-failed", later=100 * MS)
    world = tell(unready_before, told_by_the_proxy, in_flight, refused, of_the_app, held, much_later, unreached, left)
    world.kill_proxy(kept=rows_of(world, 2)[-1] + 1, away=50 * MS)
    verdict = world.verdict()

    assert (verdict.outcome, verdict.dropped) == (FAIL, 9)
    assert verdict.restarts[0].dropped == 4
    assert "dropped requests in flight at it or refused around it: 4" in verdict.notes[0]
    told = {drop.id for drop in verdict.drops if drop.detail.startswith("the proxy restarted, and was back at 2.6s")}
    assert told == {"r1-read-2", "r1-read-3", "r1-read-5", "r1-read-8"}
    details = {drop.id: drop.detail.partition("; ")[2] for drop in verdict.drops}
    assert details["r1-read-5"] == "held, and no replica became ready (hold-timeout)"
    assert details["r1-read-8"] == "proxy: held until its client left, no replica became ready"


def test_a_drop_before_the_restart_is_not_its_cost() -> None:
    world = tell(Story(outcome="refused"), good(later=SECOND), good(later=SECOND))
    world.kill_proxy(kept=rows_of(world, 1)[-1] + 1)
    assert (world.verdict().dropped_by_class, world.verdict().restarts[0].dropped) == ({Class.REFUSED: 1}, 0)


def test_what_a_proxy_refused_that_still_finished_others_is_the_cost_of_its_restart() -> None:
    slow = Story(cohort="slow", tries=(Try(),), took=SECOND)
    world = tell(slow, Story(outcome="refused"), good(later=2 * SECOND))
    world.proxy[rows_of(world, 0)[-1]]["t"] += SECOND
    world.kill_proxy(kept=rows_of(world, 0)[-1] + 1)
    assert world.verdict().restarts[0].dropped == 1


def test_each_restart_has_its_own_cost_and_is_told_once() -> None:
    world = tell(good(), Story(outcome="refused"), good(later=3 * SECOND), Story(outcome="refused", later=3 * SECOND))
    world.kill_proxy(kept=rows_of(world, 0)[-1] + 1, away=2 * MS)
    world.kill_proxy(kept=rows_of(world, 2)[-1] + 1, away=2 * MS)
    world.proxy.insert(-1, next(row for row in world.proxy if row["e"] == "restarted"))
    assert [restart.dropped for restart in world.verdict().restarts] == [1, 1]
    assert read_proxy(ledger(world.proxy)).reading.duplicates == 1


def test_a_footer_before_a_restart_is_not_the_last_word() -> None:
    rows = tell(good()).proxy
    ended = read_proxy(ledger([*rows, {"e": "restarted", "t": START + 90 * SECOND}]))
    assert ended.footer_attempts is None
