"""What a revision's replicas answered, out of what the proxy counts for each while the controller looks at it."""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass

from lab.feelings import Feed, Feelings
from lab.gates import Felt
from lab.model import Replica
from lab.ports import Event, Observer, Sight

Tally = tuple[int, int]
"""Requests answered, and the server errors among them."""


def counted_so_far(events: Iterable[Event], runs: Collection[str]) -> dict[int, Tally]:
    """What those runs' journal last said of each revision: where a controller that goes on with them counts on."""
    changes = (event.data for event in events if event.type == "phase-changed" and event.run in runs)
    return {d["target"]: (d["requests"], d["errors"]) for d in changes}


@dataclass(slots=True)
class _Count:
    """Of one replica. `before`: until the proxy began anew, less what there was at the first look."""

    revision: int
    before: Tally = (0, 0)
    last: Tally = (0, 0)


class CountedTraffic:
    """Traffic of one rollout. It counts from the first look on: what replicas had answered until then is not its own.

    A replica that is gone keeps its last counts; one whose counts fall, because the proxy came back, adds new to old.
    """

    def __init__(self, so_far: Mapping[int, Tally] | None = None, feed: Feed | None = None) -> None:
        self._so_far = dict(so_far or {})
        self._feelings = Feelings(feed)
        self._counts: dict[str, _Count] = {}
        self._looked = False

    def counted(self, revision: int) -> Tally:
        requests, errors = self._so_far.get(revision, (0, 0))
        for count in self._counts.values():
            if count.revision == revision:
                requests += count.before[0] + count.last[0]
                errors += count.before[1] + count.last[1]
        return requests, errors

    def felt(self, revision: int) -> Felt:
        return self._feelings.felt(revision, {name: count.revision for name, count in self._counts.items()})

    def note(self, replicas: Iterable[Replica]) -> None:
        for replica in replicas:
            self._note(replica, (replica.requests, replica.errors))
        self._looked = True

    def _note(self, replica: Replica, now: Tally) -> None:
        count = self._counts.get(replica.name)
        if count is None:
            count = self._counts[replica.name] = _Count(replica.revision)
            if not self._looked:
                count.before = (-now[0], -now[1])
        elif now[0] < count.last[0] or now[1] < count.last[1]:
            count.before = (count.before[0] + count.last[0], count.before[1] + count.last[1])
        count.last = now


class CountingLook:
    """Looks as another observer does, and lets the traffic see what it saw."""

    def __init__(self, observer: Observer, traffic: CountedTraffic) -> None:
        self._observer = observer
        self._traffic = traffic

    async def look(self, *, whole: bool) -> Sight:
        sight = await self._observer.look(whole=whole)
        self._traffic.note(sight.replicas)
        return sight
