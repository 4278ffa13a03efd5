"""Budgets, presets and times: the numbers that others document, and the traces that follow from them."""

from dataclasses import replace

import pytest

from lab.errors import UsageError
from lab.gates import Gate, Judgement, Measure, Samples, judge
from lab.model import Health, Place, Replica, RolloutSpec, Strategy, Verb
from lab.planner.budgets import amount, batch_of, budgets_of
from lab.planner.ladder import timing
from lab.planner.presets import preset
from lab.ports import Readiness
from tests.unit.planner_world import OLD, decided, replica, spec


@pytest.mark.parametrize(
    ("n", "surge", "unavailable", "expected"),
    [
        (10, "25%", "25%", (3, 2)),
        (4, "25%", "25%", (1, 1)),
        (3, "25%", "25%", (1, 0)),
        (1, "25%", "25%", (1, 0)),
        (15, "25%", "25%", (4, 3)),
        (10, "0", "5%", (0, 1)),
        (10, "0%", "5%", (0, 1)),
        (100, "7%", "0", (7, 0)),
        (100, "0", "29%", (0, 29)),
        (3, "1", "0", (1, 0)),
        (3, "0", "5", (0, 3)),
        (1, "0", "1", (0, 1)),
    ],
)
def test_surge_rounds_up_and_unavailable_down_both_together(
    n: int, surge: str, unavailable: str, expected: tuple[int, int]
) -> None:
    assert budgets_of(n, amount(surge, "--max-surge"), amount(unavailable, "--max-unavailable")) == expected


@pytest.mark.parametrize(("surge", "unavailable"), [("0", "0"), ("0%", "0%"), ("0", "0%")])
def test_none_more_and_none_less_is_refused_unless_rounding_made_it(surge: str, unavailable: str) -> None:
    with pytest.raises(UsageError, match="nothing can be replaced"):
        budgets_of(10, amount(surge, ""), amount(unavailable, ""))


@pytest.mark.parametrize("text", ["", "-1", "a", "1.5", "5 %", "%", "1e3"])
def test_what_is_neither_a_number_nor_a_percentage_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match="neither a number nor a percentage"):
        amount(text, "--batch")


@pytest.mark.parametrize(
    ("n", "text", "first", "expected"),
    [(10, "25%", True, 3), (10, "25%", False, 2), (3, "1%", False, 1), (3, "3", True, 3), (1, "1", False, 1)],
)
def test_a_batch_rounds_as_its_budget_does_and_is_one_at_least(n: int, text: str, first: bool, expected: int) -> None:
    assert batch_of(n, amount(text, "--batch"), start_first=first) == expected


@pytest.mark.parametrize("text", ["0", "4", "101%"])
def test_a_batch_of_none_or_of_more_than_there_are_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match="a batch of"):
        batch_of(3, amount(text, "--batch"), start_first=True)


# (preset, N, surge, unavailable, how many may fail): AWS's documents name the minimum, and N less that is the batch
PRESETS = [
    ("kubernetes", 10, 3, 2, 0),
    ("kubernetes", 15, 4, 3, 0),
    ("codedeploy-40%", 9, 0, 5, 5),
    ("codedeploy-85%", 10, 0, 1, 1),
    ("codedeploy-one", 9, 0, 1, 0),
    ("codedeploy-half", 9, 0, 4, 4),
    ("codedeploy-half", 8, 0, 4, 4),
    ("codedeploy-half", 1, 0, 1, 0),
    ("codedeploy-all", 9, 0, 9, 8),
    ("recreate", 9, 0, 9, 0),
    ("one-at-a-time", 9, 1, 0, 0),
]


@pytest.mark.parametrize(("name", "n", "surge", "unavailable", "tolerates"), PRESETS)
def test_a_preset_has_the_numbers_that_its_original_documents(
    name: str, n: int, surge: int, unavailable: int, tolerates: int
) -> None:
    found = preset(name, n)

    assert (found.surge, found.unavailable, found.tolerates) == (surge, unavailable, tolerates)


@pytest.mark.parametrize(
    ("name", "n"), [("codedeploy-100%", 9), ("codedeploy-95%", 9), ("swarm", 9), ("codedeploy-", 9)]
)
def test_a_minimum_that_leaves_none_to_replace_and_an_unknown_name_are_refused(name: str, n: int) -> None:
    with pytest.raises(UsageError):
        preset(name, n)


def trace(n: int, wanted: RolloutSpec, *, dead: int = 0, ready: bool = True) -> list[tuple[int, int]]:
    """(old, new) after every step: what is new serves one tick later, what is retired is gone at once."""
    there = {r.name: r for r in (replica(f"{slot}.1 old ready") for slot in range(1, n + 1))}
    for name in list(there)[:dead]:
        there[name] = replace(there[name], health=Health.EJECTED)
    steps = [(n, 0)]

    def note() -> None:
        old = sum(r.revision == OLD for r in there.values())
        now = (old, sum(r.alive for r in there.values()) - old)
        if now != steps[-1]:
            steps.append(now)

    for _ in range(6 * n):
        acts = decided(tuple(there.values()), wanted)
        if isinstance(acts, tuple):
            for act in acts:
                shape = {Verb.CREATE: "created", Verb.START: "joining"}.get(act.verb)
                if shape:
                    there[act.replica] = replica(f"{act.slot}.{act.generation} new {shape}")
            note()
            for act in acts:
                if act.verb is Verb.RETIRE:
                    del there[act.replica]
            note()
        elif ready:
            there = {name: _serves(r) for name, r in there.items()}
    return steps


def _serves(r: Replica) -> Replica:
    return replace(r, place=Place.READY) if r.place is Place.JOINING else r


# Kubernetes' own arithmetic: (N, surge, unavailable) -> (old, new) step by step
GOLDEN = [
    (10, 3, 2, [(10, 0), (10, 3), (8, 3), (8, 5), (3, 5), (3, 10), (0, 10)]),
    (4, 1, 1, [(4, 0), (4, 1), (3, 1), (3, 2), (1, 2), (1, 4), (0, 4)]),
    (3, 1, 0, [(3, 0), (3, 1), (2, 1), (2, 2), (1, 2), (1, 3), (0, 3)]),
    (1, 1, 0, [(1, 0), (1, 1), (0, 1)]),
    (15, 4, 3, [(15, 0), (15, 4), (12, 4), (12, 7), (5, 7), (5, 14), (0, 14), (0, 15)]),
    (10, 0, 1, [(10, 0), *(step for k in range(1, 11) for step in ((10 - k, k - 1), (10 - k, k)))]),
]


@pytest.mark.parametrize(("n", "surge", "unavailable", "expected"), GOLDEN)
def test_rolling_takes_kubernetes_own_steps(
    n: int, surge: int, unavailable: int, expected: list[tuple[int, int]]
) -> None:
    assert trace(n, spec(n, surge, unavailable, strategy=Strategy.ROLLING)) == expected


def test_a_version_that_is_never_ready_stalls_where_kubernetes_stalls() -> None:
    rolling = Strategy.ROLLING

    assert trace(10, spec(10, 3, 2, strategy=rolling), ready=False)[-1] == (8, 5)
    assert trace(10, spec(10, 0, 2, strategy=rolling), ready=False, dead=2) == [(10, 0), (8, 0), (8, 2)]


@pytest.mark.parametrize("order", ["start-first", "stop-first"])
def test_the_last_batch_of_every_size_ends_with_every_slot_replaced(order: str) -> None:
    for n in range(1, 51):
        for batch in range(1, n + 1):
            surge, unavailable = (batch, 0) if order == "start-first" else (0, batch)
            steps = waves(n, spec(n, surge, unavailable))
            assert sum(steps) == n
            assert steps[:-1] == [batch] * (len(steps) - 1)
            assert steps[-1] == (n % batch or batch)


def waves(n: int, wanted: RolloutSpec) -> list[int]:
    """How many slots each wave replaces, read off one wave after another."""
    sizes: list[int] = []
    done = 0
    while done < n:
        there = [replica(f"{slot}.2 new ready") for slot in range(1, done + 1)]
        there += [replica(f"{slot}.1 old ready") for slot in range(done + 1, n + 1)]
        acts = decided(tuple(there), wanted)
        assert isinstance(acts, tuple)
        slots = [act.slot for act in acts if act.verb in {Verb.START, Verb.RETIRE}]
        sizes.append(len(slots))
        assert slots == list(range(done + 1, done + len(slots) + 1))
        done += len(slots)
    return sizes


OK_READINESS = Readiness(min_ready=1.0, passes=2, fast_interval=0.1, interval=1.0, timeout=1.0, fails=3)


@pytest.mark.parametrize(
    ("more", "told"),
    [
        ({"ready_timeout": 1.0}, "takes 1.2s to prove one (min-ready 1s), and the ready timeout is 1s"),
        ({"ready_timeout": 600.0}, "ready timeout of 600s is not below the progress timeout of 600s"),
        ({"drain_timeout": 700.0}, "drain timeout of 700s is not below the progress timeout of 600s"),
        ({"bake": 5.0}, "a bake of 5s is over before a probe can fail in it, which takes 6s"),
    ],
)
def test_times_that_cannot_be_meant_together_are_refused_with_the_numbers(more: dict[str, float], told: str) -> None:
    refused = [f.what for f in timing(spec(3, 1, 0, **more), OK_READINESS) if f.refuses]

    assert len(refused) == 1
    assert told in refused[0]


def test_times_that_can_be_meant_together_are_only_remarked_upon() -> None:
    gate = Gate(measure=Measure.ERROR_RATIO, limit=0.1, minimum=5)

    assert [f.refuses for f in timing(spec(3, 1, 0), OK_READINESS)] == [False]
    assert timing(spec(3, 1, 0, bake=6.0, gates=(gate,)), OK_READINESS) == ()


ERRORS = Gate(measure=Measure.ERROR_RATIO, limit=0.05, minimum=50)
READY = Gate(measure=Measure.UNREADY_RATIO, limit=0.0)


@pytest.mark.parametrize(
    ("samples", "expected"),
    [
        (Samples(requests=49, errors=49), Judgement.INCONCLUSIVE),
        (Samples(requests=50, errors=2), Judgement.OK),
        (Samples(requests=100, errors=5), Judgement.OK),
        (Samples(requests=100, errors=6), Judgement.FAILED),
        (Samples(), Judgement.INCONCLUSIVE),
    ],
)
def test_a_gate_fails_above_its_limit_and_says_nothing_below_its_minimum(samples: Samples, expected: Judgement) -> None:
    verdict = judge(samples, (ERRORS,))

    assert verdict.judgement is expected
    assert verdict.reasons


def test_one_failed_gate_fails_and_one_without_data_is_never_ok() -> None:
    bad = Samples(requests=10, errors=0, admitted=4, unready=1)
    good = Samples(requests=10, errors=0, admitted=4)

    assert judge(bad, (ERRORS, READY)).judgement is Judgement.FAILED
    assert judge(good, (ERRORS, READY)).judgement is Judgement.INCONCLUSIVE
    assert judge(good, ()).judgement is Judgement.OK


def test_requests_are_counted_from_a_mark_and_replicas_as_they_stand() -> None:
    now = Samples(requests=120, errors=7, admitted=3, unready=1)

    assert now.since(Samples(requests=100, errors=7, admitted=1)) == Samples(
        requests=20, errors=0, admitted=3, unready=1
    )
