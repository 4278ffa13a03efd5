"""PURE: the way through the phases, whether nothing breaks on it, and up to where it leads back."""

from collections.abc import Collection, Sequence

from lab.compat.model import Path, Stop
from lab.migrate.plan import ChangePlan


def path_of(plan: ChangePlan, versions: Sequence[str], red: Collection[tuple[str, str]]) -> Path:
    """The way with `versions`, the oldest first. `red`: (phase, version) whose cell or pair is broken."""
    old, new = versions[0], versions[-1]
    stops: list[Stop] = []
    live: tuple[str, ...] = (old,)
    for index, phase in enumerate(plan.phases):
        if index and not set(live) <= phase.serves:
            stops += _rolled(plan, index - 1, live, new, red)
            live = (new,)
        stops.append(_stop(plan, index, live, f"to {phase.name}" if index else "", red))
    if live != (new,):
        if new in plan.phases[-1].serves and old != new:
            stops += _rolled(plan, len(plan.phases) - 1, live, new, red)
        else:
            stops = stops or []
    gap = _gap(plan, old, new)
    return Path(stops=() if gap else tuple(stops), gap=gap, no_return="" if gap else _no_return(stops))


def _rolled(
    plan: ChangePlan, index: int, live: tuple[str, ...], new: str, red: Collection[tuple[str, str]]
) -> list[Stop]:
    both = tuple(dict.fromkeys((*live, new)))
    return [_stop(plan, index, both, f"roll {new}", red), _stop(plan, index, (new,), "", red)]


def _stop(plan: ChangePlan, index: int, live: tuple[str, ...], step: str, red: Collection[tuple[str, str]]) -> Stop:
    phase = plan.phases[index]
    right = set(live) <= phase.serves and not any((phase.name, version) in red for version in live)
    return Stop(phase=phase.name, live=live, step=step, right=right, back=_back(plan, index, live))


def _back(plan: ChangePlan, index: int, live: tuple[str, ...]) -> str:
    """A roll back to an older version that the phase serves, else the step down, if those who live are served there."""
    phase = plan.phases[index]
    older = [v for v in plan.versions if v in phase.serves and v not in live and _older(plan, v, live)]
    if len(live) > 1:
        return f"roll {live[0]}"
    if older:
        return f"roll {older[-1]}"
    if index == 0:
        return "nothing to go back from"
    below = plan.phases[index - 1]
    down = phase.up is None or phase.down is not None
    return below.name if down and set(live) <= below.serves and not plan.contracts(phase) else ""


def _older(plan: ChangePlan, version: str, live: tuple[str, ...]) -> bool:
    return all(plan.versions.index(version) < plan.versions.index(one) for one in live if one in plan.versions)


def _no_return(stops: Sequence[Stop]) -> str:
    return next((stop.phase for stop in stops if not stop.back), "")


def _gap(plan: ChangePlan, old: str, new: str) -> str:
    served = [phase for phase in plan.phases if {old, new} <= phase.serves]
    if served or old == new:
        return ""
    return f"no phase serves {old} and {new} at once: there is none in which to roll from one to the other"
