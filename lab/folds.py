"""PURE: what the journal's events add up to. Status, counts and revisions are folds; nothing is stored twice."""

from collections.abc import Iterable
from dataclasses import dataclass, field

from lab.model import Revision, Verb
from lab.ports import Event

_ENDS = frozenset({Verb.STOP, Verb.DELETE})


@dataclass(slots=True, kw_only=True)
class Counts:
    """What must be remembered of replicas that are no longer there. Fed with every event, oldest first.

    generations: slot -> the highest generation that the slot ever had. ended: replicas whose end is known already.
    """

    generations: dict[int, int] = field(default_factory=dict)
    ended: set[str] = field(default_factory=set)

    def add(self, event: Event) -> None:
        data = event.data
        match event.type:
            case "act-intended":
                slot, generation = data["slot"], data["generation"]
                if generation > self.generations.get(slot, 0):
                    self.generations[slot] = generation
                if data["verb"] in _ENDS:
                    self.ended.add(data["replica"])
            case "lab-removed":
                # names begin again with generation 1
                self.generations.clear()
                self.ended.clear()
            case "replica-died":
                self.ended.add(data["replica"])


def counts_of(events: Iterable[Event]) -> Counts:
    counts = Counts()
    for event in events:
        counts.add(event)
    return counts


KEPT_REVISIONS = 10
"""So many may still be rolled back to."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Reached:
    """A revision that the whole fleet ran. `run` and `wall`: of the last rollout that led to it."""

    number: int
    run: str
    wall: str


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
    """Of the rollout that is running: up, scale, roll or rollback."""
    reached: tuple[Reached, ...] = ()
    """Each revision once, the last reached first."""
    given_up: frozenset[int] = frozenset()
    """Revisions that can never run again: the schema was contracted."""

    @property
    def targets(self) -> tuple[int, ...]:
        """The revisions that may be gone back to, the nearest first; out of a rollout also to the current one."""
        kept = (r.number for r in self.reached if self.running or r.number != self.current)
        return tuple(number for number in kept if number not in self.given_up)[:KEPT_REVISIONS]


def history_of(events: Iterable[Event]) -> History:
    revisions: dict[int, Revision] = {}
    reached: list[int] = []
    last: dict[int, Reached] = {}
    given_up: frozenset[int] = frozenset()
    replicas, running, rolling_to, kind = 0, None, None, ""
    for event in events:
        data = event.data
        match event.type:
            case "revision-recorded":
                revisions[data["number"]] = Revision(**data)
            case "rollout-started":
                running, rolling_to, kind = event.run, data["target"], data["kind"]
                replicas = data["replicas"]
            case "scaled":
                replicas = data["replicas"]
            case "rollout-ended":
                running = rolling_to = None
                if data.get("reached") is not None and (not reached or reached[-1] != data["reached"]):
                    reached.append(data["reached"])
                    last.pop(data["reached"], None)
                    last[data["reached"]] = Reached(number=data["reached"], run=event.run, wall=event.wall)
            case "versions-given-up":
                given_up |= set(data["revisions"])
            case "lab-removed":
                given_up = frozenset()
                reached, running, rolling_to, replicas = [], None, None, 0
                last.clear()
    current = reached[-1] if reached else None
    previous = next((r for r in reversed(reached) if r != current and r not in given_up), None)
    return History(
        revisions=revisions,
        current=current,
        previous=previous,
        replicas=replicas,
        running=running,
        rolling_to=rolling_to,
        kind=kind if running else "",
        reached=tuple(reversed(last.values())),
        given_up=given_up,
    )
