"""The table of docs/reference/proof.md, row by row: what client, proxy and app say, and what follows from it."""

import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from lab.proof import Class, Verdict, VerdictOutcome
from tests.unit.proof_world import START, Story, Try, World, good, good_write, tell

PAGE = (Path(__file__).parents[2] / "docs/reference/proof.md").read_text()
HEAD = r"\| client \| proxy's attempts \| app's executions \| class \|\n\|[-|]+\|\n((?:\|.*\|\n)+)"
PASS, FAIL, INCONCLUSIVE = VerdictOutcome.PASS, VerdictOutcome.FAIL, VerdictOutcome.INCONCLUSIVE

KILLED = Try(result="closed_before_response", answered=False)
KILLED_UNBEGUN = Try(result="closed_before_response", begun=False, answered=False)
UNREACHED = Try(result="connect_failed", sent=False, begun=False, answered=False)
ELSEWHERE = Try(replica="app-2.1")
WRITTEN = Try(replica="app-2.1", executed=1)
HAPPENED = "failed writes that a replica had begun to carry out, which their sender cannot know: 1"


def write(*tries: Try, **changes: Any) -> Story:
    return replace(good_write(), tries=tries, **changes)


def failed_write(outcome: str, *tries: Try, **changes: Any) -> Story:
    return Story(outcome=outcome, method="POST", cohort="write", tries=tries, **changes)


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """One way to meet a row: the request that is told, and its class."""

    story: Story
    cls: Class


def case(cls: Class, story: Story) -> Case:
    return Case(story=story, cls=cls)


ROWS: dict[str, tuple[Case, ...]] = {
    "ok | 1 | 1": (case(Class.GOOD, good()), case(Class.GOOD, good_write())),
    "ok | 2 or more, a byte of an earlier one was sent | 1": (
        case(Class.MASKED, Story(tries=(KILLED, ELSEWHERE))),
        case(Class.MASKED, Story(tries=(KILLED_UNBEGUN, ELSEWHERE))),
        case(Class.MASKED, write(KILLED_UNBEGUN, WRITTEN)),
    ),
    "ok | 2 or more, nothing of the earlier ones was sent | 1": (
        case(Class.GOOD, Story(tries=(UNREACHED, ELSEWHERE))),
        case(Class.GOOD, write(UNREACHED, UNREACHED, WRITTEN)),
    ),
    "ok, a write | any | 2 or more": (
        case(Class.DUPLICATE, write(Try(executed=2))),
        case(Class.DUPLICATE, write(replace(KILLED, executed=1), WRITTEN)),
    ),
    "ok, a read | any | begun by a replica twice": (
        case(Class.MASKED, Story(tries=(replace(KILLED, number=1), replace(ELSEWHERE, number=1)))),
    ),
    "ok, a write | 1 or more | none, or its parcel is missing at the end": (
        case(Class.LOST_WRITE, write(Try(executed=0))),
        case(Class.LOST_WRITE, write(Try(executed=1), parcel_kept=False)),
        case(Class.LOST_WRITE, write(KILLED, ELSEWHERE)),
    ),
    "ok | none | any": (case(Class.BYPASSED, Story()), case(Class.BYPASSED, write())),
    "ok, answered by another replica | 1 or more | any": (case(Class.MISROUTED, good(replica="app-2.1")),),
    "refused or reset | none | none": (
        case(Class.REFUSED, Story(outcome="refused")),
        case(Class.RESET, Story(outcome="reset")),
    ),
    "failed | 1 or more | none": (
        case(Class.RESET, Story(outcome="reset", tries=(KILLED_UNBEGUN,))),
        case(Class.TIMEOUT, Story(outcome="timeout", tries=(Try(result="client_gone", answered=False),))),
        case(Class.SERVER_ERROR, Story(outcome="server_error", status=502, tries=(UNREACHED,), rejected="gone")),
        case(Class.TRUNCATED, Story(outcome="truncated", tries=(Try(result="truncated", answered=False),))),
        case(Class.CONTRACT, Story(outcome="contract", tries=(Try(),))),
    ),
    "failed, a write | 1 or more | 1": (
        case(Class.RESET, failed_write("reset", Try(result="client_gone", answered=False, executed=1))),
        case(Class.SERVER_ERROR, failed_write("server_error", replace(KILLED, executed=1), status=502)),
    ),
    "timed out, a write | 1 or more | 1, late": (
        case(Class.TIMEOUT, failed_write("timeout", Try(result="client_gone", executed=1))),
    ),
    "none | any | any": (
        case(Class.OPEN, Story(outcome=None)),
        case(Class.OPEN, good(outcome=None)),
        case(Class.OPEN, replace(good_write(), outcome=None, ack=None)),
    ),
}
NO_VERDICT = {Class.BYPASSED, Class.MISROUTED, Class.OPEN}


def test_the_rows_are_those_of_the_page() -> None:
    (rows,) = re.findall(HEAD, PAGE)
    told = {row.rpartition(" | ")[0].removeprefix("| "): row.rpartition(" | ")[2] for row in rows.splitlines()}
    assert list(told) == list(ROWS)
    for name, cases in ROWS.items():
        named = {Class(word) for word in re.findall(r"`(\w+)`", told[name]) if word in set(Class)}
        assert named in ({one.cls for one in cases}, set()), f"{name}: {told[name]}"


@pytest.mark.parametrize("row", ROWS)
def test_row(row: str) -> None:
    for one in ROWS[row]:
        verdict = tell(one.story, *(good() for _ in range(3))).verdict(strict=True)
        dropped = one.cls not in NO_VERDICT and one.cls is not Class.GOOD
        assert verdict.dropped_by_class == ({one.cls: 1} if dropped else {}), (row, one.story)
        assert verdict.outcome is (FAIL if dropped else INCONCLUSIVE if one.cls in NO_VERDICT else PASS), one.story
        assert COUNTED.get(one.cls, lambda _verdict: True)(verdict), (row, verdict.reasons)


COUNTED: dict[Class, Callable[[Verdict], bool]] = {
    Class.BYPASSED: lambda verdict: [reason.id for reason in verdict.reasons] == ["bypassed"],
    Class.MISROUTED: lambda verdict: [reason.id for reason in verdict.reasons] == ["misrouted"],
    Class.OPEN: lambda verdict: (verdict.open, [reason.id for reason in verdict.reasons]) == (1, ["open-requests"]),
    Class.MASKED: lambda verdict: verdict.masked == 1,
}


@pytest.mark.parametrize("row", ["failed, a write | 1 or more | 1", "timed out, a write | 1 or more | 1, late"])
def test_a_failed_write_that_happened_is_told_and_the_sum_allows_for_it_either_way(row: str) -> None:
    for one in ROWS[row]:
        world = tell(one.story, good_write(1), Story(outcome="reset"))  # a read that failed stores nothing
        assert HAPPENED in world.verdict().notes
        assert [unasked(world, stored) for stored in (1, 2, 3)] == [False, False, True]


def unasked(world: World, stored: int) -> bool:
    world.facts = replace(world.facts, stored=stored)
    return "unasked-writes" in {reason.id for reason in world.verdict().reasons}


def test_only_a_drop_weighs_more_than_a_doubt() -> None:
    verdict = tell(Story(outcome=None), Story(outcome="reset"), at=START).verdict()
    assert (verdict.outcome, verdict.open, verdict.dropped) == (FAIL, 1, 1)
