"""P6: a rollback is never rolled back. A table of rollouts that allows it is seen."""

import pytest

from lab.model import Ending
from lab.sim import Behaviour
from lab.transitions import ROLLOUT, Happening, Phase
from tests.unit.rollout_world import V1, V2, Bench


class Again(BaseException):
    """It has turned round a second time."""


def ending() -> Ending:
    """The check: how a roll ends whose way back fails too, turning round once at most."""
    never = Behaviour(ready_after=None)
    bench = Bench(n=2, surge=0, unavailable=1).up()
    bench.world.behaviours = {"v1": never, "v2": never}

    def look() -> None:
        if len(bench.journal.events(types=["phase-changed"])) > 3:
            raise Again

    bench.world.on_look = look
    return bench.roll(V2, V1).ending


def test_a_rollback_that_fails_pauses() -> None:
    assert ending() is Ending.PAUSED


def test_a_table_that_rolls_a_rollback_back_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(ROLLOUT, (Phase.ROLLING_BACK, Happening.PAUSED), Phase.ROLLING_BACK)
    with pytest.raises(Again):
        ending()
