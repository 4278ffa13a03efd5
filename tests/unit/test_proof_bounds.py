"""Three bounds, not one: of all requests, of those a swap put at risk, and of rolls."""

import random
from dataclasses import replace

import pytest

from lab.proof import Death, Outcome, Step, Swap, VerdictOutcome, judge
from lab.proof.bounds import bound, upper_limit
from lab.proof.result import Bound
from lab.report import render_text
from tests.unit.proof_world import SECOND, START, Story, Try, facts, good, tell

RETIRED = Swap(replica="app-1.1", version="v1", in_flight_at_retire=0, in_flight_at_stop=0, exit_code=0)
AT_RETIRE = START + SECOND + SECOND // 100
"""proof_world retires app-1.1 one second into the roll, and has it stopped from the second to the third."""
CUT = Try(result="closed_before_response", answered=False)


@pytest.mark.parametrize(
    ("dropped", "of", "expected"),
    [(0, 1, 0.95), (0, 1000, 2.99e-3), (0, 30_000, 9.99e-5), (0, 60, 0.0487), (1, 10, 0.394), (3, 100, 0.0757)],
)
def test_the_limit_is_the_exact_one(dropped: int, of: int, expected: float) -> None:
    assert upper_limit(dropped, of) == pytest.approx(expected, rel=2e-3)


def test_the_limit_is_right_in_at_least_95_of_100_runs() -> None:
    rng = random.Random(1)
    share, requests, runs = 0.004, 1000, 400
    counts = [sum(rng.random() < share for _ in range(requests)) for _ in range(runs)]
    assert sum(upper_limit(count, requests) >= share for count in counts) >= 0.95 * runs


def test_a_limit_is_above_what_was_seen_and_never_above_all() -> None:
    for dropped, of in ((0, 1), (1, 1), (5, 5), (400, 1000), (90_000, 100_000), (999_999, 1_000_000)):
        assert dropped / of <= upper_limit(dropped, of) <= 1


def test_of_nothing_there_is_no_bound() -> None:
    assert bound(0, 0) is None


def test_a_verdict_has_a_bound_of_the_whole_run_and_one_of_the_exposed_requests() -> None:
    stories = (good(took=SECOND // 10), *(good(later=5 * SECOND) for _ in range(99)))
    bounds = tell(*stories, at=AT_RETIRE - SECOND // 20, swaps=(RETIRED,)).verdict().bounds
    assert bounds.run == bound(0, 100)
    assert bounds.exposed == bound(0, 1)


def test_a_drop_outside_every_swap_is_in_the_first_bound_only() -> None:
    stories = (good(), Story(outcome="reset", tries=(CUT,), later=5 * SECOND))
    bounds = tell(*stories, at=AT_RETIRE, swaps=(RETIRED,)).verdict().bounds
    assert (bounds.run, bounds.exposed) == (bound(1, 2), bound(0, 1))


def test_a_request_that_met_two_swaps_is_exposed_once() -> None:
    other = Swap(replica="app-2.1", version="v1", in_flight_at_retire=1)
    detour = Try(result="connect_failed", sent=False, begun=False, answered=False)
    again = Step(name="retire", replica="app-2.1", start_ns=AT_RETIRE, end_ns=AT_RETIRE + 1000)
    verdict = tell(
        Story(tries=(detour, Try(replica="app-2.1"))),
        at=AT_RETIRE,
        swaps=(RETIRED, other),
        steps=(*facts().steps, again),
    ).verdict()
    assert [swap.exposed for swap in verdict.exposure] == [1, 1]
    assert verdict.bounds.exposed == bound(0, 1)


def test_rolls_before_this_one_and_this_one_are_the_third_bound() -> None:
    assert tell(good()).verdict().bounds.rolls == Bound(dropped=0, of=1, at_most=0.95)
    clean = tell(good(), earlier=(False,) * 59).verdict().bounds.rolls
    assert clean is not None
    assert (clean.of, round(clean.at_most, 3)) == (60, 0.049)
    dropping = tell(Story(outcome="reset"), earlier=(False, True)).verdict().bounds.rolls
    assert dropping is not None
    assert (dropping.dropped, dropping.of) == (2, 3)


@pytest.mark.parametrize("changes", [{"rollout": Outcome.ROLLED_BACK}, {"min_requests": 500}])
def test_a_roll_that_did_not_end_as_one_or_proves_nothing_is_no_clean_roll(changes: dict[str, object]) -> None:
    assert tell(good(), **changes).verdict().bounds.rolls is None


def test_without_load_there_is_no_bound_and_no_exposure() -> None:
    verdict = judge(facts(swaps=(RETIRED,), earlier=(False,)), None, None, ())
    assert (verdict.bounds.run, verdict.bounds.exposed, verdict.bounds.rolls) == (None, None, None)
    assert [(swap.in_flight_at_retire, swap.exposed, swap.unexposed) for swap in verdict.exposure] == [(0, None, None)]


# exposure


def exposed_at(offset_ns: int, took: int = SECOND // 100, **story: object) -> tuple[int | None, ...]:
    world = tell(good(took=took, **story), at=START + SECOND + offset_ns, swaps=(RETIRED,))
    (swap,) = world.verdict().exposure
    return swap.under_way, swap.near, swap.exposed


@pytest.mark.parametrize(
    ("offset", "took", "expected"),
    [
        (-SECOND, SECOND // 2, (0, 0, 0)),
        (-SECOND, SECOND * 9 // 10, (0, 1, 1)),
        (-SECOND, 2 * SECOND, (1, 1, 1)),
        (SECOND // 2, SECOND // 10, (1, 1, 1)),
        (SECOND * 11 // 10, SECOND // 100, (0, 1, 1)),
        (SECOND * 16 // 10, SECOND // 100, (0, 0, 1)),
        (SECOND * 25 // 10, SECOND // 100, (0, 0, 0)),
    ],
)
def test_what_a_replica_had_around_its_retirement_and_stop_is_exposed(
    offset: int, took: int, expected: tuple[int, ...]
) -> None:
    """The retirement takes the whole second after the first, the stop the one after."""
    assert exposed_at(offset, took) == expected


def test_what_ends_closer_to_a_retirement_than_the_clocks_are_known_is_undecided_and_no_exposure() -> None:
    ended_just_after = good(took=SECOND // 100)
    at = START + SECOND - SECOND // 100 + 1000
    world = tell(ended_just_after, at=at, swaps=(RETIRED,), clock_error_ns=SECOND // 1000)
    (swap,) = world.verdict().exposure
    assert (swap.under_way, swap.undecided, swap.exposed, swap.unexposed) == (0, 1, 1, True)
    assert [reason.id for reason in world.verdict().reasons] == ["unexposed-swaps"]
    assert world.verdict().run.clock_error_ms == 1.0
    assert "known to 1.00 ms" in render_text(world.verdict(), details=True)
    assert "0 (+1 undecided)" in render_text(world.verdict(), details=True)

    world.facts = replace(world.facts, clock_error_ns=100)
    (swap,) = world.verdict().exposure
    assert (swap.under_way, swap.undecided, swap.unexposed) == (1, 0, False)


def test_a_request_to_another_replica_is_not_exposed() -> None:
    world = tell(Story(tries=(Try(replica="app-2.1"),)), at=AT_RETIRE, swaps=(RETIRED,))
    assert [swap.exposed for swap in world.verdict().exposure] == [0]


def test_a_request_that_no_replica_was_asked_for_meanwhile_is_exposed() -> None:
    world = tell(Story(outcome="server_error", status=503, rejected="no-ready-replica"), at=AT_RETIRE, swaps=(RETIRED,))
    verdict = world.verdict()
    assert [(swap.exposed, swap.dropped) for swap in verdict.exposure] == [(1, 1)]
    assert verdict.bounds.exposed == bound(1, 1)


def swaps(idle: int, busy: int) -> tuple[tuple[Swap, ...], tuple[Step, ...]]:
    names = [f"app-{number}.1" for number in range(1, idle + busy + 1)]
    found = tuple(
        Swap(replica=name, version="v1", in_flight_at_retire=0 if number < idle else 3)
        for number, name in enumerate(names)
    )
    steps = tuple(Step(name="retire", replica=name, start_ns=START, end_ns=START + 1000) for name in names)
    return found, steps


@pytest.mark.parametrize(("idle", "busy", "doubt"), [(1, 4, False), (2, 4, True), (1, 0, True), (0, 3, False)])
def test_more_than_a_fifth_of_the_swaps_with_nothing_in_flight_is_no_verdict(
    idle: int, busy: int, *, doubt: bool
) -> None:
    retired, steps = swaps(idle, busy)
    verdict = tell(good(), swaps=retired, steps=steps).verdict()
    assert sum(swap.unexposed is True for swap in verdict.exposure) == idle
    assert [reason.id for reason in verdict.reasons] == (["unexposed-swaps"] if doubt else [])
    assert verdict.outcome is (VerdictOutcome.INCONCLUSIVE if doubt else VerdictOutcome.PASS)
    if doubt:
        (reason,) = verdict.reasons
        assert "app-1.1" in reason.message
        assert "--rate" in reason.fix


def test_what_the_ledgers_show_under_way_outweighs_a_controller_that_saw_nothing() -> None:
    verdict = tell(good(took=SECOND // 10), at=AT_RETIRE, swaps=(RETIRED,)).verdict()
    assert [swap.unexposed for swap in verdict.exposure] == [False]
    assert verdict.outcome is VerdictOutcome.PASS


@pytest.mark.parametrize(("admitted", "unexposed"), [(False, None), (True, True)])
def test_a_replica_that_was_never_admitted_could_not_be_exposed(*, admitted: bool, unexposed: bool | None) -> None:
    def step(name: str, at: int) -> Step:
        return Step(name=name, replica="app-1.2", start_ns=START + at, end_ns=START + at + 1)

    verbs = ("create", "join", *(["admit"] if admitted else []), "retire", "stop")
    steps = tuple(step(verb, at) for at, verb in enumerate(verbs))
    swap = Swap(replica="app-1.2", version="v2", in_flight_at_retire=0, exit_code=0)
    verdict = tell(good(), swaps=(swap,), steps=steps).verdict()
    assert [swap.unexposed for swap in verdict.exposure] == [unexposed]


def test_a_replica_that_was_stopped_without_being_retired_says_nothing() -> None:
    """It never was in rotation, or it died: what died is told elsewhere."""
    never = Swap(replica="app-1.2", version="v2", in_flight_at_stop=0, exit_code=1)
    death = Death(replica="app-1.2", t_ns=START, exit_code=1)
    verdict = tell(good(), swaps=(never,), deaths=(death,)).verdict()
    assert [swap.unexposed for swap in verdict.exposure] == [None]
    assert verdict.reasons == ()
