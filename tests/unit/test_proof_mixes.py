"""What versions did to each other's data is told by pair, by phase, since when, and with the way out."""

import pytest

from lab.proof import Promise, Step, VerdictOutcome
from lab.proof.advice import advice, promised
from lab.proof.records import Fault
from lab.proof.result import Pair
from tests.unit.proof_world import SECOND, START, Story, Try, facts, good, tell

PROMISES = (
    Promise(phase="base", serves=frozenset({"v1"}), command="lab migrate expand"),
    Promise(phase="expanded", serves=frozenset({"v1"}), command="lab migrate expand"),
    Promise(phase="backfilled", serves=frozenset({"v1", "v2"}), command="lab migrate backfill"),
    Promise(phase="contracted", serves=frozenset({"v2"}), command="lab migrate contract", contracts=True),
)
SERVES_AS = {"v1": "v1", "v2": "v2", "v2-slow": "v2"}
PLANNED = facts(promises=PROMISES, serves_as=SERVES_AS)
READ_BY_V1 = Try(replica="app-1.1")


def stale(**changes: object) -> Story:
    return Story(
        outcome="contract",
        status=200,
        tries=(READ_BY_V1,),
        version="v1",
        replica="app-1.1",
        detail="v1 answered: recipient_name is 'a', not 'b'",
        writer="v2",
        fault="stale",
        field="recipient_name",
        **changes,
    )


def test_old_names_that_are_read_back_fail_the_run_and_name_pair_phase_time_and_way_out() -> None:
    right = good(writer="v2", version="v1")
    told = tell(right, stale(), stale(), right, schema_before="backfilled", promises=PROMISES, serves_as=SERVES_AS)
    verdict = told.verdict()

    assert (verdict.outcome, verdict.dropped) == (VerdictOutcome.FAIL, 2)
    assert verdict.pairs == (Pair(writer="v2", reader="v1", read=4, wrong=2),)
    (mix,) = verdict.mixes
    assert (mix.fault, mix.writer, mix.reader, mix.phase) == (Fault.STALE, "v2", "v1", "backfilled")
    assert (mix.count, mix.since_s, mix.until_s, mix.field) == (2, 2.511, 2.512, "recipient_name")
    assert (mix.example, mix.detail) == ("r1-read-1", "v1 answered: recipient_name is 'a', not 'b'")
    assert mix.promised is True
    assert mix.fix.startswith("lab rollback takes v2 out of it again")


def test_each_fault_each_pair_and_each_phase_is_counted_by_itself() -> None:
    expand = Step(name="schema expanded", start_ns=START + 5 * SECOND, end_ns=START + 5 * SECOND)
    told = tell(
        stale(),
        stale(later=3 * SECOND),
        Story(outcome="contract", tries=(READ_BY_V1,), version="v2", writer="v1", fault="null"),
        schema_before="base",
        steps=(expand,),
    )
    found = {(mix.fault, mix.writer, mix.reader, mix.phase): mix.count for mix in told.verdict().mixes}
    assert found == {
        (Fault.STALE, "v2", "v1", "base"): 1,
        (Fault.STALE, "v2", "v1", "expanded"): 1,
        (Fault.NULL, "v1", "v2", "base"): 1,
    }


def test_an_error_names_the_statement_and_the_first_and_the_last_of_its_requests() -> None:
    broken = Story(
        outcome="server_error",
        status=500,
        tries=(Try(replica="app-1.2"),),
        error="42703 no first_name",
        statement="select first_name from parcels",
        version="v2",
    )
    told = tell(broken, broken, schema_before="base", promises=PROMISES, serves_as=SERVES_AS)
    (breakage,) = told.verdict().schema_breakages

    assert (breakage.version, breakage.phase, breakage.count) == ("v2", "base", 2)
    assert breakage.statement == "select first_name from parcels"
    assert (breakage.since_s, breakage.until_s, breakage.example) == (2.51, 2.511, "r1-read-0")
    assert breakage.promised is False
    assert breakage.fix == "lab migrate expand, then lab migrate backfill     backfilled serves v2"


@pytest.mark.parametrize(
    ("versions", "phase", "kept", "fix"),
    [
        (["v2"], "base", False, "lab migrate expand, then lab migrate backfill     backfilled serves v2"),
        (["v1", "v2-slow"], "expanded", False, "lab migrate backfill     backfilled serves v1 and v2"),
        (["v1", "v2"], "backfilled", True, "lab rollback takes v2 out of it again"),
        (["v1", "v2"], "base -> expanded", False, "lab migrate backfill"),
        (["v1"], "base -> expanded", True, "it promises that v1 is right on base -> expanded"),
        (["v1"], "contracted", False, "no step leads to a phase that serves v1; contracted serves v2"),
        (["v9"], "base", False, "no step leads to a phase that serves v9; base serves v1"),
        (["v1"], "unknown", None, "lab migrate status     which phases serve v1?"),
    ],
)
def test_the_way_out_is_read_off_the_plans_promises(
    versions: list[str], phase: str, kept: bool | None, fix: str
) -> None:
    assert promised(PLANNED, versions, phase) is kept
    assert fix in advice(PLANNED, versions, phase)
