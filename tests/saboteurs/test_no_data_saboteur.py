"""P7: no data is no verdict. A proof that overlooks what is missing passes, and is seen to."""

from collections.abc import Callable

import pytest

from lab.proof import VerdictOutcome, validity
from tests.unit.proof_world import World, good, tell

CASES: dict[str, tuple[str, Callable[[], World]]] = {
    "too few requests": ("_too_few", lambda: tell(good(), min_requests=500)),
    "a load that died": ("_client", lambda: without_footer(tell(good()))),
    "a proxy without its ledger's end": ("_proxy", lambda: without_footer(tell(good()), of="proxy")),
}


def without_footer(world: World, of: str = "client") -> World:
    getattr(world, of).pop()
    return world


def outcome(case: str) -> VerdictOutcome:
    """The check: a run in which every request that is known went well."""
    return CASES[case][1]().verdict().outcome


@pytest.mark.parametrize("case", CASES)
def test_too_little_data_never_passes(case: str) -> None:
    assert outcome(case) is VerdictOutcome.INCONCLUSIVE


@pytest.mark.parametrize("case", CASES)
def test_a_proof_that_overlooks_it_is_seen(monkeypatch: pytest.MonkeyPatch, case: str) -> None:
    monkeypatch.setattr(validity, CASES[case][0], lambda *_: iter(()))
    assert outcome(case) is VerdictOutcome.PASS
