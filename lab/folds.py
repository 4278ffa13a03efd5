"""PURE: what the journal's events add up to. Status, counts and revisions are folds; nothing is stored twice."""

from collections.abc import Iterable
from dataclasses import dataclass, field

from lab.model import Revision, Verb
from lab.ports import Event


@dataclass(slots=True, kw_only=True)
class Counts:
    """What one rollout must remember of replicas that are no longer there. Fed with every event, oldest first."""

    run: str
    generations: dict[int, int] = field(default_factory=dict)
    ended: set[str] = field(default_factory=set)
    admitted: set[str] = field(default_factory=set)
    deaths: list[tuple[int, int, str]] = field(default_factory=list)
    """(revision, slot, replica) of those that died by themselves in this run."""

    def add(self, event: Event) -> None:
        data = event.data
        match event.type, data.get("verb"):
            case "act-intended", Verb.CREATE:
                self.generations[data["slot"]] = max(self.generations.get(data["slot"], 0), data["generation"])
            case "act-intended", Verb.STOP | Verb.DELETE:
                self.ended.add(data["replica"])
            case "act-done", Verb.ADMIT if "refused" not in data:
                self.admitted.add(data["replica"])
            case "lab-removed", _:
                # names begin again with generation 1
                self.generations.clear()
                self.ended.clear()
                self.admitted.clear()
            case "replica-died", _:
                self.ended.add(data["replica"])
                if event.run == self.run:
                    self.deaths.append((data["revision"], data["slot"], data["replica"]))

    def early_deaths(self, revision: int) -> frozenset[int]:
        return frozenset(s for r, s, name in self.deaths if r == revision and name not in self.admitted)

    def late_deaths(self, revision: int) -> dict[int, int]:
        slots = [s for r, s, name in self.deaths if r == revision and name in self.admitted]
        return {slot: slots.count(slot) for slot in slots}


def counts_of(events: Iterable[Event], run: str) -> Counts:
    counts = Counts(run=run)
    for event in events:
        counts.add(event)
    return counts


@dataclass(frozen=True, slots=True, kw_only=True)
class History:
    """The fleet's revisions, and which one is the current: the last that a rollout reached."""

    revisions: dict[int, Revision] = field(default_factory=dict)
    current: int | None = None
    previous: int | None = None
    replicas: int = 0
    running: str | None = None
    """The run of a rollout that began and has not ended."""
    rolling_to: int | None = None
    kind: str = ""
    """Of the rollout that is running: up, roll or rollback."""


def history_of(events: Iterable[Event]) -> History:
    revisions: dict[int, Revision] = {}
    reached: list[int] = []
    replicas, running, rolling_to, kind = 0, None, None, ""
    for event in events:
        data = event.data
        match event.type:
            case "revision-recorded":
                revisions[data["number"]] = Revision(**data)
            case "rollout-started":
                running, rolling_to, kind = event.run, data["target"], data["kind"]
                replicas = data["replicas"]
            case "rollout-ended":
                running = rolling_to = None
                if data.get("reached") is not None and (not reached or reached[-1] != data["reached"]):
                    reached.append(data["reached"])
            case "lab-removed":
                reached, running, rolling_to, replicas = [], None, None, 0
    current = reached[-1] if reached else None
    previous = next((r for r in reversed(reached) if r != current), None)
    return History(
        revisions=revisions,
        current=current,
        previous=previous,
        replicas=replicas,
        running=running,
        rolling_to=rolling_to,
        kind=kind if running else "",
    )
