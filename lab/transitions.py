"""The two lifecycles as literal tables: a replica's, and a rollout's. Nothing else changes a state.

Rule 1: what may follow what stands here and nowhere else.
Rule 2: this file knows no I/O, no time and no policy; the planner chooses, this table allows.
"""

from enum import StrEnum

from lab.model import Act, Container, Ending, Place, Replica, Verb

_C, _R, _X = Container.CREATED, Container.RUNNING, Container.EXITED

# what a verb may be done to: (what the engine says, what the proxy says)
LEGAL: dict[Verb, frozenset[tuple[Container | None, Place | None]]] = {
    Verb.CREATE: frozenset({(None, None)}),
    Verb.START: frozenset({(_C, None)}),
    Verb.JOIN: frozenset({(_R, None)}),
    Verb.ADMIT: frozenset({(_R, Place.JOINING)}),
    Verb.RETIRE: frozenset({(_R, Place.JOINING), (_R, Place.READY)}),
    Verb.RESTORE: frozenset({(_R, Place.DRAINING)}),
    # draining only at the drain deadline; unrouted: it was never given a request
    Verb.STOP: frozenset({(_R, Place.REMOVABLE), (_R, Place.DRAINING), (_R, None)}),
    Verb.UNROUTE: frozenset({(_X, place) for place in Place}),
    Verb.DELETE: frozenset({(_C, None), (_X, None)}),
}


def is_legal(act: Act, replica: Replica | None) -> bool:
    seen = (replica.container, replica.place) if replica else (None, None)
    return seen in LEGAL[act.verb]


class Phase(StrEnum):
    """Where a rollout is."""

    ROLLING = "rolling"
    ROLLING_BACK = "rolling-back"


class Happening(StrEnum):
    """What can happen to a rollout."""

    REACHED = "reached"
    VERSION_FAILED = "version-failed"
    ENVIRONMENT_FAILED = "environment-failed"
    INTERRUPTED = "interrupted"


ROLLOUT: dict[tuple[Phase, Happening], Phase | Ending] = {
    (Phase.ROLLING, Happening.REACHED): Ending.DONE,
    (Phase.ROLLING, Happening.VERSION_FAILED): Phase.ROLLING_BACK,
    (Phase.ROLLING, Happening.ENVIRONMENT_FAILED): Ending.PAUSED_BY_ENVIRONMENT,
    (Phase.ROLLING, Happening.INTERRUPTED): Ending.INTERRUPTED,
    (Phase.ROLLING_BACK, Happening.REACHED): Ending.ROLLED_BACK,
    # a rollback is never rolled back
    (Phase.ROLLING_BACK, Happening.VERSION_FAILED): Ending.PAUSED,
    (Phase.ROLLING_BACK, Happening.ENVIRONMENT_FAILED): Ending.PAUSED_BY_ENVIRONMENT,
    (Phase.ROLLING_BACK, Happening.INTERRUPTED): Ending.INTERRUPTED,
}
