"""PURE and total: what to do next with a rollout. Level-triggered: each call looks at the whole world and decides anew.

The rules stand in the order in which they rule: an operator's word, an environment that fails, a version that fails, a
gate, an end, a bake, a stall; and only then the acts on the fleet.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import chain

from lab.gates import FELT, Judgement, Samples, judge
from lab.model import Cause, Check, Command, Ending, Health, OnFail, Replica, RolloutSpec, Strategy
from lab.planner.acts import ENDS, EVERYTHING, REPAIRS, UNPREPARED, WATCHES, Leave, acts_of
from lab.planner.decision import Decision, Over, Refused, Scaled, TryFailed, Turn, Wait
from lab.planner.fleet import Fleet
from lab.planner.slots import Kind
from lab.planner.state import RolloutState
from lab.transitions import ASKS_FOR, BACKWARDS, HELD, ROLLOUT, STILL, Happening, Phase

HOLD_RETRY_NS = 1_000_000_000
MOST_FALLS = 3
"""Who was ready and fell out of rotation so often is no good, however soon it comes back each time."""
MANY_RELAPSES = 3
_LEAVES: dict[Phase, Leave] = {
    Phase.ROLLING: EVERYTHING,
    Phase.BAKING: WATCHES,
    Phase.ROLLING_BACK: UNPREPARED,
    Phase.SETTLING: REPAIRS,
}
"""Elsewhere nothing more is begun, but what ends may end."""
_NS = 1_000_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Observations:
    """What is seen beside the fleet. `trouble`: what the engine or the proxy could not do, since the last decision.

    `samples`: of the target's replicas, since the run began.
    """

    now_ns: int
    samples: Samples = field(default_factory=Samples)
    trouble: str = ""


def decide(fleet: Fleet, spec: RolloutSpec, state: RolloutState, seen: Observations) -> Decision:
    """Return the acts that may be done now, all at once, or how the rollout goes on."""
    if isinstance(state.phase, Ending):
        return Over(ending=state.phase)
    if state.asked:
        return _answer(fleet, spec, state)
    look = _Look(fleet, spec, state, seen)
    ruling = next(look.rulings(), None)
    if ruling is not None:
        return ruling
    if seen.trouble:
        return look.rest()  # what it sees may be long ago
    return acts_of(fleet, spec, look.leave, seen.now_ns) or look.rest()


def _answer(fleet: Fleet, spec: RolloutSpec, state: RolloutState) -> Decision:
    asked = state.asked[0]
    if asked.command is Command.SCALE:
        return _scale(fleet, spec, state)
    happening = ASKS_FOR[asked.command]
    if (state.phase, happening) not in ROLLOUT:
        return Refused(why=f"cannot {asked.command} a rollout that is {state.phase}", answers=asked)
    to = state.target
    if happening is Happening.TURNED_BACK:
        back = asked.to or spec.back_to
        if back is None:
            return Refused(why="there is no revision to go back to", answers=asked)
        to = back
    return Turn(happening=happening, cause=Cause.OPERATOR, reason="asked by an operator", target=to, answers=asked)


def _scale(fleet: Fleet, spec: RolloutSpec, state: RolloutState) -> Decision:
    asked, before = state.asked[0], state.replicas
    now = asked.replicas or 0
    if now < 1:
        return Refused(why="a fleet has at least one replica", answers=asked)
    if state.phase is Phase.SETTLING:
        return Refused(why="cannot scale a rollout that is settling", answers=asked)
    old: tuple[int, ...] = ()
    if now > before and not state.backwards and spec.back_to not in {None, state.target}:
        waiting = len(fleet.listed(Kind.WELL)) + len(fleet.listed(Kind.SICK))
        old = tuple(range(before + 1, before + 1 + math.ceil((now - before) * waiting / before)))
    return Scaled(replicas=now, filled_old=old, answers=asked)


@dataclass(frozen=True, slots=True)
class _Look:
    fleet: Fleet
    spec: RolloutSpec
    state: RolloutState
    seen: Observations

    def rulings(self) -> Iterator[Decision]:
        """Whatever rules before the fleet's own acts, in order."""
        if self.state.phase in STILL:
            return
        rules = (
            (self._held, self._stalled)
            if self.state.phase in HELD
            else (self._trouble, self._failures, self._gate, self._end, self._stalled)
        )
        for rule in rules:
            ruling = rule()
            if ruling is not None:
                yield ruling

    @property
    def leave(self) -> Leave:
        phase = self.state.phase
        return _LEAVES.get(phase, ENDS) if isinstance(phase, Phase) else ENDS

    # the environment

    def _everyone_unready(self) -> bool:
        return self.state.phase in {Phase.ROLLING, Phase.BAKING, Phase.HOLDING} and self.fleet.everyone_unready

    def _trouble(self) -> Decision | None:
        return self._hold(self.seen.trouble) if self.seen.trouble else None

    def _hold(self, why: str) -> Decision:
        state, now = self.state, self.seen.now_ns
        if state.phase is Phase.SETTLING:
            if now - state.entered_ns < self.spec.hold_timeout * _NS:
                return Wait(on=f"the environment: {why}", until_ns=now + HOLD_RETRY_NS)
            return Turn(happening=Happening.FAILED, cause=Cause.ENVIRONMENT, reason=why)
        if self._held_for(now) >= self.spec.hold_timeout * _NS:
            return Turn(happening=Happening.PAUSED, cause=Cause.ENVIRONMENT, reason=why)
        return Turn(happening=Happening.HELD, cause=Cause.ENVIRONMENT, reason=why)

    def _held(self) -> Decision | None:
        now, state = self.seen.now_ns, self.state
        fails = self.seen.trouble or (state.reason if self._everyone_unready() else "")
        if fails and self._held_for(now) >= self.spec.hold_timeout * _NS:
            return Turn(happening=Happening.PAUSED, cause=Cause.ENVIRONMENT, reason=fails)
        if not fails and now - state.entered_ns >= HOLD_RETRY_NS:
            return Turn(happening=Happening.RELEASED, cause=Cause.ENVIRONMENT, reason="trying again")
        return None

    def _held_for(self, now_ns: int) -> int:
        return now_ns - (now_ns if self.state.held_since_ns is None else self.state.held_since_ns)

    # the version

    def _failures(self) -> Decision | None:
        failed = self._failed_slot()
        if failed is not None:
            return failed
        found = next(self._failing(), None)
        if found is not None and self._everyone_unready():
            return self._hold("the replicas that ran before are unready as well")
        return found

    def _failed_slot(self) -> Decision | None:
        state, spec = self.state, self.spec
        if state.hopeless:
            return self._fall(Cause.VERSION, "can hold neither version", state.hopeless)
        if not state.failed:
            return None
        slot, reason = next(iter(state.failed.items()))
        tolerated = len(state.failed) <= spec.max_failure_ratio * state.replicas
        if tolerated and spec.back_to is not None and not state.backwards and state.phase is not Phase.SETTLING:
            return None
        if len(state.failed) > 1:
            reason += f"; so {len(state.failed)} of {state.replicas} slots failed"
        return self._fall(Cause.VERSION, reason, slot)

    def _failing(self) -> Iterator[TryFailed]:
        state, spec = self.state, self.spec
        for slot, (name, why) in sorted(state.suspects.items()):
            yield self._try_failed(slot, name, why)
        for slot, deaths in sorted(state.deaths.items()):
            if deaths > spec.restarts and slot not in state.failed:
                why = f"died after it was ready, {deaths} death{'' if deaths == 1 else 's'} in its slot"
                yield TryFailed(slot=slot, replica="", reason=why, last=True)
        for r in self.fleet.unhealthy.values():
            said = f": {r.check_said}" if r.check_said else ""
            yield self._try_failed(r.slot, r.name, f"never became ready: its healthcheck gave it up{said}")
        first = self.fleet.first_joiner()
        if first is not None and first.joined_ns is not None:
            since = max(first.joined_ns, spec.since_ns, state.since_ns)
            if self.seen.now_ns - since > spec.ready_timeout * _NS:
                yield self._try_failed(first.slot, first.name, self._never_ready(first))
        yield from self._fallen()

    def _never_ready(self, r: Replica) -> str:
        why = f"never became ready within {self.spec.ready_timeout:g}s"
        if r.proven and r.check is Check.STARTING:
            return (
                f"{why}: its probes pass, and its healthcheck has not yet (it needs a shorter interval, or more time)"
            )
        flapping = f": its probes passed and failed in turn, {r.relapses} times"
        return why + (flapping if r.relapses >= MANY_RELAPSES else "")

    def _fallen(self) -> Iterator[TryFailed]:
        """Those that were ready once, and then fell out of rotation for long, or again and again."""
        for r in self.fleet.ailing.values():
            back_by = self._back_by(r)
            if back_by is None:
                continue
            if r.falls >= MOST_FALLS:
                yield self._try_failed(r.slot, r.name, f"was ready and not ready in turn, {r.falls} times")
            elif self.seen.now_ns > back_by:
                yield self._try_failed(r.slot, r.name, f"was not ready again within {self.spec.ready_timeout:g}s")

    def _back_by(self, r: Replica) -> int | None:
        """When one of the target that was ejected must be ready again. Who settles keeps the best that there is."""
        state = self.state
        if r.ejected_ns is None or r.revision != state.target or r.name in state.spoiled:
            return None
        if state.phase is Phase.SETTLING:
            return None
        return max(r.ejected_ns, self.spec.since_ns, state.since_ns) + int(self.spec.ready_timeout * _NS)

    def _try_failed(self, slot: int, name: str, why: str) -> TryFailed:
        last = self.state.tries.get(slot, 0) >= self.spec.retries and self.state.phase is not Phase.SETTLING
        return TryFailed(slot=slot, replica=name, reason=why, last=last)

    def _fall(self, cause: Cause, reason: str, slot: int = 0) -> Turn:
        """What becomes of a rollout that cannot go on: its own policy, but a rollback is never rolled back."""
        spec, to = self.spec, None
        if self.state.phase is Phase.SETTLING:
            happening = Happening.FAILED
        elif self.state.phase in BACKWARDS or spec.on_fail is OnFail.PAUSE:
            happening = Happening.PAUSED
        elif spec.on_fail is OnFail.ABORT:
            happening = Happening.ABORTED
        elif spec.back_to is None:
            happening = Happening.FAILED
        else:
            happening, to = Happening.TURNED_BACK, spec.back_to
        return Turn(happening=happening, cause=cause, reason=reason, slot=slot, target=to)

    # gates and bakes

    def _gate(self) -> Decision | None:
        gates = self.spec.gates
        if self.state.backwards:
            # what users feel now, the version that is taken back does to them
            gates = tuple(gate for gate in gates if gate.measure not in FELT)
        if not gates or self.state.phase is Phase.SETTLING:
            return None
        verdict = judge(self.seen.samples.since(self.state.mark), gates)
        if verdict.judgement is not Judgement.FAILED:
            return None
        return self._fall(Cause.GATE, "; ".join(verdict.reasons))

    def _end(self) -> Decision | None:
        """A wave serves, a bake is over, or all is reached."""
        if self.fleet.moving:
            return None
        if self.state.phase is Phase.BAKING:
            return self._bake_ends()
        if self._unbaked():
            return Turn(happening=Happening.WAVE_SERVES, cause=Cause.VERSION)
        if not self.fleet.whole:
            return None
        if self.state.failed and self.state.phase is Phase.ROLLING:
            names = ", ".join(str(slot) for slot in sorted(self.state.failed))
            return Turn(
                happening=Happening.PAUSED,
                cause=Cause.VERSION,
                reason=f"all but slots {names} took it, which is within the failure ratio",
                slot=min(self.state.failed),
            )
        return Turn(happening=Happening.REACHED, cause=Cause.VERSION)

    def _unbaked(self) -> bool:
        """There are new ones that serve and were not watched yet. A way back is not baked: nothing better is left."""
        if self.state.phase is not Phase.ROLLING:
            return False
        short = self._is_last and self.state.baked_for_ns < self._bake_seconds() * _NS
        if self.fleet.serving <= self.state.baked and not short:
            return False
        if not self._is_last and self.spec.strategy is not Strategy.WAVES:
            return False
        return bool(self.spec.gates) or self._bake_seconds() > 0

    def _bake_seconds(self) -> float:
        return max(self.spec.bake, self.spec.wave_bake) if self._is_last else self.spec.wave_bake

    @property
    def _is_last(self) -> bool:
        """Nothing is left to replace."""
        return not any(self.fleet.listed(kind) for kind in (Kind.EMPTY, Kind.SICK, Kind.WELL))

    def _bake_ends(self) -> Decision | None:
        state, now = self.state, self.seen.now_ns
        over_ns = state.entered_ns + int(self._bake_seconds() * _NS)
        if now < over_ns or self.fleet.ailing:
            return None
        verdict = judge(self.seen.samples.since(state.mark), self.spec.gates)
        if verdict.judgement is Judgement.OK:
            return Turn(happening=Happening.BAKED, cause=Cause.GATE, reason="; ".join(verdict.reasons))
        if now - over_ns < self.spec.gate_patience * _NS:
            return None
        why = "inconclusive: " + "; ".join(verdict.reasons)
        return Turn(happening=Happening.PAUSED, cause=Cause.NO_DATA, reason=why)

    # no wait is without an end

    def _stalled(self) -> Decision | None:
        state, spec = self.state, self.spec
        allowed = spec.progress_timeout
        if state.phase is Phase.BAKING:
            allowed += self._bake_seconds() + spec.gate_patience
        elif state.phase in HELD:
            allowed += spec.hold_timeout
        if self.seen.now_ns - state.progress_ns <= allowed * _NS:
            return None
        why = f"no progress for {allowed:g}s: {self.rest().on}"
        ailing = next(iter(self.fleet.ailing.values()), None)
        if ailing is not None and not self._everyone_unready():
            return self._fall(Cause.VERSION, why, ailing.slot)
        if state.phase is Phase.SETTLING:
            return self._fall(Cause.STALL, why)
        return Turn(happening=Happening.PAUSED, cause=Cause.STALL, reason=why)

    def rest(self) -> Wait:
        """What is waited for, and until when."""
        spec, state, fleet = self.spec, self.state, self.fleet
        if state.phase in STILL:
            return Wait(on="lab resume, lab rollback or lab abort")
        if state.phase in HELD:
            return Wait(on=f"the environment: {state.reason}", until_ns=self.seen.now_ns + HOLD_RETRY_NS)
        drain, joiner = fleet.first_drain(), fleet.first_joiner()
        if drain is not None:
            endless = f" ({drain.endless})" if drain.endless else ""
            return Wait(on=f"{drain.name} to drain, {drain.in_flight} in flight{endless}", until_ns=drain.deadline_ns)
        if joiner is not None:
            since = max(joiner.joined_ns or 0, spec.since_ns, state.since_ns)
            what = "pass its healthcheck" if joiner.proven and joiner.check else "become ready"
            return Wait(on=f"{joiner.name} to {what}", until_ns=since + int(spec.ready_timeout * _NS))
        if state.phase is Phase.BAKING and not fleet.ailing:
            return self._bake_rest()
        sick = next(chain(fleet.ailing.values(), (r for s in fleet.listed(Kind.SICK) for r in fleet.of(s))), None)
        if sick is None:
            return Wait(on="the fleet to settle")
        again = ", since the proxy came back" if sick.health is Health.UNPROVEN else " again"
        return Wait(on=f"{sick.name} to answer its probes{again}", until_ns=self._back_by(sick))

    def _bake_rest(self) -> Wait:
        over_ns = self.state.entered_ns + int(self._bake_seconds() * _NS)
        if self.seen.now_ns < over_ns:
            return Wait(on="the bake to end", until_ns=over_ns)
        return Wait(on="enough requests to judge by", until_ns=over_ns + int(self.spec.gate_patience * _NS))
