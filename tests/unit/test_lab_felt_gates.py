"""The gates that ask the users of the load: dropped and latency. What is too little is never ok (P7)."""

import random
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lab.feelings import Feelings
from lab.gates import Felt, Gate, Judgement, Measure, Samples, judge
from lab.manifest import read_manifest
from lab.model import Ending, OnFail
from lab.operations.shape import Shape, spec_of
from lab.planner.ladder import timing
from lab.ports import Readiness
from lab.proof.answers import Answer
from lab.proof.result import Change
from lab.shape import gate_of
from lab.sim.faults import faults_of
from lab.sim.run import NEW, OLD, Simulation, simulate
from tests.loadtest_world import ROOT

SECOND = 1_000_000_000
MS = 1_000_000
REVISIONS = {"app-1.1": 1, "app-2.1": 1, "app-3.2": 2}
DROPPED = Gate(measure=Measure.DROPPED, limit=0, minimum=50)
LATENCY = Gate(measure=Measure.LATENCY, limit=1.2, minimum=10)
EVEN = Change(percent=50, pairs=10, width_s=0.5, ratio=1.0, low=0.9, high=1.1, old_ms=10.0, new_ms=10.0, more_ms=0.0)
MANIFEST = read_manifest(ROOT / "compose/lab.yaml")

changes = st.builds(
    Change,
    percent=st.sampled_from([50, 95]),
    pairs=st.integers(0, 40),
    width_s=st.just(0.5),
    ratio=st.floats(0.5, 3),
    low=st.floats(0.5, 3),
    high=st.floats(0.5, 3),
    old_ms=st.floats(0.1, 100),
    new_ms=st.floats(0.1, 100),
    more_ms=st.floats(-10, 100),
)
felts = st.builds(
    Felt,
    ended=st.integers(0, 1000),
    dropped=st.integers(0, 20),
    changes=st.lists(changes, max_size=2).map(tuple),
)
gates = st.one_of(
    st.builds(Gate, measure=st.just(Measure.DROPPED), limit=st.integers(0, 9).map(float), minimum=st.integers(1, 200)),
    st.builds(Gate, measure=st.just(Measure.LATENCY), limit=st.floats(1, 3), minimum=st.integers(1, 30)),
)


def judged(felt: Felt, gate: Gate) -> Judgement:
    return judge(Samples(felt=felt), (gate,)).judgement


@given(felt=felts, gate=gates)
def test_too_few_samples_are_never_ok_and_more_of_what_is_bad_is_never_better(felt: Felt, gate: Gate) -> None:
    found = judged(felt, gate)
    if gate.measure is Measure.DROPPED:
        assert (found is Judgement.FAILED) == (felt.dropped > gate.limit)
        assert found is not Judgement.OK or felt.ended >= gate.minimum
        worse = replace(felt, dropped=felt.dropped + 10)
    else:
        enough = [change for change in felt.changes if change.pairs >= gate.minimum]
        assert (found is Judgement.INCONCLUSIVE) == (not enough)
        worse = replace(
            felt, changes=tuple(replace(one, low=one.low + 1, more_ms=one.more_ms + 1) for one in felt.changes)
        )
    if found is Judgement.FAILED:
        assert judged(worse, gate) is Judgement.FAILED


@given(now=felts, mark=felts)
def test_drops_are_counted_since_the_mark_and_latencies_are_all_there_are(now: Felt, mark: Felt) -> None:
    since = Samples(felt=now).since(Samples(felt=mark)).felt
    began_anew = now.ended < mark.ended or now.dropped < mark.dropped
    assert since.dropped == (now.dropped if began_anew else now.dropped - mark.dropped)
    assert since.changes == now.changes


def test_the_reasons_have_the_figures() -> None:
    slow = replace(EVEN, percent=95, pairs=12, ratio=1.52, low=1.41, more_ms=21.3)
    felt = Felt(ended=412, dropped=3, changes=(EVEN, slow))
    assert judge(Samples(felt=felt), (DROPPED, LATENCY)).reasons == (
        "dropped 3 of 412 requests, limit 0",
        "latency p95 x1.52 (at least x1.41, 21.3 ms more, in 12 instants), limit x1.2",
    )
    few = Felt(ended=49, changes=(replace(EVEN, pairs=9),))
    assert judge(Samples(felt=few), (DROPPED, LATENCY)).reasons == (
        "dropped: 49 requests, at least 50 are needed",
        "latency: 9 instants in which both versions answered enough, at least 10 are needed",
    )


def test_a_difference_that_nobody_notices_fails_no_gate() -> None:
    assert judged(Felt(changes=(replace(EVEN, low=2.0, more_ms=0.9),)), LATENCY) is Judgement.OK


@pytest.mark.parametrize(
    ("text", "gate"),
    [
        ("dropped=0", (Measure.DROPPED, 0.0)),
        ("dropped=12", (Measure.DROPPED, 12.0)),
        ("latency=1.2x", (Measure.LATENCY, 1.2)),
        ("latency=2", (Measure.LATENCY, 2.0)),
    ],
)
def test_a_gate_is_written_as_it_is_read(text: str, gate: tuple[Measure, float]) -> None:
    assert gate_of(text) == gate
    assert gate_of(str(Gate(measure=gate[0], limit=gate[1]))) == gate


@pytest.mark.parametrize("text", ["dropped=1%", "dropped=-1", "dropped=", "latency=0.9x", "latency=20%", "latency=nan"])
def test_a_limit_of_another_kind_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="is no"):
        gate_of(text)


# out of what the load prints


class Feed:
    def __init__(self) -> None:
        self.tick: Mapping[str, Any] = {}
        self.came: list[Answer] = []

    def take_answers(self) -> list[Answer]:
        taken, self.came = self.came, []
        return taken


def answers(seconds: Sequence[int], *, times: float, rng: random.Random) -> Iterable[Answer]:
    """60 a second, evenly over the replicas; the new one joins in the third second."""
    for second in seconds:
        for number in range(60):
            replica = ("app-1.1", "app-2.1", "app-3.2" if second >= 3 else "app-1.1")[number % 3]
            took = rng.uniform(8, 12) * MS * (times if replica == "app-3.2" else 1)
            yield Answer(due_ns=second * SECOND + number * SECOND // 60, took_ns=int(took), replica=replica)


@pytest.mark.parametrize(("times", "found"), [(1.0, Judgement.OK), (1.6, Judgement.FAILED)])
def test_a_version_is_judged_by_the_instants_in_which_both_answered(times: float, found: Judgement) -> None:
    feed, rng = Feed(), random.Random(1)
    feelings, seen = Feelings(feed), []
    for second in range(20):
        feed.came = [*answers([second], times=times, rng=rng)]
        feed.tick = {"finished": 60 * second, "failed": 1}
        seen.append(feelings.felt(2, REVISIONS))
    assert (seen[-1].ended, seen[-1].dropped) == (60 * 19, 1)
    judgements = [judged(felt, LATENCY) for felt in seen]
    told = judgements.index(found)
    assert judgements == [Judgement.INCONCLUSIVE] * told + [found] * (20 - told)
    assert 6 <= told <= 14  # after ten instants, of half a second or of one, and the first second of the new process
    assert feelings.felt(2, REVISIONS) == seen[-1]


def test_answers_of_nobody_known_are_compared_with_nobody() -> None:
    feed = Feed()
    feed.came = [*answers(range(20), times=2.0, rng=random.Random(1))]
    assert Feelings(feed).felt(2, {"app-1.1": 1}).changes == ()
    assert Feelings(None).felt(2, REVISIONS) == Felt()


# in a rollout, on virtual time


def rolled(*texts: str, faults: Sequence[str] = (), on_fail: OnFail = OnFail.ROLLBACK) -> Any:
    shape = Shape(gates=texts, on_fail=on_fail)
    spec = spec_of(shape, MANIFEST, replicas=3, target=NEW, back_to=OLD)
    return simulate(Simulation(source="v1", target="v2", spec=spec, faults=faults_of(faults)))


def test_a_gate_turns_a_dropping_version_back_and_what_is_dropped_on_the_way_back_does_not_stop_it() -> None:
    done = rolled("dropped=0", faults=["errors:v2=20%"])
    assert done.ended.ending is Ending.ROLLED_BACK
    assert done.ended.reason.startswith("dropped ")
    assert done.failed > int(done.ended.reason.split()[1]), "it went on to drop while it was taken back"


def test_a_good_version_passes_both_gates() -> None:
    assert rolled("dropped=0", "latency=1.2x").ended.ending is Ending.DONE


@pytest.mark.parametrize("shape", [Shape(like="recreate"), Shape(batch="3"), Shape(max_surge="100%")])
def test_a_way_on_which_no_two_versions_serve_together_refuses_a_latency_gate(shape: Shape) -> None:
    def refused(gates: tuple[str, ...]) -> list[str]:
        spec = spec_of(replace(shape, gates=gates), MANIFEST, replicas=3, target=NEW, back_to=OLD)
        return [finding.what for finding in timing(spec, Readiness()) if finding.refuses]

    assert refused(("dropped=0",)) == []
    (what,) = refused(("latency=1.2x",))
    assert "all 3 replicas at once" in what
