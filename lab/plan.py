"""PURE: what a rollout would do, wave by wave. It is read off a simulated journal: the planner itself made it."""

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field

from lab.gates import Measure
from lab.model import RolloutSpec, Strategy
from lab.planner.acts import DRAIN_OVERDUE_NS
from lab.planner.ladder import Finding, seconds_to_notice
from lab.ports import Event, Readiness


@dataclass(frozen=True, slots=True, kw_only=True)
class Wave:
    """Slots that start and slots that stop first, and what the fleet is like meanwhile. Seconds since the beginning."""

    number: int
    starts: tuple[int, ...]
    stops: tuple[int, ...]
    ready_min: int
    ready_max: int
    total_max: int
    versions: tuple[str, ...]
    together: bool
    """Whether these versions ever run side by side."""
    begins: float
    ends: float
    share_new: float
    """Of the requests, that the new version answers once the wave serves."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Notice:
    """How soon a version that is bad in this way is found out, and what share of the requests sees it until then.

    `seconds` None: never.
    """

    bad: str
    seconds: float | None
    share: float


@dataclass(frozen=True, slots=True, kw_only=True)
class SchemaStep:
    """A step of the schema that the roll takes before its first replica. `contents`: its transactions, in order."""

    phase: str
    command: str
    serves: tuple[str, ...]
    contents: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """schema_phase: the database's; None: no lab is up, and the plan is made from the first phase on."""

    source: str
    target: str
    replicas: int
    strategy: Strategy
    surge: int
    unavailable: int
    waves: tuple[Wave, ...]
    peak: int
    lowest: int
    expected_seconds: float
    worst_seconds: float
    notices: tuple[Notice, ...]
    findings: tuple[Finding, ...]
    schema_must_serve: tuple[str, ...] = ()
    schema_phases: tuple[str, ...] = ()
    schema_phase: str | None = None
    schema_steps: tuple[SchemaStep, ...] = ()
    schema_unserved: tuple[str, ...] = ()
    marks: tuple[str, ...] = ()

    def to_json(self) -> dict[str, object]:
        return {"schema": "lab.plan/1", **asdict(self)}


@dataclass(slots=True, kw_only=True)
class _Draft:
    begins: int
    ends: int
    starts: list[int] = field(default_factory=list)
    stops: list[int] = field(default_factory=list)
    ready: list[int] = field(default_factory=list)
    total: list[int] = field(default_factory=list)
    live: set[int] = field(default_factory=set)
    together: bool = False
    share_new: float = 0.0


@dataclass(slots=True, kw_only=True)
class _Reader:
    """Counts as the journal goes. A slot is open until its old one is gone and the new one serves."""

    old: int
    new: int
    rolling: bool
    ready: dict[int, int]
    total: dict[int, int]
    drafts: list[_Draft] = field(default_factory=list)
    open: dict[int, set[str]] = field(default_factory=dict)

    def hear(self, event: Event) -> None:
        d, verb = event.data, event.data["verb"]
        if event.type == "act-intended":
            if verb in {"start", "retire"} and d["slot"] not in self.open:
                self._begin(verb, d["slot"], event.t_ns)
            return
        if not self.drafts:
            return
        by = {"start": (1, 0), "admit": (0, 1), "retire": (0, -1), "stop": (-1, 0)}.get(verb, (0, 0))
        self.total[d["revision"]] += by[0]
        self.ready[d["revision"]] += by[1]
        self._mark(event.t_ns)
        if verb in {"admit", "stop"} and d["slot"] in self.open:
            self.open[d["slot"]].add(verb)
            if len(self.open[d["slot"]]) == len(("admit", "stop")):
                del self.open[d["slot"]]

    def _begin(self, verb: str, slot: int, t_ns: int) -> None:
        apart = not self.drafts or self.drafts[-1].begins != t_ns
        if apart and (self.rolling or not self.open):
            self.drafts.append(_Draft(begins=t_ns, ends=t_ns))
            self._mark(t_ns)
        self.open[slot] = set()
        draft = self.drafts[-1]
        (draft.starts if verb == "start" else draft.stops).append(slot)

    def _mark(self, t_ns: int) -> None:
        draft, ready = self.drafts[-1], sum(self.ready.values())
        draft.ends = t_ns
        draft.ready.append(ready)
        draft.total.append(sum(self.total.values()))
        live = {revision for revision, many in self.total.items() if many}
        draft.live |= live
        draft.together = draft.together or len(live) > 1
        draft.share_new = max(draft.share_new, self.ready[self.new] / ready if ready else 0.0)


def waves_of(events: Iterable[Event], spec: RolloutSpec, names: Mapping[int, str]) -> tuple[Wave, ...]:
    """`events`: of a rollout without faults, of a fleet all of which serves `spec.back_to`."""
    old, n = spec.back_to or 0, spec.replicas
    rolling = spec.strategy is Strategy.ROLLING
    reader = _Reader(
        old=old, new=spec.target, rolling=rolling, ready={old: n, spec.target: 0}, total={old: n, spec.target: 0}
    )
    for event in events:
        if event.type in {"act-intended", "act-done"}:
            reader.hear(event)
    first = reader.drafts[0].begins if reader.drafts else 0
    return tuple(_wave(number, draft, first, names) for number, draft in enumerate(reader.drafts, 1))


def _wave(number: int, draft: _Draft, first_ns: int, names: Mapping[int, str]) -> Wave:
    return Wave(
        number=number,
        starts=tuple(draft.starts),
        stops=tuple(draft.stops),
        ready_min=min(draft.ready),
        ready_max=max(draft.ready),
        total_max=max(draft.total),
        versions=tuple(names[revision] for revision in sorted(draft.live)),
        together=draft.together,
        begins=(draft.begins - first_ns) / 1e9,
        ends=(draft.ends - first_ns) / 1e9,
        share_new=draft.share_new,
    )


def worst_seconds(spec: RolloutSpec, waves: int, stop_grace: float) -> float:
    """Every replica is ready at the last moment, every drain meets its deadline, every stop its grace period."""
    patience = spec.gate_patience if spec.gates else 0.0
    each = spec.ready_timeout + spec.drain_timeout + DRAIN_OVERDUE_NS / 1e9 + stop_grace
    baked = spec.strategy is Strategy.WAVES and (spec.wave_bake > 0 or spec.gates)
    each += spec.wave_bake + patience if baked else 0.0
    return waves * each + spec.bake + patience


def notices_of(spec: RolloutSpec, readiness: Readiness, waves: tuple[Wave, ...], rate: float) -> tuple[Notice, ...]:
    first = waves[0].share_new if waves else 0.0
    watched = spec.wave_bake if spec.strategy is Strategy.WAVES and (spec.wave_bake or spec.gates) else 0.0
    errors = [gate for gate in spec.gates if gate.measure is Measure.ERROR_RATIO]
    noticed, share = None, 1.0
    if errors and first:
        needed = max(gate.minimum for gate in errors) / (rate * first)
        noticed, share = max(needed, watched), first
    sick = seconds_to_notice(readiness)
    return (
        Notice(bad="never ready", seconds=spec.ready_timeout, share=0.0),
        Notice(bad="ends at its start", seconds=0.0, share=0.0),
        Notice(bad="ready, then not any more", seconds=sick, share=first),
        Notice(bad="ready, and answers errors", seconds=noticed, share=share),
    )
