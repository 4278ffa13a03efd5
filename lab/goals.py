"""PURE: what `lab status --wait-for` waits for, whether it is there, and whether it can still come."""

from enum import StrEnum
from typing import NamedTuple

from lab.view import FleetView

WORDS = ("idle", "paused", "stable")
"""Anything else is the name of a version: stable, and that one."""


_STAGES = {"begun": "about to begin", "unjudged": "over and not judged yet"}


class Standing(StrEnum):
    REACHED = "reached"
    ON_ITS_WAY = "on its way"
    ELSEWHERE = "elsewhere"
    """It ended, or rests, where waiting leads to nothing."""


class Look(NamedTuple):
    """`why`: what is still missing, or what came instead."""

    standing: Standing
    why: str


def look_at(view: FleetView, goal: str, *, moved: bool) -> Look:
    """How far the fleet is from its goal. `moved`: a rollout was seen at work since somebody began to wait."""
    if goal == "paused":
        return _paused(view, moved=moved)
    # a load beside the fleet changes nothing of it
    if view.rollout is not None and (goal == "idle" or view.rollout.kind != "load"):
        return _under_way(view)
    if goal == "idle":
        return Look(Standing.REACHED, "nothing is under way")
    if missing := _unsettled(view):
        return Look(Standing.ON_ITS_WAY, missing)
    if goal in {"stable", view.version}:
        return Look(Standing.REACHED, f"all {view.ready} replicas run {view.version}")
    instead = f"all {view.ready} replicas run {view.version}"
    return Look(Standing.ELSEWHERE if moved else Standing.ON_ITS_WAY, instead)


def is_at_work(view: FleetView) -> bool:
    return view.rollout is not None and view.rollout.pid is not None


def _is_paused(view: FleetView) -> bool:
    return view.rollout is not None and (view.rollout.stage == "paused" or view.phase.startswith("paused"))


def _paused(view: FleetView, *, moved: bool) -> Look:
    if _is_paused(view):
        return Look(Standing.REACHED, _named(view))
    if view.rollout is not None and not is_at_work(view):
        return Look(Standing.ELSEWHERE, f"{_named(view)}, and nobody runs it")
    if view.rollout is None and moved:
        return Look(Standing.ELSEWHERE, f"the rollout ended; {view.ready} of {view.replicas_wanted} replicas are ready")
    return Look(Standing.ON_ITS_WAY, _named(view))


def _under_way(view: FleetView) -> Look:
    if _is_paused(view):
        return Look(Standing.ELSEWHERE, f"{_named(view)}, and waits for a word")
    if not is_at_work(view):
        return Look(Standing.ELSEWHERE, f"{_named(view)}, and nobody runs it")
    return Look(Standing.ON_ITS_WAY, _named(view))


def _named(view: FleetView) -> str:
    it = view.rollout
    if it is None:
        return "nothing is under way"
    if it.kind == "load":
        return f"the load of {it.run} is under way"
    there = sum(r.version == it.to and r.state == "ready" for r in view.replicas)
    why = f" ({it.reason})" if it.reason else ""
    phase = "paused" if _is_paused(view) else _STAGES.get(str(it.stage), view.phase)
    return f"the {it.kind} to {it.to} is {phase}{why}, {there} of {view.replicas_wanted} replicas run {it.to}"


def _unsettled(view: FleetView) -> str:
    """What is not as it should be in a fleet that nobody changes."""
    odd = next((r for r in view.replicas if r.state != "ready" or r.version != view.version), None)
    if odd is not None:
        info = f" ({odd.info})" if odd.info else ""
        return f"{odd.name} of {odd.version} is {odd.state}{info}"
    if view.ready != view.replicas_wanted or len(view.replicas) != view.replicas_wanted:
        return f"{view.ready} of {view.replicas_wanted} replicas are ready: lab up repairs it"
    return ""
