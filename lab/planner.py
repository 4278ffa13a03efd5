"""PURE: what to do next with a fleet. Level-triggered: each call looks at the whole world and decides anew.

A wave is the set of slots in transition; a new one begins when none is. Inside a wave up to `surge` slots start their
new replica first and up to `unavailable` slots stop their old one first. Worked example, N 3, surge 1, unavailable 0:

    slots 1 2 3: old old old -> create 1.2, admit it, retire 1.1, stop it -> slot 2 -> slot 3

The budgets are P3: running replicas, draining ones included, never above N + surge; available ones never taken below
N - unavailable by an act of ours. What is dead or was never ready costs no budget.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from lab.model import (
    Act,
    Container,
    Decision,
    Done,
    Failed,
    Fleet,
    Health,
    Place,
    Replica,
    RolloutSpec,
    Verb,
    Wait,
    replica_name,
)

DRAIN_OVERDUE_NS = 5_000_000_000
"""The proxy ends a drain at its deadline; one that is this late is not waited for any longer."""


def decide(fleet: Fleet, spec: RolloutSpec, service: str) -> Decision:
    """Return the acts that may be done now, all at once, or how the rollout stands."""
    view = _View(fleet=fleet, spec=spec)
    failed = _failure(view)
    if failed:
        return failed
    acts = [*_housekeeping(view), *_restore(view)]
    acts += _replace(view, service, [act for act in acts if act.verb is Verb.ADMIT])
    if acts:
        return tuple(acts)
    return Done() if _is_done(view) else _waiting(view)


@dataclass(frozen=True, slots=True, kw_only=True)
class _View:
    fleet: Fleet
    spec: RolloutSpec

    @property
    def slots(self) -> range:
        return range(1, self.spec.replicas + 1)

    def of(self, slot: int) -> list[Replica]:
        return [r for r in self.fleet.replicas if r.slot == slot]

    def wanted(self, replica: Replica) -> bool:
        """It is the replica of the target that its slot keeps: the newest one that is not on its way out."""
        if replica.revision != self.spec.target or replica.slot > self.spec.replicas:
            return False
        rivals = [r for r in self.of(replica.slot) if _keeps(r) and r.revision == self.spec.target]
        return _keeps(replica) and replica.generation == max(r.generation for r in rivals)

    def kept(self, slot: int) -> Replica | None:
        return next((r for r in self.of(slot) if self.wanted(r)), None)

    def outgoing(self, slot: int) -> list[Replica]:
        """Those that serve or were to serve, and have to go."""
        return [r for r in self.of(slot) if r.alive and _keeps(r) and r.place and not self.wanted(r)]

    def leaving(self, slot: int) -> list[Replica]:
        return [r for r in self.of(slot) if r.alive and r.retiring]

    def in_transition(self, slot: int) -> bool:
        kept, outgoing = self.kept(slot), self.outgoing(slot)
        if self.leaving(slot) or (kept is None and not outgoing):
            return True
        return kept is not None and (bool(outgoing) or not kept.available)

    def overdue(self, replica: Replica) -> bool:
        deadline = replica.deadline_ns
        return deadline is not None and self.fleet.now_ns > deadline + DRAIN_OVERDUE_NS


def _keeps(replica: Replica) -> bool:
    return replica.container is not Container.EXITED and not replica.retiring


def _failure(view: _View) -> Failed | None:
    spec, now = view.spec, view.fleet.now_ns
    for slot in sorted(view.fleet.early_deaths):
        return Failed(slot=slot, reason="ended before it was ever ready")
    for slot, deaths in sorted(view.fleet.late_deaths.items()):
        if deaths > spec.restarts:
            return Failed(slot=slot, reason=f"died {deaths} times after it was ready")
    for r in view.fleet.replicas:
        overdue = r.joined_ns is not None and now - max(r.joined_ns, spec.since_ns) > spec.ready_timeout * 1e9
        if view.wanted(r) and r.place is Place.JOINING and not r.proven and overdue:
            return Failed(slot=r.slot, reason=f"never became ready within {spec.ready_timeout:g}s")
    return None


def _housekeeping(view: _View) -> Iterator[Act]:
    """What every replica needs next on its own way in or out; costs no budget."""
    for r in view.fleet.replicas:
        verb = _next_step(r, wanted=view.wanted(r), waits=view.spec.wait_for_drain and not view.overdue(r))
        if verb:
            yield _act(verb, r)


def _next_step(r: Replica, *, wanted: bool, waits: bool) -> Verb | None:
    if r.container is Container.EXITED:
        return Verb.UNROUTE if r.place else Verb.DELETE
    if r.container is Container.CREATED:
        return Verb.START if wanted else Verb.DELETE
    match r.place:
        case None:
            return Verb.JOIN if wanted else Verb.STOP
        case Place.REMOVABLE:
            return Verb.STOP
        case Place.DRAINING:
            return None if waits else Verb.STOP
        case Place.JOINING if wanted and r.proven:
            return Verb.ADMIT
        case Place.JOINING if not wanted:
            return Verb.RETIRE  # never ready: it costs no availability
        case _:
            return None


def _restore(view: _View) -> Iterator[Act]:
    """Surviving replicas of the target that are draining go back first: it is the cheapest capacity there is."""
    if not view.spec.wait_for_drain:
        return
    for slot in view.slots:
        survivors = [
            r
            for r in view.leaving(slot)
            if r.revision == view.spec.target and r.place is Place.DRAINING and r.health is Health.UP and r.proven
            if not view.overdue(r)
        ]
        if survivors and view.kept(slot) is None:
            yield _act(Verb.RESTORE, max(survivors, key=lambda r: r.generation))


def _replace(view: _View, service: str, admitted: list[Act]) -> list[Act]:
    """Creations and retirements, within the budgets of P3."""
    spec, replicas = view.spec, view.fleet.replicas
    room = spec.replicas + spec.surge - sum(r.container is not Container.EXITED for r in replicas)
    spare = sum(r.available for r in replicas) - (spec.replicas - spec.unavailable)
    creations, retirements = _candidates(view, idle=not admitted)
    # an address is reused at once: nothing new may get the one of a dead replica that is still routed
    haunted = any(r.container is Container.EXITED and r.place for r in replicas)
    acts = [] if haunted else [_creation(view, slot, service) for slot in creations[: max(room, 0)]]
    acts += [_act(Verb.RETIRE, r) for r in _affordable(retirements, spare)]
    return acts


def _candidates(view: _View, *, idle: bool) -> tuple[list[int], list[Replica]]:
    """Slots that may get a replica of the target now, and replicas that may go now, most urgent first."""
    empty = [s for s in view.slots if view.kept(s) is None and not view.outgoing(s)]
    empty = [s for s in empty if not any(r.revision == view.spec.target for r in view.leaving(s))]
    beyond = sorted({r.slot for r in view.fleet.replicas if r.slot > view.spec.replicas})
    replaced = [r for s in view.slots if _serves(view.kept(s)) for r in view.outgoing(s)]
    surplus = [r for s in beyond for r in view.outgoing(s) if r.place is Place.READY]
    if not idle or any(view.in_transition(s) for s in view.slots):
        return empty, replaced + surplus
    waiting = sorted(
        (s for s in view.slots if view.kept(s) is None),
        key=lambda s: (any(r.available for r in view.outgoing(s)), s),
    )
    first, second = waiting[: view.spec.surge], waiting[view.spec.surge :]
    wave = [r for s in second[: view.spec.unavailable] for r in view.outgoing(s)]
    return empty + first, replaced + surplus + wave


def _affordable(retirements: list[Replica], spare: int) -> Iterator[Replica]:
    for r in retirements:
        if r.may_serve:
            if spare <= 0:
                continue
            spare -= 1
        if r.place is Place.READY:
            yield r


def _serves(replica: Replica | None) -> bool:
    return replica is not None and replica.available


def _creation(view: _View, slot: int, service: str) -> Act:
    seen = max((r.generation for r in view.of(slot)), default=0)
    generation = max(seen, view.fleet.generations.get(slot, 0)) + 1
    return Act(verb=Verb.CREATE, replica=replica_name(service, slot, generation), slot=slot, generation=generation)


def _act(verb: Verb, replica: Replica) -> Act:
    return Act(verb=verb, replica=replica.name, slot=replica.slot, generation=replica.generation)


def _is_done(view: _View) -> bool:
    if len(view.fleet.replicas) != view.spec.replicas:
        return False
    return all(_serves(view.kept(slot)) for slot in view.slots)


def _waiting(view: _View) -> Wait:
    spec = view.spec
    for r in view.fleet.replicas:
        if r.place is Place.DRAINING:
            endless = f" ({r.endless})" if r.endless else ""
            return Wait(on=f"{r.name} to drain, {r.in_flight} in flight{endless}", until_ns=r.deadline_ns)
    for r in view.fleet.replicas:
        if r.place is Place.JOINING and r.joined_ns is not None:
            until = max(r.joined_ns, spec.since_ns) + int(spec.ready_timeout * 1e9)
            return Wait(on=f"{r.name} to become ready", until_ns=until)
    for r in view.fleet.replicas:
        if r.place is Place.READY and r.health is not Health.UP:
            again = " again" if r.health is Health.EJECTED else ", since the proxy came back"
            return Wait(on=f"{r.name} to answer its probes{again}")
    return Wait(on="the fleet to settle")
