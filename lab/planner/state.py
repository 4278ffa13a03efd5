"""PURE: where a rollout stands, as a fold over its journal. Killed and started again, it knows what it knew."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from lab.gates import Felt, Samples
from lab.model import Asked, Cause, Command, Ending, Place, Verb
from lab.planner.slots import Aim
from lab.ports import Event
from lab.transitions import BACKWARDS, HELD, ROLLOUT, Happening, Phase

_PROGRESS = frozenset({Verb.ADMIT, Verb.RETIRE, Verb.RESTORE, Verb.DELETE})
_LEAVES = frozenset({Happening.PAUSED, Happening.TURNED_BACK, Happening.ABORTED, Happening.FAILED})


@dataclass(slots=True, kw_only=True)
class RolloutState:
    """What one rollout must remember. Fed with every event of its run, oldest first.

    suspects: slot -> (replica, why) of those that ended before they were ever ready, and nobody judged yet.
    baked: how many replicas of the target served when it was last baked.
    """

    run: str
    target: int
    replicas: int
    earlier: frozenset[str] = frozenset()
    """The runs that this one goes on with."""
    phase: Phase | Ending = Phase.ROLLING
    cause: Cause | None = None
    reason: str = ""
    why: str = ""
    """Of the last time that it left its way."""
    entered_ns: int = 0
    held_since_ns: int | None = None
    since_ns: int = 0
    progress_ns: int = 0
    baked: int = 0
    baked_for_ns: int = 0
    mark: Samples = field(default_factory=Samples)
    asked: list[Asked] = field(default_factory=list)
    tries: dict[int, int] = field(default_factory=dict)
    deaths: dict[int, int] = field(default_factory=dict)
    suspects: dict[int, tuple[str, str]] = field(default_factory=dict)
    spoiled: frozenset[str] = frozenset()
    failed: dict[int, str] = field(default_factory=dict)
    hopeless: int = 0
    filled_old: frozenset[int] = frozenset()

    @property
    def backwards(self) -> bool:
        return self.phase in BACKWARDS

    def aim(self, back_to: int | None, *, wait_for_drain: bool) -> Aim:
        """What the fleet is to become. A slot that failed keeps, or gets again, what ran before."""
        old = () if back_to is None else (*(self.failed if not self.backwards else ()), *self.filled_old)
        return Aim(
            target=self.target,
            replicas=self.replicas,
            settle=self.phase is Phase.SETTLING,
            wait_for_drain=wait_for_drain,
            goals=dict.fromkeys(old, back_to) if back_to is not None else {},
            spoiled=self.spoiled,
        )

    def add(self, event: Event) -> bool:
        """Return whether the aim may be another now."""
        if event.run != self.run and event.run not in self.earlier:
            return False
        hear = _HEAR.get(event.type)
        return hear(self, event.data, event.t_ns) if hear else False

    def _act_done(self, d: Mapping[str, Any], t_ns: int) -> bool:
        verb = d["verb"]
        if verb not in _PROGRESS or "refused" in d:
            return False
        self.progress_ns = t_ns
        self.held_since_ns = None
        if verb == Verb.ADMIT and self.phase is Phase.BAKING:
            self.entered_ns = t_ns  # it is new: it was not watched as long as the others
        if verb == Verb.ADMIT and d["slot"] in self.filled_old:
            self.filled_old -= {d["slot"]}
            return True
        return False

    def _died(self, d: Mapping[str, Any], _: int) -> bool:
        slot, name = d["slot"], d["replica"]
        if slot in self.filled_old:
            self.filled_old -= {slot}
            return True
        if d["revision"] != self.target and self.phase is not Phase.SETTLING and slot not in self.failed:
            return False
        if d["place"] == Place.READY:
            self.deaths[slot] = self.deaths.get(slot, 0) + 1
            self.baked = max(self.baked - 1, 0)  # who comes for it was not watched yet
        elif name not in self.spoiled and d["place"] in {Place.JOINING, None}:
            self.suspects[slot] = (name, "ended before it was ever ready")
        return False

    def _try_failed(self, d: Mapping[str, Any], _: int) -> bool:
        slot = d["slot"]
        self.suspects.pop(slot, None)
        self.spoiled |= {d["replica"]}
        if slot in self.filled_old:
            self.filled_old -= {slot}
            return True
        if slot in self.failed or self.phase is Phase.SETTLING:
            self.hopeless = self.hopeless or (slot if slot in self.tries else 0)
        self.tries[slot] = self.tries.get(slot, 0) + 1
        if d["last"]:
            self.failed[slot] = d["reason"]
        return True

    def _phase_changed(self, d: Mapping[str, Any], t_ns: int) -> bool:
        happening = Happening(d["happening"])
        if isinstance(self.phase, Ending):
            return False
        if happening is Happening.BAKED:
            self.baked, self.baked_for_ns = d["serving"], t_ns - self.entered_ns
        self.phase = ROLLOUT[self.phase, happening]
        self.cause, self.reason = Cause(d["cause"]), d["reason"]
        if happening in _LEAVES:
            self.why = d["reason"]
        self.entered_ns = self.progress_ns = t_ns
        felt = Felt(ended=d.get("ended", 0), dropped=d.get("dropped", 0))
        self.mark = Samples(requests=d["requests"], errors=d["errors"], felt=felt)
        self.target = d["target"]
        self._answered(d)
        if self.phase in HELD:
            self.suspects.clear()  # whatever ended then is not the version's doing
            self.held_since_ns = self.held_since_ns or t_ns
        elif happening is Happening.RELEASED:
            self.since_ns = t_ns
        elif happening in {Happening.RESUMED, Happening.TURNED_BACK, Happening.ABORTED}:
            self._begin_afresh(t_ns)
        return True

    def _begin_afresh(self, t_ns: int) -> None:
        self.since_ns, self.held_since_ns, self.hopeless = t_ns, None, 0
        self.filled_old = frozenset()
        for memory in (self.tries, self.deaths, self.suspects, self.failed):
            memory.clear()

    def _asked(self, d: Mapping[str, Any], _: int) -> bool:
        command = Command(d["command"])
        self.asked.append(Asked(number=d["number"], command=command, replicas=d.get("replicas"), to=d.get("to")))
        return False

    def _scaled(self, d: Mapping[str, Any], t_ns: int) -> bool:
        self.replicas, self.progress_ns = d["replicas"], t_ns
        self.filled_old = frozenset(s for s in {*self.filled_old, *d["filled_old"]} if s <= self.replicas)
        for memory in (self.failed, self.tries, self.deaths, self.suspects):
            for slot in [slot for slot in memory if slot > self.replicas]:
                del memory[slot]
        self._answered(d)
        return True

    def _refused(self, d: Mapping[str, Any], _: int) -> bool:
        self._answered(d)
        return False

    def _answered(self, d: Mapping[str, Any]) -> None:
        self.asked = [asked for asked in self.asked if asked.number != d.get("answers")]

    def _looked_away(self, _: Mapping[str, Any], t_ns: int) -> bool:
        """Nobody looked for a while, or the clock jumped: no deadline counts that."""
        self.since_ns = self.progress_ns = t_ns
        if self.phase is Phase.BAKING:
            self.entered_ns = t_ns  # nobody watched
        self.entered_ns = min(self.entered_ns, t_ns)
        return False


_HEAR: dict[str, Callable[[RolloutState, Mapping[str, Any], int], bool]] = {
    "act-done": RolloutState._act_done,  # noqa: SLF001  its own table
    "replica-died": RolloutState._died,  # noqa: SLF001
    "try-failed": RolloutState._try_failed,  # noqa: SLF001
    "phase-changed": RolloutState._phase_changed,  # noqa: SLF001
    "asked": RolloutState._asked,  # noqa: SLF001
    "scaled": RolloutState._scaled,  # noqa: SLF001
    "refused": RolloutState._refused,  # noqa: SLF001
    "looked-away": RolloutState._looked_away,  # noqa: SLF001
    "rollout-started": RolloutState._looked_away,  # noqa: SLF001
    "rollout-resumed": RolloutState._looked_away,  # noqa: SLF001
}
