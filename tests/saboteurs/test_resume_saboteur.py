"""P4: a controller that is started again knows what the first one did. One that forgets gives a name out twice."""

from collections import Counter
from contextlib import suppress

import pytest

from lab import controller
from lab.folds import Counts
from lab.model import Verb
from lab.sim import Behaviour
from tests.unit.rollout_world import V1, V2, Bench, Crash


def given_twice() -> set[str]:
    """The check: names that two replicas had, wherever the first controller was killed."""
    twice: set[str] = set()
    for crash_at in range(1, 20):
        never = {"v2": Behaviour(ready_after=None)}
        bench = Bench(n=2, surge=0, unavailable=1, behaviours=never, crash_at=crash_at).up()
        with suppress(Crash):
            bench.roll(V2, V1)
        bench.crash_at = None
        bench.roll(V2, V1)
        # the first two were given out when the fleet came up
        given = Counter(["app-1.1", "app-2.1", *(name for verb, name in bench.acts if verb is Verb.CREATE)])
        twice |= {name for name, times in given.items() if times > 1}
    return twice


def test_no_name_is_given_twice_whenever_the_controller_is_killed() -> None:
    assert given_twice() == set()


def test_a_controller_that_does_not_read_its_journal_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(controller, "counts_of", lambda _events: Counts())
    assert given_twice()
