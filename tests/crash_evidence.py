"""What must hold of a rollout whose controller was killed, read off its journal and its points by rules of its own."""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from lab.ports import Event
from tests.crash_at import Passed

JOINS = {"admit", "restore"}
_RECORDS = [f"{at} record {type}" for type in ("act-intended", "act-done") for at in ("before", "after")]


def points_missing(points: Sequence[Passed], events: Iterable[Event]) -> list[str]:
    """Where the list of points is not what the journal says.

    Every record has two. An act has its intent's two, two of each of its effects, and its end's two, in this order.
    """
    events = list(events)
    seqs = {point.seq for point in points if point.name.startswith("after record")}
    found = [f"record {event.seq} {event.type} has no point" for event in events if event.seq not in seqs]
    passed: dict[str, list[str]] = defaultdict(list)
    for point in points:
        if point.verb:
            passed[point.replica].append(point.name)
    for event in events:
        if event.type == "act-done":
            found += _next_act(event.data["verb"], event.data["replica"], passed)
    return found + [f"{replica}: no act has {names}" for replica, names in passed.items() if names]


def _next_act(verb: str, replica: str, passed: dict[str, list[str]]) -> list[str]:
    names = passed[replica]
    end = next((i for i, name in enumerate(names) if name == _RECORDS[-1]), len(names) - 1)
    act, passed[replica] = names[: end + 1], names[end + 1 :]
    effects = act[2:-2]
    whole = [*_RECORDS[:2], *effects, *_RECORDS[2:]] == act and len(effects) >= 2
    pairs = [f"{at} {name.partition(' ')[2]}" for name in effects[::2] for at in ("before", "after")]
    return [] if whole and pairs == effects and f"before {verb}" in effects else [f"{verb} {replica} has {act}"]


@dataclass(slots=True)
class Fleet:
    """As the journal tells it: who runs, and who is given requests."""

    running: set[str] = field(default_factory=set)
    ready: set[str] = field(default_factory=set)

    started_by: Mapping[str, str] = field(default_factory=dict)
    """Replica -> the act that lets it run. One that is only made is in no budget."""

    def begins(self, verb: str, replica: str) -> None:
        """The worst that an act may be from its beginning on."""
        if verb == self.started_by.get(replica):
            self.running.add(replica)
        elif verb == "retire":
            self.ready.discard(replica)

    def ends(self, verb: str, replica: str) -> None:
        if verb == self.started_by.get(replica):
            self.running.add(replica)
        elif verb in JOINS:
            self.ready.add(replica)
        elif verb == "retire":
            self.ready.discard(replica)
        elif verb in {"stop", "delete"}:
            self.running.discard(replica)
            self.ready.discard(replica)

    def dies(self, replica: str) -> None:
        self.running.discard(replica)
        self.ready.discard(replica)


def budgets_broken(events: Iterable[Event], fleet: Fleet | None = None) -> list[str]:
    """P3, act by act: every rollout's own surge and unavailable, by none of the planner's arithmetic."""
    events = list(events)
    fates = dict(_fates(events))
    fleet, spec = fleet or Fleet(), {"replicas": 0, "surge": 0, "unavailable": 0}
    fleet.started_by = _started_by(events)
    broken: list[str] = []
    for event in events:
        data = event.data
        if event.type == "rollout-started":
            spec = {**data["spec"]}
        elif event.type == "lab-removed":
            fleet = Fleet(started_by=fleet.started_by)
        elif event.type == "scaled":
            spec["replicas"] = data["replicas"]
        elif event.type == "replica-died":
            fleet.dies(data["replica"])
        elif event.type == "act-intended" and fates.get(event.seq, True):
            before = len(fleet.running), len(fleet.ready)
            fleet.begins(data["verb"], data["replica"])
            broken += [f"record {event.seq}: {why}" for why in _broken(fleet, before, spec)]
            if event.seq in fates:
                fleet.ends(data["verb"], data["replica"])
        elif event.type == "act-done" and "refused" not in data:
            fleet.ends(data["verb"], data["replica"])
    return broken


def _started_by(events: Iterable[Event]) -> dict[str, str]:
    """A start of its own, or else the creation of what was then used; what was made and deleted never ran."""
    verbs: dict[str, set[str]] = defaultdict(set)
    for event in events:
        if event.type == "act-intended":
            verbs[event.data["replica"]].add(event.data["verb"])
    return {
        replica: "start" if "start" in its else "create"
        for replica, its in verbs.items()
        if its & {"start", "join", "stop"}
    }


def _broken(fleet: Fleet, before: tuple[int, int], spec: Mapping[str, Any]) -> Iterator[str]:
    """Only what this act made worse: a fleet that lost replicas is below its budget by nobody's act."""
    most, least = spec["replicas"] + spec["surge"], spec["replicas"] - spec["unavailable"]
    if before[0] < len(fleet.running) > most:
        yield f"{len(fleet.running)} run, {most} may"
    if before[1] > len(fleet.ready) < least:
        yield f"{len(fleet.ready)} are ready, {least} must be"


def _fates(events: Sequence[Event]) -> Iterator[tuple[int, bool]]:
    """Of intents without an end, whether they were carried out: the controller that came next knew, and so acted."""
    acts = [e for e in events if e.type in {"act-intended", "act-done"}]
    for i, event in enumerate(acts):
        if event.type != "act-intended":
            continue
        verb, replica = event.data["verb"], event.data["replica"]
        later = [e for e in acts[i + 1 :] if e.data["replica"] == replica]
        same = next((e for e in later if e.data["verb"] == verb), None)
        if same is None:
            yield event.seq, bool(later) or verb != "create"
        elif same.type == "act-intended":
            yield event.seq, False
