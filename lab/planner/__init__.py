"""PURE: decides what to do next with a rollout, from what the engine, the proxy and the journal say."""

from lab.planner.decide import Observations, decide
from lab.planner.decision import Decision, Over, Refused, Scaled, TryFailed, Turn, Wait
from lab.planner.fleet import Fleet
from lab.planner.slots import Aim
from lab.planner.state import RolloutState

__all__ = [
    "Aim",
    "Decision",
    "Fleet",
    "Observations",
    "Over",
    "Refused",
    "RolloutState",
    "Scaled",
    "TryFailed",
    "Turn",
    "Wait",
    "decide",
]
