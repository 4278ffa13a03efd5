"""The two lifecycles as literal tables: a replica's, and a rollout's. Nothing else changes a state.

Rule 1: what may follow what stands here and nowhere else; docs/reference/lifecycles.md is drawn from it.
Rule 2: this file knows no I/O, no time and no policy; the planner chooses, these tables allow.
"""

from enum import StrEnum

from lab.model import Act, Command, Container, Ending, Place, Replica, Verb

_C, _R, _X = Container.CREATED, Container.RUNNING, Container.EXITED

Standing = tuple[Container | None, Place | None]
"""What the engine says of a replica, and what the proxy says."""


class Chance(StrEnum):
    """What becomes of a replica without our doing."""

    ENDS = "ends"
    DRAINED = "drained"
    TAKEN_AWAY = "taken away"


STANDINGS: dict[Standing, str] = {
    (None, None): "absent",
    (_C, None): "created",
    (_R, None): "starting",
    (_R, Place.JOINING): "joining",
    (_R, Place.READY): "ready",
    (_R, Place.DRAINING): "draining",
    (_R, Place.REMOVABLE): "removable",
    (_X, Place.JOINING): "dead, joining",
    (_X, Place.READY): "dead, ready",
    (_X, Place.DRAINING): "dead, draining",
    (_X, Place.REMOVABLE): "stopped",
    (_X, None): "ended",
}

REPLICA: dict[tuple[Standing, Verb | Chance], Standing] = {
    ((None, None), Verb.CREATE): (_C, None),  # it has no address yet, and costs no budget
    ((_C, None), Verb.START): (_R, None),
    ((_C, None), Verb.DELETE): (None, None),
    ((_R, None), Verb.JOIN): (_R, Place.JOINING),
    ((_R, None), Verb.STOP): (_X, None),  # it was never given a request
    ((_R, None), Chance.ENDS): (_X, None),
    ((_R, Place.JOINING), Verb.ADMIT): (_R, Place.READY),
    ((_R, Place.JOINING), Verb.RETIRE): (_R, Place.DRAINING),
    ((_R, Place.JOINING), Chance.ENDS): (_X, Place.JOINING),
    ((_R, Place.READY), Verb.RETIRE): (_R, Place.DRAINING),
    ((_R, Place.READY), Chance.ENDS): (_X, Place.READY),
    ((_R, Place.DRAINING), Verb.RESTORE): (_R, Place.READY),
    ((_R, Place.DRAINING), Chance.DRAINED): (_R, Place.REMOVABLE),
    ((_R, Place.DRAINING), Verb.STOP): (_X, Place.DRAINING),  # only once its deadline is long over
    ((_R, Place.DRAINING), Chance.ENDS): (_X, Place.DRAINING),
    ((_R, Place.REMOVABLE), Verb.STOP): (_X, Place.REMOVABLE),
    ((_R, Place.REMOVABLE), Chance.ENDS): (_X, Place.REMOVABLE),
    ((_X, Place.JOINING), Verb.UNROUTE): (_X, None),
    ((_X, Place.READY), Verb.UNROUTE): (_X, None),
    ((_X, Place.DRAINING), Verb.UNROUTE): (_X, None),
    ((_X, Place.REMOVABLE), Verb.UNROUTE): (_X, None),
    ((_X, None), Verb.DELETE): (None, None),
    ((_X, None), Chance.TAKEN_AWAY): (None, None),
}


LEGAL: dict[Verb, frozenset[Standing]] = {
    verb: frozenset(standing for standing, by in REPLICA if by is verb) for verb in Verb
}


def is_legal(act: Act, replica: Replica | None) -> bool:
    seen = (replica.container, replica.place) if replica else (None, None)
    return (seen, act.verb) in REPLICA


class Phase(StrEnum):
    """Where a rollout is while it has not ended."""

    ROLLING = "rolling"
    BAKING = "baking"
    HOLDING = "holding"
    PAUSED = "paused"
    ROLLING_BACK = "rolling-back"
    HOLDING_BACK = "holding-back"
    PAUSED_BACK = "paused-back"
    SETTLING = "settling"


BACKWARDS = frozenset({Phase.ROLLING_BACK, Phase.HOLDING_BACK, Phase.PAUSED_BACK})
HELD = frozenset({Phase.HOLDING, Phase.HOLDING_BACK})
STILL = frozenset({Phase.PAUSED, Phase.PAUSED_BACK})
"""Nothing more is begun; it goes on when somebody says so."""


class Happening(StrEnum):
    """What can happen to a rollout."""

    REACHED = "reached"
    """Every slot is as it should be."""
    WAVE_SERVES = "wave-serves"
    BAKED = "baked"
    HELD = "held"
    """The environment fails."""
    RELEASED = "released"
    PAUSED = "paused"
    RESUMED = "resumed"
    TURNED_BACK = "turned-back"
    ABORTED = "aborted"
    FAILED = "failed"
    """The version failed, and there is nothing to go back to."""


ROLLOUT: dict[tuple[Phase, Happening], Phase | Ending] = {
    (Phase.ROLLING, Happening.REACHED): Ending.DONE,
    (Phase.ROLLING, Happening.WAVE_SERVES): Phase.BAKING,
    (Phase.ROLLING, Happening.HELD): Phase.HOLDING,
    (Phase.ROLLING, Happening.PAUSED): Phase.PAUSED,
    (Phase.ROLLING, Happening.TURNED_BACK): Phase.ROLLING_BACK,
    (Phase.ROLLING, Happening.ABORTED): Phase.SETTLING,
    (Phase.ROLLING, Happening.FAILED): Ending.FAILED,
    (Phase.BAKING, Happening.BAKED): Phase.ROLLING,
    (Phase.BAKING, Happening.HELD): Phase.HOLDING,
    (Phase.BAKING, Happening.PAUSED): Phase.PAUSED,
    (Phase.BAKING, Happening.TURNED_BACK): Phase.ROLLING_BACK,
    (Phase.BAKING, Happening.ABORTED): Phase.SETTLING,
    (Phase.BAKING, Happening.FAILED): Ending.FAILED,
    (Phase.HOLDING, Happening.RELEASED): Phase.ROLLING,
    (Phase.HOLDING, Happening.PAUSED): Phase.PAUSED,
    (Phase.HOLDING, Happening.TURNED_BACK): Phase.ROLLING_BACK,
    (Phase.HOLDING, Happening.ABORTED): Phase.SETTLING,
    (Phase.PAUSED, Happening.RESUMED): Phase.ROLLING,
    (Phase.PAUSED, Happening.TURNED_BACK): Phase.ROLLING_BACK,
    (Phase.PAUSED, Happening.ABORTED): Phase.SETTLING,
    (Phase.ROLLING_BACK, Happening.REACHED): Ending.ROLLED_BACK,
    (Phase.ROLLING_BACK, Happening.HELD): Phase.HOLDING_BACK,
    # a rollback is never rolled back
    (Phase.ROLLING_BACK, Happening.PAUSED): Phase.PAUSED_BACK,
    (Phase.ROLLING_BACK, Happening.ABORTED): Phase.SETTLING,
    (Phase.HOLDING_BACK, Happening.RELEASED): Phase.ROLLING_BACK,
    (Phase.HOLDING_BACK, Happening.PAUSED): Phase.PAUSED_BACK,
    (Phase.HOLDING_BACK, Happening.ABORTED): Phase.SETTLING,
    (Phase.PAUSED_BACK, Happening.RESUMED): Phase.ROLLING_BACK,
    (Phase.PAUSED_BACK, Happening.ABORTED): Phase.SETTLING,
    (Phase.SETTLING, Happening.REACHED): Ending.ABORTED,
    # what an abort cannot mend it leaves, and says so
    (Phase.SETTLING, Happening.FAILED): Ending.ABORTED,
    (Phase.SETTLING, Happening.TURNED_BACK): Phase.ROLLING_BACK,
}

ASKS_FOR: dict[Command, Happening] = {
    Command.PAUSE: Happening.PAUSED,
    Command.RESUME: Happening.RESUMED,
    Command.ABORT: Happening.ABORTED,
    Command.ROLLBACK: Happening.TURNED_BACK,
}
"""What a command makes happen; where the table has no such transition it is refused. `scale` changes no phase."""
