"""What must hold of a rollout whose controller was killed, read off its journal and its points by rules of its own."""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from lab.ports import Event
from tests.crash_at import Passed

STARTS, JOINS = {"start"}, {"admit", "restore"}


def points_missing(points: Sequence[Passed], events: Iterable[Event]) -> list[str]:
    """Where the list of points is not what the journal says: six of every act, two of every other record."""
    events = list(events)
    seqs = [point.seq for point in points if point.name.startswith("after record")]
    found = [f"record {event.seq} {event.type} has no point" for event in events if event.seq not in seqs]
    acts: dict[tuple[str, str], list[str]] = defaultdict(list)
    for point in points:
        if point.verb:
            acts[point.verb, point.replica].append(point.name)
    done = [(e.data["verb"], e.data["replica"]) for e in events if e.type == "act-done"]
    for act in done:
        expected = _points_of(act[0])
        if acts.get(act) != expected:
            found.append(f"{act} has the points {acts.get(act)}")
    return found + [f"{act} is in no journal: {names}" for act, names in acts.items() if act not in done]


def _points_of(verb: str) -> list[str]:
    return [
        "before record act-intended",
        "after record act-intended",
        f"before {verb}",
        f"after {verb}",
        "before record act-done",
        "after record act-done",
    ]


@dataclass(slots=True)
class Fleet:
    """As the journal tells it: who runs, and who is given requests."""

    running: set[str] = field(default_factory=set)
    ready: set[str] = field(default_factory=set)

    def begins(self, verb: str, replica: str) -> None:
        """The worst that an act may be from its beginning on."""
        if verb in STARTS:
            self.running.add(replica)
        elif verb == "retire":
            self.ready.discard(replica)

    def ends(self, verb: str, replica: str) -> None:
        if verb in STARTS:
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
    broken: list[str] = []
    for event in events:
        data = event.data
        if event.type == "rollout-started":
            spec = {**data["spec"]}
        elif event.type == "lab-removed":
            fleet = Fleet()
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
            yield event.seq, verb != "start" or any(e.data["verb"] in {"join", "stop"} for e in later)
        elif same.type == "act-intended":
            yield event.seq, False
